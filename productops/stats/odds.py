"""Confidence sequence of the odds ratio between two arms, stratified by second."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from productops.stats.hypergeometric import log_mean_tilt

Floats = NDArray[np.float64]

GRID = np.linspace(-math.log(128.0), math.log(128.0), 141)
"""Log odds ratios that are kept; the interval is interpolated between them and open at the ends."""
PRIOR_WIDTH = 1.0


class OddsRatioSequence:
    """Odds ratio of an event, candidate over baseline: an interval that is right at all times at once with probability 1 - alpha.

    Valid for any traffic, split and common rate in every second, if the ratio itself stays the same. Where both rates are small it
    is the ratio of the rates. Source: Robbins 1970 (mixtures of likelihood ratios) on Fisher's noncentral hypergeometric law.
    """

    def __init__(self) -> None:
        self._log_likelihood = np.zeros(len(GRID))
        prior = -0.5 * (GRID / PRIOR_WIDTH) ** 2
        self._log_prior = prior - np.log(np.exp(prior).sum())

    def add(self, *, baseline: tuple[int, int], candidate: tuple[int, int], power: float = 1.0) -> None:
        """Take one second: (events, requests) of each arm; ``power`` < 1 allows for clusters."""
        (k_a, n_a), (k_b, n_b) = baseline, candidate
        if n_a > 0 and n_b > 0 and 0 < k_a + k_b < n_a + n_b:
            log_mean = log_mean_tilt(baseline=n_a, candidate=n_b, events=k_a + k_b, log_psi=GRID)
            self._log_likelihood += power * (k_b * GRID - log_mean)

    def interval(self, alpha: float) -> tuple[float, float, float]:
        """(low, estimate, high); (0, nan, inf) before any event."""
        top = float(self._log_likelihood.max())
        if top == 0.0 and not bool(self._log_likelihood.any()):
            return 0.0, math.nan, math.inf
        mixture = top + math.log(float(np.exp(self._log_likelihood - top + self._log_prior).sum()))
        slack = self._log_likelihood - mixture + math.log(1.0 / alpha)
        inside = np.flatnonzero(slack > 0.0)
        best = int(self._log_likelihood.argmax())
        first, last = (int(inside[0]), int(inside[-1])) if len(inside) else (best, best)
        low = 0.0 if first == 0 else math.exp(_crossing(slack, first - 1, first))
        high = math.inf if last == len(GRID) - 1 else math.exp(_crossing(slack, last, last + 1))
        return low, math.exp(float(GRID[best])), high


def _crossing(slack: Floats, left: int, right: int) -> float:
    """Where a straight line between two grid points is zero."""
    a, b = float(slack[left]), float(slack[right])
    part = 0.5 if a == b else min(1.0, max(0.0, a / (a - b)))
    return float(GRID[left] + part * (GRID[right] - GRID[left]))
