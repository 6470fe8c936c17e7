"""When work will be done, as dates with chances; how many past dates held; and what a sprint will deliver."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from productops.stats.forecast_calibration import Held, corrected_level, held, place_of
from productops.stats.forecast_error import EstimateError, Finished, learn_error
from productops.stats.forecast_pace import WEEKS_MIN, delivered, draw_weeks, weeks_to_finish, with_interruptions
from productops.stats.forecast_run import LEVELS, RUNS, Estimates, Schedule, by_people, efforts

Floats = NDArray[np.float64]
WEEK_H = 40.0
MONTH_H = 170.0
SIZES_H = (("small", 8.0), ("medium", 40.0))


@dataclass(frozen=True, slots=True)
class ThreePoint:
    """Hours of work: ``low`` <= ``likely`` <= ``high``, above 0."""

    low: float
    likely: float
    high: float

    @property
    def expected(self) -> float:
        """(low + 4 likely + high) / 6, hours."""
        return (self.low + 4 * self.likely + self.high) / 6

    @property
    def size(self) -> str:
        """Small (up to a day), medium (up to a week), large: how far off an estimate is depends on it."""
        return next((name for name, limit in SIZES_H if self.expected <= limit), "large")


@dataclass(frozen=True, slots=True)
class DoneTask:
    """A task that is done: what was estimated, and the hours it took."""

    estimate: ThreePoint
    actual_h: float
    person: str
    done_at: datetime


@dataclass(frozen=True, slots=True)
class OpenTask:
    """What is left of a task; ``after``: ids of tasks that have to be done before."""

    id: str
    estimate: ThreePoint
    person: str
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pace:
    """Working hours of a week, and the part of each past week that incidents, reviews and help took, in [0, 1], oldest first."""

    week_h: float = WEEK_H
    lost_share: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class PastForecast:
    """A forecast that has come to its end: the share of its runs that were done by then, see ``forecast_calibration.place_of``."""

    place: float


@dataclass(frozen=True, slots=True)
class DateForecast:
    """``dates``: (level, asked level, date): with chance ``level`` done by ``date``; None: no end within ten years at this pace.

    ``weeks``: (runs,) sorted, from ``now``; keep some hundred quantiles of it to learn from when the end has come.
    """

    now: datetime
    dates: tuple[tuple[float, float, datetime | None], ...]
    weeks: Floats
    error: EstimateError
    track: tuple[Held, ...]

    def at(self, level: float) -> datetime | None:
        """The date of one of the levels. Raises: KeyError when it was not asked for."""
        return {each: date for each, _, date in self.dates}[level]

    def place(self, done_at: datetime) -> float:
        """Where the real end lies among the runs, in [0, 1]."""
        return place_of((done_at - self.now) / timedelta(weeks=1), self.weeks)


def learn_estimates(history: Sequence[DoneTask]) -> EstimateError:
    """The venture's error of estimates; months are the periods whose tasks share their luck. Tasks without hours are left out."""
    done = [each for each in history if each.actual_h > 0]
    return learn_error([Finished(_log_ratio(each), each.person, each.estimate.size, _month(each.done_at)) for each in done])


def _log_ratio(task: DoneTask) -> float:
    return math.log(task.actual_h / task.estimate.expected)


def _month(moment: datetime) -> int:
    return moment.year * 12 + moment.month


def forecast_date(
    tasks: Sequence[OpenTask],
    history: Sequence[DoneTask],
    *,
    now: datetime,
    pace: Pace | None = None,
    past: Sequence[PastForecast] = (),
    schedule: Schedule | None = None,
    seed: int = 1,
    runs: int = RUNS,
) -> DateForecast:
    """P50, P80 and P95 of the day on which all ``tasks`` are done.

    ``schedule``: from hours (tasks, runs) to the working hour of the end (runs,); default: each person does one task at a time in the order
    given, and waits for dependencies. Raises: ValueError when estimates or dependencies do not fit.
    """
    error = learn_estimates(history)
    ends_h = (schedule or by_people(*_dependencies(tasks)))(efforts(_estimates(tasks, error), error, runs=runs, seed=seed))
    speed = pace or Pace()
    if len(speed.lost_share) >= WEEKS_MIN:
        weeks = with_interruptions(ends_h, np.array(speed.lost_share), week_h=speed.week_h, seed=seed + 1)
    else:
        weeks = ends_h / speed.week_h
    return _forecast(np.sort(weeks), now, past, error)


