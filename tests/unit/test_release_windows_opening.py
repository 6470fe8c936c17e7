"""When a release may start, from freezes and windows."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from productops.domain.catalog_windows import Effect
from productops.domain.release import Environment
from productops.domain.release_windows import Bypass, BypassState, CalendarState, ChangeCalendar, Occurrence, opening, same_person

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
HORIZON = 40


def calendar(name, effect, *, services=(), venture="apollo", environments=(), known_h=1000, error=""):
    known_until = None if known_h is None else NOON + known_h * HOUR
    state = CalendarState(known_until=known_until, error=error)
    return ChangeCalendar(name, "Calendar", venture, effect, services, environments, "UTC", {}, {}, "", 1, state)


def event(calendar_of, start_h, end_h, title="x"):
    return Occurrence(calendar_of.name, calendar_of.effect, "u", title, NOON + start_h * HOUR, NOON + end_h * HOUR)


FREEZE, WINDOW = calendar("freezes", Effect.FREEZE), calendar("windows", Effect.WINDOW)


def ask(calendars, events, hours=0):
    return opening(calendars, events, now=NOON + hours * HOUR)


def test_without_calendars_a_release_may_always_start():
    found = ask([], [])
    assert (found.is_open, found.next_at) == (True, NOON)


def test_within_a_freeze_nothing_may_start_and_the_event_is_named():
    found = ask([FREEZE], [event(FREEZE, -1, 5, "Christmas")])
    assert (found.is_open, found.event.title, found.next_at) == (False, "Christmas", NOON + 5 * HOUR)
    assert "Christmas" in found.reason


def test_the_first_moment_belongs_to_a_freeze_and_the_last_does_not():
    events = [event(FREEZE, 0, 1)]
    assert not ask([FREEZE], events).is_open
    assert ask([FREEZE], events, 1).is_open


def test_freezes_that_touch_are_one():
    assert ask([FREEZE], [event(FREEZE, -1, 2), event(FREEZE, 2, 4), event(FREEZE, 3, 6)]).next_at == NOON + 6 * HOUR


def test_outside_its_windows_a_release_waits_for_the_next_one():
    found = ask([WINDOW], [event(WINDOW, 3, 4), event(WINDOW, 27, 28)])
    assert (found.is_open, found.next_at) == (False, NOON + 3 * HOUR)


def test_a_window_that_lies_in_a_freeze_is_none():
    found = ask([FREEZE, WINDOW], [event(WINDOW, 3, 4), event(FREEZE, 2, 5), event(WINDOW, 8, 9)])
    assert found.next_at == NOON + 8 * HOUR


def test_an_open_window_tells_when_it_closes_or_a_freeze_begins():
    found = ask([FREEZE, WINDOW], [event(WINDOW, -1, 4), event(FREEZE, 2, 5)])
    assert (found.is_open, found.closes_at) == (True, NOON + 2 * HOUR)


def test_windows_of_a_service_go_before_those_of_its_venture_and_freezes_always_count():
    own = calendar("own", Effect.WINDOW, services=("shop",))
    found = ask([FREEZE, WINDOW, own], [event(WINDOW, -1, 4), event(own, 6, 7), event(FREEZE, 6, 6.5)])
    assert (found.is_open, found.next_at) == (False, NOON + 6.5 * HOUR)


def test_a_calendar_that_nobody_has_read_forbids_what_it_is_for():
    found = ask([calendar("new", Effect.FREEZE, known_h=None, error="404")], [])
    assert (found.is_open, found.next_at) == (False, None)
    assert "new" in found.reason
    assert "404" in found.reason


def test_nothing_is_promised_beyond_what_is_known():
    assert ask([calendar("freezes", Effect.FREEZE, known_h=10)], [event(FREEZE, -1, 20)]).next_at is None


def test_a_calendar_is_for_its_venture_its_services_and_its_environments():
    one = calendar("one", Effect.FREEZE, services=("shop",), environments=(Environment.PRODUCTION,))
    assert one.covers("apollo", "shop", Environment.PRODUCTION)
    assert not one.covers("apollo", "cart", Environment.PRODUCTION)
    assert not one.covers("apollo", "shop", Environment.STAGING)
    assert not one.covers("gemini", "shop", Environment.PRODUCTION)
    assert calendar("all", Effect.FREEZE, venture=None).covers("gemini", "any", Environment.STAGING)


SPANS = st.lists(st.tuples(st.integers(-10, HORIZON), st.integers(1, 12)).map(lambda p: (p[0], p[0] + p[1])), max_size=8)


@given(freezes=SPANS, windows=SPANS, declared=st.booleans())
def test_the_next_opening_is_the_first_hour_that_every_rule_allows(freezes, windows, declared):
    calendars = [FREEZE, WINDOW] if declared else [FREEZE]
    events = [event(FREEZE, *s) for s in freezes] + ([event(WINDOW, *s) for s in windows] if declared else [])
    found = ask(calendars, [e for e in events if e.ends_at > NOON])

    def allowed(hour):
        return not any(a <= hour < b for a, b in freezes) and (not declared or any(a <= hour < b for a, b in windows))

    first = next((hour for hour in range(200) if allowed(hour)), None)
    assert found.next_at == (None if first is None else NOON + first * HOUR)
    assert found.is_open == (first == 0)
    if found.is_open:
        closes = next((hour for hour in range(200) if not allowed(hour)), None)
        # Windows that overlap are one: its end may be a later one's.
        assert found.closes_at == (None if closes is None else NOON + closes * HOUR)


def test_a_bypass_is_asked_for_then_approved_then_used_or_expires():
    bypass = Bypass("i", "v", "s", Environment.PRODUCTION, None, "r", "ann", NOON, NOON + HOUR)
    assert bypass.state(NOON) is BypassState.ASKED
    assert bypass.state(NOON + HOUR) is BypassState.EXPIRED


def test_a_name_in_other_spelling_is_no_second_person():
    assert same_person("Ann Lee", " ann  LEE ")
    assert not same_person("ann", "bob")
