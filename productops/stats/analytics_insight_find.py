"""What a night finds: features whose newest days differ, since when, by how much, and in which segment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from productops.stats.analytics_insight_fdr import Night, level_of, night_of
from productops.stats.analytics_insight_panel import Cleaned, Panel, Pause, clean_steadied, median, paused, steadied
from productops.stats.analytics_insight_scan import SPANS, Scanner

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
CHANGE_MIN = 0.06
"""Of the steady scale: smaller moves may be real, and nobody would do anything about them."""
QUIET_DAYS = 28
QUIET_AFTER = 14
LOOK_BACK = 45
PART_P = 1e-3
REST_SHARE = 0.45
SEGMENT_SCORE = 5.0


@dataclass(frozen=True, slots=True)
class Change:
    """One discovery. ``row``: what moved; ``first``: the day since when; ``change``: of the steady scale, 0.1 is about 10 %.

    ``span``: newest days that showed it; ``p`` is of the feature (all its rows and spans); ``rows``: all rows that rest until ``until``.
    """

    row: int
    rows: Ints
    first: int
    night: int
    span: int
    change: float
    score: float
    p: float
    until: int

    @property
    def pause(self) -> Pause:
        """What later nights know of it."""
        return Pause(self.rows, self.first, self.until)


def unit_p(p: Floats, panel: Panel) -> tuple[Ints, Floats]:
    """(units, p-value of each): the smallest of its rows and spans, by Bonferroni with half of the weight on wholes, half on parts.

    Spans overlap, so they count for three.
    """
    units, place = np.unique(panel.unit, return_inverse=True)
    least = least_of(p)
    smallest, tested = np.full(len(units), np.inf), np.zeros(len(units))
    for kind in (panel.parent < 0, panel.parent >= 0):
        count, best = np.zeros(len(units)), np.full(len(units), np.inf)
        np.add.at(count, place[kind], np.isfinite(least[kind]))
        np.minimum.at(best, place[kind], least[kind])
        tested += count
        smallest = np.minimum(smallest, np.where(count > 0, 2 * np.maximum(count, 1) * best, np.inf))
    return units[tested > 0], np.minimum(1.0, 3 * smallest)[tested > 0]


def least_of(p: Floats) -> Floats:
    """The smallest p-value of each row; infinite where nothing was tested."""
    found: Floats = np.where(np.isfinite(p), p, np.inf).min(axis=1)
    return found


def find(scanner: Scanner, day: int, nights: Sequence[Night]) -> tuple[list[Change], Night]:
    """The discoveries of one day, and what was spent on them. A panel too short for any test spends nothing."""
    panel = scanner.panel
    p, score = scanner.night(day)
    units, of_unit = unit_p(p, panel)
    if len(units) == 0:
        return [], Night(0, 0.0, 0, 0)
    mask, night = night_of(of_unit, level_of(nights))
    made = [_change_of(scanner, day, int(unit), float(value), p, score) for unit, value in zip(units[mask], of_unit[mask], strict=True)]
    found = [change for change in made if abs(change.change) >= CHANGE_MIN]
    # Discoveries that nobody is told of give nothing back to the budget.
    return found, replace(night, rejected=len(found), rejected_most=max(night.rejected_most - len(made) + len(found), 1))


def _change_of(scanner: Scanner, day: int, unit: int, value: float, p: Floats, score: Floats) -> Change:
    panel = scanner.panel
    rows = np.flatnonzero(panel.unit == unit)
    best = rows[int(np.argmin(least_of(p[rows])))]
    same = rows[panel.measure[rows] == panel.measure[best]]
    row = explaining(scanner.cleaned, panel, same, p, day)
    column = int(np.nanargmin(np.where(np.isfinite(p[row]), p[row], np.inf)))
    first = onset(scanner.cleaned, row, day)
    until = max(first + QUIET_DAYS, day + 1 + QUIET_AFTER)
    change = float(change_since(scanner.cleaned, np.array([row]), first, day)[0])
    return Change(row, same, first, day, SPANS[column], change, float(score[row, column]), value, until)


def onset(cleaned: Cleaned, row: int, day: int) -> int:
    """The day since when the newest days of a row are apart: where the likelihood of one step is largest."""
    first = max(1, day - LOOK_BACK)
    before = cleaned.bounded[row, max(0, first - 28) : first]
    usual = float(np.nan_to_num(np.nanmedian(before))) if np.isfinite(before).any() else 0.0
    x = np.nan_to_num(np.clip(cleaned.course[row, first : day + 1] - usual, *_bounds(cleaned, row, first)))
    tail = np.cumsum(x[::-1])[::-1]
    size = np.arange(len(x), 0, -1)
    return first + int(np.argmax(tail**2 / size))


def _bounds(cleaned: Cleaned, row: int, first: int) -> tuple[float, float]:
    scale = float(cleaned.scale[row, first])
    return -8 * scale, 8 * scale


def change_since(cleaned: Cleaned, rows: Ints, first: int, last: int) -> Floats:
    """Median of the days from ``first`` to ``last`` less that of the four weeks before."""
    with np.errstate(all="ignore"):
        after = median(cleaned.course[rows, first : last + 1])
        return after - median(cleaned.course[rows, max(0, first - 28) : first])


def explaining(cleaned: Cleaned, panel: Panel, rows: Ints, p: Floats, day: int) -> int:
    """The whole, or the one part whose own change leaves the rest of its dimension at rest."""
    least = least_of(p[rows])
    parts = panel.parent[rows] >= 0
    wholes = rows[~parts]
    if not parts.any() or (least[parts].min() > PART_P):
        return int(wholes[0]) if len(wholes) else int(rows[int(np.argmin(least))])
    part = int(rows[parts][int(np.argmin(least[parts]))])
    first = onset(cleaned, part, day)
    moved = change_since(cleaned, rows, first, day)
    own = float(moved[np.flatnonzero(rows == part)[0]])
    others = moved[parts & (rows != part)]
    others = others[np.isfinite(others)]
    rest = float(np.median(others)) if len(others) else 0.0
    if len(wholes) and rest * own > 0 and abs(rest) > REST_SHARE * abs(own):
        return int(wholes[0])
    return part


def segment_of(panel: Panel, rows: Ints, first: int, last: int) -> int | None:
    """The part that moved against its siblings from ``first`` to ``last`` while they stayed; None: no part, or not surely one."""
    x = steadied(panel.values[rows], panel.counts[rows])
    best, found = SEGMENT_SCORE, None
    for at in np.flatnonzero(panel.parent[rows] >= 0):
        siblings = _siblings(panel, rows, int(at))
        if len(siblings) == 0:
            continue
        rest = steadied(np.nansum(panel.values[rows[siblings]], axis=0)[None, :], panel.counts[rows[:1]])[0]
        own, others = _step(x[at], first, last), _step(rest, first, last)
        apart = _step(x[at] - rest, first, last)
        if abs(apart[0]) / max(apart[1], 1e-9) > best and abs(others[0]) < REST_SHARE * abs(own[0]):
            best, found = abs(apart[0]) / max(apart[1], 1e-9), int(rows[at])
    return found


def _siblings(panel: Panel, rows: Ints, at: int) -> Ints:
    same = (panel.dimension[rows] == panel.dimension[rows[at]]) & (panel.parent[rows] >= 0)
    same[at] = False
    return np.flatnonzero(same)


def _step(x: Floats, first: int, last: int) -> tuple[float, float]:
    """The step of a row at ``first``, and its error."""
    before, after = (part[np.isfinite(part)] for part in (x[max(0, first - 28) : first], x[first : last + 1]))
    if len(before) < 14 or len(after) < 2:
        return 0.0, np.inf
    error = float(np.std(before)) * np.sqrt(1 / len(before) + 1 / len(after)) * 1.4
    return float(np.mean(after) - np.mean(before)), error


class Replay:
    """A panel night by night, with everything a night learns known to the next; the production flow keeps the same in the store."""

    def __init__(self, panel: Panel, *, pauses: Sequence[Pause] = (), nights: Sequence[Night] = ()) -> None:
        self.panel = panel
        self.x = steadied(panel.values, panel.counts)
        self.pauses, self.nights = list(pauses), list(nights)
        self.scanner = Scanner(panel, clean_steadied(paused(self.x, panel, self.pauses), panel))

    def night(self, day: int) -> list[Change]:
        """Test the day ``day``. Changes that are found rest in later nights."""
        found, night = find(self.scanner, day, self.nights)
        self.nights.append(night)
        for change in found:
            self.pauses.append(change.pause)
            self._clean(change.rows, change.first)
        self.scanner.prune(day - 250)
        return found

    def _clean(self, rows: Ints, first: int) -> None:
        mine = [each for each in self.pauses if np.isin(rows, each.rows).any()]
        part = Panel(
            self.panel.values[rows], np.full(len(rows), -1), np.full(len(rows), -1), self.panel.weekday, self.panel.counts[rows],
            self.panel.measure[rows], self.panel.unit[rows], self.panel.dimension[rows],
        )  # fmt: skip
        x = paused(self.x, self.panel, mine)[rows]
        self.scanner.pause(rows, clean_steadied(x, part, shared=self.scanner.cleaned.shared[rows]), first=first)
