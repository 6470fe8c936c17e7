"""An incident that was opened is an event of Prefect; its automation starts the flow, and the incident is answered once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.flow_engine import run_flow
from prefect.settings import PREFECT_API_URL
from prefect.testing.utilities import prefect_test_harness

from blocks import installation
from engine.deployments import DECLARED, POOL, register
from productops.adapters.prefect_api import PrefectApi
from productops.domain.incident_playbook import PAGE_A_PERSON
from productops.usecases.context import Context
from productops.usecases.incident_announce import IncidentAnnouncer
from productops.usecases.incident_start import attend_incident
from tests.integration.incident_response_lab import open_incident
from tests.support import add_service, make_context, sqlite_url


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


def declared(folder: Path) -> Path:
    """Our own prefect.yaml with nothing but the flow of incidents."""
    known = yaml.safe_load(DECLARED.read_text(encoding="utf-8"))
    known["deployments"] = [each for each in known["deployments"] if each["name"] == "incident"]
    path = folder / "prefect.yaml"
    path.write_text(yaml.safe_dump(known), encoding="utf-8")
    return path


async def runs() -> list[FlowRun]:
    async with get_client() as client:
        return await client.read_flow_runs()


async def heartbeat(name: str) -> None:
    async with get_client() as client:
        await client.send_worker_heartbeat(POOL, worker_name=name, heartbeat_interval_seconds=30.0)


async def automations() -> list[str]:
    async with get_client() as client:
        return [each.name for each in await client.read_automations()]


def runs_within(count: int, seconds: float) -> list[FlowRun]:
    deadline = time.monotonic() + seconds
    while len(found := asyncio.run(runs())) < count and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


async def carry_out(run: FlowRun) -> State[Any]:
    from flows.incident import incident

    found: Any = run_flow(incident, flow_run=run, parameters=run.parameters, return_type="state")
    return await found if asyncio.iscoroutine(found) else found


def test_whoever_is_first_follows_a_response_and_who_comes_later_hears_so(installed: Context) -> None:
    add_service(installed, live="1.0")
    incident_id = open_incident(installed)
    begun = attend_incident(installed, incident_id, "run-a")
    deadline = time.monotonic() + 30
    while begun is None:  # a doubtful cause may become clear; then a person is paged
        assert time.monotonic() < deadline
        time.sleep(0.3)
        begun = attend_incident(installed, incident_id, "run-a")
    later = attend_incident(installed, incident_id, "run-b")
    assert later is not None
    assert (begun.flow_run_id, later.flow_run_id, later.id) == ("run-a", "run-a", begun.id)


@pytest.mark.slow
@pytest.mark.timeout(300)  # Prefect's server makes its database anew, which takes long on a busy machine
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")  # Prefect's own sockets
def test_the_event_of_an_opened_incident_starts_one_flow_and_one_response(installed: Context, tmp_path: Path) -> None:
    add_service(installed, live="1.0")
    path = declared(tmp_path)
    with prefect_test_harness(server_startup_timeout=90):
        for _ in range(2):  # to register again changes nothing
            asyncio.run(register(file=path))
        assert asyncio.run(automations()) == ["answer incidents"]
        prefect = PrefectApi(str(PREFECT_API_URL.value()))
        assert prefect.worker_beats() == {}
        asyncio.run(heartbeat("worker-1"))
        assert datetime.now(UTC) - prefect.worker_beats()["worker-1"] < timedelta(seconds=30)
        announcer = IncidentAnnouncer(installed, prefect)
        assert announcer.turn() == 0
        incident_id = open_incident(installed)
        assert [announcer.turn(), announcer.turn()] == [1, 0]
        assert IncidentAnnouncer(installed, prefect).turn() == 1  # as after a restart: the same event again
        made = runs_within(1, 30.0)
        assert [run.parameters["incident_id"] for run in made] == [incident_id]
        assert made[0].created_by is not None
        assert made[0].created_by.type == "AUTOMATION"
        ended = asyncio.run(carry_out(made[0]))
        again = asyncio.run(prefect_follows(prefect, incident_id))
        time.sleep(1.0)
        assert len(asyncio.run(runs())) == 2
        prefect.close()
    with installed.store.read() as unit:
        responses = unit.responses.of_incident(incident_id)
    assert [(each.playbook, each.flow_run_id) for each in responses] == [(PAGE_A_PERSON, str(made[0].id))]
    assert (ended.name, again.name) == ("HandedOver", "HandedOver")


async def prefect_follows(prefect: PrefectApi, incident_id: str) -> State[Any]:
    """A run that the watch process starts by itself, as well."""
    run_id = await asyncio.to_thread(prefect.start_incident, {"incident_id": incident_id}, key="incident-1")
    async with get_client() as client:
        run = await client.read_flow_run(UUID(run_id))
    return await carry_out(run)
