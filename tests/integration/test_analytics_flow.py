"""The flow ``analytics`` looks at every venture with figures, shows what it found, and does nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.testing.utilities import prefect_test_harness

from blocks import installation
from productops.store.analytics_insights import AnalyticsInsightFilter
from productops.usecases.context import Context
from tests.integration import analytics_insight_lab
from tests.integration.analytics_insight_lab import Event, add_figures, day_of
from tests.support import make_context, sqlite_url


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Context]:
    url = sqlite_url(tmp_path)
    made = make_context(url)
    for name, value in {"HOME": tmp_path / "home", "DATABASE_URL": url}.items():
        monkeypatch.setenv(f"PRODUCTOPS_{name}", str(value))
    installation.settings.cache_clear()
    installation.context.cache_clear()
    monkeypatch.setattr(analytics_insight_lab, "FIRST", datetime.now(UTC).date() - timedelta(days=108))
    yield made
    installation.context().store.close()
    installation.settings.cache_clear()
    installation.context.cache_clear()
    made.store.close()


async def artifacts() -> set[str]:
    async with get_client() as client:
        return {f"{artifact.type} {artifact.key}" for artifact in await client.read_artifacts()}


@pytest.mark.slow
@pytest.mark.timeout(300)  # Prefect's server makes its database anew, which takes long on a busy machine
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")  # Prefect's own sockets
def test_the_flow_finds_insights_once_and_shows_them(installed: Context) -> None:
    from flows.analytics import analytics

    with prefect_test_harness(server_startup_timeout=90):
        nothing = asyncio.run(analytics(return_state=True))
        add_figures(installed, Event("feature-05", 100, people=0.6), days=108)
        found = asyncio.run(analytics(return_state=True))
        again = asyncio.run(analytics(venture="apollo", return_state=True))
        early = asyncio.run(analytics(venture="apollo", day=day_of(90).isoformat(), return_state=True))
        shown = asyncio.run(artifacts())
    assert (nothing.type, nothing.name) == ("COMPLETED", "NothingNew")
    assert (found.type, found.name) == ("COMPLETED", "Found"), found.message
    assert (again.type, again.name) == ("COMPLETED", "Found"), again.message
    assert "looked at before" in (again.message or "")
    assert (early.type, early.name) == ("FAILED", "NotLooked"), early.message
    assert {"markdown insights-apollo", "image insight-apollo-1", "table analytics"} <= shown
    with installed.store.read() as unit:
        assert len(unit.analytics_insights.page(AnalyticsInsightFilter("apollo"), before=None, limit=10)) == 1
