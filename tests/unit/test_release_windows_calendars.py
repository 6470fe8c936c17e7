"""Calendars that other programs wrote become the right times, or a clear error in time."""

import contextlib
import time
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import DAILY, MONTHLY, WEEKLY, rrule
from hypothesis import given, settings
from hypothesis import strategies as st

from productops.adapters.calendar_files import BYTES_MAX, read_occurrences
from productops.adapters.calendar_writing import write_declared, write_feed
from productops.domain.catalog_windows import ChangeWindowSpec, Effect
from productops.domain.release_windows_feed import FeedEntry
from productops.errors import CalendarError

FROM, TO = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 7, 1, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def calendar(*lines, uid="one", head=()):
    """An .ics of one event with these lines."""
    event = lines if any(line.startswith("BEGIN:VEVENT") for line in lines) else (f"BEGIN:VEVENT\r\nUID:{uid}", *lines, "END:VEVENT")
    return "\r\n".join(("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//EN", *head, *event, "END:VCALENDAR", "")).encode()


def read(content, timezone="Europe/Berlin", **span):
    found = read_occurrences(
        content, name="cal", effect=Effect.FREEZE, timezone=timezone, starts_at=span.get("starts_at", FROM), ends_at=span.get("ends_at", TO)
    )
    return [(o.starts_at, o.ends_at) for o in found]


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


def test_a_time_in_utc_is_taken_as_it_is():
    assert read(calendar("DTSTART:20261220T180000Z", "DTEND:20261227T060000Z")) == [(utc(2026, 12, 20, 18), utc(2026, 12, 27, 6))]


def test_a_time_in_a_named_zone_is_of_that_zone():
    assert read(calendar("DTSTART;TZID=America/New_York:20260701T090000", "DTEND;TZID=America/New_York:20260701T100000")) == [
        (utc(2026, 7, 1, 13), utc(2026, 7, 1, 14))
    ]


def test_the_names_of_zones_that_outlook_writes_are_known():
    assert read(calendar("DTSTART;TZID=W. Europe Standard Time:20260701T090000", "DURATION:PT1H")) == [
        (utc(2026, 7, 1, 7), utc(2026, 7, 1, 8))
    ]


def test_a_zone_that_the_file_defines_itself_is_used():
    zone = (
        "BEGIN:VTIMEZONE", "TZID:Factory time", "BEGIN:STANDARD", "DTSTART:19700101T000000", "TZOFFSETFROM:+0530", "TZOFFSETTO:+0530",
        "END:STANDARD", "END:VTIMEZONE",
    )  # fmt: skip
    assert read(calendar("DTSTART;TZID=Factory time:20260701T090000", "DURATION:PT1H", head=zone)) == [
        (utc(2026, 7, 1, 3, 30), utc(2026, 7, 1, 4, 30))
    ]


def test_a_zone_that_nobody_knows_is_refused_rather_than_guessed():
    with pytest.raises(CalendarError, match="zone 'Middle/Earth'"):
        read(calendar("DTSTART;TZID=Middle/Earth:20260701T090000", "DURATION:PT1H"))


@pytest.mark.parametrize(("zone", "hour"), [("Europe/Berlin", 7), ("UTC", 9), ("America/New_York", 13)])
def test_a_floating_time_is_of_the_zone_that_the_catalog_says(zone, hour):
    assert read(calendar("DTSTART:20260701T090000", "DURATION:PT1H"), zone) == [(utc(2026, 7, 1, hour), utc(2026, 7, 1, hour + 1))]


def test_a_whole_day_is_a_day_of_the_catalogs_zone_even_when_clocks_change():
    assert read(calendar("DTSTART;VALUE=DATE:20261025")) == [(utc(2026, 10, 24, 22), utc(2026, 10, 25, 23))]
    assert read(calendar("DTSTART;VALUE=DATE:20261224", "DTEND;VALUE=DATE:20261227")) == [(utc(2026, 12, 23, 23), utc(2026, 12, 26, 23))]


