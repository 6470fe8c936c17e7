"""Who is on call when: turns, hours, overrides. Local times hold whatever the clocks do."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from productops.domain.catalog_oncall import EscalationSpec, Hours, Layer, OnCallSpec
from productops.domain.catalog_oncall_telling import ChannelSpec, StatusPageSpec, TellingSpec

SPAN_MAX: Final = timedelta(days=400)
OVERRIDE: Final = "override"
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A declared schedule (kind: OnCall)."""

    name: str
    venture: str
    spec: OnCallSpec
    revision: int


@dataclass(frozen=True, slots=True)
class Escalation:
    """A declared escalation."""

    name: str
    venture: str
    spec: EscalationSpec
    revision: int


@dataclass(frozen=True, slots=True)
class Channel:
    """A declared way to reach people."""

    name: str
    venture: str
    spec: ChannelSpec
    revision: int


@dataclass(frozen=True, slots=True)
class Telling:
    """How a venture speaks of incidents, as declared."""

    name: str
    venture: str
    spec: TellingSpec
    revision: int


@dataclass(frozen=True, slots=True)
class StatusPage:
    """A declared status page."""

    name: str
    venture: str
    spec: StatusPageSpec
    revision: int


@dataclass(frozen=True, slots=True)
class Override:
    """Somebody takes calls in another's place, from ``starts_at`` up to ``ends_at``. The later one goes before the earlier one."""

    id: str
    schedule: str
    person: str
    starts_at: datetime
    ends_at: datetime
    reason: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Shift:
    """From ``starts_at`` up to ``ends_at``, ``person`` (an id) takes calls; ``layer`` says by which turn, or ``override``."""

    person: str
    starts_at: datetime
    ends_at: datetime
    layer: str


@dataclass(frozen=True, slots=True)
class Gap:
    """Nobody takes calls though somebody should."""

    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class OnDuty:
    """The answer to who is on call. ``person`` None: nobody; ``until``: the next hand-over, within a year."""

    schedule: str
    person: str | None
    name: str
    layer: str
    since: datetime
    until: datetime | None
    following: str | None


def shifts_of(spec: OnCallSpec, overrides: Sequence[Override], *, since: datetime, until: datetime) -> list[Shift]:
    """Who takes calls in [since, until), in order and without overlap. Raises: ValueError for more than 400 days."""
    if until - since > SPAN_MAX:
        raise ValueError(f"{(until - since).days} days are asked for; at most {SPAN_MAX.days}")
    zone = ZoneInfo(spec.timezone)
    found: list[Shift] = []
    for layer in spec.layers:
        found = _over(found, list(_layer(layer, zone, since, until)))
    for each in sorted(overrides, key=lambda o: (o.at, o.id)):
        begin, end = max(each.starts_at, since), min(each.ends_at, until)
        if begin < end:
            found = _over(found, [Shift(each.person, begin, end, OVERRIDE)])
    return _merged(found)


def on_duty(spec: OnCallSpec, overrides: Sequence[Override], *, at: datetime) -> Shift | None:
    """Who takes calls at a time; the shift is clipped to a day on both sides."""
    found = shifts_of(spec, overrides, since=at - _DAY, until=at + _DAY)
    return next((shift for shift in found if shift.starts_at <= at < shift.ends_at), None)


def gaps_of(spec: OnCallSpec, overrides: Sequence[Override], *, since: datetime, until: datetime) -> list[Gap]:
    """Times in [since, until) in which somebody should be there and nobody is."""
    zone = ZoneInfo(spec.timezone)
    taken = [(s.starts_at, s.ends_at) for s in shifts_of(spec, overrides, since=since, until=until)]
    wanted = list(_hours(spec.covers, zone, since, until)) if spec.covers else [(since, until)]
    gaps: list[Gap] = []
    for begin, end in _joined(wanted):
        at = begin
        for taken_begin, taken_end in taken:
            if taken_end <= at or taken_begin >= end:
                continue
            if taken_begin > at:
                gaps.append(Gap(at, taken_begin))
            at = max(at, taken_end)
        if at < end:
            gaps.append(Gap(at, end))
    return gaps


