"""Series of services, made of the router's counters: requests a second, share of failures, latencies; in all and by version."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from productops.domain.analysis import ArmSecond
from productops.domain.monitoring_series import Point, series_key
from productops.domain.release import Environment
from productops.domain.routing import VersionKey, merge_histograms
from productops.domain.traffic_summary import quantile_ms
from productops.store import Unit

LOOK_BACK_S: Final = 6
SETTLED_S: Final = 3
QUIET_S: Final = 600
VENTURES_S: Final = 30.0
FLAG_ARM: Final = "flag:"
LATENCIES: Final = ((0.5, "p50_ms"), (0.95, "p95_ms"), (0.99, "p99_ms"))
Place = tuple[str, Environment]


@dataclass(slots=True)
class TrafficProgress:
    """Which rows were seen, when each place last had requests, and whose the services are. One for each collector."""

    seen: dict[tuple[VersionKey, int], ArmSecond | None] = field(default_factory=dict)
    busy_s: dict[Place, int] = field(default_factory=dict)
    silent_until_s: int = 0
    ventures: dict[str, str] = field(default_factory=dict)
    ventures_at: float = -VENTURES_S


def traffic_points(unit: Unit, progress: TrafficProgress, *, now_s: int, monotonic: float) -> list[Point]:
    """Points of seconds that came since the last call, and zeros for places that had requests before and have none now."""
    _know_ventures(unit, progress, monotonic)
    rows = unit.series_points.traffic_after(now_s - LOOK_BACK_S)
    progress.seen = {place: arm for place, arm in progress.seen.items() if place[1] > now_s - LOOK_BACK_S}
    fresh: set[tuple[Place, int]] = set()
    for key, at_s, arm in rows:
        if key[2].startswith(FLAG_ARM) or (key, at_s) in progress.seen:
            continue
        progress.seen[key, at_s] = arm
        fresh.add(((key[0], key[1]), at_s))
    shadows = {(t.service, t.environment, t.candidate_version) for t in unit.traffic.all() if t.mirror is not None} if fresh else set()
    points = [point for place, at_s in sorted(fresh) for point in _second(progress, place, at_s, shadows)]
    return points + list(_zeros(unit, progress, now_s=now_s))


def _know_ventures(unit: Unit, progress: TrafficProgress, monotonic: float) -> None:
    if monotonic - progress.ventures_at >= VENTURES_S:
        progress.ventures = {service.name: service.venture for service in unit.catalog.services()}
        progress.ventures_at = monotonic


def _second(progress: TrafficProgress, place: Place, at_s: int, shadows: set[tuple[str, Environment, str | None]]) -> Iterator[Point]:
    """A second of one place: each version, and all that users got together; copies of requests are no users' requests."""
    venture = progress.ventures.get(place[0])
    if venture is None:
        return
    arms = {key: arm for (key, second), arm in progress.seen.items() if second == at_s and (key[0], key[1]) == place}
    for (_, _, version), arm in sorted(arms.items()):
        if arm is not None:
            yield from _arm_points(venture, place, at_s, arm, version=version)
    known = [arm for key, arm in arms.items() if key not in shadows]
    if known and None not in known:
        measured = [arm for arm in known if arm is not None]
        whole = ArmSecond(
            sum(arm.requests for arm in measured), sum(arm.failures for arm in measured),
            merge_histograms([arm.latency for arm in measured]),
        )  # fmt: skip
        if whole.requests:
            progress.busy_s[place] = max(at_s, progress.busy_s.get(place, 0))
        yield from _arm_points(venture, place, at_s, whole)


def _arm_points(venture: str, place: Place, at_s: int, arm: ArmSecond, *, version: str = "") -> Iterator[Point]:
    service, environment = place

    def point(name: str, value: float) -> Point:
        tags = {"environment": environment.value, "version": version}
        return Point(series_key(venture, service, "application", f"service.{name}", tags), float(at_s), value)

    yield point("requests_per_s", float(arm.requests))
    if arm.requests:
        yield point("error_ratio", arm.failures / arm.requests)
    for q, name in LATENCIES:
        value = quantile_ms(arm.latency, q)
        if value is not None:
            yield point(name, value)


def _zeros(unit: Unit, progress: TrafficProgress, *, now_s: int) -> Iterator[Point]:
    """Seconds without a row of a place that had requests in the last ten minutes, while the agent lives: nobody asked for anything."""
    settled_s = now_s - SETTLED_S
    first_s = max(progress.silent_until_s + 1, settled_s - LOOK_BACK_S + SETTLED_S + 1)
    progress.silent_until_s = max(progress.silent_until_s, settled_s)
    progress.busy_s = {place: at_s for place, at_s in progress.busy_s.items() if at_s > now_s - QUIET_S}
    if not progress.busy_s or first_s > settled_s or not unit.series_points.agent_alive(since_s=now_s - LOOK_BACK_S):
        return
    told = {((key[0], key[1]), at_s) for key, at_s in progress.seen}
    for (service, environment), _ in sorted(progress.busy_s.items()):
        venture = progress.ventures.get(service)
        for at_s in range(first_s, settled_s + 1):
            if venture is not None and ((service, environment), at_s) not in told:
                tags = {"environment": environment.value}
                yield Point(series_key(venture, service, "application", "service.requests_per_s", tags), float(at_s), 0.0)