def test_hours_of_a_duration_are_exact_and_an_end_is_what_clocks_show():
    night = "DTSTART;TZID=Europe/Berlin:20261024T220000"
    assert read(calendar(night, "DURATION:PT8H")) == [(utc(2026, 10, 24, 20), utc(2026, 10, 25, 4))]
    assert read(calendar(night, "DTEND;TZID=Europe/Berlin:20261025T060000")) == [(utc(2026, 10, 24, 20), utc(2026, 10, 25, 5))]
    assert read(calendar(night, "DURATION:P1D")) == [(utc(2026, 10, 24, 20), utc(2026, 10, 25, 21))]


def test_overrides_exceptions_and_further_dates_of_a_series_are_followed():
    found = read(
        calendar(
            "BEGIN:VEVENT", "UID:s", "DTSTART;TZID=Europe/Berlin:20260302T100000", "DTEND;TZID=Europe/Berlin:20260302T110000",
            "RRULE:FREQ=WEEKLY;COUNT=4", "EXDATE;TZID=Europe/Berlin:20260309T100000",
            "RDATE;TZID=Europe/Berlin:20260401T080000", "END:VEVENT",
            "BEGIN:VEVENT", "UID:s", "RECURRENCE-ID;TZID=Europe/Berlin:20260316T100000", "DTSTART;TZID=Europe/Berlin:20260317T150000",
            "DTEND;TZID=Europe/Berlin:20260317T170000", "END:VEVENT",
        )
    )  # fmt: skip
    assert [start for start, _ in found] == [utc(2026, 3, 2, 9), utc(2026, 3, 17, 14), utc(2026, 3, 23, 9), utc(2026, 4, 1, 6)]
    assert found[1][1] == utc(2026, 3, 17, 16)


def test_a_cancelled_event_and_a_cancelled_occurrence_are_none():
    assert read(calendar("DTSTART:20260701T090000Z", "DURATION:PT1H", "STATUS:CANCELLED")) == []
    found = read(
        calendar(
            "BEGIN:VEVENT", "UID:s", "DTSTART:20260302T100000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=3", "END:VEVENT",
            "BEGIN:VEVENT", "UID:s", "RECURRENCE-ID:20260303T100000Z", "DTSTART:20260303T100000Z", "DURATION:PT1H",
            "STATUS:CANCELLED", "END:VEVENT",
        )
    )  # fmt: skip
    assert [start.day for start, _ in found] == [2, 4]


def test_folded_lines_titles_and_categories_are_read():
    content = calendar("DTSTART:20260701T090000Z", "DURATION:PT1H", "SUMMARY:Year-end\r\n  closing\\, books", "CATEGORIES:audit,finance")
    (found,) = read_occurrences(content, name="cal", effect=Effect.WINDOW, timezone="UTC", starts_at=FROM, ends_at=TO)
    assert (found.title, found.labels, found.effect) == ("Year-end closing, books", ("audit", "finance"), Effect.WINDOW)


def test_a_file_of_another_byte_order_or_with_a_mark_is_read():
    content = calendar("DTSTART:20260701T090000Z", "DURATION:PT1H", "SUMMARY:Ferien für jeden")
    for encoding in ("utf-8-sig", "utf-16"):
        assert len(read(content.decode().encode(encoding))) == 1


def test_events_without_uid_are_different_events():
    content = calendar(
        "BEGIN:VEVENT", "DTSTART:20260701T090000Z", "DURATION:PT1H", "END:VEVENT",
        "BEGIN:VEVENT", "DTSTART:20260702T090000Z", "DURATION:PT1H", "END:VEVENT",
    )  # fmt: skip
    assert len(read(content)) == 2


RULES = {DAILY: "DAILY", WEEKLY: "WEEKLY", MONTHLY: "MONTHLY"}


