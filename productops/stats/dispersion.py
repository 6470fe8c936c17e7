"""How much more a count jumps from second to second than independent requests would make it."""

from __future__ import annotations

import math

BLOCK_S = 5
"""Besides neighbouring seconds, neighbouring blocks of this many seconds are compared: clusters up to that long are seen."""
LONG_KEEP, SHORT_KEEP = math.exp(-BLOCK_S / 600.0), math.exp(-BLOCK_S / 30.0)
"""Memories of ten minutes and of half a minute, per block."""
CHANCE, CERTAIN = 2.0, 4.0
"""An excess below the first number of standard errors is taken for chance, beyond the second for what it is, between them in part."""
PRESUMED_BURST = 6.0
"""What is presumed of failures that share one second before anything is known: they come in groups ..."""
PRESUMED_WEIGHT = 1.5
"""... and how much is presumed: as much as this expected variance (about three failures) would have taught."""


class Dispersion:
    """Variance inflation (≥ 1; 1: none) of a binomial count over time, robust to slow changes of its rate.

    Squared differences of neighbouring rates over what independence gives, by seconds (long and short memory) and by blocks.
    ``inflation`` is what has been shown of it; ``burst`` is the best guess from what was seen and what is presumed.
    Source: von Neumann 1941, mean square successive difference; quasi-likelihood, McCullagh & Nelder section 4.5.
    """

    __slots__ = (
        "_block_events",
        "_block_trials",
        "_blocks",
        "_events",
        "_expected",
        "_last_block",
        "_long",
        "_observed",
        "_seen",
        "_short",
        "_trials",
        "_variance",
        "burst",
        "inflation",
    )

    def __init__(self) -> None:
        self._events = self._trials = 0.0
        self._block_events = self._block_trials = 0.0
        self._last_block: tuple[float, float] | None = None
        self._seen = 0
        # Of this block: squared differences seen, expected under independence, and the variance of the former then.
        self._observed = self._expected = self._variance = 0.0
        self._long, self._short, self._blocks = [0.0] * 3, [0.0] * 3, [0.0] * 3
        self.inflation = 1.0
        self.burst = PRESUMED_BURST

    def add(self, events: float, trials: float) -> None:
        """Take one second of one arm: events among trials; a second without trials is skipped."""
        if trials <= 0:
            return
        if self._trials and (events or self._events):
            # As ``_terms``, without the call: this is the inner loop.
            before, n = self._events, self._trials
            both = n + trials
            rate = (before + events) / both
            size = n * trials / both
            noise = size * rate * (1.0 - rate)
            difference = size * (events / trials - before / n)
            self._observed += difference * difference
            self._expected += noise
            self._variance += noise * (2.0 * noise + 1.0)
        self._events, self._trials = events, trials
        self._block_events += events
        self._block_trials += trials
        self._seen += 1
        if self._seen == BLOCK_S:
            self._close()

    def _close(self) -> None:
        block = (self._block_events, self._block_trials)
        if self._last_block is not None:
            _remember(self._blocks, LONG_KEEP, *_terms(*self._last_block, *block))
        _remember(self._long, LONG_KEEP, self._observed, self._expected, self._variance)
        _remember(self._short, SHORT_KEEP, self._observed, self._expected, self._variance)
        self._observed = self._expected = self._variance = 0.0
        self._last_block, self._block_events, self._block_trials, self._seen = block, 0.0, 0.0, 0
        self.inflation = max(_excess(self._long), _excess(self._short), _excess(self._blocks))
        self.burst = _presumed(self._long)


def _terms(before: float, n: float, after: float, m: float) -> tuple[float, float, float]:
    """One pair: squared difference, its expectation under independence and that one's variance, in units of counts."""
    both = n + m
    rate = (before + after) / both
    # Busy seconds weigh more, idle ones nothing.
    size = n * m / both
    noise = size * rate * (1.0 - rate)
    difference = size * (after / m - before / n)
    # A squared difference of small counts has variance of about (2 + 1/(n p)) noise^2.
    return difference * difference, noise, noise * (2.0 * noise + 1.0)


def _remember(sums: list[float], keep: float, observed: float, expected: float, variance: float) -> None:
    sums[0] = keep * sums[0] + observed
    sums[1] = keep * sums[1] + expected
    sums[2] = keep * keep * sums[2] + variance


def _excess(sums: list[float]) -> float:
    """Ratio of seen to expected, as far as it cannot be chance."""
    observed, expected, variance = sums
    if observed <= expected or expected <= 0.0:
        return 1.0
    # Neighbouring differences share a second: their sum varies half as much again.
    return 1.0 + (observed / expected - 1.0) * believed((observed - expected) / math.sqrt(1.5 * variance))


def _presumed(sums: list[float]) -> float:
    """Mean of what is presumed and of what exceeds chance, by their weights."""
    observed, expected, variance = sums
    shown = max(0.0, observed - expected - CHANCE * math.sqrt(1.5 * variance))
    return 1.0 + (PRESUMED_WEIGHT * (PRESUMED_BURST - 1.0) + shown) / (PRESUMED_WEIGHT + expected)


def believed(errors: float) -> float:
    """Share of an excess of so many standard errors that is believed, from 0 to 1."""
    return min(1.0, max(0.0, (errors - CHANCE) / (CERTAIN - CHANCE)))
