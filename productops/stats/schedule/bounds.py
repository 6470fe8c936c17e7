"""What no schedule can be better than, without a search: critical paths and work against capacity."""

from __future__ import annotations

import numpy as np

from productops.stats.schedule.packed import FAR, Packed

MODES_MAX = 3_000
"""With more, prices say as much about sets of resources, and sooner."""


def heads_and_tails(p: Packed, *, releases: bool = True) -> tuple[list[int], list[int]]:
    """Earliest starts, and time that must pass after the ends, by the links alone and the shortest modes."""
    n = p.activities
    shortest = [int(p.duration[p.mode_from[i] : p.mode_from[i + 1]].min()) for i in range(n)]
    heads = [int(r) if releases else 0 for r in p.release]
    tails = [0] * n
    order = [int(i) for i in np.argsort(p.rank)]
    for i in order:
        for d in range(p.after_from[i], p.after_from[i + 1]):
            j = int(p.after[d])
            heads[j] = max(heads[j], heads[i] + shortest[i] + int(p.after_lag[d]))
    for i in reversed(order):
        for d in range(p.after_from[i], p.after_from[i + 1]):
            j = int(p.after[d])
            tails[i] = max(tails[i], tails[j] + shortest[j] + int(p.after_lag[d]))
    return heads, tails


def shortest_modes(p: Packed) -> list[int]:
    """Slots of the shortest mode of each activity."""
    return [int(p.duration[p.mode_from[i] : p.mode_from[i + 1]].min()) for i in range(p.activities)]


def makespan_bound(p: Packed) -> int:
    """The largest of: each path of links, and the work that only a set of resources can do against their calendars.

    Source: the energetic argument on sets of resources; Neron et al. 2006 for a survey.
    """
    heads, tails = heads_and_tails(p)
    shortest = shortest_modes(p)
    longest = max(h + d + t for h, d, t in zip(heads, shortest, tails, strict=True))
    if len(p.duration) > MODES_MAX:
        return longest
    sets = {frozenset(_users(p, i)) for i in range(p.activities)} - {frozenset()}
    single = {frozenset([k]) for each in sets for k in each}
    every = frozenset(k for each in sets for k in each)
    return max([longest, *(_work_bound(p, each, heads, tails) for each in sets | single | {every})])


def _users(p: Packed, i: int) -> set[int]:
    """Resources that some mode of ``i`` needs; empty when a mode needs none."""
    found: set[int] = set()
    for mode in range(p.mode_from[i], p.mode_from[i + 1]):
        needs = p.need_resource[p.need_from[mode] : p.need_from[mode + 1]]
        if len(needs) == 0:
            return set()
        found |= {int(k) for k in needs}
    return found


def _least_work(p: Packed, i: int, group: frozenset[int]) -> int:
    """Slots times units that ``i`` takes of ``group`` at least."""
    best = FAR
    for mode in range(p.mode_from[i], p.mode_from[i + 1]):
        units = sum(int(p.need_units[d]) for d in range(p.need_from[mode], p.need_from[mode + 1]) if int(p.need_resource[d]) in group)
        best = min(best, units * int(p.duration[mode]))
    return best


def _work_bound(p: Packed, group: frozenset[int], heads: list[int], tails: list[int]) -> int:
    """When the capacity of ``group`` has done the work that only it can do, after the first head and before the last tail."""
    work = {i: _least_work(p, i, group) for i in range(p.activities)}
    busy = [i for i, units in work.items() if units > 0]
    if not busy:
        return 0
    first, last = min(heads[i] for i in busy), min(tails[i] for i in busy)
    done = np.cumsum(p.capacity[first:, sorted(group)].sum(axis=1))
    reached = int(np.searchsorted(done, sum(work[i] for i in busy)))
    return first + reached + 1 + last


def cost_bound(p: Packed) -> int:
    """Lateness that the links and releases alone cause."""
    heads, _ = heads_and_tails(p)
    shortest = shortest_modes(p)
    return int(sum(int(p.weight[i]) * max(0, heads[i] + shortest[i] - int(p.due[i])) for i in range(p.activities)))
