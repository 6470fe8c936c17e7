"""Every day: is there a report of the last week, and has everybody got it? Made once for each venture and week."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed
from pydantic import Field

from tasks import analytics_reports as steps


@flow(
    name="analytics-report",
    description="One page about a week of each venture: releases, delivery, quality, incidents, dates, use, insights. Mailed once.",
    persist_result=False,
)
async def analytics_report(
    venture: Annotated[str, Field(title="Venture", description="Name of one venture; empty: all.")] = "",
    week: Annotated[str, Field(title="Week", description="Like 2026-W47, or last or current.")] = "last",
    to: Annotated[str, Field(title="To", description="Addresses with commas, in place of the configured ones.")] = "",
    send: Annotated[bool, Field(title="Send", description="Send it by mail to those who have not got it.")] = True,  # noqa: FBT002
) -> State[Any]:
    """A mail that fails is tried again by the next run; who has got it gets it no more."""
    names = await steps.ventures(venture)
    mails = []
    for name in names:
        made = await steps.report(name, week)
        await steps.show_report(made)
        if send and made.whole:
            mails += await steps.mail(name, week, to=to)
    failed = [each for each in mails if each.state == "failed"]
    said = f"{len(names)} reports; {sum(each.state == 'sent' for each in mails)} mails sent, {len(failed)} failed"
    return Failed(message=f"{said}: {failed[0].error}", name="NotSent") if failed else Completed(message=said)
