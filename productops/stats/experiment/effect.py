"""The difference between two variants and its standard error: what every test, interval and posterior starts from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from productops.stats.experiment.adjusting import AnySample, added, with_theta
from productops.stats.experiment.samples import Adjusted, AdjustedRatio, variance_of_ratio

NO_SPREAD = "ZERO_NEGATIVE_VARIANCE"
NO_BASELINE = "ZERO_NEGATIVE_BASELINE_VARIATION"
CASES_BASELINE, CASES_BOTH = 15.0, 50.0
Pair = tuple[AnySample, AnySample]


@dataclass(frozen=True, slots=True)
class Effect:
    """``estimate`` of the second sample against the first, in its units or as a share of the first, with its standard error.

    ``freedom``: degrees of freedom by Welch and Satterthwaite. ``problem``: why there is none; then the numbers are 0.
    ``stratified``: whether it was weighted by strata.
    """

    estimate: float
    error: float
    n: int
    freedom: float
    problem: str | None = None
    stratified: bool = False

    @classmethod
    def none(cls, problem: str, *, stratified: bool = False) -> Effect:
        """No effect can be had."""
        return cls(0.0, 0.0, 0, 0.0, problem, stratified)


def effect_of(pair: Pair, *, relative: bool) -> Effect:
    """Of one pair of samples, baseline first; they are adjusted where there is something to adjust by."""
    one, two = with_theta(*pair)
    if isinstance(one, Adjusted | AdjustedRatio) is not isinstance(two, Adjusted | AdjustedRatio):
        return Effect.none("one variant is adjusted by what was before, the other is not")
    if one.empty or two.empty:
        return Effect.none(NO_SPREAD)
    variance = _variance(one, two, relative=relative)
    if not variance > 0.0:
        return Effect.none(NO_SPREAD)
    if one.mean == 0.0 or one.plain_mean == 0.0:
        return Effect.none(NO_BASELINE)
    difference = two.mean - one.mean
    estimate = difference / abs(one.plain_mean) if relative else difference
    return Effect(estimate, math.sqrt(variance), one.n + two.n, freedom_of((one, two)))


def seen_enough(pair: Pair) -> bool:
    """Whether sums are near enough to normal for the daily looks of a sequential test: 15 in the baseline and 50 in both, in cases.

    A case is what one success is to a rate: (mean / standard error) squared. With fewer, one experiment in ten without any effect would
    find one (``python -m benchmarks experiments``).
    """
    one, two = (_cases(each) for each in pair)
    return one >= CASES_BASELINE and one + two >= CASES_BOTH


def _cases(sample: AnySample) -> float:
    plain = sample.post if isinstance(sample, Adjusted) else sample.plain if isinstance(sample, AdjustedRatio) else sample
    return plain.n * plain.mean**2 / plain.variance if plain.variance > 0.0 else 0.0


def total_pair(pairs: Sequence[Pair]) -> Pair:
    """All strata together, adjusted. Raises: ValueError for samples that do not add up."""
    return with_theta(added([one for one, _ in pairs]), added([two for _, two in pairs]))


def freedom_of(pair: Pair) -> float:
    """Welch 1947, Satterthwaite 1946; 0 where a sample says nothing of spread."""
    (one, two), parts = pair, [(each.variance / each.n, each.n) if each.n else (0.0, 0) for each in pair]
    if min(one.n, two.n) < 2 or any(value <= 0.0 for value, _ in parts):
        return 0.0
    return sum(value for value, _ in parts) ** 2 / sum(value**2 / (n - 1) for value, n in parts)


def _variance(one: AnySample, two: AnySample, *, relative: bool) -> float:
    if not relative:
        return two.variance / two.n + one.variance / one.n
    if isinstance(one, Adjusted) and isinstance(two, Adjusted):
        return _relative_adjusted(one, two)
    if isinstance(one, AdjustedRatio) and isinstance(two, AdjustedRatio):
        return _relative_adjusted_ratio(one, two)
    return variance_of_ratio(
        top=two.plain_mean, top_variance=two.variance / two.n, bottom=one.plain_mean, bottom_variance=one.variance / one.n, both=0.0
    )  # fmt: skip


def _relative_adjusted(one: Adjusted, two: Adjusted) -> float:
    """Lift of an adjusted mean: the baseline is its own divisor, so its now and its then pull in different ways."""
    base = one.post.mean
    if base == 0.0 or not one.n or not two.n:
        return 0.0
    theta, moved = one.theta or 0.0, -two.post.mean / base
    treated = two.post.variance + theta**2 * two.pre.variance - 2.0 * theta * two.both
    control = one.post.variance * moved**2 + 2.0 * theta * one.both * moved + theta**2 * one.pre.variance
    return (treated / two.n + control / one.n) / base**2


def _relative_adjusted_ratio(one: AdjustedRatio, two: AdjustedRatio) -> float:
    base, bottom = one.plain_mean, one.d_post.mean
    if base == 0.0 or bottom == 0.0:
        return 0.0
    size = abs(base)
    # The sign of the baseline matters: the estimate is divided by its size, not by itself.
    moved = size + (two.mean - one.mean) * math.copysign(1.0, base)
    control = np.array([-moved / bottom / size**2, one.m_post.mean * moved / bottom**2 / size**2, *(-one.slopes[2:] / size)])
    treated = two.slopes / size
    return float(control @ one.spread @ control / one.n + treated @ two.spread @ treated / two.n)