def forecast_count(
    left: int, finished_a_week: Sequence[float], *, now: datetime, past: Sequence[PastForecast] = (), seed: int = 1
) -> DateForecast:
    """The same without estimates: ``left`` tasks at the pace of past weeks. Raises: ValueError with fewer than four weeks."""
    weeks = weeks_to_finish(np.full(RUNS, float(left)), np.array(finished_a_week, float), seed=seed)
    return _forecast(np.sort(weeks), now, past, EstimateError())


def _forecast(weeks: Floats, now: datetime, past: Sequence[PastForecast], error: EstimateError) -> DateForecast:
    places = np.array([each.place for each in past])
    found = []
    for level in LEVELS:
        asked = corrected_level(level, places)
        value = float(weeks[min(len(weeks) - 1, math.ceil(asked * len(weeks)) - 1)])
        found.append((level, asked, now + timedelta(weeks=value) if math.isfinite(value) else None))
    return DateForecast(now, tuple(found), weeks, error, tuple(held(level, places) for level in LEVELS))


def _dependencies(tasks: Sequence[OpenTask]) -> tuple[list[list[int]], list[int]]:
    place = {each.id: number for number, each in enumerate(tasks)}
    if len(place) < len(tasks):
        raise ValueError("two tasks have the same id")
    people: dict[str, int] = {}
    # What is not among the open tasks is done already.
    before = [[place[name] for name in each.after if name in place] for each in tasks]
    return before, [people.setdefault(each.person, len(people)) for each in tasks]


def _estimates(tasks: Sequence[OpenTask], error: EstimateError) -> Estimates:
    numbers = np.array([[each.estimate.low, each.estimate.likely, each.estimate.high] for each in tasks], float).reshape(len(tasks), 3)
    means = np.array([error.mean(each.person, each.estimate.size) for each in tasks], float)
    return Estimates(numbers[:, 0], numbers[:, 1], numbers[:, 2], means, _months(tasks))


def _months(tasks: Sequence[OpenTask]) -> NDArray[np.int64]:
    """The month in which each task is likely to be done, counted from now: each person's hours one after the other."""
    done: dict[str, float] = {}
    found = []
    for task in tasks:
        found.append(int(done.get(task.person, 0.0) / MONTH_H))
        done[task.person] = done.get(task.person, 0.0) + task.estimate.expected
    return np.array(found, np.int64)


@dataclass(frozen=True, slots=True)
class SprintForecast:
    """``count``: (level, tasks): with chance ``level`` at least so many are delivered. ``chances``: of each task, in the order given."""

    count: tuple[tuple[float, int], ...]
    chances: tuple[tuple[str, float], ...]


def forecast_sprint(
    tasks: Sequence[OpenTask],
    history: Sequence[DoneTask],
    *,
    hours: float,
    lost_share: Sequence[float] = (),
    seed: int = 1,
    runs: int = RUNS,
) -> SprintForecast:
    """What a sprint with ``hours`` of the whole team delivers when it does tasks in the order given.

    ``lost_share``: part of past sprints or weeks that interruptions took. Raises: ValueError when estimates do not fit.
    """
    error = learn_estimates(history)
    drawn = efforts(_estimates(tasks, error), error, runs=runs, seed=seed)
    lost = np.array(lost_share, float)
    share = draw_weeks(lost, weeks=1, runs=runs, seed=seed + 1)[:, 0] if len(lost) >= WEEKS_MIN else np.zeros(runs)
    counts, chances = delivered(drawn, hours * (1 - share))
    levels = tuple((level, int(np.quantile(counts, 1 - level, method="lower"))) for level in LEVELS)
    return SprintForecast(levels, tuple((each.id, float(chance)) for each, chance in zip(tasks, chances, strict=True)))
