"""Plans of development work: who does what when, what is critical, what is late, and what would be if."""

from __future__ import annotations

import json
import xml.dom.minidom
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from productops.domain.development_plan import Estimate, Feature, Person, Plan, PlanRequest, WorkCalendar, WorkItem
from productops.domain.development_plan_change import (
    add_person,
    bottleneck,
    compare,
    drop_feature,
    item_changed,
    move_deadline,
    replan,
)
from productops.domain.development_plan_make import make_plan
from productops.domain.development_plan_picture import draw_gantt
from productops.domain.development_plan_text import as_document, gantt, side_by_side
from productops.domain.development_plan_time import Slots
from productops.domain.release_windows import Interval
from productops.errors import DependencyCycleError, ImpossiblePlanError, InvalidInputError, NotFoundError

MONDAY = datetime(2026, 9, 7, 9, tzinfo=UTC)
# Enough on a busy machine; what is proven sooner ends sooner.
LIMIT_S = 5.0


def hours(count: float) -> Estimate:
    return Estimate(count, count, count)


def item(name: str, count: float = 4, skill: str = "backend", **more: object) -> WorkItem:
    return WorkItem(name, f"task {name}", skill, estimate=hours(count), **more)  # type: ignore[arg-type]


def person(name: str, share: float = 1.0, away: tuple[Interval, ...] = (), **skills: float) -> Person:
    return Person(name, name.capitalize(), skills or {"backend": 1.0}, share, away)


def request(items: list[WorkItem], people: list[Person], **more: object) -> PlanRequest:
    return PlanRequest(MONDAY, tuple(items), tuple(people), **more)  # type: ignore[arg-type]


def planned(plan: Plan, name: str) -> tuple[str, datetime, datetime]:
    task = plan.task(name)
    assert task is not None
    return task.person, task.starts_at, task.ends_at


def day(number: int, hour: int) -> datetime:
    return MONDAY.replace(hour=hour) + timedelta(days=number)


def test_two_tasks_in_a_row_stop_for_lunch_and_for_the_night() -> None:
    plan = make_plan(request([item("a", 6), item("b", 4, after=("a",))], [person("ann")]), limit_s=LIMIT_S)
    assert planned(plan, "a") == ("ann", day(0, 9), day(0, 16))
    assert planned(plan, "b") == ("ann", day(0, 16), day(1, 11))
    assert (plan.length_h, plan.proven, plan.critical) == (10, True, ("a", "b"))


def test_a_weekend_and_a_holiday_are_not_worked() -> None:
    holiday = Interval(day(7, 0), day(8, 0))
    plan = make_plan(request([item("a", 44)], [person("ann")], calendar=WorkCalendar(holidays=(holiday,))), limit_s=LIMIT_S)
    assert planned(plan, "a")[2] == day(8, 13)


def test_who_is_away_goes_on_after_the_absence() -> None:
    plan = make_plan(request([item("a", 12)], [person("ann", away=(Interval(day(1, 0), day(3, 0)),))]), limit_s=LIMIT_S)
    assert planned(plan, "a") == ("ann", day(0, 9), day(3, 13))
    assert plan.loads[0].available_h == 12
    assert plan.loads[0].share == 1.0


def test_half_a_person_takes_twice_as_long_and_a_fast_one_less() -> None:
    half = make_plan(request([item("a", 4)], [person("ann", 0.5)]), limit_s=LIMIT_S)
    fast = make_plan(request([item("a", 4)], [person("ann", backend=2.0)]), limit_s=LIMIT_S)
    assert (half.length_h, fast.length_h) == (8, 2)


def test_a_task_goes_to_someone_with_the_skill() -> None:
    people = [person("ann", backend=1.0), person("bob", frontend=1.0)]
    plan = make_plan(request([item("page", 3, "frontend"), item("table", 3, "backend")], people), limit_s=LIMIT_S)
    assert (planned(plan, "page")[0], planned(plan, "table")[0], plan.length_h) == ("bob", "ann", 3)


