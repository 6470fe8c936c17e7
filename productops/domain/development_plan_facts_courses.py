"""Thousands of courses that a plan may take: by when each feature and each sprint is done, with which chance."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from productops.domain.development_forecast import DoneTask, ThreePoint, learn_estimates
from productops.domain.development_plan import Person, Plan, PlannedTask, PlanRequest, WorkItem
from productops.domain.development_plan_facts import PastWork, SprintWork
from productops.domain.development_plan_facts_history import around
from productops.domain.development_plan_time import Slots
from productops.stats.forecast_calibration import corrected_level, place_of
from productops.stats.forecast_error import EstimateError
from productops.stats.forecast_run import LEVELS, RUNS, Estimates, efforts

Floats = NDArray[np.float64]
METHOD = "courses of the plan"
CELLS_MAX = 4_000_000
RUNS_MIN = 1_000
GRID = tuple(level / 100 for level in range(1, 100))
ABSENCES_TO_H = 20_000
MONTH_H = 170.0
_LEAST_H = 0.05


@dataclass(frozen=True, slots=True)
class Courses:
    """``ends`` (tasks, runs): working hours from the plan's start to the end of each task; ``place``: row by item id."""

    ends: Floats
    place: Mapping[str, int]
    slots: Slots
    error: EstimateError

    def of(self, items: Sequence[str]) -> Floats:
        """(runs,) sorted: when all of ``items`` are done; items that are not in the plan are done."""
        rows = [self.place[item] for item in items if item in self.place]
        return np.sort(self.ends[rows].max(axis=0)) if rows else np.zeros(self.ends.shape[1])

    def at(self, hours: float) -> datetime:
        """The time at which so many working hours are over; parts of an hour count as a whole one."""
        return self.slots.ends_at(max(0, math.ceil(hours - 1e-9)))

    def chance(self, ends: Floats, by: datetime) -> float:
        """The share of runs that are done by then."""
        return float(np.mean(np.ceil(ends - 1e-9) <= self.slots.ended_by(by)))


@dataclass(frozen=True, slots=True)
class Dates:
    """``by``: (level, date); ``grid``: dates at 1 % … 99 % of all runs, uncorrected; ``chance`` to keep the deadline, if there is one."""

    by: tuple[tuple[float, datetime], ...]
    grid: tuple[datetime, ...]
    chance: float | None


@dataclass(frozen=True, slots=True)
class SprintDates:
    """``dates`` of all its items; ``at_least``: (level, items): with that chance so many are done in time; ``chances`` by item."""

    dates: Dates
    at_least: tuple[tuple[float, int], ...]
    chances: Mapping[str, float]


def learn_error(past: Sequence[PastWork]) -> EstimateError:
    """How far estimates were off; what is usual everywhere where there is no past."""
    done = [
        DoneTask(ThreePoint(each.expected_h, each.expected_h, each.expected_h), each.actual_h, each.person, each.done_at) for each in past
    ]
    return learn_estimates(done)


