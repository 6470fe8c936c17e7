"""Thousands of possible courses of a plan: three-point estimates, the learned error of estimates, and luck that tasks share.

Arrays of courses are (tasks, runs), so that one task over all runs lies together. Effort is in hours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from productops.stats.forecast_error import EstimateError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Schedule = Callable[[Floats], Floats]
"""From efforts (tasks, runs) in hours to the hour at which each run is done, (runs,)."""
RUNS = 10_000
LEVELS = (0.5, 0.8, 0.95)
_OWN_MIN = 0.05


@dataclass(frozen=True, slots=True)
class Estimates:
    """``low`` <= ``likely`` <= ``high`` (tasks,) hours, above 0; ``mean_log`` (tasks,) expected ln of actual / expected effort.

    ``period`` (tasks,): tasks of one number share their luck; None: all do. Raises: ValueError when they do not fit.
    """

    low: Floats
    likely: Floats
    high: Floats
    mean_log: Floats
    period: Ints | None = None

    def __post_init__(self) -> None:
        shapes = {each.shape for each in (self.low, self.likely, self.high, self.mean_log)}
        if len(shapes) != 1 or self.low.ndim != 1 or (self.period is not None and self.period.shape != self.low.shape):
            raise ValueError("each task needs a low, a likely and a high estimate, and a mean")
        if not (np.isfinite([self.low, self.high, self.mean_log]).all() and (self.low > 0).all()):
            raise ValueError("estimates are finite and above 0")
        if not ((self.low <= self.likely) & (self.likely <= self.high)).all():
            raise ValueError("a low estimate is at most the likely one, and that at most the high one")

    @property
    def expected(self) -> Floats:
        """(tasks,) hours, (low + 4 likely + high) / 6. Source: Malcolm et al. 1959."""
        return (self.low + 4 * self.likely + self.high) / 6


def efforts(estimates: Estimates, error: EstimateError, *, runs: int = RUNS, seed: int) -> Floats:
    """(tasks, runs) hours: a beta-PERT draw × a shared and an own error.

    The learned spread already holds what makes a PERT draw vary, so that part is taken off the own error: the whole varies as the past did.
    The bias itself is uncertain when little was learned; that doubt is common to all tasks of a run.
    """
    random = np.random.default_rng(seed)
    drawn = _pert(estimates, random, runs)
    variance = _log_variance(estimates)
    period = np.zeros(len(estimates.low), np.int64) if estimates.period is None else np.unique(estimates.period, return_inverse=True)[1]
    total = error.spread**2
    luck = random.standard_normal((int(period.max(initial=0)) + 1, runs)) * np.sqrt(error.shared * total)
    luck += random.standard_normal(runs) * error.bias_error
    own = np.sqrt(max(total * (1 - error.shared) - float(variance.mean() if len(variance) else 0.0), _OWN_MIN * total))
    factor = random.standard_normal(drawn.shape)
    factor *= own
    factor += luck[period]
    factor += (estimates.mean_log + variance / 2)[:, None]
    drawn *= np.exp(factor, out=factor)
    return drawn


def _pert(estimates: Estimates, random: np.random.Generator, runs: int) -> Floats:
    width = np.maximum(estimates.high - estimates.low, 1e-12)
    first = 1 + 4 * (estimates.likely - estimates.low) / width
    drawn = random.beta(first[:, None], (6 - first)[:, None], (len(width), runs))
    drawn *= (estimates.high - estimates.low)[:, None]
    drawn += estimates.low[:, None]
    return drawn


def _log_variance(estimates: Estimates) -> Floats:
    """(tasks,) of ln of a beta-PERT draw, by its variance and mean (delta method)."""
    mean = estimates.expected
    found: Floats = np.log1p((mean - estimates.low) * (estimates.high - mean) / 7 / mean**2)
    return found


def in_order(before: Sequence[Sequence[int]]) -> Schedule:
    """A schedule in which every task begins when those ``before`` it are done, as if there were enough people.

    ``before``: for each task the places of its predecessors. Raises: ValueError when they form a circle or name no task.
    """
    order = _sorted(before)

    def schedule(hours: Floats) -> Floats:
        ends = np.zeros_like(hours)
        for task in order:
            begin = np.maximum.reduce([ends[each] for each in before[task]]) if before[task] else 0.0
            np.add(hours[task], begin, out=ends[task])
        found: Floats = ends.max(axis=0) if len(ends) else np.zeros(hours.shape[1])
        return found

    return schedule


def by_people(before: Sequence[Sequence[int]], people: Sequence[int]) -> Schedule:
    """As ``in_order``, and each person (a number for each task) does one task at a time, in the order in which tasks are given."""
    queue: dict[int, int] = {}
    joined = []
    for task, (needs, person) in enumerate(zip(before, people, strict=True)):
        joined.append([*needs, queue[person]] if person in queue else list(needs))
        queue[person] = task
    return in_order(joined)


def _sorted(before: Sequence[Sequence[int]]) -> list[int]:
    left = {task: set(needs) for task, needs in enumerate(before)}
    if any(not 0 <= each < len(before) for needs in before for each in needs):
        raise ValueError("a task waits for one that is not in the plan")
    order: list[int] = []
    after: dict[int, list[int]] = {}
    for task, needs in left.items():
        for each in needs:
            after.setdefault(each, []).append(task)
    ready = [task for task, needs in left.items() if not needs]
    while ready:
        task = ready.pop()
        order.append(task)
        for each in after.get(task, []):
            left[each].discard(task)
            if not left[each]:
                ready.append(each)
    if len(order) < len(before):
        raise ValueError("tasks wait for each other in a circle")
    return order
