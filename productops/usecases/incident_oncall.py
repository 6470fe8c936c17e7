"""Who is on call, overrides and swaps, calendars in and out, and what does not fit together."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from productops.domain.catalog_windows import Effect
from productops.domain.governance_access import Operation, visible_ventures
from productops.domain.incident_oncall import (
    SPAN_MAX,
    Channel,
    Escalation,
    Gap,
    OnDuty,
    Override,
    Schedule,
    Shift,
    gaps_of,
    on_duty,
    shifts_of,
)
from productops.domain.release_windows_feed import FeedEntry
from productops.errors import ConflictError, InvalidInputError, NotFoundError
from productops.store import Unit
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_scope import demand
from productops.usecases.incident_oncall_duty import duty_of
from productops.usecases.incident_oncall_escalate import page

__all__ = [
    "OnCallProblem", "OverrideWish", "ScheduleView", "check_oncall", "export_schedule", "import_overrides", "list_schedules",
    "override_schedule", "page", "read_schedule", "remove_override", "schedule_for", "swap_shifts", "who_is_on_call",
]  # fmt: skip
CHECKED_AHEAD = timedelta(days=28)
FEED_AHEAD = timedelta(days=180)


@dataclass(frozen=True, slots=True)
class ScheduleView:
    """A schedule with its shifts in a time, the overrides among them, and when nobody is there though somebody should."""

    schedule: Schedule
    shifts: tuple[Shift, ...]
    overrides: tuple[Override, ...]
    gaps: tuple[Gap, ...]


@dataclass(frozen=True, slots=True)
class OnCallProblem:
    """Something that keeps people from being called, by the entry it is of."""

    kind: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class OverrideWish:
    """Who takes calls in whose place. Times are aware."""

    person: str
    starts_at: datetime
    ends_at: datetime
    reason: str = ""


def schedule_for(unit: Unit, name: str, actor: Actor, operation: Operation = Operation.INCIDENT_READ) -> Schedule:
    """A schedule by name. Raises: NotFoundError, ForbiddenError."""
    missing = f"there is no schedule {name[:80]!r}; list them with: productops oncall list"
    found = unit.oncall.find(Schedule, name)
    if found is None:
        raise NotFoundError(missing)
    demand(actor, operation, seen_by=Operation.INCIDENT_READ, venture=found.venture, missing=missing, everywhere=True)
    return found


def list_schedules(context: Context, *, actor: Actor, at: datetime | None = None) -> list[OnDuty]:
    """Who is on call by each schedule the caller may see. Raises: StoreUnavailableError."""
    seen = visible_ventures(actor.principal, Operation.INCIDENT_READ)
    when = at or context.clock.now()
    with context.store.read() as unit:
        return [duty_of(unit, schedule, when) for schedule in unit.oncall.all(Schedule, ventures=seen)]


def who_is_on_call(context: Context, schedule: str, at: datetime | None = None, *, actor: Actor) -> OnDuty:
    """Who takes calls at a time (now, when left out). Raises: NotFoundError, ForbiddenError, StoreUnavailableError."""
    with context.store.read() as unit:
        return duty_of(unit, schedule_for(unit, schedule, actor), at or context.clock.now())


def read_schedule(
    context: Context, name: str, *, actor: Actor, since: datetime | None = None, until: datetime | None = None
) -> ScheduleView:  # fmt: skip
    """Its shifts, from now on for four weeks when nothing is said. Raises: NotFoundError, ForbiddenError, InvalidInputError."""
    begin = since or context.clock.now()
    end = until or begin + CHECKED_AHEAD
    if not timedelta(0) < end - begin <= SPAN_MAX:
        raise InvalidInputError(f"until has to be after since, by at most {SPAN_MAX.days} days")
    with context.store.read() as unit:
        schedule = schedule_for(unit, name, actor)
        overrides = unit.oncall.overrides(name, since=begin, until=end)
    return ScheduleView(
        schedule, tuple(shifts_of(schedule.spec, overrides, since=begin, until=end)), tuple(overrides),
        tuple(gaps_of(schedule.spec, overrides, since=begin, until=end)),
    )  # fmt: skip


def override_schedule(context: Context, name: str, wish: OverrideWish, *, actor: Actor) -> Override:
    """Somebody takes calls in another's place. Raises: NotFoundError, ForbiddenError, InvalidInputError."""
    with context.store.write() as unit:
        schedule = schedule_for(unit, name, actor, Operation.ONCALL_CHANGE)
        made = _override(context, schedule, wish, actor)
        before = on_duty(schedule.spec, unit.oncall.overrides(name, since=wish.starts_at, until=wish.ends_at), at=wish.starts_at)
        override_id = unit.oncall.add_override(made)
        unit.audit.add(
            "oncall.overridden", f"OnCall/{name}", actor=actor.name, origin=actor.origin, now=made.at, reason=wish.reason,
            before={"person": before.person if before else None}, after=_told(made), detail={"venture": schedule.venture},
        )  # fmt: skip
        return unit.oncall.override(override_id)


