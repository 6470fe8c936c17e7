"""The flow ``development-sync`` reads what is declared, shows a table, and fails with the reason of what it could not read."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.testing.utilities import prefect_test_harness

from blocks import installation
from productops.domain.catalog_development import DevelopmentSourceSpec
from productops.domain.development import WorkItem
from productops.usecases.context import Context
from tests.integration.development_lab import github, many, serving
from tests.support import make_context, sqlite_url


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Context]:
    url = sqlite_url(tmp_path)
    made = make_context(url)
    for name, value in {"HOME": tmp_path / "home", "DATABASE_URL": url, "SECRET_HUB": "a-token"}.items():
        monkeypatch.setenv(f"PRODUCTOPS_{name}", str(value))
    installation.settings.cache_clear()
    installation.context.cache_clear()
    yield made
    installation.context().store.close()
    installation.settings.cache_clear()
    installation.context.cache_clear()
    made.store.close()


async def tables() -> list[str]:
    async with get_client() as client:
        return [str(artifact.data) for artifact in await client.read_artifacts() if artifact.key == "development-sync"]


@pytest.mark.slow
@pytest.mark.timeout(300)  # Prefect's server makes its database anew, which takes long on a busy machine
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")  # Prefect's own sockets
def test_the_flow_reads_all_sources_with_their_secrets_and_says_what_it_could_not_read(installed):
    from flows.development_sync import development_sync

    def declare(name: str, projects: list[str], address: str) -> None:
        spec = {"system": "github", "address": address, "projects": projects, "token": "PRODUCTOPS_SECRET_HUB"}
        with installed.store.write() as unit:
            wanted = DevelopmentSourceSpec.model_validate(spec)
            unit.development_sources.put(name, venture="apollo", spec=wanted, base="/nowhere", now=installed.clock.now())

    forge = many(20, 5)
    with serving(github(forge)) as server, prefect_test_harness(server_startup_timeout=90):
        declare("good", ["acme/shop"], server.url)
        state = asyncio.run(development_sync(return_state=True))
        assert (state.name, "1 read" in state.message) == ("Completed", True), state.message
        declare("wrong", ["acme/none"], server.url)
        state = asyncio.run(development_sync(return_state=True))
        assert (state.name, "wrong: acme/none" in state.message) == ("Incomplete", True), state.message
        shown = asyncio.run(tables())
    assert any("work items" in table for table in shown)
    assert all(json.loads(table) for table in shown)
    assert {request.headers["authorization"] for request in server.requests} == {"Bearer a-token"}
    with installed.store.read() as unit:
        assert len(unit.development.of(WorkItem, source="good")) == 20
    gc.collect()  # Prefect's own sockets are found here, where they are forgiven, and not in the next test
