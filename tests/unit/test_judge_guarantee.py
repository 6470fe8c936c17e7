"""The guarantee itself: what is a martingale is shown to be one, by enumeration and by Monte Carlo."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import hypergeom

from productops.domain.analysis import ArmSecond, TrafficSecond
from productops.domain.judge import AnalysisPolicy, StratifiedJudge
from productops.domain.judge.counted import CountedHypothesis, CountedRule
from productops.domain.judge.policy import QUANTILES
from productops.domain.judge.shape import LatencyShape
from productops.stats.strata import log_mean_tilt

RULE = CountedRule(
    name="failures",
    tolerance=1.0,
    promote_ratio=2.0,
    start_now_share=0.7,
    start_later_mean_s=1200.0,
    second_opinion=0.0,
    arm_noise=0.25,
    dispersion=True,
)


def harm_after(seconds: list[tuple[int, int, int, int]], rule: CountedRule = RULE) -> float:
    """E-value after seconds of (baseline events, baseline requests, candidate events, candidate requests)."""
    hypothesis = CountedHypothesis(rule)
    for t, (k_a, n_a, k_b, n_b) in enumerate(seconds):
        hypothesis.observe((k_a, n_a), (k_b, n_b), elapsed_s=float(t))
    return math.exp(hypothesis.snapshot().log_e)


def splits(n_a: int, n_b: int, events: int) -> list[tuple[int, float]]:
    """All ways the events of a second may fall on the candidate when both arms are alike, with their chances."""
    return [(k, float(hypergeom.pmf(k, n_a + n_b, events, n_b))) for k in range(max(0, events - n_a), min(events, n_b) + 1)]


@pytest.mark.parametrize("events", [1, 3, 9, 20])
def test_one_second_of_equal_arms_is_worth_at_most_what_was_laid(events: int) -> None:
    mean = sum(chance * harm_after([(events - k, 40, k, 10)]) for k, chance in splits(40, 10, events))
    # 0.7 of the capital is laid in the first second; tempering for noise can only lower the mean.
    assert mean <= 0.7 + 1e-9
    exact = CountedRule(**{**{f: getattr(RULE, f) for f in RULE.__dataclass_fields__}, "arm_noise": 0.0, "dispersion": False})
    mean = sum(chance * harm_after([(events - k, 40, k, 10)], exact) for k, chance in splits(40, 10, events))
    assert mean == pytest.approx(0.7)


def test_two_seconds_of_equal_arms_by_enumeration() -> None:
    total = 0.0
    for first, p in splits(12, 5, 4):
        for second, q in splits(3, 6, 5):
            total += p * q * harm_after([(4 - first, 12, first, 5), (5 - second, 3, second, 6)])
    assert total <= 1.0


def test_a_better_candidate_is_worth_less_than_an_equal_one() -> None:
    def mean(odds: float) -> float:
        ways = [(k, math.comb(10, k) * math.comb(40, 6 - k) * odds**k) for k in range(7)]
        whole = sum(w for _, w in ways)
        return sum(w / whole * harm_after([(6 - k, 40, k, 10)]) for k, w in ways)

    assert mean(0.5) < mean(0.8) < mean(1.0) <= 0.7 + 1e-9


def test_a_tolerance_is_paid_exactly() -> None:
    rule = CountedRule(
        **{**{f: getattr(RULE, f) for f in RULE.__dataclass_fields__}, "tolerance": 1.5, "arm_noise": 0.0, "dispersion": False}
    )
    ways = [(k, math.comb(10, k) * math.comb(40, 5 - k) * 1.5**k) for k in range(6)]
    whole = sum(w for _, w in ways)
    assert sum(w / whole * harm_after([(5 - k, 40, k, 10)], rule) for k, w in ways) == pytest.approx(0.7)


def test_a_certificate_is_a_martingale_at_its_bound() -> None:
    ways = [(k, math.comb(10, k) * math.comb(40, 5 - k) * 2.0**k) for k in range(6)]
    whole = sum(w for _, w in ways)
    total = 0.0
    for k, w in ways:
        hypothesis = CountedHypothesis(
            CountedRule(**{**{f: getattr(RULE, f) for f in RULE.__dataclass_fields__}, "arm_noise": 0.0, "dispersion": False})
        )
        hypothesis.observe((5 - k, 40), (k, 10), elapsed_s=0.0)
        total += w / whole * math.exp(hypothesis.log_safe)
    assert total == pytest.approx(0.7)


def test_latency_bets_are_fair_when_the_versions_are_alike() -> None:
    bounds = [10.0, 20.0, 40.0, 80.0, 160.0]
    shape = LatencyShape.of(bounds, np.array([0.1, 0.5, 0.8, 0.95, 1.0]))
    weights = np.array([shape.slowed(1.1), shape.slowed(2.0, share=0.5)])
    rng = np.random.default_rng(4)
    pooled, chosen = np.array([6, 20, 9, 4, 1]), 10
    constant = log_mean_tilt(weights, pooled.astype(float), chosen)
    draws = rng.multivariate_hypergeometric(pooled, chosen, 200_000)
    ratios = np.exp(draws @ np.log(weights).T - constant)
    assert ratios.mean(axis=0) == pytest.approx([1.0, 1.0], abs=0.02)


def test_equal_versions_are_given_up_less_often_than_alpha_whatever_the_traffic_does() -> None:
    # Errors swing by a factor of forty, the split by six: only what both share.
    rng = np.random.default_rng(12)
    policy = AnalysisPolicy(alpha=0.2, second_opinion=0.0, weight_p50=0.0, weight_p90=0.0, weight_p99=0.0)
    failed = 0
    for _ in range(60):
        judge = StratifiedJudge(policy)
        wave = rng.uniform(0, 6.28)
        for t in range(120):
            rate, share = 0.02 * math.exp(1.8 * math.sin(t / 15 + wave)), 0.25 * math.exp(0.9 * math.sin(t / 20 - wave))
            n_a, n_b = int(rng.poisson(60 * (1 - share))), int(rng.poisson(60 * share))
            ours, theirs = ArmSecond(n_a, int(rng.binomial(n_a, rate))), ArmSecond(n_b, int(rng.binomial(n_b, rate)))
            failed += judge.observe(TrafficSecond(t, ours, theirs)).verdict == "failed"
            if judge._failed is not None:
                break
    # 0.2 of 60 is 12; the bound is never reached because the last bet overshoots.
    assert failed <= 12


def test_every_quantile_keeps_its_share_of_alpha() -> None:
    weights = AnalysisPolicy().weights()
    assert {f"slower_{q}" for q in QUANTILES} | {"failures"} == set(weights)
    assert math.fsum(weights.values()) == pytest.approx(1.0)