def swap_shifts(
    context: Context, name: str, *, first: datetime, second: datetime, reason: str, actor: Actor
) -> tuple[Override, Override]:  # fmt: skip
    """The people of the shifts at two times take each other's. Raises: NotFoundError, ForbiddenError, InvalidInputError."""
    with context.store.write() as unit:
        schedule = schedule_for(unit, name, actor, Operation.ONCALL_CHANGE)
        one, other = (_whole_shift(unit, schedule, at) for at in (first, second))
        if one.person == other.person:
            raise InvalidInputError(f"{one.person} has both shifts; there is nothing to swap")
        now = context.clock.now()
        made = []
        for mine, theirs in ((one, other), (other, one)):
            wish = OverrideWish(theirs.person, max(mine.starts_at, now), mine.ends_at, reason)
            override = _override(context, schedule, wish, actor)
            made.append(unit.oncall.override(unit.oncall.add_override(override)))
        unit.audit.add(
            "oncall.swapped", f"OnCall/{name}", actor=actor.name, origin=actor.origin, now=now, reason=reason,
            before=[_shift(one), _shift(other)], after=[_told(each) for each in made], detail={"venture": schedule.venture},
        )  # fmt: skip
    return made[0], made[1]


def remove_override(context: Context, override_id: str, *, actor: Actor) -> None:
    """Take one back. Raises: NotFoundError, ForbiddenError, ConflictError when somebody did."""
    with context.store.write() as unit:
        found = unit.oncall.override(override_id)
        schedule = schedule_for(unit, found.schedule, actor, Operation.ONCALL_CHANGE)
        now = context.clock.now()
        if not unit.oncall.remove_override(override_id, now=now):
            raise ConflictError(f"override {override_id} was taken back by somebody else")
        unit.audit.add(
            "oncall.override_removed", f"OnCall/{schedule.name}", actor=actor.name, origin=actor.origin, now=now, before=_told(found),
            detail={"venture": schedule.venture},
        )  # fmt: skip


def import_overrides(context: Context, name: str, content: bytes, *, actor: Actor) -> list[Override]:
    """Each event of a calendar whose title is a person (id, name or mail address) becomes an override, from now on for 400 days.

    The same event read again changes its override. Raises: NotFoundError, ForbiddenError, CalendarError, InvalidInputError that names
    the first event with a title that is nobody; then nothing is changed.
    """
    from productops.adapters.calendar_files import read_occurrences  # its libraries take 0.2 s to load

    now = context.clock.now()
    with context.store.write() as unit:
        schedule = schedule_for(unit, name, actor, Operation.ONCALL_CHANGE)
        found = read_occurrences(
            content, name=name, effect=Effect.WINDOW, timezone=schedule.spec.timezone, starts_at=now, ends_at=now + SPAN_MAX
        )  # fmt: skip
        made = []
        for each in found:
            person = schedule.spec.person(each.title)
            if person is None:
                known = ", ".join(p.id for p in schedule.spec.people)
                when = f"{each.starts_at:%Y-%m-%d %H:%M} UTC"
                raise InvalidInputError(f"the event {each.title!r} at {when} is nobody of {name}; known: {known}")
            wish = OverrideWish(person.id, each.starts_at, each.ends_at, "from a calendar")
            source = f"{each.uid}|{each.starts_at.isoformat()}"[:255]
            made.append(unit.oncall.override(unit.oncall.add_override(_override(context, schedule, wish, actor), source=source)))
        unit.audit.add(
            "oncall.imported", f"OnCall/{name}", actor=actor.name, origin=actor.origin, now=now, after=[_told(each) for each in made],
            detail={"venture": schedule.venture, "overrides": len(made)},
        )  # fmt: skip
    return made


def export_schedule(context: Context, name: str, *, actor: Actor, person: str | None = None) -> bytes:
    """Its shifts of the next half year as iCalendar; ``person``: only theirs. Raises: NotFoundError, ForbiddenError."""
    from productops.adapters.calendar_writing import write_feed

    now = context.clock.now()
    view = read_schedule(context, name, actor=actor, since=now - timedelta(days=7), until=now + FEED_AHEAD)
    spec = view.schedule.spec
    entries = [_entry(view.schedule, each) for each in view.shifts if person in {None, each.person}]
    return write_feed(f"On call: {spec.title or name}", entries)


