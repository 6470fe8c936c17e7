"""Even use of resources: activities move within their slack to where less is going on.

Source: Burgess and Killebrew 1962, the sum of squares.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from productops.stats.schedule.kernels import earliest, limit_slot, occupy, place_fixed, ready_slot
from productops.stats.schedule.model import Goal, Problem, Schedule
from productops.stats.schedule.packed import NONE, Ints, Packed, pack

ROUNDS = 3
TRIES = 64


def level(problem: Problem, schedule: Schedule) -> Schedule:
    """The same makespan, the same lateness, the same modes; a sum of squared use that is not larger."""
    p = pack(problem, max(schedule.ends) + 1)
    starts, ends, chosen = (np.array(each, dtype=np.int32) for each in (schedule.starts, schedule.ends, schedule.modes))
    free = p.capacity.copy()
    nothing = np.zeros_like(starts)
    if not place_fixed(p, free, nothing, nothing.copy(), nothing.copy()):
        return schedule
    movable = [i for i in range(len(starts)) if p.fixed_start[i] == NONE and p.duration[p.mode_from[i] + chosen[i]] > 0]
    for i in movable:
        occupy(p, free, int(p.mode_from[i] + chosen[i]), int(starts[i]), int(ends[i]))
    for _ in range(ROUNDS):
        order = sorted(movable, key=lambda i: -int(ends[i]))
        if not sum(_shift(problem, p, free, i, starts, ends, chosen) for i in order):
            break
    return replace(schedule, starts=tuple(int(s) for s in starts), ends=tuple(int(e) for e in ends))


def _shift(problem: Problem, p: Packed, free: Ints, i: int, starts: Ints, ends: Ints, chosen: Ints) -> bool:
    """Move ``i`` to where the sum of squares is smallest; whether it moved."""
    mode = int(p.mode_from[i] + chosen[i])
    ready, limit = int(ready_slot(p, i, ends)), int(limit_slot(p, i, starts, int(ends.max())))
    activity = problem.activities[i]
    if Goal.COST in problem.goals:
        if activity.kept_start is not None and activity.change_cost and starts[i] == activity.kept_start:
            return False
        limit = min(limit, max(int(ends[i]), activity.due)) if activity.due is not None and activity.weight else limit
    _give(p, free, mode, int(starts[i]), int(ends[i]))
    best = (_load(p, free, mode, int(starts[i]), int(ends[i])), int(starts[i]), int(ends[i]))
    at = ready
    for _ in range(TRIES):
        start, end = earliest(p, free, mode, at)
        if start == NONE or end > limit:
            break
        best = min(best, (_load(p, free, mode, int(start), int(end)), int(start), int(end)))
        at = int(start) + 1
    moved = best[1] != int(starts[i])
    starts[i], ends[i] = best[1], best[2]
    occupy(p, free, mode, best[1], best[2])
    return moved


def _give(p: Packed, free: Ints, mode: int, start: int, end: int) -> None:
    for d in range(p.need_from[mode], p.need_from[mode + 1]):
        k = int(p.need_resource[d])
        works = p.capacity[start:end, k] > 0 if p.pausing[mode] else np.ones(end - start, dtype=bool)
        free[start:end, k] += np.where(works, p.need_units[d], 0)


def _load(p: Packed, free: Ints, mode: int, start: int, end: int) -> int:
    """How much is in use where the activity would be: what its squares grow by, but for a constant."""
    total = 0
    for d in range(p.need_from[mode], p.need_from[mode + 1]):
        k = int(p.need_resource[d])
        total += int(p.need_units[d]) * int((p.capacity[start:end, k] - free[start:end, k]).sum())
    return total
