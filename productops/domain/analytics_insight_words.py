"""Insights in words: what happened, how sure that is, what else could explain it, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

import numpy as np

from productops.domain.analytics_insight import Action, ActionKind, AnalyticsInsightKind, Finding, Measure, kind_of
from productops.domain.analytics_insight_find import Discovery, Series, Watched
from productops.stats.analytics_insight_forecast import Forecast, forecast

NOUNS = {Measure.USE: "people", Measure.FAILURES: "failures", Measure.LATENCY: "milliseconds"}
VERBS = {
    AnalyticsInsightKind.USE_ROSE: "is used more", AnalyticsInsightKind.USE_FELL: "is used less",
    AnalyticsInsightKind.FAILURES_ROSE: "fails more often", AnalyticsInsightKind.FAILURES_FELL: "fails less often",
    AnalyticsInsightKind.SLOWER: "answers more slowly", AnalyticsInsightKind.FASTER: "answers faster",
    AnalyticsInsightKind.ADOPTED: "is used more since a release",
}  # fmt: skip
ROWS_SHOWN = 120
PARTS_SHOWN = 8
AHEAD_DAYS = 14


@dataclass(frozen=True, slots=True)
class Cause:
    """Something that happened about then. ``kind``: release, flag, other-change, shared. ``detail`` names it for programs."""

    kind: str
    text: str
    day: date
    detail: dict[str, str | float] = field(default_factory=dict)


def finding_of(seen: Watched, found: Discovery, causes: Sequence[Cause]) -> Finding:
    """The finding with its words and evidence."""
    series, effect = found.series, found.effect
    kind = kind_of(series.measure, effect.change)
    first = seen.day(found.change.first)
    if kind is AnalyticsInsightKind.USE_ROSE and any(each.kind in {"release", "flag"} for each in causes):
        kind = AnalyticsInsightKind.ADOPTED
    usual = _usual(effect.expected, found, seen)
    ahead = forecast(seen.panel.values[found.change.row], AHEAD_DAYS, count=bool(seen.panel.counts[found.change.row]))
    where = f" on {series.dimension} {series.value}" if series.dimension else ""
    title = f"{series.feature}{where} {VERBS[kind]}: {effect.change:+.0%} since {first.isoformat()}"
    return Finding(
        kind=kind, feature=series.feature, measure=series.measure, dimension=series.dimension, value=series.value, title=title,
        sentence=" ".join(
            [_what(series, effect.low, effect.high, usual, effect.change), _sure(found), _confounded(causes), *_soon(series, ahead)]
        ),
        action=recommend(series, kind, causes), first_day=first, quiet_until=seen.day(found.change.until), change=effect.change,
        low=effect.low, high=effect.high, p=found.change.p, worth=worth_of(series.measure, usual, effect.low, effect.high, effect.change),
        evidence=evidence_of(seen, found, causes) | _forecast_shown(seen, ahead),
    )  # fmt: skip


def _soon(series: Series, ahead: Forecast | None) -> list[str]:
    if ahead is None:
        return []
    middle, low, high = (float(each[-1]) for each in (ahead.middle, ahead.low, ahead.high))
    told = f"If it goes on like this, it is {middle:,.0f} {NOUNS[series.measure]} a day in two weeks"
    return [f"{told} ({ahead.level:.0%} of earlier forecasts were within such a range: {low:,.0f} to {high:,.0f})."]


def _forecast_shown(seen: Watched, ahead: Forecast | None) -> dict[str, Any]:
    if ahead is None:
        return {}
    last = seen.day(seen.days - 1)
    rows = [
        [(last + timedelta(days=at + 1)).isoformat(), *(_number(each[at]) for each in (ahead.middle, ahead.low, ahead.high))]
        for at in range(AHEAD_DAYS)
    ]
    return {"forecast": {"columns": ["day", "middle", "low", "high"], "level": ahead.level, "origins": ahead.origins, "days": rows}}


@dataclass(frozen=True, slots=True)
class VersionFigures:
    """A version of the services behind a feature since the change began. ``latency_ms``: the middle of its days' 95 % quantiles."""

    version: str
    events: int
    failures: int
    latency_ms: float | None


def with_versions(finding: Finding, versions: Sequence[VersionFigures]) -> Finding:
    """The finding with each version's failures or latency beside it: a version that is worse than the others is a reason to suspect it."""
    shown = [each for each in versions if each.version][:PARTS_SHOWN]
    if not shown or finding.measure is Measure.USE:
        return finding
    rows = [[each.version, each.events, each.failures, each.latency_ms] for each in shown]
    evidence = {**finding.evidence, "versions": {"columns": ["version", "events", "failures", "p95 ms"], "rows": rows}}
    told = ", ".join(f"{each.version} {_version_figure(finding.measure, each)}" for each in shown[:4])
    alone = " Only one version was in use, so versions cannot be compared." if len(shown) == 1 else ""
    return replace(finding, sentence=f"{finding.sentence} By version: {told}.{alone}", evidence=evidence)


def _version_figure(measure: Measure, each: VersionFigures) -> str:
    if measure is Measure.LATENCY:
        return "unknown" if each.latency_ms is None else f"{each.latency_ms:,.0f} ms"
    return f"{each.failures / max(each.events, 1):.2%} of {each.events:,}"


def worth_of(measure: Measure, usual: float, low: float, high: float, change: float) -> float:
    """Value times confidence: what is surely moved a day. A change that may be nothing counts a quarter of its size.

    Of latency: the share of time, as if 100 people waited.
    """
    sure = min(abs(low), abs(high)) if low * high > 0 else 0.25 * abs(change)
    return sure * (100.0 if measure is Measure.LATENCY else usual)


