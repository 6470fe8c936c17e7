"""Proof and improvement by CP-SAT, from a schedule that was found fast."""

from __future__ import annotations

import math
import time
from dataclasses import replace

from ortools.sat.python import cp_model

from productops.stats.schedule.bounds import heads_and_tails
from productops.stats.schedule.conflict import conflict
from productops.stats.schedule.exact import Box, Model, build, hint, read, solver
from productops.stats.schedule.model import Goal, Problem, Schedule, Status
from productops.stats.schedule.neighbourhood import Best, improve
from productops.stats.schedule.packed import Packed

NEIGHBOURHOODS_FROM = 45
"""Fewer activities are solved as a whole sooner."""


def exactly(problem: Problem, p: Packed, begin: Schedule | None, bound: int, seconds: float, workers: int) -> Schedule:
    """Improve ``begin`` and prove what can be proven. None to begin with: find one, or show why there is none."""
    from productops.stats.schedule.solve import rated

    ends_at = time.monotonic() + seconds
    if begin is not None and len(problem.activities) >= NEIGHBOURHOODS_FROM and not begin.proven:
        begin = rated(problem, _by_neighbourhoods(problem, p, begin, seconds * 0.7, workers))
    found = _whole(problem, p, begin, bound, ends_at - time.monotonic(), workers)
    if found.status is Status.INFEASIBLE:
        # The horizon may be what is in the way, so the proof is made with one that is not.
        return replace(found, conflict=conflict(problem, p, seconds=max(5.0, seconds)))
    return rated(problem, found) if found.starts else found


def _by_neighbourhoods(problem: Problem, p: Packed, begin: Schedule, seconds: float, workers: int) -> Schedule:
    best = Best(begin.value, list(begin.starts), list(begin.ends), list(begin.modes))
    improve(problem, p, best, seconds=seconds, workers=workers, bound=begin.bound)
    return replace(begin, starts=tuple(best.starts), ends=tuple(best.ends), modes=tuple(best.modes), tried=begin.tried + best.tried)


def _whole(problem: Problem, p: Packed, begin: Schedule | None, bound: int, seconds: float, workers: int) -> Schedule:
    """The whole model, goal after goal; each reached one is a limit of the next."""
    goals = [goal for goal in problem.goals if goal is not Goal.LEVEL] or [Goal.MAKESPAN]
    ends_at = time.monotonic() + seconds
    best, box = begin, Box(len(p.capacity))
    for place, goal in enumerate(goals):
        box.goal = goal
        if place == 0 and best is not None and best.proven:
            found: Schedule | None = best
        else:
            share = (ends_at - time.monotonic()) / (len(goals) - place)
            found, low, status = _goal(problem, p, box, best, share, workers)
            if place == 0:
                bound = max(bound, low)
            if found is None and best is None:
                return Schedule(Status.INFEASIBLE if status == cp_model.INFEASIBLE else Status.UNKNOWN, bound=bound)
        best = found or best
        if best is None:
            break
        best = replace(best, bound=bound)
        if goal is Goal.MAKESPAN:
            box.makespan_max = max(best.ends)
        else:
            box.cost_max = _cost_of(problem, best)
    return best if best is not None else Schedule(Status.UNKNOWN, bound=bound)


def _cost_of(problem: Problem, schedule: Schedule) -> int:
    from productops.stats.schedule.solve import rated

    return rated(problem, schedule).cost


def _goal(
    problem: Problem, p: Packed, box: Box, best: Schedule | None, seconds: float, workers: int
) -> tuple[Schedule | None, int, cp_model.CpSolverStatus]:
    """(schedule, bound, CP-SAT's status) for one goal."""
    heads, tails = heads_and_tails(p)
    if best is not None and box.goal is Goal.MAKESPAN and box.makespan_max is None:
        box = replace(box, makespan_max=max(best.ends))
    model: Model = build(problem, p, box, heads=heads, tails=tails)
    if best is not None:
        hint(model, best.starts, best.ends, best.modes)
    solved = solver(seconds, workers)
    status = solved.solve(model.cp)
    low = (
        math.ceil(solved.best_objective_bound - 1e-6) if status != cp_model.INFEASIBLE and math.isfinite(solved.best_objective_bound) else 0
    )
    if status not in {cp_model.OPTIMAL, cp_model.FEASIBLE}:
        return None, max(0, low), status
    starts, ends, modes = read(model, solved)
    known = best.modes if best is not None else tuple(0 for _ in starts)
    fixed = [a.fixed_mode if a.fixed_start is not None else known[i] for i, a in enumerate(problem.activities)]
    chosen = tuple(m if m >= 0 else (fixed[i] if len(problem.activities[i].modes) > 1 else 0) for i, m in enumerate(modes))
    tried = best.tried if best is not None else 0
    return Schedule(Status.FEASIBLE, tuple(starts), tuple(ends), chosen, tried=tried), max(0, low), status
