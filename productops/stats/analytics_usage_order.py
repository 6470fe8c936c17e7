"""Events of many days brought together by person: the compiled inner loops that everything else of use begins with.

All arrays are aligned: ``person`` uint64, ``at`` int64 microseconds since 1970. Files of a day come sorted by (person, at), so what is
left to do is a stable order by person; equal instants keep the order in which they came.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from productops.stats.schedule.compiled import compiled

Uints = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]


@compiled
def order_by_person(person: Uints, at: Ints, known_bits: int) -> Ints:
    """Indices that sort by (person, at), equal ones as they came. ``known_bits``: so many leading bits are the same for all of them.

    Three counting passes over the next 33 bits bring equal persons together; what is left is put right by insertion.
    """
    n = len(person)
    now, after = np.arange(n), np.empty(n, np.int64)
    size = 1 << 11
    for turn in range(3):
        shift = np.uint64(max(0, 64 - known_bits - 33 + turn * 11))
        counts = np.zeros(size + 1, np.int64)
        for i in range(n):
            counts[((person[i] >> shift) & np.uint64(size - 1)) + np.uint64(1)] += 1
        for d in range(size):
            counts[d + 1] += counts[d]
        for k in range(n):
            i = now[k]
            d = (person[i] >> shift) & np.uint64(size - 1)
            after[counts[d]] = i
            counts[d] += 1
        now, after = after, now
    for k in range(1, n):
        i = now[k]
        j = k - 1
        while j >= 0 and (person[now[j]] > person[i] or (person[now[j]] == person[i] and at[now[j]] > at[i])):
            now[j + 1] = now[j]
            j -= 1
        now[j + 1] = i
    return now


@compiled
def reduce_runs(
    person: Uints, interval: npt.NDArray[np.int32], flags: npt.NDArray[np.uint8]
) -> tuple[Ints, npt.NDArray[np.uint8]]:  # fmt: skip
    """Where each run of the same person and interval begins in a file that is sorted by (person, at), and what happened in it.

    ``flags``: 1 begins, 2 returns; 4 is added where something of the run returned after something had begun in it.
    """
    n = len(person)
    places, told = np.empty(n, np.int64), np.empty(n, np.uint8)
    m = -1
    for i in range(n):
        if m < 0 or person[places[m]] != person[i] or interval[places[m]] != interval[i]:
            m += 1
            places[m], told[m] = i, flags[i]
        else:
            if flags[i] & 2 and told[m] & 1:
                told[m] |= np.uint8(4)
            told[m] |= flags[i]
    return places[: m + 1].copy(), told[: m + 1].copy()


@compiled
def distinct_sorted(person: Uints) -> Uints:
    """The different ones of what is sorted."""
    n = len(person)
    kept = np.empty(n, np.uint64)
    m = 0
    for i in range(n):
        if i == 0 or person[i] != person[i - 1]:
            kept[m] = person[i]
            m += 1
    return kept[:m].copy()


def distinct(values: Uints) -> Uints:
    """The different ones, sorted. What is sorted already costs one look; NumPy's own way puts millions into a hash table first."""
    if len(values) > 1 and not (values[1:] >= values[:-1]).all():
        values = np.sort(values)
    return distinct_sorted(values)


@compiled
def among_sorted(person: Uints, wanted: Uints) -> npt.NDArray[np.bool_]:
    """Which of the sorted ``person`` (repeats allowed) are among the sorted, different ``wanted``."""
    found = np.zeros(len(person), np.bool_)
    j = 0
    for i in range(len(person)):
        while j < len(wanted) and wanted[j] < person[i]:
            j += 1
        found[i] = j < len(wanted) and wanted[j] == person[i]
    return found
