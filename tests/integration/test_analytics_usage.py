"""Questions about use, answered from real files; most answers were counted by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from productops.adapters.analytics_usage_frames import frame_of
from productops.domain.analytics_usage_query import (
    CohortCondition,
    CohortSpec,
    Condition,
    EventMatch,
    Exclusion,
    FunnelQuery,
    FunnelSpec,
    PathsQuery,
    Ranged,
    RetentionQuery,
    SegmentQuery,
    Unit,
    UsageQuery,
)
from productops.domain.governance_access import Grant, Principal, Role
from productops.errors import ForbiddenError, InvalidInputError, NotFoundError
from productops.usecases.analytics_usage_ask import ask_funnel, ask_retention, ask_usage
from productops.usecases.analytics_usage_look import ask_cohort, ask_paths, ask_performance, ask_segments, dropped_people
from productops.usecases.context import Actor, Context
from tests.integration.analytics_usage_lab import Frozen, happened, put, usage_context, when
from tests.support import SOMEBODY


@pytest.fixture
def lab(context: Context, tmp_path: Path) -> Context:
    return usage_context(context, tmp_path)


def funnel(*names: str, days: float = 30, **spec: object) -> FunnelQuery:
    steps = tuple(EventMatch(name=name) for name in names)
    return FunnelQuery(venture="apollo", since=when(0, 0), until=when(days, 0), funnel=FunnelSpec(steps=steps, **spec))  # type: ignore[arg-type]


def test_a_funnel_tells_people_shares_and_times_of_each_step(lab: Context) -> None:
    put(lab, [
        happened("ann", "view", 0, 10), happened("ann", "buy", 0, 11),
        happened("bob", "view", 1, 10), happened("bob", "buy", 1, 13),
        happened("cem", "view", 2), happened("dan", "buy", 2),
    ])  # fmt: skip
    found = ask_funnel(lab, funnel("view", "buy"), actor=SOMEBODY)
    assert [(s.title, s.people, s.of_first) for s in found.steps] == [("view", 3, 1.0), ("buy", 2, 2 / 3)]
    assert (found.steps[1].median_s, found.steps[1].p90_s, found.median_s) == (3600, 3 * 3600, 3600)
    assert (found.basis.events, found.basis.files, found.under_way) == (6, 3, 0)


def test_a_conversion_after_the_range_counts_within_the_window_and_who_has_time_left_is_under_way(lab: Context) -> None:
    put(lab, [happened("ann", "view", 9), happened("ann", "buy", 11), happened("bob", "view", 9), happened("cem", "view", 10)])
    lab.clock.at = when(12)  # type: ignore[attr-defined]
    found = ask_funnel(lab, funnel("view", "buy", days=10, window_s=5 * 86_400), actor=SOMEBODY)
    assert ([step.people for step in found.steps], found.under_way) == ([2, 1], 1)


def test_a_funnel_is_split_by_a_property_and_small_values_are_put_together(lab: Context) -> None:
    put(lab, [happened(f"p{n}", "view", 0, plan=plan) for n, plan in enumerate(["pro", "pro", "pro", "free", "free", "team", None])])
    put(lab, [happened("p0", "buy", 1), happened("p5", "buy", 1)])
    found = ask_funnel(lab, funnel("view", "buy", breakdown="properties.plan", values_max=2), actor=SOMEBODY)
    assert found.by_value == {"pro": [3, 1], "free": [2, 0], "(other)": [2, 1]}


def test_first_touch_and_last_touch_differ_where_a_person_has_two_values(lab: Context) -> None:
    put(lab, [happened("ann", "view", 0, platform="web"), happened("ann", "buy", 1, platform="ios")])
    by = {
        touch: ask_funnel(lab, funnel("view", "buy", breakdown="platform", touch=touch), actor=SOMEBODY).by_value
        for touch in ("first", "last")
    }
    assert by == {"first": {"web": [1, 1]}, "last": {"ios": [1, 1]}}


def test_an_exclusion_takes_people_out_and_says_how_many(lab: Context) -> None:
    put(lab, [happened("ann", "view", 0, 1), happened("ann", "refund", 0, 2), happened("ann", "buy", 0, 3)])
    put(lab, [happened("bob", "view", 0, 1), happened("bob", "buy", 0, 3)])
    spec = {"exclusions": (Exclusion(event=EventMatch(name="refund")),)}
    found = ask_funnel(lab, funnel("view", "buy", **spec), actor=SOMEBODY)
    assert ([step.people for step in found.steps], found.excluded) == ([1, 1], 1)


def test_a_strict_funnel_sees_events_that_are_no_step(lab: Context) -> None:
    put(lab, [happened("ann", "view", 0, 1), happened("ann", "help", 0, 2), happened("ann", "buy", 0, 3)])
    put(lab, [happened("bob", "view", 0, 1), happened("bob", "buy", 0, 3), happened("bob", "$exposure", 0, 2)])
    assert [s.people for s in ask_funnel(lab, funnel("view", "buy", order="strict"), actor=SOMEBODY).steps] == [2, 1]


def test_people_who_stopped_at_a_step_are_named(lab: Context) -> None:
    put(lab, [happened("ann", "view", 0), happened("bob", "view", 0), happened("bob", "buy", 1)])
    assert dropped_people(lab, funnel("view", "buy"), step=1, actor=SOMEBODY) == ("ann",)
    with pytest.raises(InvalidInputError, match="step 2 has no next one"):
        dropped_people(lab, funnel("view", "buy"), step=2, actor=SOMEBODY)


def test_conditions_on_columns_and_properties_choose_the_events(lab: Context) -> None:
    put(lab, [
        happened("ann", "view", 0, platform="web", price=10), happened("bob", "view", 0, platform="ios", price=99.5),
        happened("cem", "view", 0, platform="ios"), happened("dan", "view", 0, price="12"),
    ])  # fmt: skip

    def people(**condition: object) -> int:
        match = EventMatch(name="view", where=(Condition(**condition),))  # type: ignore[arg-type]
        return ask_segments(
            lab, SegmentQuery(venture="apollo", since=when(0, 0), until=when(1, 0), event=match, by="name"), actor=SOMEBODY
        ).people

    assert people(field="platform", values=("ios",)) == 2
    assert people(field="platform", op="is-not", values=("ios",)) == 2
    assert people(field="properties.price", op="at-least", values=("12",)) == 2
    assert people(field="properties.price", op="at-most", values=("12",)) == 2
    assert people(field="properties.price", op="is-not-set") == 1
    assert people(field="properties.price", values=("10",)) == 1
    assert people(field="platform", op="contains", values=("io", "we")) == 3


# Person 1 on days 0, 1, 2, 5 (twice), 6; person 2 on days 1, 2, 3, 6: the data of PostHog's first retention test.
POSTHOG = [("p1", 0), ("p1", 1), ("p1", 2), ("p1", 5), ("p1", 5.2), ("p1", 6), ("p2", 1), ("p2", 2), ("p2", 3), ("p2", 6)]


def retention(**more: object) -> RetentionQuery:
    base = {"venture": "apollo", "since": when(0, 0), "until": when(7, 0), "unit": "day", "periods": 6}
    return RetentionQuery.model_validate(base | more)


def test_recurring_retention_is_what_posthog_publishes(lab: Context) -> None:
    put(lab, [happened(person, "$pageview", day, 5) for person, day in POSTHOG])
    found = ask_retention(lab, retention(first="recurring"), actor=SOMEBODY)
    expected = [[1, 1, 1, 0, 0, 1, 1], [2, 2, 1, 0, 1, 2], [2, 1, 0, 1, 2], [1, 0, 0, 1], [0, 0, 0], [1, 1], [2]]
    assert [[row.people, *row.returned[1 : 7 - n]] for n, row in enumerate(found.rows)] == expected
    assert [row.returned[0] for row in found.rows] == [0, 0, 0, 0, 0, 1, 0], "only day 5 has a second event of the same day"


def test_first_time_retention_counts_everybody_once_and_looks_before_the_range(lab: Context) -> None:
    put(lab, [happened(person, "$pageview", day, 5) for person, day in POSTHOG])
    found = ask_retention(lab, retention(), actor=SOMEBODY)
    assert [(row.people, *row.returned) for row in found.rows[:3]] == [(1, 0, 1, 1, 0, 0, 1, 1), (1, 0, 1, 1, 0, 0, 1, 0), (0,) + (0,) * 7]
    later = ask_retention(lab, retention(since=when(1, 0)), actor=SOMEBODY)
    assert [row.people for row in later.rows] == [1, 0, 0, 0, 0, 0]


def test_on_or_after_counts_who_came_back_then_or_later(lab: Context) -> None:
    put(lab, [happened(person, "$pageview", day, 5) for person, day in POSTHOG])
    found = ask_retention(lab, retention(kind="on-or-after"), actor=SOMEBODY)
    assert found.rows[0].returned == (1, 1, 1, 1, 1, 1, 1)
    assert found.rows[1].returned == (1, 1, 1, 1, 1, 1, 0)


def test_brackets_count_once_whoever_came_in_one_of_their_periods(lab: Context) -> None:
    put(lab, [happened(person, "$pageview", day, 5) for person, day in POSTHOG])
    found = ask_retention(lab, retention(brackets=(2, 3, 1)), actor=SOMEBODY)
    assert (found.columns, found.rows[0].returned) == (((0, 0), (1, 2), (3, 5), (6, 6)), (0, 1, 1, 1))


def test_periods_since_the_start_are_of_24_hours_and_not_of_the_calendar(lab: Context) -> None:
    # Mixpanel: 8 pm on Monday and 6 am on Tuesday is day 1 by the calendar, and less than a day after the start.
    put(lab, [happened("ann", "in", 0, 20), happened("ann", "in", 1, 6), happened("ann", "in", 2, 21)])
    assert ask_retention(lab, retention(periods=2), actor=SOMEBODY).rows[0].returned == (0, 1, 1)
    assert ask_retention(lab, retention(periods=2, since_start=True), actor=SOMEBODY).rows[0].returned == (1, 0, 1)


def test_days_are_those_of_the_time_zone(lab: Context) -> None:
    put(lab, [happened("ann", "in", 0, 23), happened("ann", "in", 1, 1), happened("ann", "in", 1, 23)])
    assert ask_retention(lab, retention(periods=2), actor=SOMEBODY).rows[0].returned == (0, 1, 0)
    zurich = ask_retention(lab, retention(periods=2, zone="Europe/Zurich"), actor=SOMEBODY)
    day = next(row for row in zurich.rows if row.people)
    assert (day.begin, day.returned) == (datetime(2026, 6, 1, 22, tzinfo=UTC), (1, 1, 0))


def test_a_column_whose_time_is_not_over_is_marked_and_left_out_of_the_mean(lab: Context) -> None:
    put(lab, [happened("ann", "in", 0), happened("ann", "in", 7), happened("bob", "in", 8), happened("ann", "in", 14)])
    lab.clock.at = when(15, 0)  # type: ignore[attr-defined]
    found = ask_retention(lab, retention(unit="week", until=when(14, 0), periods=1), actor=SOMEBODY)
    assert [(row.people, row.returned[1], row.complete) for row in found.rows] == [(1, 1, (True, True)), (1, 0, (True, False))]
    assert found.overall == (0.0, 1.0)


def test_where_events_end_nobody_knows_who_came_back_after_that(lab: Context) -> None:
    put(lab, [happened("ann", "in", 0), happened("bob", "in", 8)])
    found = ask_retention(lab, retention(unit="week", until=when(14, 0), periods=2), actor=SOMEBODY)
    assert [row.complete for row in found.rows] == [(True, False, False), (False, False, False)]


def test_a_start_and_a_return_may_be_different_events(lab: Context) -> None:
    put(
        lab,
        [happened("ann", "sign up", 0, 5), happened("ann", "buy", 0, 9), happened("bob", "buy", 0, 1), happened("bob", "sign up", 0, 2)],
    )
    query = retention(start={"name": "sign up"}, back={"name": "buy"}, periods=1)
    found = ask_retention(lab, query, actor=SOMEBODY).rows[0]
    assert (found.people, found.returned) == (2, (1, 0)), "bob bought before he signed up"


def test_use_is_new_returning_resurrected_or_dormant(lab: Context) -> None:
    days = {"ann": [0, 7, 21], "bob": [7], "cem": [-20, 8]}
    put(lab, [happened(person, "search", day, feature="search") for person, at in days.items() for day in at])
    put(lab, [happened("dan", "open", 7)])
    query = UsageQuery(venture="apollo", since=when(0, 0), until=when(28, 0), feature="search", unit=Unit.WEEK)
    found = ask_usage(lab, query, actor=SOMEBODY)
    assert [(p.active, p.new, p.returning, p.resurrected, p.dormant, p.everybody) for p in found.periods] == [
        (1, 1, 0, 0, 0, 1), (3, 1, 1, 1, 0, 4), (0, 0, 0, 0, 3, 0), (1, 0, 0, 1, 0, 1),
    ]  # fmt: skip
    assert found.periods[1].share == 0.75


def test_active_people_of_a_day_a_week_and_a_month_are_counted_once_each(lab: Context) -> None:
    put(lab, [happened("ann", "open", day) for day in (0, 1, 3)] + [happened("bob", "open", day) for day in (-3, 8)])
    found = ask_usage(lab, UsageQuery(venture="apollo", since=when(0, 0), until=when(10, 0)), actor=SOMEBODY)
    assert [(d.daily, d.weekly, d.monthly) for d in found.days] == [
        (1, 2, 2), (1, 2, 2), (0, 2, 2), (1, 2, 2), (0, 1, 2), (0, 1, 2), (0, 1, 2), (0, 1, 2), (1, 2, 2), (0, 2, 2),
        (0, 1, 2), (0, 1, 2), (0, 1, 2), (0, 1, 2),
    ][: len(found.days)]  # fmt: skip
    assert found.days[0].stickiness == 0.5


def test_time_to_first_use_is_that_of_people_who_are_new_in_the_range(lab: Context) -> None:
    put(lab, [happened("old", "open", -5), happened("old", "search", 1, feature="search")])
    put(lab, [happened("ann", "open", 0, 1), happened("ann", "search", 0, 3, feature="search"), happened("bob", "open", 2)])
    query = UsageQuery(venture="apollo", since=when(0, 0), until=when(10, 0), feature="search")
    found = ask_usage(lab, query, actor=SOMEBODY)
    assert (found.newcomers, found.adopted, found.first_use_median_s) == (2, 1, 7200)


def test_paths_collapse_repeats_and_end_with_the_session(lab: Context) -> None:
    minute = 1 / 60
    for n, names in enumerate((["open", "search", "search", "view"], ["open", "search", "buy"], ["open"])):
        put(lab, [happened(f"p{n}", name, 0, 10 + k * minute) for k, name in enumerate(names)])
    put(lab, [happened("p2", "view", 0, 12)])
    query = PathsQuery(venture="apollo", since=when(0, 0), until=when(1, 0), steps=3)
    found = ask_paths(lab, query, actor=SOMEBODY)
    assert found.sessions == 4
    assert dict(found.paths) == {("open", "search", "view"): 1, ("open", "search", "buy"): 1, ("open",): 1, ("view",): 1}
    assert [(m.step, m.before, m.after, m.sessions) for m in found.moves] == [
        (0, "open", "search", 2), (1, "search", "buy", 1), (1, "search", "view", 1),
    ]  # fmt: skip


def test_paths_are_told_from_an_event_on_or_back_from_one(lab: Context) -> None:
    put(lab, [happened("ann", name, 0, 10 + n / 100) for n, name in enumerate(["a", "b", "c", "b", "d"])])
    base = {"venture": "apollo", "since": when(0, 0), "until": when(1, 0), "steps": 3}
    after = ask_paths(lab, PathsQuery.model_validate(base | {"start": {"name": "b"}}), actor=SOMEBODY)
    before = ask_paths(lab, PathsQuery.model_validate(base | {"end": {"name": "b"}}), actor=SOMEBODY)
    assert (dict(after.paths), dict(before.paths)) == ({("b", "c", "b"): 1}, {("b", "c", "b"): 1})
    none = ask_paths(lab, PathsQuery.model_validate(base | {"end": {"name": "z"}}), actor=SOMEBODY)
    assert (none.sessions, none.paths, none.backward) == (0, (), True)


def test_a_saved_cohort_narrows_every_question(lab: Context) -> None:
    put(lab, [happened("ann", "view", day) for day in (25, 26, 27)] + [happened("bob", "view", 26)] + [happened("ann", "buy", 28)])
    often = CohortSpec(conditions=(CohortCondition(event=EventMatch(name="view"), times_min=2, days=10),))
    listed = CohortSpec(people=("bob", "nobody"))
    with lab.store.write() as unit:
        for name, spec in (("often", often), ("listed", listed)):
            unit.analytics_usage.put_definition(
                "Cohort", "apollo", name, spec.model_dump(mode="json"), base="", author="t", now=lab.clock.now()
            )
    assert [s.people for s in ask_funnel(lab, funnel("view", "buy", cohort="often"), actor=SOMEBODY).steps] == [1, 1]
    assert [s.people for s in ask_funnel(lab, funnel("view", "buy", cohort="listed"), actor=SOMEBODY).steps] == [1, 0]
    query = RetentionQuery(venture="apollo", since=when(20, 0), until=when(30, 0), unit=Unit.DAY, periods=1, cohort="listed")
    assert sum(row.people for row in ask_retention(lab, query, actor=SOMEBODY).rows) == 1
    assert ask_cohort(lab, "apollo", "often", at=when(30), actor=SOMEBODY).keys == ("ann",)
    assert ask_cohort(lab, "apollo", "often", at=when(50), actor=SOMEBODY).people == 0
    with pytest.raises(NotFoundError, match="known: listed, often"):
        ask_funnel(lab, funnel("view", "buy", cohort="rare"), actor=SOMEBODY)


def test_a_cohort_of_conditions_joins_them(lab: Context) -> None:
    put(lab, [happened("ann", "view", 9), happened("ann", "buy", 9), happened("bob", "view", 9), happened("cem", "buy", 9)])
    did, not_ = CohortCondition(event=EventMatch(name="view")), CohortCondition(event=EventMatch(name="buy"), times_min=0, times_max=0)
    bought = CohortCondition(event=EventMatch(name="buy"))

    def keys(**spec: object) -> tuple[str, ...]:
        return ask_cohort(lab, "apollo", "try", at=when(10), actor=SOMEBODY, spec=CohortSpec(**spec)).keys  # type: ignore[arg-type]

    assert keys(conditions=(did, not_)) == ("bob",)
    assert keys(conditions=(did, bought)) == ("ann",)
    assert keys(conditions=(did, bought), join="any") == ("ann", "bob", "cem")


def test_segments_count_a_person_in_each_value(lab: Context) -> None:
    put(
        lab,
        [
            happened("ann", "view", 0, platform="web"),
            happened("ann", "view", 0, 13, platform="ios"),
            happened("bob", "view", 0, platform="web"),
        ],
    )
    found = ask_segments(lab, SegmentQuery(venture="apollo", since=when(0, 0), until=when(1, 0), by="platform"), actor=SOMEBODY)
    assert [(s.value, s.events, s.people) for s in found.segments] == [("web", 2, 2), ("ios", 1, 1)]
    assert (found.events, found.people) == (3, 2)


def test_performance_is_exact_by_feature_and_version(lab: Context) -> None:
    put(lab, [
        happened(f"p{n}", "search", n % 3, feature="search", version=f"1.{n % 2}", duration_ms=float(n), failed=n % 10 == 0)
        for n in range(101)
    ])  # fmt: skip
    found = ask_performance(lab, Ranged(venture="apollo", since=when(0, 0), until=when(9, 0)), feature="search", actor=SOMEBODY)
    assert [(p.version, p.events, p.failures, p.p50_ms, p.p99_ms) for p in found] == [
        ("1.0", 51, 11, 50.0, 99.0), ("1.1", 50, 0, 50.0, pytest.approx(98.02)),
    ]  # fmt: skip


def test_without_events_the_answer_says_so(lab: Context) -> None:
    found = ask_funnel(lab, funnel("view", "buy"), actor=SOMEBODY)
    assert (found.basis.empty, [step.people for step in found.steps], found.median_s) == (True, [0, 0], None)
    rows = ask_retention(lab, retention(), actor=SOMEBODY)
    assert (rows.basis.empty, rows.overall[1]) == (True, None)


def test_who_may_not_see_the_venture_hears_that_there_is_none(lab: Context) -> None:
    stranger = Actor("eve", "api", Principal("eve", (Grant(Role.ADMIN, venture="zeus"),)))
    with pytest.raises(NotFoundError, match="there is no venture 'apollo'"):
        ask_funnel(lab, funnel("view", "buy"), actor=stranger)
    narrow = Actor("ci", "api", Principal("ci", (Grant(Role.ADMIN),), operations=frozenset()))
    with pytest.raises((ForbiddenError, NotFoundError)):
        ask_funnel(lab, funnel("view", "buy"), actor=narrow)


def test_many_files_of_a_day_give_the_same_answer_as_one(lab: Context, tmp_path: Path) -> None:
    events = [happened(f"p{n % 7}", name, 0, 1 + n / 50) for n in range(200) for name in (("view",) if n % 3 else ("view", "buy"))]
    put(lab, events)
    for part in range(9):
        put(lab, events[part::9], "apollo")  # all known already
    other = usage_context(lab, tmp_path / "other")
    with lab.store.write() as unit:
        unit.catalog.put_venture("zeus", title="", description="", author="t", now=lab.clock.now())
    for part in range(9):
        put(other, events[part::9], "zeus")
    one = ask_funnel(lab, funnel("view", "buy"), actor=SOMEBODY)
    query = funnel("view", "buy").model_copy(update={"venture": "zeus"})
    many = ask_funnel(other, query, actor=SOMEBODY)
    assert (many.basis.files, many.basis.events) == (9, one.basis.events)
    assert many.steps == one.steps
    asked = retention(periods=2, back={"name": "buy"})
    assert (
        ask_retention(lab, asked, actor=SOMEBODY).rows
        == ask_retention(other, asked.model_copy(update={"venture": "zeus"}), actor=SOMEBODY).rows
    )


def test_a_range_has_an_end_and_limits() -> None:
    with pytest.raises(ValueError, match="not after"):
        Ranged(venture="apollo", since=when(1), until=when(1))
    with pytest.raises(ValueError, match="more than 1100 days"):
        Ranged(venture="apollo", since=when(0), until=when(0) + timedelta(days=1101))
    assert Frozen().now() == when(60, 0)


def test_answers_are_frames_for_those_who_calculate_on(lab: Context) -> None:
    put(lab, [happened("ann", "view", 0, platform="web"), happened("ann", "buy", 1)])
    base = {"venture": "apollo", "since": when(0, 0), "until": when(7, 0)}
    steps = frame_of(ask_funnel(lab, funnel("view", "buy"), actor=SOMEBODY))
    assert steps["people"].tolist() == [1, 1]
    cells = frame_of(ask_retention(lab, retention(periods=2), actor=SOMEBODY))
    assert cells.shape == (21, 6)
    assert cells[(cells["first"] == 1) & (cells["people"] > 0)]["returned"].tolist() == [1]
    assert frame_of(ask_usage(lab, UsageQuery.model_validate(base), actor=SOMEBODY))["share"].tolist() == [1.0]
    assert frame_of(ask_paths(lab, PathsQuery.model_validate(base), actor=SOMEBODY)).empty
    assert frame_of(ask_segments(lab, SegmentQuery.model_validate(base | {"by": "platform"}), actor=SOMEBODY))["value"].tolist() == [
        "(none)",
        "web",
    ]
