"""May a release start now? Asked when one is requested, and again before a waiting one is started."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from productops.domain.catalog_windows import Effect
from productops.domain.governance_access import Operation, visible_ventures
from productops.domain.release import Cause, Environment, Phase, Release
from productops.domain.release_windows import BypassState, ChangeCalendar, Occurrence, Opening, opening
from productops.errors import ChangeFrozenError, NotFoundError
from productops.store import Unit
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_scope import service_for, venture_for
from productops.usecases.governance_approvals_ask import withdraw
from productops.usecases.governance_approvals_release import cleared

Start = Literal["now", "next-window"]
NOW: Start = "now"
NEXT_WINDOW: Start = "next-window"


@dataclass(frozen=True, slots=True)
class WindowsView:
    """Calendars that apply, their events in a span of time, and the time it was read."""

    calendars: tuple[ChangeCalendar, ...]
    occurrences: tuple[Occurrence, ...]
    read_at: datetime


def find_opening(unit: Unit, venture: str, service: str, environment: Environment, *, now: datetime) -> Opening:
    """Whether a release of the service may start there now."""
    calendars = unit.calendars.covering(venture, service, environment)
    occurrences = unit.calendars.occurrences([c.name for c in calendars], after=now) if calendars else []
    return opening(calendars, occurrences, now=now)


def check_start(
    unit: Unit, *, venture: str, service: str, version: str, environment: Environment, start: Start, bypass: str | None, now: datetime
) -> dict[str, Any]:
    """What the plan of a release notes about its start: ``start`` when it waits, ``bypass`` when it needs no opening.

    Raises: ChangeFrozenError that names the event, its end and the next opening; NotFoundError for an unknown bypass.
    """
    found = find_opening(unit, venture, service, environment, now=now)
    if found.is_open:
        return {}
    if bypass is not None:
        _check_bypass(unit, bypass, service=service, version=version, environment=environment, now=now)
        return {"bypass": bypass}
    if start == NEXT_WINDOW and found.next_at is not None:
        return {"start": NEXT_WINDOW, "starts_at": found.next_at.isoformat()}
    raise frozen(found, service, environment, may_wait=found.next_at is not None)


def frozen(found: Opening, service: str, environment: Environment, *, may_wait: bool) -> ChangeFrozenError:
    """The refusal: what forbids it, until when, when next, and what to do."""
    ways = [f"ask for a bypass with: productops windows bypass request {service} --environment {environment} --reason '…'"]
    if may_wait:
        ways.insert(0, "let it wait with --start next-window (start: next-window)")
    following = f"the next opening is {found.next_at:%Y-%m-%d %H:%M} UTC" if found.next_at else "no opening is known"
    event = found.event
    return ChangeFrozenError(
        f"no release of {service} may start in {environment} now: {found.reason}; {following}. {' or '.join(ways).capitalize()}",
        calendar=event.calendar if event else None,
        event=event.title if event else None,
        ends_at=event.ends_at.isoformat() if event else None,
        next_at=found.next_at.isoformat() if found.next_at else None,
    )


def _check_bypass(unit: Unit, bypass_id: str, *, service: str, version: str, environment: Environment, now: datetime) -> None:
    """Raises: ChangeFrozenError when it is not approved, not for this release, used or expired; NotFoundError."""
    bypass = unit.bypasses.get(bypass_id)
    state = bypass.state(now)
    if (bypass.service, bypass.environment) != (service, environment) or bypass.version not in {None, version}:
        wanted = f"{bypass.service} {bypass.version or '(any version)'} in {bypass.environment}"
        raise ChangeFrozenError(f"bypass {bypass_id} is for {wanted}, not for {service} {version} in {environment}")
    if state is BypassState.ASKED:
        how = f"somebody other than {bypass.asked_by} runs productops windows bypass approve {bypass_id}"
        raise ChangeFrozenError(f"bypass {bypass_id} is not approved yet: {how}")
    if state is not BypassState.APPROVED:
        ended = f"was used for {bypass.used_by}" if bypass.used_by else f"expired at {bypass.expires_at:%Y-%m-%d %H:%M} UTC"
        raise ChangeFrozenError(f"bypass {bypass_id} {ended}; ask for a new one")


def note_start(unit: Unit, release: Release, *, actor: Actor, now: datetime) -> None:
    """Within the transaction that writes a release: spend its bypass, tell that it waits, make it its train's.

    Raises: ChangeFrozenError when the bypass is spent, ConflictError when the train no longer runs.
    """
    if release.plan.get("train"):
        unit.trains.board(release.plan["train"], release.service, release.id, now=now)
    bypass_id = release.plan.get("bypass")
    if bypass_id:
        spend_bypass(unit, bypass_id, f"release/{release.id}", actor=actor, now=now)
        bypass = unit.bypasses.get(bypass_id)
        told = {"bypass_id": bypass_id, "reason": bypass.reason, "asked_by": bypass.asked_by, "approved_by": bypass.approved_by}
        unit.releases.tell(release.id, "bypassed", told, now=now)
    if release.plan.get("start") == NEXT_WINDOW:
        unit.releases.tell(release.id, "waiting", {"starts_at": release.plan.get("starts_at")}, now=now)


def spend_bypass(unit: Unit, bypass_id: str, subject: str, *, actor: Actor, now: datetime) -> None:
    """Use it up for ``subject``, with an entry in the audit. Raises: ChangeFrozenError when another was first."""
    if not unit.bypasses.use(bypass_id, by=subject[:64], now=now):
        raise ChangeFrozenError(f"bypass {bypass_id} was used or expired at this very moment; ask for a new one")
    used = unit.bypasses.get(bypass_id)
    unit.audit.add(
        "windows.bypassed", subject, actor=actor.name, origin=actor.origin, now=now, reason=used.reason,
        detail={"bypass_id": bypass_id, "asked_by": used.asked_by, "approved_by": used.approved_by},
    )  # fmt: skip


def is_planned(release: Release) -> bool:
    """Whether it waits for an opening or for signatures and has not begun."""
    waits = release.plan.get("start") == NEXT_WINDOW or bool(release.plan.get("approval"))
    return waits and release.phase is Phase.REQUESTED and release.flow_run_id is None


def may_start(context: Context, release: Release) -> bool:
    """Whether the flow of a written release may be started now: signed where that is needed, and within an opening, by a bypass, or as
    a part of a train that runs.
    """
    if not cleared(context, release):
        return False
    if release.plan.get("bypass") or release.plan.get("train"):
        return True
    with context.store.read() as unit:
        return find_opening(unit, release.venture, release.service, release.environment, now=context.clock.now()).is_open


def withdraw_planned(unit: Unit, service: str, environment: Environment, *, reason: str, actor: Actor, now: datetime) -> Release | None:
    """End a release that only waits for its time, so that it is in nobody's way; returns it. The version is not blamed."""
    waiting = unit.releases.active(service, environment)
    if waiting is None or not is_planned(waiting):
        return None
    moved = unit.releases.move(waiting.id, Phase.FAILED, actor=actor.name, reason=reason, now=now, cause=Cause.CANCELLED)
    unit.deployments.record(moved, unit.catalog.venture_id(moved.venture))
    withdraw(unit, f"release/{moved.id}", reason=reason, actor=actor, now=now)
    unit.audit.add(
        "release.withdrawn", f"release/{moved.id}", actor=actor.name, origin=actor.origin, now=now, reason=reason,
        before=waiting.phase.value, after=moved.phase.value,
    )  # fmt: skip
    return moved


