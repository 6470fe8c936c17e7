"""Metrics of one's own from outside: ask the sources for the versions under trial and store what they know."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import partial

import structlog

from productops.domain.analysis import RatioCount
from productops.domain.catalog_analysis import CustomMetric
from productops.domain.monitoring_sources import MetricQuery, Window
from productops.domain.routing import VersionKey
from productops.domain.traffic import TrafficTarget
from productops.errors import InvalidInputError, MetricSourceError, NotFoundError, RateLimitedError, StoreUnavailableError
from productops.ports import MetricSource
from productops.usecases.context import Context

log = structlog.get_logger(__name__)

WINDOW_MAX_S = 300
"""After a silence, at most so much is asked for again: older seconds are judged already."""
COMPLAIN_EVERY_S = 60.0

_Rows = dict[tuple[VersionKey, int], dict[str, RatioCount | float]]


@dataclass(slots=True)
class SourceProgress:
    """How far a source was read, by version and metric (end of the last interval asked for), and when it was complained about."""

    until_s: dict[tuple[VersionKey, str], int] = field(default_factory=dict)
    complained_at: float = -1e9


@dataclass(frozen=True, slots=True)
class _Question:
    key: VersionKey
    metric: CustomMetric
    window: Window

    @property
    def id(self) -> tuple[VersionKey, str]:
        return (self.key, self.metric.name)


def read_custom_metrics(context: Context, source: MetricSource, progress: SourceProgress, *, now_s: int) -> int:
    """Ask ``source`` for every metric of versions under trial that names it, up to ``now_s`` less its lag, and store the answers.

    Both versions are asked for the same intervals. An interval without an answer is not stored: it stays unknown, never zero. A
    question that failed is asked again next time with its interval. Returns how many values were stored.

    Raises: RateLimitedError when the source asks for peace, StoreUnavailableError.
    """
    questions = _due(context, source, progress, now_s=now_s)
    rows: _Rows = {}
    answered: dict[tuple[VersionKey, str], int] = {}
    try:
        for question in questions:
            if _ask(context, source, progress, question, rows):
                answered[question.id] = question.window.until_s
    finally:
        stored = _store(context, rows)
        progress.until_s.update(answered)
    return stored


def watch_source(context: Context, source: MetricSource, stopping: threading.Event) -> None:
    """Read ``source`` once per its interval until ``stopping``. One thread per source: a slow one holds up nothing but itself."""
    progress = SourceProgress()
    while not stopping.is_set():
        now = context.clock.now().timestamp()
        pause_s = max(0.2, source.interval_s - now % source.interval_s)
        try:
            read_custom_metrics(context, source, progress, now_s=int(now))
        except RateLimitedError as error:
            pause_s = max(pause_s, float(error.extra.get("retry_after_s", 0.0)))
            log.warning("metric source asks for patience", source=source.name, reason=str(error), pause_s=round(pause_s, 1))
        except StoreUnavailableError as error:
            log.warning("metrics lost: store unavailable", source=source.name, reason=str(error))
        stopping.wait(pause_s)


def _due(context: Context, source: MetricSource, progress: SourceProgress, *, now_s: int) -> list[_Question]:
    """What may be asked now. What nobody asks for any more is forgotten."""
    step = source.interval_s
    until_s = (now_s - source.lag_s) // step * step
    with context.store.read() as unit:
        targets = [t for t in unit.traffic.all() if t.exposed]
        wanted = []
        for target in targets:
            try:
                metrics = unit.catalog.service(target.service).spec.rollout.analysis.metrics
            except NotFoundError:
                continue
            wanted += [(key, metric) for metric in metrics if metric.source == source.name for key in _arms(target)]
    known = {(key, metric.name) for key, metric in wanted}
    progress.until_s = {place: until for place, until in progress.until_s.items() if place in known}
    questions = []
    for key, metric in wanted:
        after_s = max(progress.until_s.setdefault((key, metric.name), until_s - step), until_s - WINDOW_MAX_S // step * step)
        if after_s < until_s:
            questions.append(_Question(key, metric, Window(after_s, until_s, step)))
    return questions


def _arms(target: TrafficTarget) -> list[VersionKey]:
    return [(target.service, target.environment, v) for v in (target.baseline_version, target.candidate_version) if v]


def _ask(context: Context, source: MetricSource, progress: SourceProgress, question: _Question, rows: _Rows) -> bool:
    """Whether the source answered; its values go to ``rows``. Raises: RateLimitedError."""
    metric = question.metric
    try:
        values = source.metric(MetricQuery(metric.kind, metric.query, metric.query_total), question.key, question.window)
    except RateLimitedError:
        raise
    except (MetricSourceError, InvalidInputError) as error:
        _complain(context, source, progress, question, error)
        return False
    for point, value in values.items():
        # An interval that ends at a whole second t was the traffic up to t, and the last second in it began at t - 1.
        rows.setdefault((question.key, point - 1), {})[metric.name] = value
    return True


def _complain(context: Context, source: MetricSource, progress: SourceProgress, question: _Question, error: Exception) -> None:
    """Once a minute and not for every question: a source that is away would fill the log."""
    now = context.clock.monotonic()
    if now - progress.complained_at >= COMPLAIN_EVERY_S:
        progress.complained_at = now
        service, environment, version = question.key
        log.warning(
            "metric not read", source=source.name, metric=question.metric.name, service=service, environment=str(environment),
            version=version, reason=str(error),
        )  # fmt: skip


def _store(context: Context, rows: _Rows) -> int:
    """One transaction for all answers."""
    if not rows:
        return 0
    with context.store.write() as unit:
        for (key, at_s), values in rows.items():
            unit.seconds.add_metrics(key, at_s, values)
    return sum(map(len, rows.values()))


def source_threads(context: Context, sources: list[MetricSource], stopping: threading.Event) -> dict[str, partial[None]]:
    """A loop per source by thread name, as the agent starts its threads."""
    return {f"source {source.name}": partial(watch_source, context, source, stopping) for source in sources}
