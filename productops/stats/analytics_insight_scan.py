"""The newest days of every series against those before them, at several spans, with the noise that the series itself has shown.

The newest ``span`` days are compared with a straight line through the 56 days before them, whose slope is believed as far as slopes of
this venture are usual. What all series, or all parts of a whole, or a segment of all wholes did is taken out. How far such differences
went on earlier nights says how far they go by chance: for a row of its own, and for all rows together in the tails.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from productops.stats.analytics_insight_panel import SHARED_MIN, Cleaned, Panel, sensitivity, weighted_median

Floats = NDArray[np.float64]
SPANS = (1, 4, 7, 14, 28)
REFERENCE_DAYS = 56
REFERENCE_MIN = 21
NIGHTS_KEPT = 84
NIGHTS_MIN = 14
KEPT_NIGHTS = 7
DAYS_MIN = 35
SUSPECT = 5.0
POOL_MIN = 2000
SINGLE_POOL_MIN = 40_000
TAIL = np.array([0.01, 0.002, 0.0005])
TAIL_CARE = 1.08
FEW_WIDER = 1.45
FEW_ROWS = 150
OWN_MOST = 2.5
_SLOPES = (2e-4, 4e-3)
_PRIOR_NIGHTS = 6.0


class Sums:
    """Sums over any stretch of days of rows, from running totals. Shapes (series, days + 1)."""

    def __init__(self, panel: Panel, cleaned: Cleaned) -> None:
        days = cleaned.bounded.shape[1]
        self.day = np.arange(days, dtype=np.float64)
        self.totals = _totals(cleaned.bounded, self.day)
        self.beside = _beside(panel, cleaned)

    def replace(self, rows: NDArray[np.intp], cleaned: Cleaned) -> None:
        """These rows of ``cleaned`` are new; what rows have in common with their wholes stays as it was."""
        fresh = _totals(cleaned.bounded, self.day)
        for old, new in zip(self.totals, fresh, strict=True):
            old[rows] = new

    def between(self, first: int, last: int) -> list[Floats]:
        """Count, sum of days, of days squared, of values, of days times values, of values squared in [first, last)."""
        return [total[:, last] - total[:, first] for total in self.totals]


def _totals(bounded: Floats, day: Floats) -> list[Floats]:
    known = np.isfinite(bounded)
    x = np.where(known, bounded, 0.0)
    m = known.astype(np.float64)
    return [_running(each) for each in (m, m * day, m * day**2, x, x * day)]


def _running(values: Floats) -> Floats:
    out = np.zeros((values.shape[0], values.shape[1] + 1))
    np.cumsum(values, axis=1, out=out[:, 1:])
    return out


def _beside(panel: Panel, cleaned: Cleaned) -> Floats | None:
    """How much of what a whole does its parts do, by day, from all days before; shape (parts, days). None: there are no parts."""
    parts = np.flatnonzero(panel.parent >= 0)
    if len(parts) == 0:
        return None
    residual = np.nan_to_num(cleaned.bounded - cleaned.level) / sensitivity(cleaned.level, panel.counts[:, None])
    own, of = residual[parts], residual[panel.parent[parts]]
    keep = 0.98
    both, square = np.zeros(len(parts)), np.zeros(len(parts))
    found = np.empty(own.shape, dtype=np.float32)
    for day in range(own.shape[1]):
        both, square = keep * both + own[:, day] * of[:, day], keep * square + of[:, day] ** 2
        found[:, day] = np.clip(both / np.maximum(square, 1e-12), 0.0, 1.0)
    return found.astype(np.float64)


@dataclass(slots=True)
class Scanner:
    """A panel and its history of differences. ``nights`` by span: (differences over their modelled error, by night), newest last."""

    panel: Panel
    cleaned: Cleaned
    sums: Sums = field(init=False)
    peers: list[NDArray[np.intp]] = field(init=False)
    groups: list[NDArray[np.intp]] = field(init=False)
    past: dict[int, dict[int, Floats]] = field(init=False)
    held: dict[int, dict[int, Floats]] = field(init=False)
    usual: dict[int, dict[int, Floats]] = field(init=False)

    def __post_init__(self) -> None:
        self.sums = Sums(self.panel, self.cleaned)
        self.peers, self.groups = self.panel.peers(), self.panel.groups()
        self.past = {span: {} for span in SPANS}
        self.held = {span: {} for span in SPANS}
        self.usual = {span: {} for span in SPANS}

    def ratios(self, day: int, span: int) -> Floats:
        """Difference over modelled error of every row; NaN where there is too little. Kept."""
        if day not in self.past[span]:
            self.past[span][day] = self._ratios(day, span)
        return self.past[span][day]

    def _ratios(self, day: int, span: int) -> Floats:
        if span == 1:
            known = self.sums.totals[0][:, day] >= DAYS_MIN
            ratio = (self.cleaned.course[:, day] - self.cleaned.level[:, day]) / self.cleaned.scale[:, day]
            return np.where(known, ratio, np.nan)
        difference, variance = self._differences(day, span)
        error = np.sqrt(variance)
        difference = self._without_shared(difference, error, day)
        return difference / error

    def _differences(self, day: int, span: int) -> tuple[Floats, Floats]:
        last, cut = day + 1, day + 1 - span
        n1, d1, _, x1, _ = self.sums.between(cut, last)
        first = max(0, cut - REFERENCE_DAYS)
        n0, d0, dd0, x0, dx0 = self.sums.between(first, cut)
        with np.errstate(all="ignore"):
            middle0, middle1 = d0 / n0, d1 / n1
            stt = dd0 - n0 * middle0**2
            slope = (dx0 - middle0 * x0) / stt
            noise = self.cleaned.scale[:, max(0, cut - 1)] ** 2
            usual = _usual_slope(slope, noise / stt)
            trust = usual / (usual + noise / stt)
            far = middle1 - middle0
            difference = x1 / n1 - x0 / n0 - trust * slope * far
            variance = noise * (1 / n1 + 1 / n0) + far**2 * usual * (noise / stt) / (usual + noise / stt)
        enough = (n0 >= REFERENCE_MIN) & (n1 >= max(1, 0.6 * span))
        return np.where(enough, difference, np.nan), np.where(enough, variance, np.nan)

    def _without_shared(self, difference: Floats, error: Floats, day: int) -> Floats:
        parent = self.panel.parent
        parts = np.flatnonzero(parent >= 0)
        felt = sensitivity(self.cleaned.level[:, day], self.panel.counts)
        out, error = difference / felt, error / felt
        for rows in self.peers:
            usual = weighted_median(out[rows], 1 / error[rows] ** 2)
            out[self.panel.measure == self.panel.measure[rows[0]]] -= usual
        if len(parts) and self.sums.beside is not None:
            out[parts] -= self.sums.beside[:, day] * np.nan_to_num(out[parent[parts]])
            for rows in self.groups:
                out[rows] -= weighted_median(out[rows], 1 / error[rows] ** 2)
        return out * felt

    def night(self, day: int) -> tuple[Floats, Floats]:
        """(p, signed score) of every row and span, shapes (series, spans): how unlikely the newest days are by chance. NaN: too little."""
        nights = range(max(DAYS_MIN, day - NIGHTS_KEPT), day)
        p = np.full((len(self.panel.parent), len(SPANS)), np.nan)
        score = p.copy()
        suspects = np.zeros(len(p), bool)
        for column in range(len(SPANS) - 1, -1, -1):
            span = SPANS[column]
            earlier = [self._scored(night, span) for night in nights]
            score[:, column] = self._scored(day, span)
            pool = np.stack(earlier) if len(earlier) >= NIGHTS_MIN else None
            if span == 28:
                suspects = self._suspects(pool, score[:, column])
            for kind in (self.panel.parent < 0, self.panel.parent >= 0):
                of_kind = pool[:, kind] if pool is not None else None
                p[kind, column] = _tail(score[kind, column], of_kind, ~suspects[kind], single=span == 1)
        return p, score

    def _suspects(self, pool: Floats | None, now: Floats) -> NDArray[np.bool_]:
        over = np.abs(now) > SUSPECT
        if pool is not None:
            over |= (np.abs(np.nan_to_num(pool)) > SUSPECT).any(axis=0)
        return over

    def _scored(self, day: int, span: int) -> Floats:
        """The ratio over what this row's ratios usually were on nights whose newest days do not overlap."""
        if day not in self.held[span]:
            self.held[span][day] = self.ratios(day, span) / self._usual(day - day % KEPT_NIGHTS, span)
        return self.held[span][day]

    def _usual(self, day: int, span: int) -> Floats:
        """The usual size of a row's ratios, worked out once for some nights."""
        if day not in self.usual[span]:
            nights = range(max(DAYS_MIN, day - span - NIGHTS_KEPT), day - span + 1, max(2, span // 4))
            own = [self.ratios(night, span) for night in nights]
            self.usual[span][day] = np.sqrt(_inflation(own, span, len(self.panel.parent)))
        return self.usual[span][day]

    def pause(self, rows: NDArray[np.intp], cleaned: Cleaned, *, first: int) -> None:
        """These rows are now as in ``cleaned``, in the order of ``rows``; what was kept of them from ``first`` on is void."""
        for name in ("course", "bounded", "level", "scale"):
            getattr(self.cleaned, name)[rows] = getattr(cleaned, name)
        self.sums.replace(rows, cleaned)
        for kept in (self.past, self.held):
            for nights in kept.values():
                for night, values in nights.items():
                    if night >= first:
                        values[rows] = np.nan

    def prune(self, before: int) -> None:
        """Forget nights that no later night looks at."""
        for kept in (self.past, self.held, self.usual):
            for nights in kept.values():
                for night in [each for each in nights if each < before]:
                    del nights[night]


def _usual_slope(slope: Floats, variance: Floats) -> float:
    """Variance of true slopes, by what is left of their spread once noise is taken away."""
    known = np.isfinite(slope) & np.isfinite(variance)
    if known.sum() < SHARED_MIN:
        return _SLOPES[1] ** 2 / 4
    found = float(np.median(slope[known] ** 2 - 0.455 * variance[known]) / 0.455)
    return float(np.clip(found, _SLOPES[0] ** 2, _SLOPES[1] ** 2))


def _inflation(own: list[Floats], span: int, rows: int) -> Floats:
    """By how much the squares of a row's ratios exceed 1 on earlier nights; its own word counts by how much it has seen."""
    if len(own) < max(3, NIGHTS_MIN // max(2, span // 4)):
        return np.full(rows, 1.3)
    squares = np.stack(own) ** 2
    known = np.isfinite(squares)
    seen = known.sum(axis=0)
    ordered = np.sort(squares, axis=0)
    middle = ordered[np.maximum(seen - 1, 0) // 2, np.arange(rows)] / 0.455
    usual = float(np.nanmedian(middle)) if np.isfinite(middle).any() else 1.3
    apart = seen * max(2, span // 4) / (span / 2 + 2)
    mixed = (np.nan_to_num(middle) * apart + usual * _PRIOR_NIGHTS) / (apart + _PRIOR_NIGHTS)
    found: Floats = np.clip(np.where(seen > 0, mixed, usual), 0.8 * usual, OWN_MOST * usual)
    return np.maximum(found, 0.6)


def _tail(score: Floats, pool: Floats | None, trusted: NDArray[np.bool_], *, single: bool) -> Floats:
    """Two-sided p-values, by how far scores went on earlier nights in all rows that are beyond suspicion.

    The normal distribution is widened until its far tail is that of the earlier scores.
    """
    known = np.abs(pool[:, trusted]).ravel() if pool is not None else np.empty(0)
    known = known[np.isfinite(known)]
    if single:
        return _single(score, known)
    wider = FEW_WIDER
    if len(known) >= POOL_MIN:
        seen = np.quantile(known, 1 - TAIL)
        # Few series say little about tails, however many nights they have: what they share comes again night after night.
        few = 1 + (FEW_WIDER - 1) * min(1.0, FEW_ROWS / max(len(score), 1))
        wider = max(few, TAIL_CARE * float((seen / stats.norm.isf(TAIL / 2)).max()))
    found: Floats = 2 * stats.norm.sf(np.abs(score) / wider)
    return found


def _single(score: Floats, known: Floats) -> Floats:
    """One day alone: by the power law of the largest scores so far, since single odd days are of no known shape."""
    if len(known) >= SINGLE_POOL_MIN:
        bar = float(np.quantile(known, 0.999))
        top = known[known > bar]
        power = float(np.clip(1 / max(float(np.mean(np.log(top / bar))), 1e-3), 2.0, 10.0)) if len(top) >= 20 else 4.0
    else:
        bar, power = 8.0, 2.0
    size = np.abs(score)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Floats = np.where(size > bar, 0.001 * (size / bar) ** -power, 1.0)
    return np.where(np.isfinite(size), np.maximum(found, 1e-300), np.nan)
