"""Placing activities into the slots that are left, compiled.

Serial schedule generation (Kolisch 1996) in both directions and justification (Valls, Ballestín and Quintanilla 2005), for several
modes, calendars and pauses. All functions work on arrays the caller owns; ``free`` is (h, k), what is left of each resource.
"""

from __future__ import annotations

import numpy as np

from productops.stats.schedule.compiled import compiled
from productops.stats.schedule.packed import FAR, NONE, Ints, Packed

INFEASIBLE = 1e18


@compiled
def rests(p: Packed, mode: int, slot: int) -> bool:
    """Whether work in ``mode`` pauses in ``slot``."""
    if p.pausing[mode] == 0:
        return False
    for d in range(p.need_from[mode], p.need_from[mode + 1]):  # noqa: SIM110 — a generator does not compile
        if p.capacity[slot, p.need_resource[d]] == 0:
            return True
    return False


@compiled
def fits(p: Packed, free: Ints, mode: int, slot: int) -> bool:
    """Whether all that ``mode`` needs is left in ``slot``."""
    for d in range(p.need_from[mode], p.need_from[mode + 1]):  # noqa: SIM110 — a generator does not compile
        if free[slot, p.need_resource[d]] < p.need_units[d]:
            return False
    return True


@compiled
def earliest(p: Packed, free: Ints, mode: int, ready: int) -> tuple[int, int]:
    """First (start, end) from ``ready`` on, or (-1, -1)."""
    duration = p.duration[mode]
    if duration == 0:
        return ready, ready
    start, done, slot = NONE, 0, ready
    while slot < len(free):
        if not rests(p, mode, slot):
            if fits(p, free, mode, slot):
                if start == NONE:
                    start = slot
                done += 1
                if done == duration:
                    return start, slot + 1
            else:
                start, done = NONE, 0
        slot += 1
    return NONE, NONE


@compiled
def latest(p: Packed, free: Ints, mode: int, limit: int) -> tuple[int, int]:
    """Last (start, end) with the end at or before ``limit``, or (-1, -1)."""
    duration = p.duration[mode]
    if duration == 0:
        return limit, limit
    end, done, slot = NONE, 0, limit - 1
    while slot >= 0:
        if not rests(p, mode, slot):
            if fits(p, free, mode, slot):
                if end == NONE:
                    end = slot + 1
                done += 1
                if done == duration:
                    return slot, end
            else:
                end, done = NONE, 0
        slot -= 1
    return NONE, NONE


@compiled
def occupy(p: Packed, free: Ints, mode: int, start: int, end: int) -> bool:
    """Take what ``mode`` needs from ``start`` to ``end``; False when there was less."""
    enough = True
    for slot in range(start, end):
        if rests(p, mode, slot):
            continue
        for d in range(p.need_from[mode], p.need_from[mode + 1]):
            free[slot, p.need_resource[d]] -= p.need_units[d]
            enough = enough and free[slot, p.need_resource[d]] >= 0
    return enough


@compiled
def ready_slot(p: Packed, i: int, ends: Ints) -> int:
    """When all that ``i`` waits for has ended."""
    ready = int(p.release[i])
    for d in range(p.before_from[i], p.before_from[i + 1]):
        ready = max(ready, int(ends[p.before[d]] + p.before_lag[d]))
    return ready


@compiled
def limit_slot(p: Packed, i: int, starts: Ints, end: int) -> int:
    """When ``i`` must have ended, for what waits for it, its deadline, and ``end``."""
    limit = min(end, int(p.deadline[i]))
    for d in range(p.after_from[i], p.after_from[i + 1]):
        limit = min(limit, int(starts[p.after[d]] - p.after_lag[d]))
    return limit


@compiled
def place_fixed(p: Packed, free: Ints, starts: Ints, ends: Ints, chosen: Ints) -> bool:
    """Put what has started where it is; False when there is not enough for it."""
    free[:] = p.capacity
    for i in range(len(p.release)):
        if p.fixed_start[i] == NONE:
            continue
        mode = p.mode_from[i] + p.fixed_mode[i]
        # Against what is there at all, not against what is left: two fixed ones may be too much together, which occupy() tells.
        start, end = earliest(p, p.capacity, mode, p.fixed_start[i])
        if start != p.fixed_start[i] or not occupy(p, free, mode, start, end):
            return False
        starts[i], ends[i], chosen[i] = start, end, p.fixed_mode[i]
    return True


