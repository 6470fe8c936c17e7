"""The detector of ``stats/anomaly.py`` for a single series, in plain numbers: the same margins, without what arrays cost for one row.

A bank spends most of a step on calls that pay off from some twenty series on. Who replays one long series takes this.
"""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass
from typing import Final

from productops.stats.anomaly import BINS, DAY_S, DEFAULT, FEATURES, AnomalyParameters

_TINY: Final = 1e-9
_LN10: Final = math.log(10.0)
_PACES: Final = (0.3, 0.05, 0.01)
RECORD: Final = 4
"""The last of ``HORIZONS``."""


@dataclass(frozen=True, slots=True)
class Glance:
    """What is said of one point: see ``Look`` for the meaning of each."""

    margin: float
    horizon: int
    rarity: float
    expected: float
    up: bool
    begins: bool


NOTHING: Final = Glance(-math.inf, 0, math.nan, math.nan, up=False, begins=False)


class AnomalySeries:
    """One series; ``step_s`` is the usual time between two points, in seconds."""

    def __init__(self, step_s: float, parameters: AnomalyParameters = DEFAULT) -> None:
        p = self.parameters = parameters
        self._prof, self._spread = array("f", bytes(4 * BINS)), array("f", bytes(4 * BINS))  # as narrow as the bank's: the same numbers
        self._visits = [0] * BINS
        self.points = 0
        self._level, self._silent = 0.0, math.inf
        self._with, self._without, self._error = 0.0, 0.0, 0.0
        self._past, self._weights = [0.0] * FEATURES, [0.0] * FEATURES
        self._inverse = [[float(i == j) for j in range(FEATURES)] for i in range(FEATURES)]
        self._smoothed, self._scale = [0.0] * 4, [0.0] * 4
        self._quantile, self._index = [p.tail_start] * 4, [p.tail_index] * 4
        self._lowest, self._highest = [math.inf] * 2, [-math.inf] * 2
        slow = 1.0 - math.exp(-step_s / p.slow_s)
        self._gain = (p.smooth, 1.0, slow, slow)
        self._level_gain = 1.0 - math.exp(-step_s / p.level_s)
        self._per_day = DAY_S / step_s
        self._beyond_after = max(p.beyond_after, p.beyond_after_s / step_s)

    def update(self, at: float, value: float) -> Glance:
        """Judge one value, then learn from it. ``at``: Unix seconds; a value that is not finite did not come."""
        if not math.isfinite(value):
            return NOTHING
        self.points += 1
        if self.points == 1:
            self._level = value
        level = self._level
        bin_ = int(at % DAY_S / DAY_S * BINS)
        season, factor = self._season(bin_, value - level)
        deviation = value - level - season
        guess = sum([w * x for w, x in zip(self._weights, self._past, strict=True)])
        error = deviation - guess
        best, margin, rarity = self._rate(error / factor, deviation / factor, level)
        beyond, above = self._reach((value, deviation), level)
        up = self._smoothed[best] > 0
        if beyond > margin:
            best, margin, rarity, up = RECORD, beyond, math.log10(self.points), above
        noise = max(self._scale[0] * factor, _TINY)
        self._learn_prediction(deviation, error, noise)
        self._learn_season(bin_, value - level, error, noise)
        self._learn_level(value - level, noise)
        if self.points <= self.parameters.warm:
            margin = -math.inf
        return Glance(margin, best, rarity, level + season + guess, up=up, begins=self._begins(margin))

    def _begins(self, margin: float) -> bool:
        over = margin >= 0.0
        begins = over and self._silent > self.parameters.quiet
        self._silent = 1.0 if over else self._silent + 1.0
        return begins

    def _season(self, bin_: int, plain: float) -> tuple[float, float]:
        """What the time of day adds, as far as it is trusted, and how much noisier than usual this time is."""
        visits = self._visits[bin_]
        if not visits:
            return 0.0, 1.0
        season = self._prof[bin_]
        self._with += 0.002 * (abs(plain - season) - self._with)
        self._without += 0.002 * (abs(plain) - self._without)
        trust = min(max((1.0 - self._with / self._without) * 3.0, 0.0), 1.0) if self._without > 0 else 0.0
        often = self._spread[bin_] / self._error if visits >= 2 and self._error > 0 else 1.0
        return season * trust, min(max(often, 0.25), 4.0) ** self.parameters.season_scale_power

    def _rate(self, error: float, deviation: float, level: float) -> tuple[int, float, float]:
        """The horizon that lies farthest beyond its threshold, how far, and its -log10 of the tail probability."""
        p, points = self.parameters, self.points
        floor = max(_TINY * (1.0 + abs(level)), p.resolution * abs(level))
        trusted, chances = points / (points + p.trust_after), p.chances * math.log10(points / p.chances_from)
        best, most, rarest = 0, -math.inf, 0.0
        for k in range(4):
            rarity = self._tail(k, deviation if k == 3 else error, floor)
            evidence = (rarity * trusted if k < 2 else rarity - chances) - p.thresholds[k]
            if evidence > most:
                best, most, rarest = k, evidence, rarity
        return best, most, rarest

    def _tail(self, k: int, seen: float, floor: float) -> float:
        """Rarity on horizon ``k``; learns its scale and its tail."""
        p, points = self.parameters, self.points
        smoothed = self._smoothed[k] = self._smoothed[k] + self._gain[k] * (seen - self._smoothed[k])
        size, scale, quantile, index = abs(smoothed), self._scale[k], self._quantile[k], self._index[k]
        scale = scale or size
        if points < 20:
            scale += (size - scale) / points
        unit = max(scale, floor)
        ratio = max(size / unit, 1e-300)
        beyond = ratio > quantile
        nats = -math.log(p.tail)
        slope = min(max(index, p.tail_index_min), p.tail_index_max)
        nats = nats + math.log(ratio / quantile) / slope if beyond else nats * ratio / quantile
        if points >= 20:
            scale += max(p.scale_rate, p.scale_rate_young / points) * (min(size, p.clip * unit) - scale)
        pace = max(p.tail_rate, min(0.5, 16.0 / points))
        quantile = max(quantile * math.exp(pace * (beyond - p.tail)), 1.5)
        if ratio > quantile:
            self._index[k] = index + (min(math.log(ratio / quantile), 3.0) - index) / p.tail_memory
        self._scale[k], self._quantile[k] = scale, quantile
        return nats / _LN10 if points > p.warm else 0.0

    def _reach(self, seen: tuple[float, float], level: float) -> tuple[float, bool]:
        """How far outside all before, in powers of ten of the share that counts, and whether above."""
        p = self.parameters
        most, above = 0.0, False
        for k, each in enumerate(seen):
            low, high = self._lowest[k], self._highest[k]
            if self.points > self._beyond_after and high - low > p.resolution * abs(level):
                share = max(each - high, low - each) / (high - low)
                if share > most:
                    most, above = share, each > high
            self._lowest[k], self._highest[k] = min(low, each), max(high, each)
        if most <= 0.0:
            return -math.inf, False
        return math.log10(most / (p.beyond * (1.0 + p.beyond_young / self.points))), above

    def _learn_prediction(self, deviation: float, error: float, noise: float) -> None:
        p, past = self.parameters, self._past
        small = min(max(error, -p.clip * noise), p.clip * noise)
        a, b, c, d, e = past
        turned = [row[0] * a + row[1] * b + row[2] * c + row[3] * d + row[4] * e for row in self._inverse]
        weight = sum([x * y for x, y in zip(past, turned, strict=True)]) + noise * noise * p.forgetting
        self._weights = [w + t / weight * small for w, t in zip(self._weights, turned, strict=True)]
        rows = [
            [(x - t * u / weight) / p.forgetting for x, u in zip(row, turned, strict=True)]
            for row, t in zip(self._inverse, turned, strict=True)
        ]
        trace = rows[0][0] + rows[1][1] + rows[2][2] + rows[3][3] + rows[4][4]
        if trace > FEATURES:
            shrink = FEATURES / trace
            rows = [[each * shrink for each in row] for row in rows]
        self._inverse = rows
        self._past = [deviation, a, *[x + pace * (deviation - x) for x, pace in zip((c, d, e), _PACES, strict=True)]]
        self._error += 0.002 * (min(abs(error), p.clip * noise) - self._error)

    def _learn_season(self, bin_: int, plain: float, error: float, noise: float) -> None:
        p = self.parameters
        visits = self._visits[bin_] + 1
        step, size, rate = plain - self._prof[bin_], abs(error), 1.0
        if visits > 1:
            limit = 100.0 * max(self._with, noise)
            step, size = min(max(step, -limit), limit), min(size, p.clip * noise)
            rate = max(p.season_rate, 1.0 / visits)
        self._prof[bin_] += rate * step
        self._spread[bin_] += rate * (size - self._spread[bin_])
        self._visits[bin_] = min(visits, 60_000)

    def _learn_level(self, plain: float, noise: float) -> None:
        limit = 10.0 * max(self._without, noise)
        step = plain if self.points < 50 else min(max(plain, -limit), limit)
        young = 1.0 / self.points if self.points < self._per_day else 0.0
        self._level += max(self._level_gain, young) * step
