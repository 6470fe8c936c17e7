"""A schedule after a change, with as little moved as can be: what can stay stays, and the rest goes into the gaps, compiled."""

from __future__ import annotations

import time

import numpy as np

from productops.stats.schedule.compiled import compiled
from productops.stats.schedule.kernels import best_mode, by_start, earliest, occupy, place_fixed, ready_slot, rests, value_of
from productops.stats.schedule.packed import NONE, Ints, Packed
from productops.stats.schedule.search import Found


@compiled
def release(p: Packed, free: Ints, mode: int, start: int, end: int) -> None:
    """Give back what ``occupy`` took."""
    for slot in range(start, end):
        if not rests(p, mode, slot):
            for d in range(p.need_from[mode], p.need_from[mode + 1]):
                free[slot, p.need_resource[d]] += p.need_units[d]


@compiled
def reserve(p: Packed, loose: Ints, free: Ints, starts: Ints, ends: Ints, chosen: Ints, order: Ints) -> Ints:
    """Take the places of the earlier schedule, first come, first served; 1 for each activity that has got its own."""
    held = np.zeros(len(order), dtype=np.int32)
    for i in order:
        if p.fixed_start[i] != NONE or p.kept_start[i] == NONE or loose[i] == 1:
            continue
        mode = p.mode_from[i] + p.kept_mode[i]
        start, end = earliest(p, free, mode, p.kept_start[i])
        if start == p.kept_start[i]:
            occupy(p, free, mode, start, end)
            starts[i], ends[i], chosen[i], held[i] = start, end, p.kept_mode[i], 1
    return held


@compiled
def wishes(p: Packed) -> Ints:
    """The order of the earlier schedule, in which nothing comes before what it waits for."""
    wished = np.where(p.kept_start >= 0, p.kept_start, 0).astype(np.int32)
    for i in np.argsort(p.rank):
        for d in range(p.before_from[i], p.before_from[i + 1]):
            wished[i] = max(wished[i], wished[p.before[d]])
    return by_start(p, wished)


@compiled
def place(p: Packed, free: Ints, i: int, ready: int, starts: Ints, ends: Ints, chosen: Ints) -> bool:
    """Put ``i`` where it ends first, with whom it was before when that is as soon; False when there is no place."""
    mode, start, end = best_mode(p, free, i, NONE, ready)
    if start == NONE:
        return False
    if p.kept_start[i] != NONE:
        s, e = earliest(p, free, p.mode_from[i] + p.kept_mode[i], ready)
        if s != NONE and e <= end:
            mode, start, end = p.kept_mode[i], s, e
    starts[i], ends[i], chosen[i] = start, end, mode
    occupy(p, free, p.mode_from[i] + mode, start, end)
    return True


@compiled
def repair(p: Packed, order: Ints, loose: Ints, free: Ints, starts: Ints, ends: Ints, chosen: Ints) -> bool:
    """Fill ``starts``, ``ends`` and ``chosen``; False when something finds no place within the horizon.

    ``order``: of ``wishes``. Those with ``loose`` 1 have no right to their old place, so that others can have it.
    """
    if not place_fixed(p, free, starts, ends, chosen):
        return False
    held = reserve(p, loose, free, starts, ends, chosen, order)
    for i in order:
        if p.fixed_start[i] != NONE:
            continue
        ready = ready_slot(p, i, ends)
        if held[i] == 1:
            if ready <= starts[i]:
                continue
            release(p, free, p.mode_from[i] + chosen[i], starts[i], ends[i])
        if not place(p, free, i, ready, starts, ends, chosen):
            return False
    return True


def mend(p: Packed, seconds: float, *, seed: int = 1) -> Found | None:
    """The earlier schedule with what must move moved, and more only where that pays; tried for ``seconds``, at least once.

    None when there was none, or when not all finds a place within the horizon. A climb over who keeps the right to the old place: now
    and then all of a resource in a stretch of time lose it, or have it back.
    """
    if (p.kept_start == NONE).all():
        return None
    ends_at, random = time.monotonic() + seconds, np.random.default_rng(seed)
    order, loose = wishes(p), np.zeros(p.activities, dtype=np.int32)
    best = _mended(p, order, loose)
    owner = [_resource(p, i) for i in range(p.activities)]
    movable = np.flatnonzero(p.kept_start >= 0)
    while best is not None and time.monotonic() < ends_at:
        best.tried += 1
        middle = int(random.choice(movable))
        reach = int(random.integers(1, max(2, len(p.capacity) // 4)))
        near = [i for i in movable if owner[i] == owner[middle] and 0 <= p.kept_start[i] - p.kept_start[middle] <= reach]
        other = loose.copy()
        other[near] = 1 - loose[middle]
        found = _mended(p, order, other)
        if found is not None and found.value <= best.value:
            found.tried, best, loose = best.tried, found, other
    return best


def _resource(p: Packed, i: int) -> int:
    """The first one of the mode it had; -1 of none."""
    mode = int(p.mode_from[i] + p.kept_mode[i])
    return int(p.need_resource[p.need_from[mode]]) if p.need_from[mode] < p.need_from[mode + 1] else NONE


def _mended(p: Packed, order: Ints, loose: Ints) -> Found | None:
    starts, ends, modes = (np.zeros(p.activities, dtype=np.int32) for _ in range(3))
    if not repair(p, order, loose, p.capacity.copy(), starts, ends, modes):
        return None
    return Found(float(value_of(p, starts, ends, modes)), starts, ends, modes, 1)
