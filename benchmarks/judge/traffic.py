"""A simulated service: arrivals, failures and latencies of two arms, second by second."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from productops.domain.analysis import ArmSecond, LatencyHistogram, TrafficSecond

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def two_digit_bounds(top_ms: float = 1e6) -> Floats:
    """Upper bounds of log-linear buckets with two significant digits, from 0.1 ms: what Envoy's detailed histograms use."""
    scales = 10.0 ** np.arange(-1, 1 + int(np.log10(top_ms)))
    return np.unique(np.round((np.arange(10, 100)[None, :] + 1) / 10.0 * scales[:, None], 6).ravel())


BOUNDS_MS = two_digit_bounds()


@dataclass
class Arm:
    """How one arm behaves; every array has one entry per second (T,).

    ``slow`` multiplies all latencies; a share ``tail_share`` of the requests takes ``tail_factor`` times as long on top.
    Failures come in groups of geometric mean size ``cluster``. ``part`` is the share of requests to which ``slow`` applies.
    """

    fail: Floats
    slow: Floats
    tail_share: Floats
    tail_factor: float = 1.0
    cluster: float = 1.0
    part: float = 1.0
    present: NDArray[np.bool_] | None = None


@dataclass
class Plan:
    """A scenario laid out: seconds of history (baseline only, all traffic), then seconds of rollout."""

    history_s: int
    rollout_s: int
    rate: Floats
    share: Floats
    baseline: Arm
    candidate: Arm
    median_ms: Floats
    sigma: float = 0.5
    heavy: float = 0.0
    burst: float = 0.0
    retries: float = 0.0
    buckets_ms: Floats = field(default_factory=lambda: BOUNDS_MS)


def _arrivals(rng: np.random.Generator, mean: Floats, burst: float) -> Ints:
    """Poisson, or gamma-mixed Poisson with squared variation ``burst``."""
    if burst > 0.0:
        mean = mean * rng.gamma(1.0 / burst, burst, len(mean))
    return rng.poisson(mean).astype(np.int64)


def _failures(rng: np.random.Generator, requests: Ints, arm: Arm, retries: float) -> tuple[Ints, Ints]:
    """Failures per second and the requests including retries of failures (which land on the same arm and fail alike)."""
    if arm.cluster <= 1.0:
        failed = rng.binomial(requests, arm.fail)
    else:
        groups = rng.poisson(requests * arm.fail / arm.cluster)
        extra = rng.negative_binomial(np.maximum(groups, 1), 1.0 / arm.cluster)
        failed = np.minimum(np.where(groups > 0, groups + extra, 0), requests)
    if retries > 0.0:
        again = rng.poisson(failed * retries)
        failed_again = rng.binomial(again, np.minimum(0.9, 0.5 + arm.fail))
        return (failed + failed_again).astype(np.int64), requests + again
    return failed.astype(np.int64), requests


def _latencies(rng: np.random.Generator, plan: Plan, arm: Arm, requests: Ints) -> Ints:
    """Histogram (T, B) of one arm."""
    second = np.repeat(np.arange(len(requests)), requests)
    size = len(second)
    latency = plan.median_ms[second] * np.exp(plan.sigma * rng.standard_normal(size))
    if plan.heavy > 0.0:
        slow_kind = rng.random(size) < plan.heavy
        latency = np.where(slow_kind, latency * (1.0 + rng.pareto(1.5, size)) * 4.0, latency)
    slowed = arm.slow[second]
    if arm.part < 1.0:
        slowed = np.where(rng.random(size) < arm.part, slowed, 1.0)
    latency = latency * slowed
    if arm.tail_factor > 1.0:
        latency = np.where(rng.random(size) < arm.tail_share[second], latency * arm.tail_factor, latency)
    bucket = np.minimum(np.searchsorted(plan.buckets_ms, latency, side="left"), len(plan.buckets_ms) - 1)
    width = len(plan.buckets_ms)
    return np.bincount(second * width + bucket, minlength=len(requests) * width).reshape(len(requests), width)


@dataclass
class Stream:
    """What was measured: arrays per arm of requests (T,), failures (T,), histograms (T, B), presence (T,)."""

    plan: Plan
    requests: tuple[Ints, Ints]
    failures: tuple[Ints, Ints]
    histograms: tuple[Ints, Ints]

    def seconds(self) -> Iterator[TrafficSecond]:
        """All seconds in order, history first."""
        for t in range(self.plan.history_s + self.plan.rollout_s):
            yield self.second(t)

    def second(self, t: int) -> TrafficSecond:
        """The second ``t`` as the router would report it."""
        return TrafficSecond(1_700_000_000 + t, self._arm(0, t), self._arm(1, t))

    def _arm(self, side: int, t: int) -> ArmSecond | None:
        arm = (self.plan.baseline, self.plan.candidate)[side]
        if arm.present is not None and not arm.present[t]:
            return None
        row = self.histograms[side][t]
        used = np.flatnonzero(row)
        histogram = LatencyHistogram(tuple(self.plan.buckets_ms[used].tolist()), tuple(row[used].tolist()))
        return ArmSecond(int(self.requests[side][t]), int(self.failures[side][t]), histogram)


def simulate(plan: Plan, rng: np.random.Generator) -> Stream:
    """Draw one stream."""
    share = plan.share.copy()
    share[: plan.history_s] = 0.0
    swing = _arrivals(rng, np.full(len(share), 1e6), plan.burst) / 1e6 if plan.burst > 0.0 else np.ones(len(share))
    requests, failures, histograms = [], [], []
    for arm, part in ((plan.baseline, 1.0 - share), (plan.candidate, share)):
        arrived = rng.poisson(plan.rate * swing * part).astype(np.int64)
        failed, total = _failures(rng, arrived, arm, plan.retries)
        requests.append(total)
        failures.append(failed)
        histograms.append(_latencies(rng, plan, arm, total))
    return Stream(plan, (requests[0], requests[1]), (failures[0], failures[1]), (histograms[0], histograms[1]))
