"""A saved funnel over so many events that it is asked in parts: each task takes a share of the people, and the counts add up."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed
from pydantic import Field

from tasks import analytics_usage as steps


@flow(
    name="analytics-usage",
    description="Asks a saved funnel in parts, some people each, in bounded memory; the parts add up exactly.",
    persist_result=False,
)
async def analytics_usage(
    venture: Annotated[str, Field(title="Venture", description="Name of the venture.")],
    funnel: Annotated[str, Field(title="Funnel", description="Name of the saved funnel.")],
    days: Annotated[int, Field(title="Days", description="The last so many days.", ge=1, le=1100)] = 30,
    parts: Annotated[int, Field(title="Parts", description="1, 2, 4 … 256.", ge=1, le=256)] = 16,
    at_once: Annotated[int, Field(title="At once", description="Parts that are read at the same time.", ge=1, le=64)] = 2,
) -> State[Any]:
    """Each part by itself, some at a time."""
    query = await steps.question(venture, funnel, days)
    room = asyncio.Semaphore(at_once)

    async def one(part: int) -> steps.FunnelShare:
        async with room:
            return await steps.part(query, part, parts)

    found = await asyncio.gather(*(one(part) for part in range(parts)))
    answer = await steps.show(query, found)
    said = " → ".join(f"{step.title}: {step.people}" for step in answer.steps)
    return Completed(
        message="no events in these days" if answer.basis.empty else said, name="NoEvents" if answer.basis.empty else "Answered"
    )
