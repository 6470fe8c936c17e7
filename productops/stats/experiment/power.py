"""How many people it takes to see an effect, and what a number of people can show."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import ndtr, ndtri

from productops.stats.experiment.deciding import Side, halfwidth, rho_of
from productops.stats.experiment.effect import Effect

PEOPLE_MOST = 1e12
"""Nobody has more; an effect that needs more cannot be shown."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured and how it will be decided.

    ``mean`` and ``variance`` of one person's value under the baseline; ``binary``: the variance under the effect follows from its mean.
    ``shares``: of all people, in the baseline and in the variant. ``kept``: part of the variance that is left after adjusting by the
    past (1: nothing is adjusted). ``tuning``: people for whom an interval valid at every look is narrowest; None: one look at the end.
    """

    mean: float
    variance: float
    binary: bool = False
    shares: tuple[float, float] = (0.5, 0.5)
    alpha: float = 0.05
    side: Side = Side.BOTH
    kept: float = 1.0
    tuning: float | None = None

    def variance_of(self, people: float, change: float) -> float:
        """Of the difference, when the variant's mean is ``change`` away."""
        changed = self.mean + change
        varied = changed * (1.0 - changed) if self.binary else self.variance
        return self.kept * (self.variance / self.shares[0] + max(varied, 0.0) / self.shares[1]) / people


def power_of(plan: Plan, people: float, change: float) -> float:
    """Chance to see a true ``change`` (in units of the mean) with so many ``people`` in all.

    With looks at any time: the chance that the interval leaves 0 out at the last look; earlier looks only add to it.
    """
    error = math.sqrt(plan.variance_of(people, change))
    if error == 0.0:
        return 1.0
    wide = _halfwidth(plan, people, error)
    above, below = float(ndtr((change - wide) / error)), float(ndtr((-change - wide) / error))
    return {Side.BOTH: above + below, Side.GREATER: above, Side.LESSER: below}[plan.side]


def people_needed(plan: Plan, change: float, *, power: float = 0.8) -> int | None:
    """Fewest people in all that see ``change`` with ``power``; None when no number does. Raises: ValueError for a change of 0."""
    if change == 0.0:
        raise ValueError("no number of people shows a change of 0")
    low, high = 2.0, 64.0
    while power_of(plan, high, change) < power:
        low, high = high, high * 2.0
        if high > PEOPLE_MOST:
            return None
    while high - low > 0.5:
        middle = 0.5 * (low + high)
        low, high = (middle, high) if power_of(plan, middle, change) < power else (low, middle)
    return math.ceil(high - 1e-9)


def detectable(plan: Plan, people: float, *, power: float = 0.8) -> float | None:
    """Smallest change, upwards, that so many people see with ``power``; None when not even a sure one."""
    low, high = 0.0, _largest(plan)
    if high <= 0.0 or power_of(plan, people, _signed(plan, high)) < power:
        return None
    for _ in range(80):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if power_of(plan, people, _signed(plan, middle)) < power else (low, middle)
    return high


def _signed(plan: Plan, change: float) -> float:
    return -change if plan.side is Side.LESSER else change


def _largest(plan: Plan) -> float:
    if plan.binary:
        return plan.mean if plan.side is Side.LESSER else 1.0 - plan.mean
    return 1000.0 * max(abs(plan.mean), math.sqrt(plan.variance))


def _halfwidth(plan: Plan, people: float, error: float) -> float:
    if plan.tuning is None:
        return float(ndtri(1.0 - (plan.alpha / 2.0 if plan.side is Side.BOTH else plan.alpha))) * error
    rho = rho_of(plan.alpha if plan.side is Side.BOTH else 2.0 * plan.alpha, plan.tuning)
    return halfwidth(Effect(0.0, error, max(2, round(people)), people - 2.0), plan.alpha, rho, plan.side)
