"""The model of risk: what other projects taught (the prior), what the venture's past taught, and a calibration by its newest outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from productops.stats import risk_linear, risk_trees
from productops.stats.risk_calibration import Calibration, calibrate, probability
from productops.stats.risk_linear import Linear
from productops.stats.risk_scores import best_threshold
from productops.stats.risk_trees import NO_TREES, Growth, Trees, joined

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

OWN_CHANGES_MIN = 200
OWN_OF_EACH_MIN = 25
"""Below these only the calibration of the prior is learned."""
PRIOR_SHARE = 0.7
LINEAR_SHARE = 0.15
LINEAR_SHARE_ALONE = 0.5
"""The linear model's part beside trees, and beside the prior alone where LightGBM is not installed."""
MEMORY_SHARE = 0.5
"""A change counts half when this share of all known ones is newer."""
HELD_BACK = 0.25
PRIOR_GROWTH = Growth(trees=180, leaves=12, feature_share=0.25)
OWN_GROWTHS = (Growth(), Growth(trees=200, leaves=12, random_splits=True))


@dataclass(frozen=True, slots=True)
class RiskParts:
    """Numbers of a learned model. Log-odds = ``intercept`` + answers of ``trees`` + ``linear_share`` · answer of ``linear``.

    ``threshold``: the probability from which a change is called risky. ``changes``, ``broke``: how many changes it learned from, and
    how many of those broke something.
    """

    intercept: float
    trees: Trees
    linear: Linear | None
    linear_share: float
    calibration: Calibration
    threshold: float
    changes: int
    broke: int


def log_odds(model: RiskParts, features: Floats) -> Floats:
    """(n,) scores before calibration."""
    found = model.intercept + risk_trees.answer(model.trees, features)
    return found if model.linear is None else found + model.linear_share * risk_linear.answer(model.linear, features)


def predict(model: RiskParts, features: Floats) -> Floats:
    """(n,) probabilities that a change breaks something."""
    return probability(model.calibration, log_odds(model, features))


def shares(model: RiskParts, row: Floats) -> Floats:
    """(columns,) how much each feature of one change moved its calibrated log-odds, away from those of an average change."""
    found = risk_trees.shares(model.trees, row)
    if model.linear is not None:
        found = found + model.linear_share * risk_linear.shares(model.linear, row)
    return model.calibration.slope * found


def recalibrated(model: RiskParts, said_log_odds: Floats, label: Ints) -> RiskParts:
    """The model with a calibration that follows outcomes known since, in order of time."""
    return replace(model, calibration=calibrate(said_log_odds, label, start=model.calibration))


def learn(features: Floats, label: Ints, *, prior: Trees = NO_TREES, seed: int = 1, with_trees: bool = True) -> RiskParts:
    """Learn from changes in order of time whose outcome is known, 0 or 1; how many are enough is said at ``OWN_CHANGES_MIN``.

    The calibration and the threshold are taken from the newest quarter, predicted by a model of the other three; then all is learned from.
    Raises: ValueError when a label is neither 0 nor 1, or counts do not fit; ImportError when ``with_trees`` and LightGBM is missing.
    """
    if len(features) != len(label) or not np.isin(label, (0, 1)).all():
        raise ValueError("each change needs its features and a label of 0 or 1")
    if not _enough(label):
        return _calibrated(RiskParts(0.0, prior, None, 0.0, Calibration(), 0.5, len(label), int(label.sum())), features, label)
    cut = int(len(label) * (1 - HELD_BACK))
    whole = _learn_parts(features, label, prior, seed=seed, with_trees=with_trees)
    if not _enough(label[:cut]):
        return whole
    early = _learn_parts(features[:cut], label[:cut], prior, seed=seed, with_trees=with_trees)
    told = _calibrated(early, features[cut:], label[cut:])
    return replace(whole, calibration=told.calibration, threshold=told.threshold)


def _enough(label: Ints) -> bool:
    broke = int(label.sum())
    return len(label) >= OWN_CHANGES_MIN and min(broke, len(label) - broke) >= OWN_OF_EACH_MIN


def _calibrated(model: RiskParts, features: Floats, label: Ints) -> RiskParts:
    score = log_odds(model, features)
    calibration = calibrate(score, label)
    return replace(model, calibration=calibration, threshold=best_threshold(label, probability(calibration, score)))


def _learn_parts(features: Floats, label: Ints, prior: Trees, *, seed: int, with_trees: bool) -> RiskParts:
    n = len(label)
    weight = 0.5 ** (np.arange(n)[::-1] / (n * MEMORY_SHARE))
    base = float(logit(np.average(label, weights=weight)))
    linear = risk_linear.learn(features, label, weight=weight)
    share = LINEAR_SHARE if with_trees else LINEAR_SHARE_ALONE
    parts = [((1 - share) * PRIOR_SHARE, prior)]
    if with_trees:
        offset = base + PRIOR_SHARE * risk_trees.answer(prior, features)
        grown = [risk_trees.grow(features, label, offset=offset, weight=weight, growth=each, seed=seed) for each in OWN_GROWTHS]
        parts += [((1 - share) / len(grown), each) for each in grown]
    return RiskParts((1 - share) * base, joined(parts), linear, share, Calibration(), 0.5, n, int(label.sum()))


def learn_prior(projects: Sequence[tuple[Floats, Ints]], *, seed: int = 1, growth: Growth = PRIOR_GROWTH) -> Trees:
    """What changes of several projects have in common, as log-odds relative to each project's own share of changes that broke something.

    Large projects count less than their size (by its root), so that none decides alone. Raises: ImportError without LightGBM.
    """
    features = np.vstack([each for each, _ in projects])
    label = np.concatenate([each for _, each in projects])
    offset = np.concatenate([np.full(len(each), logit(each.mean())) for _, each in projects])
    weight = np.concatenate([np.full(len(each), len(each) ** -0.5) for _, each in projects])
    return risk_trees.grow(features, label, offset=offset, weight=weight / weight.mean(), growth=growth, seed=seed)
