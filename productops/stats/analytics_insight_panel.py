"""Daily series made comparable: one scale, no weekday, no shock that all share, no influence of single odd days.

Everything is causal: what is said of a day uses that day and earlier ones only. One pass over the days, all series at once.
The transform is the one that steadies the variance of over-dispersed counts (Anscombe 1948, "The transformation of Poisson, binomial
and negative-binomial data"); the pass is exponential smoothing with bounded residuals (Gelper, Fried and Croux 2010, "Robust forecasting
with exponential and Holt-Winters smoothing").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
OVERDISPERSION = 0.02
"""Variance of the logarithm of what is expected of a day beyond chance of counting; 0.02 is 14 %."""
LEVEL_GAIN = 0.15
WEEKDAY_GAIN = 0.12
SCALE_GAIN = 0.04
CLIP = 3.0
START_DAYS = 28
SHARED_MIN = 10
"""Fewer series say nothing about what all share."""
_SCALE_MIN = 0.01
_MAD = 1.4826


@dataclass(frozen=True, slots=True)
class Panel:
    """Series by day, shape (series, days). ``values``: NaN where nothing is known.

    ``parent``: the row of the whole of which a row is a part, -1 for a whole. ``group``: rows with the same number are the same segment
    of different wholes, -1 for none. ``weekday``: of each day, 0 to 6. ``counts``: whether the rows are counts; else positive measures.
    ``measure``: rows with the same number measure the same. ``unit``: rows with the same number are of the same feature.
    ``dimension``: parts with the same number split a whole by the same; -1 for a whole.
    """

    values: Floats
    parent: Ints
    group: Ints
    weekday: Ints
    counts: NDArray[np.bool_]
    measure: Ints
    unit: Ints
    dimension: Ints

    def peers(self) -> list[Ints]:
        """Wholes of the same measure, enough of them to say what they share."""
        wholes = [np.flatnonzero((self.parent < 0) & (self.measure == each)) for each in np.unique(self.measure)]
        return [rows for rows in wholes if len(rows) >= SHARED_MIN]

    def groups(self) -> list[Ints]:
        """The same segment of different wholes, enough of them."""
        found = []
        for each in np.unique(self.measure):
            of = np.where((self.measure == each) & (self.parent >= 0), self.group, -1)
            found += [np.flatnonzero(of == group) for group in np.unique(of[of >= 0])]
        return [rows for rows in found if len(rows) >= SHARED_MIN]


@dataclass(frozen=True, slots=True)
class Pause:
    """A change of these rows is known: days in [first, until) say nothing new, and later days go on from the level reached by then."""

    rows: Ints
    first: int
    until: int


@dataclass(frozen=True, slots=True)
class Cleaned:
    """``course``: without weekday and shared shocks; ``bounded``: the same with single odd days bounded; ``scale``: of a day before it.

    ``level``: what was expected of the day. ``shared``: what was taken out because others did the same. Shapes (series, days).
    """

    course: Floats
    bounded: Floats
    level: Floats
    scale: Floats
    shared: Floats


def steadied(values: Floats, counts: NDArray[np.bool_]) -> Floats:
    """Values on a scale where a difference of 0.1 is about 10 % (for small counts: less), and noise is alike at every height."""
    with np.errstate(invalid="ignore", divide="ignore"):
        of_counts = 2 * np.arcsinh(np.sqrt(OVERDISPERSION * (values + 0.375)))
        of_measures = np.where(values > 0, np.log(values), np.nan)
    found: Floats = np.where(counts[:, None], of_counts, of_measures)
    return found


RELEVEL_DAYS = 14
BEFORE_DAYS = 28


def paused(x: Floats, panel: Panel, pauses: Sequence[Pause]) -> Floats:
    """``x`` of ``steadied`` with known changes taken out; what peers did in the same time stays in."""
    if not pauses:
        return x
    x = x.copy()
    peers = panel.peers()
    for pause in sorted(pauses, key=lambda each: each.first):
        with np.errstate(all="ignore"):
            change = _change(x[pause.rows], pause)
            for rows in peers:
                same = panel.measure[pause.rows] == panel.measure[rows[0]]
                if same.any():
                    found = _change(x[rows], pause)
                    usual = float(np.median(found[np.isfinite(found)])) if np.isfinite(found).any() else 0.0
                    change[same] -= usual
        x[pause.rows, pause.first : pause.until] = np.nan
        x[pause.rows, pause.until :] -= np.nan_to_num(change)[:, None]
    return x


def _change(x: Floats, pause: Pause) -> Floats:
    before = x[:, max(0, pause.first - BEFORE_DAYS) : pause.first]
    after = x[:, max(pause.first, pause.until - RELEVEL_DAYS) : pause.until]
    return median(after) - median(before)


def clean(panel: Panel, *, pauses: Sequence[Pause] = (), shared: Floats | None = None) -> Cleaned:
    """One pass over the days. ``shared``: what is taken out, when it is known from an earlier pass; else it is found here."""
    return clean_steadied(paused(steadied(panel.values, panel.counts), panel, pauses), panel, shared=shared)


def clean_steadied(x: Floats, panel: Panel, *, shared: Floats | None = None) -> Cleaned:
    """``clean`` of values on the steady scale."""
    rows, days = x.shape
    week, level, scale = _start(x, panel.weekday)
    peers, groups = (panel.peers(), panel.groups()) if shared is None else ([], [])
    course, bounded, levels, scales = (np.full((rows, days), np.nan) for _ in range(4))
    out = Cleaned(course, bounded, levels, scales, np.zeros((rows, days)) if shared is None else shared)
    for day in range(days):
        weekday = panel.weekday[day]
        residual = x[:, day] - level - week[:, weekday]
        felt = sensitivity(level, panel.counts)
        if shared is None:
            out.shared[:, day] = _shared(residual / felt, scale / felt, panel, peers, groups)
        residual = residual - felt * out.shared[:, day]
        known = np.isfinite(residual)
        bound = np.clip(residual, -CLIP * scale, CLIP * scale)
        out.course[:, day], out.bounded[:, day] = level + residual, level + bound
        out.level[:, day], out.scale[:, day] = level, scale
        step = np.where(known, bound, 0.0)
        level = level + LEVEL_GAIN * step
        week[:, weekday] += WEEKDAY_GAIN * step
        week -= (WEEKDAY_GAIN / 7) * step[:, None]
        spread = np.where(known, np.minimum(np.abs(step), CLIP * scale) * (_MAD / 1.16), scale)
        scale = np.maximum(scale + SCALE_GAIN * (spread - scale), _least_scale(level, panel.counts))
    return out


def sensitivity(level: Floats, counts: NDArray[np.bool_]) -> Floats:
    """How far a value on the steady scale moves when what it stands for moves by 1 %, over 0.01: less than 1 for small counts."""
    return np.where(counts, np.maximum(np.tanh(level / 2), 0.05), 1.0)


def _least_scale(level: Floats, counts: NDArray[np.bool_]) -> Floats:
    """No count is steadier than chance of counting alone makes it."""
    chance = np.sqrt(OVERDISPERSION) / np.cosh(np.clip(level, 0, 50) / 2)
    return np.where(counts, np.maximum(0.85 * chance, _SCALE_MIN), _SCALE_MIN)


def _start(x: Floats, weekday: Ints) -> tuple[Floats, Floats, Floats]:
    """Weekday pattern, level and scale from a row's first four weeks; its own pattern counts as much as it stands out from noise."""
    begin = np.argmax(np.isfinite(x), axis=1)
    columns = np.minimum(begin[:, None] + np.arange(START_DAYS), x.shape[1] - 1)
    first = np.take_along_axis(x, columns, axis=1)
    day = weekday[columns]
    with np.errstate(all="ignore"):
        level = median(first)
        beside = first - level[:, None]
        own = np.stack([median(np.where(day == each, beside, np.nan)) for each in range(7)], axis=1)
        own = np.where(np.isfinite(own), own, 0.0)
        own -= own.mean(axis=1, keepdims=True)
        pattern = np.median(own, axis=0)
        pattern -= pattern.mean()
        left = beside - np.take_along_axis(own, day, axis=1)
        scale = np.maximum(np.where(np.isfinite(left).sum(axis=1) >= 7, _MAD * 1.15 * median(np.abs(left)), 0.2), _SCALE_MIN)
    apart = ((own - pattern) ** 2).mean(axis=1)
    trust = np.maximum(0.0, 1 - 1.57 * scale**2 / 4 / np.maximum(apart, 1e-12))
    week = pattern + trust[:, None] * (own - pattern)
    return week, np.where(np.isfinite(level), level, 0.0), np.where(np.isfinite(scale), scale, 0.2)


