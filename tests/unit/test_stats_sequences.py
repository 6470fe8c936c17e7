from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from productops.stats.capital import Capital, SmallCapital, StartPrior
from productops.stats.counts import log_multinomial_factor
from productops.stats.dispersion import Dispersion
from productops.stats.mann_whitney import hodges_lehmann, shift_interval
from productops.stats.odds import OddsRatioSequence
from productops.stats.quantiles import LatencySums, distribution_radius, log_quantile_factor, quantile_difference
from productops.stats.reference import ReferenceRate


def test_ten_to_nothing_is_worth_1024_elevenths() -> None:
    assert math.exp(log_multinomial_factor([10, 0], [0.5, 0.5])) == pytest.approx(1024 / 11)


@given(st.lists(st.tuples(st.integers(0, 10**9), st.floats(0.05, 1.0)), min_size=2, max_size=5))
def test_the_multinomial_factor_is_finite_for_any_counts(arms: list[tuple[int, float]]) -> None:
    whole = math.fsum(share for _, share in arms)
    assert math.isfinite(log_multinomial_factor([n for n, _ in arms], [share / whole for _, share in arms]))


def test_the_multinomial_factor_is_a_martingale_under_its_null() -> None:
    # One step from (3, 2) with shares (0.3, 0.7): the mean over where the next request falls is where it stands.
    here = math.exp(log_multinomial_factor([3, 2], [0.3, 0.7]))
    mean = 0.3 * math.exp(log_multinomial_factor([4, 2], [0.3, 0.7])) + 0.7 * math.exp(log_multinomial_factor([3, 3], [0.3, 0.7]))
    assert mean == pytest.approx(here)


def test_shares_that_do_not_sum_to_one_are_refused() -> None:
    with pytest.raises(ValueError, match="sum to one"):
        log_multinomial_factor([1, 1], [0.5, 0.6])


def test_the_band_of_a_distribution_has_the_published_radius() -> None:
    assert distribution_radius(1000, alpha=0.05, from_size=100) == pytest.approx(0.08204769, abs=2e-7)
    assert distribution_radius(99, alpha=0.05, from_size=100) == math.inf


def test_the_quantile_factor_is_a_martingale_under_its_null() -> None:
    p, n, k = 0.9, 17.0, 14.0
    here = math.exp(float(log_quantile_factor(np.array(k), n, p)))
    up = math.exp(float(log_quantile_factor(np.array(k + 1), n + 1, p)))
    same = math.exp(float(log_quantile_factor(np.array(k), n + 1, p)))
    assert p * up + (1 - p) * same == pytest.approx(here)


def test_quantile_intervals_hold_the_truth_at_every_second() -> None:
    rng = np.random.default_rng(5)
    missed = 0
    edges = np.arange(1.0, 400.0)
    truth = 50.0 * math.exp(0.5 * 1.2815516)
    for _ in range(30):
        sums = LatencySums()
        for _ in range(25):
            draws = np.minimum(np.ceil(50.0 * np.exp(0.5 * rng.standard_normal(50))), 399.0)
            bounds, counts = np.unique(draws, return_counts=True)
            sums.add(bounds.tolist(), counts.tolist())
            low, _, high = sums.interval(0.9, alpha=0.1)
            if not low < truth <= high:
                missed += 1
                break
    assert edges[0] < truth < edges[-1]
    assert missed <= 6


def test_a_slower_candidate_has_a_positive_quantile_difference() -> None:
    fast, slow = LatencySums(), LatencySums()
    fast.add([10.0, 20.0, 30.0], [5000, 1000, 10])
    slow.add([10.0, 20.0, 30.0], [10, 1000, 5000])
    low, estimate, high = quantile_difference(fast, slow, 0.5, alpha=0.05)
    assert low >= 0.0
    assert low <= estimate <= high
    assert LatencySums().interval(0.5, alpha=0.05)[2] == math.inf


def test_odds_ratio_intervals_hold_the_truth_at_every_second() -> None:
    rng = np.random.default_rng(8)
    missed = 0
    for _ in range(30):
        sequence = OddsRatioSequence()
        for _ in range(40):
            p = rng.uniform(0.005, 0.1)
            odds = 2.0 * p / (1 - p)
            a, b = int(rng.poisson(60)), int(rng.poisson(20))
            sequence.add(baseline=(int(rng.binomial(a, p)), a), candidate=(int(rng.binomial(b, odds / (1 + odds))), b))
            low, _, high = sequence.interval(0.1)
            if not low <= 2.0 <= high:
                missed += 1
                break
    assert missed <= 6


