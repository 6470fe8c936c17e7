"""Two rates compared by betting: exact for any number of people and any number of looks, from the counts of each look.

Each look is a block: so many people in the baseline, so many in the variant, and how many of each did it. Alternatives bet that the
variant's rate is some lift away from the baseline's, as it was known before the block; against the same people with one rate, the bet is
fair. Source: Turner, Ly and Grünwald 2021, Generic E-variables for exact sequential k-sample tests, arXiv 2106.02693, theorem 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from productops.stats.capital import Capital, StartPrior

LIFTS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
"""Odds are bet to be so much higher, and so much lower."""
AT_ONCE, LATER_LOOKS = 0.8, 30.0
"""Most of the stake is laid on an effect that is there from the start; the rest on one that comes within a month of daily looks."""
RATE_LEAST = 1e-6


@dataclass(frozen=True, slots=True)
class Block:
    """What came in since the last look: people and, among them, those who did it."""

    people_baseline: int
    done_baseline: int
    people_variant: int
    done_variant: int


def log_e_rates(blocks: Sequence[Block], *, usual: float | None = None) -> list[float]:
    """Logarithm of the evidence against equal rates after each block; more than log(1 / alpha) at any of them is enough.

    ``usual`` is the rate known from before the experiment, if one is: without it nothing is bet on the first block.
    """
    odds = np.array([factor for lift in LIFTS for factor in (1.0 + lift, 1.0 / (1.0 + lift))])
    capital = Capital([[1.0 / len(odds)] * len(odds)])
    start = StartPrior(now_share=AT_ONCE, later_mean_s=LATER_LOOKS)
    done = people = 0.0
    if usual is not None:
        done, people = 100.0 * usual, 100.0
    found = []
    for at, block in enumerate(blocks):
        # The rate of both together: under the null it is the best guess, and the bet is fair whatever it is.
        known = (done + 0.5) / (people + 1.0) if people else None
        ratios = _log_ratios(block, known, odds) if known is not None else np.zeros(len(odds))
        share = start.share(float(at))
        found.append(float(capital.bet(ratios[None, :], shares=np.array([share]), at=np.array([float(at)]))[0]))
        done += block.done_baseline + block.done_variant
        people += block.people_baseline + block.people_variant
    return found


def _log_ratios(block: Block, known: float, odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log likelihood of the block under each alternative against the mean rate of that alternative."""
    na, nb = block.people_baseline, block.people_variant
    if not na or not nb:
        return np.zeros(len(odds))
    base = min(max(known, RATE_LEAST), 1.0 - RATE_LEAST)
    # The two rates lie around the known one, half of the odds' lift to each side.
    middle, half = np.log(base / (1.0 - base)), 0.5 * np.log(odds)
    a, b = 1.0 / (1.0 + np.exp(half - middle)), 1.0 / (1.0 + np.exp(-half - middle))
    mixed = (na * a + nb * b) / (na + nb)
    ya, yb = block.done_baseline, block.done_variant
    found: NDArray[np.float64] = (
        ya * np.log(a / mixed) + (na - ya) * np.log((1.0 - a) / (1.0 - mixed))
        + yb * np.log(b / mixed) + (nb - yb) * np.log((1.0 - b) / (1.0 - mixed))
    )  # fmt: skip
    return found
