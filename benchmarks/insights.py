"""Insights against planted truths: how many are found, how many are false, how long a night takes, beside two plain detectors.

``venture`` is simulated (``insights_ventures.py``); nobody's real figures are in it. A discovery is right when feature and measure are
those of a truth that has begun, each truth once; a second one of the same truth is false.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import Figure
from benchmarks.insights_ventures import WORLDS, Noise, Venture, simulate
from productops.stats.analytics_insight_effect import interrupted
from productops.stats.analytics_insight_find import Change, Replay
from productops.stats.analytics_insight_forecast import forecast

Floats = NDArray[np.float64]
LATE_DAYS = 45
SAME_DAYS = 60
QUIET_NIGHTS = 28
ESD_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Score:
    """What a detector did in one venture."""

    truths: int
    right: int
    wrong: int
    weeks: float
    days_to_find: float
    night_s: float

    @property
    def precision(self) -> float:
        """Of what it said, the share that is so."""
        return self.right / max(self.right + self.wrong, 1)

    @property
    def recall(self) -> float:
        """Of what is so, the share it said."""
        return self.right / max(self.truths, 1)


def judge(venture: Venture, said: Iterable[tuple[int, int]], *, night_s: float) -> Score:
    """``said``: (row, night) of each discovery, in the order of nights."""
    panel, found, wrong, waits = venture.panel, set(), 0, []
    for row, night in said:
        unit, measure = int(panel.unit[row]), int(panel.measure[row])
        fitting = [
            number
            for number, truth in enumerate(venture.truths)
            if number not in found
            and (truth.unit, truth.measure) == (unit, measure)
            and truth.first - 3 <= night <= truth.first + LATE_DAYS
        ]
        if fitting:
            found.add(fitting[0])
            waits.append(night - venture.truths[fitting[0]].first)
        else:
            wrong += 1
    weeks = (panel.values.shape[1] - venture.begin) / 7
    return Score(len(venture.truths), len(found), wrong, weeks, float(np.median(waits)) if waits else float("nan"), night_s)


def ours(venture: Venture) -> Score:
    """Every night as the flow looks at it. The time is of one night that starts with nothing but the figures."""
    begun = time.perf_counter()
    replay = Replay(venture.panel)
    said = replay.night(venture.begin)
    night_s = time.perf_counter() - begun
    for day in range(venture.begin + 1, venture.panel.values.shape[1]):
        said += replay.night(day)
    return judge(venture, _once(venture, said), night_s=night_s)


def _once(venture: Venture, said: Sequence[Change]) -> list[tuple[int, int]]:
    """As the product keeps them: what is found of a series so soon after an insight of it is that insight, with new figures."""
    newest: dict[tuple[int, int], int] = {}
    kept = []
    for change in said:
        name = (int(venture.panel.unit[change.row]), int(venture.panel.measure[change.row]))
        if name not in newest or change.first - newest[name] > SAME_DAYS:
            newest[name] = change.first
            kept.append((change.row, change.night))
    return kept


def three_sigma(venture: Venture) -> Score:
    """The newest day against mean and standard deviation of the 28 before it; one alarm in four weeks and series."""
    values, said = np.log(venture.panel.values + 1), []
    begun = time.perf_counter()
    silent = np.zeros(len(values), dtype=int)
    for day in range(venture.begin, values.shape[1]):
        before = values[:, day - 28 : day]
        with np.errstate(all="ignore"):
            score = (values[:, day] - np.nanmean(before, axis=1)) / np.nanstd(before, axis=1)
        said += _alarms(np.abs(score) > 3, silent, day)
    return judge(venture, said, night_s=(time.perf_counter() - begun) / (values.shape[1] - venture.begin))


def seasonal_esd(venture: Venture) -> Score:
    """Without weekday and median of eight weeks, a day is odd when the extreme studentised deviate (Rosner 1983) of its series says so."""
    from scipy import stats

    values, said = np.log(venture.panel.values + 1), []
    begun = time.perf_counter()
    silent = np.zeros(len(values), dtype=int)
    count = 56
    tail = stats.t.isf(ESD_SHARE / (2 * count * len(values)), count - 2)
    bar = (count - 1) * tail / np.sqrt((count - 2 + tail**2) * count)
    for day in range(venture.begin, values.shape[1]):
        window = values[:, day - count + 1 : day + 1]
        with np.errstate(all="ignore"):
            week = np.stack([np.nanmedian(window[:, at::7], axis=1) for at in range(7)], axis=1)
            left = window - np.tile(week, 8)
            left -= np.nanmedian(left, axis=1)[:, None]
            score = left[:, -1] / (1.4826 * np.nanmedian(np.abs(left), axis=1))
        said += _alarms(np.abs(score) > bar, silent, day)
    return judge(venture, said, night_s=(time.perf_counter() - begun) / (values.shape[1] - venture.begin))


def _alarms(over: NDArray[np.bool_], silent: NDArray[np.int_], day: int) -> list[tuple[int, int]]:
    rows = np.flatnonzero(over & (silent <= day))
    silent[rows] = day + QUIET_NIGHTS
    return [(int(row), day) for row in rows]


def coverage(noise: Noise, seed: int) -> tuple[float, float]:
    """How often nothing lies in the 95 % interval of an effect of nothing, and how often a day to come in its 80 % range."""
    venture = simulate(seed, noise=noise, features=100, effects=0, dimensions=(2,))
    panel = venture.panel
    rows = np.flatnonzero((panel.parent < 0) & (panel.measure == 0))
    held, within = [], []
    for number, row in enumerate(rows):
        effect = interrupted(panel.values[row], panel.values[np.setdiff1d(rows, [row])[:60]], 230 + number % 25, panel.weekday)
        if effect is not None:
            held.append(effect.low <= 0 <= effect.high)
        ahead, actual = forecast(panel.values[row, :240], 14), panel.values[row, 240:254]
        if ahead is not None:
            within += list(((actual >= ahead.low) & (actual <= ahead.high))[np.isfinite(actual)])
    return float(np.mean(held)), float(np.mean(within))


def run(*, quick: bool, seed: int = 1) -> list[Figure]:
    """Ours in every world, the two others in the usual one; a venture in which nothing happens; coverage."""
    found: list[Figure] = []
    worlds = {"usual": WORLDS["usual"]} if quick else WORLDS
    for name, noise in worlds.items():
        scores = [ours(simulate(seed + number, noise=noise)) for number in range(1 if quick else 3)]
        found += _figures(f"insights, {name}", scores, bars=name in {"usual", "calm"})
    nothing = ours(simulate(seed + 100, noise=replace(WORLDS["usual"]), effects=0))
    found.append(Figure("insights, nothing happens: false a week", nothing.wrong / nothing.weeks, "", bar=1.0))
    usual = simulate(seed, noise=WORLDS["usual"])
    for name, detector in (("three sigma", three_sigma), ("season and ESD", seasonal_esd)):
        found += _figures(f"{name}, usual", [detector(usual)], bars=False)
    effect, days = coverage(WORLDS["usual"], seed + 5)
    found.append(Figure("95 % interval of an effect of nothing holds nothing", effect, "share"))
    found.append(Figure("80 % range of a forecast holds the day", days, "share"))
    return found


def _figures(name: str, scores: Sequence[Score], *, bars: bool) -> list[Figure]:
    right, wrong = sum(s.right for s in scores), sum(s.wrong for s in scores)
    weeks, truths = sum(s.weeks for s in scores), sum(s.truths for s in scores)
    return [
        Figure(f"{name}: precision", right / max(right + wrong, 1), "share", bar=0.9 if bars else None, at_least=True),
        Figure(f"{name}: recall", right / truths, "share", bar=0.8 if bars else None, at_least=True),
        Figure(f"{name}: false a week", wrong / weeks, "", bar=1.0 if bars else None),
        Figure(f"{name}: days to find, median", float(np.nanmedian([s.days_to_find for s in scores])), "days"),
        Figure(f"{name}: a night of {5_060:,} series", max(s.night_s for s in scores), "s", bar=60.0 if bars else None),
    ]
