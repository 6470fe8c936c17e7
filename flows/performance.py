"""Look at the performance of services over versions and load, do what is asked for, and measure what was done before."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow, runtime
from prefect.client.schemas.objects import State
from prefect.states import Completed
from pydantic import Field

from productops.domain.release import Environment
from tasks import analytics_reports as steps


@flow(
    name="performance-optimize",
    description="Compares versions at the same load, finds where latency bends, says what to do, and measures what it brought.",
    persist_result=False,
)
async def performance_optimize(
    service: Annotated[str, Field(title="Service", description="Name of one service; empty: all with traffic in production.")] = "",
    environment: Annotated[Environment, Field(title="Environment", description="Where.")] = Environment.PRODUCTION,
    days: Annotated[float, Field(title="Days", description="How far back is looked.", gt=0, le=60)] = 14.0,
    act: Annotated[bool, Field(title="Act", description="Start the first step that is possible.")] = False,  # noqa: FBT002
) -> State[Any]:
    """What was done is measured first: a day later it is too late to compare."""
    measured = await steps.effects()
    runs = []
    for name, place in await steps.services(service, environment):
        runs.append(await steps.look(name, place, days=days, act=act, key=f"flow-{runtime.flow_run.id}-{name}"))
    await steps.show_looks(runs, measured)
    acted = [run.subject for run in runs if run.state in {"acted", "refused"}]
    said = f"{len(runs)} services looked at, {len(measured)} effects measured"
    return Completed(message=f"{said}; acted on {', '.join(acted)}" if acted else said)
