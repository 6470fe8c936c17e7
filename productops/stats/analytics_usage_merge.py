"""Counts of parts put together: what is exact for each part is exact for the whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Weighted = tuple[Ints, Ints]
"""Distinct values, rising, and how often each is there."""


def weighted(values: Ints) -> Weighted:
    """Values as distinct ones with their counts."""
    found, counts = np.unique(values, return_counts=True)
    return found.astype(np.int64), counts.astype(np.int64)


def added(parts: Iterable[Weighted]) -> Weighted:
    """All of them together."""
    every = list(parts)
    if not every:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    values, place = np.unique(np.concatenate([p[0] for p in every]), return_inverse=True)
    counts = np.zeros(len(values), np.int64)
    np.add.at(counts, place, np.concatenate([p[1] for p in every]))
    return values, counts


def quantile(whole: Weighted, share: float) -> int | None:
    """The least value that at least ``share`` of all do not exceed (nearest rank); None of none."""
    values, counts = whole
    if not len(values):
        return None
    reached = np.cumsum(counts)
    return int(values[np.searchsorted(reached, share * reached[-1] - 1e-9)])


def top(counts: dict[str, Sequence[int]], most: int, *, by: int = 0, other: str) -> dict[str, list[int]]:
    """The ``most`` rows that are greatest at ``by``, the rest added up as ``other``; by size, then name, ``other`` last."""
    rows = sorted(counts.items(), key=lambda row: (-row[1][by], row[0]))
    found = {name: list(row) for name, row in rows[:most]}
    rest = [row for _, row in rows[most:]]
    if rest:
        found[other] = [sum(column) for column in zip(*rest, strict=True)]
    return found
