"""Collect what others measure, each at its own interval: scrape targets, metric sources, containers, and use of features."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from typing import Final

import structlog

from productops.domain.analysis import MetricKind
from productops.domain.analytics_usage import UsageDay
from productops.domain.monitoring_series import Point, SeriesKey, check_key, series_key
from productops.domain.monitoring_series_sample import Labels, Rates, Sample
from productops.domain.monitoring_sources import MetricQuery, Window
from productops.errors import InvalidInputError, ProductOpsError
from productops.ports import ContainerMeter, MetricSource, Scraper
from productops.store.monitoring_series_targets import ScrapeTarget
from productops.usecases.context import OURSELVES, Context
from productops.usecases.monitoring_collect import collect_containers
from productops.usecases.monitoring_series import put_points

log = structlog.get_logger(__name__)
AT_ONCE: Final = 4
CONTAINERS_S: Final = 10.0
BUSINESS_S: Final = 900.0
BUSINESS_DAYS: Final = 3
NOTE_S: Final = 60.0
WINDOW_MAX_S: Final = 300


@dataclass(slots=True)
class _Progress:
    """Of one target: when it is due, the running counts it showed, to where a source was read, what was written of it last."""

    due_at: float = 0.0
    rates: Rates = field(default_factory=Rates)
    until_s: int = 0
    noted_at: float = -NOTE_S
    problem: str = ""


@dataclass(slots=True)
class SlowCollector:
    """Everything that may wait for others. ``turn`` does what is due; call it each second from a thread that holds up nothing else.

    Of several machines one calls ``turn``: targets and sources are the same for all. Each calls ``turn_here``, from another thread.
    """

    context: Context
    scraper: Scraper
    sources: Mapping[str, MetricSource] = field(default_factory=dict)
    containers: ContainerMeter | None = None
    _targets: dict[str, _Progress] = field(default_factory=dict)
    _containers_at: float = -CONTAINERS_S
    _business_at: float = -BUSINESS_S
    _business: dict[tuple[SeriesKey, float], float] = field(default_factory=dict)

    def turn(self, now: datetime) -> int:
        """Returns how many points were kept. What fails is told in the log and, of scrape targets, with the target.

        Raises: StoreUnavailableError.
        """
        monotonic = self.context.clock.monotonic()
        kept = self._scrape_due(now, monotonic)
        if monotonic - self._business_at >= BUSINESS_S:
            self._business_at = monotonic
            kept += self.collect_business(now)
        return kept

    def turn_here(self, now: datetime) -> int:
        """What is measured of this very machine: its containers. Returns how many points were kept. Raises: StoreUnavailableError."""
        monotonic = self.context.clock.monotonic()
        if self.containers is None or monotonic - self._containers_at < CONTAINERS_S:
            return 0
        self._containers_at = monotonic
        return self._containers(self.containers, now)

    def _containers(self, meter: ContainerMeter, now: datetime) -> int:
        try:
            return collect_containers(self.context, meter, now=now)
        except ProductOpsError as error:
            log.warning("containers not measured", reason=str(error))
            return 0

    # ---- scrape targets

    def _scrape_due(self, now: datetime, monotonic: float) -> int:
        with self.context.store.read() as unit:
            targets = unit.scrape_targets.all()
        self._targets = {each.id: self._targets.get(each.id, _Progress()) for each in targets}
        due = [each for each in targets if self._targets[each.id].due_at <= monotonic]
        for target in due:
            self._targets[target.id].due_at = monotonic + target.spec.interval_s
        if not due:
            return 0
        with ThreadPoolExecutor(min(AT_ONCE, len(due)), "scrape") as pool:
            return sum(pool.map(lambda target: self.scrape(target, now), due))

    def scrape(self, target: ScrapeTarget, now: datetime) -> int:
        """Ask one target, and keep what it says and whether it did. Returns how many points were kept."""
        progress = self._targets.setdefault(target.id, _Progress())
        began, problem, points = self.context.clock.monotonic(), "", list[Point]()
        try:
            points = list(self._ask(target, progress, now))
        except ProductOpsError as error:
            problem = str(error)[:500]
        took_s = self.context.clock.monotonic() - began
        own = {"scrape.up": 0.0 if problem else 1.0, "scrape.duration_s": took_s, "scrape.points": float(len(points))}
        points += [Point(_key(target, name, (), category="infrastructure"), now.timestamp(), value) for name, value in own.items()]
        try:
            kept = put_points(self.context, points, actor=OURSELVES)
        except InvalidInputError as error:
            problem, kept = str(error)[:500], 0
        self._note(target, progress, len(points), problem, now)
        return kept

    def _ask(self, target: ScrapeTarget, progress: _Progress, now: datetime) -> Iterator[Point]:
        if target.spec.source:
            yield from self._ask_source(target, progress, now)
            return
        spec = target.spec
        token = next(iter(self.context.secrets_of([spec.token])), "") if spec.token else ""
        samples = self.scraper.fetch(
            spec.url, token=token, timeout_s=spec.timeout_s, samples_max=spec.samples_max, at=now.timestamp()
        )  # fmt: skip
        for each in progress.rates.derive(chosen_samples(samples, target)):
            key = _usable(_key(target, each.name, each.labels))
            if key is not None:
                yield Point(key, each.at, each.value)

    def _ask_source(self, target: ScrapeTarget, progress: _Progress, now: datetime) -> Iterator[Point]:
        """Levels at the end of each interval since the last call. Raises: InvalidInputError, MetricSourceError, RateLimitedError."""
        spec = target.spec
        source = self.sources.get(spec.source)
        if source is None or spec.service is None or spec.environment is None:
            known = ", ".join(sorted(self.sources)) or "none"
            raise InvalidInputError(f"the connections file has no metric source {spec.source!r}; it has: {known}")
        with self.context.store.read() as unit:
            live = unit.traffic.find(spec.service, spec.environment)
        step = source.interval_s
        until_s = (int(now.timestamp()) - source.lag_s) // step * step
        after_s = max(progress.until_s or until_s - step, until_s - WINDOW_MAX_S // step * step)
        if after_s >= until_s:
            return
        version = live.baseline_version if live is not None and live.baseline_version else "none"
        for query in spec.queries:
            values = source.metric(
                MetricQuery(MetricKind.SATURATION, query.query), (spec.service, spec.environment, version), Window(after_s, until_s, step)
            )
            for at_s, value in values.items():
                if isinstance(value, float):
                    yield Point(_key(target, query.name, ()), float(at_s), value)
        progress.until_s = until_s

    def _note(self, target: ScrapeTarget, progress: _Progress, samples: int, problem: str, now: datetime) -> None:
        monotonic = self.context.clock.monotonic()
        if problem == progress.problem and monotonic - progress.noted_at < NOTE_S:
            return
        if problem and problem != progress.problem:
            log.warning("scrape target does not answer", target=target.name, venture=target.venture, reason=problem)
        progress.problem, progress.noted_at = problem, monotonic
        with self.context.store.write() as unit:
            unit.scrape_targets.note(target.id, samples=samples, problem=problem, now=now)

    # ---- business

    def collect_business(self, now: datetime) -> int:
        """Series ``business.*`` of the last days, as analytics counted them so far; what is stored already is not sent again."""
        today = now.astimezone(UTC).date()
        since = today - timedelta(days=BUSINESS_DAYS)
        with self.context.store.read() as unit:
            ventures = set(unit.series_points.usage_ventures()) & set(unit.catalog.ventures())
            days = [
                day for name in sorted(ventures) for day in unit.analytics_usage.daily(name, since=since, until=today + timedelta(days=1))
            ]
        told = {(point.key, point.at): point.value for point in business_points(days)}
        fresh = [Point(key, at, value) for (key, at), value in told.items() if self._business.get((key, at)) != value]
        kept = put_points(self.context, fresh, actor=OURSELVES)
        self._business = told
        return kept


def chosen_samples(samples: Iterable[Sample], target: ScrapeTarget) -> list[Sample]:
    """Those the target wants, without the labels it drops; what becomes one is added up."""
    keep, drop = [re.compile(each) for each in target.spec.keep], [re.compile(each) for each in target.spec.drop]
    dropped = set(target.spec.drop_labels)
    found: dict[tuple[str, Labels], Sample] = {}
    for sample in samples:
        if (keep and not any(each.fullmatch(sample.name) for each in keep)) or any(each.fullmatch(sample.name) for each in drop):
            continue
        labels = tuple((name, value) for name, value in sample.labels if name not in dropped)
        place = (sample.name, labels)
        found[place] = _added(found[place], sample) if place in found else replace(sample, labels=labels)
    return list(found.values())


def _added(one: Sample, other: Sample) -> Sample:
    same = [upper for upper, _ in one.buckets] == [upper for upper, _ in other.buckets]
    buckets = tuple((upper, a + b) for (upper, a), (_, b) in zip(one.buckets, other.buckets, strict=True)) if same else ()
    return replace(one, value=one.value + other.value, count=one.count + other.count, buckets=buckets)


def business_points(days: Iterable[UsageDay]) -> Iterator[Point]:
    """A point for each day at its beginning (UTC): of the venture (component ``usage``) and of each feature (``feature/<name>``)."""
    every = list(days)
    people = {(day.venture, day.day): day.people for day in every if not day.feature}
    for day in every:
        at = datetime.combine(day.day, time(), UTC).timestamp()
        component = f"feature/{day.feature}" if day.feature else "usage"
        everybody = people.get((day.venture, day.day), 0)
        values = {
            "events": float(day.events), "people": float(day.people), "new_people": float(day.new_people), "value_sum": day.value_sum,
            "failure_ratio": day.failures / day.events if day.events else None, "duration_p95_ms": day.duration_p95_ms,
            "adoption_ratio": day.people / everybody if day.feature and everybody else None,
        }  # fmt: skip
        for name, value in values.items():
            key = _usable(series_key(day.venture, component, "business", f"business.{name}"))
            if value is not None and key is not None:
                yield Point(key, at, value)


def _key(target: ScrapeTarget, name: str, labels: Labels, *, category: str = "") -> SeriesKey:
    spec = target.spec
    tags = dict(labels) | ({"environment": spec.environment.value} if spec.environment else {})
    if spec.service is not None:
        tags |= {"target": target.name}
    return series_key(target.venture, spec.service or target.name, category or spec.category, name, tags)


def _usable(key: SeriesKey) -> SeriesKey | None:
    try:
        return check_key(key)
    except InvalidInputError:
        return None
