"""Who comes back, who is active, who did something how often: compiled walks over records sorted by (person, at).

``interval`` int32 numbers the days, weeks or months that were asked for from 0; -1 is the one before, -2 everything earlier.
``flags`` uint8: 1 begins, 2 returns, 4 returned after something had begun within the record (see ``reduce_runs``).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from productops.stats.analytics_usage_inline import inlined
from productops.stats.analytics_usage_order import Ints, Uints
from productops.stats.schedule.compiled import compiled

Intervals = npt.NDArray[np.int32]
Flags = npt.NDArray[np.uint8]


@inlined
def _mark(offset: int, column_of: Ints, mark: Ints, stamp: int) -> None:
    """Note that somebody came back so many periods later."""
    if offset < len(column_of) and column_of[offset] >= 0:
        mark[column_of[offset]] = stamp


@inlined
def _add(row: Ints, furthest: int, column_begin: Ints, mark: Ints, stamp: int, unbounded: int) -> None:
    """Count one person in the columns: those that were marked, or, ``unbounded``, all up to the furthest."""
    for column in range(len(row)):
        if (unbounded and column_begin[column] <= furthest) or (not unbounded and mark[column] == stamp):
            row[column] += 1


@inlined
def _came_back(i: int, person: Uints, interval: Intervals, flags: Flags, column_of: Ints, mark: Ints, stamp: int) -> int:
    """Mark all returns after record ``i``, within it, too; the furthest offset, -1: none."""
    furthest = -1
    if flags[i] & 4:
        furthest = 0
        _mark(0, column_of, mark, stamp)
    j = i + 1
    while j < len(person) and person[j] == person[i]:
        if flags[j] & 2:
            furthest = interval[j] - interval[i]
            _mark(furthest, column_of, mark, stamp)
        j += 1
    return furthest


@compiled
def count_returns(
    person: Uints, interval: Intervals, flags: Flags, intervals: int, column_of: Ints, column_begin: Ints, recurring: int, unbounded: int
) -> tuple[Ints, Ints]:
    """People by the interval they began in (shape intervals), and how many of them returned (shape intervals × columns).

    ``column_of`` gives the column of an offset in intervals, -1: none; ``column_begin`` the first offset of a column. ``recurring``: one
    counts in each interval one begins in, else only in the first ever. ``unbounded``: or at any later time.
    """
    size, back = np.zeros(intervals, np.int64), np.zeros((intervals, len(column_begin)), np.int64)
    mark = np.full(len(column_begin), -1, np.int64)
    stamp = 0
    begun = -3
    for i in range(len(person)):
        if i == 0 or person[i] != person[i - 1]:
            begun = -3
        if not flags[i] & 1 or interval[i] == begun or (begun != -3 and not recurring):
            continue
        begun = interval[i]
        if 0 <= begun < intervals:
            size[begun] += 1
            stamp += 1
            furthest = _came_back(i, person, interval, flags, column_of, mark, stamp)
            _add(back[begun], furthest, column_begin, mark, stamp, unbounded)
    return size, back


@inlined
def _came_back_later(i: int, person: Uints, at: Ints, flags: Flags, unit_us: int, column_of: Ints, mark: Ints, stamp: int) -> int:
    """Mark all returns after event ``i``; the furthest offset, -1: none."""
    furthest = -1
    j = i + 1
    while j < len(person) and person[j] == person[i]:
        if flags[j] & 2:
            furthest = (at[j] - at[i]) // unit_us
            _mark(furthest, column_of, mark, stamp)
        j += 1
    return furthest


@compiled
def count_elapsed(
    person: Uints, at: Ints, flags: Flags, edges: Ints, unit_us: int, column_of: Ints, column_begin: Ints, unbounded: int
) -> tuple[Ints, Ints]:
    """As ``count_returns`` for the first time ever, with offsets in whole ``unit_us`` since that very moment.

    ``edges`` (length intervals + 1): where the rows begin and end; who began before the first or after the last is not counted.
    """
    intervals = len(edges) - 1
    size, back = np.zeros(intervals, np.int64), np.zeros((intervals, len(column_begin)), np.int64)
    mark = np.full(len(column_begin), -1, np.int64)
    stamp = 0
    begun = False
    for i in range(len(person)):
        begun = begun and person[i] == person[i - 1]
        if begun or not flags[i] & 1:
            continue
        begun = True
        if edges[0] <= at[i] < edges[intervals]:
            row = np.searchsorted(edges, at[i], side="right") - 1
            size[row] += 1
            stamp += 1
            furthest = _came_back_later(i, person, at, flags, unit_us, column_of, mark, stamp)
            _add(back[row], furthest, column_begin, mark, stamp, unbounded)
    return size, back


@inlined
def _is_in_next(i: int, person: Uints, interval: Intervals) -> bool:
    """Whether the person of a record is active in the interval after it, too."""
    k = i + 1
    while k < len(person) and person[k] == person[i] and interval[k] <= interval[i] + 1:
        if interval[k] == interval[i] + 1:
            return True
        k += 1
    return False


@compiled
def count_lifecycle(person: Uints, interval: Intervals, intervals: int) -> Ints:
    """New, returning, resurrected and dormant people by interval (shape intervals × 4).

    Returning: also active in the interval before; resurrected: earlier, but not then; dormant: then, but not now.
    """
    counts = np.zeros((intervals, 4), np.int64)
    for i in range(len(person)):
        fresh = i == 0 or person[i] != person[i - 1]
        now = interval[i]
        if not fresh and interval[i - 1] == now:
            continue
        if 0 <= now < intervals:
            kind = 0 if fresh else 1 if interval[i - 1] == now - 1 else 2
            counts[now, kind] += 1
        if -1 <= now < intervals - 1 and not _is_in_next(i, person, interval):
            counts[now + 1, 3] += 1
    return counts


@compiled
def count_trailing(person: Uints, day: Intervals, days: int, span: int) -> Ints:
    """For each day from 0, the people who were active on it or on one of the ``span - 1`` days before; ``day`` may be negative."""
    steps = np.zeros(days + 1, np.int64)
    n = len(person)
    for i in range(n):
        if i + 1 < n and person[i + 1] == person[i] and day[i + 1] == day[i]:
            continue
        end = day[i] + span
        if i + 1 < n and person[i + 1] == person[i] and day[i + 1] < end:
            end = day[i + 1]
        begin = max(day[i], 0)
        end = min(end, days)
        if begin < end:
            steps[begin] += 1
            steps[end] -= 1
    return np.cumsum(steps[:days])


@compiled
def count_matches(person: Uints, bits: npt.NDArray[np.uint32], conditions: int) -> tuple[Uints, npt.NDArray[np.int32]]:
    """People, and how often each fitted each condition (shape people × conditions)."""
    n = len(person)
    people = 0
    for i in range(n):
        if i == 0 or person[i] != person[i - 1]:
            people += 1
    who, counts = np.empty(people, np.uint64), np.zeros((people, conditions), np.int32)
    m = -1
    for i in range(n):
        if i == 0 or person[i] != person[i - 1]:
            m += 1
            who[m] = person[i]
        for condition in range(conditions):
            if bits[i] >> np.uint32(condition) & np.uint32(1):
                counts[m, condition] += 1
    return who, counts


@compiled
def first_uses(person: Uints, at: Ints, flags: Flags, since: int) -> tuple[int, Ints]:
    """Of the people who were first seen at ``since`` or later (flag 1): how many, and the microseconds until their first use (flag 2)."""
    n = len(person)
    waits = np.empty(n, np.int64)
    people = used = 0
    first = 0
    while first < n:
        last = first + 1
        while last < n and person[last] == person[first]:
            last += 1
        i = first
        while i < last and not flags[i] & 1:
            i += 1
        if i < last and at[i] >= since:
            people += 1
            for j in range(i, last):
                if flags[j] & 2:
                    waits[used] = at[j] - at[i]
                    used += 1
                    break
        first = last
    return people, waits[:used].copy()
