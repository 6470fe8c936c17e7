"""Betting capital: mixtures over alternatives and over the second in which harm began."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MOST = 1e280
"""Capital beyond this is given away: far beyond any decision, and products stay finite."""


class StartPrior:
    """Share of the capital that is laid on harm beginning at a given second: some at once, the rest with a constant hazard.

    Taken up to any second the shares sum to less than one.
    """

    __slots__ = ("_hazard", "_later", "_now", "_started")

    def __init__(self, *, now_share: float, later_mean_s: float) -> None:
        self._now = now_share
        self._hazard = 1.0 / later_mean_s
        # exp(-h t) (1 - exp(-h)) sums to at most 1 over t = 0, 1, 2 ...
        self._later = (1.0 - now_share) * -math.expm1(-self._hazard)
        self._started = False

    def share(self, elapsed_s: float) -> float:
        """Share of the second ``elapsed_s`` after the first; ask once per second, in order."""
        if not self._started:
            self._started = True
            return self._now
        return self._later * math.exp(-self._hazard * elapsed_s)


class SmallCapital:
    """One group of few alternatives, in plain floats: ``M <- ratio (M + weight * start share)``; the e-value is the sum.

    Starts with one unit, of which the part not yet laid is left out: that only lowers the e-value.
    Source: Shiryaev-Roberts recursion with a proper prior; e-detectors, Shin, Ramdas & Rinaldo 2022, arXiv 2203.03532.
    """

    __slots__ = ("_owned", "_weights")

    def __init__(self, weights: Sequence[float]) -> None:
        """Raises: ValueError when the weights sum to more than one."""
        if math.fsum(weights) > 1.0 + 1e-9:
            raise ValueError("weights of a group must not exceed one")
        self._weights = list(weights)
        self._owned = [0.0] * len(weights)

    def wait(self, share: float) -> float:
        """A second without a bet; answers the log e-value."""
        self._owned = [m + share * w for m, w in zip(self._owned, self._weights, strict=True)]
        return math.log(sum(self._owned))

    def bet(self, ratios: Sequence[float], share: float) -> float:
        """Lay this second's share, multiply by the bets' outcome, answer the log e-value."""
        owned = [r * (m + share * w) for r, m, w in zip(ratios, self._owned, self._weights, strict=True)]
        total = sum(owned)
        if total > MOST:
            owned = [min(MOST, m) for m in owned]
            total = sum(owned)
        self._owned = owned
        return math.log(total) if total > 0.0 else -math.inf


class Capital:
    """Several groups of alternatives in logs, taking many seconds at once.

    Every group starts with one unit; its e-value is the sum over its alternatives. Source as ``SmallCapital``.
    """

    __slots__ = ("_bounds", "_group_of", "_log", "_log_weights", "_onset")

    def __init__(self, groups: Sequence[Sequence[float]]) -> None:
        """``groups`` hold the prior weights of each group's alternatives; each sums to at most one."""
        if any(math.fsum(group) > 1.0 + 1e-9 for group in groups):
            raise ValueError("weights of a group must not exceed one")
        sizes = [len(group) for group in groups]
        self._log_weights = np.log(np.array([w for group in groups for w in group]))
        self._bounds = np.cumsum([0, *sizes[:-1]])
        self._group_of = np.repeat(np.arange(len(groups)), sizes)
        self._log = np.full(len(self._log_weights), -np.inf)
        self._onset = np.zeros(len(self._log_weights))

    def bet(self, log_ratios: Floats, *, shares: Floats, at: Floats, oldest: float = -math.inf) -> Floats:
        """Take T seconds: outcomes (T, A), start shares (T,), their times (T,). Answers each group's log e-value after the last.

        Capital laid before the time ``oldest`` counts as laid then, so that a little that is very old does not rule the mean.
        """
        sums = np.cumsum(log_ratios, axis=0)
        laid = np.log(shares)[:, None] - (sums - log_ratios) + self._log_weights
        paths = np.concatenate((self._log[None, :], laid))
        top = paths.max(axis=0)
        parts = np.exp(paths - top)
        total = parts.sum(axis=0)
        self._onset = np.maximum((parts[0] * self._onset + at @ parts[1:]) / total, oldest)
        self._log = np.log(total) + top + sums[-1]
        return self.log_values()

    def log_values(self) -> Floats:
        """Log e-value of each group, (G,)."""
        result: Floats = np.logaddexp.reduceat(self._log, self._bounds)
        return result

    def onsets(self) -> Floats:
        """Mean time, weighted by capital, at which each group's harm began, (G,); infinite before the first bet."""
        values = self.log_values()
        if not bool(np.isfinite(values).all()):
            return np.full(len(values), np.inf)
        result: Floats = np.add.reduceat(np.exp(self._log - values[self._group_of]) * self._onset, self._bounds)
        return result

    def leaders(self) -> list[int]:
        """Index of the richest alternative of each group."""
        ends = [*self._bounds[1:].tolist(), len(self._log)]
        return [start + int(self._log[start:end].argmax()) for start, end in zip(self._bounds.tolist(), ends, strict=True)]

    def cap(self, log_limits: Floats) -> None:
        """Give away what a group owns beyond its limit: never helps a bet, and lets old wins be forgotten."""
        surplus = self.log_values() - log_limits
        if float(surplus.max()) > 0.0:
            self._log = self._log - np.maximum(surplus, 0.0)[self._group_of]
