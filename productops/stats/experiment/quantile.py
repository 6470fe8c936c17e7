"""Quantiles of what happened: of one value by person, or of many (requests) where the people are the independent ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

Z = float(ndtri(0.975))
"""Standard errors between a quantile and the ends of the interval that is kept of it."""
FLOOR = 1e-5
"""Smallest variance of a quantile of 100 values or more: rounded values would else promise certainty."""


@dataclass(frozen=True, slots=True)
class Quantile:
    """The quantile ``level`` of ``n`` values. ``low`` and ``high``: those at the ends of its 95 % interval for ``n_bounds`` values.

    Source: Deng, Knoblich and Lu 2018, arXiv 1803.06336, section 4 (the density is read off the interval of order statistics).
    """

    n: int
    n_bounds: int
    level: float
    value: float
    low: float
    high: float

    @property
    def mean(self) -> float:
        """The quantile itself."""
        return self.value

    @property
    def plain_mean(self) -> float:
        """The same: nothing is adjusted."""
        return self.value

    @property
    def raw_variance(self) -> float:
        """As the interval says, were the values independent."""
        if self.n <= 1:
            return 0.0
        return self.n_bounds / self.n * (self.n - 1) * ((self.high - self.low) / (2.0 * Z)) ** 2

    @property
    def variance(self) -> float:
        """Such that ``variance / n`` is the squared standard error."""
        return self.raw_variance if self.n < 100 else max(self.raw_variance, FLOOR)

    @property
    def empty(self) -> bool:
        """Whether there are too few values for this level, or the interval is a point."""
        odds = self.level / (1.0 - self.level)
        return self.n <= Z**2 * max(odds, 1.0 / odds) or self.raw_variance <= 0.0


@dataclass(frozen=True, slots=True)
class ClusteredQuantile(Quantile):
    """The same where a person has many values. ``below``: how many of them are at or under the quantile; ``values``: of all."""

    below: float
    below_squares: float
    values: float
    values_squares: float
    products: float
    people: int

    @property
    def raw_variance(self) -> float:
        """That of independent values, times how much more the share below the quantile varies between people."""
        if self.n <= 1 or self.level == 0.0 or self.people <= 1 or self.values <= 0.0:
            return 0.0
        # Named, not super(): a frozen class with slots is made anew, and super() would still mean the old one.
        independent = Quantile.raw_variance.fget(self)  # type: ignore[attr-defined]
        return float(independent * self.share_variance / (self.level * (1.0 - self.level) / self.n))

    @property
    def share_variance(self) -> float:
        """Squared standard error of the share of values below, over people, by the delta method."""
        people = self.people
        below, values, grow = self.below / people, self.values / people, people / (people - 1)
        spread = (self.below_squares / people - below**2) * grow
        spread_values = (self.values_squares / people - values**2) * grow
        both = (self.products / people - below * values) * grow
        return (spread - 2.0 * below * both / values + below**2 * spread_values / values**2) / (people * values**2)


def quantile_of(values: ArrayLike, level: float) -> Quantile:
    """Of one value by person. Raises: ValueError for a level outside 0 to 1."""
    return Quantile(*_bounds(_sorted(values, level), level))


def clustered_quantile_of(values: ArrayLike, people: ArrayLike, level: float) -> ClusteredQuantile:
    """Of many values by person; ``people`` says whose each one is. Raises: ValueError."""
    ordered = _sorted(values, level)
    found = _bounds(ordered, level)
    _, owner = np.unique(np.asarray(people), return_inverse=True)
    count = int(owner.max(initial=-1)) + 1
    each = np.bincount(owner, minlength=count).astype(np.float64)
    below = np.bincount(owner, weights=np.asarray(values, dtype=np.float64) <= found[3], minlength=count)
    return ClusteredQuantile(
        *found, float(below.sum()), float(below @ below), float(each.sum()), float(each @ each), float(below @ each), count
    )  # fmt: skip


def _sorted(values: ArrayLike, level: float) -> NDArray[np.float64]:
    if not 0.0 < level < 1.0:
        raise ValueError(f"a quantile lies between 0 and 1, not at {level}")
    return np.sort(np.asarray(values, dtype=np.float64))


def _bounds(ordered: NDArray[np.float64], level: float) -> tuple[int, int, float, float, float, float]:
    """(n, n of the bounds, level, quantile, low, high)."""
    n = len(ordered)
    if n == 0:
        return 0, 0, level, 0.0, 0.0, 0.0
    wide = Z * float(np.sqrt(level * (1.0 - level) / n))
    low, value, high = np.quantile(ordered, [max(level - wide, 0.0), level, min(level + wide, 1.0)])
    return n, n, level, float(value), float(low), float(high)
