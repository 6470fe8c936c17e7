"""How a daily series goes on, with intervals as wide as earlier forecasts of the same series were wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from productops.stats.analytics_insight_effect import unsteadied
from productops.stats.analytics_insight_panel import steadied

Floats = NDArray[np.float64]
DAYS_MIN = 42
LEVEL_DAYS = 14
WEEKS = 8
ORIGINS = 120


@dataclass(frozen=True, slots=True)
class Forecast:
    """Of each day to come: the middle, and a range that holds it with probability ``level``; learned from ``origins`` earlier forecasts."""

    middle: Floats
    low: Floats
    high: Floats
    level: float
    origins: int


def forecast(values: Floats, days: int, *, level: float = 0.8, count: bool = True) -> Forecast | None:
    """The next ``days`` days of a series whose last value is of yesterday; NaN unknown. None with fewer than 42 known days.

    Split conformal over rolling origins (Lei et al. 2018, "Distribution-free predictive inference for regression"): of n earlier errors
    the ceil((n + 1) level)-th smallest, and what neighbouring origins have in common is allowed for by counting every seventh as one.
    """
    x = steadied(values[None, :], np.array([count]))[0]
    if np.isfinite(x).sum() < DAYS_MIN:
        return None
    errors = [np.abs(x[at : at + days] - _ahead(x[:at], len(x[at : at + days]))) for at in range(max(28, len(x) - ORIGINS), len(x))]
    middle = _ahead(x, days)
    reach = np.array([_reach(np.array([e[h] for e in errors if len(e) > h and np.isfinite(e[h])]), level) for h in range(days)])
    reach = np.maximum.accumulate(np.where(np.isfinite(reach), reach, 0.0))
    low, high, centre = (unsteadied(each, count=count) for each in (middle - reach, middle + reach, middle))
    return Forecast(centre, low, high, level, len(errors))


def _reach(errors: Floats, level: float) -> float:
    """The size of error that ``level`` of them do not exceed, with room for how few they are."""
    if len(errors) < 5:
        return float("nan")
    apart = max(len(errors) / 7, 5.0)
    raised = min(1.0, level * (1 + 1 / apart))
    return float(np.quantile(errors, raised, method="higher"))


def _ahead(x: Floats, days: int) -> Floats:
    """Level of the newest two weeks without weekday, and the weekdays of the newest eight weeks."""
    recent = x[-7 * WEEKS :]
    place = (np.arange(len(recent)) - len(recent)) % 7
    with np.errstate(all="ignore"):
        pattern = np.array([_middle(recent[place == each]) for each in range(7)])
    pattern = np.where(np.isfinite(pattern), pattern, _middle(pattern))
    pattern = pattern - pattern.mean()
    level = _middle(recent[-LEVEL_DAYS:] - pattern[place[-LEVEL_DAYS:]])
    if not np.isfinite(level):
        level = _middle(recent)
    return np.asarray(level + pattern[np.arange(days) % 7])


def _middle(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")
