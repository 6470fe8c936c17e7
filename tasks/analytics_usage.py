"""A large question about use as Prefect tasks: the same code on a share of the people each, the answers put together exactly."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TypeAlias

from prefect import task
from prefect.artifacts import acreate_table_artifact

from blocks.installation import context
from productops.domain.analytics_usage_answers import FunnelAnswer
from productops.domain.analytics_usage_query import FunnelQuery
from productops.usecases import analytics_usage_ask, analytics_usage_saved
from tasks.artifacts import publish
from tasks.callers import caller
from tasks.release import retrying

KEY = "analytics-usage"
FunnelShare: TypeAlias = analytics_usage_ask.FunnelShare


@task(**retrying("question", "what {name} asks"))
async def question(venture: str, name: str, days: int) -> FunnelQuery:
    """A saved funnel over the last days. Raises: NotFoundError, ForbiddenError, InvalidInputError."""
    who = await caller()
    end = context().clock.now()
    return await asyncio.to_thread(
        analytics_usage_saved.saved_funnel, context(), venture, name, since=end - timedelta(days=days), until=end, actor=who
    )


@task(**retrying("part", "people, part {part} of {parts}"))
async def part(query: FunnelQuery, part: int, parts: int) -> FunnelShare:
    """A share of the people. Raises: NotFoundError, ForbiddenError, ConflictError, DependencyError."""
    who = await caller()
    return await asyncio.to_thread(analytics_usage_ask.funnel_of_part, context(), query, part=part, parts=parts, actor=who)


@task(**retrying("show", "show the funnel"))
async def show(query: FunnelQuery, found: list[FunnelShare]) -> FunnelAnswer:
    """A table for the Prefect UI."""
    answer = analytics_usage_ask.funnel_of_parts(query, found)
    rows = [
        {
            "step": step.title, "people": step.people, "of first": step.of_first, "of previous": step.of_previous,
            "median s": step.median_s, "p90 s": step.p90_s,
        }
        for step in answer.steps
    ]  # fmt: skip
    basis = answer.basis
    said = f"{basis.events:,} events of {basis.venture}, {basis.since:%Y-%m-%d} to {basis.until:%Y-%m-%d}"
    await publish(acreate_table_artifact(table=rows, key=KEY, description=said))
    return answer
