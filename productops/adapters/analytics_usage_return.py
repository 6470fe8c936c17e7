"""Retention and adoption over files of events, in parts whose answers add up exactly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from productops.adapters.analytics_usage_buckets import by_bucket
from productops.adapters.analytics_usage_scan import EVERYBODY, Piece, Wanted, scan
from productops.domain.analytics_events import EventFile, microseconds
from productops.domain.analytics_usage_query import EventMatch, RetentionQuery, Unit
from productops.stats.analytics_usage_merge import Weighted, added, weighted
from productops.stats.analytics_usage_order import reduce_runs
from productops.stats.analytics_usage_return import count_elapsed, count_lifecycle, count_returns, count_trailing, first_uses

Uints = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]
DAY_US = 86_400_000_000
UNIT_US = {Unit.DAY: DAY_US, Unit.WEEK: 7 * DAY_US, Unit.MONTH: 30 * DAY_US}
BEGINS, RETURNS = 1, 2


@dataclass(frozen=True, slots=True)
class People:
    """Of whom: ``only`` these or everybody, ``without`` those whose events are being removed; ``persons`` is a range of numbers."""

    only: Uints | None = None
    without: Uints | None = None
    persons: tuple[int, int] = EVERYBODY


EVERYONE = People()


@dataclass(frozen=True, slots=True)
class RetentionPart:
    """``size`` by row, ``back`` by row and column."""

    size: Ints
    back: Ints

    @classmethod
    def together(cls, parts: Sequence[RetentionPart]) -> RetentionPart:
        """Several parts as one; each person is in one part only."""
        return cls(np.sum([p.size for p in parts], axis=0), np.sum([p.back for p in parts], axis=0))


@dataclass(frozen=True, slots=True)
class UsagePart:
    """``active`` and ``everybody`` by period, ``life`` by period and kind, ``trailing`` by span (1, 7, 30 days) and day."""

    active: Ints
    everybody: Ints
    life: Ints
    trailing: Ints
    newcomers: int
    waits: Weighted

    @classmethod
    def together(cls, parts: Sequence[UsagePart]) -> UsagePart:
        """Several parts as one; each person is in one part only."""
        return cls(
            np.sum([p.active for p in parts], axis=0), np.sum([p.everybody for p in parts], axis=0),
            np.sum([p.life for p in parts], axis=0), np.sum([p.trailing for p in parts], axis=0),
            sum(p.newcomers for p in parts), added([p.waits for p in parts]),
        )  # fmt: skip


def instants(edges: Sequence[datetime]) -> Ints:
    """Edges of periods as microseconds since 1970."""
    return np.array([microseconds(each) for each in edges], dtype=np.int64)


def numbered(edges: Ints, before_us: int) -> Callable[[Piece, EventFile], npt.NDArray[np.int32]]:
    """Numbers rows by the period they are in: from 0, -1 from ``before_us`` to the first edge, -2 earlier; one look for a whole file."""

    def number(piece: Piece, file: EventFile) -> npt.NDArray[np.int32]:
        first, last = (_number(edges, before_us, np.array([microseconds(t)]))[0] for t in (file.first_at, file.last_at))
        if first == last:
            return np.full(len(piece.person), first, np.int32)
        return _number(edges, before_us, piece.at)

    return number


def _number(edges: Ints, before_us: int, at: Ints) -> npt.NDArray[np.int32]:
    found = np.searchsorted(edges, at, side="right").astype(np.int32) - np.int32(1)
    found[at < before_us] = -2
    return found


def spans_one(edges: Ints, before_us: int, files: Sequence[EventFile]) -> bool:
    """Whether each file lies within one period, so that instants need not be read."""
    for file in files:
        found = _number(edges, before_us, np.array([microseconds(file.first_at), microseconds(file.last_at)]))
        if found[0] != found[1]:
            return False
    return True


def retention_part(
    files: Sequence[EventFile], query: RetentionQuery, edges: Ints, *, rows: int, history_us: int, people: People = EVERYONE
) -> RetentionPart:  # fmt: skip
    """``edges`` bound the periods, the first ``rows`` of which are rows; ``history_us`` is how far back files are looked at.

    Raises: as ``scan``.
    """
    offsets = np.full(query.columns[-1][1] + 1, -1, np.int64)
    for column, (first, last) in enumerate(query.columns):
        offsets[first : last + 1] = column
    begins = np.array([first for first, _ in query.columns], dtype=np.int64)
    unbounded = query.kind == "on-or-after"
    end_us = int(edges[-1])
    if query.since_start:
        end_us = int(edges[rows]) + UNIT_US[query.unit] * len(offsets)
    days = Counter(file.day for file in files)
    at = query.since_start or max(days.values(), default=0) > 1 or not spans_one(edges, int(edges[0]), files)
    wanted = Wanted((query.start, query.back), history_us, end_us, people=people.only, without=people.without, at=at)
    if query.since_start:
        pieces = [(p.person, p.at, p.bits.astype(np.uint8)) for p in scan(files, wanted, persons=people.persons)]
        unit_us = UNIT_US[query.unit]

        def count(person: Uints, at: Ints, flags: Any) -> tuple[Ints, Ints]:
            return count_elapsed(person, at, flags, edges[: rows + 1], unit_us, offsets, begins, int(unbounded))

        found = by_bucket(pieces, count, order=1, persons=people.persons)
    else:
        number = numbered(edges, int(edges[0]))

        def reduce(piece: Piece, file: EventFile) -> Any:
            """Runs of a day's only file; events of several files of a day may lie between each other and stay what they are."""
            interval, flags = number(piece, file), piece.bits.astype(np.uint8)
            order = piece.at if at else interval
            if days[file.day] > 1:
                return piece.person, order, interval, flags
            places, told = reduce_runs(piece.person, interval, flags)
            return piece.person[places], order[places], interval[places], told

        found = by_bucket(
            scan(files, wanted, persons=people.persons, reduce=reduce),
            lambda person, _, interval, flags: count_returns(
                person, interval, flags, rows, offsets, begins, int(query.first == "recurring"), int(unbounded)
            ),
            order=1, persons=people.persons,
        )  # fmt: skip
    none = RetentionPart(np.zeros(rows, np.int64), np.zeros((rows, len(begins)), np.int64))
    return RetentionPart.together([none, *(RetentionPart(size, back) for size, back in found)])