def median(values: Floats) -> Floats:
    """``np.nanmedian`` of rows without its slow path: sorted, NaN last."""
    if values.shape[1] == 0:
        return np.full(len(values), np.nan)
    ordered = np.sort(values, axis=1)
    known = np.isfinite(values).sum(axis=1)
    low, high = np.maximum((known - 1) // 2, 0), known // 2
    at = np.arange(len(values))
    middle = (ordered[at, low] + ordered[at, np.minimum(high, values.shape[1] - 1)]) / 2
    return np.where(known > 0, middle, np.nan)


def _shared(residual: Floats, scale: Floats, panel: Panel, peers: list[Ints], groups: list[Ints]) -> Floats:
    """What all wholes did that day, and beyond it what a segment did in all of them."""
    found = np.zeros(len(residual))
    for rows in peers:
        found[panel.measure == panel.measure[rows[0]]] = weighted_median(residual[rows], 1 / scale[rows] ** 2)
    for rows in groups:
        found[rows] += weighted_median(residual[rows] - found[rows], 1 / scale[rows] ** 2)
    return found


def weighted_median(values: Floats, weights: Floats) -> float:
    """What values have in common, drawn to 0 as far as it may be noise; 0 where fewer than ``SHARED_MIN`` values are known.

    No value weighs more than a few times the usual one: one that set the middle alone would have no noise of its own.
    """
    known = np.isfinite(values) & np.isfinite(weights)
    count = int(known.sum())
    if count < SHARED_MIN:
        return 0.0
    values, weights = values[known], weights[known]
    weights = np.minimum(weights, min(10.0, 1 + count / 20) * _middle(weights))
    order = np.argsort(values)
    below = np.cumsum(weights[order])
    middle = float(values[order[np.searchsorted(below, below[-1] / 2)]])
    alone = float(weights @ weights) / float(below[-1]) ** 2
    noise = 1.57 * alone * (_MAD * _middle(np.abs(values - middle))) ** 2
    return middle * max(0.0, 1 - noise / max(middle**2, 1e-18))


def _middle(values: Floats) -> float:
    """The upper median, without what ``np.median`` checks: it is asked thousands of times."""
    return float(np.partition(values, len(values) // 2)[len(values) // 2])
