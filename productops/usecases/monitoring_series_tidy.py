"""Sort the newest points in: minutes by series, hours into blocks, rows of infrastructure_metrics; and forget what is old."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import structlog

from productops.domain.monitoring_series import Retention, SeriesInfo, SeriesStatus
from productops.domain.monitoring_series_batch import SHARDS, Batch, join_batches, sort_batch, split_series
from productops.domain.monitoring_series_block import encode
from productops.domain.monitoring_series_rollup import HOUR_S, MINUTE_S, encode_rollup, points_as_rollup, regroup
from productops.errors import ConflictError
from productops.settings import Settings
from productops.store.monitoring_series import MetricRow, Newest
from productops.store.monitoring_series_points import Block
from productops.usecases.context import Context
from productops.usecases.monitoring_series_read import merge_points

log = structlog.get_logger(__name__)
GRACE_S: Final = 5
HOUR_GRACE_S: Final = 120
SILENT_S: Final = 300
BATCHES_AT_ONCE: Final = 1_500
SHARDS_AT_ONCE: Final = 4
ROWS_AT_ONCE: Final = 500
FORGET_AT_ONCE: Final = 2_000
DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class Tidied:
    """What was done: points sorted, hours stored, rows added to infrastructure_metrics, series that fell silent, things forgotten."""

    points: int = 0
    blocks: int = 0
    rows: int = 0
    silent: int = 0
    forgotten: int = 0


def retention_of(settings: Settings) -> Retention:
    """What the settings say."""
    return Retention(
        points_days=settings.series_points_days, minutes_days=settings.series_minutes_days, hours_days=settings.series_hours_days,
        rows_days=settings.metric_rows_days, rows_max=settings.metric_rows_max,
    )  # fmt: skip


def tidy_series(context: Context, retention: Retention, *, now: datetime) -> Tidied:
    """Called about once a minute, by one program; each call does a part, in transactions of some milliseconds.

    Nothing is lost when it is not called, or is killed: points lie where they came in until they lie elsewhere. Two programs that do it at
    the same time get in each other's way, and one of them gives up until its next call.
    Raises: StoreUnavailableError.
    """
    now_s = int(now.timestamp())
    try:
        points, rows = _sort_minutes(context, now_s=now_s)
        blocks = _store_hours(context, now_s=now_s)
    except ConflictError as error:
        log.info("points are sorted in by somebody else", reason=str(error))
        return Tidied()
    silent = _mark_silent(context, now_s=now_s)
    forgotten = _forget(context, retention, now=now)
    return Tidied(points, blocks, rows, silent, forgotten)


# ---- minutes


def _sort_minutes(context: Context, *, now_s: int) -> tuple[int, int]:
    """Batches of whole minutes become sorted shards; returns (points, rows of infrastructure_metrics). Raises: ConflictError."""
    cutoff_s = (now_s - GRACE_S) // MINUTE_S * MINUTE_S
    with context.store.read() as unit:
        stored = unit.series_points.unsorted(until_s=cutoff_s, limit=BATCHES_AT_ONCE)
        batch = sort_batch(join_batches([each.batch for each in stored]))
        numbers = [number for number, _ in split_series(batch)]
        infos, rowed = unit.series.by_numbers(numbers), unit.series.rowed_until(numbers)
    if not stored:
        return 0, 0
    rows = _add_rows(context, batch, infos, rowed)
    with context.store.write() as unit:
        unit.series_points.take_batches([each.id for each in stored])
        unit.series_points.add_batches(list(_sharded(batch)), small=True)
    return len(batch), rows


def _sharded(batch: Batch) -> Iterator[tuple[int, Batch]]:
    """By shard and hour; the points of each stay sorted by series."""
    shards, hours = batch.numbers % SHARDS, batch.seconds // HOUR_S
    for hour in np.unique(hours):
        for shard in np.unique(shards[hours == hour]):
            yield int(shard), batch.take((hours == hour) & (shards == shard))


def _add_rows(context: Context, batch: Batch, infos: dict[int, SeriesInfo], rowed: dict[int, int]) -> int:
    """The last value of each minute, once; returns how many."""
    added, pending, newest = 0, list[MetricRow](), list[Newest]()
    for number, place in split_series(batch):
        info = infos.get(number)
        if info is None:
            continue
        rows = _minutes_of(info, batch.take(place), rowed.get(number, 0))
        pending += rows
        newest.append(_newest(info, batch.take(place), rowed.get(number, 0)))
        if len(pending) >= ROWS_AT_ONCE or len(newest) >= ROWS_AT_ONCE:
            added += _store_rows(context, pending, newest)
            pending, newest = [], []
    return added + _store_rows(context, pending, newest)


def _minutes_of(info: SeriesInfo, own: Batch, rowed_s: int) -> list[MetricRow]:
    minutes = own.seconds // MINUTE_S
    ends = np.flatnonzero(np.concatenate((minutes[1:] != minutes[:-1], [True])))
    rows = []
    for place in ends[minutes[ends] * MINUTE_S >= rowed_s]:
        value = float(own.values[place])
        rows.append(MetricRow(info, int(own.seconds[place]), value, info.thresholds.status(value)))
    return rows


def _newest(info: SeriesInfo, own: Batch, rowed_s: int) -> Newest:
    at_s, value = int(own.seconds[-1]), float(own.values[-1])
    rowed_s = max(rowed_s, (at_s // MINUTE_S + 1) * MINUTE_S)
    if info.last_at is not None and info.last_value is not None and info.last_at > at_s:
        at_s, value = int(info.last_at), info.last_value
    return Newest(info.number, at_s, value, rowed_s)


def _store_rows(context: Context, rows: Sequence[MetricRow], newest: Sequence[Newest]) -> int:
    if newest:
        with context.store.write() as unit:
            unit.series.add_rows(rows)
            unit.series.note_last(newest)
    return len(rows)


# ---- hours


def _store_hours(context: Context, *, now_s: int) -> int:
    """Sorted points of hours that are over become blocks, some shards at a time; returns how many. Raises: ConflictError."""
    before_s = (now_s - HOUR_GRACE_S) // HOUR_S * HOUR_S
    with context.store.read() as unit:
        shards = unit.series_points.sorted_shards(before_s=before_s)
    return sum(_store_shard(context, shard, before_s=before_s) for shard in shards[:SHARDS_AT_ONCE])


def _store_shard(context: Context, shard: int, *, before_s: int) -> int:
    with context.store.read() as unit:
        stored = unit.series_points.sorted_of(shard, before_s=before_s)
        batch = sort_batch(join_batches([each.batch for each in stored]))
        hours = list(_hours(batch))
        there: dict[tuple[int, int], Block] = {}
        for begin_s in sorted({begin_s for _, begin_s, _ in hours}):
            numbers = [number for number, own_begin_s, _ in hours if own_begin_s == begin_s]
            for block in unit.series_points.blocks(numbers, since_s=begin_s + 1, until_s=begin_s + 1, points=True):
                there[block.series, block.begin_s] = block
    blocks = [made for number, begin_s, own in hours if (made := _block(number, begin_s, own, there.get((number, begin_s)))) is not None]
    with context.store.write() as unit:
        unit.series_points.take_batches([each.id for each in stored])
        unit.series_points.put_blocks(blocks)
    return len(blocks)


def _hours(batch: Batch) -> Iterator[tuple[int, int, Batch]]:
    """(series, begin of the hour, its points)."""
    for number, place in split_series(batch):
        own = batch.take(place)
        hours = own.seconds // HOUR_S
        for hour in np.unique(hours):
            yield number, int(hour) * HOUR_S, own.take(hours == hour)


def _block(number: int, begin_s: int, own: Batch, there: Block | None) -> Block | None:
    """None: the points of that hour are forgotten already, so what comes now is too late."""
    seconds, values = own.seconds, own.values
    if there is not None:
        if there.payload is None:
            return None
        seconds, values = merge_points(there.payload, own)
    minutes = regroup(points_as_rollup(seconds, values), MINUTE_S)
    hour = regroup(minutes, HOUR_S)
    return Block(
        number, begin_s, there.revision if there is not None else 0, len(seconds), float(hour.low[0]), float(hour.high[0]),
        float(hour.total[0]), float(hour.last[0]), encode_rollup(minutes), encode(seconds, values),
    )  # fmt: skip


# ---- silence and forgetting


def _mark_silent(context: Context, *, now_s: int) -> int:
    """Series with thresholds that had no point for five minutes are unknown; returns how many became so."""
    with context.store.read() as unit:
        watched = [info for info in unit.series.watched() if info.status is not SeriesStatus.UNKNOWN]
    silent = [info for info in watched if info.last_at is not None and info.last_at < now_s - SILENT_S]
    for info in silent:
        with context.store.write() as unit:
            if unit.series.move_status(info.number, expected=info.status, status=SeriesStatus.UNKNOWN):
                unit.series.add_rows([MetricRow(info, now_s, None, SeriesStatus.UNKNOWN)])
    if silent:
        context.series.look_again()
    return len(silent)


def _forget(context: Context, retention: Retention, *, now: datetime) -> int:
    """Some of what is older than its retention; returns how many rows. Nothing is written where nothing is old."""
    now_s, forgotten = int(now.timestamp()), 0
    silent_s = now_s - retention.hours_days * DAY_S
    limits = {
        "points_before_s": now_s - retention.points_days * DAY_S, "minutes_before_s": now_s - retention.minutes_days * DAY_S,
        "hours_before_s": silent_s,
    }  # fmt: skip
    with context.store.read() as unit:
        too_many = unit.series.rows_before(rows_max=retention.rows_max)
        before = now - timedelta(days=retention.rows_days)
        before = max(before, too_many) if too_many else before
        old = unit.series_points.any_before(**limits)
        old_rows, silent = unit.series.any_rows(before=before), unit.series.any_silent(before_s=silent_s)
    if old:
        with context.store.write() as unit:
            forgotten += unit.series_points.forget(**limits, limit=FORGET_AT_ONCE)
    if old_rows:
        with context.store.write() as unit:
            forgotten += unit.series.forget_rows(before=before, limit=FORGET_AT_ONCE)
    if silent:
        with context.store.write() as unit:
            forgotten += unit.series.forget_silent(before_s=silent_s)
    return forgotten
