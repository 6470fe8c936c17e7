"""What daily figures of a feature show: versions of the app that are slower at the same use, platforms and countries that are. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from productops.domain.analytics_optimize import FindingKind, PerformanceFinding
from productops.domain.analytics_optimize_findings import ALPHA, FAILURES_MIN, LATENCY_MIN
from productops.domain.analytics_usage import UsageDay
from productops.stats.analytics_optimize import difference, holm, mean_gap

EVENTS_MIN, DAYS_MIN, VERSIONS_MAX = 20, 5, 6
SEGMENT_MIN = 0.1


def compare_feature_versions(days: Sequence[UsageDay]) -> tuple[list[PerformanceFinding], list[str]]:
    """Each version against the one before it, by the day they were first seen; a day counts once."""
    versions: dict[str, list[UsageDay]] = {}
    for each in sorted(days, key=lambda day: day.day):
        if each.value and each.events >= EVENTS_MIN:
            versions.setdefault(each.value, []).append(each)
    order = sorted(versions, key=lambda version: versions[version][0].day)[-VERSIONS_MAX:]
    silent = [
        f"version {each} was used on {len(versions[each])} days by enough people; {DAYS_MIN} are needed"
        for each in order if len(versions[each]) < DAYS_MIN
    ]  # fmt: skip
    asked = []
    for old, new in pairwise(order):
        rows = [*versions[old], *versions[new]]
        is_new = np.arange(len(rows)) >= len(versions[old])
        load, at = np.log([float(r.events) for r in rows]), np.array([float(r.day.toordinal()) * 10 for r in rows])
        slow = np.log([r.duration_p95_ms or math.nan for r in rows])
        fails = np.array([r.failures / r.events for r in rows])
        for metric, y, floor in (("p95", slow, 0.005), ("failures", fails, FAILURES_MIN / 4)):
            found = difference(y, load, is_new, at, floor=floor)
            if found is not None:
                asked.append((metric, old, new, found))
    together = holm([found.p_value for *_, found in asked])
    made = []
    for (metric, old, new, found), p_value in zip(asked, together, strict=True):
        least = FAILURES_MIN if metric == "failures" else math.log1p(LATENCY_MIN)
        if p_value < ALPHA and abs(found.effect) >= least:
            effect, low, high = (x if metric == "failures" else math.expm1(x) for x in (found.effect, found.low, found.high))
            kind = FindingKind.REGRESSION if found.effect > 0 else FindingKind.IMPROVEMENT
            what = "fails more often" if metric == "failures" else "is slower (p95)"
            said = f"version {new} {what if found.effect > 0 else 'is better (' + metric + ')'} than {old} on days of the same use: "
            said += f"{effect:+.1%}, 95 % interval {low:+.1%} to {high:+.1%}"
            made.append(
                PerformanceFinding(kind, metric, said, effect, low, high, p_value, effect * (20 if metric == "failures" else 1), new, old,
                                   {"days": list(found.points)})
            )  # fmt: skip
    return sorted(made, key=lambda each: -each.harm), silent


def slow_segments(days: Sequence[UsageDay], whole: Sequence[UsageDay]) -> list[PerformanceFinding]:
    """Values of a dimension (a platform, a country) whose p95 is above that of everybody on the same days."""
    usual = {each.day: each.duration_p95_ms for each in whole if each.duration_p95_ms}
    gaps: dict[tuple[str, str], list[float]] = {}
    for each in days:
        everybody = usual.get(each.day)
        if each.value and each.duration_p95_ms and each.events >= EVENTS_MIN and everybody:
            gaps.setdefault((each.dimension, each.value), []).append(math.log(each.duration_p95_ms / everybody))
    known = [(key, mean_gap(np.array(values)), len(values)) for key, values in sorted(gaps.items()) if len(values) >= DAYS_MIN]
    together = holm([found[3] for _, found, _ in known])
    made = []
    for ((dimension, value), found, count), p_value in zip(known, together, strict=True):
        effect, low, high = (math.expm1(x) for x in found[:3])
        if p_value < ALPHA and effect >= SEGMENT_MIN:
            said = (
                f"on {dimension} {value} p95 is {effect:.1%} above everybody's on the same days ({count} days); "
                f"95 % interval {low:+.1%} to {high:+.1%}"
            )
            evidence = {"dimension": dimension, "value": value, "days": count}
            made.append(PerformanceFinding(FindingKind.SEGMENT, "p95", said, effect, low, high, p_value, effect * 0.5, evidence=evidence))
    return sorted(made, key=lambda each: -each.harm)
