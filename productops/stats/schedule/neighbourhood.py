"""Large neighbourhoods: a part of a schedule is free, the rest keeps the order in which it uses its resources.

Source: Godard, Laborie and Nuijten 2005, "Randomized large neighborhood search for cumulative scheduling".
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from ortools.sat.python import cp_model

from productops.stats.schedule.bounds import heads_and_tails
from productops.stats.schedule.exact import Box, build, hint, read, solver
from productops.stats.schedule.model import Goal, Problem
from productops.stats.schedule.packed import Packed

PROBE_S = 1.0
SHARE_MIN, SHARE_MAX = 0.08, 0.9


@dataclass(slots=True)
class Best:
    """The best schedule so far, shared by the threads; lists of slots. ``value`` is of the first goal."""

    value: int
    starts: list[int]
    ends: list[int]
    modes: list[int]
    tried: int = 0
    share: float = 0.25
    seen: list[tuple[list[int], list[int], list[int]]] = field(default_factory=list)


def improve(problem: Problem, p: Packed, best: Best, *, seconds: float, workers: int, bound: int) -> None:
    """Make ``best`` better in place for ``seconds``, or down to ``bound``."""
    ends_at = time.monotonic() + seconds
    heads, tails = heads_and_tails(p)

    def work(number: int) -> None:
        random = np.random.default_rng(number)
        while time.monotonic() < ends_at - 0.05 and best.value > bound:
            _once(problem, p, best, random, ends_at, heads, tails)

    with ThreadPoolExecutor(workers) as threads:
        for job in [threads.submit(work, number) for number in range(workers)]:
            job.result()


def _once(problem: Problem, p: Packed, best: Best, random: np.random.Generator, ends_at: float, heads: list[int], tails: list[int]) -> None:
    value = best.value
    starts, ends, modes = best.starts, best.ends, best.modes
    if best.seen and random.random() < 0.5:
        starts, ends, modes = best.seen[int(random.integers(len(best.seen)))]
    free = _free(problem, starts, ends, best.share * float(random.uniform(0.7, 1.4)), random)
    goal = problem.goals[0]
    box = Box(
        len(p.capacity),
        goal=goal,
        makespan_max=value - 1 if goal is Goal.MAKESPAN else None,
        cost_max=value - 1 if goal is Goal.COST else None,
        modes={i: modes[i] for i in range(len(starts)) if i not in free},
        links=chains(problem, starts, modes, free),
    )
    model = build(problem, p, box, heads=heads, tails=tails)
    hint(model, starts, ends, modes)
    solved = solver(min(PROBE_S, ends_at - time.monotonic()), 1, seed=int(random.integers(1 << 30)))
    status = solved.solve(model.cp)
    best.tried += 1
    if status in {cp_model.OPTIMAL, cp_model.FEASIBLE}:
        _take(best, round(solved.objective_value), read(model, solved), modes)
    elif status == cp_model.INFEASIBLE:
        best.share = min(SHARE_MAX, best.share * 1.03)
    else:
        best.share = max(SHARE_MIN, best.share * 0.95)


def _take(best: Best, value: int, found: tuple[list[int], list[int], list[int]], modes: list[int]) -> None:
    if value < best.value:
        known = [m if m >= 0 else modes[i] for i, m in enumerate(found[2])]
        best.value, best.starts, best.ends, best.modes = value, found[0], found[1], known
        best.seen.clear()


def _free(problem: Problem, starts: list[int], ends: list[int], share: float, random: np.random.Generator) -> set[int]:
    """About ``share`` of the activities: those of a stretch of time, mostly; else those of one resource; else any."""
    n = len(starts)
    count = max(4, int(share * n))
    kind = random.random()
    if kind < 0.75:
        middle = float(random.uniform(0, max(ends)))
        distance = [abs((starts[i] + ends[i]) / 2 - middle) for i in range(n)]
    elif kind < 0.9 and problem.resources:
        resource = int(random.integers(len(problem.resources)))
        uses = [any(k == resource for mode in a.modes for k, _ in mode.demands) for a in problem.activities]
        distance = [float(random.random()) + (0 if uses[i] else 1) for i in range(n)]
    else:
        distance = [float(random.random()) for _ in range(n)]
    return set(sorted(range(n), key=distance.__getitem__)[:count])


def chains(problem: Problem, starts: list[int], modes: list[int], free: set[int]) -> list[tuple[int, int]]:
    """Links along which the units of each resource go from one activity to the next, those of ``free`` left out.

    Source: Policella, Cesta, Oddo and Smith 2007, chaining.
    """
    found: set[tuple[int, int]] = set()
    kept = sorted((i for i in range(len(starts)) if i not in free), key=starts.__getitem__)
    ends = {i: starts[i] + problem.activities[i].modes[modes[i]].duration for i in kept}
    for k, resource in enumerate(problem.resources):
        top = max([resource.capacity, *(units for _, _, units in resource.changes)])
        holders: list[int | None] = [None] * top
        for i in kept:
            units = sum(u for which, u in problem.activities[i].modes[modes[i]].demands if which == k)
            if not units or not problem.activities[i].modes[modes[i]].duration:
                continue
            ready = [place for place, h in enumerate(holders) if h is None or ends[h] <= starts[i]]
            ready.sort(key=lambda place: -ends[h] if (h := holders[place]) is not None else 1)
            for place in ready[:units]:
                if (holder := holders[place]) is not None:
                    found.add((holder, i))
                holders[place] = i
    return sorted(found)
