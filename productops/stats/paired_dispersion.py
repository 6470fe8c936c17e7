"""How much more the split of a count between two arms jumps than independent requests would make it."""

from __future__ import annotations

import math

BLOCK_S = 5
KEEP = 1.0 - 1.0 / 600.0
"""Memory of ten minutes."""
STRATA_MIN = 20
EXPECTED_MIN = 15.0
"""Below so many seconds, or so much expected variance, nothing is said."""
CONFIDENCE = 2.5
"""An excess below this many standard errors is taken for chance."""
PSEUDO = 1.0
"""Weight of the belief, before the first event was seen, that both arms have the same rate."""


LEARNED = 20.0
"""Residuals count once the ratio of the arms rests on so much: before, they tell of the ratio and not of noise."""


class PairedDispersion:
    """Variance inflation (≥ 1) of one arm's share of the events of each second, given how many events there were in all.

    What hits both arms alike (a busy host, a slow database) changes the total and not the split, so it does not count here; what
    hits one arm alone does. A constant difference between the arms does not count either: the expected share follows the ratio
    seen so far. ``inflation`` is ``None`` until there is enough to say.
    Source: Pearson's statistic over its degrees of freedom, McCullagh & Nelder section 4.5, conditional on the totals.
    """

    __slots__ = ("_block", "_blocks", "_in_block", "_ratio", "_seconds", "_seen", "inflation")

    def __init__(self) -> None:
        self._ratio = [PSEUDO, PSEUDO]  # numerator and denominator of the Mantel-Haenszel ratio of the arms' rates
        self._seconds, self._blocks = [0.0] * 3, [0.0] * 3  # squared residuals, expected, variance of the latter
        self._block, self._in_block, self._seen = [0.0, 0.0], 0, 0
        self.inflation: float | None = None

    def add(self, k_a: float, n_a: float, k_b: float, n_b: float) -> None:
        """Take one second of both arms: events among requests; seconds in which an arm is silent are skipped."""
        if n_a <= 0 or n_b <= 0:
            return
        events, total = k_a + k_b, n_a + n_b
        odds = self._ratio[0] / self._ratio[1]
        share = odds * n_b / (odds * n_b + n_a)
        expected = events * share * (1.0 - share) * (1.0 - events / total) * total / max(1.0, total - 1.0)
        residual = k_b - events * share
        if sum(self._ratio) >= LEARNED:
            self._take(residual, expected)
        # The ratio is learned after it was used: a second does not judge itself.
        self._ratio = [KEEP * self._ratio[0] + k_b * n_a / total, KEEP * self._ratio[1] + k_a * n_b / total]

    def _take(self, residual: float, expected: float) -> None:
        _remember(self._seconds, residual * residual, expected)
        self._block[0] += residual
        self._block[1] += expected
        self._in_block += 1
        self._seen += 1
        if self._in_block == BLOCK_S:
            _remember(self._blocks, self._block[0] ** 2, self._block[1])
            self._block, self._in_block = [0.0, 0.0], 0
        if self._seen >= STRATA_MIN and self._seconds[1] >= EXPECTED_MIN:
            self.inflation = max(_excess(self._seconds), _excess(self._blocks))


def _remember(sums: list[float], observed: float, expected: float) -> None:
    sums[0] = KEEP * sums[0] + observed
    sums[1] = KEEP * sums[1] + expected
    sums[2] = KEEP * KEEP * sums[2] + expected * (2.0 * expected + 1.0)


def _excess(sums: list[float]) -> float:
    """Ratio of seen to expected, or 1 when it may be chance."""
    observed, expected, variance = sums
    if expected <= 0.0 or observed <= expected + CONFIDENCE * math.sqrt(variance):
        return 1.0
    return observed / expected
