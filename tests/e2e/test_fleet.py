"""Many releases at the same moment on one machine with SQLite, through the API, to their ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.fleet.releases import FleetStack, release_all, visitors
from benchmarks.release.stack import prepared
from tests.integration.test_stack.lab import free_port_base

SERVICES = 4


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_releases_of_several_services_at_the_same_moment_all_end_rightly_and_no_request_is_lost(tmp_path: Path) -> None:
    with prepared(tmp_path / "home", port_base=free_port_base()) as bare:
        stack = FleetStack(bare.home, bare.port_base)
        names = stack.write_catalog(SERVICES)
        stack.command("up", "--detach")
        stack.command("apply", str(stack.home / "catalog"))
        first = release_all(stack, names, "1.0.0", within_s=150)
        assert first.phases == {"promoted": SERVICES}, first.reasons
        with visitors(stack, names) as seen:
            canary = release_all(stack, names, "1.1.0", within_s=150)
        assert canary.phases == {"promoted": SERVICES}, canary.reasons
        assert set(seen) == {200}, seen
