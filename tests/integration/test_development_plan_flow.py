"""The flow ``development`` plans every venture with work, shows the plan, and says what cannot be planned."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.testing.utilities import prefect_test_harness

from blocks import installation
from productops.domain.development import Feature
from productops.usecases.context import Context
from tests.integration.development_plan_lab import NOW, SOURCE, furnish_plan, team
from tests.support import make_context, sqlite_url


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Context]:
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


async def artifacts() -> set[str]:
    async with get_client() as client:
        return {f"{artifact.type} {artifact.key}" for artifact in await client.read_artifacts()}


@pytest.mark.slow
@pytest.mark.timeout(300)  # Prefect's server makes its database anew, which takes long on a busy machine
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")  # Prefect's own sockets
def test_the_flow_plans_what_is_stored_and_shows_it(installed: Context) -> None:
    from flows.development import development

    with prefect_test_harness(server_startup_timeout=90):
        nothing = asyncio.run(development(heal=False, return_state=True))
        furnish_plan(installed, spec=team(binding_labels=["must"]))
        planned = asyncio.run(development(heal=False, return_state=True))
        now, later = datetime.now(UTC), NOW + timedelta(seconds=1)
        must = Feature(
            external_id="f1", changed_at=later, key="SHOP-1", title="Pay by invoice", labels=("must",), due_at=now + timedelta(minutes=5)
        )
        with installed.store.write() as unit:
            unit.development.put(SOURCE, [must], now=now)
        impossible = asyncio.run(development(venture="apollo", heal=False, return_state=True))
        shown = asyncio.run(artifacts())
    assert (nothing.type, nothing.name) == ("COMPLETED", "NothingToDo")
    assert (planned.type, planned.name) == ("COMPLETED", "Planned"), planned.message
    assert (impossible.type, impossible.name) == ("FAILED", "NotPlanned"), impossible.message
    assert "deadline of feature SHOP-1" in (impossible.message or "")
    assert {"markdown plan-apollo", "image gantt-apollo"} <= shown
    with installed.store.read() as unit:
        current = unit.development_plans.current("apollo")
        assert current is not None
        assert len(unit.development_forecasts.of_plan(current.plan_id)) == 3
