"""iCalendar (RFC 5545) out: the feed that people subscribe to, and declared times as a calendar like any other."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from icalendar import Calendar, Event, vRecur

from productops.domain.catalog_windows import ChangeWindowSpec, WindowTime
from productops.domain.release_windows_feed import FeedEntry

_PRODUCT = "-//ProductOps//Change calendar//EN"
# What Google, Outlook and Apple make of it: how often to ask again.
_REFRESH = timedelta(minutes=15)


def write_feed(title: str, entries: Sequence[FeedEntry]) -> bytes:
    """A calendar to subscribe to; all times in UTC, so that no reader needs a zone of ours. The same entries give the same bytes."""
    calendar = _calendar()
    calendar.add("method", "PUBLISH")
    calendar.add("x-wr-calname", title)
    calendar.add("refresh-interval", _REFRESH, parameters={"VALUE": "DURATION"})
    calendar.add("x-published-ttl", "PT15M")
    for entry in entries:
        event = Event()
        event.add("uid", entry.uid)
        event.add("dtstamp", entry.changed_at.astimezone(UTC))
        event.add("last-modified", entry.changed_at.astimezone(UTC))
        event.add("dtstart", entry.starts_at.astimezone(UTC))
        event.add("dtend", entry.ends_at.astimezone(UTC))
        event.add("summary", entry.title)
        event.add("description", entry.description)
        if entry.categories:
            event.add("categories", list(entry.categories))
        event.add("status", entry.status)
        event.add("transp", "TRANSPARENT")
        calendar.add_component(event)
    return bytes(calendar.to_ical())


def write_declared(name: str, spec: ChangeWindowSpec, *, written_at: datetime) -> bytes:
    """The times of a ``kind: ChangeWindow`` as a calendar. Raises: ValueError for a rule that no library reads."""
    calendar = _calendar()
    zone = ZoneInfo(spec.timezone)
    for number, each in enumerate(spec.times):
        calendar.add_component(_declared(f"{name}-{number}", spec.title or name, each, zone, written_at))
    return bytes(calendar.to_ical())


def _declared(uid: str, title: str, time: WindowTime, zone: ZoneInfo, written_at: datetime) -> Event:
    event = Event()
    event.add("uid", uid)
    event.add("dtstamp", written_at)
    event.add("summary", title)
    event.add("dtstart", time.starts.replace(tzinfo=zone))
    if time.duration is not None:
        event.add("duration", time.duration)
    elif time.ends is not None:
        event.add("dtend", time.ends.replace(tzinfo=zone))
    if time.rrule:
        event.add("rrule", vRecur.from_ical(time.rrule))
    if time.excluded:
        event.add("exdate", [each.replace(tzinfo=zone) for each in time.excluded])
    return event


def _calendar() -> Calendar:
    calendar = Calendar()
    calendar.add("version", "2.0")
    calendar.add("prodid", _PRODUCT)
    calendar.add("calscale", "GREGORIAN")
    return calendar
