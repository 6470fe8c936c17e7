"""How much more a count jumps from second to second than independent requests would make it."""

from __future__ import annotations

import math

BLOCK_S = 5
"""Besides neighbouring seconds, neighbouring blocks of this many seconds are compared: clusters up to that long are seen."""
LONG_S = 600.0
SHORT_S = 30.0
"""How far back the slow and the fast estimate remember, seconds."""
CONFIDENCE = 2.5
"""An excess below this many standard errors is taken for chance."""


class _Estimate:
    """Squared differences seen, expected under independence, and the latter's variance, with forgetting."""

    __slots__ = ("_expected", "_keep", "_observed", "_variance")

    def __init__(self, memory: float) -> None:
        self._keep = 1.0 - 1.0 / memory
        self._observed = self._expected = self._variance = 0.0

    def add(self, observed: float, expected: float, variance: float) -> None:
        """Take one comparison."""
        keep = self._keep
        self._observed = keep * self._observed + observed
        self._expected = keep * self._expected + expected
        self._variance = keep * keep * self._variance + variance

    def excess(self) -> float:
        """Their ratio, or 1 when it may be chance."""
        if self._observed <= self._expected or self._expected <= 0.0:
            return 1.0
        doubt = CONFIDENCE * math.sqrt(1.5 * self._variance)
        return self._observed / self._expected if self._observed > self._expected + doubt else 1.0


class Dispersion:
    """Variance inflation (≥ 1; 1: none) of a binomial count over time, robust to slow changes of its rate.

    Squared differences of neighbouring rates over what independence gives, by seconds (long and short memory) and by blocks.
    Source: von Neumann 1941, mean square successive difference; quasi-likelihood, McCullagh & Nelder section 4.5.
    """

    __slots__ = ("_block", "_block_before", "_blocks", "_last", "_long", "_seen", "_short", "inflation")

    def __init__(self) -> None:
        self._last: tuple[float, float] | None = None
        self._block: tuple[float, float] = (0.0, 0.0)
        self._block_before: tuple[float, float] | None = None
        self._seen = 0
        self._long, self._short, self._blocks = _Estimate(LONG_S), _Estimate(SHORT_S), _Estimate(LONG_S / BLOCK_S)
        self.inflation = 1.0

    def add(self, events: float, trials: float) -> None:
        """Take one second of one arm: events among trials; a second without trials is skipped."""
        if trials <= 0:
            return
        if self._last is not None:
            terms = _terms(*self._last, events, trials)
            self._long.add(*terms)
            self._short.add(*terms)
        self._last = (events, trials)
        self._block = (self._block[0] + events, self._block[1] + trials)
        self._seen += 1
        if self._seen == BLOCK_S:
            self._close()

    def _close(self) -> None:
        if self._block_before is not None:
            self._blocks.add(*_terms(*self._block_before, *self._block))
        self._block_before, self._block, self._seen = self._block, (0.0, 0.0), 0
        self.inflation = max(self._long.excess(), self._short.excess(), self._blocks.excess())


def _terms(before: float, n: float, after: float, m: float) -> tuple[float, float, float]:
    """One pair: squared difference, its expectation under independence and that one's variance, in units of counts."""
    rate = (before + after) / (n + m)
    noise = rate * (1.0 - rate)
    # Busy seconds weigh more, idle ones nothing.
    size = n * m / (n + m)
    difference = size * (after / m - before / n)
    # A squared difference of small counts has variance of about (2 + 1/(n p)) noise^2.
    return difference * difference, size * noise, size * noise * (2.0 * size * noise + 1.0)