def test_what_is_under_way_stays_with_whoever_has_it_and_counts_only_what_is_left() -> None:
    work = [item("a", 8, started=True, person="bob", done_share=0.5), item("b", 2), item("c", 2)]
    plan = make_plan(request(work, [person("ann"), person("bob")]), limit_s=LIMIT_S)
    assert planned(plan, "a") == ("bob", day(0, 9), day(0, 13))
    assert {planned(plan, name)[0] for name in "bc"} == {"ann"}


def test_what_is_done_is_not_planned_and_nobody_waits_for_it() -> None:
    plan = make_plan(request([item("a", 8, done_share=1.0), item("b", 2, after=("a",))], [person("ann")]), limit_s=LIMIT_S)
    assert [task.item for task in plan.tasks] == ["b"]
    assert plan.length_h == 2


def test_the_mean_of_three_points_times_what_history_says_is_planned() -> None:
    three = WorkItem("a", "a", "backend", estimate=Estimate(2, 4, 12))
    assert PlanRequest(MONDAY, (three,), (), history={"backend": 1.5}).hours(three) == pytest.approx(7.5)
    usual = WorkItem("b", "b", "backend")
    assert PlanRequest(MONDAY, (usual,), (), usual_h={"backend": 6}).hours(usual) == 6


def test_the_feature_that_is_due_first_lands_first_when_that_makes_nothing_longer() -> None:
    features = (Feature("slow", "Slow", deadline=day(1, 18)), Feature("soon", "Soon", priority=5, deadline=day(0, 18)))
    work = [item("a", 8, feature="slow"), item("b", 8, feature="soon")]
    plan = make_plan(request(work, [person("ann")], features=features), limit_s=LIMIT_S)
    assert {each.feature: each.late_h for each in plan.landings} == {"slow": 0, "soon": 0}
    assert planned(plan, "b")[1] == day(0, 9)


def test_lateness_is_counted_in_working_hours() -> None:
    features = (Feature("f", "F", deadline=day(0, 18)),)
    plan = make_plan(request([item("a", 12, feature="f")], [person("ann")], features=features), limit_s=LIMIT_S)
    assert (plan.landings[0].late_h, plan.landings[0].lands_at) == (4, day(1, 13))


