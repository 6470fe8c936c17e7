"""How much more a count jumps from second to second than independent requests would make it."""

from __future__ import annotations

import math

BLOCK_S = 5
"""Besides neighbouring seconds, neighbouring blocks of this many seconds are compared: clusters up to that long are seen."""
LONG_KEEP, SHORT_KEEP, BLOCK_KEEP = 1.0 - 1.0 / 600.0, 1.0 - 1.0 / 30.0, 1.0 - BLOCK_S / 600.0
"""Memories of ten minutes, of half a minute, and of ten minutes of blocks."""
PRESUMED_S = 60.0
"""Seconds of the baseline after which nothing is presumed any more."""
CONFIDENCE = 2.5
"""An excess below this many standard errors is taken for chance."""


class Dispersion:
    """Variance inflation (≥ 1; 1: none) of a binomial count over time, robust to slow changes of its rate.

    Squared differences of neighbouring rates over what independence gives, by seconds (long and short memory) and by blocks.
    Source: von Neumann 1941, mean square successive difference; quasi-likelihood, McCullagh & Nelder section 4.5.
    """

    __slots__ = (
        "_block_events",
        "_block_trials",
        "_blocks",
        "_events",
        "_last_block",
        "_long",
        "_presumed",
        "_seen",
        "_short",
        "_step",
        "_trials",
        "inflation",
    )

    def __init__(self, presumed: float = 1.0) -> None:
        """``presumed`` is believed at first, and ever less over the first PRESUMED_S seconds."""
        self._presumed = presumed
        self._step = (presumed - 1.0) * BLOCK_S / PRESUMED_S
        self._events = self._trials = 0.0
        self._block_events = self._block_trials = 0.0
        self._last_block: tuple[float, float] | None = None
        self._seen = 0
        # Each: squared differences seen, expected under independence, and the variance of the latter.
        self._long, self._short, self._blocks = [0.0] * 3, [0.0] * 3, [0.0] * 3
        self.inflation = presumed

    def add(self, events: float, trials: float) -> None:
        """Take one second of one arm: events among trials; a second without trials is skipped."""
        if trials <= 0:
            return
        if self._trials:
            observed, expected, variance = _terms(self._events, self._trials, events, trials)
            _remember(self._long, LONG_KEEP, observed, expected, variance)
            _remember(self._short, SHORT_KEEP, observed, expected, variance)
        self._events, self._trials = events, trials
        self._block_events += events
        self._block_trials += trials
        self._seen += 1
        if self._seen == BLOCK_S:
            self._close()

    def _close(self) -> None:
        block = (self._block_events, self._block_trials)
        if self._last_block is not None:
            _remember(self._blocks, BLOCK_KEEP, *_terms(*self._last_block, *block))
        self._last_block, self._block_events, self._block_trials, self._seen = block, 0.0, 0.0, 0
        self._presumed -= self._step
        self.inflation = max(1.0, self._presumed, _excess(self._long), _excess(self._short), _excess(self._blocks))


def _terms(before: float, n: float, after: float, m: float) -> tuple[float, float, float]:
    """One pair: squared difference, its expectation under independence and that one's variance, in units of counts."""
    rate = (before + after) / (n + m)
    # Busy seconds weigh more, idle ones nothing.
    size = n * m / (n + m)
    noise = size * rate * (1.0 - rate)
    difference = size * (after / m - before / n)
    # A squared difference of small counts has variance of about (2 + 1/(n p)) noise^2.
    return difference * difference, noise, noise * (2.0 * noise + 1.0)


def _remember(sums: list[float], keep: float, observed: float, expected: float, variance: float) -> None:
    sums[0] = keep * sums[0] + observed
    sums[1] = keep * sums[1] + expected
    sums[2] = keep * keep * sums[2] + variance


def _excess(sums: list[float]) -> float:
    """Ratio of seen to expected, or 1 when it may be chance."""
    observed, expected, variance = sums
    if observed <= expected or expected <= 0.0 or observed <= expected + CONFIDENCE * math.sqrt(1.5 * variance):
        return 1.0
    return observed / expected
