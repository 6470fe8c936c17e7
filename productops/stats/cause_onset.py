"""When something began: the change point of counts or values, with its uncertainty, by exact marginal likelihoods.

Source: Barry and Hartigan, "Product Partition Models for Change Point Problems", Annals of Statistics 20 (1992), with one change; the
marginals are those of the beta-binomial and of the normal with an unknown mean and variance (Gelman et al., Bayesian Data Analysis, 3rd
edition, sections 2.4 and 3.2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PRIOR_COUNT = 0.5
SEGMENT_MIN = 3
OUTLIER_MADS = 12.0
_lgamma = np.frompyfunc(math.lgamma, 1, 1)


@dataclass(frozen=True, slots=True)
class ChangePoint:
    """Where a series changed upwards.

    ``index`` is the first element after the change, ``low`` to ``high`` hold it with 95 % probability. ``nats``: natural-log odds that
    there is a change at all, against none. ``before`` and ``after`` are ratios or means.
    """

    index: int
    low: int
    high: int
    nats: float
    before: float
    after: float


def _log_gamma(values: Floats) -> Floats:
    return np.asarray(_lgamma(values), dtype=np.float64)


def log_beta(a: Floats, b: Floats) -> Floats:
    """The logarithm of the beta function."""
    return _log_gamma(a) + _log_gamma(b) - _log_gamma(a + b)


def _ratio_marginal(events: Floats, trials: Floats) -> Floats:
    prior = log_beta(np.array([PRIOR_COUNT]), np.array([PRIOR_COUNT]))[0]
    found: Floats = log_beta(events + PRIOR_COUNT, trials - events + PRIOR_COUNT) - prior
    return found


def rise_of_ratio(events: Floats, trials: Floats) -> ChangePoint | None:
    """The best place at which the share of ``events`` among ``trials`` rose (arrays of one length, one element a second).

    None for fewer than two segments of three elements, or where it rose nowhere.
    """
    events, trials = np.minimum(events, trials).astype(np.float64), trials.astype(np.float64)
    places = np.arange(SEGMENT_MIN, len(events) - SEGMENT_MIN + 1)
    if not len(places) or trials.sum() == 0:
        return None
    done, tried = np.cumsum(events), np.cumsum(trials)
    left_e, left_t = done[places - 1], tried[places - 1]
    right_e, right_t = done[-1] - left_e, tried[-1] - left_t
    scores = _ratio_marginal(left_e, left_t) + _ratio_marginal(right_e, right_t)
    scores -= _ratio_marginal(done[-1:], tried[-1:])[0]
    before, after = (left_e + PRIOR_COUNT) / (left_t + 1), (right_e + PRIOR_COUNT) / (right_t + 1)
    return _chosen(places, np.where((after > before) & (left_t > 0) & (right_t > 0), scores, -np.inf), before, after)


def rise_of_value(values: Floats) -> ChangePoint | None:
    """The best place at which the mean of ``values`` rose; gaps (NaN) are left out. Wild single values count as large ones, not more.

    None for fewer than two segments of three values, or where it rose nowhere.
    """
    known = np.flatnonzero(np.isfinite(values))
    clean = _tamed(values[known].astype(np.float64))
    places = np.arange(SEGMENT_MIN, len(clean) - SEGMENT_MIN + 1)
    if not len(places):
        return None
    total, squares = np.cumsum(clean), np.cumsum(clean**2)
    left, right = places.astype(np.float64), len(clean) - places.astype(np.float64)
    floor = 1e-6 * max(float(np.var(clean)), 1e-12)
    mean_l, mean_r = total[places - 1] / left, (total[-1] - total[places - 1]) / right
    scores = _normal_marginal(left, total[places - 1], squares[places - 1], floor)
    scores += _normal_marginal(right, total[-1] - total[places - 1], squares[-1] - squares[places - 1], floor)
    scores -= _normal_marginal(np.array([float(len(clean))]), total[-1:], squares[-1:], floor)[0]
    found = _chosen(places, np.where(mean_r > mean_l, scores, -np.inf), mean_l, mean_r)
    if found is None:
        return None
    low, index, high = (int(known[min(place, len(known) - 1)]) for place in (found.low, found.index, found.high))
    return ChangePoint(index, low, high, found.nats, found.before, found.after)


def _tamed(values: Floats) -> Floats:
    if not len(values):
        return values
    middle = float(np.median(values))
    spread = 1.4826 * float(np.median(np.abs(values - middle)))
    if spread <= 0:
        return values
    return np.clip(values, middle - OUTLIER_MADS * spread, middle + OUTLIER_MADS * spread)


def _normal_marginal(count: Floats, total: Floats, squares: Floats, floor: float) -> Floats:
    """Up to what all places share: a flat mean, and a variance with the prior 1/variance and one pseudo-observation of ``floor``."""
    scatter = np.maximum(squares - total**2 / count, 0.0) + floor
    half = count / 2
    marginal: Floats = _log_gamma(half) - half * np.log(scatter) - 0.5 * np.log(count)
    return marginal


def _chosen(places: NDArray[np.int64], scores: Floats, before: Floats, after: Floats) -> ChangePoint | None:
    if not np.isfinite(scores).any():
        return None
    best = int(np.argmax(scores))
    weights = np.exp(scores - scores[best])
    cumulated = np.cumsum(weights) / weights.sum()
    low, high = int(np.searchsorted(cumulated, 0.025)), int(np.searchsorted(cumulated, 0.975))
    # Against no change, each place is as likely as the others.
    nats = float(scores[best] + math.log(weights.sum() / len(places)))
    return ChangePoint(
        int(places[best]), int(places[min(low, best)]), int(places[min(max(high, best), len(places) - 1)]), nats, float(before[best]),
        float(after[best]),
    )  # fmt: skip
