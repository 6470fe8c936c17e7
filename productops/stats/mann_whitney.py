"""The rank test that automated canary analysis is known for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def hodges_lehmann(baseline: Floats, candidate: Floats) -> float:
    """Median of all differences candidate - baseline."""
    return float(np.median(np.subtract.outer(candidate, baseline)))


def shift_interval(baseline: Sequence[float], candidate: Sequence[float], *, confidence: float) -> tuple[float, float, float]:
    """(low, estimate, high) of the shift of ``candidate`` against ``baseline``: inverted Mann-Whitney test, normal approximation
    with tie and continuity correction.

    Source: Bauer 1972, JASA 67, as in R's ``wilcox.test(conf.int=TRUE)``.
    Raises: ValueError when a sample is empty.
    """
    a, b = np.asarray(baseline, dtype=float), np.asarray(candidate, dtype=float)
    if not len(a) or not len(b):
        raise ValueError("both samples need at least one value")
    differences = np.sort(np.subtract.outer(b, a).ravel())
    total = len(a) + len(b)
    _, ties = np.unique(np.concatenate((a, b)), return_counts=True)
    correction = float((ties.astype(float) ** 3 - ties).sum()) / max(total * (total - 1.0), 1.0)
    sigma = math.sqrt(max(0.0, len(a) * len(b) / 12.0 * (total + 1.0 - correction)))
    z = NormalDist().inv_cdf(0.5 + confidence / 2.0)
    skip = max(0, round(len(differences) / 2.0 - z * sigma - 0.5))
    low = differences[min(skip, len(differences) - 1)]
    high = differences[max(0, len(differences) - 1 - skip)]
    return float(min(low, high)), hodges_lehmann(a, b), float(max(low, high))
