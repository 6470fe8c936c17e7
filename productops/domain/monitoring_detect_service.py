"""Is a service's traffic what it usually is? Failures by counting, latency and volume against what was learned. No I/O.

A detector is given each second once, in order. Little traffic never alarms: each statement needs requests of its own.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from productops.domain.analysis import ArmSecond, LatencyHistogram
from productops.domain.routing import merge_histograms
from productops.stats.anomaly_counts import rarity_of_failures, rarity_of_few

RING_S: Final = 60
WINDOWS_S: Final = (3, 10, 60)
FAILURES_MIN: Final = 5
RARE: Final = 9.0
"""Powers of ten: at one look a second and three windows, a chance alarm of one service comes once in ten years."""
ABOVE_MIN: Final = 0.02
USUAL_FLOOR: Final = 0.002
CALM_S: Final = 20
WELL_S, AGAIN_REQUESTS = 5, 100
"""What fails no more is over so much sooner, where enough requests say so."""
LATENCY_WINDOWS_S: Final = (5, 15, 60)
LATENCY_REQUESTS: Final = 30
LATENCY_HELD_S: Final = 3
LEARNED_S: Final = 120.0
DROP_WINDOW_S: Final = 30
DROP_EXPECTED: Final = 60.0
DROP_SHARE: Final = 0.3
HALF_LIFE_S: Final = 1800.0
DISPERSION_MAX: Final = 100.0


@dataclass(frozen=True, slots=True)
class _Slower:
    """From when on answers are slow: so many times what is usual, and so many milliseconds and scales of the usual scatter above it."""

    times: float
    added_ms: float
    scales: float


MIDDLE_TIMES, MIDDLE_MS = 1.8, 6.0
SCALE_MAX: Final = 0.25
"""What scattered widely for a while must not hide answers that are several times as slow."""
ALONE: Final = _Slower(2.0, 30.0, 6.0)
CROWDED: Final = _Slower(1.6, 15.0, 2.5)


@dataclass(frozen=True, slots=True)
class Deviation:
    """A condition that holds. ``what``: failures, latency or requests. ``since_s``: Unix second."""

    what: str
    since_s: int
    seen: float
    expected: float
    rarity: float
    requests: int
    window_s: int
    text: str
    versions: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """By version: failures and requests of the window."""


@dataclass(slots=True)
class _Held:
    """One condition over time: since when it holds, and when it last did."""

    since_s: int = 0
    last_s: int = 0
    count: int = 0
    firing: Deviation | None = None

    def see(self, found: Deviation | None, at_s: int, *, held: int, calm_s: int = CALM_S) -> None:
        if found is not None:
            self.count = self.count + 1 if at_s - self.last_s <= 2 else 1
            self.since_s = at_s if self.count == 1 and self.firing is None else self.since_s
            self.last_s = at_s
            if self.count >= held or self.firing is not None:
                self.firing = found
        elif self.firing is not None and at_s - self.last_s >= calm_s:
            self.firing, self.count = None, 0


@dataclass(slots=True)
class Usual:
    """What is usual of one service in one environment; survives restarts. Latency (the 95th percentile) and its ``middle``
    (the median; 0: not known) are kept as logarithms of milliseconds.

    ``failures`` and ``requests`` are sums that halve in ``HALF_LIFE_S``; ``rates``: requests a second by half hour of the day, with how
    many seconds were seen of each; ``rate`` lately.
    """

    failures: float = 0.0
    requests: float = 0.0
    latency: float = 0.0
    latency_scale: float = 0.1
    middle: float = 0.0
    seconds: float = 0.0
    latency_seconds: float = 0.0
    rate: float = 0.0
    dispersion: float = 1.0
    rates: list[float] = field(default_factory=lambda: [0.0] * 48)
    seen: list[float] = field(default_factory=lambda: [0.0] * 48)

    @property
    def share(self) -> float:
        """Usual share of failures, never below ``USUAL_FLOOR``; half again as much as was seen, because it wanders."""
        return min(0.9, max(USUAL_FLOOR, 1.5 * self.failures / (self.requests + 200.0)))

    def rate_at(self, at_s: int) -> float:
        """Requests a second to be expected: the lower of lately and this time of day, where that is known."""
        slot = at_s % 86_400 // 1800
        return min(self.rate, self.rates[slot]) if self.seen[slot] >= 900 else self.rate

    def document(self) -> dict[str, Any]:
        """As it is kept."""
        plain = ("failures", "requests", "latency", "latency_scale", "middle", "seconds", "latency_seconds", "rate", "dispersion")
        return {name: getattr(self, name) for name in plain} | {"rates": self.rates, "seen": self.seen}


@dataclass(slots=True)
class ServiceDetector:
    """The detector of one service in one environment."""

    usual: Usual = field(default_factory=Usual)
    ring: deque[tuple[int, Mapping[str, ArmSecond] | None]] = field(default_factory=lambda: deque(maxlen=RING_S))
    failures: _Held = field(default_factory=_Held)
    latency: _Held = field(default_factory=_Held)
    requests: _Held = field(default_factory=_Held)

    def see(self, at_s: int, arms: Mapping[str, ArmSecond] | None, *, crowded: bool = False) -> None:
        """One second by version; ``None``: it could not be measured, empty: nobody came.

        ``crowded``: where it runs is short of processors just now; then answers that are only somewhat slower are no chance either.
        """
        self.ring.append((at_s, arms))
        if arms is None:
            return
        well = self.failures.firing is not None and self._well_again(at_s, self.usual.share)
        self.failures.see(None if well else self._failing(at_s), at_s, held=1, calm_s=WELL_S if well else CALM_S)
        slow = self._slow(at_s, CROWDED if crowded else ALONE) or (self._slower(at_s) if crowded else None)
        self.latency.see(slow, at_s, held=LATENCY_HELD_S)
        self.requests.see(self._missing(at_s), at_s, held=LATENCY_HELD_S)
        self._learn(at_s, arms, crowded=crowded)

    def firing(self) -> list[Deviation]:
        """What is not as usual now."""
        return [held.firing for held in (self.failures, self.latency, self.requests) if held.firing is not None]

    def _window(self, at_s: int, window_s: int) -> list[Mapping[str, ArmSecond]]:
        return [arms for second, arms in self.ring if second > at_s - window_s and arms is not None]

    def _failing(self, at_s: int) -> Deviation | None:
        usual = self.usual.share
        for window_s in WINDOWS_S:
            if window_s > WINDOWS_S[1] and self._well_again(at_s, usual):
                return None  # the minute still tells of what is over
            versions = _by_version(self._window(at_s, window_s))
            failures, requests = (sum(each[index] for each in versions.values()) for index in (0, 1))
            share = failures / requests if requests else 0.0
            rarity = rarity_of_failures(failures, requests, usual)
            if failures >= FAILURES_MIN and share >= usual + max(ABOVE_MIN, usual) and rarity >= RARE:
                text = f"{share:.1%} of {requests:,} requests failed in {window_s} s; {usual:.2%} would be usual"
                since = at_s if self.failures.firing is None else self.failures.firing.since_s
                return Deviation("failures", since, share, usual, rarity, requests, window_s, text, versions)
        return None

    def _well_again(self, at_s: int, usual: float) -> bool:
        """Whether the last ten seconds are as usual: the longer window goes on telling of what is over."""
        versions = _by_version(self._window(at_s, WINDOWS_S[1]))
        failures, requests = (sum(each[index] for each in versions.values()) for index in (0, 1))
        return requests >= AGAIN_REQUESTS and failures < (usual + ABOVE_MIN / 2) * requests

    def _slow(self, at_s: int, slower: _Slower) -> Deviation | None:
        known = self.usual
        p95, requests, window_s = self._quantile(at_s, 0.95)
        if p95 is None or known.latency_seconds < LEARNED_S:
            return None
        expected = math.exp(known.latency)
        scales = (math.log(p95) - known.latency) / min(max(known.latency_scale, 0.03), SCALE_MAX)
        if p95 < slower.times * expected or p95 - expected < slower.added_ms or scales < slower.scales:
            return None
        text = f"95 of 100 answers within {p95:.0f} ms in {window_s} s ({requests:,} requests); {expected:.0f} ms would be usual"
        since = self.latency.since_s or at_s
        return Deviation("latency", since, p95, expected, min(scales, 300.0), requests, window_s, text)

    def _slower(self, at_s: int) -> Deviation | None:
        """Half of the answers take much longer: the median scatters far less than the slowest, and a crowded machine slows all."""
        known = self.usual
        middle, requests, window_s = self._quantile(at_s, 0.5)
        if middle is None or known.latency_seconds < LEARNED_S or not known.middle:
            return None
        expected = math.exp(known.middle)
        if middle < MIDDLE_TIMES * expected or middle - expected < MIDDLE_MS:
            return None
        text = f"half of the answers within {middle:.0f} ms in {window_s} s ({requests:,} requests); {expected:.0f} ms would be usual"
        return Deviation("latency", self.latency.since_s or at_s, middle, expected, RARE, requests, window_s, text)

    def _quantile(self, at_s: int, share: float) -> tuple[float | None, int, int]:
        """Milliseconds, requests, and seconds of the shortest window with enough requests."""
        merged, window_s = LatencyHistogram(), 0
        for window_s in LATENCY_WINDOWS_S:
            merged = merge_histograms([arm.latency for second in self._window(at_s, window_s) for arm in second.values()])
            if merged.total >= LATENCY_REQUESTS:
                return max(quantile_ms(merged, share), 0.1), merged.total, window_s
        return None, merged.total, window_s

    def _missing(self, at_s: int) -> Deviation | None:
        expected = self.usual.rate_at(at_s) * DROP_WINDOW_S
        if self.usual.seconds < 600 or expected < DROP_EXPECTED:
            return None
        window = self._window(at_s, DROP_WINDOW_S)
        if len(window) < DROP_WINDOW_S:
            return None
        seen = sum(arm.requests for second in window for arm in second.values())
        rarity = rarity_of_few(seen, expected, dispersion=self.usual.dispersion)
        if seen > DROP_SHARE * expected or rarity < RARE:
            return None
        text = f"{seen:,} requests came in {DROP_WINDOW_S} s; {expected:,.0f} would be usual"
        since = self.requests.since_s or at_s
        return Deviation("requests", since, float(seen), expected, rarity, round(expected), DROP_WINDOW_S, text)

    def _learn(self, at_s: int, arms: Mapping[str, ArmSecond], *, crowded: bool) -> None:
        """From what is as usual only: a fault that lasts does not become usual."""
        known = self.usual
        requests, failures = (sum(getattr(arm, name) for arm in arms.values()) for name in ("requests", "failures"))
        known.seconds += 1.0
        if self.failures.firing is None:
            fade = 0.5 ** (1.0 / HALF_LIFE_S)
            known.requests, known.failures = known.requests * fade + requests, known.failures * fade + failures
        if self.latency.firing is None and not crowded:
            self._learn_latency(at_s)
        if self.requests.firing is None:
            self._learn_rate(at_s, requests)

    def _learn_latency(self, at_s: int) -> None:
        known = self.usual
        p95, _, _ = self._quantile(at_s, 0.95)
        middle, _, _ = self._quantile(at_s, 0.5)
        if p95 is None or middle is None:
            return
        known.latency_seconds += 1.0
        gain = max(1.0 / known.latency_seconds, 1.0 / HALF_LIFE_S)
        known.middle = known.middle + gain * (math.log(middle) - known.middle) if known.middle else math.log(middle)
        off = math.log(p95) - known.latency
        limit = 4.0 * max(known.latency_scale, 0.03)
        known.latency += gain * (off if known.latency_seconds < 20 else min(max(off, -limit), limit))
        if known.latency_seconds > 5:
            known.latency_scale += gain * (min(1.4826 * abs(off), limit) - known.latency_scale)

    def _learn_rate(self, at_s: int, requests: int) -> None:
        known = self.usual
        gain = max(1.0 / known.seconds, 1.0 / 600.0)
        if known.seconds > 60 and known.rate > 0:
            window = [sum(arm.requests for arm in second.values()) for second in self._window(at_s, DROP_WINDOW_S)]
            expected = known.rate * len(window)
            excess = (sum(window) - expected) ** 2 / max(expected, 1.0)
            known.dispersion += (1.0 / 600.0) * (min(excess, DISPERSION_MAX) - known.dispersion)
        known.rate += gain * (requests - known.rate)
        slot = at_s % 86_400 // 1800
        known.seen[slot] += 1.0
        known.rates[slot] += max(1.0 / known.seen[slot], 1.0 / 5400.0) * (requests - known.rates[slot])


def _by_version(window: list[Mapping[str, ArmSecond]]) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for second in window:
        for version, arm in second.items():
            failures, requests = found.get(version, (0, 0))
            found[version] = (failures + arm.failures, requests + arm.requests)
    return found


def quantile_ms(histogram: LatencyHistogram, share: float) -> float:
    """Upper bound of the bucket in which the quantile lies, in milliseconds."""
    wanted, seen = share * histogram.total, 0
    for upper, count in zip(histogram.upper_ms, histogram.counts, strict=True):
        seen += count
        if seen >= wanted:
            return upper
    return histogram.upper_ms[-1] if histogram.upper_ms else 0.0
