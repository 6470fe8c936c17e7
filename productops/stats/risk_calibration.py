"""From scores to probabilities that come true, also when the share of changes that break something moves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from productops.stats.risk_linear import logistic

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
HELD_SLOPE = 30.0
HELD_OFFSET = 8.0
HALF_LIFE = 400.0
"""An outcome counts half after so many newer ones."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Probability = 1 / (1 + exp(-(``offset`` + ``slope`` · log-odds))); a slope below 1 says that the scores were too sure."""

    slope: float = 1.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.slope) and np.isfinite(self.offset) and self.slope > 0):
            raise ValueError("a calibration has a finite offset and a finite slope above 0: order must not be turned round")


def probability(calibration: Calibration, log_odds: Floats) -> Floats:
    """(n,) in (0, 1)."""
    found: Floats = expit(calibration.offset + calibration.slope * log_odds)
    return found


def calibrate(log_odds: Floats, label: Ints, *, start: Calibration | None = None, half_life: float = HALF_LIFE) -> Calibration:
    """Fit slope and offset to outcomes in order of time, newer ones counting more; few outcomes move little away from ``start``.

    ``log_odds``, ``label``: (n,) what was said before the outcome was known, and the outcome, 0 or 1. Call it again whenever outcomes
    have become known: that is how probabilities follow a drift. Source: Platt 1999, weighted, with a normal prior on both numbers.
    """
    begin = start or Calibration()
    if not len(label):
        return begin
    weight = 0.5 ** (np.arange(len(label))[::-1] / half_life)
    design = np.column_stack([log_odds, np.ones(len(label))])
    at = np.array([begin.slope, begin.offset])
    slope, offset = logistic(design, label, weight=weight, penalty=np.array([HELD_SLOPE, HELD_OFFSET]), start=at)
    return Calibration(max(float(slope), 0.05), float(offset))
