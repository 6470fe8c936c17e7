"""Latency against load: differences between versions at the same load, bends of the curve, hours that are slow. Numbers in, numbers out.

Points are blocks of time (a minute, a day) in order of time. Neighbours resemble each other, so that all errors are those of stretches of
points (clusters) and never of single points.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
STRETCH_MIN, STRETCH_MAX = 5, 120
CLUSTERS_MIN = 5
ERROR_FLOOR = 0.005
"""Counters round latencies to buckets about 1 % wide: no difference of logarithms is known better than this."""


@dataclass(frozen=True, slots=True)
class Difference:
    """``effect`` of the new over the old at the same load, with its 95 % interval and two-sided p-value; units are those of ``y``.

    ``load_low`` to ``load_high``: the loads that both were seen at. ``clusters``: stretches of time of (old, new).
    """

    effect: float
    low: float
    high: float
    p_value: float
    load_low: float
    load_high: float
    clusters: tuple[int, int]
    points: tuple[int, int]


def common_loads(old: Floats, new: Floats) -> tuple[float, float] | None:
    """The loads both were seen at, without the outermost 2 %; None when they have none in common."""
    if not len(old) or not len(new):
        return None
    low = max(float(np.quantile(old, 0.02)), float(np.quantile(new, 0.02)))
    high = min(float(np.quantile(old, 0.98)), float(np.quantile(new, 0.98)))
    return (low, high) if low <= high else None


def difference(
    y: Floats, load: Floats, new: NDArray[np.bool_], at: Floats, *, weight: Floats | None = None, floor: float = ERROR_FLOOR
) -> Difference | None:
    """How far ``y`` of the points that are ``new`` lies above the others at the same load; None: too little in common.

    All arrays have one entry per point; ``at``: its time, in any unit that points are one apart. The curve of ``y`` over load is a broken
    line with three bends; errors are cluster-robust (CR1) with as many degrees of freedom as the side with fewer stretches has, less one.
    Source: Liang and Zeger 1986; Bell and McCaffrey 2002 on few clusters.
    """
    ok = np.isfinite(y) & np.isfinite(load)
    span = common_loads(load[ok & ~new], load[ok & new])
    if span is None:
        return None
    use = ok & (load >= span[0]) & (load <= span[1])
    y, load, new, at = y[use], load[use], new[use], at[use]
    heavy = np.ones(len(y)) if weight is None else weight[use]
    if min(int(new.sum()), int((~new).sum())) < CLUSTERS_MIN:
        return None
    design = np.column_stack([new.astype(np.float64), _curve(load)])
    beta, residual = _least_squares(design, y, heavy)
    group = _stretches(at, residual)
    sides = (len(np.unique(group[~new])), len(np.unique(group[new])))
    if min(sides) < CLUSTERS_MIN:
        return None
    error = math.hypot(_cluster_error(design, residual, heavy, group), floor)
    freedom = min(sides) - 1
    reach = float(stdtrit(freedom, 0.975)) * error
    effect = float(beta[0])
    p_value = float(2 * stdtr(freedom, -abs(effect) / error))
    return Difference(effect, effect - reach, effect + reach, p_value, *span, sides, (int((~new).sum()), int(new.sum())))


def _curve(load: Floats) -> Floats:
    """A broken line: constant, slope, and a bend at each quartile; those that say nothing new are left to the solver."""
    spread = float(np.ptp(load)) or 1.0
    scaled = (load - load.min()) / spread
    bends = np.unique(np.quantile(scaled, [0.25, 0.5, 0.75]))
    return np.column_stack([np.ones(len(load)), scaled, *(np.maximum(scaled - bend, 0.0) for bend in bends)])


def _least_squares(design: Floats, y: Floats, weight: Floats) -> tuple[Floats, Floats]:
    root = np.sqrt(weight)
    beta: Floats = np.linalg.lstsq(design * root[:, None], y * root, rcond=1e-10)[0].astype(np.float64)
    return beta, y - design @ beta


def _stretches(at: Floats, residual: Floats) -> Ints:
    """Stretches so long that one knows little of the next: six times the time over which residuals remember.

    What a sample shows of its memory is too little by about (1 + 4 r) / points. Source: Kendall 1954.
    """
    order = np.argsort(at, kind="stable")
    ordered, times = residual[order], at[order]
    near = np.diff(times) <= 1.5
    remembered = 0.0
    if near.sum() >= 10:
        before, after = ordered[:-1][near], ordered[1:][near]
        scale = float(np.sqrt((before**2).mean() * (after**2).mean()))
        plain = float((before * after).mean()) / scale if scale > 0 else 0.0
        remembered = float(np.clip(plain + 3 * (1 + 4 * plain) / len(before), 0.0, 0.97)) if plain > 0 else 0.0
    length = float(np.clip(math.ceil(6 * (1 + remembered) / (1 - remembered)), STRETCH_MIN, STRETCH_MAX))
    if float(np.median(np.diff(times))) > 1.5 or len(at) < 40:
        length = 1.0  # points that are days apart, or few: each for itself
    place: Ints = np.floor((at - at.min()) / length).astype(np.int64)
    return place


def _cluster_error(design: Floats, residual: Floats, weight: Floats, group: Ints) -> float:
    """Standard error of the first coefficient."""
    bread = np.linalg.pinv((design * weight[:, None]).T @ design, rcond=1e-10)
    _, place = np.unique(group, return_inverse=True)
    count = int(place.max()) + 1
    scores = np.zeros((count, design.shape[1]))
    np.add.at(scores, place, design * (weight * residual)[:, None])
    correction = count / max(count - 1, 1) * (len(residual) - 1) / max(len(residual) - design.shape[1], 1)
    variance = float((bread[0] @ scores.T @ scores @ bread[0]) * correction)
    return math.sqrt(max(variance, 0.0))


@dataclass(frozen=True, slots=True)
class Knee:
    """The load from which on ``y`` rises faster, with a 95 % interval; slopes are of ``y`` per unit of load, before and after."""

    load: float
    low: float
    high: float
    slope_before: float
    slope_after: float
    p_value: float
    points: int


def knee(load: Floats, y: Floats, *, seed: int = 0, draws: int = 399) -> Knee | None:
    """Where the curve of ``y`` (logarithm of latency) over load bends upwards; None where a straight line explains it as well (p > 0.01).

    Points are in order of time. One bend is searched on a grid of loads from the 10 % to the 90 % quantile; the search itself is part of
    the test, which compares the best bend with the best bends of straight lines whose residuals are moved in blocks. The interval comes
    from the same blocks. Source: Hansen 1996 on tests with a parameter that exists under the alternative only; Künsch 1989 on blocks.
    """
    ok = np.isfinite(load) & np.isfinite(y)
    load, y = load[ok], y[ok]
    if len(y) < 40 or float(np.ptp(load)) <= 0:
        return None
    grid = np.unique(np.quantile(load, np.linspace(0.1, 0.9, 41)))
    straight = np.column_stack([np.ones(len(load)), load])
    base, _ = np.linalg.qr(straight)
    hinges = np.maximum(load[None, :] - grid[:, None], 0.0)
    free = hinges - (hinges @ base) @ base.T
    length = np.sqrt((free**2).sum(axis=1))
    seen = length > 1e-9 * max(float(np.abs(load).max()), 1.0)
    grid, free = grid[seen], free[seen] / length[seen][:, None]
    if not len(grid):
        return None
    line = base @ (base.T @ y)
    place, gain, bend = _best(free, y - line)
    size = _block_size(y - line - bend * free[place])
    random = np.random.default_rng(seed)
    null = line[None, :] + _blocks(y - line - bend * free[place], size, draws, random)
    gains = _gains(free, null - (null @ base) @ base.T)
    p_value = float((1 + (gains >= gain).sum()) / (draws + 1))
    if bend <= 0 or p_value > 0.01:
        return None
    fitted = line + bend * free[place]
    again = fitted[None, :] + _blocks(y - fitted, size, draws, random)
    places = np.argmax(np.maximum((again - (again @ base) @ base.T) @ free.T, 0.0), axis=1)
    low, high = np.quantile(places, [0.025, 0.975])  # and one step of the grid, which is as near as it can be known
    ends = grid[max(int(low) - 1, 0)], grid[min(math.ceil(high) + 1, len(grid) - 1)]
    design = np.column_stack([straight, np.maximum(load - grid[place], 0.0)])
    _, slope, more = np.linalg.lstsq(design, y, rcond=None)[0]
    return Knee(float(grid[place]), float(ends[0]), float(ends[1]), float(slope), float(slope + more), p_value, len(y))


def _best(free: Floats, residual: Floats) -> tuple[int, float, float]:
    """Place on the grid, gain against a straight line, and size of the best upward bend."""
    along = free @ residual
    place = int(np.argmax(along))
    return place, float(_gains(free, residual[None, :])[0]), float(along[place])


def _gains(free: Floats, residual: Floats) -> Floats:
    """By how much one upward bend reduces the squares of each row, as a share of what is left."""
    best = np.maximum((residual @ free.T).max(axis=1), 0.0) ** 2
    whole: Floats = (residual**2).sum(axis=1)
    share: Floats = best / np.maximum(whole - best, 1e-300)
    return share


def _block_size(residual: Floats) -> int:
    first = float(np.corrcoef(residual[:-1], residual[1:])[0, 1]) if residual.std() > 0 else 0.0
    kept = min(max(first, 0.0), 0.95) if math.isfinite(first) else 0.0
    return int(np.clip(math.ceil(3 * (1 + kept) / (1 - kept)), 3, max(len(residual) // 8, 3)))


def _blocks(residual: Floats, size: int, draws: int, random: np.random.Generator) -> Floats:
    """Residuals in blocks from anywhere, with a random sign for each block; shape (draws, points)."""
    count = math.ceil(len(residual) / size)
    starts = random.integers(0, len(residual), (draws, count))
    index = (starts[:, :, None] + np.arange(size)) % len(residual)
    signs = random.choice([-1.0, 1.0], (draws, count))
    moved: Floats = (residual[index] * signs[:, :, None]).reshape(draws, -1)[:, : len(residual)]
    return moved


@dataclass(frozen=True, slots=True)
class SlowHour:
    """An hour of the day (UTC, 0 to 23) at which ``y`` lies ``effect`` above the others at the same load, over ``days`` days."""

    hour: int
    effect: float
    low: float
    high: float
    p_value: float
    days: int


def slow_hours(y: Floats, load: Floats, at_s: Floats, *, days_min: int = 4) -> list[SlowHour]:
    """Every hour that was seen on ``days_min`` days, load taken out; one value per day and hour, so that a day counts once."""
    ok = np.isfinite(y) & np.isfinite(load)
    y, load, at_s = y[ok], load[ok], at_s[ok]
    if len(y) < 100:
        return []
    _, residual = _least_squares(_curve(load), y, np.ones(len(y)))
    hour, day = (at_s // 3600 % 24).astype(np.int64), (at_s // 86_400).astype(np.int64)
    found = []
    for each in range(24):
        own = hour == each
        gaps = [
            float(residual[own & (day == one)].mean() - residual[~own & (day == one)].mean())
            for one in np.unique(day[own])
            if (~own & (day == one)).any()
        ]
        if len(gaps) >= days_min:
            found.append(SlowHour(each, *mean_gap(np.array(gaps)), len(gaps)))
    return found


def mean_gap(gaps: Floats) -> tuple[float, float, float, float]:
    """Mean of independent differences, its 95 % interval and two-sided p-value (Student's t, error not below the floor)."""
    error = math.hypot(float(gaps.std(ddof=1)) / math.sqrt(len(gaps)), ERROR_FLOOR)
    effect, freedom = float(gaps.mean()), len(gaps) - 1
    reach = float(stdtrit(freedom, 0.975)) * error
    return effect, effect - reach, effect + reach, float(2 * stdtr(freedom, -abs(effect) / error))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values that hold for all of them together, in the same order. Source: Holm 1979."""
    order = sorted(range(len(p_values)), key=lambda each: p_values[each])
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, each in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[each]))
        adjusted[each] = highest
    return adjusted
