"""A problem as flat arrays, which compiled code can walk."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from productops.stats.schedule.model import Goal, Problem, topological

Ints = NDArray[np.int32]
NONE = -1
FAR = 2**30


class Packed(NamedTuple):
    """``n`` activities, ``m`` modes of all of them, ``k`` resources, ``h`` slots. Lists of lists are (``…_from``, values) pairs."""

    mode_from: Ints
    duration: Ints
    pausing: Ints
    need_from: Ints
    need_resource: Ints
    need_units: Ints
    before_from: Ints
    before: Ints
    before_lag: Ints
    after_from: Ints
    after: Ints
    after_lag: Ints
    release: Ints
    deadline: Ints
    due: Ints
    weight: Ints
    fixed_start: Ints
    fixed_mode: Ints
    kept_start: Ints
    kept_mode: Ints
    change_cost: Ints
    rank: Ints
    capacity: Ints
    makespan_scale: float
    cost_scale: float

    @property
    def activities(self) -> int:
        """How many."""
        return len(self.release)


def _array(values: Iterable[int | None], missing: int = NONE) -> Ints:
    return np.array([missing if value is None else value for value in values], dtype=np.int32)


def _ragged(lists: Sequence[Sequence[Sequence[int]]], width: int) -> list[Ints]:
    """``…_from`` and one array for each of the ``width`` columns."""
    offsets = np.cumsum([0, *(len(each) for each in lists)]).astype(np.int32)
    rows = [row for each in lists for row in each]
    return [offsets, *(_array(row[column] for row in rows) for column in range(width))]


def capacities(problem: Problem, horizon: int) -> Ints:
    """Units of each resource in each slot, (h, k)."""
    table = np.zeros((horizon, max(1, len(problem.resources))), dtype=np.int32)
    for k, resource in enumerate(problem.resources):
        table[:, k] = resource.capacity
        for begin, end, units in resource.changes:
            table[max(0, begin) : max(0, end), k] = units
    return table


def pack(problem: Problem, horizon: int) -> Packed:
    """The arrays of ``problem`` for schedules that end within ``horizon`` slots."""
    activities = problem.activities
    modes = [mode for activity in activities for mode in activity.modes]
    before: list[list[tuple[int, int]]] = [[] for _ in activities]
    after: list[list[tuple[int, int]]] = [[] for _ in activities]
    for link in problem.links:
        before[link.after].append((link.before, link.lag))
        after[link.before].append((link.after, link.lag))
    rank = np.empty(len(activities), dtype=np.int32)
    rank[topological(problem)] = np.arange(len(activities), dtype=np.int32)
    makespan_first = Goal.COST not in problem.goals or (problem.goals.index(Goal.COST) > _place(problem, Goal.MAKESPAN))
    fields: list[Any] = [
        np.cumsum([0, *(len(activity.modes) for activity in activities)]).astype(np.int32),
        _array(mode.duration for mode in modes),
        _array(int(mode.pausing) for mode in modes),
        *_ragged([[d for d in mode.demands if d[1] > 0] for mode in modes], 2),
        *_ragged(before, 2),
        *_ragged(after, 2),
        _array(activity.release for activity in activities),
        _array((activity.deadline for activity in activities), FAR),
        _array((activity.due for activity in activities), FAR),
        _array(activity.weight for activity in activities),
        _array(activity.fixed_start for activity in activities),
        _array(activity.fixed_mode for activity in activities),
        _array(activity.kept_start for activity in activities),
        _array(activity.kept_mode for activity in activities),
        _array(activity.change_cost for activity in activities),
        rank,
        capacities(problem, horizon),
    ]
    scales = _scales(makespan_first=makespan_first)
    return Packed._make([*fields, *scales])


def _place(problem: Problem, goal: Goal) -> int:
    return problem.goals.index(goal) if goal in problem.goals else len(problem.goals)


def _scales(*, makespan_first: bool) -> tuple[float, float]:
    """Weights of makespan and cost in one number, so that the first goal always decides. Exact below 2^53."""
    return (1e9, 1.0) if makespan_first else (1.0, 1e6)
