"""What a quality flow learns from its runs, as Prefect tasks."""

from __future__ import annotations

import asyncio

from prefect import task
from prefect.artifacts import acreate_table_artifact

from blocks.installation import context
from productops.usecases import quality_flaky, quality_improve
from productops.usecases.quality_flaky import FlakyReport
from productops.usecases.quality_improve import ImproveReport
from tasks.artifacts import publish
from tasks.release import actor, retrying

KEY = "quality-improve"


@task(**retrying("improve", "look for flaky tests and findings of {service}"))
async def improve(service: str) -> str:
    """Review the flaky tests of a service and what would make its tests better; a sentence. Raises: NotFoundError."""
    caller = actor()
    flaky = await asyncio.to_thread(quality_flaky.review_flaky, context(), service, caller)
    found = await asyncio.to_thread(quality_improve.review_quality, context(), service, caller)
    await publish(acreate_table_artifact(table=_rows(flaky, found), key=f"{KEY}-{service}", description=said(flaky, found)))
    return said(flaky, found)


def said(flaky: FlakyReport, found: ImproveReport) -> str:
    """Both reviews in one sentence."""
    moves = "; ".join(f"{decision.name}: {decision.move} ({decision.reason})" for decision in flaky.decisions) or "no test was moved"
    return (
        f"{flaky.service}: {len(flaky.quarantined)} tests in quarantine, {moves}. "
        f"{found.opened} findings are new, {found.still} still there, {found.back} back, {found.gone} gone."
    )


def _rows(flaky: FlakyReport, found: ImproveReport) -> list[dict[str, object]]:
    held: list[dict[str, object]] = [
        {"what": "quarantine", "title": each.test_name, "why": each.reason, "minutes a month": ""} for each in flaky.quarantined
    ]
    return held + [
        {
            "what": each.insight.kind.value,
            "title": each.insight.title,
            "why": each.insight.sentence,
            "minutes a month": each.insight.minutes,
        }
        for each in found.insights
    ]
