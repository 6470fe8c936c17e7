"""From an effect to an interval and a p value: at a planned end, or valid at every look."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from scipy.special import stdtr, stdtrit

from productops.stats.experiment.effect import Effect

TUNING = 5000.0
"""People for whom an interval that is valid at every look is narrowest."""
ALPHA_LEAST, ALPHA_MOST = 1e-5, 0.4999
"""Between these a one-sided p value that is valid at every look is sought."""
NEAR, TRIES = 1e-6, 100
ALPHA_TOO_LARGE = "ALPHA_GREATER_THAN_0.5_FOR_SEQUENTIAL_ONE_SIDED_TEST"
NOT_FOUND = "NUMERICAL_PVALUE_NOT_CONVERGED"


class Side(StrEnum):
    """What would count: any difference, only a larger value, only a smaller one."""

    BOTH = "both"
    GREATER = "greater"
    LESSER = "lesser"


@dataclass(frozen=True, slots=True)
class Decided:
    """An interval of the effect and its p value; None with the reason where there is none."""

    low: float
    high: float
    p: float | None
    p_problem: str | None = None


def at_the_end(effect: Effect, *, alpha: float, side: Side = Side.BOTH, null: float = 0.0) -> Decided:
    """Welch's t test: valid once, at an end that was fixed before. The effect has no problem."""
    t, freedom = (effect.estimate - null) / effect.error, effect.freedom
    # The tail itself, not one minus the rest: 1 - 0.99999999999999999 is 0.
    tail = {Side.BOTH: 2.0 * stdtr(freedom, -abs(t)), Side.GREATER: stdtr(freedom, -t), Side.LESSER: stdtr(freedom, t)}[side]
    wide = float(stdtrit(freedom, 1.0 - (alpha / 2.0 if side is Side.BOTH else alpha))) * effect.error
    return Decided(*_ends(effect.estimate, wide, side), float(tail))


def at_every_look(
    effect: Effect, *, alpha: float, side: Side = Side.BOTH, null: float = 0.0, tuning: float = TUNING, rho: float | None = None
) -> Decided:
    """The asymptotic confidence sequence: all its intervals hold together, however often and until whenever one looks.

    Source: Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, arXiv 2103.06476v7: (9), (155) and (161), one-sided (134).
    """
    if side is Side.BOTH:
        used = rho_of(alpha, tuning) if rho is None else rho
        return Decided(*_ends(effect.estimate, halfwidth(effect, alpha, used, side), side), _anytime_p(effect, null, used))
    if alpha >= 0.5:
        return Decided(0.0, 0.0, 1.0, ALPHA_TOO_LARGE)
    used = rho_of(2.0 * alpha, tuning) if rho is None else rho
    found = _sought_p(effect, used, side)
    ends = _ends(effect.estimate, halfwidth(effect, alpha, used, side), side)
    return Decided(*ends, found, None if found is not None else NOT_FOUND)


def rho_of(alpha: float, tuning: float) -> float:
    """The mixture's width that makes the interval narrowest at ``tuning`` people; half of ``alpha`` goes to each side."""
    size = -2.0 * math.log(alpha)
    return math.sqrt((size + math.log(size + 1.0)) / tuning)


def halfwidth(effect: Effect, alpha: float, rho: float, side: Side) -> float:
    """Distance from the estimate to an end of the interval."""
    n = effect.n
    mixed = n * rho**2 + 1.0
    log = math.log(math.sqrt(mixed) / alpha) if side is Side.BOTH else math.log(1.0 + math.sqrt(mixed) / (2.0 * alpha))
    return effect.error * math.sqrt(n) * math.sqrt(2.0 * mixed * log) / (n * rho)


def log_e_value(effect: Effect, *, null: float, rho: float) -> float:
    """Logarithm of the evidence against ``null``: what a fair bet would have won; more than log(1/alpha) is enough at any look."""
    mixed = effect.n * rho**2 + 1.0
    squared = ((effect.estimate - null) / effect.error) ** 2 * effect.n
    return rho**2 * squared / (2.0 * mixed) - 0.5 * math.log(mixed)


def _anytime_p(effect: Effect, null: float, rho: float) -> float:
    return math.exp(min(0.0, -log_e_value(effect, null=null, rho=rho)))


def _sought_p(effect: Effect, rho: float, side: Side) -> float | None:
    """The alpha at which the interval's end reaches 0, by halving; rho stays that of the alpha asked for."""

    def room(alpha: float) -> float:
        """How far the end is beyond 0, in the direction that says nothing."""
        wide = halfwidth(effect, alpha, rho, side)
        return effect.estimate + wide if side is Side.LESSER else wide - effect.estimate

    if room(ALPHA_LEAST) < 0.0:
        return ALPHA_LEAST
    if room(ALPHA_MOST) > 0.0:
        return ALPHA_MOST
    low, high = ALPHA_LEAST, ALPHA_MOST
    for _ in range(TRIES):
        middle = 0.5 * (low + high)
        left = room(middle)
        low, high = (middle, high) if left > 0.0 else (low, middle)
        if abs(left) < NEAR:
            return 0.5 * (low + high)
    return None


def _ends(estimate: float, wide: float, side: Side) -> tuple[float, float]:
    low = -math.inf if side is Side.LESSER else estimate - wide
    return low, math.inf if side is Side.GREATER else estimate + wide
