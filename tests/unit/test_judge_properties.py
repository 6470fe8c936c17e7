"""What must hold for any traffic: symmetry, known answers, memory, and evidence that can be read later."""

from __future__ import annotations

import copy
import json
import math
import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from productops.domain.analysis import ArmSecond, LatencyHistogram, Look, TrafficSecond, Verdict
from productops.domain.judge import AnalysisPolicy, Criticality, Intervals, MetricKind, MetricRule, StratifiedJudge
from productops.domain.judge.counted import CountedHypothesis, CountedRule
from productops.stats.dispersion import Dispersion
from productops.stats.hypergeometric import log_mean_tilt
from productops.stats.odds import OddsRatioSequence

BOUNDS = (10.0, 20.0, 40.0, 80.0, 160.0, 320.0)
MIX = (0.1, 0.3, 0.3, 0.2, 0.09, 0.01)
PLAIN = CountedRule(
    name="failures",
    tolerance=1.0,
    promote_ratio=2.0,
    start_now_share=0.7,
    start_later_mean_s=1200.0,
    second_opinion=0.0,
    arm_noise=0.25,
    dispersion=True,
)


def arm(rng: np.random.Generator, requests: float, fail: float = 0.005) -> ArmSecond:
    count = int(rng.poisson(requests))
    return ArmSecond(count, int(rng.binomial(count, fail)), LatencyHistogram(BOUNDS, tuple(rng.multinomial(count, MIX).tolist())))


def log_bet(psi: float, k_a: int, n_a: int, k_b: int, n_b: int) -> float:
    """Evidence of one second that the second arm's odds are psi times the first one's."""
    return k_b * math.log(psi) - float(log_mean_tilt(baseline=n_a, candidate=n_b, events=k_a + k_b, log_psi=np.array([math.log(psi)]))[0])


@given(st.integers(0, 20), st.integers(1, 200), st.integers(0, 20), st.integers(1, 200), st.floats(1.1, 50.0))
def test_swapping_the_arms_turns_evidence_of_harm_into_evidence_of_a_cure(k_a: int, n_a: int, k_b: int, n_b: int, psi: float) -> None:
    n_a, n_b = max(n_a, k_a), max(n_b, k_b)
    assert log_bet(psi, k_a, n_a, k_b, n_b) == pytest.approx(log_bet(1.0 / psi, k_b, n_b, k_a, n_a), abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=1, max_size=15))
def test_swapping_the_arms_flips_the_sign_of_the_log_odds_interval(failures: list[tuple[int, int]]) -> None:
    one, other = OddsRatioSequence(), OddsRatioSequence()
    for a, b in failures:
        one.add(baseline=(a, 60), candidate=(b, 30))
        other.add(baseline=(b, 30), candidate=(a, 60))
    low, _, high = one.interval(0.05)
    back_low, _, back_high = other.interval(0.05)
    assert low == pytest.approx(1.0 / back_high if back_high < math.inf else 0.0, rel=1e-6)
    assert back_low == pytest.approx(1.0 / high if high < math.inf else 0.0, rel=1e-6)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=8))
def test_merged_seconds_of_rare_failures_say_what_they_said_apart(failures: list[tuple[int, int]]) -> None:
    apart = sum(log_bet(3.0, a, 8000, b, 2000) for a, b in failures)
    merged = log_bet(3.0, sum(a for a, _ in failures), 8000 * len(failures), sum(b for _, b in failures), 2000 * len(failures))
    assert merged == pytest.approx(apart, abs=0.05)


def test_a_stream_whose_arms_were_mixed_up_is_told_from_the_true_one() -> None:
    rng = np.random.default_rng(3)
    true, swapped = StratifiedJudge(), StratifiedJudge()
    for t in range(60):
        second = TrafficSecond(t, arm(rng, 100), None)
        true.learn(second)
        swapped.learn(second)
    for t in range(60, 240):
        good, bad = arm(rng, 50), arm(rng, 50, 0.05)
        look = true.observe(TrafficSecond(t, good, bad))
        mixed_up = swapped.observe(TrafficSecond(t, bad, good))
    assert look.verdict is Verdict.FAILED
    # With the arms mixed up the bad version would have been certified as no worse: here it is, against itself.
    assert mixed_up.verdict is not Verdict.FAILED
    assert mixed_up.log_e < 0.0
    assert mixed_up.evidence["hypotheses"]["failures"]["ratio"] < 0.2
    assert look.evidence["hypotheses"]["failures"]["ratio"] > 5.0


@pytest.mark.parametrize(("fail", "share"), [(0.01, 0.2), (0.2, 0.5)])
def test_the_mean_of_all_gamblers_is_at_most_one_coin(fail: float, share: float) -> None:
    rng = np.random.default_rng(17)
    ends = []
    for _ in range(1500):
        hypothesis = CountedHypothesis(PLAIN)
        for t in range(12):
            n_a, n_b = int(rng.poisson(60 * (1 - share))), int(rng.poisson(60 * share))
            hypothesis.observe((int(rng.binomial(n_a, fail)), n_a), (int(rng.binomial(n_b, fail)), n_b), elapsed_s=float(t))
        ends.append(math.exp(hypothesis.snapshot().log_e))
    # Three standard errors above the bound.
    assert np.mean(ends) <= 1.0 + 3.0 * np.std(ends) / math.sqrt(len(ends))


