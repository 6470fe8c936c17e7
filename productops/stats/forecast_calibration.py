"""Whether forecasts came true, and forecasts that learn from it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
PAST_MIN = 8
HELD = 20.0
"""The uncorrected level counts like so many past forecasts."""


def place_of(actual: float, runs: Floats) -> float:
    """The share of ``runs`` at or below what came, in [0, 1]: 0.8 when it came just at the P80. Source: Dawid 1984."""
    return float((np.sum(runs < actual) + 0.5 * np.sum(runs == actual)) / len(runs))


def corrected_level(level: float, places: Floats) -> float:
    """The level to ask for, so that ``level`` of forecasts hold: what ``places`` (n,) of past forecasts say, held back while they are few.

    Split-conformal rank ⌈(n + 1) · level⌉ of the places, averaged with ``level``. Unchanged with fewer than eight past forecasts.
    Source: Vovk, Gammerman and Shafer 2005, section 2.2; on places of a predictive distribution Chernozhukov, Wüthrich and Zhu 2021.
    """
    n = len(places)
    if n < PAST_MIN:
        return level
    rank = min(n, math.ceil((n + 1) * level))
    found = float(np.sort(places)[rank - 1])
    return min(0.999, max(0.001, (HELD * level + n * found) / (HELD + n)))


@dataclass(frozen=True, slots=True)
class Held:
    """Of ``count`` forecasts at a level, ``held`` were kept; ``low`` to ``high`` is the 95 % interval of the share."""

    level: float
    count: int
    held: int
    low: float
    high: float

    @property
    def share(self) -> float | None:
        """In [0, 1]; None of no forecasts."""
        return self.held / self.count if self.count else None


def held(level: float, places: Floats, *, at_level: float | None = None) -> Held:
    """How many past forecasts were kept, with Wilson's interval (1927). ``at_level``: the level asked for when it was corrected."""
    n, kept = len(places), int(np.sum(places <= (level if at_level is None else at_level)))
    if not n:
        return Held(level, 0, 0, 0.0, 1.0)
    z = 1.96
    middle, width = kept + z * z / 2, z * math.sqrt(kept * (n - kept) / n + z * z / 4)
    return Held(level, n, kept, max(0.0, (middle - width) / (n + z * z)), min(1.0, (middle + width) / (n + z * z)))
