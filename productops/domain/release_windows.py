"""Freezes and change windows: whether a release may start now, and when next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from productops.domain.catalog_windows import Effect
from productops.domain.release import Environment

AHEAD = timedelta(days=400)
"""So far ahead are events worked out and kept."""
BEHIND = timedelta(days=35)
"""So long are past events kept, for feeds."""


@dataclass(frozen=True, slots=True)
class Interval:
    """From ``starts_at`` up to, not including, ``ends_at``; both aware UTC."""

    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One event at one time, as a calendar has it."""

    calendar: str
    effect: Effect
    uid: str
    title: str
    starts_at: datetime
    ends_at: datetime
    labels: tuple[str, ...] = ()

    def includes(self, at: datetime) -> bool:
        """Whether ``at`` lies within; the end does not."""
        return self.starts_at <= at < self.ends_at


@dataclass(frozen=True, slots=True)
class CalendarState:
    """What is known of a calendar's source.

    ``read_at``: when it last gave a usable calendar; ``changed_at``: when that was another one than before. ``known_until``: so far its
    events are worked out. ``error``: why the last try failed; empty when it did not. ``failing_since``: the first of the failures in a
    row.
    """

    read_at: datetime | None = None
    checked_at: datetime | None = None
    changed_at: datetime | None = None
    known_until: datetime | None = None
    etag: str = ""
    digest: str = ""
    error: str = ""
    failing_since: datetime | None = None
    content: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ChangeCalendar:
    """A declared calendar: whom it is for and where its events come from. ``venture`` None: all ventures."""

    name: str
    kind: str
    venture: str | None
    effect: Effect
    services: tuple[str, ...]
    environments: tuple[Environment, ...]
    timezone: str
    labels: Mapping[str, str]
    spec: Mapping[str, Any]
    base: str
    revision: int
    state: CalendarState = CalendarState()

    def covers(self, venture: str, service: str | None, environment: Environment) -> bool:
        """Whether it is for this service there; ``service`` None: for any service of the venture."""
        return (
            self.venture in {None, venture}
            and (not self.environments or environment in self.environments)
            and (service is None or not self.services or service in self.services)
        )

    @property
    def specificity(self) -> int:
        """2: names services, 1: a venture's, 0: everybody's. Windows of the highest one that applies go before the others."""
        return 2 if self.services else 1 if self.venture else 0

    def unknown_at(self, at: datetime) -> bool:
        """Whether nobody knows what it says about ``at``: it was never read, or its events are not worked out so far."""
        return self.state.known_until is None or self.state.known_until <= at


@dataclass(frozen=True, slots=True)
class Opening:
    """Whether a release may start at ``asked_at``.

    ``event``: the freeze that forbids it, or the window that is open. ``next_at``: the next moment at which one may start (``asked_at``
    itself when it is open), None when there is none before ``known_until``. ``closes_at``: when it will be forbidden again.
    """

    asked_at: datetime
    is_open: bool
    reason: str
    event: Occurrence | None = None
    next_at: datetime | None = None
    closes_at: datetime | None = None
    known_until: datetime | None = None


def merged(intervals: Iterable[Interval]) -> list[Interval]:
    """The same times without overlaps, in order; times that touch become one."""
    found: list[Interval] = []
    for each in sorted(intervals, key=lambda i: (i.starts_at, i.ends_at)):
        if found and each.starts_at <= found[-1].ends_at:
            found[-1] = Interval(found[-1].starts_at, max(found[-1].ends_at, each.ends_at))
        else:
            found.append(each)
    return found


