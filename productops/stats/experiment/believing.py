"""What to believe of an effect: a normal prior, the data, and so the chance to win and what a wrong choice would cost."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import ndtr, ndtri

from productops.stats.experiment.effect import Effect


@dataclass(frozen=True, slots=True)
class Prior:
    """What was believed before. ``proper`` False: nothing, and the numbers do not count."""

    mean: float = 0.0
    variance: float = 1.0
    proper: bool = False

    def scaled(self, by: float) -> Prior:
        """A prior on a share of the baseline, in the units of the baseline."""
        return Prior(self.mean * abs(by), self.variance * by**2, self.proper)


@dataclass(frozen=True, slots=True)
class Belief:
    """The posterior, its interval, the chance that the variant is better, and the expected loss.

    ``loss_baseline``: what is lost on average by staying with the baseline; ``loss_variant``: by taking the variant.
    """

    mean: float
    deviation: float
    low: float
    high: float
    chance: float
    loss_baseline: float
    loss_variant: float


def belief(effect: Effect, prior: Prior, *, alpha: float, lower_is_better: bool = False) -> Belief:
    """Normal prior and normal likelihood; the prior is in the units of the effect, which has no problem.

    Source: Gelman et al., Bayesian Data Analysis, 3rd edition, section 2.5.
    """
    precision = 1.0 / effect.error**2
    if prior.proper:
        known = 1.0 / prior.variance
        mean = (effect.estimate * precision + prior.mean * known) / (precision + known)
        precision += known
    else:
        mean = effect.estimate
    deviation = math.sqrt(1.0 / precision)
    z = mean / deviation
    gain, loss = _expected(z) * deviation, _expected(-z) * deviation
    above = float(ndtr(z))
    wide = float(ndtri(1.0 - alpha / 2.0)) * deviation
    if lower_is_better:
        gain, loss, above = loss, gain, float(ndtr(-z))
    return Belief(mean, deviation, mean - wide, mean + wide, above, gain, loss)


def _expected(z: float) -> float:
    """Mean of the positive part of a normal value with mean ``z`` and deviation 1."""
    return z * float(ndtr(z)) + math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
