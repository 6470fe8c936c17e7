"""Points summed up by steps: count, least, greatest, sum, last. Everything that is asked of a long time follows from these."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from productops.domain.monitoring_series import Floats, Seconds, Statistic
from productops.domain.monitoring_series_block import decode, encode

MINUTE_S, HOUR_S = 60, 3600
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, slots=True, eq=False)
class Rollup:
    """Parallel arrays, one element for each step that has points; ``at`` is where it begins (Unix seconds), rising."""

    at: Seconds
    count: Floats
    low: Floats
    high: Floats
    total: Floats
    last: Floats

    @property
    def columns(self) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        """All but the times."""
        return (self.count, self.low, self.high, self.total, self.last)

    def told(self, statistic: Statistic) -> Floats:
        """The wanted column; the mean is sum by count."""
        if statistic is Statistic.MEAN:
            mean: Floats = self.total / self.count
            return mean
        by_name = {
            Statistic.MIN: self.low, Statistic.MAX: self.high, Statistic.SUM: self.total, Statistic.LAST: self.last,
            Statistic.COUNT: self.count,
        }  # fmt: skip
        return by_name[statistic]


def points_as_rollup(seconds: Seconds, values: Floats) -> Rollup:
    """Each point a step of its own."""
    return Rollup(seconds, np.ones(len(values)), values, values, values, values)


def regroup(rollup: Rollup, step_s: int) -> Rollup:
    """Steps of ``step_s`` seconds that begin at its multiples since 1970; what is finer is summed up, what is coarser stays."""
    begins = rollup.at - rollup.at % step_s
    if not len(begins):
        return rollup
    first = np.flatnonzero(np.concatenate(([True], begins[1:] != begins[:-1])))
    ends = np.concatenate((first[1:], [len(begins)])) - 1
    return Rollup(
        begins[first], np.add.reduceat(rollup.count, first), np.minimum.reduceat(rollup.low, first),
        np.maximum.reduceat(rollup.high, first), np.add.reduceat(rollup.total, first), rollup.last[ends],
    )  # fmt: skip


def joined(parts: Sequence[Rollup]) -> Rollup:
    """One after the other; they must be in order of time and not overlap."""
    if not parts:
        nothing = np.empty(0)
        return Rollup(np.empty(0, np.int64), nothing, nothing, nothing, nothing, nothing)
    if len(parts) == 1:
        return parts[0]
    return Rollup(
        np.concatenate([part.at for part in parts]), np.concatenate([part.count for part in parts]),
        np.concatenate([part.low for part in parts]), np.concatenate([part.high for part in parts]),
        np.concatenate([part.total for part in parts]), np.concatenate([part.last for part in parts]),
    )  # fmt: skip


def within(rollup: Rollup, since_s: int, until_s: int) -> Rollup:
    """Steps that begin in [since_s, until_s)."""
    first, end = np.searchsorted(rollup.at, (since_s, until_s))
    if first == 0 and end == len(rollup.at):
        return rollup
    return Rollup(rollup.at[first:end], *(column[first:end] for column in rollup.columns))


def encode_rollup(rollup: Rollup) -> bytes:
    """In few bytes."""
    blocks = [encode(rollup.at, column) for column in rollup.columns]
    return b"".join(_LENGTH.pack(len(block)) + block for block in blocks)


def decode_rollup(data: bytes) -> Rollup:
    """What ``encode_rollup`` was given. Raises: ValueError for another version."""
    columns, offset, at = [], 0, np.empty(0, np.int64)
    while offset < len(data):
        (length,) = _LENGTH.unpack_from(data, offset)
        offset += _LENGTH.size
        at, column = decode(data[offset : offset + length])
        columns.append(column)
        offset += length
    return Rollup(at, *columns)
