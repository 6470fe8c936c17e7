"""The window an objective is judged over: the last so many days, or the calendar's month."""

from __future__ import annotations

import calendar
import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, field_validator

_DURATION = re.compile(r"([1-9][0-9]{0,5})([smhdwMQY])")
_UNIT_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800, "M": 2_592_000, "Q": 7_776_000, "Y": 31_536_000}
_MONTHS = {"M": 1, "Q": 3, "Y": 12}


def duration_s(text: str) -> int:
    """Seconds of OpenSLO's shorthand (``28d``); a month is 30 days, a quarter 90, a year 365. Raises: ValueError."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no duration; write a number and one of m, h, d, w, M, Q, Y: 28d")
    return int(found[1]) * _UNIT_S[found[2]]


class Window(BaseModel):
    """``duration`` in OpenSLO's shorthand; rolling, or by the calendar from ``start`` (local time of ``timezone``) on."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    duration: str = "28d"
    start: str | None = None
    timezone: str = "UTC"

    @field_validator("duration")
    @classmethod
    def _known(cls, text: str) -> str:
        duration_s(text)
        return text

    @property
    def rolling(self) -> bool:
        """Whether it moves with the time."""
        return self.start is None

    @property
    def longest_s(self) -> int:
        """Never is it longer than this; months of the calendar have up to 31 days."""
        return duration_s(self.duration) + (7 * 86_400 if self.duration[-1] in _MONTHS else 3_600)

    def bounds(self, now: datetime) -> tuple[datetime, datetime]:
        """Begin and end of the window that ``now`` lies in; a rolling one ends now."""
        if self.start is None:
            return now - timedelta(seconds=duration_s(self.duration)), now
        zone = ZoneInfo(self.timezone)
        first = datetime.fromisoformat(self.start).replace(tzinfo=None)
        local = now.astimezone(zone).replace(tzinfo=None)
        number = self._number(first, local)
        begin, end = (_step(first, self.duration, each).replace(tzinfo=zone).astimezone(UTC) for each in (number, number + 1))
        return begin, end

    def _number(self, first: datetime, local: datetime) -> int:
        """How many whole windows lie between the first one and ``local``; negative before it."""
        count, unit = int(self.duration[:-1]), self.duration[-1]
        if unit in _MONTHS:
            months = (local.year - first.year) * 12 + local.month - first.month
            number = months // (count * _MONTHS[unit])
        else:
            number = int((local - first).total_seconds() // duration_s(self.duration))
        while _step(first, self.duration, number) > local:
            number -= 1
        while _step(first, self.duration, number + 1) <= local:
            number += 1
        return number


def _step(first: datetime, duration: str, number: int) -> datetime:
    """The begin of the window ``number`` after the first, in local time."""
    count, unit = int(duration[:-1]), duration[-1]
    if unit not in _MONTHS:
        return first + timedelta(seconds=duration_s(duration) * number)
    months = first.year * 12 + first.month - 1 + count * _MONTHS[unit] * number
    year, month = divmod(months, 12)
    day = min(first.day, calendar.monthrange(year, month + 1)[1])
    return first.replace(year=year, month=month + 1, day=day)
