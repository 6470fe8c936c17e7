"""Every night: count the days that are over, look for what changed, and tell whether what was done about it helped."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed
from pydantic import Field

from tasks import analytics as steps


@flow(
    name="analytics",
    description="Counts usage, finds what changed with a bounded share of false findings, and measures what became of accepted insights.",
    persist_result=False,
)
async def analytics(
    venture: Annotated[str, Field(title="Venture", description="Name of one venture; empty: all that have usage events.")] = "",
    day: Annotated[str, Field(title="Day", description="The day to look at, like 2026-01-31, in UTC; empty: yesterday.")] = "",
) -> State[Any]:
    """One venture after the other; one that fails does not keep the others. A day is looked at once, so a repeated run spends nothing."""
    wanted = await steps.chosen_day(day)
    told = [await one(name, wanted) for name in await steps.ventures(venture)]
    await steps.show_all(told)
    failed = [each for each in told if each.trouble]
    said = "; ".join(each.sentence for each in told) or "no venture has usage events"
    if failed:
        return Failed(message=said, name="NotLooked")
    return Completed(message=said, name="Found" if any(each.opened for each in told) else "NothingNew")


async def one(venture: str, day: str) -> steps.Told:
    """Count, look, measure, show."""
    counted = await steps.refresh(venture)
    found = await steps.look(venture, day, counted)
    told = await steps.measure(found)
    await steps.show(told)
    return told