@settings(max_examples=120, deadline=None)
@given(
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "UTC"]),
    day=st.dates(date(2026, 2, 20), date(2026, 11, 15)),
    minutes=st.integers(0, 24 * 60 - 1),
    length=st.integers(1, 36 * 60),
    frequency=st.sampled_from(sorted(RULES)),
    interval=st.integers(1, 3),
    count=st.integers(1, 40),
)
def test_series_keep_their_time_of_day_over_changes_of_the_clock(zone, day, minutes, length, frequency, interval, count):
    first = datetime.combine(day, clock.min) + timedelta(minutes=minutes)
    last = first + timedelta(minutes=length)
    found = read(
        calendar(
            f"DTSTART;TZID={zone}:{first:%Y%m%dT%H%M%S}", f"DTEND;TZID={zone}:{last:%Y%m%dT%H%M%S}",
            f"RRULE:FREQ={RULES[frequency]};INTERVAL={interval};COUNT={count}",
        ),
    )  # fmt: skip
    starts = rrule(frequency, dtstart=first, interval=interval, count=count)
    tz = ZoneInfo(zone)
    wanted = [(s.replace(tzinfo=tz).astimezone(UTC), (s + (last - first)).replace(tzinfo=tz).astimezone(UTC)) for s in starts]
    # An hour that does not exist can swallow an event whole.
    assert found == [(a, max(a, b)) for a, b in wanted if a < TO and b > FROM]


def many(count, *lines):
    """A calendar of so many events."""
    event = ("DTSTART:20260101T000000Z", "DURATION:PT1H", *lines, "END:VEVENT")
    return calendar(*("\r\n".join((f"BEGIN:VEVENT\r\nUID:{n}", *event)) for n in range(count)))


HOSTILE = {
    "every second": (calendar("DTSTART:20260101T000000Z", "DURATION:PT1S", "RRULE:FREQ=SECONDLY"), "FREQ=SECONDLY is not taken"),
    "every second of every day": (
        calendar("DTSTART:20260101T000000Z", "DURATION:PT1S", "RRULE:FREQ=DAILY;BYHOUR=1,2,3;BYMINUTE=1,2"), "BYHOUR with several",
    ),
    "a rule that never comes true": (
        calendar("DTSTART:20260101T000000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"), "takes too long",
    ),
    "daily since the year 1": (
        calendar("DTSTART:00010101T000000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY"), "takes too long|cannot be worked out",
    ),
    "ten megabytes": (calendar(*(["DESCRIPTION:" + "x" * 60] * 140_000)), "larger than 512 KiB"),
    "a thousand lines for a thousand events": (
        many(1500), "at most 1,000",
    ),
    "twenty daily series": (
        many(20, "RRULE:FREQ=DAILY"),
        "at most 5,000|takes too long",
    ),
    "a second in a zone": (
        calendar(
            "DTSTART:20260101T000000Z", "DURATION:PT1H",
            head=("BEGIN:VTIMEZONE", "TZID:x", "BEGIN:STANDARD", "DTSTART:19700101T000000", "RRULE:FREQ=SECONDLY", "TZOFFSETFROM:+0000",
                  "TZOFFSETTO:+0000", "END:STANDARD", "END:VTIMEZONE"),
        ), "FREQ=SECONDLY is not taken",
    ),
    "no end": (calendar("DTSTART:20260101T000000Z", "SUMMARY:Release stop"), "'Release stop' begins but has no end"),
    "no start": (calendar("SUMMARY:Release stop"), "has no DTSTART"),
    "an end before the start": (calendar("DTSTART:20260102T000000Z", "DTEND:20260101T000000Z"), "not after its start"),
    "no length": (calendar("DTSTART:20260102T000000Z", "DURATION:PT0S"), "not longer than nothing"),
    "a day until an hour": (calendar("DTSTART;VALUE=DATE:20260102", "DTEND:20260103T000000Z"), "both be dates"),
    "a start that is no time": (calendar("DTSTART:yesterday", "DURATION:PT1H"), "DTSTART"),
    "two starts": (calendar("DTSTART:20260102T000000Z", "DTSTART:20260103T000000Z", "DURATION:PT1H"), "DTSTART"),
    "a rule that is none": (calendar("DTSTART:20260102T000000Z", "DURATION:PT1H", "RRULE:every tuesday"), "FREQ=.* is not taken"),
    "another alphabet": (calendar("SUMMARY:Fête").decode().encode("latin-1"), "line 6: is not UTF-8"),
    "half of a pair of bytes": (b"\xff\xfeB", "is not UTF-16"),
    "a page for people": (b"<!DOCTYPE html><html><body>Sign in</body></html>", "no iCalendar file: it begins with '<!DOCTYPE html"),
    "nothing": (b"", "no iCalendar file"),
    "a character that is none": (calendar("DTSTART:20260102T000000Z", "DURATION:PT1H", "SUMMARY:a\x00b"), "line 8: holds a NUL"),
    "no end of the file": (b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART:20260102T0000", "."),
    "only a line of colons": (b"BEGIN:VCALENDAR\r\n" + b":" * 500_000, "."),
    "nested for ever": (b"BEGIN:VCALENDAR\r\n" + b"BEGIN:VALARM\r\n" * 19_000, "."),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_calendar_is_refused_in_time_and_says_why(name):
    content, reason = HOSTILE[name]
    started = time.thread_time()
    with pytest.raises(CalendarError, match=reason) as caught:
        assert read(content) == "refused"
    assert time.thread_time() - started < 1.0
    assert "cal" in str(caught.value)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=2000), st.integers(0, 400))
