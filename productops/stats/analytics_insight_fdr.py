"""False discoveries over all series and all nights: what each night may spend, and what it found.

Each night is one batch. Its level is what an estimate of the share of false discoveries in a window of nights leaves over
(Zrnic, Jiang, Ramdas and Jordan 2020, "The power of batching in multiple hypothesis testing", algorithm Batch-BH; the window is the
decaying memory of Ramdas, Yang, Wainwright and Jordan 2017). Within a night: Benjamini and Hochberg 1995. Neighbouring series and nights
depend on each other positively, which the proofs do not cover in full; the benchmark measures what holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
SHARE = 0.1
"""Of discoveries that may be false, in every window."""
WINDOW_NIGHTS = 91
ANTE = 0.25
"""Of what is left in the window, one night may spend this share."""


@dataclass(frozen=True, slots=True)
class Night:
    """What a night tested, at which level, and found; ``rejected_most``: had one of its p-values been 0."""

    tests: int
    level: float
    rejected: int
    rejected_most: int


def level_of(past: Sequence[Night], *, share: float = SHARE) -> float:
    """The level of the next night, given those before it (oldest first; the newest 90 count).

    What earlier nights spent counts less the more was discovered since; a part of what is left goes to this night.
    """
    recent = list(past[-(WINDOW_NIGHTS - 1) :])
    discovered = sum(night.rejected for night in recent)
    spent = sum(
        night.level * night.rejected_most / (night.rejected_most + discovered - night.rejected) for night in recent if night.rejected_most
    )
    return ANTE * max(share - spent, 0.0)


def reject(p: Floats, level: float) -> NDArray[np.bool_]:
    """Benjamini and Hochberg at ``level``; a mask of ``p``."""
    count = len(p)
    if count == 0:
        return np.zeros(0, bool)
    ordered = np.sort(p)
    good = np.flatnonzero(ordered <= level * np.arange(1, count + 1) / count)
    return p <= ordered[good[-1]] if len(good) else np.zeros(count, bool)


def night_of(p: Floats, level: float) -> tuple[NDArray[np.bool_], Night]:
    """What is discovered, and the record of the night."""
    found = reject(p, level)
    most = p.copy()
    if len(p):
        most[np.argmax(np.where(found, -1, p))] = 0.0
    return found, Night(len(p), level, int(found.sum()), int(reject(most, level).sum()) if len(p) else 0)
