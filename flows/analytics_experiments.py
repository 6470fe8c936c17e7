"""Every hour: what do experiments say, and does every guardrail hold?"""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed
from pydantic import Field

from tasks import analytics_experiments as steps


@flow(
    name="analytics-experiments",
    description="Looks at the experiments under way, keeps what it finds, and takes a flag back whose guardrail does not hold.",
    persist_result=False,
)
async def analytics_experiments(
    experiment: Annotated[str, Field(title="Experiment", description="Name of one experiment; empty: all that are under way.")] = "",
) -> State[Any]:
    """One experiment after the other. A guardrail that does not hold is no failure of this run: it did what it is for."""
    names = await steps.experiments(experiment)
    looks = [await steps.look(name) for name in names]
    await steps.show(looks)
    said = "; ".join(f"{each.name}: {each.sentence}" for each in looks) or "no experiment is under way"
    if any(each.error for each in looks):
        return Failed(message=said)
    broken = [each.name for each in looks if each.breached]
    return Completed(message=said, name="GuardrailBroken") if broken else Completed(message=said)