def run_courses(request: PlanRequest, plan: Plan, error: EstimateError, *, seed: int = 1, runs: int | None = None) -> Courses:
    """Let the plan happen: the same people do the same tasks in the same order, and each takes what it takes.

    Nobody begins before what it waits for is done, before its person is free, or while the person is away.
    """
    items = {item.id: item for item in request.items}
    people = {person.id: person for person in request.people}
    order = [task for task in plan.tasks if task.item in items]
    slots = Slots(request.calendar, request.starts_at)
    count = runs or min(RUNS, max(RUNS_MIN, CELLS_MAX // max(1, len(order))))
    hours = _durations(request, order, items, people, error, seed=seed, runs=count)
    place = {task.item: row for row, task in enumerate(order)}
    away = {person.id: _away(person, slots) for person in request.people}
    free: dict[str, Floats] = {}
    ends = np.zeros_like(hours)
    for row, task in enumerate(order):
        item = items[task.item]
        begin = _begin(item, [ends[place[each]] for each in item.after if each in place and place[each] < row], slots, count)
        if task.person in free:
            begin = np.maximum(begin, free[task.person])
        ends[row] = _end(begin, hours[row], away.get(task.person, []))
        if task.person:
            free[task.person] = ends[row]
    return Courses(ends, place, slots, error)


def _begin(item: WorkItem, before: Sequence[Floats], slots: Slots, runs: int) -> Floats:
    begin = np.zeros(runs)
    if item.not_before is not None and not item.started:
        begin += slots.first_from(item.not_before)
    if before and not item.started:
        begin = np.maximum(begin, np.maximum.reduce(before))
    return begin


def _end(begin: Floats, hours: Floats, away: Sequence[tuple[int, int]]) -> Floats:
    """Work stops while somebody is away, and goes on after."""
    end: Floats = begin + hours
    for first, last in away:
        late = np.maximum(begin, first)
        end = np.where((end > first) & (begin < last), end + (last - late), end)
    return end


def _away(person: Person, slots: Slots) -> list[tuple[int, int]]:
    """Times of absence in working hours, in order, without overlaps."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(slots.covered(each, ABSENCES_TO_H) for each in person.absences):
        if found and first <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        elif first < last:
            found.append((first, last))
    return found


def _durations(
    request: PlanRequest, order: Sequence[PlannedTask], items: Mapping[str, WorkItem], people: Mapping[str, Person], error: EstimateError,
    *, seed: int, runs: int,
) -> Floats:  # fmt: skip
    """(tasks, runs) hours of the one who does it."""
    points, means, months, factors = [], [], [], []
    spent: dict[str, float] = {}
    for task in order:
        item = items[task.item]
        told = item.estimate or around(request.usual_h[item.skill])
        three = ThreePoint(max(_LEAST_H, told.optimistic_h), max(_LEAST_H, told.likely_h), max(_LEAST_H, told.pessimistic_h))
        person = people.get(task.person)
        pace = person.share * person.skills.get(item.skill, 1.0) if person is not None else 1.0
        points.append((three.low, three.likely, three.high))
        means.append(error.mean(task.person, three.size))
        months.append(int(spent.get(task.person, 0.0) / MONTH_H))
        spent[task.person] = spent.get(task.person, 0.0) + three.expected
        # What needs no person needs no time.
        factors.append((1 - item.done_share) / pace if task.person else 0.0)
    numbers = np.array(points, float).reshape(len(order), 3)
    estimates = Estimates(numbers[:, 0], numbers[:, 1], numbers[:, 2], np.array(means, float), np.array(months, np.int64))
    found: Floats = efforts(estimates, error, runs=runs, seed=seed) * np.array(factors)[:, None]
    return found


def dates_of(courses: Courses, items: Sequence[str], *, places: Sequence[float] = (), deadline: datetime | None = None) -> Dates:
    """When all of ``items`` are done. ``places``: where past forecasts' real ends lay; they correct the levels."""
    ends = courses.of(items)
    known = np.array(places, float)
    by = tuple((level, courses.at(_quantile(ends, corrected_level(level, known)))) for level in LEVELS)
    grid = tuple(courses.at(_quantile(ends, level)) for level in GRID)
    return Dates(by, grid, courses.chance(ends, deadline) if deadline is not None else None)


def _quantile(ordered: Floats, level: float) -> float:
    return float(ordered[min(len(ordered) - 1, math.ceil(level * len(ordered)) - 1)])


def feature_dates(courses: Courses, request: PlanRequest, plan: Plan, *, places: Sequence[float] = ()) -> dict[str, Dates]:
    """Of each feature of the plan, by its id."""
    tasks = sorted((task for task in plan.tasks if task.feature), key=lambda task: task.feature)
    items = {feature: [task.item for task in own] for feature, own in itertools.groupby(tasks, key=lambda task: task.feature)}
    deadlines = {feature.id: feature.deadline for feature in request.features}
    return {feature: dates_of(courses, own, places=places, deadline=deadlines.get(feature)) for feature, own in items.items()}


def sprint_dates(courses: Courses, sprint: SprintWork) -> SprintDates:
    """How much of a sprint is done in time, as the plan goes."""
    own = [item for item in sprint.items if item in courses.place]
    limit = courses.slots.ended_by(sprint.ends_at)
    kept = np.ceil(courses.ends[[courses.place[item] for item in own]] - 1e-9) <= limit
    counts = kept.sum(axis=0) if own else np.zeros(courses.ends.shape[1])
    at_least = tuple((level, int(np.quantile(counts, 1 - level, method="lower"))) for level in LEVELS)
    chances = {item: round(float(kept[row].mean()), 4) for row, item in enumerate(own)}
    return SprintDates(dates_of(courses, own, deadline=sprint.ends_at), at_least, chances)


def place_in(grid: Sequence[datetime], actual_at: datetime) -> float:
    """The level at which it really was done, in [0, 1]."""
    times = np.array([at.timestamp() for at in grid])
    return place_of(actual_at.timestamp(), times) if len(times) else 0.5
