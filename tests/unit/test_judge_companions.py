from __future__ import annotations

import json
import math

import numpy as np
import pytest

from productops.domain.analysis import ArmSecond, Judge, LatencyHistogram, RatioCount, TrafficSecond, Verdict
from productops.domain.judge import (
    AnalysisPolicy,
    Intervals,
    KayentaPolicy,
    Limit,
    MannWhitneyJudge,
    SegmentedJudge,
    Step,
    StratifiedJudge,
    ThresholdJudge,
    ThresholdPolicy,
    auto_steps,
    backtest,
    forecast,
    policy_from_argo,
)
from productops.domain.judge.planning import growth_per_s
from productops.domain.judge.segments import merge

HISTOGRAM = (10.0, 20.0, 50.0, 100.0)


def second(t: int, rng: np.random.Generator, *, fail: float = 0.005, rate: float = 100.0) -> TrafficSecond:
    n_a, n_b = int(rng.poisson(0.8 * rate)), int(rng.poisson(0.2 * rate))

    def arm(n: int, p: float) -> ArmSecond:
        counts = rng.multinomial(n, [0.4, 0.4, 0.15, 0.05])
        return ArmSecond(n, int(rng.binomial(n, p)), LatencyHistogram(HISTOGRAM, tuple(counts.tolist())))

    return TrafficSecond(t, arm(n_a, 0.005), arm(n_b, fail))


def test_a_harm_in_one_segment_is_found_and_named() -> None:
    rng = np.random.default_rng(1)
    judge = SegmentedJudge(AnalysisPolicy(), ["phone", "desktop"])
    for t in range(60):
        judge.learn({"phone": second(t, rng, rate=50), "desktop": second(t, rng, rate=50)})
    for t in range(100, 400):
        look = judge.observe({"phone": second(t, rng, rate=50, fail=0.08), "desktop": second(t, rng, rate=50)})
        if look.verdict is Verdict.FAILED:
            break
    assert look.verdict is Verdict.FAILED
    assert look.reason.startswith(("segment phone", "segment all"))
    assert math.fsum(s["weight"] for s in look.evidence["segments"].values()) == pytest.approx(1.0)
    json.dumps(look.evidence, allow_nan=False)
    assert judge.observe({"phone": second(500, rng)}).verdict is Verdict.FAILED


def test_good_segments_are_promoted_together() -> None:
    rng = np.random.default_rng(2)
    judge = SegmentedJudge(AnalysisPolicy(), ["phone", "desktop"])
    for t in range(500):
        look = judge.observe({"phone": second(t, rng), "desktop": second(t, rng)})
        assert look.verdict is not Verdict.FAILED
    assert look.verdict is Verdict.PASSED


def test_segments_must_be_known_and_of_the_same_second() -> None:
    rng = np.random.default_rng(3)
    judge = SegmentedJudge(AnalysisPolicy(), ["phone"])
    with pytest.raises(ValueError, match="unknown segments: tablet"):
        judge.observe({"tablet": second(1, rng)})
    with pytest.raises(ValueError, match="no segment"):
        judge.observe({})
    with pytest.raises(ValueError, match="distinct"):
        SegmentedJudge(AnalysisPolicy(), ["all"])


def test_merged_segments_add_up_and_a_missing_arm_stays_missing() -> None:
    one = ArmSecond(10, 1, LatencyHistogram((1.0, 2.0), (4, 6)), {"carts": RatioCount(1, 5), "cpu": 0.4})
    two = ArmSecond(5, 0, LatencyHistogram((2.0, 3.0), (1, 4)), {"carts": RatioCount(2, 5), "cpu": 0.9})
    merged = merge([TrafficSecond(1, one, one), TrafficSecond(1, two, None)])
    assert merged.candidate is None
    assert merged.baseline == ArmSecond(15, 1, LatencyHistogram((1.0, 2.0, 3.0), (4, 7, 4)), {"carts": RatioCount(3, 10), "cpu": 0.9})


def test_a_backtest_says_when_another_policy_would_have_stopped() -> None:
    rng = np.random.default_rng(4)
    history = [second(t, rng) for t in range(60)]
    rollout = [second(100 + t, rng, fail=0.05) for t in range(120)]
    strict = backtest(StratifiedJudge(), history=history, rollout=rollout)
    loose = backtest(StratifiedJudge(AnalysisPolicy(error_tolerance=30.0, promote_error_ratio=40.0)), history=history, rollout=rollout)
    assert strict.verdict is Verdict.FAILED
    assert strict.stopped_s is not None
    assert strict.stopped_s < 60
    assert strict.candidate_failures > 0
    assert len(strict.looks) == strict.stopped_s
    assert loose.stopped_s is None
    assert loose.candidate_failures > strict.candidate_failures
    assert backtest(StratifiedJudge(), history=[], rollout=[]).reason == "no seconds"


def test_a_plan_tells_which_harm_is_found_how_fast() -> None:
    policy = AnalysisPolicy()
    rows = forecast(policy, [Step(20, 900)], requests_per_s=100, error_rate=0.005, harms=(2.0, 5.0, 60.0))
    times = [row.detected_s for row in rows]
    assert all(t is not None for t in times)
    assert times == sorted(times, key=lambda t: -(t or 0.0))
    # Measured on the simulator: about 150, 18 and 1 seconds.
    assert 100 < (times[0] or 0) < 220
    assert 10 < (times[1] or 0) < 30
    assert (times[2] or 0) <= 2
    assert forecast(policy, [Step(1, 10)], requests_per_s=1, error_rate=0.005)[0].detected_s is None


