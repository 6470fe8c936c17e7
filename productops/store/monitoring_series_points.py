"""Points of series: batches of the newest, blocks of an hour of one series; and the traffic that series are made of."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, func, insert, select, true, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from productops.domain.analysis import ArmSecond, LatencyHistogram
from productops.domain.monitoring_series_batch import SHARDS, UNSORTED, Batch, pack_batch, unpack_batch
from productops.domain.release import Environment
from productops.domain.routing import VersionKey
from productops.errors import ConflictError
from productops.store.monitoring_series import AT_ONCE
from productops.store.tables import AgentRow, AnalyticsDailyRow, MetricBatchRow, MetricBlockRow, SecondRow

HOUR_S = 3600


@dataclass(frozen=True, slots=True, eq=False)
class StoredBatch:
    """A row of the newest points: unsorted, or of one shard and minute."""

    id: int
    shard: int
    begin_s: int
    until_s: int
    batch: Batch


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """An hour of a series. ``minutes`` and ``payload`` are None when they were forgotten; ``revision`` 0: it is new."""

    series: int
    begin_s: int
    revision: int
    count: int
    low: float
    high: float
    total: float
    last: float
    minutes: bytes | None
    payload: bytes | None


class SeriesPoints:
    """Repository of points within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    # ---- the newest points

    def append(self, batch: Batch) -> None:
        """Keep points as they came, in one row."""
        self.add_batches([(UNSORTED, batch)], small=False)

    def add_batches(self, batches: Sequence[tuple[int, Batch]], *, small: bool) -> None:
        """Keep points by shard."""
        rows = [
            {
                "shard": shard, "begin_s": int(batch.seconds.min()), "until_s": int(batch.seconds.max()), "points": len(batch),
                "payload": pack_batch(batch, small=small),
            }
            for shard, batch in batches
        ]  # fmt: skip
        if rows:
            self._session.connection().execute(insert(MetricBatchRow), rows)

    def unsorted(self, *, until_s: int, limit: int) -> list[StoredBatch]:
        """Those that ended before ``until_s``, in the order they came."""
        row = MetricBatchRow
        return self._batches(row.shard == UNSORTED, row.until_s < until_s, limit=limit)

    def sorted_shards(self, *, before_s: int) -> list[int]:
        """Shards with sorted points that began before then."""
        row = MetricBatchRow
        query = select(row.shard).where(row.shard != UNSORTED, row.begin_s < before_s).distinct().order_by(row.shard)
        return list(self._session.scalars(query))

    def sorted_of(self, shard: int, *, before_s: int) -> list[StoredBatch]:
        """Sorted points of a shard that began before then."""
        row = MetricBatchRow
        return self._batches(row.shard == shard, row.begin_s < before_s)

    def newest(self, numbers: Collection[int] | None, *, since_s: int, until_s: int) -> list[Batch]:
        """Batches that may hold points of these series (None: of any) in [since_s, until_s): what came later stands behind."""
        row = MetricBatchRow
        shards = range(SHARDS) if numbers is None else {number % SHARDS for number in numbers}
        wanted = (row.until_s >= since_s, row.begin_s < until_s)
        ordered = self._batches(row.shard.in_(sorted(shards)), *wanted) + self._batches(row.shard == UNSORTED, *wanted)
        return [stored.batch for stored in ordered]

    def take_batches(self, ids: Sequence[int]) -> None:
        """Remove batches whose points were stored elsewhere in this transaction. Raises: ConflictError when one is gone already."""
        gone = 0
        for begin in range(0, len(ids), AT_ONCE):
            part = ids[begin : begin + AT_ONCE]
            result: Any = self._session.execute(delete(MetricBatchRow).where(MetricBatchRow.id.in_(part)))
            gone += result.rowcount
        if gone != len(ids):
            raise ConflictError("somebody else sorts points in at the same time; nothing was changed, and it may be tried again")

    def waiting(self) -> tuple[int, int]:
        """(points that are not in blocks yet, bytes they take)."""
        row = MetricBatchRow
        points, size = self._session.execute(select(func.sum(row.points), func.sum(func.length(row.payload)))).one()
        return int(points or 0), int(size or 0)

    def _batches(self, *conditions: Any, limit: int | None = None) -> list[StoredBatch]:
        row = MetricBatchRow
        query = select(row.id, row.shard, row.begin_s, row.until_s, row.payload).where(*conditions).order_by(row.id).limit(limit)
        return [
            StoredBatch(number, shard, begin_s, until_s, unpack_batch(payload))
            for number, shard, begin_s, until_s, payload in self._session.execute(query)
        ]

    # ---- hours

    def blocks(
        self, numbers: Sequence[int], *, since_s: int, until_s: int, minutes: bool = False, points: bool = False
    ) -> list[Block]:  # fmt: skip
        """Blocks that begin in [since_s - an hour, until_s), by series and time, with what is asked for."""
        row = MetricBlockRow
        columns = [row.series, row.begin_s, row.revision, row.count, row.low, row.high, row.total, row.last]
        found: list[Block] = []
        for begin in range(0, len(numbers), AT_ONCE):
            query = (
                select(*columns, *([row.minutes] if minutes else []), *([row.payload] if points else []))
                .where(row.series.in_(numbers[begin : begin + AT_ONCE]), row.begin_s > since_s - HOUR_S, row.begin_s < until_s)
                .order_by(row.series, row.begin_s)
            )
            for series, begin_s, revision, count, low, high, total, last, *rest in self._session.execute(query):
                kept = rest.pop(0) if minutes else None
                found.append(Block(series, begin_s, revision, count, low, high, total, last, kept, rest.pop(0) if points else None))
        return found

    def put_blocks(self, blocks: Sequence[Block]) -> None:
        """Insert those with revision 0, replace the others. Raises: ConflictError when somebody else did so meanwhile."""
        conflict = ConflictError("somebody else stores the same hours at the same time; nothing was changed, and it may be tried again")
        new = [_values(block) | {"revision": 1} for block in blocks if not block.revision]
        try:
            if new:
                self._session.connection().execute(insert(MetricBlockRow), new)
        except IntegrityError as error:
            raise conflict from error
        row = MetricBlockRow
        for block in (each for each in blocks if each.revision):
            place = (row.series == block.series, row.begin_s == block.begin_s, row.revision == block.revision)
            result: Any = self._session.execute(update(row).where(*place).values(**_values(block), revision=block.revision + 1))
            if result.rowcount != 1:
                raise conflict

    def forget(self, *, points_before_s: int, minutes_before_s: int, hours_before_s: int, limit: int) -> int:
        """Drop points, minutes and whole hours that are older, at most ``limit`` hours of each kind; returns how many it touched."""
        row = MetricBlockRow
        touched = 0
        for column, before_s in ((row.payload, points_before_s), (row.minutes, minutes_before_s)):
            keys = self._oldest(column.is_not(None), before_s=before_s, limit=limit)
            for series, begin_s in keys:
                self._session.execute(update(row).where(row.series == series, row.begin_s == begin_s).values({column: None}))
            touched += len(keys)
        for series, begin_s in (gone := self._oldest(before_s=hours_before_s, limit=limit)):
            self._session.execute(delete(row).where(row.series == series, row.begin_s == begin_s))
        return touched + len(gone)

    def any_before(self, *, points_before_s: int, minutes_before_s: int, hours_before_s: int) -> bool:
        """Whether there is anything to forget."""
        row = MetricBlockRow
        places = ((row.payload.is_not(None), points_before_s), (row.minutes.is_not(None), minutes_before_s), (true(), hours_before_s))
        return any(self._oldest(condition, before_s=before_s, limit=1) for condition, before_s in places)

    def _oldest(self, *conditions: Any, before_s: int, limit: int) -> list[tuple[int, int]]:
        row = MetricBlockRow
        query = select(row.series, row.begin_s).where(row.begin_s + HOUR_S <= before_s, *conditions).limit(limit)
        return [(series, begin_s) for series, begin_s in self._session.execute(query)]

    # ---- what series are made of

    def traffic_after(self, at_s: int) -> list[tuple[VersionKey, int, ArmSecond | None]]:
        """Seconds of traffic after ``at_s``; None: it could not be measured."""
        query = select(SecondRow).where(SecondRow.at_s > at_s).order_by(SecondRow.at_s)
        found: list[tuple[VersionKey, int, ArmSecond | None]] = []
        for row in self._session.scalars(query):
            latency = LatencyHistogram(upper_ms=tuple(row.upper_ms), counts=tuple(row.counts))
            arm = None if row.missed else ArmSecond(requests=row.requests, failures=row.failures, latency=latency)
            found.append(((row.service, Environment(row.environment), row.version), row.at_s, arm))
        return found

    def agent_alive(self, *, since_s: int) -> bool:
        """Whether an agent gave a sign of life since then; while none does, nobody counts requests."""
        query = select(func.count()).select_from(AgentRow).where(AgentRow.beat_at >= datetime.fromtimestamp(since_s, UTC))
        return bool(self._session.scalar(query))

    def usage_ventures(self) -> list[str]:
        """Ventures of which daily figures of use exist."""
        return list(self._session.scalars(select(AnalyticsDailyRow.venture).distinct()))


def _values(block: Block) -> dict[str, Any]:
    return {
        "series": block.series, "begin_s": block.begin_s, "count": block.count, "low": block.low, "high": block.high,
        "total": block.total, "last": block.last, "minutes": block.minutes, "payload": block.payload,
    }  # fmt: skip
