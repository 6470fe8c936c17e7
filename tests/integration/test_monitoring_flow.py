"""The flow ``monitoring`` on a real Prefect server: what it counts, says and shows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.testing.utilities import prefect_test_harness

from blocks import installation
from productops.usecases.context import Clock, Context
from tests.integration.monitoring_slo_lab import AVAILABILITY, declare, make, minutes
from tests.support import sqlite_url


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Context]:
    url = sqlite_url(tmp_path)
    made, _ = make(tmp_path, url)
    for name, value in {"HOME": tmp_path / "home", "DATABASE_URL": url}.items():
        monkeypatch.setenv(f"PRODUCTOPS_{name}", str(value))
    installation.settings.cache_clear()
    installation.context.cache_clear()
    yield replace(made, clock=Clock())
    installation.context().store.close()
    installation.settings.cache_clear()
    installation.context.cache_clear()
    made.store.close()


async def tables() -> dict[str, str]:
    async with get_client() as client:
        return {str(artifact.key): str(artifact.data) for artifact in await client.read_artifacts()}


@pytest.mark.slow
@pytest.mark.timeout(300)  # Prefect's server makes its database anew, which takes long on a busy machine
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")  # Prefect's own sockets
def test_the_flow_shows_what_is_left_of_each_budget_and_says_when_one_is_spent(installed: Context, tmp_path: Path) -> None:
    from flows.monitoring import monitoring

    now = installed.clock.now().replace(second=0, microsecond=0)
    with prefect_test_harness(server_startup_timeout=90):
        nothing = asyncio.run(monitoring(return_state=True))
        declare(installed, tmp_path, AVAILABILITY)
        minutes(installed, "shop-availability", now - timedelta(minutes=30), 10, good=6000, total=6000)
        well = asyncio.run(monitoring(return_state=True))
        minutes(installed, "shop-availability", now - timedelta(minutes=20), 10, good=3000, total=6000)
        spent = asyncio.run(monitoring(return_state=True))
        shown = asyncio.run(tables())
    assert [each.name for each in (nothing, well, spent)] == ["WithinBudget", "WithinBudget", "BudgetSpent"]
    assert {each.type.value for each in (nothing, well, spent)} == {"COMPLETED"}
    assert "shop-availability" in shown["objectives"]
    assert "Alerts that were held back" in shown["silence-report"]
