"""Odds of causes, in nats (natural logarithms): coincidence in time, contrasts of two ratios, and what is most probable of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from productops.stats.cause_onset import log_beta

AT_ONCE_SHARE, AT_ONCE_MEAN_S = 0.5, 5.0
PROMPT_SHARE, PROMPT_MEAN_S = 0.35, 120.0
AFTER_NATS = -6.0
SLACK_S = 3.0
CONTRAST_MAX = 8.0


def coincidence_nats(change_s: float, onset_s: float, *, onset_low_s: float, onset_high_s: float, window_s: float) -> float:
    """How much the times speak for a change having done it, against one that came at any time in the ``window_s`` before the onset.

    Harm follows half of the changes that do harm at once (exponentially, five seconds on average), a third within minutes (two on
    average), the rest at any time afterwards. A change that came after the onset did not do it. All times in seconds on one clock;
    ``onset_low_s`` to ``onset_high_s`` hold the onset.
    """
    if change_s > onset_high_s + SLACK_S:
        return AFTER_NATS
    if change_s > onset_s + SLACK_S:
        return math.log(0.5)  # within the uncertainty of the onset
    waited_s = max(onset_s - change_s, 0.0)
    width_s = max(onset_high_s - onset_low_s, 1.0)
    later = 1.0 - AT_ONCE_SHARE - PROMPT_SHARE
    for share, mean_s in ((AT_ONCE_SHARE, AT_ONCE_MEAN_S), (PROMPT_SHARE, PROMPT_MEAN_S)):
        # An onset that is only known to a minute cannot single out a second.
        later += share * math.exp(-waited_s / (mean_s + width_s)) / (mean_s + width_s) * window_s
    return math.log(later)


def contrast_nats(events: float, trials: float, others: float, other_trials: float) -> float:
    """Log Bayes factor of two different ratios against one for both; negative too where the first is the smaller one.

    Above 0: the first ratio is the larger. Below 0: they are the same as far as so many trials can tell, or the first is smaller.
    Between -8 and 8. Source: beta-binomial marginals with Jeffreys' prior, Gelman et al., Bayesian Data Analysis, section 2.4.
    """
    if trials <= 0 or other_trials <= 0:
        return 0.0
    a = np.array([0.5, events + 0.5, others + 0.5, events + others + 0.5])
    b = np.array([0.5, trials - events + 0.5, other_trials - others + 0.5, trials + other_trials - events - others + 0.5])
    prior, first, second, both = log_beta(a, b)
    factor = float(first + second - both - prior)
    higher = (events + 0.5) / (trials + 1) > (others + 0.5) / (other_trials + 1)
    signed = factor if higher else -abs(factor)
    return max(-CONTRAST_MAX, min(CONTRAST_MAX, signed))


def shrunk_priors(counted: Mapping[str, int], base: Mapping[str, float], *, strength: float) -> dict[str, float]:
    """Shares by kind: ``base`` (adds up to 1) as if seen ``strength`` times, and then what was counted. They add up to 1."""
    total = strength + sum(counted.get(kind, 0) for kind in base)
    return {kind: (strength * share + counted.get(kind, 0)) / total for kind, share in base.items()}


def probabilities(nats: Sequence[float]) -> list[float]:
    """What adds up to 1, by log weights."""
    if not nats:
        return []
    values = np.asarray(nats, dtype=np.float64)
    weights = np.exp(values - values.max())
    return [float(each) for each in weights / weights.sum()]
