"""Whether a service is as it was before: the judge and plain bounds on the seconds now against the seconds before the incident."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from productops.domain.analysis import ArmSecond, TrafficSecond, Verdict
from productops.domain.routing import merge_histograms
from productops.domain.traffic_summary import ArmSummary, quantile_ms, summarise

BEFORE_S_MIN = 10
REQUESTS_MIN = 20
# An incident ends where users meet what they met before, with the noise of a few seconds allowed for.
RATIO_FACTOR, RATIO_ADDED = 1.5, 0.005
LATENCY_FACTOR, LATENCY_ADDED_MS = 1.5, 10.0
TAIL_REQUESTS = 200
"""Fewer requests say too little of the slowest hundredth: then of the slowest tenth."""
YES, NO, UNTOLD = True, False, None
UNKNOWN_RATIO_MAX = 0.02
"""Where nothing is known of before: more failures than this is not well."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """``recovered`` None: it cannot be told. ``reason`` says it for a person, with the figures of both times."""

    recovered: bool | None
    reason: str
    before: Mapping[str, Any]
    now: Mapping[str, Any]
    verdict: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "recovered": self.recovered, "reason": self.reason, "before": dict(self.before), "now": dict(self.now), "verdict": self.verdict,
        }  # fmt: skip


def summed(arms: Sequence[ArmSecond | None]) -> ArmSecond | None:
    """All versions of one second together; None when one of them could not be measured."""
    known = [arm for arm in arms if arm is not None]
    if len(known) < len(arms) or not known:
        return None
    return ArmSecond(
        requests=sum(arm.requests for arm in known), failures=sum(arm.failures for arm in known),
        latency=merge_histograms([arm.latency for arm in known]),
    )  # fmt: skip


def judge_recovery(
    before: Sequence[ArmSecond], after: Sequence[ArmSecond | None], *, good_s: float, healthy: int, desired: int
) -> Recovery:
    """``before``: measured seconds of the time before the incident. ``after``: the last seconds in order, None for one not measured.

    ``healthy`` of ``desired`` instances of what users have answer.
    """
    known = [arm for arm in after if arm is not None][-max(1, math.ceil(good_s)) :]
    then, now = _total(before), _total(known)
    shown = (then.to_dict(), now.to_dict())
    if healthy < desired:
        return Recovery(NO, f"{healthy} of {desired} instances answer", *shown)
    if len(known) < good_s or now.requests < REQUESTS_MIN:
        return Recovery(UNTOLD, f"{now.requests} requests in {len(known)} of {good_s:g} measured seconds say nothing yet", *shown)
    if len(before) < BEFORE_S_MIN or then.requests < REQUESTS_MIN:
        return _without_before(now, shown)
    verdict, reason = _judged(before, known)
    found = f"the judge still finds it worse than before: {reason}" if verdict is Verdict.FAILED else ""
    worse = _worse_failures(then, now) or _worse_latency(before, known) or found
    if worse:
        return Recovery(NO, worse, *shown, verdict=verdict.value)
    return Recovery(YES, f"as before: {_words(then)} then, {_words(now)} now", *shown, verdict=verdict.value)


def _total(seconds: Sequence[ArmSecond]) -> ArmSummary:
    return summarise(seconds, merge_histograms([each.latency for each in seconds]))


def _words(summary: ArmSummary) -> str:
    p99 = f", p99 {summary.p99_ms:.0f} ms" if summary.p99_ms is not None else ""
    return f"{summary.failure_ratio or 0.0:.2%} of requests failed{p99}"


def _without_before(now: ArmSummary, shown: tuple[dict[str, Any], dict[str, Any]]) -> Recovery:
    ratio = now.failure_ratio or 0.0
    if ratio > UNKNOWN_RATIO_MAX:
        return Recovery(NO, f"{_words(now)}, and nothing is known of the time before", *shown)
    return Recovery(YES, f"{_words(now)}; nothing is known of the time before", *shown)


def _worse_failures(then: ArmSummary, now: ArmSummary) -> str:
    """Three standard deviations of a Poisson count above what is allowed for."""
    allowed = (then.failure_ratio or 0.0) * RATIO_FACTOR + RATIO_ADDED
    expected = allowed * now.requests
    if now.failures > expected + 3.0 * math.sqrt(expected) + 1.0:
        return f"{_words(now)}, {then.failure_ratio or 0.0:.2%} before"
    return ""


def _worse_latency(before: Sequence[ArmSecond], after: Sequence[ArmSecond]) -> str:
    """The middle, and the tail as far as the requests tell."""
    then, now = merge_histograms([each.latency for each in before]), merge_histograms([each.latency for each in after])
    for q in (0.5, 0.99 if now.total >= TAIL_REQUESTS else 0.9):
        one, two = quantile_ms(then, q), quantile_ms(now, q)
        if one is not None and two is not None and two > one * LATENCY_FACTOR + LATENCY_ADDED_MS:
            return f"p{q * 100:.0f} is {two:.0f} ms, {one:.0f} ms before"
    return ""


def _judged(before: Sequence[ArmSecond], after: Sequence[ArmSecond]) -> tuple[Verdict, str]:
    """The judge of rollouts: what users met before is the baseline, what they meet now the candidate, second beside second."""
    from productops.domain.judge import AnalysisPolicy, StratifiedJudge  # its numerics take 0.1 s to load

    policy = AnalysisPolicy(
        alpha=0.01, error_tolerance=RATIO_FACTOR, latency_tolerance_p50=LATENCY_FACTOR, latency_tolerance_p90=LATENCY_FACTOR,
        latency_tolerance_p99=LATENCY_FACTOR, min_s=0, warm_up_s=0, promote_error_ratio=2.0, promote_slow_ratio=2.0,
    )  # fmt: skip
    judge = StratifiedJudge(policy)
    paired, learned = list(before)[-len(after) :], list(before)[: -len(after)]
    for at_s, arm in enumerate(learned):
        judge.learn(TrafficSecond(at_s, arm, None))
    look = None
    for at_s, (one, two) in enumerate(zip(paired, after, strict=False), start=len(learned)):
        look = judge.observe(TrafficSecond(at_s, one, two))
    return (look.verdict, look.reason) if look is not None else (Verdict.INCONCLUSIVE, "no second could be compared")
