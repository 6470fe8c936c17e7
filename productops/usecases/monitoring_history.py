"""Measured traffic and metrics of one's own, as series of points; the stored seconds are the source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from productops.domain.analysis import ArmSecond, RatioCount
from productops.domain.governance_access import Operation, Scope, may_see
from productops.domain.release import Environment
from productops.domain.routing import merge_histograms
from productops.domain.traffic_summary import ArmSummary, summarise
from productops.errors import InvalidInputError, NotFoundError
from productops.store import Unit
from productops.usecases.context import Actor, Context

SPAN_MAX = timedelta(hours=6)
POINTS_MAX = 2_000
_Seconds = dict[int, dict[str, ArmSecond | None]]
_Own = dict[int, dict[str, dict[str, RatioCount | float]]]


@dataclass(frozen=True, slots=True)
class MetricPoint:
    """One version in the ``step_s`` seconds that began at ``at_s`` (Unix time). ``missed_s`` of them could not be measured.

    ``levels`` are means of levels of one's own; ``events`` sums of counted ones: (events, trials).
    """

    at_s: int
    version: str
    traffic: ArmSummary
    measured_s: int
    missed_s: int
    levels: dict[str, float]
    events: dict[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class MetricQuery:
    """What is wanted. No ``versions``: what users have now, and the candidate."""

    service: str
    environment: Environment
    since: datetime
    until: datetime
    step_s: int
    versions: tuple[str, ...] = ()

    def check(self) -> None:
        """Raises: InvalidInputError for a span or a step that gives too much or nothing."""
        span = self.until - self.since
        if not timedelta(0) < span <= SPAN_MAX:
            raise InvalidInputError("until must come after since, by at most 6 hours")
        if span.total_seconds() / self.step_s > POINTS_MAX:
            raise InvalidInputError(f"that is {span.total_seconds() / self.step_s:,.0f} points; ask for a longer step_s or a shorter time")


def read_metrics(context: Context, query: MetricQuery, *, actor: Actor) -> list[MetricPoint]:
    """Points in order of time and version; a step in which nothing was stored has none.

    Raises: InvalidInputError, NotFoundError for a service that is unknown or that the caller may not see, StoreUnavailableError.
    """
    query.check()
    with context.store.read() as unit:
        service = unit.catalog.service(query.service)
        if not may_see(actor.principal, Operation.METRIC_READ, Scope(service.venture, query.environment)):
            raise NotFoundError(f"there is no service {query.service[:80]!r}")
        versions = list(query.versions) or _present_versions(unit, query)
        after_s, until_s = int(query.since.timestamp()) - 1, int(query.until.timestamp())
        seconds = unit.seconds.between(query.service, query.environment, versions, after_s=after_s, until_s=until_s)
        own = unit.seconds.metrics_between(query.service, query.environment, versions, after_s=after_s, until_s=until_s - 1)
    return _points(seconds, own, query, versions)


def _present_versions(unit: Unit, query: MetricQuery) -> list[str]:
    target = unit.traffic.find(query.service, query.environment)
    return [v for v in (target.baseline_version, target.candidate_version) if v] if target else []


def _points(seconds: _Seconds, own: _Own, query: MetricQuery, versions: Sequence[str]) -> list[MetricPoint]:
    start = int(query.since.timestamp())
    steps = sorted({start + (at_s - start) // query.step_s * query.step_s for at_s in seconds.keys() | own.keys()})
    points = []
    for at_s in steps:
        within = range(at_s, at_s + query.step_s)
        for version in sorted(versions):
            arms = [seconds[s][version] for s in within if version in seconds.get(s, {})]
            values = [own[s][version] for s in within if version in own.get(s, {})]
            if arms or values:
                points.append(_point(at_s, version, arms, values))
    return points


def _point(at_s: int, version: str, arms: list[ArmSecond | None], values: list[dict[str, RatioCount | float]]) -> MetricPoint:
    known = [arm for arm in arms if arm is not None]
    levels: dict[str, list[float]] = {}
    events: dict[str, tuple[int, int]] = {}
    for name, value in ((name, value) for each in values for name, value in each.items()):
        if isinstance(value, RatioCount):
            counted, total = events.get(name, (0, 0))
            events[name] = (counted + value.events, total + value.total)
        else:
            levels.setdefault(name, []).append(value)
    return MetricPoint(
        at_s=at_s, version=version, traffic=summarise(known, merge_histograms([arm.latency for arm in known])), measured_s=len(known),
        missed_s=len(arms) - len(known), levels={name: sum(found) / len(found) for name, found in levels.items()}, events=events,
    )  # fmt: skip
