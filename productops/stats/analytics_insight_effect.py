"""What a change did: the course after it against what would have been expected without it.

An interrupted time series with controls (Bernal, Cummins and Gasparrini 2017, "Interrupted time series regression for the evaluation of
public health interventions"): level, a slope that is believed as far as it is usual, weekday, and the common course of series that the
change did not touch, all learned from the days before. Neighbouring days are alike, so the error is widened by what is left of memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from productops.stats.analytics_insight_panel import steadied

Floats = NDArray[np.float64]
BEFORE_DAYS = 84
BEFORE_MIN = 21
AFTER_MIN = 5
SLOPE_USUAL = 0.0015
WEEKDAY_USUAL = 0.5
MEMORY_MOST = 0.85
PLACEBO_USUAL = 1.5
PLACEBO_COUNT = 4.0


@dataclass(frozen=True, slots=True)
class Effect:
    """``change`` of the days after, 0.1 is +10 %; it is between ``low`` and ``high`` with 95 % confidence. ``p`` two-sided.

    ``expected``: of each day from the first day used on, without the change, in the unit of the values; ``begin``: that first day.
    """

    change: float
    low: float
    high: float
    p: float
    days_before: int
    days_after: int
    begin: int
    expected: Floats


def interrupted(
    values: Floats, controls: Floats, first: int, weekday: NDArray[np.intp], *, count: bool = True, confidence: float = 0.95,
    since: int | None = None,
) -> Effect | None:  # fmt: skip
    """The effect of what happened on day ``first``. ``values``: a day each, NaN unknown; ``controls``: untouched series, shape (any, days).

    ``since``: a day before ``first`` from which on the level was another one already; that it would have stayed is then expected.
    None where there are fewer than 21 known days before or 5 after.
    """
    counts = np.full(len(controls) + 1, count)
    x = steadied(np.vstack([values[None, :], controls.reshape(-1, len(values))]), counts)
    found = _at(x, first, weekday, len(values), since=since)
    if found is None:
        return None
    fit, design, begin, days = found
    wider = _placebo(x, first if since is None else since, weekday, len(values) - first)
    error, freedom = fit.error * wider, max(4.0, days[0] / fit.memory - 3)
    reach = float(stats.t.isf((1 - confidence) / 2, freedom)) * error
    felt = float(np.tanh(max(fit.middle, 0.1) / 2)) if count else 1.0
    change, low, high = (float(np.expm1(np.clip(each / felt, -20, 20))) for each in (fit.moved, fit.moved - reach, fit.moved + reach))
    p = float(2 * stats.t.sf(abs(fit.moved) / error, freedom))
    return Effect(change, low, high, p, *days, begin, unsteadied(design[begin:] @ fit.weights, count=count))


def _at(
    x: Floats, first: int, weekday: NDArray[np.intp], last: int, *, since: int | None = None
) -> tuple[_Fit, Floats, int, tuple[int, int]] | None:  # fmt: skip
    begin = max(0, first - BEFORE_DAYS)
    day = np.arange(x.shape[1])
    known = np.isfinite(x[0]) & (day >= begin) & (day < last)
    before, after = known & (day < first), known & (day >= first)
    if before.sum() < BEFORE_MIN or after.sum() < AFTER_MIN:
        return None
    design, penalty = _design(day, weekday, _common(x[1:], begin, first), begin, first)
    if since is not None and begin < since < first:
        design, penalty = np.column_stack([design, (day >= since).astype(np.float64)]), np.append(penalty, 1.0)
    fit = _Fit(x[0], design, penalty, before)
    left = x[0, after] - design[after] @ fit.weights
    row = design[after].mean(axis=0)
    fit.moved = float(np.mean(_bounded(left, fit.scale)))
    fit.error = float(np.sqrt(fit.variance * (fit.memory / after.sum()) + row @ fit.covariance @ row * fit.memory))
    fit.middle = float(np.median(design[after] @ fit.weights))
    return fit, design, begin, (int(before.sum()), int(after.sum()))


def _placebo(x: Floats, first: int, weekday: NDArray[np.intp], days_after: int) -> float:
    """By how much the error is to be widened: what the same comparison finds at earlier times, when nothing had happened."""
    squares = []
    for at in range(first - days_after, max(BEFORE_MIN, first - 120), -max(7, days_after // 2)):
        found = _at(x, at, weekday, min(at + days_after, first))
        if found is not None:
            squares.append((found[0].moved / found[0].error) ** 2)
    if not squares:
        return float(np.sqrt(PLACEBO_USUAL))
    return float(np.sqrt(max(1.0, (sum(squares) + PLACEBO_USUAL * PLACEBO_COUNT) / (len(squares) + PLACEBO_COUNT))))


def unsteadied(x: Floats, *, count: bool) -> Floats:
    """The inverse of ``steadied``."""
    if not count:
        return np.asarray(np.exp(x))
    return np.asarray(np.maximum(np.sinh(np.maximum(x, 0.0) / 2) ** 2 / 0.02 - 0.375, 0.0))


def _common(controls: Floats, begin: int, first: int) -> Floats:
    """What untouched series did together, by day; zeros without any."""
    with np.errstate(all="ignore"):
        usable = np.isfinite(controls[:, begin:first]).sum(axis=1) >= BEFORE_MIN if len(controls) else np.zeros(0, bool)
        if usable.sum() < 3:
            return np.zeros(controls.shape[1])
        x = controls[usable]
        level = np.array([np.median(row[begin:first][np.isfinite(row[begin:first])]) for row in x])
        apart = x - level[:, None]
        return np.array([np.median(column[np.isfinite(column)]) if np.isfinite(column).any() else 0.0 for column in apart.T])


def _design(day: NDArray[np.intp], weekday: NDArray[np.intp], common: Floats, begin: int, first: int) -> tuple[Floats, Floats]:
    middle = (begin + first) / 2
    columns = [np.ones(len(day)), (day - middle).astype(np.float64), common, *((weekday == each).astype(np.float64) for each in range(7))]
    usual = np.array([1e3, SLOPE_USUAL, 1.0, *([WEEKDAY_USUAL] * 7)])
    if not np.any(common):
        usual[2] = 1e-6
    return np.stack(columns, axis=1), 1 / usual**2


class _Fit:
    """Ridge regression by usual sizes, again and again with bounded residuals; ``moved`` and ``error`` are set by who uses it."""

    moved: float
    error: float
    middle: float

    def __init__(self, x: Floats, design: Floats, penalty: Floats, rows: NDArray[np.bool_]) -> None:
        y, self.scale = x[rows].copy(), float(np.std(x[rows])) or 0.1
        for _ in range(4):
            precision = design[rows].T @ design[rows] / self.scale**2 + np.diag(penalty)
            self.covariance = np.linalg.inv(precision)
            self.weights = self.covariance @ (design[rows].T @ y) / self.scale**2
            fitted = design[rows] @ self.weights
            left = x[rows] - fitted
            self.scale = max(1.4826 * float(np.median(np.abs(left))) * 1.1, 0.01)
            y = fitted + _bounded(left, self.scale)
        left = _bounded(left, self.scale)
        self.variance = max(float(np.var(left)), 1e-6) * len(left) / max(len(left) - 4, 1)
        alike = float(left[1:] @ left[:-1]) / max(float(left @ left), 1e-12) + 2 / len(left)
        alike = float(np.clip(alike, 0.0, MEMORY_MOST))
        self.memory = (1 + alike) / (1 - alike)


def _bounded(left: Floats, scale: float) -> Floats:
    """Single odd days bounded: no further from the middle of these days than three times the scale."""
    middle = float(np.median(left))
    return np.asarray(np.clip(left, middle - 3 * scale, middle + 3 * scale))
