"""Judges that compare a value with a limit now and then, as Argo Rollouts and Flagger do; and the import of their settings."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from productops.domain.analysis import ArmSecond, Look, TrafficSecond, Verdict
from productops.stats.quantiles import LatencySums

LEVELS = {"latency_p50_ms": 0.5, "latency_p90_ms": 0.9, "latency_p95_ms": 0.95, "latency_p99_ms": 0.99}
VALUES = ("failure_ratio", *LEVELS)


@dataclass(frozen=True, slots=True)
class Limit:
    """``value`` (failure_ratio, or latency_pNN_ms) of the candidate must not exceed ``most``."""

    value: str
    most: float

    def __post_init__(self) -> None:
        """Raises: ValueError for an unknown value or a limit that is no positive number."""
        if self.value not in VALUES:
            raise ValueError(f"unknown value {self.value!r}: use one of {', '.join(VALUES)}")
        if not (math.isfinite(self.most) and self.most >= 0.0):
            raise ValueError(f"the limit of {self.value} must be a number of at least 0")


@dataclass(frozen=True, slots=True)
class ThresholdPolicy:
    """Measure every ``interval_s``; more than ``failure_limit`` failed measurements fail, ``count`` measurements end it."""

    limits: tuple[Limit, ...]
    interval_s: int = 60
    count: int = 30
    failure_limit: int = 3
    consecutive: bool = False

    def __post_init__(self) -> None:
        """Raises: ValueError when there is no limit or a number is out of range."""
        if not self.limits or self.interval_s < 1 or self.count < 1 or self.failure_limit < 0:
            raise ValueError("need at least one limit, interval_s and count of at least 1, failure_limit of at least 0")


class ThresholdJudge:
    """No statistics and no baseline: what happens between measurements, or in both versions, is not seen."""

    def __init__(self, policy: ThresholdPolicy) -> None:
        self.policy = policy
        self._first_s: int | None = None
        self._last_s = -1
        self._window = _Window()
        self._failed = self._measured = 0
        self._verdict, self._reason = Verdict.INCONCLUSIVE, "nothing measured yet"
        self._values: dict[str, float] = {}

    def learn(self, second: TrafficSecond) -> None:
        """Thresholds know no history."""

    def observe(self, second: TrafficSecond) -> Look:
        """Add up the candidate's second; compare at the end of every interval."""
        if second.at_s > self._last_s:
            self._last_s = second.at_s
            self._first_s = second.at_s if self._first_s is None else self._first_s
            if second.candidate is not None:
                self._window.add(second.candidate)
            if (second.at_s - self._first_s + 1) % self.policy.interval_s == 0 and self._verdict is Verdict.INCONCLUSIVE:
                self._measure()
        evidence = {"schema": 1, "judge": "threshold", "values": self._values, "failed": self._failed, "measured": self._measured}
        return Look(second.at_s, self._verdict, self._reason, -math.inf, -math.inf, certified=False, evidence=evidence)

    def _measure(self) -> None:
        values, self._window = self._window.values(), _Window()
        if not values:
            self._reason = "no traffic on the candidate in the last interval"
            return
        self._values = values
        self._measured += 1
        broken = [f"{limit.value} {values[limit.value]:.4g} > {limit.most:g}" for limit in self.policy.limits if _breaks(values, limit)]
        self._failed = self._failed + 1 if broken else (0 if self.policy.consecutive else self._failed)
        self._reason = "; ".join(broken) or f"{self._measured} of {self.policy.count} measurements within the limits"
        if self._failed > self.policy.failure_limit:
            self._verdict = Verdict.FAILED
        elif self._measured >= self.policy.count:
            self._verdict = Verdict.PASSED


def _breaks(values: Mapping[str, float], limit: Limit) -> bool:
    return values.get(limit.value, -math.inf) > limit.most


class _Window:
    """The candidate's sums of one interval."""

    def __init__(self) -> None:
        self._requests = self._failures = 0
        self._latency = LatencySums()

    def add(self, arm: ArmSecond) -> None:
        self._requests += max(0, arm.requests)
        self._failures += max(0, arm.failures)
        self._latency.add(arm.latency.upper_ms, arm.latency.counts)

    def values(self) -> dict[str, float]:
        """Failure ratio and latency quantiles; empty without traffic."""
        result = {"failure_ratio": self._failures / self._requests} if self._requests else {}
        if self._latency.total:
            bounds, below = self._latency.table()
            result |= {name: bounds[int(below.searchsorted(level * self._latency.total))] for name, level in LEVELS.items()}
        return result


CONDITION = re.compile(
    r"^\s*(?:isNaN\(result\)\s*\|\|\s*)?(?:len\(result\)\s*==\s*0\s*\|\|\s*)?(?:default\()?result(?:\[0\])?(?:,\s*[\d.]+\))?\s*"
    r"(?P<sign><=|>=|<|>)\s*(?P<number>[\d.]+)\s*$"
)
DURATION = re.compile(r"^(?P<number>\d+)(?P<unit>s|m|h)?$")
SECONDS = {"s": 1, "m": 60, "h": 3600, None: 1}


def policy_from_argo(template: Mapping[str, Any]) -> ThresholdPolicy:
    """Read the thresholds of an Argo Rollouts ``AnalysisTemplate`` (its YAML as a mapping).

    A metric is understood by its name: success rate, error or failure rate, latency or duration with p50, p90, p95 or p99, and by a
    ``successCondition`` or ``failureCondition`` that compares ``result`` with a number. Latency limits above 0 and below 20 are
    taken for seconds. Counts and limits of several metrics must agree, as one policy has one clock.

    Raises: ValueError naming the metric that cannot be translated, and why.
    """
    metrics = (template.get("spec") or {}).get("metrics") or []
    if not metrics:
        raise ValueError("the template has no spec.metrics")
    clocks = {(_duration(m.get("interval", "60s")), int(m.get("count", 30)), int(m.get("failureLimit", 0))) for m in metrics}
    if len(clocks) > 1:
        raise ValueError("metrics with different interval, count or failureLimit cannot share one policy")
    interval_s, count, failure_limit = clocks.pop()
    return ThresholdPolicy(tuple(_limit(m) for m in metrics), interval_s=interval_s, count=count, failure_limit=failure_limit)


def _limit(metric: Mapping[str, Any]) -> Limit:
    name = str(metric.get("name", ""))
    ok_when = metric.get("successCondition")
    found = CONDITION.match(str(ok_when if ok_when is not None else metric.get("failureCondition", "")))
    if found is None:
        raise ValueError(f"metric {name!r}: only conditions that compare result with a number can be read")
    number = float(found["number"])
    good_is_low = found["sign"].startswith("<") == (ok_when is not None)
    quantile = re.search(r"p(50|90|95|99)", name.lower())
    if quantile and good_is_low:
        return Limit(f"latency_p{quantile[1]}_ms", number * 1000.0 if 0.0 < number < 20.0 else number)
    ratio = number / 100.0 if number > 1.0 else number
    if "success" in name.lower() and not good_is_low:
        return Limit("failure_ratio", round(1.0 - ratio, 12))
    if any(word in name.lower() for word in ("error", "fail", "5xx")) and good_is_low:
        return Limit("failure_ratio", ratio)
    raise ValueError(f"metric {name!r}: name it after what it measures (success rate, error rate, latency p99)")


def _duration(text: object) -> int:
    found = DURATION.match(str(text))
    if found is None:
        raise ValueError(f"{text!r} is no duration like 30s, 5m or 1h")
    return int(found["number"]) * SECONDS[found["unit"]]
