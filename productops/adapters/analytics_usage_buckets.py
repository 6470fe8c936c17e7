"""Rows of many files brought together by person, a small range of persons at a time, so that each range stays in the processor's cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

from productops.adapters.analytics_usage_scan import EVERYBODY, THREADS
from productops.stats.analytics_usage_order import order_by_person

BUCKET_ROWS = 32_768
BUCKETS_MAX = 4096
T = TypeVar("T")
Columns = tuple[Any, ...]


def by_bucket(
    pieces: Sequence[Columns], work: Callable[..., T], *, order: int | None, persons: tuple[int, int] = EVERYBODY
) -> list[T]:  # fmt: skip
    """``work`` on all rows of each small range of persons, sorted by person and column ``order`` (None: as they came); results by range.

    A piece is a tuple of aligned arrays whose first is the sorted persons (uint64), all within ``persons``, which is a range of a
    power-of-two share of all.
    """
    used = [piece for piece in pieces if len(piece[0])]
    rows = sum(len(piece[0]) for piece in used)
    if not rows:
        return []
    parts = 1
    while parts < BUCKETS_MAX and rows / parts > BUCKET_ROWS:
        parts *= 2
    width = (persons[1] - persons[0]) // parts
    edges = np.array([persons[0] + n * width for n in range(1, parts)], dtype=np.uint64)
    cuts = [np.concatenate([[0], np.searchsorted(piece[0], edges), [len(piece[0])]]) for piece in used]
    known_bits = 64 - (width.bit_length() - 1)

    def one(part: int) -> T:
        return work(*_ordered(_gathered(used, cuts, part), order, known_bits))

    if parts == 1:
        return [one(0)]
    with ThreadPoolExecutor(THREADS, thread_name_prefix="usage") as pool:
        return list(pool.map(one, range(parts)))


def _gathered(pieces: Sequence[Columns], cuts: Sequence[Any], part: int) -> Columns:
    chosen = [(piece, cut[part], cut[part + 1]) for piece, cut in zip(pieces, cuts, strict=True) if cut[part] < cut[part + 1]]
    if not chosen:
        return tuple(column[:0] for column in pieces[0])
    return tuple(np.concatenate([piece[n][a:b] if len(piece[n]) else piece[n] for piece, a, b in chosen]) for n in range(len(pieces[0])))


def _ordered(columns: Columns, order: int | None, known_bits: int) -> Columns:
    person = columns[0]
    at = columns[order].astype(np.int64, copy=False) if order is not None else np.zeros(len(person), np.int64)
    places = order_by_person(person, at, known_bits)
    return tuple(column[places] if len(column) else column for column in columns)
