"""iCalendar (RFC 5545) in: bytes that anybody may have written become occurrences, within limits of size and time.

What cannot be read for sure is refused as a whole: a freeze that is misread by an hour is worse than an error.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta, tzinfo
from types import FrameType
from typing import Any
from zoneinfo import ZoneInfo

import recurring_ical_events
from icalendar import Calendar, Component, Event

from productops.domain.catalog_windows import Effect
from productops.domain.release_windows import Occurrence
from productops.errors import CalendarError

BYTES_MAX = 524_288
LINES_MAX = 20_000
EVENTS_MAX = 1_000
ZONES_MAX = 50
OCCURRENCES_MAX = 5_000
TEXT_MAX = 200
# Of CPU time, for recurrences: a rule that never comes true is otherwise searched until the year 9999.
RECURRENCE_BUDGET_S = 0.3
_DAY = timedelta(days=1)
_EXACT = "X-PRODUCTOPS-DURATION-S"
_FREQUENCIES = frozenset({"DAILY", "WEEKLY", "MONTHLY", "YEARLY"})
_TIMES = ("DTSTART", "DTEND", "RECURRENCE-ID", "RDATE", "EXDATE")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def read_occurrences(
    content: bytes, *, name: str, effect: Effect, timezone: str, starts_at: datetime, ends_at: datetime
) -> list[Occurrence]:
    """Events of calendar ``name`` that overlap ``[starts_at, ends_at)``, in order; cancelled ones are left out.

    Times without a zone, and whole days, are of ``timezone``. Raises: CalendarError that says what is wrong and where.
    """
    text = _text(content, name)
    _check_limits(text, name)
    events = _events(text, name)
    zone = ZoneInfo(timezone)
    for event in events:
        _check_event(event, name)
    recurring = {str(e.get("UID", "")) for e in events if "RRULE" in e}
    plain = [e for e in events if str(e.get("UID", "")) not in recurring]
    series = [e for e in events if str(e.get("UID", "")) in recurring]
    found = _expanded(plain, name, starts_at=starts_at, ends_at=ends_at)
    with _budget(RECURRENCE_BUDGET_S, name):
        found += _expanded(series, name, starts_at=starts_at, ends_at=ends_at)
    made = [_occurrence(each, name, effect, zone) for each in found if str(each.get("STATUS", "")).upper() != "CANCELLED"]
    kept = [o for o in made if o.starts_at < ends_at and o.ends_at > starts_at]
    if len(kept) > OCCURRENCES_MAX:
        raise CalendarError(f"calendar {name} has {len(kept):,} events in {(ends_at - starts_at).days} days; at most {OCCURRENCES_MAX:,}")
    return sorted(kept, key=lambda o: (o.starts_at, o.ends_at, o.uid))


def _text(content: bytes, name: str) -> str:
    """The text without folded lines."""
    if len(content) > BYTES_MAX:
        raise CalendarError(f"calendar {name} is larger than {BYTES_MAX // 1024} KiB; leave out what is long past")
    encoding = "utf-16" if content[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        known = encoding.removesuffix("-sig").upper()
        raise CalendarError(f"calendar {name}, line {line}: is not {known} text; save it as UTF-8") from error
    begins = text.lstrip()[:40]
    if not begins.upper().startswith("BEGIN:VCALENDAR"):
        shown = begins.splitlines()[0] if begins else ""
        raise CalendarError(f"calendar {name} is no iCalendar file: it begins with {shown!r}, not with BEGIN:VCALENDAR")
    if not text.rstrip().upper().endswith("END:VCALENDAR"):
        raise CalendarError(f"calendar {name} is cut off: its last line is not END:VCALENDAR")
    if "\x00" in text:
        raise CalendarError(f"calendar {name}, line {text.count(chr(10), 0, text.index(chr(0))) + 1}: holds a NUL character")
    return re.sub(r"\r?\n[ \t]", "", text)


def _check_limits(text: str, name: str) -> None:
    """Before any library sees it: sizes, and rules that make more events than anybody plans."""
    lines = text.splitlines()
    if len(lines) > LINES_MAX:
        raise CalendarError(f"calendar {name} has {len(lines):,} lines; at most {LINES_MAX:,}")
    events = zones = 0
    for number, line in enumerate(lines, 1):
        upper = line[:40].upper()
        events += upper.startswith("BEGIN:VEVENT")
        zones += upper.startswith(("BEGIN:STANDARD", "BEGIN:DAYLIGHT"))
        if upper.startswith(("RRULE", "EXRULE")):
            _check_rule(line, f"calendar {name}, rule {line[:80]!r} (about line {number})")
    if events > EVENTS_MAX or zones > ZONES_MAX:
        raise CalendarError(f"calendar {name} has {events:,} events and {zones} rules of zones; at most {EVENTS_MAX:,} and {ZONES_MAX}")


def _check_rule(line: str, where: str) -> None:
    parts = dict(part.partition("=")[::2] for part in line.partition(":")[2].strip().upper().split(";"))
    frequency = parts.get("FREQ", "")
    if frequency not in _FREQUENCIES:
        raise CalendarError(f"{where}: FREQ={frequency or '(missing)'} is not taken; write one of {', '.join(sorted(_FREQUENCIES))}")
    for part in ("BYHOUR", "BYMINUTE", "BYSECOND"):
        if "," in parts.get(part, ""):
            raise CalendarError(f"{where}: {part} with several values is not taken; write an event for each")


def _events(text: str, name: str) -> list[Event]:
    """Raises: CalendarError for what the library cannot read; it has errors of many kinds for that."""
    try:
        calendars = Calendar.from_ical(text, multiple=True)
    except Exception as error:  # a boundary: a parser fed with anything at all raises anything at all
        raise CalendarError(f"calendar {name} cannot be read: {_first_line(error)}") from error
    found = [event for calendar in calendars for event in calendar.walk("VEVENT") if isinstance(event, Event)]
    written = len(re.findall(r"^BEGIN:VEVENT", text, flags=re.MULTILINE | re.IGNORECASE))
    if len(found) != written:
        raise CalendarError(f"calendar {name} begins {written} events but only {len(found)} can be read; its lines are mixed up")
    return found


def _check_event(event: Event, name: str) -> None:
    """Refuse what the library would read as something else than was meant."""
    where = f"calendar {name}, event {_words(event.get('SUMMARY')) or _words(event.get('UID')) or 'without a name'!r}"
    if event.errors:
        field, reason = event.errors[0]
        raise CalendarError(f"{where}: {field} cannot be read: {str(reason)[:TEXT_MAX]}")
    if "DTSTART" not in event:
        raise CalendarError(f"{where} has no DTSTART: nobody knows when it begins")
    for field in ("DTSTART", "DTEND", "DURATION", "UID"):
        if isinstance(event.get(field), list):
            raise CalendarError(f"{where} has {field} twice")
    for field in _TIMES:
        for value in _values(event, field):
            _check_zone(value, f"{where}: {field}")
    start = _property(event, "DTSTART").dt
    whole_days = not isinstance(start, datetime)
    if "DTEND" not in event and "DURATION" not in event and not whole_days:
        raise CalendarError(f"{where} begins but has no end: give it a DTEND or a DURATION")
    _check_length(event, start, where)
    event.setdefault("UID", f"{name}-{start.isoformat()}-{_words(event.get('SUMMARY'))}")


def _check_length(event: Event, start: date | datetime, where: str) -> None:
    if "DURATION" in event:
        length = _property(event, "DURATION").dt
        if not isinstance(length, timedelta) or length <= timedelta(0):
            raise CalendarError(f"{where} has a DURATION that is not longer than nothing")
        if length % _DAY:  # hours of a duration are exact time, days of it and DTEND are what clocks show (RFC 5545, 3.3.6)
            event.add(_EXACT, str(length.total_seconds()))
    elif "DTEND" in event:
        end = _property(event, "DTEND").dt
        if isinstance(end, datetime) != isinstance(start, datetime):
            raise CalendarError(f"{where}: DTSTART and DTEND must both be dates, or both be times")
        if isinstance(end, datetime) and isinstance(start, datetime) and (end.tzinfo is None) != (start.tzinfo is None):
            raise CalendarError(f"{where}: DTSTART and DTEND must both have a zone, or neither")
        if end <= start:
            raise CalendarError(f"{where} ends at {end}, which is not after its start {start}")


def _property(component: Component, field: str) -> Any:
    """A property; its type follows from the standard and the checks before, not from the library's types."""
    return component.get(field)


