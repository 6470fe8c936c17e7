"""What people do before or after something: compiled walks over sessions, events sorted by (person, at)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from productops.stats.analytics_usage_inline import inlined
from productops.stats.analytics_usage_order import Ints, Uints
from productops.stats.schedule.compiled import compiled

Codes = npt.NDArray[np.int32]
NOTHING = -1


@inlined
def _anchor(first: int, last: int, anchor: npt.NDArray[np.bool_], way: int) -> int:
    """The first event of a session that is anchored, from its beginning or from its end; outside of it: there is none."""
    place = last - 1 if way < 0 else first
    while first <= place < last and not anchor[place]:
        place += way
    return place


@inlined
def _tell(begin: int, first: int, last: int, code: Codes, way: int, row: Codes, collapse: int) -> None:
    """Codes from an event on, or back, into a row; the rest is -1."""
    told = 0
    i = begin
    while first <= i < last and told < len(row):
        if not (collapse and told > 0 and row[told - 1] == code[i]):
            row[told] = code[i]
            told += 1
        i += way
    for place in range(told, len(row)):
        row[place] = NOTHING


@compiled
def walk_paths(
    person: Uints, at: Ints, code: Codes, anchor: npt.NDArray[np.bool_], steps: int, gap_us: int, way: int, collapse: int
) -> Codes:  # fmt: skip
    """``steps`` codes for each session, all in a row, -1 where it is shorter. With ``collapse``, repeats of a code count once.

    A session ends when the next event comes more than ``gap_us`` later. ``way`` 1: the path begins at the first event of the session with
    ``anchor``; -1: it ends at the last one and is told from there back. Sessions without one give no row.
    """
    n = len(person)
    rows = np.empty(n * steps, np.int32)
    m = first = 0
    while first < n:
        last = first + 1
        while last < n and person[last] == person[first] and at[last] - at[last - 1] <= gap_us:
            last += 1
        begin = _anchor(first, last, anchor, way)
        if first <= begin < last:
            _tell(begin, first, last, code, way, rows[m * steps : (m + 1) * steps], collapse)
            m += 1
        first = last
    return rows[: m * steps].copy()


def edges_of(paths: npt.NDArray[np.int32]) -> tuple[Ints, Ints]:
    """Distinct moves as rows (step from 0, from, to) and how many paths make each; the end of a path is no move."""
    kept = []
    for step in range(paths.shape[1] - 1):
        pair = paths[:, step : step + 2]
        pair = pair[pair[:, 1] != NOTHING].astype(np.int64)
        kept.append(np.column_stack([np.full(len(pair), step, np.int64), pair]))
    every = np.concatenate(kept) if kept else np.empty((0, 3), np.int64)
    if not len(every):
        return every, np.empty(0, np.int64)
    moves, counts = np.unique(every, axis=0, return_counts=True)
    return moves, counts.astype(np.int64)


def whole_paths(paths: npt.NDArray[np.int32]) -> tuple[npt.NDArray[np.int32], Ints]:
    """Distinct paths (shape paths × steps) and how many sessions took each."""
    if not len(paths):
        return paths, np.empty(0, np.int64)
    found, counts = np.unique(paths, axis=0, return_counts=True)
    return found, counts.astype(np.int64)
