"""Several segments of users judged together: a harm that only some of them suffer, with the multiplicity paid for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from productops.domain.analysis import ArmSecond, LatencyHistogram, Look, RatioCount, TrafficSecond, Verdict
from productops.domain.judge.judge import StratifiedJudge
from productops.domain.judge.policy import AnalysisPolicy

ALL = "all"
ALL_WEIGHT = 0.5
"""Share of alpha that stays with everybody together; the segments divide the rest evenly."""


class SegmentedJudge:
    """One judge for everybody and one per segment; their e-values are averaged, so ``alpha`` holds for all of them together.

    A certificate is about everybody together; a suspicious segment withholds promotion.
    """

    def __init__(self, policy: AnalysisPolicy, segments: Sequence[str]) -> None:
        """Raises: ValueError when there is no segment, a name twice, or one called ``all``."""
        if not segments or len(set(segments)) != len(segments) or ALL in segments:
            raise ValueError("segments need distinct names other than 'all', and at least one")
        self.policy = policy
        part = (1.0 - ALL_WEIGHT) / len(segments)
        self._weights = {ALL: ALL_WEIGHT} | dict.fromkeys(segments, part)
        # Each decides alone only beyond its own share; together they decide below.
        self._judges = {name: StratifiedJudge(replace(policy, alpha=policy.alpha * w)) for name, w in self._weights.items()}
        self._failed: Look | None = None

    def learn(self, seconds: Mapping[str, TrafficSecond]) -> None:
        """Take a second from before the rollout, by segment."""
        for name, second in self._with_all(seconds).items():
            self._judges[name].learn(second)

    def observe(self, seconds: Mapping[str, TrafficSecond]) -> Look:
        """Take one second of the rollout by segment; a segment that is missing had no traffic.

        Raises: ValueError for an unknown segment, no segment at all, or segments of different seconds.
        """
        looks = {name: self._judges[name].observe(second) for name, second in self._with_all(seconds).items()}
        everybody = looks[ALL]
        if self._failed is not None:
            return replace(self._failed, at_s=everybody.at_s)
        log_e = _log_sum([math.log(self._weights[name]) + look.log_e for name, look in looks.items()])
        evidence = self._evidence(looks, log_e, everybody.log_e_safe)
        worst = max(looks, key=lambda name: math.log(self._weights[name]) + looks[name].log_e)
        if log_e >= self.policy.log_threshold:
            reason = f"segment {worst}: {looks[worst].reason}"
            self._failed = Look(everybody.at_s, Verdict.FAILED, reason, log_e, everybody.log_e_safe, certified=False, evidence=evidence)
            return self._failed
        suspicious = log_e >= 0.5 * self.policy.log_threshold
        verdict = everybody.verdict if everybody.verdict is not Verdict.FAILED and not suspicious else Verdict.INCONCLUSIVE
        reason = f"segment {worst} looks worse, not yet beyond doubt" if suspicious else everybody.reason
        return Look(everybody.at_s, verdict, reason, log_e, everybody.log_e_safe, everybody.certified, evidence)

    def _with_all(self, seconds: Mapping[str, TrafficSecond]) -> dict[str, TrafficSecond]:
        unknown = set(seconds) - set(self._judges)
        if unknown or not seconds:
            raise ValueError(f"unknown segments: {', '.join(sorted(unknown))}" if unknown else "no segment at all")
        if len({s.at_s for s in seconds.values()}) > 1:
            raise ValueError("segments of different seconds")
        at_s = next(iter(seconds.values())).at_s
        idle = TrafficSecond(at_s, ArmSecond(), ArmSecond())
        known = {name: seconds.get(name, idle) for name in self._judges if name != ALL}
        return {ALL: merge(list(known.values())), **known}

    def _evidence(self, looks: Mapping[str, Look], log_e: float, log_safe: float) -> dict[str, Any]:
        return {
            **looks[ALL].evidence,
            "judge": "stratified by segment",
            "log_e": log_e if math.isfinite(log_e) else None,
            "log_e_safe": log_safe if math.isfinite(log_safe) else None,
            "segments": {
                name: {"log_e": look.log_e if math.isfinite(look.log_e) else None, "weight": self._weights[name], "reason": look.reason}
                for name, look in looks.items()
            },
        }


def merge(seconds: Sequence[TrafficSecond]) -> TrafficSecond:
    """The same second of several segments added up; an arm that one segment could not measure is not measured.

    Raises: ValueError when there is none.
    """
    if not seconds:
        raise ValueError("nothing to merge")
    return TrafficSecond(seconds[0].at_s, _merge_arms([s.baseline for s in seconds]), _merge_arms([s.candidate for s in seconds]))


def _merge_arms(arms: Sequence[ArmSecond | None]) -> ArmSecond | None:
    known = [arm for arm in arms if arm is not None]
    if len(known) < len(arms):
        return None
    buckets: dict[float, int] = {}
    counted: dict[str, RatioCount | float] = {}
    for arm in known:
        for bound, count in zip(arm.latency.upper_ms, arm.latency.counts, strict=True):
            buckets[bound] = buckets.get(bound, 0) + count
        for name, value in arm.metrics.items():
            counted[name] = _add(counted.get(name), value)
    bounds = sorted(buckets)
    latency = LatencyHistogram(tuple(bounds), tuple(buckets[b] for b in bounds))
    return ArmSecond(sum(a.requests for a in known), sum(a.failures for a in known), latency, counted)


def _add(before: RatioCount | float | None, value: RatioCount | float) -> RatioCount | float:
    """Counts add up; of levels the higher one stays (a saturated part saturates the whole)."""
    if isinstance(value, RatioCount):
        return RatioCount(before.events + value.events, before.total + value.total) if isinstance(before, RatioCount) else value
    return value if before is None or isinstance(before, RatioCount) else max(before, value)


def _log_sum(values: Sequence[float]) -> float:
    top = max(values)
    return top + math.log(sum(math.exp(v - top) for v in values)) if top > -math.inf else -math.inf
