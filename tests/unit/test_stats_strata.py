from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from productops.stats.hypergeometric import log_choose, log_mean_tilt, mean_tilts
from productops.stats.strata import TiltEngine, _log_coefficient_saddle
from productops.stats.strata import log_mean_tilt as log_mean_tilt_of_categories

LOG_PSI = np.log([0.3, 1.0, 2.0, 5.0, 80.0])


def enumerated(weights: np.ndarray, counts: list[int], chosen: int) -> np.ndarray:
    total = np.zeros(len(weights))
    for picks in itertools.product(*(range(c + 1) for c in counts)):
        if sum(picks) == chosen:
            ways = math.prod(math.comb(c, k) for c, k in zip(counts, picks, strict=True)) / math.comb(sum(counts), chosen)
            total += ways * np.prod(weights ** np.array(picks), axis=1)
    return np.log(total)


@pytest.mark.parametrize(("baseline", "candidate", "events"), [(5, 3, 4), (80, 20, 3), (80, 20, 60), (3, 50, 20), (1, 1, 1), (40, 10, 50)])
def test_the_mean_tilt_is_the_sum_over_the_hypergeometric_law(baseline: int, candidate: int, events: int) -> None:
    k = np.arange(events + 1)
    chances = hypergeom.pmf(k, baseline + candidate, events, candidate)
    expected = [math.log(float((chances * np.exp(log_psi * k)).sum())) for log_psi in LOG_PSI]
    found = log_mean_tilt(baseline=baseline, candidate=candidate, events=events, log_psi=LOG_PSI)
    assert found == pytest.approx(expected, abs=1e-12)


@given(baseline=st.integers(0, 60), candidate=st.integers(1, 60), events=st.integers(1, 40))
def test_the_quick_loop_agrees_with_the_logs(baseline: int, candidate: int, events: int) -> None:
    if events > baseline + candidate:
        return
    quick = mean_tilts(baseline=baseline, candidate=candidate, events=events, psi=np.exp(LOG_PSI).tolist())
    if quick is not None:
        slow = log_mean_tilt(baseline=baseline, candidate=candidate, events=events, log_psi=LOG_PSI)
        assert np.log(quick) == pytest.approx(slow, abs=1e-10)


@pytest.mark.parametrize(("counts", "chosen"), [([5, 4, 3, 2], 4), ([8, 6, 3, 1], 1), ([2, 1, 1, 0], 3), ([6, 6, 6, 6], 11)])
def test_the_constant_of_several_categories_is_the_sum_over_all_tables(counts: list[int], chosen: int) -> None:
    weights = np.array([[0.5, 0.8, 1.2, 2.0], [1.0, 1.0, 1.0, 8.0], [0.1, 0.5, 3.0, 50.0]])
    found = log_mean_tilt_of_categories(weights, np.array(counts, dtype=float), chosen)
    assert found == pytest.approx(enumerated(weights, counts, chosen), abs=1e-6)


def test_tables_agree_with_the_exact_sum_in_quiet_and_in_incidents() -> None:
    rng = np.random.default_rng(1)
    usual = np.array([0.1, 0.15, 0.25, 0.25, 0.15, 0.07, 0.02, 0.01])
    weights = np.vstack([np.exp(np.linspace(-1, 1, 8) * s) for s in (0.05, 0.3, 1.0)] + [np.r_[np.ones(6), 3.0, 9.0]])
    for rate, share in [(2, 0.3), (20, 0.05), (100, 0.2), (2000, 0.1)]:
        engine = TiltEngine(weights, usual)
        for second in range(12):
            mix = usual if second % 4 else usual[::-1]
            totals = rng.poisson(rate, 6)
            chosen = rng.binomial(totals, share)
            open_ones = (chosen > 0) & (chosen < totals)
            totals, chosen = totals[open_ones], chosen[open_ones]
            if not len(totals):
                continue
            counts = np.array([rng.multinomial(n, mix) for n in totals], dtype=float)
            exact = [log_mean_tilt_of_categories(weights, c, int(n)) for c, n in zip(counts, chosen, strict=True)]
            assert engine.log_means(counts, chosen.astype(float)) == pytest.approx(np.array(exact), abs=2e-5)


def test_the_saddle_point_is_right_where_it_is_used() -> None:
    weights = np.array([[0.9, 1.0, 1.3], [1.0, 1.0, 4.0]])
    counts = np.array([2500.0, 1400.0, 190.0])
    ones = np.ones((1, 3))
    saddle = _log_coefficient_saddle(weights, counts, 800) - _log_coefficient_saddle(ones, counts, 800)
    assert saddle == pytest.approx(log_mean_tilt_of_categories(weights, counts, 800), abs=1e-6)


def test_a_billion_requests_give_finite_numbers() -> None:
    found = log_mean_tilt(baseline=8 * 10**8, candidate=2 * 10**8, events=5 * 10**6, log_psi=LOG_PSI)
    assert np.isfinite(found).all()
    # Rare events among many requests are binomial: n log(1 + share (psi - 1)), less a little for drawing without replacement.
    assert found[2] == pytest.approx(5e6 * math.log1p(0.2), rel=0.01)
    many = log_mean_tilt_of_categories(np.array([[0.9, 1.1]]), np.array([5e8, 5e8]), 2 * 10**8)
    assert np.isfinite(many).all()


@settings(max_examples=50)
@given(counts=st.lists(st.integers(0, 30), min_size=2, max_size=5), data=st.data())
def test_no_tilt_means_no_evidence(counts: list[int], data: st.DataObject) -> None:
    chosen = data.draw(st.integers(0, sum(counts)))
    ones = np.ones((1, len(counts)))
    assert log_mean_tilt_of_categories(ones, np.array(counts, dtype=float), chosen) == pytest.approx([0.0], abs=1e-7)


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="exceed"):
        log_mean_tilt(baseline=1, candidate=1, events=3, log_psi=LOG_PSI)
    with pytest.raises(ValueError, match="chosen"):
        log_mean_tilt_of_categories(np.ones((1, 2)), np.array([1.0, 1.0]), 3)


def test_binomial_coefficients() -> None:
    assert log_choose(10, 3) == pytest.approx(math.log(120))
