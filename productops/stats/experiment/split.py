"""Did the variants get the people they should have got? A wrong split means that something loses people, and no figure can be trusted."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaincc, gammaln

CONCENTRATION = 1000.0
"""How close to the planned shares a wrong split is expected to be: a thousand people's worth."""


def chi_square(counts: ArrayLike, shares: ArrayLike) -> float:
    """The p value of one look. Shares that are 0 are left out; 1 when nobody came.

    Source: Pearson 1900; Fabijan et al. 2019, Diagnosing sample ratio mismatch in online controlled experiments.
    """
    seen, planned = _checked(counts, shares)
    if not seen.sum() or len(seen) < 2:
        return 1.0
    expected = planned * seen.sum()
    value = float(np.sum((seen - expected) ** 2 / expected))
    return float(gammaincc((len(seen) - 1) / 2.0, value / 2.0))


def log_e_split(counts: ArrayLike, shares: ArrayLike, *, concentration: float = CONCENTRATION) -> float:
    """Logarithm of the evidence against the planned shares; looking as often as one likes does not make it larger by chance.

    Source: Lindon and Malek 2020, Anytime-valid inference for multinomial count data, arXiv 2011.03567, equation (5).
    """
    seen, planned = _checked(counts, shares)
    prior = concentration * planned
    mixed = gammaln(prior + seen).sum() - gammaln(prior).sum() + gammaln(concentration) - gammaln(concentration + seen.sum())
    return float(mixed - seen @ np.log(planned))


def anytime(counts: ArrayLike, shares: ArrayLike) -> float:
    """The p value that stays valid at every look."""
    return float(np.exp(min(0.0, -log_e_split(counts, shares))))


def _checked(counts: ArrayLike, shares: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Raises: ValueError."""
    seen, planned = np.asarray(counts, dtype=np.float64), np.asarray(shares, dtype=np.float64)
    if seen.shape != planned.shape or (planned < 0).any() or not planned.sum() or (seen < 0).any():
        raise ValueError("one count of people and one share of at least 0 by variant")
    there = planned > 0
    return seen[there], planned[there] / planned.sum()
