"""Who is on call when: turns, hours, overrides, and what the clocks do to them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from productops.domain.catalog_oncall import EscalationSpec, OnCallSpec
from productops.domain.incident_escalation import Page, PageState, next_step, policy_for
from productops.domain.incident_oncall import Escalation, Override, gaps_of, on_duty, shifts_of

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe")
BERLIN = ZoneInfo("Europe/Berlin")
PEOPLE = [{"id": "mia", "name": "Mia", "channels": ["mia"]}, {"id": "noah"}, {"id": "emma"}]


def spec(*layers: dict[str, object], timezone: str = "Europe/Berlin", **more: object) -> OnCallSpec:
    return OnCallSpec.model_validate_json(
        OnCallSpec.model_validate({"timezone": timezone, "people": PEOPLE, "layers": list(layers)} | more).model_dump_json()
    )


WEEKLY = {"name": "weekly", "people": ["mia", "noah", "emma"], "starts": "2026-01-05T09:00"}


def at(text: str, zone: ZoneInfo = BERLIN) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)


def override(person: str, begin: datetime, end: datetime, *, made: int = 0) -> Override:
    return Override(str(made), "primary", person, begin, end, "", "mia", datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=made))


def test_a_weekly_turn_is_handed_over_at_nine_local_time_on_both_sides_of_a_change_of_clocks() -> None:
    found = shifts_of(spec(WEEKLY), [], since=at("2026-03-16T09:00"), until=at("2026-04-06T09:00"))
    assert [shift.starts_at.astimezone(BERLIN).strftime("%m-%d %H:%M") for shift in found] == ["03-16 09:00", "03-23 09:00", "03-30 09:00"]
    assert [shift.ends_at - shift.starts_at for shift in found] == [timedelta(days=7), timedelta(days=7, hours=-1), timedelta(days=7)]


@pytest.mark.parametrize(("day", "hours"), [("2026-03-28", 23), ("2026-10-24", 25)])
def test_a_day_of_twenty_three_or_twenty_five_hours_is_one_turn(day: str, hours: int) -> None:
    daily = spec({"name": "daily", "people": ["mia", "noah"], "starts": "2026-01-01T08:00", "unit": "day"})
    begin = at(f"{day}T08:00")
    shift = on_duty(daily, [], at=begin + timedelta(hours=1))
    assert shift is not None
    assert shift.ends_at - begin == timedelta(hours=hours)


def test_hours_that_the_clocks_leave_out_or_repeat_leave_no_gap() -> None:
    halves = spec(
        {"name": "night", "people": ["mia"], "starts": "2026-01-01T00:00", "only": [{"hours": "02:30-14:30"}]},
        {"name": "day", "people": ["noah"], "starts": "2026-01-01T00:00", "only": [{"hours": "14:30-02:30"}]},
    )
    for begin in ("2026-03-27T00:00", "2026-10-23T00:00"):
        since = at(begin)
        assert gaps_of(halves, [], since=since, until=since + timedelta(days=5)) == []


def test_exact_hours_are_counted_whatever_the_clocks_do() -> None:
    twelve = spec({"name": "half-days", "people": ["mia", "noah"], "starts": "2026-03-28T00:00", "every": 12, "unit": "hour"})
    found = shifts_of(twelve, [], since=at("2026-03-28T00:00"), until=at("2026-03-30T00:00"))
    assert {shift.ends_at - shift.starts_at for shift in found[:-1]} == {timedelta(hours=12)}


def test_a_later_layer_goes_before_an_earlier_one_in_its_hours_and_an_override_before_both() -> None:
    two = spec(
        WEEKLY,
        {"name": "office", "people": ["emma"], "starts": "2026-01-05T09:00", "only": [{"weekdays": ["monday"], "hours": "09:00-17:00"}]},
    )
    monday = at("2026-01-12T10:00")
    assert on_duty(two, [], at=monday).person == "emma"
    assert on_duty(two, [], at=monday + timedelta(hours=8)).person == "noah"
    mine = override("mia", monday, monday + timedelta(hours=1))
    assert on_duty(two, [mine], at=monday).layer == "override"
    later = override("noah", monday, monday + timedelta(hours=1), made=1)
    assert on_duty(two, [later, mine], at=monday).person == "noah"


def test_a_gap_is_a_time_in_which_somebody_should_be_there_and_nobody_is() -> None:
    office = {"name": "office", "people": ["mia"], "starts": "2026-01-05T00:00", "only": [{"hours": "09:00-17:00"}]}
    always, daytime = spec(office), spec(office, covers=[{"hours": "09:00-18:00"}])
    since, until = at("2026-02-02T00:00"), at("2026-02-04T00:00")
    assert [(g.ends_at - g.starts_at) for g in gaps_of(always, [], since=since, until=until)] == [
        timedelta(hours=9), timedelta(hours=16), timedelta(hours=7),
    ]  # fmt: skip
    (first, second) = gaps_of(daytime, [], since=since, until=until)
    assert (first.starts_at, first.ends_at) == (at("2026-02-02T17:00"), at("2026-02-02T18:00"))
    cover = override("noah", second.starts_at, second.ends_at)
    assert gaps_of(daytime, [cover], since=since, until=until) == [first]


def test_nobody_is_on_call_before_the_first_hand_over_and_after_the_end() -> None:
    short = spec(WEEKLY | {"ends": "2026-01-19T09:00"})
    assert on_duty(short, [], at=at("2026-01-05T08:59")) is None
    assert on_duty(short, [], at=at("2026-01-05T09:00")).person == "mia"
    assert on_duty(short, [], at=at("2026-01-19T09:00")) is None


def test_more_than_four_hundred_days_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 400"):
        shifts_of(spec(WEEKLY), [], since=at("2026-01-01T00:00"), until=at("2028-01-01T00:00"))


@settings(max_examples=40)
@given(
    unit=st.sampled_from(["hour", "day", "week"]), every=st.integers(1, 30), zone=st.sampled_from(ZONES),
    day=st.integers(0, 700), hours=st.integers(1, 2000),
    spans=st.lists(st.tuples(st.integers(0, 900), st.integers(1, 200), st.sampled_from(["mia", "noah", "emma"])), max_size=5),
)  # fmt: skip
def test_shifts_fill_the_time_in_order_without_overlap(unit, every, zone, day, hours, spans) -> None:
    schedule = spec(
        {"name": "one", "people": ["mia", "noah", "emma"], "starts": "2020-02-29T02:30", "unit": unit, "every": every}, timezone=zone
    )
    since = datetime(2026, 1, 1, 1, 17, tzinfo=UTC) + timedelta(days=day)
    until = since + timedelta(hours=hours)
    overrides = [override(p, since + timedelta(hours=o), since + timedelta(hours=o + n), made=i) for i, (o, n, p) in enumerate(spans)]
    found = shifts_of(schedule, overrides, since=since, until=until)
    assert (found[0].starts_at, found[-1].ends_at) == (since, until)
    assert all(one.ends_at == other.starts_at for one, other in pairwise(found))
    assert all(one.starts_at < one.ends_at for one in found)
    for each in found:
        covering = [o for o in overrides if o.starts_at <= each.starts_at < o.ends_at]
        assert not covering or covering[-1].person == each.person


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"timezone": "Europe/Nowhere"}, "no time zone"),
        ({"layers": [WEEKLY | {"people": ["zoe"]}]}, "'zoe', who is not among people"),
        ({"layers": [WEEKLY, WEEKLY]}, "twice"),
        ({"layers": [WEEKLY | {"only": [{"hours": "9-17"}]}]}, "write them like 09:00-17:00"),
    ],
)
def test_a_schedule_that_cannot_be_kept_is_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        OnCallSpec.model_validate({"timezone": "UTC", "people": PEOPLE, "layers": [WEEKLY]} | change)


def test_levels_are_called_in_order_repeated_and_end_with_the_last_resort() -> None:
    policy = EscalationSpec.model_validate(
        {
            "levels": [{"targets": [{"person": "mia"}]}, {"targets": [{"person": "noah"}], "wait_minutes": 2}],
            "repeat": 1,
            "fallback": [{"channel": "all"}],
        }
    )
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    place, called = (0, -1), []
    for _ in range(5):
        page = Page("p", "i", 1, "apollo", "x", PageState.CALLING, *place, (), begin, begin, None, None)
        step = next_step(policy, page)
        called.append((step.round, step.level, str(step.targets[0]), step.last))
        place = (step.round, step.level)
    assert called == [
        (0, 0, "person mia", False), (0, 1, "person noah", False), (1, 0, "person mia", False), (1, 1, "person noah", False),
        (2, 0, "channel all", True),
    ]  # fmt: skip


def test_an_escalation_that_names_the_service_goes_before_the_one_for_all_others() -> None:
    def made(name: str, **more: object) -> Escalation:
        body = {"levels": [{"targets": [{"person": "mia"}]}], **more}
        return Escalation(name, "apollo", EscalationSpec.model_validate(body), 1)

    policies = [made("all"), made("shop", services=["shop"]), made("quiet", services=["shop"], severities=["SEV4"])]
    assert policy_for(policies, services=["shop"], severity="SEV1").name == "shop"
    assert policy_for(policies, services=["till"], severity="SEV1").name == "all"
    assert policy_for(policies, services=["till"], severity="SEV4") is None