def test_memory_does_not_grow_with_the_length_of_a_rollout() -> None:
    rng = np.random.default_rng(5)
    judge, sizes = StratifiedJudge(), []
    seconds = [TrafficSecond(t, arm(rng, 30), arm(rng, 10)) for t in range(300)]
    for t in range(2400):
        judge.observe(replace(seconds[t % 300], at_s=t))
        if t in (1199, 2399):
            sizes.append(len(pickle.dumps(judge)))
    assert sizes[1] <= 1.1 * sizes[0] + 1000


def test_intervals_are_three_plain_numbers_in_order_per_quantity() -> None:
    rng = np.random.default_rng(6)
    intervals = Intervals()
    for t in range(120):
        intervals.observe(TrafficSecond(t, arm(rng, 80), arm(rng, 20)))
    shown = intervals.now()
    assert set(shown) == {"failures", "p50", "p90", "p99"}
    for triple in shown.values():
        assert set(triple) == {"low", "estimate", "high"}
        assert all(v is None or type(v) is float for v in triple.values())
        known = [triple[k] for k in ("low", "estimate", "high") if triple[k] is not None]
        assert known == sorted(known)


def watched(seconds: int = 40) -> tuple[StratifiedJudge, list[Look]]:
    rng = np.random.default_rng(7)
    judge = StratifiedJudge()
    return judge, [judge.observe(TrafficSecond(t, arm(rng, 80), arm(rng, 20))) for t in range(seconds)]


def test_evidence_that_is_read_late_says_what_was_known_then() -> None:
    late, early = watched()[1], []
    rng = np.random.default_rng(7)
    judge = StratifiedJudge()
    for t in range(40):
        early.append(copy.deepcopy(judge.observe(TrafficSecond(t, arm(rng, 80), arm(rng, 20))).evidence))
    assert [look.evidence for look in late] == early
    assert type(late[-1].evidence) is dict
    assert late[-1].evidence is late[-1].evidence


def test_a_look_can_be_copied_stored_and_changed() -> None:
    look = watched()[1][-1]
    more = replace(look, evidence=look.evidence | {"intervals": {}})
    assert more.evidence["intervals"] == {}
    assert pickle.loads(pickle.dumps(look)) == look
    json.dumps(look.evidence, allow_nan=False)


def test_every_hypothesis_says_what_it_counts_and_how_long_it_may_take() -> None:
    shown = watched()[1][-1].evidence["hypotheses"]
    fields = {"event", "arm", "log_e", "log_e_needed", "log_e_safe", "failed_in_s", "passed_in_s", "criticality", "ratio"}
    assert all(fields <= set(hypothesis) for hypothesis in shown.values())
    assert shown["failures"]["event"] == "failed"
    assert shown["slower_p50"]["event"].endswith(" ms")


@pytest.mark.parametrize(("criticality", "verdict"), [(Criticality.ROLL_BACK, Verdict.FAILED), (Criticality.HOLD, Verdict.INCONCLUSIVE)])
def test_harm_of_a_metric_that_holds_withholds_promotion_and_gives_nothing_back(criticality: Criticality, verdict: Verdict) -> None:
    policy = AnalysisPolicy(metrics=(MetricRule("cpu", MetricKind.SATURATION, weight=1.0, criticality=criticality),))
    judge = StratifiedJudge(policy)
    for t in range(400):
        ours = ArmSecond(80, t % 3 == 0, LatencyHistogram(), {"cpu": 0.3})
        theirs = ArmSecond(20, t % 12 == 0, LatencyHistogram(), {"cpu": 0.9})
        look = judge.observe(TrafficSecond(t, ours, theirs))
    assert look.verdict is verdict
    assert "cpu" in look.reason


def test_a_group_of_failures_in_one_second_decides_nothing_before_clusters_are_known() -> None:
    hypothesis = CountedHypothesis(PLAIN)
    for t in range(10):
        hypothesis.observe((0, 80), (0, 20), elapsed_s=float(t))
    hypothesis.observe((0, 80), (10, 20), elapsed_s=10.0)
    assert hypothesis.snapshot().log_e < math.log(20.0)


def test_single_failures_end_the_presumption_of_clusters() -> None:
    dispersion, before = Dispersion(), Dispersion().burst
    for t in range(60):
        dispersion.add(t % 3 == 0, 80)
    assert before == 6.0
    assert dispersion.burst < 2.0
    for t in range(200):
        dispersion.add(8 * (t % 16 == 0), 80)
    assert dispersion.burst > 4.0
