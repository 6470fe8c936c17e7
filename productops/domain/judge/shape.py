"""The latency distribution of the baseline, learned from its histograms, and what slower candidates would look like."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from productops.domain.analysis import LatencyHistogram

Floats = NDArray[np.float64]

CUT_LEVELS = (0.10, 0.25, 0.50, 0.75, 0.90, 0.97, 0.99)
"""Quantiles of the baseline where the categories are cut; three of them are the events with names."""
EVENT_LEVELS = (0.50, 0.90, 0.99)
BOUNDS_MAX = 4096
"""Distinct bucket bounds kept; beyond it they are rounded up by at most 1 %."""


class LearnedLatency:
    """Sum of the baseline's histograms: requests per bucket bound (milliseconds)."""

    __slots__ = ("_counts", "total")

    def __init__(self) -> None:
        self._counts: dict[float, int] = {}
        self.total = 0

    def add(self, histogram: LatencyHistogram) -> None:
        """Take one second of the baseline."""
        counts = self._counts
        for bound, count in zip(histogram.upper_ms, histogram.counts, strict=True):
            if count:
                counts[bound] = counts.get(bound, 0) + count
                self.total += count
        if len(counts) > BOUNDS_MAX:
            self._coarsen()

    def _coarsen(self) -> None:
        merged: dict[float, int] = {}
        for bound, count in self._counts.items():
            finite = 0.0 < bound < math.inf
            key = math.exp(math.ceil(math.log(bound) * 100.0) / 100.0) if finite else bound
            merged[key] = merged.get(key, 0) + count
        self._counts = merged

    def shape(self) -> LatencyShape:
        """The distribution as learned.

        Raises: ValueError when nothing was learned.
        """
        if not self.total:
            raise ValueError("no latencies were learned")
        bounds = sorted(self._counts)
        cumulative = np.cumsum([self._counts[b] for b in bounds]) / self.total
        return LatencyShape.of(bounds, cumulative)


@dataclass(frozen=True, slots=True)
class LatencyShape:
    """A cumulative distribution at bucket bounds, cut into ordered categories.

    ``cuts`` (J-1,) are bucket bounds, so that no bucket is split; ``probabilities`` (J,) are the baseline's;
    ``events`` gives for p50, p90 and p99 the index of the first category that is slower than it.
    """

    bounds: Floats
    cumulative: Floats
    cuts: tuple[float, ...]
    probabilities: Floats
    events: tuple[int, int, int]

    @classmethod
    def of(cls, bounds: list[float], cumulative: Floats) -> LatencyShape:
        """Cut at the bounds nearest to the levels; with coarse buckets several levels may share one cut."""
        finite = [b if math.isfinite(b) else 2.0 * (bounds[i - 1] if i else 1.0) for i, b in enumerate(bounds)]
        chosen = [_nearest(cumulative, level) for level in CUT_LEVELS]
        kept = sorted({i for i in chosen if 0.0 < cumulative[i] < 1.0})
        cuts = tuple(bounds[i] for i in kept)
        edges = np.concatenate(([0.0], cumulative[kept], [1.0]))
        probabilities = np.maximum(np.diff(edges), 1e-6)
        events = tuple(kept.index(i) + 1 if i in kept else len(kept) + 1 for i in (chosen[2], chosen[4], chosen[6]))
        return cls(np.array(finite), cumulative, cuts, probabilities / probabilities.sum(), (events[0], events[1], events[2]))

    @property
    def thresholds_ms(self) -> tuple[float | None, ...]:
        """Per event the bound beyond which a request is slow; None when the buckets are too coarse for it."""
        return tuple(self.cuts[e - 1] if e <= len(self.cuts) else None for e in self.events)

    def below(self, latency_ms: Floats) -> Floats:
        """Share of the baseline at or below each latency, straight lines in log latency between bounds."""
        first = self.bounds[0]
        x = np.concatenate(([first / 1.5 if first > 0 else 1e-9], np.maximum(self.bounds, 1e-9)))
        y = np.concatenate(([0.0], self.cumulative))
        result: Floats = np.interp(np.log(np.maximum(latency_ms, 1e-12)), np.log(x), y)
        return result

    def slowed(self, factor: float, *, share: float = 1.0) -> Floats:
        """Category probabilities (J,) relative to the baseline's when ``share`` of the requests takes ``factor`` times as long."""
        below = self.below(np.array(self.cuts) / factor)
        moved = np.maximum(np.diff(np.concatenate(([0.0], below, [1.0]))), 1e-9)
        ratio: Floats = (1.0 - share) + share * moved / self.probabilities
        return np.clip(ratio, 1e-4, 1e4)

    def odds_after(self, event: int, factor: float) -> float:
        """Odds ratio of an event (0: p50, 1: p90, 2: p99) when every latency takes ``factor`` times as long."""
        threshold = self.thresholds_ms[event]
        if threshold is None:
            return 1.0
        before, after = self.below(np.array([threshold, threshold / factor]))
        before, after = max(1.0 - float(before), 1e-6), max(1.0 - float(after), 1e-6)
        return max(1.0, (after / max(1.0 - after, 1e-6)) / (before / max(1.0 - before, 1e-6)))

    def sort(self, histogram: LatencyHistogram) -> list[int]:
        """Counts per category (J,) of one second; a bucket that straddles a cut counts as beyond it."""
        upper, below = histogram.upper_ms, [0, *accumulate(histogram.counts)]
        result, start, before = [], 0, 0
        for cut in self.cuts:
            start = bisect_right(upper, cut, start)
            result.append(below[start] - before)
            before = below[start]
        result.append(below[-1] - before)
        return result


def _nearest(cumulative: Floats, level: float) -> int:
    """Index of the bound whose share is nearest to the level, in log odds so that tails are treated fairly."""
    inside = np.clip(cumulative, 1e-9, 1.0 - 1e-9)
    distance = np.abs(np.log(inside / (1.0 - inside)) - math.log(level / (1.0 - level)))
    return int(np.argmin(distance))
