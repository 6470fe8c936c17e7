"""From daily figures to what a night finds: series of use, failures and latency, discoveries, and their figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from productops.domain.analytics_insight import AnalyticsInsightState, Insight, InsightNight, Measure
from productops.domain.analytics_insight_daily import DailyFigures
from productops.stats.analytics_insight_effect import Effect, interrupted
from productops.stats.analytics_insight_explain import Share, explain_amount
from productops.stats.analytics_insight_fdr import Night
from productops.stats.analytics_insight_find import Change, find, segment_of
from productops.stats.analytics_insight_panel import Panel, Pause, clean
from productops.stats.analytics_insight_scan import Scanner

Floats = NDArray[np.float64]
HISTORY_DAYS = 300
"""So far back a night looks: four weeks to learn, and what earlier nights would have seen, 84 for the tails and 84 for each row."""
SEGMENTS = ("platform", "country", "environment")
"""Versions come and go with releases: that their use rises and falls says nothing."""
RATE_SEGMENTS = ("platform",)
KNOWN_MIN = 35
SMALL = 5.0
GAP_DAYS = 2
CONTROLS = 60
RATE_EVENTS_MIN = 20.0
_DIMENSIONS = ("", *SEGMENTS)
MEASURES = (Measure.USE, Measure.FAILURES, Measure.LATENCY)


@dataclass(frozen=True, slots=True)
class Series:
    """What a row of the panel is."""

    feature: str
    dimension: str
    value: str
    measure: Measure


@dataclass(frozen=True, slots=True)
class Watched:
    """A panel, what its rows are, and the day of its first column."""

    panel: Panel
    series: tuple[Series, ...]
    first: date

    @property
    def days(self) -> int:
        """How many days it has."""
        return int(self.panel.values.shape[1])

    def column(self, day: date) -> int:
        """Where a day is, perhaps outside."""
        return (day - self.first).days

    def day(self, column: int) -> date:
        """The day of a column."""
        return self.first + timedelta(days=column)

    def rows(self, feature: str, measure: Measure) -> NDArray[np.intp]:
        """All rows of a feature and measure, whole and parts."""
        found = [at for at, each in enumerate(self.series) if each.feature == feature and each.measure is measure]
        return np.array(found, dtype=np.intp)

    def row(self, feature: str, measure: Measure, dimension: str = "", value: str = "") -> int | None:
        """One row; None when it is not looked at."""
        wanted = Series(feature, dimension, value, measure)
        return self.series.index(wanted) if wanted in self.series else None


@dataclass(frozen=True, slots=True)
class Discovery:
    """A change with its figures. ``parts``: segments of the explaining dimension and what they have to do with it."""

    series: Series
    change: Change
    effect: Effect
    parts: tuple[tuple[Series, Share], ...]


def watched(figures: DailyFigures) -> Watched:
    """The series that can be looked at: known on five weeks at least."""
    lost = np.asarray(~np.isfinite(figures.people).any(axis=0), dtype=np.bool_)
    rows: list[Floats] = []
    series: list[Series] = []
    people = _usage(figures)
    tables = {Measure.USE: _filled(people, lost), Measure.FAILURES: _rates(figures), Measure.LATENCY: figures.latency_ms}
    for measure, table in tables.items():
        split = SEGMENTS if measure is Measure.USE else RATE_SEGMENTS
        enough = np.isfinite(table).sum(axis=1) >= KNOWN_MIN
        for at, (feature, dimension, value) in enumerate(figures.keys):
            if enough[at] and (not dimension or dimension in split):
                rows.append(table[at])
                series.append(Series(feature, dimension, value, measure))
    return Watched(_panel(rows, series, figures), tuple(series), figures.first)


def _usage(figures: DailyFigures) -> Floats:
    """People; events where nobody is told apart."""
    nobody = np.nan_to_num(figures.people).sum(axis=1) == 0
    return np.where(nobody[:, None], figures.events, figures.people)


def _filled(counts: Floats, lost: NDArray[np.bool_]) -> Floats:
    """A day without a row is a day without use, from the third in a row on; one or two may be lost. Of small counts, each is a zero."""
    out = counts.copy()
    away = np.zeros(len(counts), dtype=np.intp)
    with np.errstate(all="ignore"):
        usual = np.nansum(counts, axis=1) / np.maximum(np.isfinite(counts).sum(axis=1), 1)
    begun = np.zeros(len(counts), bool)
    for day in range(counts.shape[1]):
        known = np.isfinite(counts[:, day])
        begun |= known
        if lost[day]:
            continue
        away = np.where(known, 0, away + 1)
        out[begun & (away > 0) & ((away > GAP_DAYS) | (usual < SMALL)), day] = 0.0
    return out


def _rates(figures: DailyFigures) -> Floats:
    """Failures as if every day had the usual number of events; NaN on days with too few to say anything."""
    with np.errstate(all="ignore"):
        usual = np.array([np.median(row[np.isfinite(row)]) if np.isfinite(row).any() else 0.0 for row in figures.events])
        rates = figures.failures * usual[:, None] / figures.events
    rates = np.where(figures.events >= np.maximum(RATE_EVENTS_MIN, usual[:, None] / 10), rates, np.nan)
    rates[np.nan_to_num(figures.failures).sum(axis=1) == 0] = np.nan
    return np.asarray(rates)


def _panel(rows: list[Floats], series: list[Series], figures: DailyFigures) -> Panel:
    wholes = {(each.feature, each.measure): at for at, each in enumerate(series) if not each.dimension}
    parent = [wholes.get((each.feature, each.measure), -1) if each.dimension else -1 for each in series]
    groups: dict[tuple[Measure, str, str], int] = {}
    group = [groups.setdefault((s.measure, s.dimension, s.value), len(groups)) if s.dimension else -1 for s in series]
    units: dict[str, int] = {}
    unit = [units.setdefault(each.feature, len(units)) for each in series]
    weekday = (np.arange(figures.days) + figures.first.weekday()) % 7
    values = np.array(rows) if rows else np.empty((0, figures.days))
    return Panel(
        values, np.array(parent, dtype=np.intp), np.array(group, dtype=np.intp), weekday,
        np.array([each.measure is not Measure.LATENCY for each in series], dtype=bool),
        np.array([MEASURES.index(each.measure) for each in series], dtype=np.intp), np.array(unit, dtype=np.intp),
        np.array([_DIMENSIONS.index(each.dimension) - 1 for each in series], dtype=np.intp),
    )  # fmt: skip


def search(seen: Watched, known: Sequence[Insight], nights: Sequence[InsightNight]) -> tuple[list[Discovery], Night]:
    """What the last day of the panel shows that is not known yet, and what looking has spent."""
    if not seen.series:
        return [], Night(0, 0.0, 0, 0)
    pauses = [pause for each in known if (pause := _pause(seen, each)) is not None]
    scanner = Scanner(seen.panel, clean(seen.panel, pauses=pauses))
    found, night = find(scanner, seen.days - 1, [Night(n.tests, n.level, n.rejected, n.rejected_most) for n in nights])
    return [discovery(seen, change) for change in found], night


def _pause(seen: Watched, insight: Insight) -> Pause | None:
    rows = seen.rows(insight.finding.feature, insight.finding.measure)
    first, until = seen.column(insight.finding.first_day), seen.column(insight.finding.quiet_until)
    if len(rows) == 0 or until <= 0 or first >= seen.days:
        return None
    return Pause(rows, max(first, 0), min(until, seen.days))


def discovery(seen: Watched, change: Change) -> Discovery:
    """The figures of a change: against what was to be expected, and by segment."""
    rows = seen.rows(seen.series[change.row].feature, seen.series[change.row].measure)
    part = segment_of(seen.panel, rows, change.first, seen.days - 1)
    if part is not None:
        change = replace(change, row=part)
    effect = effect_of(seen, change.row, change.first)
    if effect is None:
        effect = _plain(seen, change)
    return Discovery(seen.series[change.row], change, effect, parts_of(seen, change.row, change.first))


def effect_of(seen: Watched, row: int, first: int) -> Effect | None:
    """The course of a row from a day on against what would have been expected; None where too little is known."""
    measure = seen.panel.measure[row]
    peers = np.flatnonzero((seen.panel.parent < 0) & (seen.panel.measure == measure) & (seen.panel.unit != seen.panel.unit[row]))
    controls = seen.panel.values[peers[:CONTROLS]]
    return interrupted(seen.panel.values[row], controls, first, seen.panel.weekday, count=bool(seen.panel.counts[row]))


def _plain(seen: Watched, change: Change) -> Effect:
    """For a change so new that its effect cannot be estimated: the step itself, between nothing and twice of it."""
    moved = float(np.expm1(np.clip(change.change, -5, 5)))
    return Effect(moved, min(0.0, 2 * moved), max(0.0, 2 * moved), change.p, 0, 0, seen.days, np.empty(0))


def parts_of(seen: Watched, row: int, first: int) -> tuple[tuple[Series, Share], ...]:
    """Segments of the feature by dimension, and what each contributes; the dimension with the most uneven shares first."""
    own = seen.series[row]
    rows = [at for at in seen.rows(own.feature, own.measure) if seen.series[at].dimension]
    found: list[tuple[Series, Share]] = []
    for dimension in sorted({seen.series[at].dimension for at in rows}):
        here = [at for at in rows if seen.series[at].dimension == dimension]
        before, after = (np.array([_mean(seen.panel.values[at, span]) for at in here]) for span in _spans(first, seen.days))
        found += [(seen.series[here[share.index]], share) for share in explain_amount(before, after)]
    return tuple(sorted(found, key=lambda each: (each[0].dimension != own.dimension, -abs(each[1].share))))[:24]


def _spans(first: int, days: int) -> tuple[slice, slice]:
    return slice(max(0, first - 28), first), slice(first, days)


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else 0.0


def is_over(seen: Watched, insight: Insight, *, days: int = 7, share: float = 0.35) -> bool:
    """Whether the newest week is back where it would have been: within a third of what was found."""
    finding = insight.finding
    row = seen.row(finding.feature, finding.measure, finding.dimension, finding.value)
    first = seen.column(finding.first_day)
    if row is None or insight.state is not AnalyticsInsightState.OPEN or seen.days - first < 2 * days or first < KNOWN_MIN:
        return False
    effect = effect_of(seen, row, first)
    if effect is None:
        return False
    actual = seen.panel.values[row, -days:]
    ratio = (actual + 0.5) / (effect.expected[-days:] + 0.5)
    ratio = ratio[np.isfinite(ratio)]
    return len(ratio) >= days - 2 and abs(float(np.median(ratio)) - 1) < share * abs(finding.change)
