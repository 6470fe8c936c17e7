"""How much a distribution of measurements moved against earlier runs, with the noise of the runner in the uncertainty.

A benchmark run gives many values that share one machine, one hour and one build; treating them as independent calls every slow machine
a regression. So each run counts once, by a quantile of its values, and the spread between the earlier runs says what one run is worth.
The move is a ratio (values are compared on the logarithmic scale), its interval Student's with robust spreads. With a single earlier
run the spread between runs is not known: a presumed one stands in for it, and the answer says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

Floats = NDArray[np.float64]
CONFIDENCE = 0.95
POWER = 0.8
# What one run on shared machines is worth when nothing else is known: the median of 360 cloud benchmarks spread by 2.9 %.
PRESUMED_SPREAD = 0.03
PRESUMED_FREEDOM = 4
# No runner repeats itself better than this; a history of rounded values would else promise it.
SPREAD_MIN = 0.002


@dataclass(frozen=True, slots=True)
class Shift:
    """``change`` of a quantile, 0.1 is +10 %, between ``low`` and ``high`` at ``CONFIDENCE``.

    ``detectable`` is the smallest true change that so many runs would show with a power of ``POWER``; ``spread`` the relative standard
    deviation between runs, ``presumed`` when there were too few to know it.
    """

    quantile: float
    before: float
    after: float
    change: float
    low: float
    high: float
    detectable: float
    spread: float
    presumed: bool


def compare_runs(
    baseline: Sequence[ArrayLike], candidate: Sequence[ArrayLike], *, quantile: float = 0.5, confidence: float = CONFIDENCE
) -> Shift:
    """The move of ``quantile`` from the runs of ``baseline`` to those of ``candidate``; a run is a row of positive numbers.

    Raises: ValueError when either has no run, or a run has no value or one that is not finite and above 0.
    """
    before, after = _by_run(baseline, quantile), _by_run(candidate, quantile)
    spread, freedom, presumed = _spread(before, after)
    one, two = float(np.median(before)), float(np.median(after))
    # A median of n normal values has the variance of about π/2n; of one or two it is their mean.
    weight = _variance_of_median(len(before)) + _variance_of_median(len(after))
    error = spread * np.sqrt(weight)
    wide = float(stdtrit(freedom, 0.5 + confidence / 2)) * error
    sure = float(stdtrit(freedom, POWER)) * error
    moved = two - one
    return Shift(
        quantile, float(np.exp(one)), float(np.exp(two)), float(np.expm1(moved)), float(np.expm1(moved - wide)),
        float(np.expm1(moved + wide)), float(np.expm1(wide + sure)), spread, presumed,
    )  # fmt: skip


def _by_run(runs: Sequence[ArrayLike], quantile: float) -> Floats:
    rows = [np.atleast_1d(np.asarray(run, dtype=np.float64)) for run in runs]
    if not rows or any(row.ndim != 1 or not len(row) or not np.isfinite(row).all() or (row <= 0).any() for row in rows):
        raise ValueError("each side has at least one run, and a run has finite values above 0")
    return np.log([float(np.quantile(row, quantile)) for row in rows])


def _spread(before: Floats, after: Floats) -> tuple[float, int, bool]:
    """(standard deviation between runs, degrees of freedom, whether it is presumed)."""
    freedom = len(before) + len(after) - 2
    if freedom < 2:
        return PRESUMED_SPREAD, PRESUMED_FREEDOM, True
    rest = np.concatenate([before - np.median(before), after - np.median(after)])
    usual = 1.4826 * float(np.median(np.abs(rest))) * np.sqrt(len(rest) / freedom)
    # A few wild runs do not widen it without end, yet a history of two modes does.
    clipped = np.clip(rest, -4 * max(usual, SPREAD_MIN), 4 * max(usual, SPREAD_MIN))
    pooled = float(np.sqrt(np.sum(clipped**2) / freedom))
    return max(usual, pooled, SPREAD_MIN), freedom, False


def _variance_of_median(count: int) -> float:
    return 1 / count if count <= 2 else float(np.pi / 2) / count
