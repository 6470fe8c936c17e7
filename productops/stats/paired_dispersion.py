"""How much more the split of a count between two arms jumps than independent requests would make it."""

from __future__ import annotations

import math

from productops.stats.dispersion import believed

BLOCK_S = 5
KEEP = math.exp(-BLOCK_S / 600.0)
"""Memory of ten minutes, per block."""
STRATA_MIN = 20
EXPECTED_MIN = 15.0
"""Below so many seconds, or so much expected variance, nothing is said."""
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

    __slots__ = (
        "_blocks",
        "_expected",
        "_in_block",
        "_ours",
        "_residual",
        "_seconds",
        "_seen",
        "_squares",
        "_theirs",
        "_variance",
        "inflation",
    )

    def __init__(self) -> None:
        # Numerator and denominator of the Mantel-Haenszel ratio of the arms' rates.
        self._theirs = self._ours = PSEUDO
        self._seconds, self._blocks = [0.0] * 3, [0.0] * 3  # squared residuals, expected, variance of the latter
        self._residual = self._squares = self._expected = self._variance = 0.0
        self._in_block = self._seen = 0
        self.inflation: float | None = None

    def add(self, k_a: float, n_a: float, k_b: float, n_b: float) -> None:
        """Take one second of both arms: events among requests; seconds in which an arm is silent are skipped."""
        if n_a <= 0 or n_b <= 0:
            return
        total = n_a + n_b
        events = k_a + k_b
        if events and self._theirs + self._ours >= LEARNED:
            weight = self._theirs * n_b
            share = weight / (weight + self._ours * n_a)
            expected = events * share * (1.0 - share) * (total - events) / max(1.0, total - 1.0)
            residual = k_b - events * share
            self._residual += residual
            self._squares += residual * residual
            self._expected += expected
            self._variance += expected * (2.0 * expected + 1.0)
        # The ratio is learned after it was used: a second does not judge itself.
        self._theirs += k_b * n_a / total
        self._ours += k_a * n_b / total
        self._in_block += 1
        if self._in_block == BLOCK_S:
            self._close()

    def _close(self) -> None:
        expected = self._expected
        self._theirs *= KEEP
        self._ours *= KEEP
        if expected > 0.0:
            self._seen += self._in_block
            _remember(self._seconds, self._squares, expected, self._variance)
            _remember(self._blocks, self._residual**2, expected, expected * (2.0 * expected + 1.0))
            if self._seen >= STRATA_MIN and self._seconds[1] >= EXPECTED_MIN:
                self.inflation = max(_excess(self._seconds), _excess(self._blocks))
        self._residual = self._squares = self._expected = self._variance = 0.0
        self._in_block = 0


def _remember(sums: list[float], observed: float, expected: float, variance: float) -> None:
    sums[0] = KEEP * sums[0] + observed
    sums[1] = KEEP * sums[1] + expected
    sums[2] = KEEP * KEEP * sums[2] + variance


def _excess(sums: list[float]) -> float:
    """Ratio of seen to expected, as far as it cannot be chance."""
    observed, expected, variance = sums
    if observed <= expected:
        return 1.0
    return 1.0 + (observed / expected - 1.0) * believed((observed - expected) / math.sqrt(variance))