def local(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """A local time of a day, in UTC. One that the clocks leave out is as long after midnight as it says; of two, the first."""
    return datetime.combine(day, clock, zone).astimezone(UTC)


def _layer(layer: Layer, zone: ZoneInfo, since: datetime, until: datetime) -> Iterator[Shift]:
    """The turns of a layer in [since, until), cut to its hours."""
    ends = layer.ends.replace(tzinfo=zone).astimezone(UTC) if layer.ends else until
    until = min(until, ends)
    allowed = _joined(_hours(layer.only, zone, since, until)) if layer.only else None
    for person, begin, end in _turns(layer, zone, since, until):
        first, last = max(begin, since), min(end, until)
        if allowed is None:
            if first < last:
                yield Shift(person, first, last, layer.name)
            continue
        for open_at, close_at in _within(allowed, first, last):
            yield Shift(person, open_at, close_at, layer.name)


def _turns(layer: Layer, zone: ZoneInfo, since: datetime, until: datetime) -> Iterator[tuple[str, datetime, datetime]]:
    number = _first_turn(layer, zone, since)
    while (begin := _handover(layer, zone, number)) < until:
        yield layer.people[number % len(layer.people)], begin, _handover(layer, zone, number + 1)
        number += 1


def _first_turn(layer: Layer, zone: ZoneInfo, since: datetime) -> int:
    """Number of the turn that ``since`` falls into, or 0; a day early costs nothing and forgives the clocks."""
    gone = since - layer.starts.replace(tzinfo=zone).astimezone(UTC) - 2 * _DAY
    number = max(0, int(gone / _length(layer)))
    while number and _handover(layer, zone, number) > since:
        number -= 1
    return number


def _length(layer: Layer) -> timedelta:
    return layer.every * {"hour": timedelta(hours=1), "day": _DAY, "week": 7 * _DAY}[layer.unit]


def _handover(layer: Layer, zone: ZoneInfo, number: int) -> datetime:
    if layer.unit == "hour":
        return layer.starts.replace(tzinfo=zone).astimezone(UTC) + number * _length(layer)
    there = layer.starts + number * _length(layer)  # wall clock: nine o'clock stays nine o'clock
    return local(there.date(), there.time(), zone)


def _hours(hours: Sequence[Hours], zone: ZoneInfo, since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The hours in [since, until), as exact times; they may overlap."""
    day = since.astimezone(zone).date() - _DAY
    last = until.astimezone(zone).date()
    while day <= last:
        for each in hours:
            if day.weekday() in each.day_numbers():
                begin, end = each.span
                opens = local(day, begin, zone)
                closes = local(day if end > begin else day + _DAY, end, zone)
                if max(opens, since) < min(closes, until):
                    yield max(opens, since), min(closes, until)
        day += _DAY


def _joined(spans: Iterable[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    joined: list[tuple[datetime, datetime]] = []
    for begin, end in sorted(spans):
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((begin, end))
    return joined


def _within(spans: list[tuple[datetime, datetime]], begin: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    for opens, closes in spans[max(0, bisect.bisect_left(spans, (begin, begin)) - 1) :]:
        if opens >= end:
            return
        if max(opens, begin) < min(closes, end):
            yield max(opens, begin), min(closes, end)


def _over(below: list[Shift], above: list[Shift]) -> list[Shift]:
    """``above`` where it has somebody, ``below`` elsewhere; both in order and without overlap."""
    left: list[Shift] = []
    place = 0
    for shift in below:
        at = shift.starts_at
        while place < len(above) and above[place].ends_at <= at:
            place += 1
        for each in above[place:]:
            if each.starts_at >= shift.ends_at:
                break
            if each.starts_at > at:
                left.append(Shift(shift.person, at, each.starts_at, shift.layer))
            at = max(at, each.ends_at)
        if at < shift.ends_at:
            left.append(Shift(shift.person, at, shift.ends_at, shift.layer))
    return sorted([*left, *above], key=lambda s: s.starts_at)


def _merged(shifts: list[Shift]) -> list[Shift]:
    merged: list[Shift] = []
    for each in shifts:
        last = merged[-1] if merged else None
        if last and (last.person, last.layer, last.ends_at) == (each.person, each.layer, each.starts_at):
            merged[-1] = Shift(last.person, last.starts_at, each.ends_at, last.layer)
        else:
            merged.append(each)
    return merged
