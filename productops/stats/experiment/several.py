"""Several questions asked of one experiment: corrected, so that asking more does not find more by chance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from productops.stats.experiment.samples import Floats


def holm(values: Sequence[float]) -> list[float]:
    """The p values such that the chance of any wrong finding stays what it was. Source: Holm 1979."""
    order = np.argsort(values, kind="stable")
    count = len(values)
    grown = np.array([(count - rank) * values[at] for rank, at in enumerate(order)])
    return _placed(order, np.maximum.accumulate(grown))


def benjamini_hochberg(values: Sequence[float]) -> list[float]:
    """The p values such that the share of wrong ones among the findings stays below. Source: Benjamini and Hochberg 1995."""
    order = np.argsort(values, kind="stable")
    count = len(values)
    grown = np.array([count / (rank + 1) * values[at] for rank, at in enumerate(order)])
    return _placed(order, np.minimum.accumulate(grown[::-1])[::-1])


def _placed(order: NDArray[np.int64], grown: Floats) -> list[float]:
    found = [0.0] * len(order)
    for at, value in zip(order, grown, strict=True):
        found[int(at)] = min(1.0, float(value))
    return found
