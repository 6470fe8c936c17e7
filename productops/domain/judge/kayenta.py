"""A judge for those who come from Kayenta: Mann-Whitney on aggregates by the minute, scored by groups of metrics."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from productops.domain.analysis import ArmSecond, Look, TrafficSecond, Verdict
from productops.stats.mann_whitney import shift_interval
from productops.stats.quantiles import LatencySums

METRICS = ("failure_ratio", "latency_p50", "latency_p99")


@dataclass(frozen=True, slots=True)
class KayentaPolicy:
    """Parameters under Kayenta's names: a score (0–100) at or above ``pass_score`` passes, below ``marginal_score`` fails at once.

    ``interval_s`` is how often it judges, over everything seen so far (lookback 0); ``final_s`` ends the analysis.
    """

    step_s: int = 60
    interval_s: int = 300
    final_s: int = 1800
    confidence: float = 0.98
    tolerance: float = 0.25
    pass_score: float = 95.0
    marginal_score: float = 75.0
    points_min: int = 3

    def __post_init__(self) -> None:
        """Raises: ValueError when a number is out of range."""
        if not (0 < self.step_s <= self.interval_s <= self.final_s):
            raise ValueError("need 0 < step_s <= interval_s <= final_s")
        if not 0.5 < self.confidence < 1.0 or self.tolerance < 0.0 or self.points_min < 2:
            raise ValueError("confidence must lie in (0.5, 1), tolerance must not be negative, points_min must be at least 2")
        if not 0.0 <= self.marginal_score <= self.pass_score <= 100.0:
            raise ValueError("need 0 <= marginal_score <= pass_score <= 100")


class MannWhitneyJudge:
    """``NetflixACAJudge-v1.0``: a metric is High when the whole interval of its shift is above tolerance x |estimate|.

    It bounds nothing when asked repeatedly: for comparison and for moving over. Source: Kayenta's MannWhitneyClassifier and
    WeightedSumScorer (equal weights, one group).
    """

    def __init__(self, policy: KayentaPolicy | None = None) -> None:
        self.policy = policy or KayentaPolicy()
        self._steps = [_Step(), _Step()]
        self._points: tuple[dict[str, list[float]], dict[str, list[float]]] = ({m: [] for m in METRICS}, {m: [] for m in METRICS})
        self._first_s: int | None = None
        self._last_s: int | None = None
        self._seen = 0
        self._look: Look | None = None

    def learn(self, second: TrafficSecond) -> None:
        """Kayenta knows no history."""

    def observe(self, second: TrafficSecond) -> Look:
        """Aggregate; judge at the end of every interval, repeat the last answer in between."""
        if self._last_s is not None and second.at_s <= self._last_s:
            return self._answer(second.at_s)
        self._first_s = second.at_s if self._first_s is None else self._first_s
        self._last_s = second.at_s
        for step, arm in zip(self._steps, (second.baseline, second.candidate), strict=True):
            if arm is not None:
                step.add(arm)
        elapsed = second.at_s - self._first_s + 1
        if elapsed // self.policy.step_s > self._seen:
            self._seen = elapsed // self.policy.step_s
            self._close_step()
        due = elapsed // self.policy.interval_s > (elapsed - 1) // self.policy.interval_s
        final = elapsed >= self.policy.final_s
        if (due or final) and not (self._look and self._look.verdict is Verdict.FAILED):
            self._look = self._judge(second.at_s, final=final)
        return self._answer(second.at_s)

    def _answer(self, at_s: int) -> Look:
        if self._look is None:
            return _look(at_s, Verdict.INCONCLUSIVE, "the first interval has not ended", {})
        last = self._look
        return Look(at_s, last.verdict, last.reason, last.log_e, last.log_e_safe, last.certified, last.evidence)

    def _close_step(self) -> None:
        for step, points in zip(self._steps, self._points, strict=True):
            for name, value in step.values().items():
                points[name].append(value)
        self._steps = [_Step(), _Step()]

    def _judge(self, at_s: int, *, final: bool) -> Look:
        labels: dict[str, dict[str, Any]] = {}
        for name in METRICS:
            ours, theirs = self._points[0][name], self._points[1][name]
            if min(len(ours), len(theirs)) >= self.policy.points_min:
                labels[name] = self._label(ours, theirs)
        if not labels:
            return _look(at_s, Verdict.INCONCLUSIVE, f"fewer than {self.policy.points_min} points", {})
        score = 100.0 * sum(label["label"] == "Pass" for label in labels.values()) / len(labels)
        high = ", ".join(name for name, label in labels.items() if label["label"] == "High") or "nothing"
        reason = f"score {score:.0f}: {high} is high"
        verdict = Verdict.INCONCLUSIVE
        if score < self.policy.marginal_score or (final and score < self.policy.pass_score):
            verdict = Verdict.FAILED
        elif final:
            verdict = Verdict.PASSED
        return _look(at_s, verdict, reason, {"score": score, "metrics": labels})

    def _label(self, ours: list[float], theirs: list[float]) -> dict[str, Any]:
        if ours == theirs:
            return {"label": "Pass", "low": 0.0, "estimate": 0.0, "high": 0.0}
        low, estimate, high = shift_interval(ours, theirs, confidence=self.policy.confidence)
        # All three metrics are harmful when they rise; Low is as good as Pass.
        label = "High" if low > self.policy.tolerance * abs(estimate) else "Pass"
        return {"label": label, "low": low, "estimate": estimate, "high": high}


class _Step:
    """Sums of one arm over one step."""

    def __init__(self) -> None:
        self.requests = self.failures = 0
        self.latency = LatencySums()

    def add(self, arm: ArmSecond) -> None:
        self.requests += max(0, arm.requests)
        self.failures += max(0, arm.failures)
        self.latency.add(arm.latency.upper_ms, arm.latency.counts)

    def values(self) -> dict[str, float]:
        """The metrics of the step; those without data are missing."""
        result = {"failure_ratio": self.failures / self.requests} if self.requests else {}
        if self.latency.total:
            bounds, below = self.latency.table()
            for name, level in (("latency_p50", 0.5), ("latency_p99", 0.99)):
                result[name] = bounds[int(below.searchsorted(level * self.latency.total))]
        return result


def _look(at_s: int, verdict: Verdict, reason: str, evidence: dict[str, Any]) -> Look:
    return Look(at_s, verdict, reason, -math.inf, -math.inf, certified=False, evidence={"schema": 1, "judge": "mann-whitney", **evidence})
