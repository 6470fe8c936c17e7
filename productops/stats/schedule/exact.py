"""The same problem for CP-SAT: interval variables, cumulative and no-overlap constraints, and a solution to begin with.

Source: Laborie, Rogerie, Shaw and Vilím 2018 for intervals; partial-order neighbourhoods after Godard, Laborie and Nuijten 2005.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from ortools.sat.python import cp_model

from productops.stats.schedule.model import Goal, Problem
from productops.stats.schedule.packed import NONE, Packed


@dataclass(slots=True)
class Box:
    """Limits of a model: schedules within ``horizon`` slots; ``goal`` None: any will do; ``relax``: labels of constraints left out."""

    horizon: int
    goal: Goal | None = Goal.MAKESPAN
    makespan_max: int | None = None
    cost_max: int | None = None
    modes: Mapping[int, int] = field(default_factory=dict)
    links: Sequence[tuple[int, int]] = ()
    relax: Collection[str] = ()


@dataclass(slots=True)
class Model:
    """The variables beside the model."""

    cp: cp_model.CpModel
    starts: list[cp_model.IntVar]
    ends: list[cp_model.IntVar]
    picks: list[list[cp_model.IntVar | None]]
    makespan: cp_model.IntVar
    cost: cp_model.LinearExprT


def build(problem: Problem, p: Packed, box: Box, *, heads: Sequence[int], tails: Sequence[int]) -> Model:
    """A model of ``problem``; ``heads`` and ``tails``: no activity starts before its head or ends later than its tail before the end."""
    cp = cp_model.CpModel()
    last = box.makespan_max if box.makespan_max is not None else box.horizon
    makespan = cp.new_int_var(0, last, "makespan")
    n = len(problem.activities)
    starts, ends = [], []
    for i in range(n):
        limit = _limit(problem, i, box, last - tails[i])
        starts.append(cp.new_int_var(min(_first(problem, i, box, heads[i]), limit), limit, f"s{i}"))
        ends.append(cp.new_int_var(0, limit, f"e{i}"))
        cp.add(makespan >= ends[i] + tails[i])
    model = Model(cp, starts, ends, [], makespan, 0)
    uses: list[list[tuple[cp_model.IntervalVar, int]]] = [[] for _ in problem.resources]
    for i in range(n):
        model.picks.append(_add_modes(problem, p, box, model, i, uses))
    _add_links(problem, box, model)
    _add_resources(problem, box, model, uses)
    model.cost = _cost(problem, box, model)
    if box.cost_max is not None:
        cp.add(model.cost <= box.cost_max)
    if box.goal is not None:
        cp.minimize(makespan if box.goal is Goal.MAKESPAN else model.cost)
    return model


def _first(problem: Problem, i: int, box: Box, head: int) -> int:
    release = f"release of {problem.activities[i].label}"
    return 0 if box.relax and release in box.relax else head


def _limit(problem: Problem, i: int, box: Box, last: int) -> int:
    activity = problem.activities[i]
    if activity.deadline is None or f"deadline of {activity.label}" in box.relax:
        return max(0, last)
    return max(0, min(last, activity.deadline))


def _add_modes(
    problem: Problem, p: Packed, box: Box, model: Model, i: int, uses: list[list[tuple[cp_model.IntervalVar, int]]]
) -> list[cp_model.IntVar | None]:
    """One interval for each mode, of which one is present; None for a mode that is the only one."""
    activity, cp = problem.activities[i], model.cp
    held = activity.fixed_start is not None and f"start of {activity.label}" not in box.relax
    only = activity.fixed_mode if held else box.modes.get(i)
    allowed = range(len(activity.modes)) if only is None else [only]
    if held and activity.fixed_start is not None:
        cp.add(model.starts[i] == activity.fixed_start)
    picks: list[cp_model.IntVar | None] = [None] * len(activity.modes)
    present = [cp.new_bool_var(f"m{i}_{m}") for m in allowed] if len(allowed) > 1 else []
    if present:
        cp.add_exactly_one(present)
    for place, m in enumerate(allowed):
        pick = present[place] if present else None
        picks[m] = pick
        interval = _interval(problem, p, box, model, i, m, pick)
        for resource, units in activity.modes[m].demands:
            if units > 0 and activity.modes[m].duration > 0:
                uses[resource].append((interval, units))
    return picks


def _interval(problem: Problem, p: Packed, box: Box, model: Model, i: int, m: int, pick: cp_model.IntVar | None) -> cp_model.IntervalVar:
    mode, cp = problem.activities[i].modes[m], model.cp
    lengths = spans(p, int(p.mode_from[i]) + m, box.horizon) if mode.pausing and mode.duration else None
    size: cp_model.IntVar | int = mode.duration
    if lengths is not None and len(set(lengths)) > 1:
        size = cp.new_int_var(mode.duration, max(mode.duration, *lengths), f"d{i}_{m}")
        _tie_length(cp, model.starts[i], size, lengths, pick)
    if pick is None:
        return cp.new_interval_var(model.starts[i], size, model.ends[i], f"i{i}")
    return cp.new_optional_interval_var(model.starts[i], size, model.ends[i], pick, f"i{i}_{m}")


def _tie_length(
    cp: cp_model.CpModel, start: cp_model.IntVar, size: cp_model.IntVar, lengths: list[int], pick: cp_model.IntVar | None
) -> None:
    """``size`` is ``lengths[start]``: stretches of equal length become a choice between a few cases."""
    cases, edges = [], [0, *(int(c) + 1 for c in np.flatnonzero(np.diff(lengths))), len(lengths)]
    for begin, end in itertools.pairwise(edges):
        if lengths[begin] < 0:
            continue
        case = cp.new_bool_var("")
        cp.add(size == lengths[begin]).only_enforce_if(case)
        cp.add_linear_constraint(start, begin, end - 1).only_enforce_if(case)
        cases.append(case)
    if pick is None:
        cp.add_exactly_one(cases)
    else:
        cp.add_exactly_one([*cases, pick.negated()])


def spans(p: Packed, mode: int, horizon: int) -> list[int]:
    """Slots from each start to the end in ``mode``, pauses included; -1 where it cannot start (a pause) or does not end in time."""
    needs = p.need_resource[p.need_from[mode] : p.need_from[mode + 1]]
    works = (p.capacity[:, needs] > 0).all(axis=1) if len(needs) else np.ones(len(p.capacity), dtype=bool)
    slots = np.flatnonzero(works)
    duration = int(p.duration[mode])
    found = np.full(max(horizon, len(p.capacity)), -1, dtype=np.int64)
    begins = slots[: max(0, len(slots) - duration + 1)]
    found[begins] = slots[duration - 1 :] + 1 - begins
    return [int(length) for length in found[:horizon]]


def _add_links(problem: Problem, box: Box, model: Model) -> None:
    for link in problem.links:
        before, after = problem.activities[link.before].label, problem.activities[link.after].label
        if f"{before} before {after}" not in box.relax:
            model.cp.add(model.starts[link.after] >= model.ends[link.before] + link.lag)
    for one, other in box.links:
        model.cp.add(model.starts[other] >= model.ends[one])


def _add_resources(problem: Problem, box: Box, model: Model, uses: list[list[tuple[cp_model.IntervalVar, int]]]) -> None:
    for k, resource in enumerate(problem.resources):
        if not uses[k] or f"capacity of {resource.label}" in box.relax:
            continue
        top = max([resource.capacity, *(units for _, _, units in resource.changes)])
        # Who rests is not in the way: pausing modes run over slots of capacity 0, and the length counts them.
        rests = any(mode.pausing for a in problem.activities for mode in a.modes if any(which == k for which, _ in mode.demands))
        taken = _outages(model.cp, problem, k, box.horizon, top, down_to=1 if rests else 0)
        if top == 1:
            model.cp.add_no_overlap([interval for interval, _ in [*uses[k], *taken]])
        else:
            every = [*uses[k], *taken]
            model.cp.add_cumulative([interval for interval, _ in every], [units for _, units in every], top)


def _outages(
    cp: cp_model.CpModel, problem: Problem, k: int, horizon: int, top: int, *, down_to: int
) -> list[tuple[cp_model.IntervalVar, int]]:
    """Fixed intervals that take what is missing below ``top``, where at least ``down_to`` is left."""
    resource = problem.resources[k]
    if not resource.changes and resource.capacity == top:
        return []
    level = np.full(horizon, resource.capacity)
    for begin, end, units in resource.changes:
        level[max(0, begin) : max(0, end)] = units
    edges = [0, *(int(c) + 1 for c in np.flatnonzero(np.diff(level))), horizon]
    return [
        (cp.new_fixed_size_interval_var(begin, end - begin, ""), top - int(level[begin]))
        for begin, end in itertools.pairwise(edges)
        if down_to <= level[begin] < top
    ]


def _cost(problem: Problem, box: Box, model: Model) -> cp_model.LinearExprT:
    terms: list[cp_model.LinearExprT] = []
    for i, activity in enumerate(problem.activities):
        if activity.weight and activity.due is not None:
            late = model.cp.new_int_var(0, max(0, box.horizon - activity.due), f"late{i}")
            model.cp.add(late >= model.ends[i] - activity.due)
            terms.append(activity.weight * late)
        if activity.change_cost and activity.kept_start is not None:
            moved = model.cp.new_bool_var(f"moved{i}")
            model.cp.add(model.starts[i] == activity.kept_start).only_enforce_if(moved.negated())
            pick = model.picks[i][activity.kept_mode]
            if pick is not None:
                model.cp.add_implication(moved.negated(), pick)
            terms.append(activity.change_cost * moved)
    return sum(terms)


def hint(model: Model, starts: Sequence[int], ends: Sequence[int], modes: Sequence[int]) -> None:
    """Where the search begins."""
    for i in range(len(starts)):
        model.cp.add_hint(model.starts[i], int(starts[i]))
        model.cp.add_hint(model.ends[i], int(ends[i]))
        for m, pick in enumerate(model.picks[i]):
            if pick is not None:
                model.cp.add_hint(pick, m == modes[i])


def solver(seconds: float, workers: int, *, seed: int = 1) -> cp_model.CpSolver:
    """A solver with our limits."""
    made = cp_model.CpSolver()
    made.parameters.max_time_in_seconds = max(0.01, seconds)
    made.parameters.num_workers = workers
    made.parameters.random_seed = seed
    made.parameters.log_search_progress = False
    return made


def read(model: Model, solved: cp_model.CpSolver) -> tuple[list[int], list[int], list[int]]:
    """Starts, ends and modes of the solution."""
    modes = []
    for picks in model.picks:
        on = [m for m, pick in enumerate(picks) if pick is not None and solved.boolean_value(pick)]
        modes.append(on[0] if on else NONE)
    return [solved.value(s) for s in model.starts], [solved.value(e) for e in model.ends], modes
