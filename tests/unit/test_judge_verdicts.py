from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from productops.domain.analysis import ArmSecond, LatencyHistogram, Look, TrafficSecond, Verdict
from productops.domain.judge import AnalysisPolicy, StratifiedJudge

BOUNDS = tuple(float(x) for x in np.round(np.geomspace(5.0, 2000.0, 120), 3))


def arm(rng: np.random.Generator, requests: float, fail: float = 0.005, slow: float = 1.0, bounds: tuple[float, ...] = BOUNDS) -> ArmSecond:
    count = int(rng.poisson(requests))
    latency = 50.0 * slow * np.exp(0.5 * rng.standard_normal(count))
    bucket = np.minimum(np.searchsorted(bounds, latency), len(bounds) - 1)
    counts = np.bincount(bucket, minlength=len(bounds))
    return ArmSecond(count, int(rng.binomial(count, fail)), LatencyHistogram(bounds, tuple(counts.tolist())))


def learned(rng: np.random.Generator, policy: AnalysisPolicy | None = None, seconds: int = 120) -> StratifiedJudge:
    judge = StratifiedJudge(policy)
    for t in range(seconds):
        judge.learn(TrafficSecond(t, arm(rng, 100), None))
    return judge


def watch(judge: StratifiedJudge, rng: np.random.Generator, seconds: int, *, fail: float = 0.005, slow: float = 1.0) -> tuple[Look, int]:
    look = None
    for t in range(seconds):
        look = judge.observe(TrafficSecond(1000 + t, arm(rng, 80), arm(rng, 20, fail, slow)))
        if look.verdict is Verdict.FAILED:
            return look, t + 1
    assert look is not None
    return look, seconds


def test_a_candidate_that_fails_a_third_of_its_requests_is_given_up_within_seconds() -> None:
    rng = np.random.default_rng(1)
    times = [watch(learned(rng, seconds=60), rng, 20, fail=0.3)[1] for _ in range(10)]
    assert sorted(times)[5] <= 2
    assert max(times) <= 4


def test_a_good_candidate_is_promoted_and_never_given_up() -> None:
    rng = np.random.default_rng(2)
    look, seconds = watch(learned(rng), rng, 400)
    assert seconds == 400
    assert look.verdict is Verdict.PASSED
    assert look.certified
    assert look.log_e_safe >= math.log(20)


def test_a_candidate_that_is_a_tenth_slower_is_given_up() -> None:
    rng = np.random.default_rng(3)
    look, seconds = watch(learned(rng), rng, 240, slow=1.1)
    assert look.verdict is Verdict.FAILED
    assert "slower" in look.reason
    assert seconds >= AnalysisPolicy().latency_patience_s


def test_a_cold_start_of_half_a_minute_is_forgiven() -> None:
    rng = np.random.default_rng(4)
    judge = learned(rng)
    for t in range(300):
        look = judge.observe(TrafficSecond(1000 + t, arm(rng, 80), arm(rng, 20, slow=3.0 if t < 30 else 1.0)))
        assert look.verdict is not Verdict.FAILED, look.reason
    assert look.verdict is Verdict.PASSED


def test_an_incident_both_versions_share_rolls_nothing_back() -> None:
    rng = np.random.default_rng(5)
    judge = learned(rng)
    for t in range(200):
        incident = 40 <= t < 120
        fail, slow = (0.3, 3.0) if incident else (0.005, 1.0)
        look = judge.observe(TrafficSecond(1000 + t, arm(rng, 80, fail, slow), arm(rng, 20, fail, slow)))
        assert look.verdict is not Verdict.FAILED, look.reason


def test_a_failed_verdict_stays() -> None:
    rng = np.random.default_rng(6)
    judge = learned(rng)
    failed, _ = watch(judge, rng, 30, fail=0.5)
    assert failed.verdict is Verdict.FAILED
    later = judge.observe(TrafficSecond(5000, arm(rng, 80), arm(rng, 20)))
    assert later.verdict is Verdict.FAILED
    assert later.reason == failed.reason