def test_automatic_steps_find_the_harm_in_time_and_cost_less_than_one_big_step() -> None:
    policy = AnalysisPolicy()
    plan = auto_steps(policy, requests_per_s=100, error_rate=0.005, decision_s=300)
    assert sum(step.hold_s for step in plan) == 300
    row = forecast(policy, plan, requests_per_s=100, error_rate=0.005, harms=(2.0, 20.0))
    assert row[0].detected_s is not None
    assert row[0].detected_s <= 300
    big = forecast(policy, [Step(50, 300)], requests_per_s=100, error_rate=0.005, harms=(20.0,))
    assert row[1].harmed_requests < big[0].harmed_requests
    assert auto_steps(policy, requests_per_s=0.1, error_rate=0.005, decision_s=60) == [Step(50, 60)]
    with pytest.raises(ValueError, match="decision_s"):
        auto_steps(policy, requests_per_s=1, error_rate=0.1, decision_s=1)


def test_no_harm_gives_no_growth() -> None:
    assert growth_per_s(requests_per_s=100, candidate_pct=20, error_rate=0.01, harm=1.0) == 0.0
    assert growth_per_s(requests_per_s=100, candidate_pct=20, error_rate=0.01, harm=1.2, tolerance=1.5) == 0.0


def test_intervals_narrow_around_the_truth() -> None:
    rng = np.random.default_rng(5)
    intervals = Intervals()
    intervals.observe(TrafficSecond(0, None, ArmSecond(5)))
    assert intervals.now()["failures"] == {"low": 0.0, "estimate": None, "high": None}
    for t in range(200):
        intervals.observe(second(t, rng, fail=0.05))
    shown = json.loads(json.dumps(intervals.now(), allow_nan=False))
    assert shown["failures"]["low"] > 3.0
    assert shown["failures"]["low"] < 10.5 < shown["failures"]["high"]
    assert shown["p50"]["low"] <= 0.0 <= shown["p50"]["high"]


def test_the_kayenta_judge_waits_for_its_interval_and_then_fails_what_is_bad() -> None:
    rng = np.random.default_rng(6)
    judge: Judge = MannWhitneyJudge(KayentaPolicy(step_s=10, interval_s=60, final_s=120))
    judge.learn(second(0, rng))
    for t in range(59):
        assert judge.observe(second(t, rng, fail=0.3)).verdict is Verdict.INCONCLUSIVE
    look = judge.observe(second(59, rng, fail=0.3))
    assert look.verdict is Verdict.FAILED
    assert "failure_ratio" in look.reason


def test_the_kayenta_judge_passes_what_is_good_at_the_end() -> None:
    rng = np.random.default_rng(7)
    judge = MannWhitneyJudge(KayentaPolicy(step_s=10, interval_s=60, final_s=120, confidence=0.999))
    for t in range(120):
        look = judge.observe(second(t, rng))
    assert look.verdict is Verdict.PASSED
    assert look.evidence["score"] == 100.0


ARGO = {
    "kind": "AnalysisTemplate",
    "spec": {
        "metrics": [
            {"name": "success-rate", "interval": "1m", "count": 5, "failureLimit": 1, "successCondition": "result[0] >= 0.95"},
            {"name": "latency-p99", "interval": "60s", "count": 5, "failureLimit": 1, "failureCondition": "result > 0.5"},
        ]
    },
}


def test_an_argo_template_becomes_a_policy() -> None:
    policy = policy_from_argo(ARGO)
    assert policy == ThresholdPolicy(
        (Limit("failure_ratio", 0.05), Limit("latency_p99_ms", 500.0)), interval_s=60, count=5, failure_limit=1
    )


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ({"name": "success-rate", "successCondition": "all(result, # > 0.9)"}, "only conditions"),
        ({"name": "magic", "successCondition": "result < 3"}, "name it after"),
        ({"name": "error-rate", "successCondition": "result < 0.1", "interval": "soon"}, "no duration"),
    ],
)
def test_what_cannot_be_read_from_argo_is_named(metric: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        policy_from_argo({"spec": {"metrics": [metric]}})
    with pytest.raises(ValueError, match=r"no spec\.metrics"):
        policy_from_argo({})


def test_the_threshold_judge_counts_failed_measurements() -> None:
    rng = np.random.default_rng(8)
    judge = ThresholdJudge(ThresholdPolicy((Limit("failure_ratio", 0.05),), interval_s=5, count=10, failure_limit=1))
    looks = [judge.observe(second(t, rng, fail=0.3)) for t in range(10)]
    assert looks[8].verdict is Verdict.INCONCLUSIVE
    assert looks[9].verdict is Verdict.FAILED
    calm = ThresholdJudge(ThresholdPolicy((Limit("failure_ratio", 0.2),), interval_s=5, count=3))
    assert [calm.observe(second(t, rng)).verdict for t in range(15)][-1] is Verdict.PASSED
    idle = ThresholdJudge(ThresholdPolicy((Limit("failure_ratio", 0.2),), interval_s=1))
    assert idle.observe(TrafficSecond(1, None, None)).verdict is Verdict.INCONCLUSIVE
