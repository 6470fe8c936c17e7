"""What the router is told and what it reports, without a word of any router's own language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from productops.domain.analysis import ArmSecond, LatencyHistogram
from productops.domain.release import Environment

VersionKey = tuple[str, Environment, str]
"""Service, environment, version: one cluster of the router."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One instance as the router sees it. A draining one gets no new requests."""

    host: str
    port: int
    draining: bool = False


@dataclass(frozen=True, slots=True)
class SegmentRule:
    """Requests of which ``pct`` percent reach the candidate: those whose ``header`` or ``cookie`` has one of ``values``, or any value."""

    pct: int
    header: str = ""
    cookie: str = ""
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MirrorRule:
    """``pct`` percent (fractions to 0.0001) of the requests with one of ``methods`` are copied to the candidate, whose answers nobody gets.

    ``in_flight_max`` copies wait for an answer at most. ``compare_pct`` percent go to the comparator on loopback ``compare_port`` as well.
    """

    pct: float
    methods: tuple[str, ...]
    in_flight_max: int
    compare_pct: float = 0.0
    compare_port: int = 0


@dataclass(frozen=True, slots=True)
class ServiceRoute:
    """All the router must know of one service in one environment.

    ``fleets`` maps each version with instances to its endpoints. ``candidate_pct`` is 0 to 100; with ``header_only`` requests that
    carry the test header reach the candidate and nobody else does. Without a baseline and candidate the hosts answer 503.
    ``segments`` are asked in order, the first that matches decides. With ``mirror`` no request reaches the candidate, copies do.
    ``generation`` makes the confirmation unambiguous.
    """

    service: str
    environment: Environment
    hosts: tuple[str, ...]
    generation: int
    baseline_version: str | None
    candidate_version: str | None
    candidate_pct: int
    header_only: bool
    fleets: dict[str, tuple[Endpoint, ...]] = field(default_factory=dict)
    health_path: str = "/healthz"
    timeout_s: float = 15.0
    sticky: bool = True
    segments: tuple[SegmentRule, ...] = ()
    mirror: MirrorRule | None = None


@dataclass(frozen=True, slots=True)
class ArmCounters:
    """Counters of one version since the router started: cumulative, they fall only when the router restarts.

    ``failures`` are answers of 5xx and requests that got none (timeout, reset, no healthy instance).
    """

    requests: int
    failures: int
    latency: LatencyHistogram


@dataclass(frozen=True, slots=True)
class RouterReading:
    """One scrape: ``uptime_s`` of the router (a fall means that the counters began anew) and counters by version.

    ``life`` names the router's process where it can be told apart: readings of different lives are never compared, even when the
    younger one has run for longer than the older had. ``mirrored`` are users' own requests of the kinds that are being copied, by service
    and environment: what a copy's counters can be compared with.
    """

    uptime_s: float
    arms: dict[VersionKey, ArmCounters]
    life: int = 0
    mirrored: dict[tuple[str, Environment], ArmCounters] = field(default_factory=dict)


def second_between(before: RouterReading, after: RouterReading, key: VersionKey) -> ArmSecond | None:
    """Traffic of ``key`` between two scrapes; ``None`` when it cannot be known (restart, or a counter fell)."""
    if after.uptime_s < before.uptime_s or after.life != before.life:
        return None
    return _between(before.arms.get(key), after.arms.get(key))


def mirrored_between(before: RouterReading, after: RouterReading, place: tuple[str, Environment]) -> ArmSecond | None:
    """Users' own requests of the kinds that are copied, between two scrapes; ``None`` when it cannot be known."""
    if after.uptime_s < before.uptime_s or after.life != before.life:
        return None
    return _between(before.mirrored.get(place), after.mirrored.get(place))


def _between(old: ArmCounters | None, new: ArmCounters | None) -> ArmSecond | None:
    if new is None:
        return None if old is not None else ArmSecond()
    old = old or ArmCounters(0, 0, LatencyHistogram())
    latency = histogram_between(old.latency, new.latency)
    requests, failures = new.requests - old.requests, new.failures - old.failures
    if latency is None or requests < 0 or failures < 0:
        return None
    return ArmSecond(requests=max(requests, failures), failures=failures, latency=latency)


def histogram_between(before: LatencyHistogram, after: LatencyHistogram) -> LatencyHistogram | None:
    """Counts that were added between two cumulative histograms; ``None`` when any bucket fell."""
    old = dict(zip(before.upper_ms, before.counts, strict=True))
    added = {upper: count - old.pop(upper, 0) for upper, count in zip(after.upper_ms, after.counts, strict=True)}
    if any(count < 0 for count in added.values()) or any(old.values()):
        return None
    kept = {upper: count for upper, count in added.items() if count}
    return LatencyHistogram(tuple(kept), tuple(kept.values()))


def merge_histograms(histograms: Sequence[LatencyHistogram]) -> LatencyHistogram:
    """One histogram with the counts of all."""
    totals: dict[float, int] = {}
    for histogram in histograms:
        for upper, count in zip(histogram.upper_ms, histogram.counts, strict=True):
            totals[upper] = totals.get(upper, 0) + count
    ordered = sorted(totals)
    return LatencyHistogram(tuple(ordered), tuple(totals[u] for u in ordered))
