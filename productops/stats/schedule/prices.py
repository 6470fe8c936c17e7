"""What an hour of each resource is worth: where the work should go when several can do it, and how short it can be at best.

The relaxation: work may be split among modes and over time, links do not count. It is a linear program; its dual prices give a bound for
every horizon (Source: Conway, Maxwell and Miller 1967 on parallel machines; Lawler and Labetoulle 1978 for the program), and a mode that
costs more by these prices than another one of the same activity is not worth a try.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import csr_matrix

from productops.stats.schedule.model import Problem
from productops.stats.schedule.packed import Packed

SCALE = 1_000_000
"""Prices are whole numbers, so that sums of them are exact."""
QUANTILES = 12
NEAR = 1.1

Longs = NDArray[np.int64]


def prices(p: Packed, horizon: int) -> Longs | None:
    """(k,) prices of the resources, for schedules of about ``horizon`` slots; None when the program has no solution."""
    kinds: dict[tuple[tuple[tuple[int, int], ...], ...], int] = {}
    for i in range(p.activities):
        signature = tuple(_work(p, mode) for mode in range(p.mode_from[i], p.mode_from[i + 1]))
        kinds[signature] = kinds.get(signature, 0) + 1
    rows: list[int] = []
    columns: list[int] = []
    values: list[float] = []
    owner: list[int] = []
    for kind, signature in enumerate(kinds):
        for work in signature:
            for k, slots in work:
                rows.append(k)
                columns.append(len(owner))
                values.append(float(slots))
            owner.append(kind)
    there = p.capacity[:horizon].sum(axis=0).astype(np.float64)
    used = len(there)
    loads = csr_matrix(
        (values + [-float(each) for each in there], (rows + list(range(used)), columns + [len(owner)] * used)), (used, len(owner) + 1)
    )
    shares = csr_matrix((np.ones(len(owner)), (owner, np.arange(len(owner)))), (len(kinds), len(owner) + 1))
    cost = np.zeros(len(owner) + 1)
    cost[-1] = 1.0
    found = linprog(cost, loads, np.zeros(used), shares, np.array(list(kinds.values()), dtype=np.float64), method="highs")
    if found.status != 0:
        return None
    raw = np.maximum(0.0, -found.ineqlin.marginals)
    top = float(raw.max())
    return np.rint(raw / top * SCALE).astype(np.int64) if top > 0 else None


def _work(p: Packed, mode: int) -> tuple[tuple[int, int], ...]:
    """(resource, slots times units) of a mode."""
    needs = range(p.need_from[mode], p.need_from[mode + 1])
    return tuple((int(p.need_resource[d]), int(p.need_units[d]) * int(p.duration[mode])) for d in needs)


def mode_costs(p: Packed, price: Longs) -> list[int]:
    """What each mode costs by the prices."""
    return [sum(int(price[k]) * slots for k, slots in _work(p, mode)) for mode in range(len(p.duration))]


def priced_bound(p: Packed, price: Longs, heads: Sequence[int], tails: Sequence[int]) -> int:
    """The makespan below which the resources are worth less than the work costs at least, over sets by heads and by tails.

    No price makes it wrong: it sums up inequalities that hold for every schedule.
    """
    costs = np.array(mode_costs(p, price), dtype=np.int64)
    least = np.array([costs[p.mode_from[i] : p.mode_from[i + 1]].min() for i in range(p.activities)], dtype=np.int64)
    head, tail = np.array(heads), np.array(tails)
    worth = np.concatenate([[0], np.cumsum(p.capacity.astype(np.int64) @ price)])
    best = 0
    steps = np.linspace(0, 1, QUANTILES)
    for first in {int(np.quantile(head, q, method="lower")) for q in steps}:
        for last in {int(np.quantile(tail, q, method="lower")) for q in steps}:
            work = int(least[(head >= first) & (tail >= last)].sum())
            if work > 0 and first < len(worth):
                best = max(best, int(np.searchsorted(worth, worth[first] + work)) + last)
    return best


def worthwhile(problem: Problem, p: Packed, price: Longs) -> tuple[Problem, list[list[int]]]:
    """The problem with those modes alone that cost next to nothing more than the cheapest, and which modes they were."""
    costs = mode_costs(p, price)
    activities, kept = [], []
    for i, activity in enumerate(problem.activities):
        own = costs[p.mode_from[i] : p.mode_from[i + 1]]
        good = [m for m, cost in enumerate(own) if cost <= min(own) * NEAR]
        if activity.fixed_start is not None:
            good = [activity.fixed_mode]
        elif activity.kept_start is not None and activity.kept_mode not in good:
            good = [*good, activity.kept_mode]
        places = {m: place for place, m in enumerate(good)}
        modes = tuple(activity.modes[m] for m in good)
        kept.append(good)
        fixed, stays = places.get(activity.fixed_mode, 0), places.get(activity.kept_mode, 0)
        activities.append(replace(activity, modes=modes, fixed_mode=fixed, kept_mode=stays))
    return replace(problem, activities=tuple(activities)), kept
