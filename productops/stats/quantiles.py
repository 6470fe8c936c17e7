"""Confidence sequences of distributions and quantiles: bounds that hold at every sample size at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import betaln

Floats = NDArray[np.float64]

SCALE = 0.85
"""The constant A of the theorem: near its best over the sample sizes a rollout sees."""


def _miss_probability(constant: float, scale: float) -> float:
    """The theorem's bound on the chance of ever leaving the band, for its constant C."""
    eta = 1.0 + np.exp(np.linspace(math.log(1e-6), math.log(2.0 * scale * scale - 1.0), 4000))
    gamma = np.sqrt(2.0 / eta) * (scale - np.sqrt(2.0 * (eta - 1.0) / constant))
    good = gamma > 1.0
    if not bool(good.any()):
        return math.inf
    g2 = gamma[good] ** 2
    return float(np.min(4.0 * np.exp(-g2 * constant) * (1.0 + 1.0 / ((g2 - 1.0) * np.log(eta[good])))))


@lru_cache(maxsize=64)
def _constant(alpha: float, scale: float) -> float:
    """The smallest C whose band is left with probability at most ``alpha``."""
    return float(brentq(lambda c: _miss_probability(c, scale) - alpha, 3.0, 200.0))


def distribution_radius(size: float, *, alpha: float, from_size: float = 1.0, scale: float = SCALE) -> float:
    """Half width of a band around the empirical distribution that holds at all sample sizes from ``from_size`` on.

    Infinite below ``from_size``. Source: Howard & Ramdas 2022, arXiv 1906.09712, theorem 2.
    Raises: ValueError when alpha is not in (0, 1).
    """
    if not 0.0 < alpha < 1.0:
        raise ValueError("alpha must lie in (0, 1)")
    if size < from_size or size <= 0:
        return math.inf
    return scale * math.sqrt((math.log1p(math.log(size / from_size)) + _constant(alpha, scale)) / size)


def log_quantile_factor(below: Floats, size: float, level: float, *, weight: float = 100.0) -> Floats:
    """Log e-values against "the share below is ``level``" for counts ``below`` (…) of ``size`` independent draws.

    The prior is Beta with mean ``level`` and ``weight`` draws' worth: tightest near that many draws.
    Source: Howard & Ramdas 2022, arXiv 1906.09712, theorem 5 (beta-binomial mixture).
    """
    u, v = weight * level, weight * (1.0 - level)
    result: Floats = betaln(u + below, v + size - below) - betaln(u, v) - below * math.log(level) - (size - below) * math.log1p(-level)
    return result


class LatencySums:
    """Counts per bucket bound (milliseconds) of one arm over time."""

    __slots__ = ("_counts", "total")

    def __init__(self) -> None:
        self._counts: dict[float, int] = {}
        self.total = 0

    def add(self, upper_ms: Sequence[float], counts: Sequence[int]) -> None:
        """Take one histogram."""
        for bound, count in zip(upper_ms, counts, strict=True):
            if count:
                self._counts[bound] = self._counts.get(bound, 0) + count
                self.total += count

    def table(self) -> tuple[list[float], Floats]:
        """Bounds ascending and the counts at or below each."""
        bounds = sorted(self._counts)
        return bounds, np.cumsum([float(self._counts[b]) for b in bounds])

    def interval(self, level: float, *, alpha: float) -> tuple[float, float, float]:
        """(low, estimate, high) of a quantile in milliseconds, right at all times with probability 1 - alpha.

        Bucket bounds, so as fine as the buckets are; (0, nan, inf) before any data. Requests must be independent draws of one
        distribution over time: with daily swings read it as a picture, not as a test.
        """
        if not self.total:
            return 0.0, math.nan, math.inf
        bounds, below = self.table()
        # Theorem 5 is one-sided in k for each side: split alpha.
        inside = log_quantile_factor(below, float(self.total), level) < math.log(2.0 / alpha)
        estimate = bounds[int(np.searchsorted(below, level * self.total))]
        share = below / self.total
        low_ok = np.flatnonzero(inside | (share >= level))
        high_ok = np.flatnonzero(~inside & (share > level))
        # The quantile lies above every bound whose share is credibly too small, and at or below the first that is too large.
        first = int(low_ok[0])
        low = bounds[first - 1] if first else 0.0
        return low, estimate, bounds[int(high_ok[0])] if len(high_ok) else math.inf


def quantile_difference(baseline: LatencySums, candidate: LatencySums, level: float, *, alpha: float) -> tuple[float, float, float]:
    """(low, estimate, high) of candidate minus baseline for one quantile, milliseconds, by an interval of each at alpha / 2."""
    a = baseline.interval(level, alpha=alpha / 2.0)
    b = candidate.interval(level, alpha=alpha / 2.0)
    return b[0] - a[2], b[1] - a[1], b[2] - a[0]
