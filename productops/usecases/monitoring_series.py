"""Series of measured numbers: take points in, list, set thresholds. Reading them back is in ``monitoring_series_read``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from productops.domain.governance_access import Operation, Scope, may_see, visible_ventures
from productops.domain.monitoring_series import (
    INSTALLATION,
    Point,
    SeriesData,
    SeriesInfo,
    SeriesKey,
    Statistic,
    Thresholds,
    check_key,
    series_key,
)
from productops.domain.monitoring_series_batch import Batch
from productops.errors import ConflictError, InvalidInputError, NotFoundError, SeriesLimitError
from productops.store import Unit
from productops.store.monitoring_series import MetricRow, SeriesFilter
from productops.usecases.context import Actor, Context
from productops.usecases.monitoring_series_known import Known
from productops.usecases.monitoring_series_read import read_series, sees_series

__all__ = [
    "Point", "SeriesData", "SeriesFilter", "SeriesInfo", "SeriesKey", "Statistic", "Thresholds", "get_series", "list_series", "put_points",
    "read_series", "series_key", "set_thresholds",
]  # fmt: skip

LATE_S: Final = 7 * 86_400
EARLY_S: Final = 60
POINTS_MAX: Final = 50_000
STATUS_S: Final = 300
DAY_S: Final = 86_400
LEARN_AT_ONCE: Final = 500


def put_points(
    context: Context, points: Sequence[Point], *, actor: Actor, operation: Operation = Operation.METRIC_WRITE
) -> int:  # fmt: skip
    """Keep points; of several in the same second of a series the one that came last counts. Returns how many were taken.

    A series nobody knew is made. One with thresholds gets its status, and a row in infrastructure_metrics when that changes, at once.
    Raises: InvalidInputError for a value that is no finite number, a time that is more than a week old or a minute ahead, a key that
        cannot be kept, or more than 50,000 points; SeriesLimitError; ForbiddenError; NotFoundError for a venture that does not exist.
    """
    if not points:
        return 0
    now_s = int(context.clock.now().timestamp())
    seconds, values = _checked(points, now_s=now_s)
    keys = [point.key for point in points]
    known = _known(context, keys, actor=actor, operation=operation)
    numbers = np.fromiter((each.number for each in known), np.int64, len(known))
    batch = Batch(numbers, seconds, values)
    with context.store.write() as unit:
        unit.series_points.append(batch)
        _tell_statuses(context, unit, batch, now_s=now_s)
    return len(points)


def list_series(
    context: Context, wanted: SeriesFilter, *, after: int = 0, limit: int = 100, actor: Actor
) -> list[SeriesInfo]:  # fmt: skip
    """Series the caller may see, in the order they became known, with their newest values.

    Raises: NotFoundError for a venture that does not exist or that the caller may not see, StoreUnavailableError.
    """
    with context.store.read() as unit:
        if wanted.venture:
            _check_venture(unit, wanted.venture, actor)
        everything = visible_ventures(actor.principal, Operation.METRIC_READ) is None
        found = unit.series.find(wanted, after=after, limit=limit if everything else None)
        seen = [info for info in found if sees_series(actor, info.key)][:limit]
        return _with_newest(unit, seen, now_s=int(context.clock.now().timestamp()))


def get_series(context: Context, number: int, *, actor: Actor) -> SeriesInfo:
    """One series with its newest value. Raises: NotFoundError, StoreUnavailableError."""
    with context.store.read() as unit:
        info = _seen(unit, number, actor)
        return _with_newest(unit, [info], now_s=int(context.clock.now().timestamp()))[0]


def set_thresholds(context: Context, number: int, thresholds: Thresholds, *, actor: Actor) -> SeriesInfo:
    """From which values on a series is a warning, or critical; none takes them off. The next point tells the status.

    Raises: NotFoundError, ForbiddenError, InvalidInputError for thresholds that contradict each other, ConflictError when somebody
        else changed them meanwhile.
    """
    thresholds.check()
    with context.store.write() as unit:
        info = _seen(unit, number, actor)
        actor.check(Operation.ALERT_SET, venture=info.key.venture or None, environment=info.key.environment)
        if info.thresholds != thresholds:
            if not unit.series.set_thresholds(number, thresholds, expected=info.thresholds):
                raise ConflictError(f"somebody else changed the thresholds of {info.key} meanwhile; look at them and try again")
            unit.audit.add(
                "series.thresholds-set", f"series/{number}", actor=actor.name, origin=actor.origin, now=context.clock.now(),
                before=_document(info.thresholds), after=_document(thresholds), detail={"series": str(info.key)},
            )  # fmt: skip
        found = _with_newest(unit, [unit.series.get(number)], now_s=int(context.clock.now().timestamp()))[0]
    context.series.look_again()
    return found


def _document(thresholds: Thresholds) -> dict[str, object]:
    return {"warning": thresholds.warning, "critical": thresholds.critical, "below": thresholds.below}


def _seen(unit: Unit, number: int, actor: Actor) -> SeriesInfo:
    info = unit.series.get(number)
    if not sees_series(actor, info.key):
        raise NotFoundError(f"there is no series {number}; `productops metrics list` shows those there are")
    return info


def _check_venture(unit: Unit, venture: str, actor: Actor) -> None:
    unit.catalog.venture_id(venture)
    if not may_see(actor.principal, Operation.METRIC_READ, Scope(venture)):
        raise NotFoundError(f"there is no venture {venture[:80]!r}")


# ---- taking points in


def _checked(points: Sequence[Point], *, now_s: int) -> tuple[np.ndarray, np.ndarray]:
    """Seconds and values. Raises: InvalidInputError for the first point that cannot be kept."""
    if len(points) > POINTS_MAX:
        raise InvalidInputError(f"{len(points):,} points at once; send at most {POINTS_MAX:,}")
    values = np.fromiter((point.value for point in points), np.float64, len(points))
    times = np.fromiter((point.at for point in points), np.float64, len(points))
    bad = np.flatnonzero(~np.isfinite(values) | ~np.isfinite(times) | (times < now_s - LATE_S) | (times > now_s + EARLY_S))
    if len(bad):
        raise InvalidInputError(_complaint(points[int(bad[0])], int(bad[0]), now_s=now_s))
    return np.floor(times).astype(np.int64), values


def _complaint(point: Point, place: int, *, now_s: int) -> str:
    if not math.isfinite(point.value):
        return f"point {place} ({str(point.key)[:200]}): {point.value} is no finite number; leave out what was not measured"
    return (
        f"point {place} ({str(point.key)[:200]}): at {point.at:.0f} is {point.at - now_s:+.0f} s from now; send points of the last 7 days, "
        "in Unix seconds (not milliseconds)"
    )


def _known(context: Context, keys: Sequence[SeriesKey], *, actor: Actor, operation: Operation) -> list[Known]:
    """The series of each key; those nobody knew are made, once it is certain that the caller may write all of them."""
    distinct = dict.fromkeys(keys)
    unknown = context.series.unknown(distinct, monotonic=context.clock.monotonic())
    places = {each.place for each in context.series.get(list(distinct)) if each is not None}
    places |= {(key.venture, key.environment) for key in unknown}
    for venture, environment in places:
        actor.check(operation, venture=venture or None, environment=environment)
    if unknown:
        _learn(context, unknown)
    found = context.series.get(keys)
    if None in found:  # forgotten between two looks, every ten minutes
        _learn(context, list(distinct))
        found = context.series.get(keys)
    return [each for each in found if each is not None]


def _learn(context: Context, keys: Sequence[SeriesKey]) -> None:
    """Ask for numbers, or give new ones; some at a time, for other writers wait meanwhile."""
    for key in keys:
        check_key(key)
    now = context.clock.now()
    for begin in range(0, len(keys), LEARN_AT_ONCE):
        part = keys[begin : begin + LEARN_AT_ONCE]
        with context.store.read() as unit:
            numbers = unit.series.numbers_of(part)
        new = [key for key in part if key not in numbers]
        if new:
            with context.store.write() as unit:
                _guard(unit, new, limit=context.series.limit, since_s=int(now.timestamp()) - DAY_S)
                numbers |= unit.series.add(new, now=now)
        context.series.remember(numbers)


def _guard(unit: Unit, new: Iterable[SeriesKey], *, limit: int, since_s: int) -> None:
    """Raises: SeriesLimitError, NotFoundError for a venture that does not exist."""
    wanted: dict[str, list[SeriesKey]] = {}
    for key in new:
        wanted.setdefault(key.venture, []).append(key)
    for venture, keys in wanted.items():
        if venture != INSTALLATION:
            unit.catalog.venture_id(venture)
        active = unit.series.active(venture, since_s=since_s)
        if active + len(keys) > limit:
            raise SeriesLimitError(
                f"venture {venture or '(installation)'!r} has {active:,} series with points of the last day, and {len(keys):,} more "
                f"(such as {str(keys[0])[:160]}) would pass the limit of {limit:,}: leave out tags whose values never repeat, "
                "or raise PRODUCTOPS_SERIES_MAX",
                venture=venture, limit=limit,
            )  # fmt: skip


def _tell_statuses(context: Context, unit: Unit, batch: Batch, *, now_s: int) -> None:
    """Statuses that change by these points, and a row of infrastructure_metrics for each."""
    monotonic = context.clock.monotonic()
    watched = context.series.watched(monotonic=monotonic)
    if watched is None:
        watched = context.series.note_watched(unit.series.watched(), monotonic=monotonic)
    if not watched:
        return
    places = np.flatnonzero(np.isin(batch.numbers, list(watched)) & (batch.seconds >= now_s - STATUS_S))
    newest: dict[int, tuple[int, float]] = {}
    for place in places:
        number, second = int(batch.numbers[place]), int(batch.seconds[place])
        if number not in newest or second >= newest[number][0]:
            newest[number] = (second, float(batch.values[place]))
    rows = []
    for number, (second, value) in newest.items():
        info = watched[number]
        status = info.thresholds.status(value)
        if status is not info.status:
            context.series.look_again()
            if unit.series.move_status(number, expected=info.status, status=status):
                rows.append(MetricRow(info, second, value, status))
    unit.series.add_rows(rows)


def _with_newest(unit: Unit, infos: Sequence[SeriesInfo], *, now_s: int) -> list[SeriesInfo]:
    """With the values of the last minutes, which are not sorted in yet."""
    wanted = {info.number: info for info in infos}
    newest: dict[int, tuple[float, float]] = {}
    for batch in unit.series_points.newest(wanted, since_s=now_s - 150, until_s=now_s + EARLY_S + 1) if wanted else []:
        for place in np.flatnonzero(np.isin(batch.numbers, list(wanted))):
            number, second = int(batch.numbers[place]), float(batch.seconds[place])
            if second >= newest.get(number, (-math.inf, 0.0))[0]:
                newest[number] = (second, float(batch.values[place]))
    return [_newer(info, newest.get(info.number)) for info in infos]


def _newer(info: SeriesInfo, found: tuple[float, float] | None) -> SeriesInfo:
    if found is None or (info.last_at is not None and info.last_at > found[0]):
        return info
    return SeriesInfo(info.number, info.key, info.thresholds, info.status, found[0], found[1])
