"""The flow ``analytics-usage`` asks a saved funnel in parts that add up to the whole."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prefect.testing.utilities import prefect_test_harness

from blocks import installation
from productops.domain.analytics_usage_query import FunnelSpec
from productops.usecases.context import Context
from tests.integration.analytics_usage_lab import put, usage_context
from tests.support import make_context, sqlite_url


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Context]:
    url = sqlite_url(tmp_path)
    made = make_context(url)
    for name, value in {"HOME": tmp_path, "DATABASE_URL": url}.items():
        monkeypatch.setenv(f"PRODUCTOPS_{name}", str(value))
    installation.settings.cache_clear()
    installation.context.cache_clear()
    lab = usage_context(made, tmp_path)
    lab.clock.at = datetime.now(UTC)  # type: ignore[attr-defined]
    yield lab
    installation.context().store.close()
    installation.settings.cache_clear()
    installation.context.cache_clear()
    made.store.close()


@pytest.mark.slow
@pytest.mark.timeout(300)  # Prefect's server makes its database anew, which takes long on a busy machine
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")  # Prefect's own sockets
def test_the_flow_adds_the_parts_up(installed: Context) -> None:
    from flows.analytics_usage import analytics_usage

    def at(hours: float) -> str:
        return (datetime.now(UTC) - timedelta(days=2) + timedelta(hours=hours)).isoformat()

    put(installed, [{"event": "view", "userId": f"p{n}", "timestamp": at(0)} for n in range(40)])
    put(installed, [{"event": "buy", "userId": f"p{n}", "timestamp": at(1)} for n in range(13)])
    spec = FunnelSpec.model_validate({"steps": [{"name": "view"}, {"name": "buy"}]})
    with installed.store.write() as unit:
        unit.analytics_usage.put_definition(
            "Funnel", "apollo", "short", spec.model_dump(mode="json"), base="", author="t", now=installed.clock.now()
        )
    with prefect_test_harness(server_startup_timeout=90):
        state = asyncio.run(analytics_usage("apollo", "short", parts=4, return_state=True))
        assert (state.name, state.message) == ("Answered", "view: 40 → buy: 13")
        lost = asyncio.run(analytics_usage("apollo", "long", return_state=True))
        assert lost.is_failed()