def test_a_deadline_that_cannot_be_kept_is_refused_with_what_is_in_its_way() -> None:
    features = (Feature("f", "F", deadline=day(0, 18), binding=True),)
    work = [item("a", 6, feature="f"), item("b", 6, feature="f", after=("a",)), item("c", 1)]
    with pytest.raises(ImpossiblePlanError, match="deadline of feature f") as caught:
        make_plan(request(work, [person("ann"), person("bob")], features=features), limit_s=LIMIT_S)
    assert set(caught.value.extra["conflict"]) == {"a before b", "b before feature f", "deadline of feature f"}
    assert (caught.value.status, caught.value.slug) == (422, "impossible-plan")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (request([item("a", after=("z",))], [person("ann")]), "a waits for z, which is not in the plan"),
        (request([item("a"), item("a")], [person("ann")]), "item 'a' is there twice"),
        (request([item("a", feature="z")], [person("ann")]), "feature 'z', which is not in the plan"),
        (request([item("a", done_share=2.0)], [person("ann")]), "from 0 to 1"),
        (request([item("a", skill="cobol")], [person("ann")]), "needs skill 'cobol', which nobody has"),
        (request([item("a", started=True, person="zoe")], [person("ann")]), "which zoe has not"),
        (request([WorkItem("a", "a", "backend")], [person("ann")]), "no estimate"),
        (request([WorkItem("a", "a", "backend", estimate=Estimate(5, 4, 6))], [person("ann")]), "in that order"),
        (request([item("a", done_share=1.0)], [person("ann")]), "nothing to plan"),
        (request([], [person("ann")]), "1 to 5,000 items"),
        (request([item("a")], [person("ann", 0.0)]), "share of time"),
        (replace(request([item("a")], [person("ann")]), starts_at=MONDAY.replace(tzinfo=None)), "no time zone"),
        (request([item("a")], [person("ann")], calendar=WorkCalendar(weekdays=())), "no working hours"),
    ],
)
def test_a_request_that_cannot_be_planned_says_what_is_wrong(wrong: PlanRequest, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        make_plan(wrong, limit_s=LIMIT_S)


def test_a_circle_of_dependencies_is_named() -> None:
    with pytest.raises(DependencyCycleError, match="a → b → a|b → a → b"):
        make_plan(request([item("a", after=("b",)), item("b", after=("a",))], [person("ann")]), limit_s=LIMIT_S)


def test_slack_is_how_far_a_task_can_slip_and_the_chain_has_none() -> None:
    work = [item("long", 8), item("short", 3, skill="docs"), item("end", 2, after=("long", "short"))]
    plan = make_plan(request(work, [person("ann"), person("bob", docs=1.0)]), limit_s=LIMIT_S)
    slack = {task.item: task.slack_h for task in plan.tasks}
    assert (slack["long"], slack["end"], plan.critical) == (0, 0, ("long", "end"))
    short = plan.task("short")
    assert short is not None
    assert short.slack_h == 8 - short.slot_to


def team() -> PlanRequest:
    people = [person("ann"), person("bob", backend=0.8, docs=1.0), person("cid", docs=1.0)]
    work = [item(f"i{n:02}", 3 + n % 4, "docs" if n % 3 == 0 else "backend", feature=f"f{n % 2}") for n in range(16)]
    work = [replace(each, after=(f"i{n - 3:02}",)) if n >= 3 and n % 4 == 0 else each for n, each in enumerate(work)]
    return request(work, people, features=(Feature("f0", "First"), Feature("f1", "Second", deadline=day(3, 18))))


def test_planned_again_with_nothing_changed_nothing_moves() -> None:
    before = make_plan(team(), limit_s=LIMIT_S)
    after = replan(team(), before, limit_s=LIMIT_S)
    assert (after.moves, after.kept, after.new, after.gone) == ((), 16, (), ())
    assert after.plan.length_h == before.length_h


def test_after_one_change_few_tasks_move_and_each_says_why() -> None:
    before = make_plan(team(), limit_s=LIMIT_S)
    absent = replace(
        team(), people=(team().people[0], replace(team().people[1], absences=(Interval(day(1, 0), day(2, 0)),)), team().people[2])
    )
    after = replan(absent, before, limit_s=LIMIT_S)
    fresh = make_plan(absent, limit_s=LIMIT_S)
    where = {task.item: (task.person, task.starts_at) for task in before.tasks}
    scattered = sum(where[task.item] != (task.person, task.starts_at) for task in fresh.tasks)
    assert 0 < len(after.moves) <= scattered
    assert len(after.moves) + after.kept == 16
    assert all(move.why for move in after.moves)


def test_a_person_who_left_is_the_reason_why_the_tasks_move() -> None:
    both = request([item("a", 8), item("b", 8)], [person("ann"), person("bob")])
    before = make_plan(both, limit_s=LIMIT_S)
    after = replan(replace(both, people=(both.people[0],)), before, limit_s=LIMIT_S)
    assert [move.why for move in after.moves] == ["bob is no longer there"]
    assert after.plan.length_h == 16


def test_a_new_task_and_one_that_is_gone_are_told_apart() -> None:
    before = make_plan(request([item("a"), item("b")], [person("ann")]), limit_s=LIMIT_S)
    after = replan(request([item("a"), item("c")], [person("ann")]), before, limit_s=LIMIT_S)
    assert (after.new, after.gone) == (("c",), ("b",))


def test_a_task_that_grows_pushes_only_what_follows_it() -> None:
    first = request([item("a", 4), item("b", 4, after=("a",)), item("c", 4, skill="docs")], [person("ann"), person("cid", docs=1.0)])
    before = make_plan(first, limit_s=LIMIT_S)
    after = replan(item_changed(first, item("a", 6)), before, limit_s=LIMIT_S)
    assert [(move.item, move.why) for move in after.moves] == [("b", "a, which it waits for, ends later")]


def test_cases_are_compared_with_the_plan_as_it_is() -> None:
    base = request(
        [item("a", 8, feature="f"), item("b", 8, feature="g"), item("c", 8, feature="g")],
        [person("ann")],
        features=(Feature("f", "F", deadline=day(0, 18)), Feature("g", "G", deadline=day(1, 18))),
    )
    cases = {"one more": add_person(person("bob")), "without G": drop_feature("g"), "G later": move_deadline("g", day(4, 18))}
    found = {each.name: each for each in compare(base, cases, limit_s=LIMIT_S)}
    assert {name: each.saved_h for name, each in found.items()} == {"as it is": 0, "one more": 8, "without G": 16, "G later": 0}
    assert (found["as it is"].late_h, found["G later"].late_features) == (8, ())
    table = side_by_side(tuple(found.values()))
    assert table.splitlines()[0].split() == ["case", "ends", "(UTC)", "hours", "saved", "late", "late", "features"]
    assert len(table.splitlines()) == 5


def test_a_case_about_a_feature_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(NotFoundError, match="it has f0, f1"):
        drop_feature("z")(team())
    with pytest.raises(NotFoundError, match="no item 'z'"):
        item_changed(team(), item("z"))


def test_the_bottleneck_is_the_skill_of_which_one_more_person_saves_most() -> None:
    work = [item(f"b{n}", 8) for n in range(4)] + [item("d", 4, "docs")]
    asked = request(work, [person("ann"), person("cid", docs=1.0)])
    found = bottleneck(asked, make_plan(asked, limit_s=LIMIT_S), limit_s=LIMIT_S)
    assert found is not None
    assert (found.skill, found.people, found.saved_h, found.share) == ("backend", ("ann",), 16, 1.0)


def test_the_picture_is_well_formed_and_says_what_every_bar_is() -> None:
    plan = make_plan(request([item("a<b", 4), item("c", 8)], [person("ann"), person("bob")]), limit_s=LIMIT_S)
    picture = draw_gantt(plan, title="Plan & more")
    xml.dom.minidom.parseString(picture)
    assert "a&lt;b: task a&lt;b, Mon 07 Sep 09:00" in picture


def test_the_text_shows_everybody_and_where_features_land() -> None:
    plan = make_plan(team(), limit_s=LIMIT_S)
    text = gantt(plan, width=80)
    lines = text.splitlines()
    assert f"({plan.length_h} working hours; " in lines[0]
    assert max(len(line) for line in lines[1:4]) <= 80
    assert {line.split()[0] for line in lines[1:4]} == {"Ann", "Bob", "Cid"}
    assert "First" in text
    assert "critical chain" in lines[-1]


def test_the_document_is_plain_json_with_times_that_say_their_zone() -> None:
    document = json.loads(json.dumps(as_document(make_plan(team(), limit_s=LIMIT_S))))
    assert datetime.fromisoformat(document["tasks"][0]["starts_at"]).tzinfo is not None
    assert {each["feature"] for each in document["features"]} == {"f0", "f1"}
    assert len(document["people"]) == 3


def test_working_hours_keep_to_the_clock_of_the_place_when_it_changes() -> None:
    berlin = WorkCalendar("Europe/Berlin", hours=((time(9), time(17)),))
    slots = Slots(berlin, datetime(2026, 10, 23, 7, tzinfo=UTC))
    friday, monday = slots.starts_at(0), slots.starts_at(8)
    assert (friday.hour, monday.hour) == (7, 8)
    assert monday.astimezone(ZoneInfo("Europe/Berlin")).hour == 9


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 400), st.integers(0, 120))
def test_hours_and_slots_lead_back_to_each_other(slot: int, minutes: int) -> None:
    slots = Slots(WorkCalendar(), MONDAY)
    at = slots.starts_at(slot)
    assert slots.first_from(at) == slot
    assert slots.ended_by(slots.ends_at(slot + 1)) == slot + 1
    assert slots.first_from(at - timedelta(minutes=min(minutes, 59))) <= slot
