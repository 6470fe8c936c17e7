"""One function for all: a good schedule at once, a better one while there is time, and how good it is for sure."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from productops.stats.schedule.bounds import cost_bound, heads_and_tails, makespan_bound
from productops.stats.schedule.level import level
from productops.stats.schedule.model import (
    SLOTS_MAX,
    Activity,
    Goal,
    Link,
    Mode,
    Problem,
    ProblemError,
    Resource,
    Schedule,
    Status,
    check,
    violations,
)
from productops.stats.schedule.packed import NONE, Packed, pack
from productops.stats.schedule.prices import priced_bound, prices, worthwhile
from productops.stats.schedule.repair import mend
from productops.stats.schedule.search import Found, Search, Seed

EXACT_ACTIVITIES = 400
"""Above it no model of the whole problem is built: reading it in would take what the search needs."""
EXACT_MODES = 2_500
MENDING, MENDING_LARGE = 0.4, 0.9
# At least so long, in seconds, it is looked for what makes a problem impossible.
PROOF_S = 1.5
"""The part of the time for moving as little as can be of an earlier schedule."""
MISSED = 1e14
"""Values from here on miss a deadline that is binding."""


def solve(problem: Problem, limit_s: float, *, workers: int = 2, hint: Schedule | None = None, seed: int = 1) -> Schedule:
    """The best schedule found within about ``limit_s`` seconds of wall time on ``workers`` cores.

    ``hint``: a schedule to begin with, of the same activities. The same seed gives the same schedule only where the machine is as fast.
    Raises: ProblemError for a problem that contradicts itself before any search.
    """
    began = time.monotonic()
    check(problem)
    p, first = _first(problem, hint)
    small = _is_small(problem, p)
    makespan_first = problem.goals[0] is not Goal.COST
    share = MENDING if small or makespan_first else MENDING_LARGE
    mended = mend(p, max(0.0, limit_s * share - (time.monotonic() - began)), seed=seed)
    first = _better(first, mended)
    if first is not None and first.value < MISSED and mended is not None and share == MENDING_LARGE:
        # With so many activities a population seldom finds what so few moves do.
        return _finish(problem, made(problem, first, cost_bound(p)), began)
    slim = _slim(problem, p, first)
    bound = slim.bound if makespan_first else cost_bound(p)
    only = len(problem.goals) == 1 or problem.goals[1] is Goal.LEVEL
    target = bound * (p.makespan_scale if makespan_first else p.cost_scale) if only else -1.0
    seconds = max(0.02, limit_s * _share(problem, small=small) - (time.monotonic() - began))
    seeds = [slim.seed(each) for each in [*_seeds(p, hint), *([Seed(first.starts, first.modes)] if first is not None else [])]]
    search = Search(slim.p, islands=workers, seeds=seeds, size=_size(slim.p, seconds), random_seed=seed)
    found = _better(first, slim.back(search.run(seconds, target=target)))
    late = found is None or found.value >= MISSED
    left = began + limit_s - time.monotonic()
    if small and late:  # a machine that is busy elsewhere shall not hide that there is none, and why
        left = max(left, PROOF_S)
    if small and left > 0.05:
        return _finish(problem, _exactly(problem, p, None if late else found, bound, left, workers), began)
    if late or found is None:
        return Schedule(Status.UNKNOWN, bound=bound, took_s=time.monotonic() - began)
    return _finish(problem, made(problem, found, bound), began)


def _is_small(problem: Problem, p: Packed) -> bool:
    return len(problem.activities) <= EXACT_ACTIVITIES and len(p.duration) <= EXACT_MODES


def _share(problem: Problem, *, small: bool) -> float:
    """The part of the time that the population gets; measured on PSPLIB."""
    if not small:
        return 0.97
    count = len(problem.activities)
    return min(0.12, 0.004 * count) if count <= 40 else 0.35 if count <= 80 else 0.6


def _size(p: Packed, seconds: float) -> int:
    """Rows of a population: one for each 200 schedules that there is time for, for with more it would not converge, with fewer too soon."""
    schedule_s = 0.6e-6 * max(p.activities, len(p.duration))
    return int(min(300, max(24, seconds / schedule_s / 200)))


def _better(one: Found | None, other: Found | None) -> Found | None:
    if one is None or other is None:
        return one or other
    return other if other.value <= one.value else one


def _first(problem: Problem, hint: Schedule | None) -> tuple[Packed, Found | None]:
    """Tables of a horizon in which there are schedules, and the first one found. The horizon doubles until one fits."""
    longest = sum(max(mode.duration for mode in a.modes) for a in problem.activities) + sum(link.lag for link in problem.links)
    times = [max(a.release, a.fixed_start or 0, a.due or 0, a.kept_start or 0) for a in problem.activities]
    changes = [end for r in problem.resources for _, end, _ in r.changes if end < SLOTS_MAX // 2]
    sure = min(SLOTS_MAX, max([*times, *changes]) + longest + 1)
    horizon = min(sure, max(times) + max(64, longest // max(1, len(problem.resources))) + 1)
    while True:
        p = pack(problem, horizon)
        found = Search(p, islands=1, seeds=_seeds(p, hint), size=8).run(0.0)
        if found is not None or horizon >= sure:
            break
        horizon = min(sure, horizon * 2)
    if found is None or found.value >= MISSED:
        # Whatever is shown to be impossible must be so for every length.
        return (p if horizon == sure else pack(problem, sure)), found
    if problem.goals[0] is Goal.COST:
        # A proof of the least cost must not lean on an end that we chose.
        return (pack(problem, sure) if _is_small(problem, p) else p), found
    return pack(problem, min(len(p.capacity), int(found.ends.max()) * 5 // 4 + 8)), found


def warm_up() -> None:
    """Compile the inner loops, which the first schedule of an installation would have to wait for; later programs read them from disk."""
    one = Activity("one", (Mode(1, ((0, 1),), pausing=True),), kept_start=0)
    two = Activity("two", (Mode(1, ((0, 1),), pausing=True), Mode(2, ((1, 1),), pausing=True)))
    solve(Problem((one, two), (Link(0, 1),), (Resource("a", 1), Resource("b", 1)), (Goal.COST, Goal.LEVEL)), 0.1)


@dataclass(frozen=True, slots=True)
class _Slim:
    """The problem as the population sees it: ``kept`` modes of each activity."""

    p: Packed
    bound: int
    kept: list[list[int]]

    def seed(self, seed: Seed) -> Seed:
        """With modes as numbered here; -1 where the mode was left out."""
        modes = [own.index(int(m)) if m in own else NONE for own, m in zip(self.kept, seed.modes, strict=True)]
        return Seed(seed.starts, np.array(modes, dtype=np.int32), hold=seed.hold)

    def back(self, found: Found | None) -> Found | None:
        """With modes as numbered in the problem."""
        if found is None:
            return None
        modes = np.array([own[m] for own, m in zip(self.kept, found.modes, strict=True)], dtype=np.int32)
        return Found(found.value, found.starts, found.ends, modes, found.tried)


def _slim(problem: Problem, p: Packed, first: Found | None) -> _Slim:
    """Bound of the makespan, and the modes that are worth a try."""
    heads, tails = heads_and_tails(p)
    bound = makespan_bound(p)
    every = [list(range(len(activity.modes))) for activity in problem.activities]
    if first is None or len(p.duration) == p.activities:
        return _Slim(p, bound, every)
    price = prices(p, int(first.ends.max()))
    if price is None:
        return _Slim(p, bound, every)
    less, kept = worthwhile(problem, p, price)
    return _Slim(pack(less, len(p.capacity)), max(bound, priced_bound(p, price, heads, tails)), kept)


def _seeds(p: Packed, hint: Schedule | None) -> list[Seed]:
    seeds = []
    if hint is not None and len(hint.starts) == p.activities:
        seeds.append(Seed(np.array(hint.starts, dtype=np.int32), np.array(hint.modes, dtype=np.int32)))
    if (p.kept_start >= 0).any():
        starts = np.where(p.kept_start >= 0, p.kept_start, int(p.kept_start.max()) + 1).astype(np.int32)
        modes = np.where(p.kept_start >= 0, p.kept_mode, -1).astype(np.int32)
        seeds += [Seed(starts, modes, hold=True), Seed(starts, modes)]
    return seeds


def _exactly(problem: Problem, p: Packed, found: Found | None, bound: int, seconds: float, workers: int) -> Schedule:
    from productops.stats.schedule.exactly import exactly

    begin = made(problem, found, bound) if found is not None else None
    return exactly(problem, p, begin, bound, seconds, workers)


def made(problem: Problem, found: Found, bound: int) -> Schedule:
    """A found schedule in our words."""
    starts, ends, modes = (tuple(int(x) for x in each) for each in (found.starts, found.ends, found.modes))
    return rated(problem, Schedule(Status.FEASIBLE, starts, ends, modes, bound=bound, tried=found.tried))


def rated(problem: Problem, schedule: Schedule) -> Schedule:
    """With makespan, cost and value worked out anew."""
    makespan, cost = max(schedule.ends), 0
    for i, a in enumerate(problem.activities):
        cost += a.weight * max(0, schedule.ends[i] - a.due) if a.due is not None else 0
        moved = a.kept_start is not None and (schedule.starts[i], schedule.modes[i]) != (a.kept_start, a.kept_mode)
        cost += a.change_cost if moved else 0
    value = cost if problem.goals[0] is Goal.COST else makespan
    bound = min(schedule.bound, value)
    status = Status.OPTIMAL if value <= bound else Status.FEASIBLE
    return replace(schedule, makespan=makespan, cost=cost, value=value, bound=bound, status=status)


def _finish(problem: Problem, schedule: Schedule, began: float) -> Schedule:
    """Even out the use of resources when asked for, look at everything once more, and stop the clock."""
    if schedule.starts:
        if Goal.LEVEL in problem.goals:
            schedule = rated(problem, level(problem, schedule))
        if wrong := violations(problem, schedule):
            raise ProblemError(f"the schedule found is wrong, which is our mistake: {wrong[0]}")
    return replace(schedule, took_s=time.monotonic() - began)
