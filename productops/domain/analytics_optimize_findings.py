"""What minutes of traffic show: versions that are slower at the same load, the load where latency bends, hours that are slow. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from productops.domain.analytics_optimize import FindingKind, Floats, Minutes, PerformanceFinding
from productops.stats.analytics_optimize import Difference, difference, holm, knee, slow_hours

ALPHA = 0.05
LATENCY_MIN, FAILURES_MIN, HOUR_MIN, BEND_MIN = 0.03, 0.001, 0.1, 0.25
"""Smaller ones are of no use to anybody: 3 % of latency, a tenth of a percent of requests, 10 % at an hour of the day.

A bend has to add a quarter to the latency of the busiest minutes: load is counted with noise, which bends a straight line a little."""
QUANTILES = {"p50": 4, "p90": 5, "p99": 6}
WEIGHT = {"failures": 20.0, "p99": 1.0, "p90": 1.0, "p50": 1.2}


def compare_versions(pairs: Sequence[tuple[Minutes, Minutes]]) -> tuple[list[PerformanceFinding], list[str]]:
    """Each pair is (new, old). Findings, the worst first, and what could not be compared, in words."""
    asked: list[tuple[str, Minutes, Minutes, Difference]] = []
    silent: list[str] = []
    for new, old in pairs:
        found = [(metric, each) for metric in (*QUANTILES, "failures") if (each := difference_of(metric, new, old)) is not None]
        if not found:
            silent.append(_why_not(new, old))
        asked += [(metric, new, old, each) for metric, each in found]
    together = holm([each.p_value for *_, each in asked])
    findings = [
        _version_finding(metric, new.version, old.version, each, p_value)
        for (metric, new, old, each), p_value in zip(asked, together, strict=True)
        if p_value < ALPHA and abs(each.effect) >= (FAILURES_MIN if metric == "failures" else math.log1p(LATENCY_MIN))
    ]
    return sorted(findings, key=lambda each: -each.harm), silent


def _load(rows: Floats) -> Floats:
    return np.asarray(rows[:, 1] / rows[:, 3])


def difference_of(metric: str, new: Minutes, old: Minutes) -> Difference | None:
    """At the same load: of the logarithm of a latency, or of the share of requests that fail. None: too little in common."""
    rows = np.concatenate([old.usable, new.usable])
    is_new = np.arange(len(rows)) >= len(old.usable)
    if metric == "failures":
        return difference(rows[:, 2] / rows[:, 1], _load(rows), is_new, rows[:, 0], weight=rows[:, 1], floor=FAILURES_MIN / 4)
    return difference(np.log(rows[:, QUANTILES[metric]]), _load(rows), is_new, rows[:, 0])


def _why_not(new: Minutes, old: Minutes) -> str:
    ours, theirs = new.usable, old.usable
    said = f"{new.version} was not compared with {old.version}: "
    if min(len(ours), len(theirs)) < 5:
        return said + f"{len(ours)} and {len(theirs)} usable minutes say too little"
    a, b = _load(ours), _load(theirs)
    if a.min() > b.max() or b.min() > a.max():
        return said + f"it was seen at {a.min():.3g} to {a.max():.3g} requests a second, the other at {b.min():.3g} to {b.max():.3g}"
    return said + "too few stretches of time at the same load"


def _version_finding(metric: str, new: str, old: str, found: Difference, p_value: float) -> PerformanceFinding:
    worse = found.effect > 0
    where = f"at the same load ({found.load_low:.3g} to {found.load_high:.3g} requests a second)"
    if metric == "failures":
        effect, low, high = found.effect, found.low, found.high
        word = "more" if worse else "fewer"
        said = f"{new} fails {abs(effect):.2%} of requests {word} than {old} {where}; 95 % interval {low:+.2%} to {high:+.2%}"
    else:
        effect, low, high = math.expm1(found.effect), math.expm1(found.low), math.expm1(found.high)
        word = "slower" if worse else "faster"
        said = f"{metric} of {new} is {abs(effect):.1%} {word} than of {old} {where}; 95 % interval {low:+.1%} to {high:+.1%}"
    return PerformanceFinding(
        FindingKind.REGRESSION if worse else FindingKind.IMPROVEMENT, metric, said, effect, low, high, p_value,
        harm=effect * WEIGHT[metric], version=new, against=old,
        evidence={"minutes": list(found.points), "stretches": list(found.clusters), "load": [found.load_low, found.load_high]},
    )  # fmt: skip


def find_knee(live: Minutes, *, instances: int) -> PerformanceFinding | None:
    """The load of the version users have from which on latency rises faster, with how often it is beyond that already."""
    rows = live.usable
    for metric in ("p99", "p90"):
        found = knee(_load(rows), np.log(rows[:, QUANTILES[metric]]))
        if found is not None:
            break
    else:
        return None
    load = _load(rows)
    beyond = float((load > found.load).mean())
    busy = float(np.quantile(load, 0.95))
    above = math.expm1((found.slope_after - found.slope_before) * max(busy - found.load, 0.0))
    if above < BEND_MIN:
        return None
    double = math.log(2) / found.slope_after if found.slope_after > 0 else math.inf
    said = (
        f"{metric} bends at {found.load:.3g} requests a second (95 % interval {found.low:.3g} to {found.high:.3g}) with {instances} "
        f"instances: beyond it latency doubles every {double:.3g} requests a second; {beyond:.0%} of the minutes were beyond it, "
        f"the busiest twentieth began at {busy:.3g}"
    )
    return PerformanceFinding(
        FindingKind.KNEE, metric, said, found.load, found.low, found.high, found.p_value, harm=0.5 * min(above, 4.0) * beyond,
        version=live.version,
        evidence={"beyond": beyond, "busy": busy, "instances": instances, "slope_before": found.slope_before,
                  "slope_after": found.slope_after, "minutes": found.points},
    )  # fmt: skip


def find_slow_hours(live: Minutes) -> list[PerformanceFinding]:
    """Hours of the day (UTC) at which the 99 % quantile is higher than at others of the same day, load taken out."""
    rows = live.usable
    found = slow_hours(np.log(rows[:, 6]), _load(rows), rows[:, 0] * 60)
    together = holm([each.p_value for each in found])
    return [
        PerformanceFinding(
            FindingKind.SLOW_HOUR, "p99",
            f"p99 is {math.expm1(each.effect):.1%} slower from {each.hour:02d}:00 to {(each.hour + 1) % 24:02d}:00 UTC than at others, "
            f"load taken out, on {each.days} days; 95 % interval {math.expm1(each.low):+.1%} to {math.expm1(each.high):+.1%}",
            math.expm1(each.effect), math.expm1(each.low), math.expm1(each.high), p_value, harm=math.expm1(each.effect) * 0.5,
            version=live.version, evidence={"hour": each.hour, "days": each.days},
        )
        for each, p_value in zip(found, together, strict=True)
        if p_value < ALPHA and math.expm1(each.effect) >= HOUR_MIN
    ]  # fmt: skip


def ordered_by_time(versions: Sequence[Minutes]) -> list[Minutes]:
    """By when each was first seen with enough traffic; versions without are left out."""
    return sorted((each for each in versions if len(each.usable)), key=lambda each: float(each.usable[0, 0]))


def seen(each: Minutes) -> dict[str, object]:
    """What a version was seen with, for the facts of a run."""
    rows = each.usable
    if not len(rows):
        return {"version": each.version, "minutes": 0}
    load = _load(rows)
    return {
        "version": each.version, "minutes": len(rows), "requests": int(rows[:, 1].sum()),
        "since": datetime.fromtimestamp(rows[0, 0] * 60, UTC).isoformat(),
        "until": datetime.fromtimestamp(rows[-1, 0] * 60, UTC).isoformat(),
        "load": [float(load.min()), float(np.median(load)), float(load.max())],
        "p50_ms": float(np.nanmedian(rows[:, 4])) if np.isfinite(rows[:, 4]).any() else None,
        "p99_ms": float(np.nanmedian(rows[:, 6])) if np.isfinite(rows[:, 6]).any() else None,
        "failure_ratio": float(rows[:, 2].sum() / rows[:, 1].sum()),
    }  # fmt: skip
