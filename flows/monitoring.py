"""Every five minutes: count what systems outside know, add what came late, and show how much of each error budget is left."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from productops.errors import ProductOpsError
from tasks import monitoring as steps


@flow(
    name="monitoring",
    description="Counts objectives from outside sources and late data, and shows error budgets and what was held back of alerts.",
    persist_result=False,
)
async def monitoring() -> State[Any]:
    """Detection does not wait for this: the watch process evaluates every second. This is what people look at."""
    try:
        found = await steps.objectives_round()
    except ProductOpsError as error:
        return Failed(message=str(error), name="NotMeasured")
    await steps.show(found)
    if any(view.budget.spent for view in found.views):
        return Completed(message=found.sentence, name="BudgetSpent")
    return Completed(message=found.sentence, name="WithinBudget")
