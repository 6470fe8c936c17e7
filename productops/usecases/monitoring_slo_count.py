"""Good and bad events of objectives: from the router's seconds, from series, from systems outside; by minute."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from productops.domain.judge.policy import MetricKind
from productops.domain.monitoring_series import SeriesData
from productops.domain.monitoring_slo import MINUTE_S, Counts, Indicator, Metric, Objective, RouterMetric, SeriesMetric, SourceMetric
from productops.domain.monitoring_sources import MetricQuery, Window
from productops.domain.release import Environment
from productops.errors import InvalidInputError, MetricSourceError, RateLimitedError
from productops.ports import MetricSource
from productops.store import Unit
from productops.usecases.context import OURSELVES, Context

log = structlog.get_logger(__name__)
SETTLE_S = 300
"""Minutes are counted again for so long: a second may be written late."""
_Minutes = dict[tuple[int, str], Counts]


@dataclass(frozen=True, slots=True)
class SecondCounts:
    """What one version did in one second, for one objective."""

    at_s: int
    version: str
    counts: Counts


def place_of(objective: Objective) -> tuple[str, Environment]:
    """Service and environment."""
    return (objective.service, objective.environment)


def by_second(unit: Unit, objectives: Sequence[Objective], *, after_s: int, until_s: int) -> dict[str, list[SecondCounts]]:
    """Seconds of ``after_s`` < second <= ``until_s`` for objectives of the router; each place is read once."""
    found: dict[str, list[SecondCounts]] = {}
    for place in sorted({place_of(each) for each in objectives}):
        here = [each for each in objectives if place_of(each) == place]
        latency = any(each.indicator.needs_latency for each in here)
        rows = unit.objectives.seconds(*place, after_s=after_s, until_s=until_s, latency=latency, not_seen=_copies(unit, place))
        for objective in here:
            below_ms = _below_ms(objective.indicator)
            found[objective.name] = [
                SecondCounts(at_s, version, _router_counts(requests, failures, upper_ms, counts, below_ms))
                for at_s, version, requests, failures, upper_ms, counts in rows
            ]
    return found


def _below_ms(indicator: Indicator) -> float | None:
    metric = indicator.good
    return metric.below_ms if isinstance(metric, RouterMetric) else None


def _router_counts(requests: int, failures: int, upper_ms: Sequence[float], counts: Sequence[int], below_ms: float | None) -> Counts:
    """Requests without failures; or those with a latency of at most ``below_ms``, of those that have one."""
    if below_ms is None:
        return Counts(float(requests - failures), float(requests))
    fast = sum(count for upper, count in zip(upper_ms, counts, strict=True) if upper <= below_ms)
    return Counts(float(fast), float(sum(counts)))


def _copies(unit: Unit, place: tuple[str, Environment]) -> str | None:
    """The version that only gets copies of requests: users see none of its answers."""
    target = unit.traffic.find(*place)
    return target.candidate_version if target is not None and target.mirror is not None else None


def router_minutes(unit: Unit, objective: Objective, *, since_s: int, until_s: int) -> _Minutes:
    """Whole minutes of [since_s, until_s) by version; counts are summed up in the database, latencies here."""
    place = place_of(objective)
    copies = _copies(unit, place)
    if not objective.indicator.needs_latency:
        found = unit.objectives.minutes_of_traffic(*place, since_s=since_s, until_s=until_s)
        return {key: counts for key, counts in found.items() if key[1] != copies}
    minutes: _Minutes = {}
    for each in by_second(unit, [objective], after_s=since_s - 1, until_s=until_s - 1)[objective.name]:
        key = (each.at_s - each.at_s % MINUTE_S, each.version)
        minutes[key] = minutes.get(key, Counts()) + each.counts
    return minutes


def series_minutes(context: Context, objective: Objective, *, since_s: int, until_s: int) -> _Minutes:
    """Minutes of an indicator that is made of our own series; sums over all series that fit. Raises: StoreUnavailableError."""
    indicator = objective.indicator

    def values(metric: Metric | None) -> list[SeriesData]:
        return [] if not isinstance(metric, SeriesMetric) else _series(context, objective, metric, since_s=since_s, until_s=until_s)

    if indicator.form != "ratio":
        samples = [value for found in values(indicator.value) for value in zip(found.at.tolist(), found.value.tolist(), strict=True)]
        return _from_samples(indicator, samples)
    good, bad, total = (_added(values(each), counter=indicator.counter) for each in (indicator.good, indicator.bad, indicator.total))
    return _from_sums(good if indicator.good is not None else None, bad, total)


def _series(context: Context, objective: Objective, metric: SeriesMetric, *, since_s: int, until_s: int) -> list[SeriesData]:
    from productops.usecases.monitoring_series import read_series

    before = MINUTE_S if objective.indicator.counter and objective.indicator.form == "ratio" else 0
    return read_series(
        context, venture=objective.venture, component=metric.component, name=metric.name, tags=metric.tags or None,
        since=_moment(context, since_s - before), until=_moment(context, until_s), actor=OURSELVES,
    )  # fmt: skip


def _moment(context: Context, seconds: float) -> datetime:
    now = context.clock.now()
    return now + timedelta(seconds=seconds - now.timestamp())


def _added(found: Iterable[SeriesData], *, counter: bool) -> dict[int, float]:
    """What was added in each minute; a counter that falls was set back and counts from 0."""
    minutes: dict[int, float] = {}
    for series in found:
        points = list(zip(series.at.tolist(), series.value.tolist(), strict=True))
        before = [None, *(value for _, value in points)]
        for (at, value), earlier in zip(points, before, strict=False):
            if counter and earlier is None:
                continue
            added = value if not counter or earlier is None or value < earlier else value - earlier
            minute = int(at) - int(at) % MINUTE_S
            minutes[minute] = minutes.get(minute, 0.0) + added
    return minutes


def _from_sums(good: Mapping[int, float] | None, bad: Mapping[int, float], total: Mapping[int, float]) -> _Minutes:
    minutes: _Minutes = {}
    for minute, events in total.items():
        if events > 0:
            ok = good.get(minute, 0.0) if good is not None else events - bad.get(minute, 0.0)
            minutes[minute, ""] = Counts(min(max(ok, 0.0), events), events)
    return minutes


def _from_samples(indicator: Indicator, samples: Iterable[tuple[float, float]]) -> _Minutes:
    """Each sample is one event: good, bad, or for a share in part."""
    minutes: _Minutes = {}
    for at, value in samples:
        if indicator.form == "raw":
            share = min(1.0, max(0.0, value))
            good = 1.0 - share if indicator.failure_share else share
        else:
            good = 1.0 if indicator.compare is not None and indicator.compare.holds(value, indicator.limit or 0.0) else 0.0
        key = (int(at) - int(at) % MINUTE_S, "")
        minutes[key] = minutes.get(key, Counts()) + Counts(good, 1.0)
    return minutes


def source_minutes(objective: Objective, source: MetricSource, *, since_s: int, until_s: int) -> tuple[_Minutes, int]:
    """Minutes that a system outside knows, and until when it could know them all (its lag taken off).

    Raises: MetricSourceError, RateLimitedError, InvalidInputError for a query that it refuses.
    """
    step_s = source.interval_s
    until_s = (until_s - source.lag_s) // MINUTE_S * MINUTE_S
    first_s = since_s - since_s % step_s
    if until_s <= since_s or (MINUTE_S % step_s and step_s % MINUTE_S):
        return {}, since_s
    window = Window(first_s, until_s - until_s % step_s, step_s)
    key = (objective.service, objective.environment, "all")
    indicator = objective.indicator
    if isinstance(indicator.value, SourceMetric):
        levels = source.metric(MetricQuery(MetricKind.SATURATION, indicator.value.query), key, window)
        # A point is the end of its interval, and belongs to the minute it ends.
        return _from_samples(indicator, [(at - 1, value) for at, value in levels.items() if isinstance(value, float | int)]), until_s
    events = indicator.good or indicator.bad
    if not isinstance(events, SourceMetric) or not isinstance(indicator.total, SourceMetric):
        return {}, since_s
    counted = source.metric(MetricQuery(MetricKind.RATIO, events.query, indicator.total.query), key, window)
    sums: dict[int, list[float]] = {}
    for at, count in counted.items():
        if isinstance(count, float | int):
            continue
        pair = sums.setdefault((at - 1) - (at - 1) % MINUTE_S, [0.0, 0.0])
        pair[0], pair[1] = pair[0] + count.events, pair[1] + count.total
    totals = {minute: pair[1] for minute, pair in sums.items()}
    named = {minute: pair[0] for minute, pair in sums.items()}
    return _from_sums(named if indicator.good is not None else None, named, totals), until_s


def count_from_sources(context: Context, sources: Mapping[str, MetricSource], *, now: datetime) -> dict[str, str]:
    """Ask the systems outside what is new and keep it by minute. Returns what failed, by objective.

    Raises: StoreUnavailableError.
    """
    with context.store.read() as unit:
        objectives = [each for each in unit.objectives.all() if each.indicator.place not in {"router", "series"}]
        states = unit.objectives.states()
    failed: dict[str, str] = {}
    for objective in objectives:
        state = states.get(objective.name)
        until_s = int(now.timestamp())
        since_s = until_s - 3_600 if state is None or not state.rolled_s else max(state.rolled_s - SETTLE_S, until_s - 86_400)
        source = sources.get(objective.indicator.place)
        if source is None:
            known = ", ".join(sorted(sources)) or "none"
            failed[objective.name] = f"there is no metric source {objective.indicator.place!r} in the connections file; known: {known}"
            continue
        try:
            minutes, done_s = source_minutes(objective, source, since_s=since_s - since_s % MINUTE_S, until_s=until_s)
        except (MetricSourceError, RateLimitedError, InvalidInputError) as error:
            failed[objective.name] = str(error)
            log.warning("objective not measured", objective=objective.name, source=source.name, reason=str(error))
            continue
        _keep(context, objective, minutes, done_s)
    return failed


def _keep(context: Context, objective: Objective, minutes: _Minutes, done_s: int) -> None:
    from productops.store.monitoring_slo import SloState

    with context.store.write() as unit:
        unit.objectives.put_minutes(objective.name, minutes)
        state = unit.objectives.states().get(objective.name, SloState())
        if done_s > state.rolled_s:
            unit.objectives.put_state(objective.name, replace(state, rolled_s=done_s))