def check_oncall(context: Context, *, actor: Actor, ahead: timedelta = CHECKED_AHEAD) -> list[OnCallProblem]:
    """What keeps people from being called in the next weeks: gaps, people without a channel, channels without a secret.

    Raises: StoreUnavailableError.
    """
    seen = visible_ventures(actor.principal, Operation.INCIDENT_READ)
    now = context.clock.now()
    problems: list[OnCallProblem] = []
    with context.store.read() as unit:
        schedules = unit.oncall.all(Schedule, ventures=seen)
        for schedule in schedules:
            problems += _schedule_problems(unit, schedule, now, ahead)
        for channel in unit.oncall.all(Channel, ventures=seen):
            problems += _channel_problems(context, unit, channel)
        escalations = unit.oncall.all(Escalation, ventures=seen)
    covered = {each.venture for each in escalations if not each.spec.services}
    for schedule in schedules:
        if schedule.venture not in covered:
            missing = f"venture {schedule.venture} has no Escalation for services that no other one names"
            problems.append(OnCallProblem("OnCall", schedule.name, missing))
    alone = "has no fallback: when nobody answers, nobody is left"
    return problems + [OnCallProblem("Escalation", each.name, alone) for each in escalations if not each.spec.fallback]


def _schedule_problems(unit: Unit, schedule: Schedule, now: datetime, ahead: timedelta) -> list[OnCallProblem]:
    overrides = unit.oncall.overrides(schedule.name, since=now, until=now + ahead)
    gaps = gaps_of(schedule.spec, overrides, since=now, until=now + ahead)
    told = [f"nobody is on call from {g.starts_at:%Y-%m-%d %H:%M} to {g.ends_at:%Y-%m-%d %H:%M} UTC" for g in gaps[:3]]
    if len(gaps) > 3:
        told.append(f"and {len(gaps) - 3} more gaps in the next {ahead.days} days")
    told += [f"{p.id} has no channel: a call reaches nobody" for p in schedule.spec.people if not p.channels]
    return [OnCallProblem("OnCall", schedule.name, text) for text in told]


def _channel_problems(context: Context, unit: Unit, channel: Channel) -> list[OnCallProblem]:
    spec = channel.spec
    if spec.secret and context.secrets is not None and not context.secrets_of([spec.secret]):
        return [OnCallProblem("Channel", channel.name, f"the secret {spec.secret} is not set here")]
    if spec.mail and context.mail is None:
        return [OnCallProblem("Channel", channel.name, "no mail server is set (PRODUCTOPS_SMTP_HOST, PRODUCTOPS_SMTP_FROM)")]
    if spec.webhook and unit.targets.find(spec.webhook) is None:
        return [OnCallProblem("Channel", channel.name, f"there is no WebhookTarget {spec.webhook!r}")]
    return []


def _override(context: Context, schedule: Schedule, wish: OverrideWish, actor: Actor) -> Override:
    """Raises: InvalidInputError."""
    person = schedule.spec.person(wish.person)
    if person is None:
        known = ", ".join(p.id for p in schedule.spec.people)
        raise InvalidInputError(f"{wish.person[:80]!r} is nobody of schedule {schedule.name}; known: {known}")
    now = context.clock.now()
    if not timedelta(0) < wish.ends_at - wish.starts_at <= SPAN_MAX or wish.ends_at <= now:
        raise InvalidInputError(f"an override ends after it begins and after now, and lasts at most {SPAN_MAX.days} days")
    return Override("", schedule.name, person.id, wish.starts_at, wish.ends_at, wish.reason, actor.name, now)


def _whole_shift(unit: Unit, schedule: Schedule, at: datetime) -> Shift:
    """The shift that a time falls into, from begin to end. Raises: NotFoundError when nobody is on call then."""
    since, until = at - timedelta(days=60), at + timedelta(days=60)
    found = shifts_of(schedule.spec, unit.oncall.overrides(schedule.name, since=since, until=until), since=since, until=until)
    shift = next((each for each in found if each.starts_at <= at < each.ends_at), None)
    if shift is None:
        raise NotFoundError(f"nobody is on call by {schedule.name} at {at.isoformat()}")
    return shift


def _entry(schedule: Schedule, shift: Shift) -> FeedEntry:
    person = schedule.spec.person(shift.person)
    return FeedEntry(
        uid=f"{schedule.name}-{shift.starts_at:%Y%m%dT%H%M%SZ}@productops", title=shift.person,
        description=f"{person.called if person else shift.person} takes calls of {schedule.spec.title or schedule.name} ({shift.layer})",
        starts_at=shift.starts_at, ends_at=shift.ends_at, changed_at=shift.starts_at, categories=(schedule.name,), status="CONFIRMED",
    )  # fmt: skip


def _told(made: Override) -> dict[str, str]:
    return {"person": made.person, "starts_at": made.starts_at.isoformat(), "ends_at": made.ends_at.isoformat(), "id": made.id}


def _shift(shift: Shift) -> dict[str, str]:
    return {"person": shift.person, "starts_at": shift.starts_at.isoformat(), "ends_at": shift.ends_at.isoformat()}
