"""Points of series, read back: as they came, or summed up by steps; from hours, minutes or points, whichever is least work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np

from productops.domain.governance_access import Operation, Scope, may_see, visible_ventures
from productops.domain.monitoring_series import INSTALLATION, SeriesData, SeriesInfo, SeriesKey, Statistic
from productops.domain.monitoring_series_batch import Batch, join_batches, sort_batch, split_series
from productops.domain.monitoring_series_block import decode
from productops.domain.monitoring_series_rollup import HOUR_S, MINUTE_S, Rollup, decode_rollup, joined, points_as_rollup, regroup, within
from productops.errors import InvalidInputError, NotFoundError
from productops.store import Unit
from productops.store.monitoring_series import SeriesFilter
from productops.store.monitoring_series_points import Block
from productops.usecases.context import Actor, Context

SERIES_AT_ONCE: Final = 5_000
CELLS_MAX: Final = 12_000_000
_FAR_S: Final = 253_370_764_800  # the year 9999


@dataclass(frozen=True, slots=True)
class _Span:
    """What is read: [since_s, until_s), from what is kept by ``fine_s`` seconds."""

    since_s: int
    until_s: int
    fine_s: int


def read_series(
    context: Context, *, venture: str, component: str | None = None, name: str | None = None, tags: Mapping[str, str] | None = None,
    since: datetime, until: datetime, step_s: int | None = None, statistic: Statistic = Statistic.MEAN, actor: Actor,
) -> list[SeriesData]:  # fmt: skip
    """Points in [since, until) of every series that fits and that the caller may see; series without any are left out.

    ``venture`` is empty for series of hosts. ``component`` may end in ``*``. With ``step_s`` one value for each step that has points:
    steps begin at multiples of it, and those in which ``since`` and ``until`` lie are whole. Without it points are told as they came,
    and where they are forgotten, the statistic of each minute, then of each hour.

    Raises: InvalidInputError for times in the wrong order, a step below a second, or more than can be read at once; NotFoundError for
        a venture that does not exist or that the caller may not see; StoreUnavailableError.
    """
    span = _span(since, until, step_s)
    wanted = SeriesFilter(venture, component, name, tags)
    with context.store.read() as unit:
        infos = _visible(unit, wanted, actor)
        _check_size(infos, span)
        found = _rollups(unit, [info.number for info in infos], span)
    data = []
    for info in infos:
        rollup = within(found[info.number], span.since_s, span.until_s) if info.number in found else None
        if rollup is not None and len(rollup.at):
            rollup = regroup(rollup, step_s) if step_s and step_s > 1 else rollup
            data.append(SeriesData(info.key, rollup.at.astype(np.float64), rollup.told(statistic)))
    return data


def sees_series(actor: Actor, key: SeriesKey) -> bool:
    """Whether the caller may read it; what belongs to no venture takes a grant for all of them."""
    if key.venture == INSTALLATION:
        return visible_ventures(actor.principal, Operation.METRIC_READ) is None
    return may_see(actor.principal, Operation.METRIC_READ, Scope(key.venture, key.environment))


def _visible(unit: Unit, wanted: SeriesFilter, actor: Actor) -> list[SeriesInfo]:
    if wanted.venture:
        unit.catalog.venture_id(wanted.venture)
        if not may_see(actor.principal, Operation.METRIC_READ, Scope(wanted.venture)):
            raise NotFoundError(f"there is no venture {wanted.venture[:80]!r}")
    return [info for info in unit.series.find(wanted) if sees_series(actor, info.key)]


def _span(since: datetime, until: datetime, step_s: int | None) -> _Span:
    since_s, until_s = int(since.timestamp()), int(np.ceil(until.timestamp()))
    if not since_s < until_s < _FAR_S:
        raise InvalidInputError("until must come after since")
    if step_s is None:
        return _Span(since_s, until_s, 1)
    if step_s < 1:
        raise InvalidInputError(f"step_s is {step_s}; it is a whole number of seconds, at least 1")
    fine_s = next(each for each in (HOUR_S, MINUTE_S, 1) if step_s % each == 0)
    return _Span(since_s - since_s % step_s, until_s + -until_s % step_s, fine_s)


def _check_size(infos: Sequence[SeriesInfo], span: _Span) -> None:
    cells = len(infos) * (span.until_s - span.since_s) // span.fine_s
    if len(infos) > SERIES_AT_ONCE or cells > CELLS_MAX:
        raise InvalidInputError(
            f"that is {len(infos):,} series and up to {cells:,} values; name the component or the series, ask for a shorter time, "
            "or for a step of 60 or 3600 seconds"
        )


def _rollups(unit: Unit, numbers: Sequence[int], span: _Span) -> dict[int, Rollup]:
    """By series, in order of time; at least as fine as asked for where that is kept."""
    late = _newest(unit, numbers, span)
    points, minutes = span.fine_s == 1, span.fine_s <= MINUTE_S
    blocks = unit.series_points.blocks(numbers, since_s=span.since_s, until_s=span.until_s, minutes=minutes, points=points)
    parts: dict[int, dict[int, Rollup]] = {}
    for block in blocks:
        parts.setdefault(block.series, {})[block.begin_s] = rollup_of(block)
    for number, own in late.items():
        hours = parts.setdefault(number, {})
        for begin_s, extra in _by_hour(own).items():
            hours[begin_s] = _merged(unit, number, begin_s, extra) if begin_s in hours else points_as_rollup(extra.seconds, extra.values)
    return {number: joined([hours[begin_s] for begin_s in sorted(hours)]) for number, hours in parts.items()}


def rollup_of(block: Block) -> Rollup:
    """The finest that the block has with it."""
    if block.payload is not None:
        return points_as_rollup(*decode(block.payload))
    if block.minutes is not None:
        return decode_rollup(block.minutes)
    columns = (np.array([float(each)]) for each in (block.count, block.low, block.high, block.total, block.last))
    return Rollup(np.array([block.begin_s]), *columns)


def _merged(unit: Unit, number: int, begin_s: int, extra: Batch) -> Rollup:
    """An hour that is stored already, with points that came late."""
    stored = unit.series_points.blocks([number], since_s=begin_s + 1, until_s=begin_s + 1, minutes=True, points=True)
    block = next((each for each in stored if each.begin_s == begin_s), None)
    if block is None or block.payload is None:  # its points are forgotten: what comes so late is not told any more
        return points_as_rollup(extra.seconds, extra.values) if block is None else rollup_of(block)
    return points_as_rollup(*merge_points(block.payload, extra))


def merge_points(payload: bytes, extra: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Seconds and values of a block with those of a series that came later; in the same second the later ones count."""
    seconds, values = decode(payload)
    own = Batch(np.full(len(seconds), extra.numbers[0]), seconds, values)
    merged = sort_batch(join_batches([own, extra]))
    return merged.seconds, merged.values


def _newest(unit: Unit, numbers: Sequence[int], span: _Span) -> dict[int, Batch]:
    """Points that are not in blocks yet, by series, sorted."""
    if not numbers:
        return {}
    # Whole hours, for an hour is told either from its block or from all of its points.
    since_s, until_s = span.since_s - span.since_s % HOUR_S, span.until_s + -span.until_s % HOUR_S
    found = []
    for batch in unit.series_points.newest(numbers, since_s=since_s, until_s=until_s):
        chosen = batch.numbers == numbers[0] if len(numbers) == 1 else np.isin(batch.numbers, numbers)
        found.append(batch.take(chosen & (batch.seconds >= since_s) & (batch.seconds < until_s)))
    everything = sort_batch(join_batches(found))
    return {number: everything.take(place) for number, place in split_series(everything)}


def _by_hour(batch: Batch) -> dict[int, Batch]:
    begins = batch.seconds - batch.seconds % HOUR_S
    if begins[0] == begins[-1]:
        return {int(begins[0]): batch}
    return {int(begin): batch.take(begins == begin) for begin in np.unique(begins)}