def opening(calendars: Sequence[ChangeCalendar], occurrences: Sequence[Occurrence], *, now: datetime) -> Opening:
    """Judge ``now`` by all calendars that apply and their occurrences that end after ``now``.

    Every freeze counts. Of windows only those of the most specific calendars do; within those, being inside one is enough.
    """
    unknown = next((c for c in calendars if c.unknown_at(now)), None)
    if unknown is not None:
        why = unknown.state.error or "it has not been read yet"
        return Opening(now, is_open=False, reason=f"nobody knows what calendar {unknown.name} says about now: {why}")
    level = max((c.specificity for c in calendars if c.effect is Effect.WINDOW), default=None)
    deciding = {c.name for c in calendars if c.effect is Effect.FREEZE or c.specificity == level}
    counted = [o for o in occurrences if o.calendar in deciding]
    freezes = merged(_spans(counted, Effect.FREEZE))
    windows = None if level is None else merged(_spans(counted, Effect.WINDOW))
    limit = min((c.state.known_until for c in calendars if c.state.known_until), default=None)
    next_at = _next_open(now, freezes, windows, limit)
    event = _event_at(counted, now)
    if next_at == now:
        closes = _closes(now, freezes, windows)
        reason = "no freeze and no window is declared" if not calendars else f"within {_name(event)}" if event else "no freeze now"
        return Opening(now, is_open=True, reason=reason, event=event, next_at=now, closes_at=closes, known_until=limit)
    reason = f"{_name(event)} until {_clock(_end_of(freezes, now))}" if event and event.effect is Effect.FREEZE else "outside its windows"
    return Opening(now, is_open=False, reason=reason, event=event, next_at=next_at, known_until=limit)


def _spans(occurrences: Iterable[Occurrence], effect: Effect) -> Iterable[Interval]:
    return (Interval(o.starts_at, o.ends_at) for o in occurrences if o.effect is effect)


def _event_at(occurrences: Sequence[Occurrence], now: datetime) -> Occurrence | None:
    """The freeze that ends last, else the window that ends last, among those at ``now``."""
    here = [o for o in occurrences if o.includes(now)]
    return max(here, key=lambda o: (o.effect is Effect.FREEZE, o.ends_at), default=None)


def _next_open(now: datetime, freezes: Sequence[Interval], windows: Sequence[Interval] | None, limit: datetime | None) -> datetime | None:
    """The first time from ``now`` on that is in a window (where there are any) and in no freeze; None from ``limit`` on."""
    candidates = [now] if windows is None else [max(now, w.starts_at) for w in windows if w.ends_at > now]
    for number, start in enumerate(candidates):
        at = start
        for freeze in freezes:
            if freeze.starts_at <= at < freeze.ends_at:
                at = freeze.ends_at
        if windows is None or at < _end_after(windows, now, number):
            return at if limit is None or at < limit else None
    return None


def _end_after(windows: Sequence[Interval], now: datetime, number: int) -> datetime:
    return [w.ends_at for w in windows if w.ends_at > now][number]


def _closes(now: datetime, freezes: Sequence[Interval], windows: Sequence[Interval] | None) -> datetime | None:
    ends = [f.starts_at for f in freezes if f.starts_at > now]
    ends += [w.ends_at for w in windows or () if w.starts_at <= now < w.ends_at]
    return min(ends, default=None)


def _end_of(freezes: Sequence[Interval], now: datetime) -> datetime | None:
    return next((f.ends_at for f in freezes if f.starts_at <= now < f.ends_at), None)


def _name(event: Occurrence | None) -> str:
    return f"{event.effect} {event.title!r} of calendar {event.calendar}" if event else ""


def _clock(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else "further notice"


class BypassState(StrEnum):
    """Where a bypass stands."""

    ASKED = "asked"
    APPROVED = "approved"
    USED = "used"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Bypass:
    """The permission to start one release of one service during a freeze, by two people. ``version`` None: any."""

    id: str
    venture: str
    service: str
    environment: Environment
    version: str | None
    reason: str
    asked_by: str
    asked_at: datetime
    expires_at: datetime
    approved_by: str | None = None
    approved_at: datetime | None = None
    approval_note: str = ""
    used_by: str | None = None
    used_at: datetime | None = None

    def state(self, now: datetime) -> BypassState:
        """A used one stays used; one that was not used in time is worth nothing."""
        if self.used_by is not None:
            return BypassState.USED
        if now >= self.expires_at:
            return BypassState.EXPIRED
        return BypassState.APPROVED if self.approved_by else BypassState.ASKED


def same_person(one: str, other: str) -> bool:
    """Whether two names stand for one person, as far as names can tell."""
    return " ".join(one.split()).casefold() == " ".join(other.split()).casefold()
