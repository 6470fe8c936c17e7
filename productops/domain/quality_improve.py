"""What would make the tests of a service better: findings ranked by minutes or by the harm they let through, each with evidence."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import scipy

from productops.domain.quality_flaky import FlakyTest
from productops.domain.quality_insight import InsightKind, InsightState

MONTH = timedelta(days=30)
TREND_RUNS_MIN = 10
TREND_P = 0.01
IMPACT_P = 0.001
IMPACT_RUNS_MIN = 8
IMPACT_FAILURES_MIN = 3
INSIGHTS_MAX = 50
EACH_MAX = 10
SLOW_S = 5.0
# How bad an escape is, in minutes of people, when the incident does not say how long it lasted.
ESCAPE_MINUTES = {"SEV1": 480.0, "SEV2": 240.0, "SEV3": 60.0, "SEV4": 15.0}


@dataclass(frozen=True, slots=True)
class Insight:
    """One finding. ``key`` is the same for the same matter in every review; ``minutes`` is what it costs in a month, as far as known.

    ``weight`` counts what speaks for it (failures, runs, incidents): a dismissed one comes back when it has doubled.
    """

    kind: InsightKind
    key: str
    title: str
    sentence: str
    action: str
    minutes: float
    weight: float
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class KnownInsight:
    """A finding as it is kept. ``decided_weight`` is what spoke for it when it was decided; ``gone_at``: no longer found."""

    id: str
    venture: str
    service: str
    insight: Insight
    state: InsightState
    reason: str
    decided_by: str | None
    decided_at: datetime | None
    decided_weight: float
    found_at: datetime
    seen_at: datetime
    gone_at: datetime | None


@dataclass(frozen=True, slots=True)
class MeasuredTest:
    """A test over the runs looked at. ``seconds`` is the median of its duration, None when no tool told one."""

    key: str
    name: str
    suite: str
    runs: int
    failed_runs: int
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class TrendSeries:
    """One figure of one group over the runs, oldest first; None where a run lacks it. ``higher_is_better`` tells which way is good."""

    dimension: str
    group: str
    figure: str
    values: tuple[float | None, ...]
    higher_is_better: bool


@dataclass(frozen=True, slots=True)
class Trend:
    """A course that is no chance. ``by_run`` is the slope between ``low`` and ``high`` (95 %), ``first`` and ``last`` its ends."""

    series: TrendSeries
    first: float
    last: float
    by_run: float
    low: float
    high: float
    p: float
    runs: int

    @property
    def worse(self) -> bool:
        """Whether it goes the wrong way."""
        return (self.by_run < 0) == self.series.higher_is_better


@dataclass(frozen=True, slots=True)
class EscapedDefect:
    """An incident that was traced to a release, and what the gates had said of that version. No gates: it was never judged."""

    incident: str
    title: str
    type: str
    severity: str
    version: str
    minutes: float | None
    gates: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Impact:
    """A test that fails when a file changes: ``both`` of ``changed`` runs, against ``failed`` of ``runs``; odds with an interval (95 %)."""

    test: str
    name: str
    path: str
    both: int
    changed: int
    failed: int
    runs: int
    share_low: float
    share_high: float
    p: float


@dataclass(frozen=True, slots=True)
class ImproveFacts:
    """What the store knows of one service over ``span``. ``changed`` and ``failed`` are paths and test keys by run."""

    service: str
    span: timedelta
    runs: int
    flaky: Sequence[FlakyTest] = ()
    tests: Sequence[MeasuredTest] = ()
    trends: Sequence[TrendSeries] = ()
    escapes: Sequence[EscapedDefect] = ()
    changed: Sequence[frozenset[str]] = ()
    failed: Sequence[frozenset[str]] = ()
    names: Mapping[str, str] = field(default_factory=dict)


def find_insights(facts: ImproveFacts, *, sure: float = 0.8) -> tuple[Insight, ...]:
    """All findings, the dearest first; at most ``EACH_MAX`` of a kind and ``INSIGHTS_MAX`` in all. The same facts give the same answer."""
    chance = {test.key for test in facts.flaky if test.probability >= sure}
    every = [
        *(_flaky(facts, test) for test in facts.flaky if test.key in chance),
        *(_failing(facts, test) for test in facts.tests if test.key not in chance and test.failed_runs >= IMPACT_FAILURES_MIN),
        *(_slow(facts, test) for test in facts.tests if (test.seconds or 0) >= SLOW_S),
        *(_trend(facts, trend) for trend in find_trends(facts.trends) if trend.worse),
        *(_escapes(facts)),
        *(_impact(facts, impact) for impact in find_impacts(facts)),
    ]
    ranked = sorted({each.key: each for each in every}.values(), key=lambda each: (-each.minutes, -each.weight, each.key))
    kept = [each for kind in InsightKind for each in [one for one in ranked if one.kind is kind][:EACH_MAX]]
    return tuple(sorted(kept, key=lambda each: (-each.minutes, -each.weight, each.key))[:INSIGHTS_MAX])


def insight_key(kind: InsightKind, service: str, *parts: str) -> str:
    """32 hexadecimal digits, the same for the same matter."""
    return hashlib.blake2b("\x1f".join((kind.value, service, *parts)).encode("utf-8", "replace"), digest_size=16).hexdigest()


def comes_back(weight: float, dismissed_weight: float) -> bool:
    """Whether a dismissed finding has enough new evidence to be shown again: twice what it had."""
    return weight >= 2 * max(dismissed_weight, 1.0)


def _monthly(minutes: float, facts: ImproveFacts) -> float:
    return round(minutes * (MONTH / max(facts.span, timedelta(days=1))), 1)


def _flaky(facts: ImproveFacts, test: FlakyTest) -> Insight:
    cost = f"cost {test.cost.retry_minutes:.1f} min of retries and {test.cost.blocked_runs:g} blocked runs"
    return Insight(
        InsightKind.FLAKY, insight_key(InsightKind.FLAKY, facts.service, test.key), f"{test.name} answers by chance",
        f"{test.sentence}; {cost} in {facts.span.days} days.", "Make it wait for what it needs, or take it out.",
        _monthly(test.cost.minutes, facts), float(test.failed_runs + test.retried_runs), test.evidence() | {"test": test.key},
    )  # fmt: skip


def _failing(facts: ImproveFacts, test: MeasuredTest) -> Insight:
    return Insight(
        InsightKind.FAILING, insight_key(InsightKind.FAILING, facts.service, test.key), f"{test.name} fails often",
        f"It failed in {test.failed_runs} of {test.runs} runs, and not by chance: changes keep breaking it.",
        "Run it before the change is sent, or look at what it covers.", 0.0, float(test.failed_runs),
        {"test": test.key, "runs": test.runs, "failed_runs": test.failed_runs},
    )  # fmt: skip


def _slow(facts: ImproveFacts, test: MeasuredTest) -> Insight:
    seconds = test.seconds or 0.0
    return Insight(
        InsightKind.SLOW, insight_key(InsightKind.SLOW, facts.service, test.key), f"{test.name} is slow",
        f"It takes {seconds:.1f} s (median of {test.runs} runs).", "Make it faster, or run it beside the others.",
        _monthly(seconds * test.runs / 60, facts), float(test.runs), {"test": test.key, "seconds": seconds, "runs": test.runs},
    )  # fmt: skip


def find_trends(series: Iterable[TrendSeries]) -> tuple[Trend, ...]:
    """The courses that are no chance: Kendall's rank correlation, with Bonferroni's correction for how many are looked at.

    Source: Kendall 1938; slope and interval by Theil 1950 and Sen 1968. Series of fewer than ``TREND_RUNS_MIN`` runs say nothing.
    """
    every = [(each, [(i, value) for i, value in enumerate(each.values) if value is not None]) for each in series]
    usable = [(each, points) for each, points in every if len(points) >= TREND_RUNS_MIN and len({v for _, v in points}) > 1]
    return tuple(trend for each, points in usable if (trend := _course(each, points, TREND_P / len(usable))) is not None)


def _course(series: TrendSeries, points: Sequence[tuple[int, float]], bar: float) -> Trend | None:
    x, y = np.array([i for i, _ in points], dtype=np.float64), np.array([value for _, value in points], dtype=np.float64)
    p = float(scipy.stats.kendalltau(x, y).pvalue)
    if not p < bar:
        return None
    slope, intercept, low, high = (float(value) for value in scipy.stats.theilslopes(y, x))
    if slope == 0:
        return None
    return Trend(series, intercept + slope * float(x[0]), intercept + slope * float(x[-1]), slope, low, high, p, len(points))


def _trend(facts: ImproveFacts, trend: Trend) -> Insight:
    series = trend.series
    what = f"{series.figure} of {series.dimension} {series.group}"
    return Insight(
        InsightKind.TREND, insight_key(InsightKind.TREND, facts.service, series.dimension, series.group, series.figure),
        f"{what} gets worse",
        f"{what} went from {trend.first:.4g} to {trend.last:.4g} over {trend.runs} runs (chance: p = {trend.p:.1g}).",
        "Look at the runs where it began.", 0.0, float(trend.runs),
        {"from": trend.first, "to": trend.last, "by_run": trend.by_run, "low": trend.low, "high": trend.high, "p": trend.p},
    )  # fmt: skip


def _escapes(facts: ImproveFacts) -> list[Insight]:
    """Defects that reached users, together by the gate that should have seen them."""
    groups: dict[str, list[EscapedDefect]] = {}
    for escape in facts.escapes:
        groups.setdefault(blind_gate(escape), []).append(escape)
    return [_escaped(facts, gate, escapes) for gate, escapes in groups.items()]


def blind_gate(escape: EscapedDefect) -> str:
    """Which kind of gate should have caught it: by the kind of incident; ``none`` when the version was never judged."""
    if not escape.gates:
        return "none"
    return {"performance": "performance", "security": "security"}.get(escape.type, "end-to-end")


def _escaped(facts: ImproveFacts, gate: str, escapes: Sequence[EscapedDefect]) -> Insight:
    minutes = sum(each.minutes if each.minutes is not None else ESCAPE_MINUTES.get(each.severity, 60.0) for each in escapes)
    versions = ", ".join(sorted({each.version for each in escapes})[:5])
    if gate == "none":
        told, action = "no gate had judged the version", "Set quality of this service's rollout to required."
    else:
        had = sum(1 for each in escapes if gate in each.gates)
        told = f"the {gate} gate passed {had} of them" if had else f"the policy has no {gate} gate"
        action = f"Write a test for each that fails without the mend, and let the {gate} gate require it."
    count = len(escapes)
    return Insight(
        InsightKind.ESCAPE, insight_key(InsightKind.ESCAPE, facts.service, gate),
        f"{count} {'defect' if count == 1 else 'defects'} reached users: {gate} gate" if gate != "none" else f"{count} unjudged versions",
        f"{count} {'incident' if count == 1 else 'incidents'} traced to {versions}: {told}.", action, _monthly(minutes, facts),
        float(count), {"incidents": [each.incident for each in escapes][:EACH_MAX], "gate": gate},
    )  # fmt: skip


def find_impacts(facts: ImproveFacts) -> tuple[Impact, ...]:
    """Tests that fail more often when a path changes: Fisher's exact test with Bonferroni's correction, shares with an interval.

    Association and no cause: two files that always change together look the same.
    """
    runs = min(len(facts.changed), len(facts.failed))
    if runs < IMPACT_RUNS_MIN:
        return ()
    changed, failed = _by_item(facts.changed[:runs]), _by_item(facts.failed[:runs])
    pairs = [
        (test, path)
        for test, when in failed.items() if len(when) >= IMPACT_FAILURES_MIN
        for path, at in changed.items() if IMPACT_FAILURES_MIN <= len(at) < runs and len(when & at) >= IMPACT_FAILURES_MIN
    ]  # fmt: skip
    found = [_associated(facts, test, path, failed[test], changed[path], runs) for test, path in pairs]
    return tuple(sorted((each for each in found if each.p < IMPACT_P / len(pairs)), key=lambda each: (each.p, each.name, each.path)))


def _by_item(runs: Sequence[frozenset[str]]) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for number, items in enumerate(runs):
        for item in items:
            found.setdefault(item, set()).add(number)
    return found


def _associated(facts: ImproveFacts, test: str, path: str, when: set[int], at: set[int], runs: int) -> Impact:
    both = len(when & at)
    table = [[both, len(at) - both], [len(when) - both, runs - len(at) - len(when) + both]]
    low, high = wilson(both, len(at))
    p = float(scipy.stats.fisher_exact(table, alternative="greater").pvalue)
    return Impact(test, facts.names.get(test, test), path, both, len(at), len(when), runs, low, high, p)


def wilson(hits: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share. Source: Wilson 1927."""
    z = 1.959964
    share, n = hits / of, float(of)
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return float(max(0.0, middle - half)), float(min(1.0, middle + half))


def _impact(facts: ImproveFacts, impact: Impact) -> Insight:
    share = f"{impact.both} of the {impact.changed} runs in which {impact.path} changed"
    return Insight(
        InsightKind.IMPACT, insight_key(InsightKind.IMPACT, facts.service, impact.test, impact.path),
        f"{impact.name} fails when {impact.path} changes",
        f"It failed in {share} ({impact.share_low:.0%} to {impact.share_high:.0%}), in {impact.failed} of {impact.runs} in all.",
        f"Run it first when {impact.path} changes.", 0.0, float(impact.both),
        {"test": impact.test, "path": impact.path, "both": impact.both, "changed": impact.changed, "failed": impact.failed,
         "runs": impact.runs, "low": impact.share_low, "high": impact.share_high, "p": impact.p},
    )  # fmt: skip
