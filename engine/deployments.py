"""Register what prefect.yaml declares: the work pool, the flows, their forms and schedules."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, get_type_hints

import yaml
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.deployments.runner import RunnerDeployment
from prefect.events import DeploymentEventTrigger
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.flows import Flow, load_flow_from_entrypoint
from prefect.utilities.callables import ParameterSchema, parameter_schema
from pydantic.fields import FieldInfo

DECLARED = Path(__file__).resolve().parents[1] / "prefect.yaml"
POOL = "productops"
EXECUTE = "engine.execute"


def declared(file: Path = DECLARED) -> list[dict[str, Any]]:
    """The deployments of a file like prefect.yaml."""
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    return list(document["deployments"])


def load_flows(file: Path = DECLARED) -> dict[str, Flow[..., Any]]:
    """Flow by flow name, imported by module as the file says."""
    flows: list[Flow[..., Any]] = [load_flow_from_entrypoint(d["entrypoint"]) for d in declared(file)]
    return {flow.name: flow for flow in flows}


async def register(choices: Mapping[str, Sequence[str]] | None = None, *, file: Path = DECLARED) -> dict[str, str]:
    """Create or bring up to date; returns deployment id → flow name.

    ``choices`` turns a text field of every form into a select: parameter name → its values (services, ventures).
    """
    async with get_client() as client:
        await _make_pool(client)
    found: dict[str, str] = {}
    for entry in declared(file):
        flow: Flow[..., Any] = load_flow_from_entrypoint(entry["entrypoint"])
        deployment = RunnerDeployment.from_flow(
            flow,
            name=entry["name"],
            description=entry.get("description"),
            tags=entry.get("tags", []),
            enforce_parameter_schema=entry.get("enforce_parameter_schema", True),
            work_pool_name=POOL,
        )
        deployment.entrypoint = entry["entrypoint"]
        deployment._parameter_openapi_schema = friendly_schema(flow, choices or {})  # noqa: SLF001 - Prefect offers no other place
        deployment.schedules = []
        if schedules := entry.get("schedules"):
            deployment.schedules = _schedules(schedules)
        deployment.triggers = [DeploymentEventTrigger.model_validate(each) for each in entry.get("triggers", [])]  # replaces earlier ones
        found[str(await deployment.aapply(work_pool_name=POOL))] = flow.name
    return found


def friendly_schema(flow: Flow[..., Any], choices: Mapping[str, Sequence[str]]) -> ParameterSchema:
    """Prefect's form of a flow, with the titles and descriptions of its annotations (which Prefect drops) and our selects."""
    schema = parameter_schema(flow)
    hints = get_type_hints(flow.fn, include_extras=True)
    for name, shown in schema.properties.items():
        for note in getattr(hints.get(name), "__metadata__", ()):
            if isinstance(note, FieldInfo):
                shown |= {key: text for key in ("title", "description") if (text := getattr(note, key))}
        if values := choices.get(name):
            shown["enum"] = [*([""] if shown.get("default") == "" else []), *values]
    return schema


def _schedules(declared_schedules: list[dict[str, Any]]) -> list[Any]:
    from prefect.client.schemas.actions import DeploymentScheduleCreate

    return [
        DeploymentScheduleCreate(schedule=IntervalSchedule(interval=timedelta(seconds=s["interval"])), active=True, slug=s["slug"])
        for s in declared_schedules
    ]


async def _make_pool(client: PrefectClient) -> None:
    """The pool, whose workers start our program for a run: it claims the run before Prefect's engine touches it."""
    try:
        pool = await client.read_work_pool(POOL)
    except ObjectNotFound:
        with contextlib.suppress(ObjectAlreadyExists):  # another dispatcher was faster
            await client.create_work_pool(WorkPoolCreate(name=POOL, type="process", base_job_template=_job_template()))
        return
    command = pool.base_job_template.get("variables", {}).get("properties", {}).get("command", {})
    if EXECUTE not in str(command.get("default")):
        await client.update_work_pool(POOL, WorkPoolUpdate(base_job_template=_job_template()))


def _job_template() -> dict[str, Any]:
    from prefect.workers.process import ProcessWorker  # needed once in the life of a pool, and slow to load

    template = ProcessWorker.get_default_base_job_template()
    template["variables"]["properties"]["command"]["default"] = f"{sys.executable} -m {EXECUTE}"
    return template
