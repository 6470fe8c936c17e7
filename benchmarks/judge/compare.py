"""Runs judges over simulated streams and summarises what they did."""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.judge.scenarios import LATE_S, Scenario
from benchmarks.judge.traffic import Stream, simulate
from productops.domain.analysis import Judge, Verdict
from productops.domain.judge import KayentaPolicy, Limit, MannWhitneyJudge, StratifiedJudge, ThresholdJudge, ThresholdPolicy

JUDGES: dict[str, Callable[[], Judge]] = {
    "stratified": StratifiedJudge,
    # NetflixACAJudge-v1.0 at the fastest interval its documents call sensible, scores 75 / 95.
    "kayenta 5 min": lambda: MannWhitneyJudge(KayentaPolicy(interval_s=300)),
    # The success-rate template of the Argo Rollouts documents: 95 %, here with a p99 limit at twice the usual value.
    "argo 1 min x3": lambda: ThresholdJudge(
        ThresholdPolicy((Limit("failure_ratio", 0.05), Limit("latency_p99_ms", 320.0)), interval_s=60, count=30, failure_limit=3)
    ),
    # Flagger's built-in checks: success rate 99 %, p99 500 ms, interval 1 min, threshold 5.
    "flagger 1 min x5": lambda: ThresholdJudge(
        ThresholdPolicy((Limit("failure_ratio", 0.01), Limit("latency_p99_ms", 500.0)), interval_s=60, count=30, failure_limit=4)
    ),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """One judge on one stream: seconds to FAILED and to PASSED (infinite: never), candidate's failures by then, CPU seconds."""

    failed_s: float
    passed_s: float
    failures: int
    cpu_s: float
    looks: int
    reason: str


def run_one(judge: Judge, stream: Stream) -> Outcome:
    """Feed one stream until FAILED or its end."""
    plan = stream.plan
    for t in range(plan.history_s):
        judge.learn(stream.second(t))
    passed, failures, cpu, reason = math.inf, 0, 0.0, ""
    for t in range(plan.rollout_s):
        second = stream.second(plan.history_s + t)
        start = time.process_time()
        look = judge.observe(second)
        cpu += time.process_time() - start
        failures += second.candidate.failures if second.candidate else 0
        if passed == math.inf and look.verdict is Verdict.PASSED:
            passed = t + 1.0
        if look.verdict is Verdict.FAILED:
            return Outcome(t + 1.0, passed, failures, cpu, t + 1, look.reason)
    return Outcome(math.inf, passed, failures, cpu, plan.rollout_s, reason)


def run_many(
    name: str, scenario: Scenario, judges: Sequence[str], *, seed: int, runs: int, rate: float, share: float, rollout_s: int
) -> dict[str, list[Outcome]]:
    """The same streams for every judge."""
    results: dict[str, list[Outcome]] = {judge: [] for judge in judges}
    for i in range(runs):
        rng = np.random.default_rng([seed, zlib.crc32(name.encode()), i])
        stream = simulate(scenario(rng, rate, share, rollout_s), rng)
        for judge in judges:
            results[judge].append(run_one(JUDGES[judge](), stream))
    return results


@dataclass(frozen=True, slots=True)
class Summary:
    """Of one judge in one scenario. Intervals are 95 %; times count from the beginning of the harm."""

    runs: int
    failed_share: float
    failed_low: float
    failed_high: float
    median_s: float
    median_low: float
    median_high: float
    p95_s: float
    failures_median: float
    passed_median_s: float
    passed_share: float
    cpu_ms_per_1800_looks: float


def summarise(name: str, outcomes: Sequence[Outcome]) -> Summary:
    """Quantiles count a miss as infinitely late."""
    late = LATE_S.get(name, 0)
    times = np.sort([o.failed_s - late for o in outcomes])
    passed = np.sort([o.passed_s for o in outcomes])
    low, high = wilson(int(np.isfinite(times).sum()), len(times))
    rank = 0.98 * math.sqrt(len(times))
    looks = sum(o.looks for o in outcomes)
    return Summary(
        runs=len(times),
        failed_share=float(np.isfinite(times).mean()),
        failed_low=low,
        failed_high=high,
        median_s=_rank(times, 0.5 * len(times)),
        median_low=_rank(times, 0.5 * len(times) - rank),
        median_high=_rank(times, 0.5 * len(times) + rank),
        p95_s=_rank(times, 0.95 * len(times)),
        failures_median=float(np.median([o.failures for o in outcomes])),
        passed_median_s=_rank(passed, 0.5 * len(passed)),
        passed_share=float(np.isfinite(passed).mean()),
        cpu_ms_per_1800_looks=1800e3 * sum(o.cpu_s for o in outcomes) / max(looks, 1),
    )


def _rank(ordered: np.ndarray[tuple[int], np.dtype[np.float64]], position: float) -> float:
    return float(ordered[min(len(ordered) - 1, max(0, math.ceil(position) - 1))])


def wilson(hits: int, runs: int) -> tuple[float, float]:
    """95 % interval of a share. Source: Wilson 1927."""
    z2 = 3.8415
    centre = (hits + z2 / 2.0) / (runs + z2)
    half = math.sqrt(z2) / (runs + z2) * math.sqrt(hits * (runs - hits) / runs + z2 / 4.0)
    return max(0.0, centre - half), min(1.0, centre + half)
