"""A release that somebody started in Prefect: its run writes it down, shows the page, ends, and holds no worker."""

from __future__ import annotations

import asyncio

import pytest
from prefect.client.orchestration import get_client
from prefect.testing.utilities import prefect_test_harness

from blocks import installation
from productops.domain.release import Phase
from productops.usecases.governance_approvals import find_approval, sign
from tests.integration.approvals_lab import ANN, DORA, apply, make_house, policy
from tests.support import PRODUCTION, make_context, service_spec, sqlite_url


@pytest.fixture
def installed(tmp_path, monkeypatch):
    url = sqlite_url(tmp_path)
    for version in ("1.0", "2.0"):
        (tmp_path / version).mkdir()
    made = make_house(make_context(url))
    with made.store.write() as unit:
        unit.catalog.put_service("shop", venture="apollo", spec=service_spec(), base=str(tmp_path), author="x", now=made.clock.now())
    apply(made, tmp_path / "catalog", policy())
    for name, value in {"HOME": tmp_path / "home", "DATABASE_URL": url}.items():
        monkeypatch.setenv(f"PRODUCTOPS_{name}", str(value))
    installation.settings.cache_clear()
    installation.context.cache_clear()
    yield made
    installation.context().store.close()
    installation.settings.cache_clear()
    installation.context.cache_clear()
    made.store.close()


async def pages():
    async with get_client() as client:
        return [artifact.data for artifact in await client.read_artifacts() if artifact.key == "approval"]


@pytest.mark.slow
@pytest.mark.timeout(300)  # Prefect's server makes its database anew, which takes long on a busy machine
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")  # Prefect's own sockets
def test_a_run_that_needs_signatures_ends_waiting_with_the_page_and_a_forged_one_begins_nothing(installed):
    from flows.release import release

    with prefect_test_harness(server_startup_timeout=90):
        state = asyncio.run(release(service="shop", version="2.0", return_state=True))
        assert (state.type.value, state.name) == ("COMPLETED", "WaitingForApproval"), state.message
        with installed.store.read() as unit:
            waiting = unit.releases.active("shop", PRODUCTION)
        assert (waiting.phase, waiting.flow_run_id) == (Phase.REQUESTED, None)
        request = find_approval(installed, waiting.id, actor=DORA)
        assert f"/approvals/{request.id})" in asyncio.run(pages())[0]
        forged = asyncio.run(release(service="shop", version="2.0", release_id=waiting.id, return_state=True))
        assert forged.name == "WaitingForApproval"
        assert sign(installed, request.id, actor=ANN).granted
    assert list(installed.orchestrator.releases) == [waiting.id]
