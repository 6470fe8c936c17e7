"""What another policy would have done with the seconds of a release that is over."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from productops.domain.analysis import Judge, Look, TrafficSecond, Verdict


@dataclass(frozen=True, slots=True)
class Backtest:
    """When the judge would have stopped, and what users had suffered by then.

    ``stopped_s`` and ``passed_s`` count seconds from the first one of the rollout to the end of the deciding one; None: never.
    ``looks`` is the series (at_s, log_e, log_e_safe) with None for "nothing yet", to plot.
    """

    verdict: Verdict
    reason: str
    stopped_s: int | None
    passed_s: int | None
    candidate_requests: int
    candidate_failures: int
    looks: tuple[tuple[int, float | None, float | None], ...]


def backtest(judge: Judge, *, history: Iterable[TrafficSecond], rollout: Iterable[TrafficSecond]) -> Backtest:
    """Feed a fresh judge the stored seconds until it fails them or they end; it sees nothing it would not have seen then."""
    for second in history:
        judge.learn(second)
    first: int | None = None
    last: Look | None = None
    passed: int | None = None
    requests = failures = 0
    series = []
    for second in rollout:
        first = second.at_s if first is None else first
        last = judge.observe(second)
        requests += second.candidate.requests if second.candidate else 0
        failures += second.candidate.failures if second.candidate else 0
        series.append((second.at_s, _finite(last.log_e), _finite(last.log_e_safe)))
        if passed is None and last.verdict is Verdict.PASSED:
            passed = second.at_s - first + 1
        if last.verdict is Verdict.FAILED:
            return Backtest(last.verdict, last.reason, second.at_s - first + 1, passed, requests, failures, tuple(series))
    verdict, reason = (last.verdict, last.reason) if last else (Verdict.INCONCLUSIVE, "no seconds")
    return Backtest(verdict, reason, None, passed, requests, failures, tuple(series))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