def _values(event: Event, field: str) -> Iterator[Any]:
    value = event.get(field)
    if value is not None:
        yield from value if isinstance(value, list) else [value]


def _check_zone(value: Any, where: str) -> None:
    """The library takes a time in a zone it does not know for one without a zone."""
    named = value.params.get("TZID") if hasattr(value, "params") else None
    times = [each.dt for each in value.dts] if hasattr(value, "dts") else [getattr(value, "dt", None)]
    first = times[0][0] if times and isinstance(times[0], tuple) else times[0] if times else None
    if named and isinstance(first, datetime) and first.tzinfo is None:
        raise CalendarError(f"{where} is in zone {str(named)[:TEXT_MAX]!r}, which is neither known nor defined in the file (VTIMEZONE)")


def _expanded(events: list[Event], name: str, *, starts_at: datetime, ends_at: datetime) -> list[Component]:
    if not events:
        return []
    whole = Calendar()
    whole.subcomponents = list(events)
    try:
        # A day more on both ends: times without a zone are not yet where they will be.
        return list(recurring_ical_events.of(whole).between(starts_at - _DAY, ends_at + _DAY))
    except Exception as error:  # as above: the library was fed with anything at all
        raise CalendarError(f"calendar {name}: its recurrences cannot be worked out: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:TEXT_MAX]


def _occurrence(component: Component, name: str, effect: Effect, zone: tzinfo) -> Occurrence:
    start = _utc(_property(component, "DTSTART").dt, zone)
    exact = _property(component, _EXACT)
    end = start + timedelta(seconds=float(exact)) if exact else _utc(_property(component, "DTEND").dt, zone)
    categories = _property(component, "CATEGORIES")
    listed = categories if isinstance(categories, list) else [categories] if categories is not None else []
    labels = tuple(_words(label) for each in listed for label in getattr(each, "cats", [each]))
    title = _words(component.get("SUMMARY")) or "untitled"
    uid = _words(component.get("UID"))
    return Occurrence(name, effect, uid, title, start, max(start, end), tuple(filter(None, labels))[:20])


def _utc(at: date | datetime, zone: tzinfo) -> datetime:
    if not isinstance(at, datetime):
        at = datetime(at.year, at.month, at.day, tzinfo=zone)
    return (at.replace(tzinfo=zone) if at.tzinfo is None else at).astimezone(UTC)


def _words(value: object) -> str:
    """Text on one line, without control characters."""
    return " ".join(_CONTROL.sub(" ", str(value or "")).split())[:TEXT_MAX]


class _LateError(BaseException):
    """Not an Exception, so that no library takes it for one of its own."""


@contextmanager
def _budget(seconds: float, name: str) -> Iterator[None]:
    """End pure Python code of this thread that takes more CPU time; other threads are not touched.

    Raises: CalendarError.
    """
    deadline = time.thread_time() + seconds
    before = sys.getprofile()

    def watch(_frame: FrameType, _event: str, _argument: object) -> None:
        if time.thread_time() > deadline:
            raise _LateError

    hook: Callable[[FrameType, str, object], object] = watch
    sys.setprofile(hook)
    try:
        yield
    except _LateError:
        sys.setprofile(before)
        raise CalendarError(
            f"calendar {name}: working out its recurrences takes too long; let series begin later, and see whether each rule can come true"
        ) from None
    finally:
        sys.setprofile(before)
