"""Intervals to plot beside the verdict: how much worse or better the candidate is, right at all times at once."""

from __future__ import annotations

import math
from typing import Any

from productops.domain.analysis import ArmSecond, TrafficSecond
from productops.stats.odds import OddsRatioSequence
from productops.stats.quantiles import LatencySums, quantile_difference

LEVELS = {"p50": 0.5, "p90": 0.9, "p99": 0.99}


class Intervals:
    """Confidence sequences of the failure odds ratio and of the latency quantile differences (milliseconds).

    Each is right at all times at once with probability 1 - alpha; no alpha is shared among them, and none decides anything.
    """

    def __init__(self, alpha: float = 0.05) -> None:
        """Raises: ValueError when alpha is not in (0, 0.5)."""
        if not 0.0 < alpha < 0.5:
            raise ValueError("alpha must lie in (0, 0.5)")
        self._alpha = alpha
        self._odds = OddsRatioSequence()
        self._baseline, self._candidate = LatencySums(), LatencySums()

    def observe(self, second: TrafficSecond) -> None:
        """Take one second; seconds in which an arm is missing are skipped."""
        baseline, candidate = second.baseline, second.candidate
        if baseline is None or candidate is None:
            return
        self._odds.add(baseline=_counts(baseline), candidate=_counts(candidate))
        self._baseline.add(baseline.latency.upper_ms, baseline.latency.counts)
        self._candidate.add(candidate.latency.upper_ms, candidate.latency.counts)

    def now(self) -> dict[str, Any]:
        """JSON-ready: ``{"failures": {"low", "estimate", "high"}, "p50": …}``; None is unbounded or unknown."""
        result = {"failures": _triple(self._odds.interval(self._alpha))}
        for name, level in LEVELS.items():
            result[name] = _triple(quantile_difference(self._baseline, self._candidate, level, alpha=self._alpha))
        return result


def _counts(arm: ArmSecond) -> tuple[int, int]:
    failures = max(0, arm.failures)
    return failures, max(arm.requests, failures, 0)


def _triple(values: tuple[float, float, float]) -> dict[str, float | None]:
    return {name: v if math.isfinite(v) else None for name, v in zip(("low", "estimate", "high"), values, strict=True)}