def test_the_inverted_comparison_is_no_harm() -> None:
    # The baseline is the one that fails: the candidate is the cure.
    rng = np.random.default_rng(7)
    judge = learned(rng)
    for t in range(60):
        look = judge.observe(TrafficSecond(1000 + t, arm(rng, 80, 0.2), arm(rng, 20, 0.005)))
        assert look.verdict is not Verdict.FAILED


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=30))
def test_swapping_the_arms_never_leaves_evidence_of_harm_on_both_sides(failures: list[tuple[int, int]]) -> None:
    policy = AnalysisPolicy(second_opinion=0.0)
    one, other = StratifiedJudge(policy), StratifiedJudge(policy)
    for t, (a, b) in enumerate(failures):
        ours, theirs = ArmSecond(50, a), ArmSecond(50, b)
        look = one.observe(TrafficSecond(t, ours, theirs))
        swapped = other.observe(TrafficSecond(t, theirs, ours))
    assert min(look.log_e, swapped.log_e) < math.log(1.0 / policy.alpha)
    # Equal arms: worth nothing, either way, beyond rounding.
    if sum(a for a, _ in failures) == sum(b for _, b in failures):
        assert min(look.log_e, swapped.log_e) <= 1.0


@settings(deadline=None)
@given(st.integers(1, 500), st.integers(1, 500), st.integers(1, 60))
def test_seconds_without_failures_are_never_evidence_of_harm(ours: int, theirs: int, seconds: int) -> None:
    judge = StratifiedJudge()
    for t in range(min(seconds, 20)):
        look = judge.observe(TrafficSecond(t, ArmSecond(ours), ArmSecond(theirs)))
    assert look.log_e <= 0.0
    assert look.verdict is not Verdict.FAILED


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=2, max_size=12))
def test_merging_seconds_of_equal_arms_creates_no_evidence(failures: list[int]) -> None:
    # Both arms have the same counts in every second: neither apart nor merged is there anything against the candidate.
    apart, merged = StratifiedJudge(), StratifiedJudge()
    for t, k in enumerate(failures):
        look = apart.observe(TrafficSecond(t, ArmSecond(40, k), ArmSecond(40, k)))
    whole = ArmSecond(40 * len(failures), sum(failures))
    together = merged.observe(TrafficSecond(0, whole, whole))
    assert look.log_e <= 0.0
    assert together.log_e <= 0.0


def test_units_of_latency_do_not_matter() -> None:
    looks = []
    for scale in (1.0, 1000.0):
        rng = np.random.default_rng(9)
        bounds = tuple(b * scale for b in BOUNDS)
        judge = StratifiedJudge()

        def rescaled(second: ArmSecond, bounds: tuple[float, ...] = bounds) -> ArmSecond:
            return ArmSecond(second.requests, second.failures, LatencyHistogram(bounds, second.latency.counts))

        for t in range(60):
            judge.learn(TrafficSecond(t, rescaled(arm(rng, 100)), None))
        for t in range(80):
            look = judge.observe(TrafficSecond(1000 + t, rescaled(arm(rng, 80)), rescaled(arm(rng, 20, slow=1.05))))
        looks.append(look)
    assert looks[0].log_e == pytest.approx(looks[1].log_e, abs=1e-6)
    assert looks[0].log_e_safe == pytest.approx(looks[1].log_e_safe, abs=1e-6)


def test_latency_is_judged_even_when_nothing_was_learned_beforehand() -> None:
    rng = np.random.default_rng(10)
    look, _ = watch(StratifiedJudge(), rng, 300, slow=1.3)
    assert look.verdict is Verdict.FAILED
    assert "slower" in look.reason


def test_evidence_is_json_and_accounts_for_all_of_alpha() -> None:
    rng = np.random.default_rng(11)
    look, _ = watch(learned(rng), rng, 60)
    read = json.loads(json.dumps(look.evidence, allow_nan=False))
    assert read["schema"] == 1
    assert set(read["hypotheses"]) == {"failures", "slower_p50", "slower_p90", "slower_p99"}
    assert math.fsum(h["alpha_share"] for h in read["hypotheses"].values()) == pytest.approx(0.05)
    fields = {"log_e", "log_e_safe", "baseline_events", "candidate_events", "baseline_total", "candidate_total", "ratio", "threshold_ms"}
    assert all(fields <= set(h) for h in read["hypotheses"].values())
    assert read["hypotheses"]["slower_p50"]["threshold_ms"] == pytest.approx(50.0, rel=0.06)
    assert read["next"]["failures_to_fail"] > 0
