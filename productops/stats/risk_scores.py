"""How good predictions of risk are: order, effort, calibration, and how far what comes in has drifted from what was learned from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from productops.stats.ranks import ranks

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
BINS = 10


def auc(label: Ints, score: Floats) -> float | None:
    """Probability that a change that broke something scores above one that did not; ties count half. None when one kind is missing.

    Source: Mann and Whitney 1947; Hanley and McNeil 1982.
    """
    broke = label == 1
    ones, zeros = int(broke.sum()), int((~broke).sum())
    if not ones or not zeros:
        return None
    return float((ranks(score)[broke].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def auc_gain(label: Ints, score: Floats, other: Floats) -> tuple[float, float]:
    """By how much the AUC of ``score`` is above that of ``other``, and its standard error. Raises: ValueError when one kind is missing.

    Source: DeLong, DeLong and Clarke-Pearson 1988, by the ranks of Sun and Xu 2014.
    """
    broke = label == 1
    ones, zeros = int(broke.sum()), int((~broke).sum())
    if min(ones, zeros) < 2:
        raise ValueError("two changes of each kind are needed to compare two orders")
    above, below = [], []
    for each in (score, other):
        every = ranks(each)
        above.append((every[broke] - ranks(each[broke])) / zeros)
        below.append(1 - (every[~broke] - ranks(each[~broke])) / ones)
    gain = float(above[0].mean() - above[1].mean())
    spread = np.var(above[0] - above[1], ddof=1) / ones + np.var(below[0] - below[1], ddof=1) / zeros
    return gain, float(np.sqrt(spread))


def popt(label: Ints, score: Floats, effort: Floats) -> float | None:
    """Effort-aware order, in [0, 1]: how near looking by ``score`` comes to the best order, when looking costs ``effort`` (lines).

    1 - (area of the best order - area of this) / (area of the best - area of the worst), areas under the share of harm found over the
    share of effort spent. Changes without effort cost one line. None when nothing broke, or all did.
    Source: Mende and Koschke 2010; Kamei et al. 2013, section 4.4.
    """
    if not 0 < int(label.sum()) < len(label):
        return None
    cost, harm = np.maximum(effort, 1.0), label.astype(np.float64)
    best = _area(harm, cost, np.argsort(-harm / cost, kind="stable"))
    worst = _area(harm, cost, np.lexsort((-cost, harm / cost)))
    return float(1 - (best - _area(harm, cost, np.argsort(-score, kind="stable"))) / (best - worst))


def _area(harm: Floats, cost: Floats, order: NDArray[np.intp]) -> float:
    spent = np.concatenate([[0.0], np.cumsum(cost[order]) / cost.sum()])
    found = np.concatenate([[0.0], np.cumsum(harm[order]) / harm.sum()])
    return float(np.trapezoid(found, spent))


def brier(label: Ints, probability: Floats) -> float:
    """Mean squared error of probabilities, 0 is best. Source: Brier 1950."""
    return float(np.mean((probability - label) ** 2))


def log_loss(label: Ints, probability: Floats) -> float:
    """Mean negative log-likelihood, natural logarithm; probabilities are kept 1e-9 away from 0 and 1."""
    kept = np.clip(probability, 1e-9, 1 - 1e-9)
    return float(-np.mean(np.where(label == 1, np.log(kept), np.log1p(-kept))))


@dataclass(frozen=True, slots=True)
class Bin:
    """Of ``count`` changes with probabilities in one tenth: the mean ``said`` and the share that ``broke``."""

    count: int
    said: float
    broke: float


def reliability(label: Ints, probability: Floats, *, bins: int = BINS) -> list[Bin]:
    """What was said and what came, in tenths of equal width; empty ones are left out. Source: Murphy and Winkler 1977."""
    place = np.minimum((probability * bins).astype(np.int64), bins - 1)
    groups = [place == each for each in range(bins)]
    return [Bin(int(own.sum()), float(probability[own].mean()), float(label[own].mean())) for own in groups if own.any()]


def calibration_error(label: Ints, probability: Floats, *, bins: int = BINS) -> float:
    """Expected calibration error: mean distance of said and come over tenths, weighted by count. Source: Guo et al. 2017, section 2."""
    return sum(each.count * abs(each.said - each.broke) for each in reliability(label, probability, bins=bins)) / max(len(label), 1)


def calibration_error_by_chance(probability: Floats, *, bins: int = BINS) -> float:
    """The calibration error that perfect probabilities would show on so many changes, by chance alone (normal approximation)."""
    place = np.minimum((probability * bins).astype(np.int64), bins - 1)
    spread = [np.sqrt((probability[own] * (1 - probability[own])).sum()) for own in (place == each for each in range(bins)) if own.any()]
    return float(sum(spread) * np.sqrt(2 / np.pi) / max(len(probability), 1))


def balanced_accuracy(label: Ints, risky: NDArray[np.bool_]) -> float | None:
    """Share of right answers if as many changes broke something as did not; None when one kind is missing."""
    broke = label == 1
    if not broke.any() or broke.all():
        return None
    return float((risky[broke].mean() + (~risky[~broke]).mean()) / 2)


def best_threshold(label: Ints, probability: Floats) -> float:
    """The probability from which on calling a change risky gives the best balanced accuracy; 0.5 when one kind is missing."""
    broke = label == 1
    if not broke.any() or broke.all():
        return 0.5
    order = np.argsort(-probability, kind="stable")
    gain = np.cumsum(np.where(broke[order], 1 / broke.sum(), -1 / (~broke).sum()))
    last = np.append(np.diff(probability[order]) != 0, True)
    return float(probability[order][np.argmax(np.where(last, gain, -np.inf))])


def psi(expected: Floats, found: Floats, *, bins: int = BINS) -> float:
    """Population stability index of one feature: 0 the same, above 0.1 look, above 0.25 it is another population.

    Tenths of ``expected``; a value that holds several tenths is one bin. A bin counts at least half a change.
    Source: Siddiqi 2006, "Credit Risk Scorecards", with a correction for empty bins.
    """
    edges = np.unique(np.quantile(expected, np.linspace(0, 1, bins + 1)[1:-1]))
    shares = []
    for values in (expected, found):
        counts = np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1)
        shares.append(np.maximum(counts, 0.5) / len(values))
    return float(np.sum((shares[1] - shares[0]) * np.log(shares[1] / shares[0])))


def psi_by_chance(expected_count: int, found_count: int, *, bins: int = BINS, share: float = 0.99) -> float:
    """The index that two samples of one population stay below with probability ``share``: (1/m + 1/n) × a chi-square of bins - 1.

    Source: Yurdakul 2018, "Statistical properties of the population stability index"; chi-square by Wilson and Hilferty 1931.
    """
    free = bins - 1
    chi = free * (1 - 2 / (9 * free) + float(ndtri(share)) * np.sqrt(2 / (9 * free))) ** 3
    return float(chi * (1 / expected_count + 1 / found_count))
