"""Which segment explains a change, whether a feature is unused, and whether those who use it fare worse."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Share:
    """What one segment has to do with a change of the whole. ``share``: of the whole change, may exceed 1 or be negative.

    For rates ``within`` is what its own rate did, ``mix`` what its size did; for amounts all is ``within``.
    """

    index: int
    before: float
    after: float
    within: float
    mix: float
    share: float


def explain_amount(before: Floats, after: Floats) -> list[Share]:
    """Segments by how much of the change of their sum they make; the largest part first."""
    moved = after - before
    total = float(moved.sum())
    shares = moved / total if total else np.zeros(len(moved))
    found = [Share(i, float(before[i]), float(after[i]), float(moved[i]), 0.0, float(shares[i])) for i in range(len(moved))]
    return sorted(found, key=lambda each: -each.share)


def explain_rate(done_before: Floats, of_before: Floats, done_after: Floats, of_after: Floats) -> list[Share]:
    """Segments by what they do to a rate (conversion, failures): by their own rate, or by being a larger or smaller part.

    Source: Kitagawa 1955, "Components of a difference between two rates". Parts add up to the change of the whole rate.
    """
    weight0, weight1 = of_before / max(of_before.sum(), 1e-12), of_after / max(of_after.sum(), 1e-12)
    whole0, whole1 = done_before.sum() / max(of_before.sum(), 1e-12), done_after.sum() / max(of_after.sum(), 1e-12)
    rate0 = np.where(of_before > 0, done_before / np.maximum(of_before, 1e-12), whole0)
    rate1 = np.where(of_after > 0, done_after / np.maximum(of_after, 1e-12), whole1)
    within = (rate1 - rate0) * (weight0 + weight1) / 2
    mix = (weight1 - weight0) * ((rate0 + rate1) / 2 - (whole0 + whole1) / 2)
    total = float(whole1 - whole0)
    shares = (within + mix) / total if total else np.zeros(len(within))
    found = [
        Share(i, float(rate0[i]), float(rate1[i]), float(within[i]), float(mix[i]), float(shares[i])) for i in range(len(within))
    ]  # fmt: skip
    return sorted(found, key=lambda each: -each.share)


def used_at_most(people: int, shown: int, *, confidence: float = 0.95) -> float:
    """The largest share of those who were shown something that may use it, given that ``people`` of ``shown`` did.

    Source: Clopper and Pearson 1934, one-sided. 1.0 when nobody was shown it.
    """
    if shown <= 0:
        return 1.0
    used = min(max(people, 0), shown)
    return 1.0 if used == shown else float(stats.beta.ppf(confidence, used + 1, shown - used))


@dataclass(frozen=True, slots=True)
class Harm:
    """How many times as often those with it come to harm as comparable ones without. ``hidden``: a hidden cause would have to
    raise both use and harm by this factor to explain it away (1: nothing is needed).
    """

    ratio: float
    low: float
    high: float
    hidden: float
    people: int


def compare_harm(harmed_with: Floats, with_it: Floats, harmed_without: Floats, without: Floats) -> Harm | None:
    """Risk ratio over strata of comparable people. None where no stratum has both kinds and harm.

    Source: Mantel and Haenszel 1959 with the variance of Greenland and Robins 1985; E-value: VanderWeele and Ding 2017.
    """
    total = with_it + without
    use = (with_it > 0) & (without > 0)
    a, n1, b, n0, n = (each[use].astype(np.float64) for each in (harmed_with, with_it, harmed_without, without, total))
    top, bottom = float((a * n0 / n).sum()) if use.any() else 0.0, float((b * n1 / n).sum()) if use.any() else 0.0
    if top <= 0 or bottom <= 0:
        return None
    ratio = top / bottom
    spread = float((((n1 * n0 * (a + b)) - a * b * n) / n**2).sum()) / (top * bottom)
    reach = 1.96 * np.sqrt(max(spread, 1e-12))
    low, high = ratio * np.exp(-reach), ratio * np.exp(reach)
    near = max(low, 1.0) if ratio >= 1 else max(1 / high, 1.0)
    return Harm(ratio, float(low), float(high), float(near + np.sqrt(near * (near - 1))), int(n1.sum()))
