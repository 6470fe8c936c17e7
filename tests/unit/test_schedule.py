"""The scheduler: what it gives is right, and as good as can be."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from productops.stats.schedule import Activity, Goal, Link, Mode, Problem, ProblemError, Resource, Schedule, Status, check, violations
from productops.stats.schedule.packed import pack
from productops.stats.schedule.prices import priced_bound, prices
from productops.stats.schedule.solve import solve, warm_up

LIMIT_S = 6.0


def task(label: str, duration: int, *, units: int = 1, resource: int = 0, **more: int | None) -> Activity:
    return Activity(label, (Mode(duration, ((resource, units),)),), **more)  # type: ignore[arg-type]


def test_three_tasks_on_one_resource_take_as_long_as_all_together() -> None:
    found = solve(Problem((task("a", 3), task("b", 2), task("c", 4)), resources=(Resource("r", 1),)), LIMIT_S)
    assert (found.makespan, found.bound, found.status) == (9, 9, Status.OPTIMAL)


def test_a_lag_is_waited_for() -> None:
    found = solve(Problem((task("a", 3), task("b", 2)), (Link(0, 1, 5),), (Resource("r", 2),)), LIMIT_S)
    assert (found.starts, found.makespan, found.proven) == ((0, 8), 10, True)


def test_work_that_may_not_pause_waits_until_the_gap_is_over() -> None:
    found = solve(Problem((task("a", 4),), resources=(Resource("r", 1, ((2, 5, 0),)),)), LIMIT_S)
    assert (found.starts, found.ends) == ((5,), (9,))


def test_work_that_pauses_goes_on_after_the_gap() -> None:
    pausing = Activity("a", (Mode(4, ((0, 1),), pausing=True),))
    found = solve(Problem((pausing,), resources=(Resource("r", 1, ((2, 5, 0),)),)), LIMIT_S)
    assert (found.starts, found.ends, found.proven) == ((0,), (7,), True)


def test_the_faster_of_two_modes_is_taken_unless_it_is_busy() -> None:
    modes = (Mode(2, ((0, 1),)), Mode(3, ((1, 1),)))
    found = solve(Problem((Activity("a", modes), Activity("b", modes)), resources=(Resource("fast", 1), Resource("slow", 1))), LIMIT_S)
    assert (sorted(found.modes), found.makespan, found.proven) == ([0, 1], 3, True)


def test_what_has_started_stays_where_it_is() -> None:
    found = solve(Problem((task("a", 3, fixed_start=2), task("b", 3)), resources=(Resource("r", 1),)), LIMIT_S)
    assert found.starts == (2, 5)


def test_of_the_shortest_schedules_the_one_with_the_least_lateness_is_taken() -> None:
    activities = (task("a", 3, due=9, weight=1), task("b", 3, due=3, weight=5), task("c", 3, due=6, weight=2))
    found = solve(Problem(activities, resources=(Resource("r", 1),), goals=(Goal.MAKESPAN, Goal.COST)), LIMIT_S)
    assert (found.makespan, found.cost, found.starts) == (9, 0, (6, 0, 3))


def test_when_lateness_counts_first_a_longer_schedule_may_be_the_best() -> None:
    activities = (task("now", 2, due=2, weight=10), task("free", 2, release=1))
    found = solve(Problem(activities, resources=(Resource("r", 1),), goals=(Goal.COST, Goal.MAKESPAN)), LIMIT_S)
    assert (found.cost, found.makespan, found.proven) == (0, 4, True)


def test_levelling_spreads_the_work_and_makes_nothing_longer() -> None:
    activities = (task("long", 6, resource=1), task("a", 2), task("b", 2), task("c", 2))
    resources = (Resource("r", 3), Resource("s", 1))
    found = solve(Problem(activities, resources=resources, goals=(Goal.MAKESPAN, Goal.LEVEL)), LIMIT_S)
    assert (found.makespan, sorted(found.starts[1:])) == (6, [0, 2, 4])


def test_a_deadline_that_cannot_be_kept_is_named_with_what_is_in_its_way() -> None:
    activities = (task("a", 3), task("b", 3), task("c", 1, deadline=5), task("d", 4))
    problem = Problem(activities, (Link(0, 1), Link(1, 2)), (Resource("r", 2),))
    found = solve(problem, LIMIT_S)
    assert found.status is Status.INFEASIBLE
    assert set(found.conflict) == {"a before b", "b before c", "deadline of c"}


def test_two_that_have_started_on_the_same_person_are_named() -> None:
    activities = (task("a", 3, fixed_start=0), task("b", 3, fixed_start=1))
    found = solve(Problem(activities, resources=(Resource("r", 1),)), LIMIT_S)
    assert (found.status, set(found.conflict)) == (Status.INFEASIBLE, {"capacity of r", "start of a", "start of b"})


def test_a_circle_is_named_along_its_links() -> None:
    with pytest.raises(ProblemError, match="b → c → b|c → b → c"):
        check(Problem((task("a", 1), task("b", 1), task("c", 1)), (Link(0, 1), Link(1, 2), Link(2, 1)), (Resource("r", 1),)))


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (Problem(()), "nothing to schedule"),
        (Problem((Activity("a", ()),)), "has no mode"),
        (Problem((Activity("a", (Mode(1, ((3, 1),)),)),)), "a resource that is not there"),
        (Problem((task("a", -1),), resources=(Resource("r", 1),)), "lasts -1 slots"),
        (Problem((task("a", 1),), resources=(Resource("r", -1),)), "capacity below 0"),
        (Problem((task("a", 1, release=-1),), resources=(Resource("r", 1),)), "release"),
        (Problem((task("a", 1, fixed_mode=2),), resources=(Resource("r", 1),)), "no mode 2"),
        (Problem((task("a", 1),), (Link(0, 4),), (Resource("r", 1),)), "not there"),
        (Problem((task("a", 1), Activity("b", (Mode(1, ((0, 1),), pausing=True),))), (), (Resource("r", 1),)), "some modes pause"),
    ],
)
def test_nonsense_is_refused_with_its_name(problem: Problem, words: str) -> None:
    with pytest.raises(ProblemError, match=words):
        check(problem)


def test_a_schedule_that_breaks_rules_is_told_which() -> None:
    problem = Problem((task("a", 2, deadline=3), task("b", 2, release=1)), (Link(0, 1),), (Resource("r", 1),))
    wrong = violations(problem, Schedule(Status.FEASIBLE, starts=(2, 0), ends=(4, 1), modes=(0, 0)))
    assert wrong == ["b starts before a has ended", "a ends after its deadline", "b has 1 slots, not 2", "b starts before its release"]


def test_a_schedule_that_was_known_is_where_the_search_begins() -> None:
    activities = tuple(task(f"t{i}", 1 + i % 4) for i in range(12))
    problem = Problem(activities, resources=(Resource("r", 2),))
    first = solve(problem, 1.0)
    assert solve(problem, 0.3, hint=first).makespan <= first.makespan


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    count = draw(st.integers(1, 5))
    gap = draw(st.integers(0, 4))
    capacity = draw(st.integers(1, 3))
    numbers = st.integers(1, 3)
    activities = tuple(
        task(f"a{i}", draw(numbers), units=draw(st.integers(1, capacity)), release=draw(st.integers(0, 3))) for i in range(count)
    )
    links = tuple(Link(i, j, draw(st.integers(0, 2))) for i, j in itertools.combinations(range(count), 2) if draw(st.integers(0, 3)) == 0)
    return Problem(activities, links, (Resource("r", capacity, ((gap, gap + 2, draw(st.integers(0, capacity))),)),))


def shortest(problem: Problem) -> int:
    """By trying all orders: for a regular goal some order is the best one when each is placed as early as it can be."""
    best = 10**9
    for order in itertools.permutations(range(len(problem.activities))):
        if any(order.index(link.before) > order.index(link.after) for link in problem.links):
            continue
        best = min(best, placed(problem, order))
    return best


def placed(problem: Problem, order: tuple[int, ...]) -> int:
    resource = problem.resources[0]
    left = [resource.capacity] * 80
    for begin, end, units in resource.changes:
        left[begin:end] = [units] * (end - begin)
    ends: dict[int, int] = {}
    for i in order:
        activity = problem.activities[i]
        mode = activity.modes[0]
        at = max([activity.release, *(ends[k.before] + k.lag for k in problem.links if k.after == i)])
        while min(left[at : at + mode.duration]) < mode.demands[0][1]:
            at += 1
        for t in range(at, at + mode.duration):
            left[t] -= mode.demands[0][1]
        ends[i] = at + mode.duration
    return max(ends.values())


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(problems())
def test_small_problems_are_solved_as_well_as_by_trying_everything(problem: Problem) -> None:
    found = solve(problem, 5.0, workers=1)
    assert found.makespan == shortest(problem)
    assert found.proven
    assert violations(problem, found) == []


def crew(change: int = 0) -> Problem:
    """Thirty tasks for three people, one of whom is slower; the third task grows by ``change``."""
    activities = []
    for n in range(30):
        length = 2 + n % 3 + (change if n == 2 else 0)
        modes = tuple(Mode(length + (who == 2), ((who, 1),), pausing=True) for who in range(3))
        activities.append(Activity(f"t{n}", modes, due=12 + n, weight=1))
    links = tuple(Link(n, n + 4) for n in range(0, 24, 3))
    people = tuple(Resource(f"p{who}", 1, ((7 + who, 9 + who, 0),)) for who in range(3))
    return Problem(tuple(activities), links, people, (Goal.COST, Goal.MAKESPAN))


def test_after_a_change_most_stays_where_it_was_and_the_rest_is_sound() -> None:
    before = solve(crew(), 1.0)
    kept = [
        replace(activity, kept_start=before.starts[i], kept_mode=before.modes[i], change_cost=3, due=max(activity.due or 0, before.ends[i]))
        for i, activity in enumerate(crew(change=5).activities)
    ]
    problem = replace(crew(change=5), activities=tuple(kept))
    after = solve(problem, 1.5)
    assert violations(problem, after) == []
    moved = sum((after.starts[i], after.modes[i]) != (before.starts[i], before.modes[i]) for i in range(30))
    assert 0 < moved <= 15


def test_prices_bound_what_no_split_of_the_work_can_beat() -> None:
    modes = (Mode(4, ((0, 1),)), Mode(8, ((1, 1),)))
    problem = Problem(tuple(Activity(f"t{n}", modes) for n in range(9)), resources=(Resource("fast", 1), Resource("slow", 1)))
    p = pack(problem, 40)
    price = prices(p, 24)
    assert price is not None
    nothing = [0] * 9
    assert priced_bound(p, price, nothing, nothing) == 24
    assert solve(problem, LIMIT_S).makespan == 24


def test_everything_is_compiled_once_beforehand() -> None:
    warm_up()
