"""What a crash can leave behind in the records, put right."""

from __future__ import annotations

from datetime import datetime, timedelta

from productops.domain.release import Cause, Phase, Release
from productops.usecases.context import Actor, Context
from productops.usecases.release_flags import forget_old_counts
from productops.usecases.release_flags_change import apply_due_changes
from productops.usecases.release_request import start_release
from productops.usecases.release_rollback import give_baseline_back

UNSTARTED_AFTER = timedelta(seconds=10)
ABANDONED_AFTER = timedelta(seconds=60)
KEEP_IDEMPOTENCY = timedelta(hours=24)


def start_unstarted(context: Context, *, after: timedelta = UNSTARTED_AFTER) -> list[str]:
    """Start the flow of every release that was written but whose start got lost, or waits for a change window that is open now.

    The run is created once per release.
    """
    return [r.id for r in unstarted(context, after=after) if start_release(context, r) is not None]


def unstarted(context: Context, *, after: timedelta) -> list[Release]:
    """Releases that were written ``after`` ago or earlier and have no run."""
    now = context.clock.now()
    with context.store.read() as unit:
        return [
            r for r in unit.releases.all_active()
            if r.phase is Phase.REQUESTED and r.flow_run_id is None and now - r.created_at > after
        ]  # fmt: skip


def end_abandoned(context: Context, *, actor: Actor) -> list[str]:
    """End releases whose process stopped before it held a lease. With a lease the agent has done so long before."""
    now = context.clock.now()
    with context.store.read() as unit:
        abandoned = [r for r in unit.releases.all_active() if _is_abandoned(r, silent_since=now - ABANDONED_AFTER)]
    for release in abandoned:
        give_baseline_back(
            context, release.id, cause=Cause.ERROR, actor=actor,
            reason=f"the process that carried it out has been silent since {release.heartbeat_at or release.created_at:%H:%M:%S} UTC",
        )  # fmt: skip
    return [r.id for r in abandoned]


def _is_abandoned(release: Release, *, silent_since: datetime) -> bool:
    if release.phase is Phase.ROLLING_BACK or release.flow_run_id is None:
        return False
    beat = release.heartbeat_at or release.created_at
    return beat < silent_since


def change_flags(context: Context) -> list[str]:
    """Apply scheduled changes of flags that nobody has evaluated since their time came; returns their ids."""
    forget_old_counts(context)
    return apply_due_changes(context)


def clean_up(context: Context) -> None:
    """Forget idempotency keys after a day."""
    with context.store.write() as unit:
        unit.releases.forget_keys(before=context.clock.now() - KEEP_IDEMPOTENCY)
