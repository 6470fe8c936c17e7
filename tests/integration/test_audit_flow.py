"""The flow ``audit`` anchors what is new, and fails with an incident when something does not fit."""

from __future__ import annotations

import asyncio

import pytest
from prefect.client.orchestration import get_client
from prefect.testing.utilities import prefect_test_harness
from sqlalchemy import create_engine, text

from blocks import installation
from productops.adapters.audit_anchors import AnchorFolder
from tests.support import make_context, sqlite_url


@pytest.fixture
def installed(tmp_path, monkeypatch):
    url = sqlite_url(tmp_path)
    made = make_context(url)
    for name, value in {"HOME": tmp_path / "home", "DATABASE_URL": url}.items():
        monkeypatch.setenv(f"PRODUCTOPS_{name}", str(value))
    installation.settings.cache_clear()
    installation.context.cache_clear()
    yield made
    installation.context().store.close()
    installation.settings.cache_clear()
    installation.context.cache_clear()
    made.store.close()


async def artifacts():
    async with get_client() as client:
        return [artifact.type for artifact in await client.read_artifacts() if artifact.key == "audit-anchor"]


@pytest.mark.slow
@pytest.mark.timeout(300)  # Prefect's server makes its database anew, which takes long on a busy machine
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")  # Prefect's own sockets
def test_the_flow_writes_an_anchor_and_fails_when_the_log_was_cut(installed, tmp_path):
    from flows.audit import audit

    with installed.store.write() as unit:
        unit.audit.add("act", "s/1", actor="mia", origin="cli", now=installed.clock.now())
    with prefect_test_harness(server_startup_timeout=90):
        state = asyncio.run(audit(return_state=True))
        assert (state.name, AnchorFolder(tmp_path / "home" / "audit-anchors").newest().seq) == ("Completed", 1)
        engine = create_engine(sqlite_url(tmp_path))
        with engine.begin() as connection:
            connection.execute(text("DROP TRIGGER audit_entries_no_delete"))
            connection.execute(text("DELETE FROM audit_entries"))
        engine.dispose()
        state = asyncio.run(audit(return_state=True))
        assert (state.name, "ends with entry 0" in state.message) == ("AuditBroken", True)
        assert sorted(asyncio.run(artifacts())) == ["markdown", "table"]
    with installed.store.read() as unit:
        assert unit.incidents.newest()[0]["title"].startswith("the audit log does not fit at entry 1")
