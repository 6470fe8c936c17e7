"""Daily figures of many features and segments as arrays: what a night looks at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class DailyFigures:
    """Figures of days from ``first`` on, each array of shape (keys, days), NaN where there is no row.

    ``keys``: (feature, dimension, value); both empty for the whole feature. ``latency_ms``: the geometric mean of p50 and p95.
    """

    first: date
    keys: tuple[tuple[str, str, str], ...]
    people: Floats
    events: Floats
    failures: Floats
    latency_ms: Floats

    @property
    def days(self) -> int:
        """How many days."""
        return int(self.people.shape[1])

    def row(self, feature: str, dimension: str = "", value: str = "") -> int | None:
        """Where a series is; None without any."""
        key = (feature, dimension, value)
        return self.keys.index(key) if key in self.keys else None
