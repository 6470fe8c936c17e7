"""Business hours as a question about a moment."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from productops.domain.catalog_approvals import Hours, Weekday

_DAYS = tuple(Weekday)


def within(hours: Hours, at: datetime) -> bool:
    """Whether ``at`` (aware) lies within; the end does not."""
    local = at.astimezone(ZoneInfo(hours.timezone))
    return _DAYS[local.weekday()] in hours.weekdays and hours.start <= f"{local:%H:%M}" < hours.end


def next_within(hours: Hours, at: datetime) -> datetime:
    """The first moment from ``at`` on that lies within, UTC."""
    if within(hours, at):
        return at
    zone = ZoneInfo(hours.timezone)
    today = at.astimezone(zone).date()
    hour, minute = (int(part) for part in hours.start.split(":"))
    for ahead in range(9):
        day = today + timedelta(days=ahead)
        opens = datetime.combine(day, time(hour, minute), tzinfo=zone).astimezone(UTC)
        if opens >= at and _DAYS[day.weekday()] in hours.weekdays:
            return opens
    raise AssertionError("a week has a day of theirs")  # pragma: no cover - weekdays is never empty


def describe(hours: Hours) -> str:
    """In a few words."""
    return f"{', '.join(hours.weekdays)} {hours.start} to {hours.end} {hours.timezone}"
