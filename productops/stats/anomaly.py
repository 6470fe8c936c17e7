"""One causal anomaly detector for everything: thousands of series at once, no labels, one fixed set of parameters.

For each series the next value is predicted from its time of day (learned, used only as far as it helps) and from what was left over
lately (a robust recursive least squares of order five). What the prediction misses is looked at on four horizons: this point, about
three points, and six hours of both the prediction errors and the deviations from the time of day. On each horizon the
tail of what was seen so far is modelled (a quantile and a Pareto tail beyond it, as in Siffer et al. 2017, SPOT), so that the score is a
probability of this series itself: a series that often jumps has to jump further. A fifth look asks only whether the value, or its
deviation from the time of day, lies outside all that this series has ever shown, by some share of that range.

Nothing looks ahead; a value that does not come (NaN) changes nothing. Arrays have one row for each series.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
DAY_S: Final = 86_400.0
BINS: Final = 288
"""Bins of the day, of five minutes each."""
FEATURES: Final = 5
HORIZONS: Final = ("some points", "this point", "hours of errors", "hours of deviations", "beyond all before")
_TINY: Final = 1e-9


@dataclass(frozen=True, slots=True)
class AnomalyParameters:
    """All there is to choose; the defaults are what the benchmarks are measured with.

    ``thresholds``: for each of the first four horizons, the -log10 of the tail probability from which on a point is anomalous.
    ``trust_after``: on the two fast horizons, evidence counts fully only after some multiples of so many points. ``chances``: on the two
    slow ones, the threshold rises by so much for ten times as many points, from ``chances_from`` on (and falls below it): who looks more
    often finds more by chance. ``beyond``: the share of the range so far by which a value must leave it; more while only some multiples of
    ``beyond_young`` points are known. ``quiet``: points without an anomaly that end an episode.
    """

    thresholds: tuple[float, float, float, float] = (3.4, 3.8, 2.7, 2.7)
    trust_after: float = 12_000.0
    chances: float = 0.3
    chances_from: float = 4000.0
    beyond: float = 0.02
    beyond_young: float = 1000.0
    beyond_after: int = 150
    beyond_after_s: float = 43_200.0
    quiet: int = 15
    smooth: float = 0.3
    slow_s: float = 6 * 3600.0
    level_s: float = 6 * 3600.0
    season_rate: float = 0.15
    season_scale_power: float = 0.5
    tail: float = 0.02
    tail_start: float = 2.5
    tail_rate: float = 0.002
    tail_index: float = 0.25
    tail_index_max: float = 0.2
    tail_index_min: float = 0.05
    tail_memory: float = 50.0
    scale_rate: float = 0.0005
    scale_rate_young: float = 4.0
    clip: float = 4.0
    resolution: float = 1e-3
    warm: int = 50
    forgetting: float = 0.9995


DEFAULT: Final = AnomalyParameters()


@dataclass(frozen=True, slots=True)
class Look:
    """What a bank says of one point of each series.

    ``margin``: how many powers of ten the rarest horizon lies beyond its threshold; from 0 on the point is anomalous. ``horizon`` indexes
    ``HORIZONS``. ``expected``: what was predicted. ``rarity``: -log10 of the tail probability of that horizon; beyond all before, log10 of
    the number of points that were not so far out. ``up``: above what was expected. ``begins``: a new episode. NaN where no value came or
    too little is known yet (margin -inf).
    """

    margin: Floats
    horizon: NDArray[np.int64]
    rarity: Floats
    expected: Floats
    up: NDArray[np.bool_]
    begins: NDArray[np.bool_]


class AnomalyBank:
    """Detectors of ``count`` series; ``step_s`` (a number or one for each) is the usual time between two points, in seconds."""

    def __init__(self, count: int, step_s: float | Floats, parameters: AnomalyParameters = DEFAULT) -> None:
        self.parameters = parameters
        self.count = count
        self.step_s: Floats = np.broadcast_to(np.asarray(step_s, np.float64), (count,)).copy()
        p = parameters
        self.prof = np.zeros((count, BINS), np.float32)
        self.spread = np.zeros((count, BINS), np.float32)
        self.visits = np.zeros((count, BINS), np.uint16)
        self.points: Floats = np.zeros(count)
        self.level: Floats = np.zeros(count)
        self.errors: Floats = np.zeros((count, 3))
        """Mean absolute error with the time of day, without it, and of the prediction (clipped)."""
        self.past: Floats = np.zeros((count, FEATURES))
        """The last two deviations, and three running means of them."""
        self.weights: Floats = np.zeros((count, FEATURES))
        self.inverse: Floats = np.tile(np.eye(FEATURES), (count, 1, 1))
        self.smoothed: Floats = np.zeros((count, 4))
        self.scale: Floats = np.zeros((count, 4))
        self.quantile: Floats = np.full((count, 4), p.tail_start)
        self.index: Floats = np.full((count, 4), p.tail_index)
        self.silent: Floats = np.full(count, np.inf)
        self.lowest: Floats = np.full((count, 2), np.inf)
        """Of the values, and of their deviations from the time of day."""
        self.highest: Floats = np.full((count, 2), -np.inf)
        self._gains()

    def _gains(self) -> None:
        p = self.parameters
        slow = 1.0 - np.exp(-self.step_s / p.slow_s)
        self._gain: Floats = np.stack([np.full(self.count, p.smooth), np.ones(self.count), slow, slow], axis=1)
        self._level_gain: Floats = 1.0 - np.exp(-self.step_s / p.level_s)
        self._per_day: Floats = DAY_S / self.step_s
        self._beyond_after: Floats = np.maximum(p.beyond_after, p.beyond_after_s / self.step_s)

    def resize(self, keep: NDArray[np.int64], step_s: Floats) -> AnomalyBank:
        """A bank of ``len(keep)`` series: row i continues row ``keep[i]`` of this one, or begins anew where that is -1."""
        fresh = AnomalyBank(len(keep), step_s, self.parameters)
        old = np.flatnonzero(keep >= 0)
        for name in STATE:
            getattr(fresh, name)[old] = getattr(self, name)[keep[old]]
        return fresh

    def update(self, at: float | Floats, values: Floats) -> Look:
        """Judge one value of each series, then learn from it. ``at``: Unix seconds, one for all or one for each; ``values``: (count,)."""
        live = np.isfinite(values)
        margin, rarity, expected = np.full(self.count, -np.inf), np.full(self.count, np.nan), np.full(self.count, np.nan)
        horizon, up = np.zeros(self.count, np.int64), np.zeros(self.count, np.bool_)
        begins = np.zeros(self.count, np.bool_)
        if live.any():
            rows: Any = slice(None) if live.all() else np.flatnonzero(live)
            when = np.broadcast_to(np.asarray(at, np.float64), (self.count,))[rows]
            margin[rows], horizon[rows], rarity[rows], expected[rows], up[rows] = self._step(rows, when, values[rows])
            over = margin >= 0.0
            begins = over & (self.silent > self.parameters.quiet)
            self.silent[rows] += 1.0
            self.silent[over] = 1.0
        return Look(margin, horizon, rarity, expected, up, begins)

    def _step(self, rows: Any, at: Floats, value: Floats) -> tuple[Any, ...]:
        p = self.parameters
        number = np.arange(self.count)[rows]
        bin_ = (at % DAY_S / DAY_S * BINS).astype(np.int64)
        points = self.points[rows] + 1.0
        self.points[rows] = points
        level = np.where(points == 1.0, value, self.level[rows])
        known = self.visits[number, bin_] >= 1
        season, spread = self.prof[number, bin_].astype(np.float64), self.spread[number, bin_].astype(np.float64)
        self._compare(rows, value - level, season, known)
        season = np.where(known, season * self._trust(rows), 0.0)
        deviation = value - level - season
        past, weights = self.past[rows], self.weights[rows]
        guess = np.einsum("ij,ij->i", weights, past)
        error = deviation - guess
        usual = self.errors[rows, 2]
        often = np.where(known & (self.visits[number, bin_] >= 2) & (usual > 0), spread / np.maximum(usual, 1e-300), 1.0)
        factor = np.clip(often, 0.25, 4.0) ** p.season_scale_power
        rarity, sign = self._rate(rows, error / factor, deviation / factor, level, points)
        beyond, above = self._reach(rows, np.stack([value, deviation], axis=1), level, points)
        noise = np.maximum(self.scale[rows, 0] * factor, _TINY)
        self._learn_prediction(rows, deviation, error, noise)
        self._learn_season(number, bin_, rows, value - level, error, noise)
        self._learn_level(rows, value, level, noise, points)
        evidence = np.concatenate([self._evidence(rarity, points), beyond[:, None]], axis=1)
        best = np.argmax(evidence, axis=1)
        pick = np.arange(len(best))
        margin = np.where(points > p.warm, evidence[pick, best], -np.inf)
        record = best == len(HORIZONS) - 1
        rare = np.where(record, np.log10(points), rarity[pick, np.minimum(best, 3)])
        up = np.where(record, above, sign[pick, np.minimum(best, 3)] > 0)
        return margin, best, rare, level + season + guess, up

    def _evidence(self, rarity: Floats, points: Floats) -> Floats:
        """How far each of the first four horizons lies beyond its threshold."""
        p = self.parameters
        evidence: Floats = rarity - np.asarray(p.thresholds)
        evidence[:, :2] = rarity[:, :2] * (points / (points + p.trust_after))[:, None] - np.asarray(p.thresholds[:2])
        evidence[:, 2:] -= (p.chances * np.log10(points / p.chances_from))[:, None]
        return evidence

    def _reach(self, rows: Any, seen: Floats, level: Floats, points: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        """How far outside all before, in powers of ten of the share that counts (-inf within), and whether above; then learn."""
        p = self.parameters
        low, high = self.lowest[rows], self.highest[rows]
        spread = high - low
        known = (points > self._beyond_after[rows])[:, None] & (spread > (p.resolution * np.abs(level))[:, None])
        over, under = seen - high, low - seen
        share = np.where(known, np.maximum(over, under) / np.where(known, spread, 1.0), 0.0)
        self.lowest[rows], self.highest[rows] = np.minimum(low, seen), np.maximum(high, seen)
        worst = np.argmax(share, axis=1)
        pick = np.arange(len(worst))
        most = share[pick, worst]
        counts = p.beyond * (1.0 + p.beyond_young / points)
        return np.where(most > 0, np.log10(np.maximum(most, 1e-300) / counts), -np.inf), over[pick, worst] > 0

    def _compare(self, rows: Any, plain: Floats, season: Floats, known: NDArray[np.bool_]) -> None:
        """Does the time of day help? Mean absolute errors with and without it."""
        errors = self.errors[rows]
        rate = np.where(known, 0.002, 0.0)
        errors[:, 0] += rate * (np.abs(plain - season) - errors[:, 0])
        errors[:, 1] += rate * (np.abs(plain) - errors[:, 1])
        self.errors[rows] = errors

    def _trust(self, rows: Any) -> Floats:
        """0 to 1: how far the time of day is used."""
        with_, without = self.errors[rows, 0], self.errors[rows, 1]
        return np.where(without > 0, np.clip((1.0 - with_ / np.maximum(without, 1e-300)) * 3.0, 0.0, 1.0), 0.0)

    def _rate(self, rows: Any, error: Floats, deviation: Floats, level: Floats, points: Floats) -> tuple[Floats, Floats]:
        """-log10 of the tail probability on each horizon, with the sign of what is rare; then learn scale and tail."""
        p = self.parameters
        seen = np.stack([error, error, error, deviation], axis=1)
        smoothed = self.smoothed[rows] + self._gain[rows] * (seen - self.smoothed[rows])
        size = np.abs(smoothed)
        scale, quantile, index = self.scale[rows], self.quantile[rows], self.index[rows]
        young = points[:, None] < 20
        scale = np.where(scale == 0.0, size, scale)
        scale = np.where(young, scale + (size - scale) / points[:, None], scale)
        floor = np.maximum(_TINY * (1.0 + np.abs(level)), p.resolution * np.abs(level))[:, None]
        unit = np.maximum(scale, floor)
        ratio = np.maximum(size / unit, 1e-300)
        beyond = ratio > quantile
        slope = np.minimum(np.maximum(index, p.tail_index_min), p.tail_index_max)
        nats = np.where(beyond, -np.log(p.tail) + np.log(np.maximum(ratio / quantile, 1.0)) / slope, -np.log(p.tail) * ratio / quantile)
        rarity = np.where(points[:, None] > p.warm, nats / np.log(10.0), 0.0)
        gain = np.maximum(p.scale_rate, p.scale_rate_young / points)[:, None]
        scale = np.where(young, scale, scale + gain * (np.minimum(size, p.clip * unit) - scale))
        pace = np.maximum(p.tail_rate, np.minimum(0.5, 16.0 / points))[:, None]
        quantile = np.maximum(quantile * np.exp(pace * (beyond - p.tail)), 1.5)
        excess = np.minimum(np.log(ratio / quantile), 3.0)
        index = np.where(ratio > quantile, index + (excess - index) / p.tail_memory, index)
        self.smoothed[rows], self.scale[rows], self.quantile[rows], self.index[rows] = smoothed, scale, quantile, index
        return rarity, smoothed

    def _learn_prediction(self, rows: Any, deviation: Floats, error: Floats, noise: Floats) -> None:
        """Recursive least squares with forgetting; what lies far outside counts only ``clip`` scales."""
        p = self.parameters
        past, inverse = self.past[rows], self.inverse[rows]
        small = np.clip(error, -p.clip * noise, p.clip * noise)
        turned = np.einsum("ijk,ik->ij", inverse, past)
        weight = np.einsum("ij,ij->i", past, turned) + noise * noise * p.forgetting
        self.weights[rows] += turned / weight[:, None] * small[:, None]
        # The outer product first keeps the matrix symmetric to the last bit; what is not symmetric would grow with the forgetting for ever.
        inverse = (inverse - turned[:, :, None] * turned[:, None, :] / weight[:, None, None]) / p.forgetting
        trace = np.einsum("ijj->i", inverse)
        self.inverse[rows] = inverse * np.where(trace > FEATURES, FEATURES / trace, 1.0)[:, None, None]
        past = past.copy()
        past[:, 1] = past[:, 0]
        past[:, 0] = deviation
        past[:, 2:] += np.asarray([0.3, 0.05, 0.01]) * (deviation[:, None] - past[:, 2:])
        self.past[rows] = past
        self.errors[rows, 2] += 0.002 * (np.minimum(np.abs(error), p.clip * noise) - self.errors[rows, 2])

    def _learn_season(
        self, number: NDArray[np.int64], bin_: NDArray[np.int64], rows: Any, plain: Floats, error: Floats, noise: Floats
    ) -> None:  # fmt: skip
        p = self.parameters
        visits = self.visits[number, bin_].astype(np.float64) + 1.0
        first = visits == 1.0
        rate = np.where(first, 1.0, np.maximum(p.season_rate, 1.0 / visits))
        before, spread = self.prof[number, bin_], self.spread[number, bin_]
        limit = 100.0 * np.maximum(self.errors[rows, 0], noise)
        step = np.where(first, plain - before, np.clip(plain - before, -limit, limit))
        size = np.where(first, np.abs(error), np.minimum(np.abs(error), p.clip * noise))
        self.prof[number, bin_] = before + rate * step
        self.spread[number, bin_] = spread + rate * (size - spread)
        self.visits[number, bin_] = np.minimum(visits, 60_000).astype(np.uint16)

    def _learn_level(self, rows: Any, value: Floats, level: Floats, noise: Floats, points: Floats) -> None:
        limit = 10.0 * np.maximum(self.errors[rows, 1], noise)
        step = np.where(points < 50, value - level, np.clip(value - level, -limit, limit))
        gain = np.maximum(self._level_gain[rows], np.where(points < self._per_day[rows], 1.0 / points, 0.0))
        self.level[rows] = level + gain * step


STATE: Final = (
    "prof", "spread", "visits", "points", "level", "errors", "past", "weights", "inverse", "smoothed", "scale", "quantile", "index",
    "silent", "lowest", "highest",
)  # fmt: skip
