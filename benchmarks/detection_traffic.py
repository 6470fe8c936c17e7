"""Simulated healthy traffic of several services, second by second, and faults at its end."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Final

import numpy as np

from productops.domain.analysis import ArmSecond, LatencyHistogram
from productops.domain.monitoring_detect_service import ServiceDetector

SERVICES: Final = ((5.0, 0.001, 20.0), (50.0, 0.002, 40.0), (200.0, 0.0005, 30.0), (1.0, 0.01, 80.0), (20.0, 0.02, 150.0))
"""Requests a second, share of failures, median latency in milliseconds."""
BUSY: Final = 20.0
FAULTS: Final = {
    "half of all fail": (1.0, 0.5, 1.0),
    "a tenth fails": (1.0, 0.1, 1.0),
    "six times slower": (1.0, 0.0, 6.0),
    "nobody comes": (0.0, 0.0, 1.0),
}
"""Factor of traffic, least share of failures, factor of latency."""
LOOK_S: Final = 120
_EDGES = np.concatenate([[0.0], np.round(1.15 ** np.arange(1, 70), 2)])


@dataclass(frozen=True, slots=True)
class Said:
    """``false``: alarms during health. ``seconds``: until each fault was seen, the worst of the busy services; infinite: not."""

    services: int
    false: int
    seconds: dict[str, float]


def second(random: np.random.Generator, rate: float, share: float, median_ms: float) -> ArmSecond:
    """One second of Poisson requests with log-normal latency."""
    requests = int(random.poisson(rate))
    latency = np.minimum(random.lognormal(np.log(median_ms), 0.5, requests), _EDGES[-1] - 1)
    counts = np.histogram(latency, bins=_EDGES)[0]
    used = np.flatnonzero(counts)
    histogram = LatencyHistogram(tuple(float(_EDGES[n + 1]) for n in used), tuple(int(counts[n]) for n in used))
    return ArmSecond(requests=requests, failures=int(random.binomial(requests, share)), latency=histogram)


def simulate(*, hours: float, seed: int = 7) -> Said:
    """Traffic, failures and latency wander through the day; then each fault for two minutes, from the same state."""
    random = np.random.default_rng(seed)
    false, seconds = 0, dict.fromkeys(FAULTS, 0.0)
    for rate, share, median_ms in SERVICES:
        detector, before, now_rate, at_s = ServiceDetector(), frozenset[str](), rate, 0
        for at_s in range(int(hours * 3600)):
            day = np.sin(2 * np.pi * at_s / 86_400)
            now_rate = rate * (1 + 0.8 * day) * np.exp(0.1 * np.sin(at_s / 300))
            arm = second(random, now_rate, share * np.exp(0.3 * np.sin(at_s / 700)), median_ms * (1 + 0.2 * day))
            detector.see(at_s, {"1.0": arm})
            firing = frozenset(each.what for each in detector.firing())
            false += bool(firing - before)
            before = firing
        for name, (traffic, least, slower) in FAULTS.items():
            if now_rate >= BUSY:
                worse = (now_rate * traffic, max(share, least), median_ms * slower)
                seconds[name] = max(seconds[name], _until_seen(detector, random, at_s, worse))
    return Said(len(SERVICES), false, seconds)


def _until_seen(detector: ServiceDetector, random: np.random.Generator, at_s: int, worse: tuple[float, float, float]) -> float:
    faulty = copy.deepcopy(detector)
    for number in range(1, LOOK_S + 1):
        faulty.see(at_s + number, {"1.0": second(random, *worse)})
        if faulty.firing():
            return float(number)
    return float("inf")
