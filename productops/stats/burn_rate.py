"""How fast an error budget burns, and whether so few events can say so.

Source: Google, "The Site Reliability Workbook", chapter 5 (burn rates over two windows); C. Clopper and E. Pearson, "The use of confidence
or fiducial limits illustrated in the case of the binomial" (1934) for the exact test.
"""

from __future__ import annotations

import math

TERMS_MAX = 100_000
_NEGLIGIBLE = 1e-12


def burn_rate(bad: float, total: float, *, budget: float) -> float | None:
    """Share of bad events by the share that is allowed (``budget``, in (0, 1]); None without events. 1 spends the budget just in time."""
    return None if total <= 0 else bad / total / budget


def tail(bad: int, total: int, *, ratio: float) -> float:
    """Probability of ``bad`` or more among ``total`` events that are bad with probability ``ratio`` each; 1 for none.

    Exact where ``bad`` is above the mean; below it an answer of at least 0.5 is not wanted more exactly, and 1 is returned.
    """
    if bad <= 0 or ratio >= 1 or bad <= ratio * total:
        return 1.0
    if ratio <= 0 or bad > total:
        return 0.0
    log_term = (
        math.lgamma(total + 1) - math.lgamma(bad + 1) - math.lgamma(total - bad + 1)
        + bad * math.log(ratio) + (total - bad) * math.log1p(-ratio)
    )  # fmt: skip
    term = math.exp(log_term)
    found, odds = term, ratio / (1 - ratio)
    for count in range(bad, min(total, bad + TERMS_MAX)):
        term *= (total - count) / (count + 1) * odds
        found += term
        if term < _NEGLIGIBLE * found:  # above the mean each term is smaller than the one before it
            break
    return min(1.0, found)


def surely_above(bad: float, total: float, *, ratio: float, alpha: float) -> bool:
    """Whether the share of bad events lies above ``ratio``, with a risk of at most ``alpha`` that it does not.

    The same as: the lower end of the one-sided Clopper-Pearson interval at 1 - ``alpha`` is above ``ratio``. Counts are rounded down to
    whole events, so that half an event proves nothing.
    """
    if total <= 0 or bad / total <= ratio:
        return False
    return tail(math.floor(bad), math.ceil(total), ratio=ratio) <= alpha
