"""What is kept of one variant: sums, so that a million people are five numbers and parts can be added up.

Every sample knows its ``mean`` (adjusted where there is something to adjust by), its ``plain_mean``, and its ``variance``: that of one
person's share of the mean, so that ``variance / n`` is the squared standard error.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Mean:
    """``n`` values by their sum and their sum of squares."""

    n: int
    total: float
    squares: float

    @property
    def mean(self) -> float:
        """0 for nobody."""
        return self.total / self.n if self.n else 0.0

    @property
    def plain_mean(self) -> float:
        """The same: nothing is adjusted."""
        return self.mean

    @property
    def variance(self) -> float:
        """With n - 1; 0 for fewer than two."""
        return (self.squares - self.total**2 / self.n) / (self.n - 1) if self.n > 1 else 0.0

    @property
    def empty(self) -> bool:
        """Whether it says nothing of spread."""
        return self.variance <= 0.0

    def plus(self, other: Mean | Proportion) -> Mean:
        """Both together."""
        return Mean(self.n + other.n, self.total + other.total, self.squares + other.squares)


@dataclass(frozen=True, slots=True)
class Proportion:
    """``total`` of ``n`` people did it."""

    n: int
    total: float

    @property
    def squares(self) -> float:
        """Of zeros and ones: their sum."""
        return self.total

    @property
    def mean(self) -> float:
        """The rate, 0 to 1; 0 for nobody."""
        return self.total / self.n if self.n else 0.0

    @property
    def plain_mean(self) -> float:
        """The same: nothing is adjusted."""
        return self.mean

    @property
    def variance(self) -> float:
        """That of a coin: p (1 - p)."""
        return self.mean * (1.0 - self.mean)

    @property
    def empty(self) -> bool:
        """Whether it says nothing of spread."""
        return self.variance <= 0.0

    def plus(self, other: Mean | Proportion) -> Mean:
        """Both together; as values, since the parts may differ in kind."""
        return Mean(self.n + other.n, self.total + other.total, self.squares + other.squares)


Part = Mean | Proportion


def covariance(n: int, one: Part, two: Part, products: float) -> float:
    """Of two values of the same ``n`` people, by the sum of their products; with n - 1, with n for two proportions."""
    if n <= 1:
        return 0.0
    if isinstance(one, Proportion) and isinstance(two, Proportion):
        return products / n - one.total * two.total / n**2
    return (products - one.total * two.total / n) / (n - 1)


def variance_of_ratio(*, top: float, top_variance: float, bottom: float, bottom_variance: float, both: float) -> float:
    """Of a ratio of two means, by the delta method. Source: Deng, Knoblich and Lu 2018, arXiv 1803.06336, section 3."""
    if bottom == 0.0:
        return 0.0
    return top_variance / bottom**2 + bottom_variance * top**2 / bottom**4 - 2.0 * both * top / bottom**3


@dataclass(frozen=True, slots=True)
class Ratio:
    """The sum of ``top`` over the sum of ``bottom``, both by person: revenue by order, failures by request."""

    n: int
    top: Part
    bottom: Part
    products: float

    @property
    def mean(self) -> float:
        """The ratio of the sums; 0 without a denominator."""
        return self.top.total / self.bottom.total if self.bottom.total else 0.0

    @property
    def plain_mean(self) -> float:
        """The same: nothing is adjusted."""
        return self.mean

    @property
    def variance(self) -> float:
        """By the delta method; people are independent, what they do is not."""
        if self.bottom.mean == 0.0 or self.n <= 1:
            return 0.0
        return variance_of_ratio(
            top=self.top.mean, top_variance=self.top.variance, bottom=self.bottom.mean, bottom_variance=self.bottom.variance,
            both=covariance(self.n, self.top, self.bottom, self.products),
        )  # fmt: skip

    @property
    def empty(self) -> bool:
        """Whether it says nothing of spread."""
        return self.variance <= 0.0

    def plus(self, other: Ratio) -> Ratio:
        """Both together."""
        return Ratio(self.n + other.n, self.top.plus(other.top), self.bottom.plus(other.bottom), self.products + other.products)


@dataclass(frozen=True, slots=True)
class Adjusted:
    """A value during the experiment, ``post``, with the same people's value before it, ``pre`` (CUPED).

    ``theta`` is how much of the one the other foretells; None until both variants are known.
    Source: Deng, Xu, Kohavi and Walker 2013, Improving the sensitivity of online controlled experiments, section 3.
    """

    n: int
    post: Part
    pre: Part
    products: float
    theta: float | None = None

    @property
    def mean(self) -> float:
        """Without what the past foretells."""
        return self.post.mean - (self.theta or 0.0) * self.pre.mean

    @property
    def plain_mean(self) -> float:
        """What people really did."""
        return self.post.mean

    @property
    def both(self) -> float:
        """Covariance of then and now."""
        return covariance(self.n, self.post, self.pre, self.products)

    @property
    def variance(self) -> float:
        """What is left of the spread."""
        theta = self.theta or 0.0
        return self.post.variance + theta**2 * self.pre.variance - 2.0 * theta * self.both if self.n > 1 else 0.0

    @property
    def empty(self) -> bool:
        """Whether it says nothing of spread."""
        return self.variance <= 0.0

    def plus(self, other: Adjusted) -> Adjusted:
        """Both together; theta has to be found anew."""
        return Adjusted(self.n + other.n, self.post.plus(other.post), self.pre.plus(other.pre), self.products + other.products)


@dataclass(frozen=True, slots=True)
class AdjustedRatio:
    """A ratio during the experiment with the same people's ratio before it. ``m`` is the top of it, ``d`` the bottom."""

    n: int
    m_post: Part
    d_post: Part
    m_pre: Part
    d_pre: Part
    m_post_m_pre: float
    d_post_d_pre: float
    m_pre_d_pre: float
    m_post_d_post: float
    m_post_d_pre: float
    m_pre_d_post: float
    theta: float | None = None

    @property
    def mean(self) -> float:
        """Without what the past foretells."""
        if not self.d_post.total or not self.d_pre.total:
            return 0.0
        return self.plain_mean - (self.theta or 0.0) * self.m_pre.total / self.d_pre.total

    @property
    def plain_mean(self) -> float:
        """The ratio people really had."""
        return self.m_post.total / self.d_post.total if self.d_post.total else 0.0

    @property
    def spread(self) -> Floats:
        """Covariance of (m post, d post, m pre, d pre) between people, (4, 4)."""
        parts = (self.m_post, self.d_post, self.m_pre, self.d_pre)
        products = {
            (0, 1): self.m_post_d_post, (0, 2): self.m_post_m_pre, (0, 3): self.m_post_d_pre,
            (1, 2): self.m_pre_d_post, (1, 3): self.d_post_d_pre, (2, 3): self.m_pre_d_pre,
        }  # fmt: skip
        found = np.diag([part.variance for part in parts])
        for (one, two), product in products.items():
            found[one, two] = found[two, one] = covariance(self.n, parts[one], parts[two], product)
        return found

    @property
    def slopes(self) -> Floats:
        """How the adjusted ratio moves with each of the four means, (4,); zeros without a denominator."""
        d_post, d_pre, theta = self.d_post.mean, self.d_pre.mean, self.theta or 0.0
        if d_post == 0.0 or d_pre == 0.0:
            return np.zeros(4)
        return np.array([1.0 / d_post, -self.m_post.mean / d_post**2, -theta / d_pre, theta * self.m_pre.mean / d_pre**2])

    @property
    def variance(self) -> float:
        """By the delta method."""
        return float(self.slopes @ self.spread @ self.slopes)

    @property
    def empty(self) -> bool:
        """Whether it says nothing of spread."""
        return self.variance <= 0.0

    @property
    def plain(self) -> Ratio:
        """The ratio alone."""
        return Ratio(self.n, self.m_post, self.d_post, self.m_post_d_post)

    def plus(self, other: AdjustedRatio) -> AdjustedRatio:
        """Both together; theta has to be found anew."""
        return AdjustedRatio(
            self.n + other.n, self.m_post.plus(other.m_post), self.d_post.plus(other.d_post), self.m_pre.plus(other.m_pre),
            self.d_pre.plus(other.d_pre), self.m_post_m_pre + other.m_post_m_pre, self.d_post_d_pre + other.d_post_d_pre,
            self.m_pre_d_pre + other.m_pre_d_pre, self.m_post_d_post + other.m_post_d_post, self.m_post_d_pre + other.m_post_d_pre,
            self.m_pre_d_post + other.m_pre_d_post,
        )  # fmt: skip