def test_bytes_of_any_kind_are_read_or_refused_but_never_more(noise, place):
    whole = calendar("DTSTART:20260701T090000Z", "DURATION:PT1H", "RRULE:FREQ=WEEKLY;COUNT=3", "SUMMARY:x")
    with contextlib.suppress(CalendarError):
        assert all(start < end for start, end in read(whole[:place] + noise + whole[place:]))


def test_the_largest_calendar_that_is_taken_is_read_within_seconds():
    content = many(1000, f"SUMMARY:{'x' * 200}")
    assert len(content) < BYTES_MAX
    started = time.thread_time()
    assert len(read(content)) == 1000
    assert time.thread_time() - started < 3


def declared(**spec):
    return ChangeWindowSpec.model_validate({"effect": "window", "timezone": "Europe/Berlin"} | spec)


def test_declared_times_are_a_calendar_like_any_other():
    spec = declared(
        times=[
            {"starts": "2026-03-24T09:00:00", "ends": "2026-03-24T12:00:00", "rrule": "FREQ=WEEKLY;BYDAY=TU;COUNT=3",
             "excluded": ["2026-04-07T09:00:00"]},
            {"starts": "2026-10-24T22:00:00", "duration_s": 28_800},
        ]
    )  # fmt: skip
    assert read(write_declared("office", spec, written_at=FROM)) == [
        (utc(2026, 3, 24, 8), utc(2026, 3, 24, 11)),
        (utc(2026, 3, 31, 7), utc(2026, 3, 31, 10)),
        (utc(2026, 10, 24, 20), utc(2026, 10, 25, 4)),
    ]


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=120)


@settings(max_examples=60, deadline=None)
@given(title=TEXTS, description=TEXTS, labels=st.lists(st.text("abc ,;\\", min_size=1, max_size=9), max_size=3))
def test_what_the_feed_says_is_what_a_reader_gets(title, description, labels):
    from icalendar import Calendar

    entry = FeedEntry("u@x", title, description, utc(2026, 7, 1, 9), utc(2026, 7, 1, 10), FROM, tuple(labels), "CONFIRMED")
    content = write_feed("apollo production", [entry])
    (event,) = Calendar.from_ical(content).events
    assert (str(event["SUMMARY"]), str(event["DESCRIPTION"])) == (title, description)
    assert (event["DTSTART"].dt, event["DTEND"].dt, str(event["UID"])) == (entry.starts_at, entry.ends_at, "u@x")
    assert [str(c) for c in event["CATEGORIES"].cats] == labels if labels else "CATEGORIES" not in event
    assert all(len(line) <= 75 for line in content.split(b"\r\n"))
    assert b"\n" not in content.replace(b"\r\n", b"")