@compiled
def best_mode(p: Packed, free: Ints, i: int, gene: int, ready: int) -> tuple[int, int, int]:
    """(mode, start, end): of the mode ``gene``, or, when that is -1, of the one that ends first."""
    base, count = p.mode_from[i], p.mode_from[i + 1] - p.mode_from[i]
    if gene >= 0:
        start, end = earliest(p, free, base + gene, ready)
        return gene, start, end
    mode, start, end = NONE, NONE, FAR
    for candidate in range(count):
        s, e = earliest(p, free, base + candidate, ready)
        if s != NONE and e < end:
            mode, start, end = candidate, s, e
    return mode, start, end


@compiled
def decode(p: Packed, order: Ints, genes: Ints, holds: Ints, free: Ints, starts: Ints, ends: Ints, chosen: Ints) -> bool:
    """Place the activities one by one in ``order``; ``holds``: 1 for those that start no earlier than they did before."""
    if not place_fixed(p, free, starts, ends, chosen):
        return False
    for i in order:
        if p.fixed_start[i] != NONE:
            continue
        ready = ready_slot(p, i, ends)
        if holds[i] == 1:
            ready = max(ready, p.kept_start[i])
        mode, start, end = best_mode(p, free, i, genes[i], ready)
        if start == NONE:
            return False
        starts[i], ends[i], chosen[i] = start, end, mode
        occupy(p, free, p.mode_from[i] + mode, start, end)
    return True


@compiled
def value_of(p: Packed, starts: Ints, ends: Ints, chosen: Ints) -> float:
    """What the schedule costs; a missed deadline makes it worse than any that misses none."""
    makespan, cost, missed = 0, 0.0, 0.0
    for i in range(len(starts)):
        makespan = max(makespan, ends[i])
        if ends[i] > p.due[i]:
            cost += float(p.weight[i]) * (ends[i] - p.due[i])
        if p.kept_start[i] != NONE and (starts[i] != p.kept_start[i] or chosen[i] != p.kept_mode[i]):
            cost += p.change_cost[i]
        if ends[i] > p.deadline[i]:
            missed += ends[i] - p.deadline[i]
    return makespan * p.makespan_scale + cost * p.cost_scale + missed * 1e14


@compiled
def push_right(p: Packed, free: Ints, starts: Ints, ends: Ints, chosen: Ints) -> bool:
    """Move every activity as late as it can be without a longer makespan."""
    finish = ends.max()
    # Milestones with the same end as what waits for them: the later rank first.
    order = np.argsort(-(ends.astype(np.int64) * (len(ends) + 1) + p.rank))
    if not place_fixed(p, free, starts, ends, chosen):
        return False
    for i in order:
        if p.fixed_start[i] != NONE:
            continue
        mode = p.mode_from[i] + chosen[i]
        start, end = latest(p, free, mode, limit_slot(p, i, starts, finish))
        if start < starts[i]:
            return False
        starts[i], ends[i] = start, end
        occupy(p, free, mode, start, end)
    return True


@compiled
def push_left(p: Packed, free: Ints, starts: Ints, ends: Ints, chosen: Ints) -> bool:
    """Move every activity as early as it can be, those that start first first."""
    order = by_start(p, starts)
    if not place_fixed(p, free, starts, ends, chosen):
        return False
    for i in order:
        if p.fixed_start[i] != NONE:
            continue
        mode = p.mode_from[i] + chosen[i]
        start, end = earliest(p, free, mode, ready_slot(p, i, ends))
        if start == NONE:
            return False
        starts[i], ends[i] = start, end
        occupy(p, free, mode, start, end)
    return True


@compiled
def by_start(p: Packed, starts: Ints) -> Ints:
    """Activities by start; of those with the same one, none before what it waits for."""
    return np.argsort(starts.astype(np.int64) * (len(starts) + 1) + p.rank).astype(np.int32)