def usage_part(
    files: Sequence[EventFile], match: EventMatch, edges: Ints, days: Ints, *, since_us: int, before_us: int, history_us: int,
    people: People = EVERYONE,
) -> UsagePart:  # fmt: skip
    """``edges`` bound the periods, ``days`` the days; ``before_us`` is where the period before the first begins.

    Raises: as ``scan``.
    """
    wanted = Wanted((EventMatch(), match), history_us, int(edges[-1]), people=people.only, without=people.without)
    number = numbered(edges, before_us)

    def reduce(piece: Piece, file: EventFile) -> Any:
        """One record for each person, period and day, the use of the feature apart from the use of anything."""
        day = np.searchsorted(days, piece.at, side="right").astype(np.int32) - np.int32(1)
        early = piece.at < days[0]
        day[early] = ((piece.at[early] - days[0]) // DAY_US).astype(np.int32)
        used = (piece.bits >> np.uint32(1)).astype(np.uint8) & np.uint8(1)
        changed = np.ones(len(day), bool)
        changed[1:] = (piece.person[1:] != piece.person[:-1]) | (day[1:] != day[:-1]) | (used[1:] != used[:-1])
        kept = np.flatnonzero(changed)
        return piece.person[kept], piece.at[kept], number(piece, file)[kept], day[kept], (used << 1 | 1)[kept].astype(np.uint8)

    rows, length = len(edges) - 1, len(days) - 1

    def count(person: Uints, at: Ints, interval: Any, day: Any, flags: Any) -> UsagePart:
        used = (flags & RETURNS) > 0
        mine, when = person[used], interval[used]
        everybody = count_lifecycle(person, interval, rows)
        life = count_lifecycle(mine, when, rows)
        trailing = np.stack([count_trailing(mine, day[used], length, span) for span in (1, 7, 30)])
        newcomers, waits = first_uses(person, at, flags, since_us)
        active = life[:, :3].sum(axis=1)
        return UsagePart(active, everybody[:, :3].sum(axis=1), life, trailing, newcomers, weighted(waits // 1_000_000))

    parts = by_bucket(scan(files, wanted, persons=people.persons, reduce=reduce), count, order=1, persons=people.persons)
    none = np.zeros(rows, np.int64)
    empty = UsagePart(none, none, np.zeros((rows, 4), np.int64), np.zeros((3, length), np.int64), 0, weighted(np.empty(0, np.int64)))
    return UsagePart.together([empty, *parts])
