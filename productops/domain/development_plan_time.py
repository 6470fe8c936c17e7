"""Working hours as numbered slots, and back: slot 0 is the first whole working hour from the start on."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from productops.domain.development_plan import WorkCalendar
from productops.domain.release_windows import Interval
from productops.errors import InvalidInputError

SLOT = timedelta(hours=1)
DAYS_MAX = 366 * 25


class Slots:
    """The working hours of a team from ``starts_at`` on, made as far as they are asked for. All times are aware UTC."""

    def __init__(self, calendar: WorkCalendar, starts_at: datetime) -> None:
        if not calendar.weekdays or not calendar.hours:
            raise InvalidInputError("the team's calendar has no working hours")
        self._calendar, self._starts_at = calendar, starts_at.astimezone(UTC)
        self._zone = ZoneInfo(calendar.timezone)
        self._day = starts_at.astimezone(self._zone).date()
        self._days = 0
        self._times: list[datetime] = []

    def starts_at(self, slot: int) -> datetime:
        """When ``slot`` begins."""
        while len(self._times) <= slot:
            self._next_day()
        return self._times[slot]

    def ends_at(self, slot: int) -> datetime:
        """When the work ends that takes all slots before ``slot``; 0: before any work."""
        return self.starts_at(slot - 1) + SLOT if slot > 0 else self.starts_at(0)

    def first_from(self, at: datetime) -> int:
        """The first slot that begins at or after ``at``."""
        while not self._times or self._times[-1] < at:
            self._next_day()
        return bisect_left(self._times, at)

    def ended_by(self, at: datetime) -> int:
        """How many slots have ended by ``at``: the end of a task with a deadline at ``at``, at the latest."""
        self.first_from(at)
        return bisect_right(self._times, at - SLOT)

    def covered(self, interval: Interval, limit: int) -> tuple[int, int]:
        """(from, up to) of the slots that overlap ``interval``, among the first ``limit``."""
        if self.starts_at(limit) <= interval.starts_at:
            return limit, limit
        first = bisect_right(self._times, interval.starts_at - SLOT)
        return first, min(limit, max(first, bisect_left(self._times, interval.ends_at)))

    def _next_day(self) -> None:
        if self._days > DAYS_MAX:
            raise InvalidInputError("the plan goes on for more than 25 years; check the team's calendar and the estimates")
        self._times += [at for at in self._of(self._day) if at >= self._starts_at and not _within(at, self._calendar.holidays)]
        self._day += timedelta(days=1)
        self._days += 1

    def _of(self, day: date) -> Iterator[datetime]:
        """Whole hours of one day. Wall times that do not exist on the day the clocks change are those an hour later."""
        if day.weekday() not in self._calendar.weekdays:
            return
        for begin, end in self._calendar.hours:
            at = datetime.combine(day, begin, self._zone).astimezone(UTC)
            until = datetime.combine(day, end, self._zone).astimezone(UTC)
            while at + SLOT <= until:
                yield at
                at += SLOT


def _within(at: datetime, intervals: Sequence[Interval]) -> bool:
    return any(each.starts_at < at + SLOT and at < each.ends_at for each in intervals)
