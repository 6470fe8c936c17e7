"""Samples of all kinds, what makes two of them comparable, and what adds parts to a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from productops.stats.experiment.quantile import ClusteredQuantile, Quantile
from productops.stats.experiment.samples import Adjusted, AdjustedRatio, Mean, Part, Proportion, Ratio, covariance

AnySample = Mean | Proportion | Ratio | Adjusted | AdjustedRatio | Quantile | ClusteredQuantile
TINY = 1e-8
"""A slope of ratios below this adjusts nothing."""


def with_theta(one: AnySample, two: AnySample) -> tuple[AnySample, AnySample]:
    """Both samples adjusted by the same theta; unadjusted where the past foretells nothing."""
    if isinstance(one, Adjusted) and isinstance(two, Adjusted) and (one.theta is None or two.theta is None):
        theta = theta_of(one, two)
        return (replace(one, theta=theta), replace(two, theta=theta)) if theta else (one.post, two.post)
    if isinstance(one, AdjustedRatio) and isinstance(two, AdjustedRatio) and (one.theta is None or two.theta is None):
        theta = theta_of_ratio(one, two)
        return (replace(one, theta=theta), replace(two, theta=theta)) if abs(theta) >= TINY else (one.plain, two.plain)
    return one, two


def theta_of(one: Adjusted, two: Adjusted) -> float:
    """Slope of now on then over both variants; 0 where either does not vary."""
    n = one.n + two.n
    post, pre = _joined(one.post, two.post), _joined(one.pre, two.pre)
    if pre.variance == 0.0 or post.variance == 0.0:
        return 0.0
    return covariance(n, post, pre, one.products + two.products) / pre.variance


def theta_of_ratio(one: AdjustedRatio, two: AdjustedRatio) -> float:
    """The same for ratios: the one that leaves the least variance."""
    with_one = [replace(each, theta=1.0) for each in (one, two)]
    pre = sum(float(each.slopes[2:] @ each.spread[2:, 2:] @ each.slopes[2:]) for each in with_one)
    both = sum(float(each.slopes[2:] @ each.spread[2:, :2] @ each.slopes[:2]) for each in with_one)
    return 0.0 if pre == 0.0 else -both / pre


def added(samples: Sequence[AnySample]) -> AnySample:
    """All of one kind together. Raises: ValueError for kinds that do not add up."""
    total = samples[0]
    for each in samples[1:]:
        total = _plus(total, each)
    return total


def _plus(one: AnySample, two: AnySample) -> AnySample:
    if isinstance(one, Mean | Proportion) and isinstance(two, Mean | Proportion):
        return one.plus(two)
    if isinstance(one, Ratio) and isinstance(two, Ratio):
        return one.plus(two)
    if isinstance(one, Adjusted) and isinstance(two, Adjusted):
        return one.plus(two)
    if isinstance(one, AdjustedRatio) and isinstance(two, AdjustedRatio):
        return one.plus(two)
    raise ValueError(f"a {type(one).__name__} and a {type(two).__name__} do not add up to one sample")


def _joined(one: Part, two: Part) -> Part:
    if isinstance(one, Proportion) and isinstance(two, Proportion):
        return Proportion(one.n + two.n, one.total + two.total)
    if isinstance(one, Mean) and isinstance(two, Mean):
        return one.plus(two)
    raise ValueError("a metric is of one kind in all variants")
