"""Every day: with which chance does each feature reach its goal, and what became of those that are due?"""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed
from pydantic import Field

from tasks import analytics_reports as steps


@flow(
    name="analytics-predict",
    description="Predicts from their first days whether features reach their goals of use, and settles those that are due.",
    persist_result=False,
)
async def analytics_predict(
    venture: Annotated[str, Field(title="Venture", description="Name of one venture; empty: all with goals of use.")] = "",
) -> State[Any]:
    """One venture after the other."""
    found = [await steps.predict(name) for name in await steps.ventures_with_goals(venture)]
    await steps.show_predictions(found)
    said = "; ".join(f"{each.venture}: {len(each.items)} predicted, {each.settled} settled" for each in found)
    return Completed(message=said or "no feature has a goal of use")