def test_nothing_is_known_about_the_ratio_before_the_first_event() -> None:
    low, estimate, high = OddsRatioSequence().interval(0.05)
    assert (low, high) == (0.0, math.inf)
    assert math.isnan(estimate)


@given(st.integers(1, 50), st.floats(1.0, 1e4), st.floats(0.01, 0.99))
def test_start_shares_never_sum_to_more_than_one(seconds: int, mean: float, now: float) -> None:
    prior = StartPrior(now_share=now, later_mean_s=mean)
    assert math.fsum(prior.share(float(t * t)) for t in range(seconds)) <= 1.0 + 1e-12


def test_both_kinds_of_capital_agree() -> None:
    rng = np.random.default_rng(2)
    small, large = SmallCapital((0.3, 0.6)), Capital([(0.3, 0.6)])
    prior = StartPrior(now_share=0.7, later_mean_s=100.0)
    bets = rng.normal(0, 1, (30, 2))
    shares = np.array([prior.share(float(t)) for t in range(30)])
    last = [small.bet(np.exp(b).tolist(), s) for b, s in zip(bets, shares.tolist(), strict=True)][-1]
    large.bet(bets[:7], shares=shares[:7], at=np.arange(7.0))
    assert large.bet(bets[7:], shares=shares[7:], at=np.arange(7.0, 30.0))[0] == pytest.approx(last)


def test_the_onset_of_a_capital_is_when_its_wins_began() -> None:
    capital = Capital([(1.0,)])
    bets = np.concatenate((np.full(100, -0.5), np.full(40, 0.5)))[:, None]
    prior = StartPrior(now_share=0.7, later_mean_s=600.0)
    shares = np.array([prior.share(float(t)) for t in range(140)])
    capital.bet(bets, shares=shares, at=np.arange(140.0))
    assert 95.0 <= float(capital.onsets()[0]) <= 106.0


def test_capped_capital_never_exceeds_its_limit_and_never_grows_by_it() -> None:
    capital = Capital([(1.0,), (1.0,)])
    capital.bet(np.array([[5.0, -1.0]]), shares=np.array([0.7]), at=np.array([0.0]))
    before = capital.log_values()
    capital.cap(np.array([2.0, 2.0]))
    after = capital.log_values()
    assert after[0] == pytest.approx(2.0)
    assert after[1] == pytest.approx(before[1])


def test_independent_counts_are_not_called_dispersed_and_clusters_are() -> None:
    rng = np.random.default_rng(3)
    calm, wild = Dispersion(), Dispersion()
    for t in range(600):
        # The rate swings slowly: that is no dispersion.
        rate = 0.02 * (1.0 + 0.8 * math.sin(t / 100.0))
        calm.add(int(rng.binomial(100, rate)), 100)
        groups = rng.poisson(0.3)
        wild.add(min(100, int(rng.geometric(0.2, groups).sum()) if groups else 0), 100)
    assert calm.inflation < 1.6
    assert wild.inflation > 4.0


def test_history_counts_until_the_present_contradicts_it() -> None:
    reference = ReferenceRate()
    for _ in range(300):
        reference.learn(1, 100)
    assert reference.rate(0, 100) == pytest.approx(0.01, rel=0.05)
    for _ in range(60):
        reference.observe(10, 100)
    assert reference.rate(10, 100) == pytest.approx(0.1, rel=0.05)


def test_the_rank_test_sees_a_clean_shift_and_no_shift() -> None:
    base = [float(x) for x in range(20)]
    low, estimate, high = shift_interval(base, [x + 5.0 for x in base], confidence=0.98)
    assert low < 5.0 < high
    assert estimate == pytest.approx(5.0)
    low, _, high = shift_interval(base, base, confidence=0.98)
    assert low < 0.0 < high
    assert hodges_lehmann(np.array([1.0, 2.0]), np.array([4.0, 4.0])) == pytest.approx(2.5)
    with pytest.raises(ValueError, match="at least one"):
        shift_interval([], [1.0], confidence=0.98)
