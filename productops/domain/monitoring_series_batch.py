"""The newest points of all series: batches as they came, then minutes sorted by series, before they become blocks."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from productops.domain.monitoring_series import Floats, Seconds
from productops.domain.monitoring_series_block import shuffle, unshuffle

_HEAD = struct.Struct("<BIqII")  # packed or plain, count, first second, bytes of the numbers, bytes of the times
_PLAIN, _PACKED = 1, 2
UNSORTED: Final = -1
SHARDS: Final = 32
"""Sorted minutes lie in so many rows, by the series' number: reading one series takes a small part of a minute."""

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Points of many series: parallel arrays of the series' numbers, seconds and values."""

    numbers: Numbers
    seconds: Seconds
    values: Floats

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, chosen: NDArray[np.intp] | NDArray[np.bool_] | slice) -> Batch:
        """Some of the points."""
        return Batch(self.numbers[chosen], self.seconds[chosen], self.values[chosen])


def pack_batch(batch: Batch, *, small: bool) -> bytes:
    """``small``: squeezed, which takes a hundred times as long; else as the arrays lie in memory."""
    first = int(batch.seconds.min()) if len(batch) else 0
    numbers, times = batch.numbers.astype(np.int32), (batch.seconds - first).astype(np.int32)
    if small:
        kind, parts = _PACKED, [zlib.compress(shuffle(np.diff(each, prepend=np.int32(0))), 1) for each in (numbers, times)]
        parts.append(zlib.compress(shuffle(batch.values), 1))
    else:
        kind, parts = _PLAIN, [numbers.tobytes(), times.tobytes() if times.any() else b"", batch.values.tobytes()]
    return _HEAD.pack(kind, len(batch), first, len(parts[0]), len(parts[1])) + b"".join(parts)


def unpack_batch(data: bytes) -> Batch:
    """What ``pack_batch`` was given. Raises: ValueError for another kind."""
    kind, count, first, numbers_end, times_end = _HEAD.unpack_from(data)
    body = memoryview(data)[_HEAD.size :]
    parts = body[:numbers_end], body[numbers_end : numbers_end + times_end], body[numbers_end + times_end :]
    if kind == _PLAIN:
        numbers: Numbers = np.frombuffer(parts[0], np.int32).astype(np.int64)
        times: Seconds = np.frombuffer(parts[1], np.int32).astype(np.int64) if times_end else np.zeros(count, np.int64)
        return Batch(numbers, first + times, np.frombuffer(parts[2], np.float64))
    if kind != _PACKED:
        raise ValueError(f"a batch of kind {kind}; this program knows {_PLAIN} and {_PACKED}")
    numbers, times = (np.cumsum(unshuffle(zlib.decompress(part), np.int32), dtype=np.int64) for part in parts[:2])
    return Batch(numbers, first + times, unshuffle(zlib.decompress(parts[2]), np.float64))


def join_batches(batches: Sequence[Batch]) -> Batch:
    """One after the other."""
    if len(batches) == 1:
        return batches[0]
    if not batches:
        return Batch(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    return Batch(
        np.concatenate([each.numbers for each in batches]), np.concatenate([each.seconds for each in batches]),
        np.concatenate([each.values for each in batches]),
    )  # fmt: skip


def sort_batch(batch: Batch) -> Batch:
    """By series and second; of points in the same second of a series only the one that came last."""
    if not len(batch):
        return batch
    order = np.lexsort((batch.seconds, batch.numbers))  # stable: what came later stands behind
    numbers, seconds = batch.numbers[order], batch.seconds[order]
    last = np.concatenate(((numbers[1:] != numbers[:-1]) | (seconds[1:] != seconds[:-1]), [True]))
    return batch.take(order[last])


def split_series(batch: Batch) -> list[tuple[int, slice]]:
    """Where each series lies in a sorted batch."""
    if not len(batch):
        return []
    first = np.flatnonzero(np.concatenate(([True], batch.numbers[1:] != batch.numbers[:-1])))
    ends = np.concatenate((first[1:], [len(batch)]))
    return [(int(batch.numbers[begin]), slice(int(begin), int(end))) for begin, end in zip(first, ends, strict=True)]
