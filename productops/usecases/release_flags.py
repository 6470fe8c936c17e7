"""Read flags: what there is, how it came about, how far it has come, and what should go."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from productops.domain.governance_access import Operation, visible_ventures
from productops.domain.release import Environment
from productops.domain.release_flags.changes import Change, ChangeState
from productops.domain.release_flags.flag import Exposure, Flag, Revision
from productops.domain.release_flags.stale import StaleFlag, stale_flags
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_scope import flag_for, venture_for

STALE_AFTER = timedelta(days=30)
EXPOSURE_WINDOW = timedelta(minutes=10)
COUNTS_KEPT = timedelta(days=90)
WAITING = (ChangeState.PROPOSED, ChangeState.SCHEDULED)


@dataclass(frozen=True, slots=True)
class FlagView:
    """A flag with what waits to happen to it."""

    flag: Flag
    waiting: list[Change]


def list_flags(
    context: Context, *, venture: str | None = None, archived: bool = False, after: str | None = None, limit: int | None = None,
    actor: Actor,
) -> list[Flag]:  # fmt: skip
    """Flags that the caller may see by key, of all ventures or of one; ``after`` is the key of the last one seen.

    Raises: NotFoundError for an unknown venture.
    """
    ventures = visible_ventures(actor.principal, Operation.FLAG_READ)
    with context.store.read() as unit:
        if venture is not None:
            venture_for(unit, venture, actor, Operation.FLAG_READ)
            ventures = frozenset({venture})
        return unit.flags.page(ventures=ventures, archived=archived, after=after, limit=limit)


def read_flag(context: Context, key: str, *, actor: Actor) -> FlagView:
    """One flag. Raises: NotFoundError."""
    with context.store.read() as unit:
        return FlagView(flag_for(unit, key, actor), unit.flag_changes.of(key, states=WAITING))


def flag_history(context: Context, key: str, *, limit: int = 50, before: int | None = None, actor: Actor) -> list[Revision]:
    """Revisions, newest first. Raises: NotFoundError."""
    with context.store.read() as unit:
        flag_for(unit, key, actor)
        return unit.flags.history(key, limit=limit, before=before)


def flag_changes(
    context: Context, key: str | None = None, *, waiting: bool = False, limit: int = 200, before: str | None = None, actor: Actor
) -> list[Change]:  # fmt: skip
    """Proposed and scheduled changes and what became of them, newest first; of one flag or of all. Raises: NotFoundError.

    ``before`` is the id of the last one seen.
    """
    ventures = visible_ventures(actor.principal, Operation.FLAG_READ)
    with context.store.read() as unit:
        if key is not None:
            flag_for(unit, key, actor)
        return unit.flag_changes.of(key, states=WAITING if waiting else (), limit=limit, before=before, ventures=ventures)


def flag_exposure(context: Context, key: str, environment: Environment, *, since: datetime | None = None, actor: Actor) -> Exposure:
    """How far a flag has come in an environment and who got what since then (default: in the last ten minutes). Raises: NotFoundError.

    Evaluations are written every few seconds, and counted from the beginning of the minute of ``since``.
    """
    begin = since or context.clock.now() - EXPOSURE_WINDOW
    with context.store.read() as unit:
        flag = flag_for(unit, key, actor, environments=[environment])
        counted = unit.flag_counts.by_variant(key, environment, since=begin)
    live = flag.state.live_in(environment)
    variant = live.ramp.variant if live.ramp else None
    total = sum(number for name, number in counted.items() if name in flag.spec.variants)
    return Exposure(
        key=key, environment=environment, revision=flag.revision, killed=live.killed, variant=variant,
        percent=live.ramp.percent if live.ramp else 0.0, segments=live.ramp.segments if live.ramp else (), evaluations=counted,
        measured_pct=100.0 * counted.get(variant, 0) / total if total and variant else None, since=begin,
    )  # fmt: skip


def stale_report(
    context: Context, *, environment: Environment = Environment.PRODUCTION, venture: str | None = None,
    unused: timedelta = STALE_AFTER, settled: timedelta = STALE_AFTER, actor: Actor,
) -> list[StaleFlag]:  # fmt: skip
    """Flags that should go, and why; oldest reason first. Raises: NotFoundError for an unknown venture."""
    flags = list_flags(context, venture=venture, actor=actor)
    with context.store.read() as unit:
        uses = unit.flag_counts.uses(environment)
    return stale_flags(flags, uses, environment=environment, now=context.clock.now(), unused=unused, settled=settled)


def forget_old_counts(context: Context) -> None:
    """Delete counts older than 90 days."""
    with context.store.write() as unit:
        unit.flag_counts.forget(before=context.clock.now() - COUNTS_KEPT)
