"""How far estimates are off: the ratio of actual to estimated effort, learned for a venture, a person and a size, and what tasks share."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
PRIOR_BIAS = 0.2
"""Before anything is known, work is taken to need e^0.2, 22 % more than expected: an assumption that eight finished tasks outweigh."""
PRIOR_SPREAD = 0.5
PRIOR_TASKS = 8.0
PRIOR_SHARED = 0.25
PRIOR_PERIODS = 6.0
GROUP_SPREAD = 0.25
"""How far, in logarithms, a person or a size usually lies from the venture."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A task that is done. ``log_ratio``: ln(actual / expected effort). ``period``: tasks of one period (a month) had the same luck."""

    log_ratio: float
    person: Hashable
    size: Hashable
    period: int


@dataclass(frozen=True, slots=True)
class EstimateError:
    """Learned error of estimates, in natural logarithms of actual / expected.

    A task's ln ratio is normal with mean ``bias`` + its person's + its size's share; its variance is ``spread``², of which ``shared`` in
    [0, 1] is common to all tasks of a period: when one task is late for a common reason, all are. ``tasks``: how many it was learned from.
    """

    bias: float = PRIOR_BIAS
    spread: float = PRIOR_SPREAD
    shared: float = PRIOR_SHARED
    people: dict[Hashable, float] = field(default_factory=dict)
    sizes: dict[Hashable, float] = field(default_factory=dict)
    bias_error: float = 0.25
    tasks: int = 0

    def mean(self, person: Hashable, size: Hashable) -> float:
        """Expected ln ratio of a task."""
        return self.bias + self.people.get(person, 0.0) + self.sizes.get(size, 0.0)


def learn_error(history: Sequence[Finished]) -> EstimateError:
    """Shrunk estimates: little history stays near what is usual everywhere, much history speaks for itself.

    Means: normal with known spread (the posterior of Gelman et al. 2013, section 2.5). Shared part: from the variance of period means,
    one-way random effects (Searle, Casella and McCulloch 1992, section 3.6). People first, then sizes, each on what is left.
    """
    if not history:
        return EstimateError()
    ratios = np.array([each.log_ratio for each in history])
    n = len(ratios)
    spread = float(np.sqrt((PRIOR_TASKS * PRIOR_SPREAD**2 + ((ratios - ratios.mean()) ** 2).sum()) / (PRIOR_TASKS + n)))
    shared, periods = _shared(ratios, np.array([each.period for each in history]), spread)
    # Tasks of one period tell the same again: so many independent ones they are worth.
    worth = n / (1 + (n / periods - 1) * shared)
    bias = (PRIOR_TASKS * PRIOR_BIAS + worth * ratios.mean()) / (PRIOR_TASKS + worth)
    left = ratios - bias
    people = _groups(left, [each.person for each in history], spread)
    left = left - np.array([people[each.person] for each in history])
    sizes = _groups(left, [each.size for each in history], spread)
    return EstimateError(float(bias), spread, shared, people, sizes, spread / float(np.sqrt(PRIOR_TASKS + worth)), n)


def _shared(ratios: Floats, period: NDArray[np.int64], spread: float) -> tuple[float, int]:
    """Part of the variance that is common to a period, and how many periods there are."""
    names, place = np.unique(period, return_inverse=True)
    k, n = len(names), len(ratios)
    if k < 2 or n <= k:
        return PRIOR_SHARED, k
    counts = np.bincount(place).astype(float)
    means = np.bincount(place, ratios) / counts
    within = ((ratios - means[place]) ** 2).sum() / (n - k)
    between = (counts * (means - ratios.mean()) ** 2).sum() / (k - 1)
    typical = (n - (counts**2).sum() / n) / (k - 1)
    found = max(0.0, (between - within) / typical) / max(spread**2, 1e-12)
    share = (PRIOR_PERIODS * PRIOR_SHARED + k * min(found, 1.0)) / (PRIOR_PERIODS + k)
    return float(min(share, 0.95)), k


def _groups(left: Floats, names: Sequence[Hashable], spread: float) -> dict[Hashable, float]:
    sums: dict[Hashable, tuple[float, int]] = {}
    for name, value in zip(names, left.tolist(), strict=True):
        total, count = sums.get(name, (0.0, 0))
        sums[name] = (total + value, count + 1)
    needed = (spread / GROUP_SPREAD) ** 2
    return {name: total / (count + needed) for name, (total, count) in sums.items()}
