"""Anytime-valid test of counts against known shares of traffic."""

from __future__ import annotations

import math
from collections.abc import Sequence


def log_multinomial_factor(counts: Sequence[int], shares: Sequence[float], prior: Sequence[float] | None = None) -> float:
    """Natural log of the Bayes factor against "the counts fall by ``shares``"; reject at log(1/alpha), at any time.

    ``counts`` are cumulative per arm, ``shares`` positive and summing to one, ``prior`` a Dirichlet (ones when None). Needs the true
    shares: with sticky users they drift, and then the stratified test is the one to use.

    Source: Lindon & Malek 2020, arXiv 2011.03567, theorem 2.1.
    Raises: ValueError when lengths differ, shares do not sum to one, or a count is negative.
    """
    alphas = list(prior) if prior is not None else [1.0] * len(counts)
    if not len(counts) == len(shares) == len(alphas):
        raise ValueError("counts, shares and prior differ in length")
    if min(shares) <= 0.0 or abs(math.fsum(shares) - 1.0) > 1e-9 or min(alphas) <= 0.0:
        raise ValueError("shares must be positive and sum to one, the prior must be positive")
    if min(counts) < 0:
        raise ValueError("counts must not be negative")
    mass, total = math.fsum(alphas), sum(counts)
    terms = [math.lgamma(a + s) - math.lgamma(a) - s * math.log(t) for a, s, t in zip(alphas, counts, shares, strict=True)]
    return math.lgamma(mass) - math.lgamma(mass + total) + math.fsum(terms)
