"""Every minute: start what a crash left un-started, end what nobody carries on, clean up."""

from __future__ import annotations

from prefect import flow

from tasks import approvals, claims
from tasks import reconcile as steps


@flow(name="reconcile", description="Starts what a crash left un-started and ends what nobody carries on.", persist_result=False)
async def reconcile() -> None:
    """Look once; nothing here is needed for users to be safe, the agent does that."""
    await claims.enter()
    await steps.read_calendars()
    await approvals.expire_approvals()
    started = await steps.start_unstarted()
    ended = await steps.end_abandoned()
    await steps.move_trains()
    await steps.start_incidents()
    await steps.record_ended()
    await steps.change_flags()
    await approvals.report_changes()
    await steps.clean_up(started, ended)
