"""The flow ``incident`` follows the journal: what was begun is finished, users are seen well again, the incident ends with a draft."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.testing.utilities import prefect_test_harness

from blocks import installation
from productops.domain.incident_cause import CauseKind
from productops.domain.incident_playbook import ResponseState
from productops.usecases import incident_respond_conclude
from productops.usecases.context import Context
from tests.integration.incident_response_lab import begin, declare, had_traffic, ledger, open_incident, playbook, read
from tests.support import HandMadeAgent, add_service, make_context, running, sqlite_url


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Context]:
    url = sqlite_url(tmp_path)
    made = make_context(url)
    for name, value in {"HOME": tmp_path / "home", "DATABASE_URL": url}.items():
        monkeypatch.setenv(f"PRODUCTOPS_{name}", str(value))
    monkeypatch.setattr(incident_respond_conclude, "STAYS_S", 1.0)
    installation.settings.cache_clear()
    installation.context.cache_clear()
    yield made
    installation.context().store.close()
    installation.settings.cache_clear()
    installation.context.cache_clear()
    made.store.close()


async def artifacts() -> set[str]:
    async with get_client() as client:
        return {str(artifact.key) for artifact in await client.read_artifacts()}


@pytest.mark.slow
@pytest.mark.timeout(300)  # Prefect's server makes its database anew, which takes long on a busy machine
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")  # Prefect's own sockets
def test_the_flow_finishes_what_was_begun_and_ends_the_incident(installed: Context, tmp_path: Path) -> None:
    from flows.incident import incident

    declare(installed, tmp_path / "c", playbook("more", when="{causes: [traffic]}", steps="do: scale\ndo: wait-for-recovery, good_s: 1"))
    add_service(installed, live="1.0")
    had_traffic(installed, "1.0", ago_s=100, seconds=80)
    with prefect_test_harness(server_startup_timeout=90), running(HandMadeAgent(installed, rate=100)):
        incident_id = open_incident(installed)
        response = begin(installed, ledger(incident_id, installed, CauseKind.TRAFFIC, "twice the traffic", {}), incident_id)
        refused = asyncio.run(incident(return_state=True))
        ended = asyncio.run(incident(incident_id=incident_id, return_state=True))
        again = asyncio.run(incident(incident_id=incident_id, return_state=True))
        shown = asyncio.run(artifacts())
    assert (refused.type, refused.name) == ("FAILED", "Refused")
    assert (ended.type, ended.name) == ("COMPLETED", "Resolved"), ended.message
    assert again.name == "Resolved"
    assert read(installed, response.id).state is ResponseState.SUCCEEDED
    assert {"response-shop-production", "cause-shop-production", "timeline-shop-production"} <= shown
    with installed.store.read() as unit:
        assert unit.incidents.get(incident_id).status.value == "resolved"
        assert unit.fleets.find("shop", response.environment, "1.0").desired == 3
