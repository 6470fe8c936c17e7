"""Means of exponential tilts under the hypergeometric law: what one second of two arms is judged by."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from productops.stats.strata import log_mean_tilt as log_mean_tilt_of_categories

Floats = NDArray[np.float64]

SMALL_SUPPORT = 24
"""Up to this many support points plain floats beat numpy."""
LARGE_SUPPORT = 4096
"""Beyond this many the saddle point is right to 1e-7 and far cheaper."""


def log_mean_tilt(*, baseline: int, candidate: int, events: int, log_psi: Floats) -> Floats:
    """Natural log of E[psi^K], K the candidate's share of ``events`` when both arms have the same odds.

    K is hypergeometric: ``events`` drawn without replacement from ``baseline + candidate`` requests.
    ``log_psi`` has shape (G,), so has the answer. Exact up to rounding for supports up to LARGE_SUPPORT.

    Source: Fisher's noncentral hypergeometric law, normalising constant; McCullagh & Nelder, section 7.3.2.
    Raises: ValueError when events exceed the requests or a count is negative.
    """
    if min(baseline, candidate, events) < 0 or events > baseline + candidate:
        raise ValueError("counts must not be negative and events must not exceed requests")
    low, high = max(0, events - baseline), min(events, candidate)
    if low == high:
        return log_psi * low
    if high - low <= LARGE_SUPPORT:
        return _direct(baseline, candidate, events, log_psi)
    weights = np.column_stack((np.ones_like(log_psi), np.exp(np.clip(log_psi, -30.0, 30.0))))
    return log_mean_tilt_of_categories(weights, np.array([baseline + candidate - events, events], dtype=float), candidate)


def mean_tilts(*, baseline: int, candidate: int, events: int, psi: Sequence[float]) -> list[float] | None:
    """E[psi^K] as plain floats for few events, or None when the caller should use the logs.

    Counts as in ``log_mean_tilt``; no checks, for the inner loop.
    """
    if events == 1:
        share = candidate / (baseline + candidate)
        return [1.0 + share * (p - 1.0) for p in psi]
    low, high = max(0, events - baseline), min(events, candidate)
    if high - low > SMALL_SUPPORT or low > 0:
        return None
    weight, total, weights = 1.0, 1.0, [1.0]
    for j in range(high):
        weight *= (candidate - j) * (events - j) / ((j + 1) * (baseline - events + j + 1))
        weights.append(weight)
        total += weight
    weights.reverse()
    means = []
    for p in psi:
        mean = 0.0
        for weight in weights:
            mean = mean * p + weight
        means.append(mean / total)
    return means


def _direct(baseline: int, candidate: int, events: int, log_psi: Floats) -> Floats:
    """Sum over the support in logs, from the ratios of neighbouring probabilities."""
    low, high = max(0, events - baseline), min(events, candidate)
    j = np.arange(low, high, dtype=float)
    steps = np.log((candidate - j) / (j + 1.0)) + np.log((events - j) / (baseline - events + j + 1.0))
    log_weights = np.concatenate(([0.0], np.cumsum(steps)))
    tilted = log_weights + np.multiply.outer(log_psi, np.arange(high - low + 1, dtype=float))
    return _log_sum(tilted) - _log_sum(log_weights) + log_psi * low


def _log_sum(values: Floats) -> Floats:
    """Log of the sum of exponentials over the last axis."""
    top = values.max(axis=-1, keepdims=True)
    result: Floats = np.log(np.exp(values - top).sum(axis=-1)) + top[..., 0]
    return result


def log_choose(total: int, chosen: int) -> float:
    """Natural log of the binomial coefficient."""
    return math.lgamma(total + 1) - math.lgamma(chosen + 1) - math.lgamma(total - chosen + 1)