def next_opening(context: Context, service: str, environment: Environment, *, actor: Actor) -> Opening:
    """Whether a release of the service may start now, and when next. Raises: NotFoundError, StoreUnavailableError."""
    with context.store.read() as unit:
        found = service_for(
            unit, service, actor, Operation.WINDOW_READ, environment=environment, seen_by=Operation.WINDOW_READ
        )  # fmt: skip
        return find_opening(unit, found.venture, service, environment, now=context.clock.now())


def list_windows(
    context: Context, *, venture: str | None = None, service: str | None = None, environment: Environment | None = None,
    label: str | None = None, ahead: timedelta = timedelta(days=30), actor: Actor,
) -> WindowsView:  # fmt: skip
    """Events from now on, of the calendars that apply to what is given; ``label`` is a category of an event or a label of its calendar.

    Raises: NotFoundError, StoreUnavailableError.
    """
    with context.store.read() as unit:
        now = context.clock.now()
        seen_by = Operation.WINDOW_READ
        owner = service_for(unit, service, actor, seen_by, seen_by=seen_by).venture if service else venture
        if owner:
            venture_for(unit, owner, actor, seen_by)
        ventures = visible_ventures(actor.principal, seen_by)
        seen = [c for c in unit.calendars.all() if ventures is None or c.venture is None or c.venture in ventures]
        calendars = [c for c in seen if _concerns(c, owner, service, environment)]
        occurrences = unit.calendars.occurrences([c.name for c in calendars], after=now, before=now + ahead)
    if label is not None:
        marked = {c.name for c in calendars if label in {*c.labels, *c.labels.values(), *(f"{k}={v}" for k, v in c.labels.items())}}
        occurrences = [o for o in occurrences if label in o.labels or o.calendar in marked]
        calendars = [c for c in calendars if c.name in marked | {o.calendar for o in occurrences}]
    return WindowsView(tuple(calendars), tuple(occurrences), now)


def _concerns(calendar: ChangeCalendar, venture: str | None, service: str | None, environment: Environment | None) -> bool:
    return (
        (venture is None or calendar.venture in {None, venture})
        and (service is None or not calendar.services or service in calendar.services)
        and (environment is None or not calendar.environments or environment in calendar.environments)
    )


def read_calendar(context: Context, name: str, *, ahead: timedelta = timedelta(days=90), actor: Actor) -> WindowsView:
    """One calendar with what comes; those of no venture are for everybody. Raises: NotFoundError, StoreUnavailableError."""
    with context.store.read() as unit:
        now = context.clock.now()
        ventures = visible_ventures(actor.principal, Operation.WINDOW_READ)
        seen = [c.name for c in unit.calendars.all() if ventures is None or c.venture is None or c.venture in ventures]
        if name not in seen:
            raise NotFoundError(f"there is no calendar {name[:80]!r}; known: {', '.join(seen) or 'none'}")
        calendar = unit.calendars.get(name)
        return WindowsView((calendar,), tuple(unit.calendars.occurrences([name], after=now, before=now + ahead)), now)


def freezes_at(occurrences: Sequence[Occurrence], at: datetime) -> list[Occurrence]:
    """The freezes that ``at`` lies in."""
    return [o for o in occurrences if o.effect is Effect.FREEZE and o.includes(at)]