def _usual(expected: Any, found: Discovery, seen: Watched) -> float:
    """What a day would have had, without the change."""
    if len(expected) and found.change.first >= found.effect.begin:
        return float(np.mean(expected[found.change.first - found.effect.begin :]))
    before = seen.panel.values[found.change.row, max(0, found.change.first - 28) : found.change.first]
    return float(np.mean(before[np.isfinite(before)])) if np.isfinite(before).any() else 0.0


def _what(series: Series, low: float, high: float, usual: float, change: float) -> str:
    unit = NOUNS[series.measure]
    went = f"Without the change about {usual:,.0f} {unit} a day were to be expected; it is {change:+.0%}"
    return f"{went}, and with 95 % confidence between {low:+.0%} and {high:+.0%}."


def _sure(found: Discovery) -> str:
    odds = found.change.p
    chance = f"{odds:.1g}" if odds >= 1e-9 else "less than 1e-9"
    days = found.effect.days_after
    young = " It is young: the size may still change." if days < 7 else ""
    return f"By chance alone a night would show this of a feature with probability {chance}.{young}"


def _confounded(causes: Sequence[Cause]) -> str:
    if not causes:
        return "No release, flag change or other change of this feature is known about that time; nothing here says why."
    told = "; ".join(each.text for each in causes[:5])
    if len(causes) == 1:
        return f"About that time: {told}. That is no proof that it is the cause."
    return f"About that time: {told}. They came together, so these figures cannot say which of them it was."


def recommend(series: Series, kind: AnalyticsInsightKind, causes: Sequence[Cause]) -> Action:
    """What to do: undo what came with harm, carry on with what came with good, else somebody looks."""
    good = series.measure.good(1.0 if kind in _ROSE else -1.0)
    flags = [each for each in causes if each.kind == "flag"]
    releases = [each for each in causes if each.kind == "release"]
    if good:
        return _carry_on(series, flags)
    if flags:
        one = flags[0]
        text = f"Take flag {one.detail['flag']} back to 0 % in {one.detail['environment']} and see whether it comes back."
        return Action(ActionKind.FLAG, text, {**one.detail, "percent": 0.0})
    if releases:
        one = releases[0]
        return Action(ActionKind.ROLLOUT, f"Roll back {one.detail['title']}, or find in it what did this.", dict(one.detail))
    where = f" for {series.dimension} {series.value}" if series.dimension else ""
    return Action(ActionKind.TASK, f"Find out why {series.feature}{where} {VERBS[kind]}.", {})


_ROSE = {
    AnalyticsInsightKind.USE_ROSE, AnalyticsInsightKind.ADOPTED, AnalyticsInsightKind.FAILURES_ROSE, AnalyticsInsightKind.SLOWER,
}  # fmt: skip


def _carry_on(series: Series, flags: Sequence[Cause]) -> Action:
    partly = [each for each in flags if 0 < float(each.detail.get("percent", 0)) < 100]
    if partly:
        one = partly[0]
        text = f"Give flag {one.detail['flag']} to everybody in {one.detail['environment']}: what it shows is used."
        return Action(ActionKind.FLAG, text, {**one.detail, "percent": 100.0})
    return Action(ActionKind.NONE, f"Good news: look at what made it better, {series.feature} may not be the only place for it.", {})


def evidence_of(seen: Watched, found: Discovery, causes: Sequence[Cause]) -> dict[str, Any]:
    """Every figure with its rows, as JSON holds it."""
    row, begin = found.change.row, found.effect.begin
    first_shown = max(begin, seen.days - ROWS_SHOWN) if len(found.effect.expected) else max(0, seen.days - ROWS_SHOWN)
    expected = found.effect.expected[first_shown - begin :] if len(found.effect.expected) else [None] * (seen.days - first_shown)
    days = [
        [seen.day(first_shown + at).isoformat(), _number(value), _number(want)]
        for at, (value, want) in enumerate(zip(seen.panel.values[row, first_shown:], expected, strict=True))
    ]
    return {
        "columns": ["day", NOUNS[found.series.measure], "expected"], "days": days, "span_days": found.change.span,
        "score": round(found.change.score, 2), "days_before": found.effect.days_before, "days_after": found.effect.days_after,
        "parts": [
            {
                "dimension": s.dimension, "value": s.value, "before": round(p.before, 2), "after": round(p.after, 2),
                "share": round(p.share, 3),
            }
            for s, p in found.parts[:PARTS_SHOWN]
        ],
        "causes": [{"kind": c.kind, "text": c.text, "day": c.day.isoformat(), "detail": dict(c.detail)} for c in causes[:10]],
    }  # fmt: skip


def _number(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else round(float(value), 2)


def unused_finding(
    feature: str, *, people: int, active: int, at_most: float, day: date, days: int, rows: Sequence[Sequence[Any]]
) -> Finding:  # fmt: skip
    """Nobody uses what everybody could."""
    title = f"{feature} is used by almost nobody: {people} of {active:,} in {days} days"
    sentence = (
        f"In the {days} days up to {day.isoformat()} people were active {active:,} times (days times people) and used it "
        f"{people} times; with 95 % confidence at most {at_most:.2%} do. Enough people came by to say so; "
        "why they do not use it (they do not find it, or do not want it) these figures do not say."
    )
    action = Action(ActionKind.TASK, f"Decide whether {feature} is to be shown better or taken out.", {})
    return Finding(
        kind=AnalyticsInsightKind.UNUSED, feature=feature, measure=Measure.USE, dimension="", value="", title=title, sentence=sentence,
        action=action, first_day=day, quiet_until=day, change=0.0, low=0.0, high=at_most, p=0.05, worth=0.01 * active / max(days, 1),
        evidence={"columns": ["day", "people", "active"], "days": [list(row) for row in rows], "parts": [], "causes": []},
    )  # fmt: skip
