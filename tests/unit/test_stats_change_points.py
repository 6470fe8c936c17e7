"""Steps and bends in series whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from productops.stats.change_points import find_bends, find_steps


def noisy(seed: int, n: int = 200, spread: float = 0.03) -> np.ndarray:
    return 100 * (1 + spread * np.random.default_rng(seed).standard_t(3, n))


def test_a_step_of_ten_percent_is_found_where_it_is():
    for seed, at in enumerate((40, 100, 160, 185)):
        series = noisy(seed)
        series[at:] *= 1.1
        (step,) = find_steps(series)
        assert abs(step.index - at) <= 5
        assert step.change == pytest.approx(0.1, abs=0.03)
        assert step.before == pytest.approx(100, rel=0.03)
        assert step.evidence >= 1


def test_steps_up_and_back_down_are_two_steps():
    series = noisy(3)
    series[60:130] *= 0.85
    assert [step.change < 0 for step in find_steps(series)] == [True, False]


def test_noise_with_two_modes_is_no_step_and_hides_none():
    """Two kinds of machine, 30 % apart: the median may sit on either, so it alone says nothing."""
    rng = np.random.default_rng(5)
    modes = np.where(rng.random(200) < 0.5, 100.0, 130.0) * (1 + 0.01 * rng.standard_normal(200))
    assert find_steps(modes) == []
    modes[120:] *= 1.1
    assert [abs(step.index - 120) <= 3 for step in find_steps(modes)] == [True]


def test_seldom_is_a_step_seen_in_plain_noise():
    assert sum(len(find_steps(noisy(seed))) for seed in range(200)) <= 4


def test_a_slow_wave_without_a_step_is_not_cut_into_many():
    wave = 100 + 2 * np.sin(np.arange(200) / 15) + np.random.default_rng(1).standard_normal(200)
    assert find_steps(wave) == []


def test_moves_below_the_wanted_effect_are_not_reported():
    series = noisy(7, spread=0.005)
    series[100:] *= 1.04
    assert find_steps(series) == []
    assert [step.index for step in find_steps(series, effect_min=0.02)] == [100]


@given(st.floats(1e-6, 1e6), st.integers(0, 20))
def test_the_unit_of_the_series_does_not_matter(unit: float, seed: int):
    series = noisy(seed)
    series[90:] *= 1.15
    assert [s.index for s in find_steps(series * unit)] == [s.index for s in find_steps(series)]


def test_short_constant_and_zero_series_have_no_steps():
    assert find_steps([]) == find_steps([1.0] * 15) == find_steps([5.0] * 100) == find_steps([0.0] * 100) == []


@pytest.mark.parametrize("wrong", [[1.0, float("nan")] * 20, [[1.0, 2.0]] * 20, [float("inf")] * 40])
def test_what_is_no_series_of_numbers_is_refused(wrong: list[float]):
    with pytest.raises(ValueError, match="a series is one row"):
        find_steps(wrong)


def test_bends_are_changes_of_level_and_of_slope():
    rng = np.random.default_rng(2)
    level = np.concatenate([np.zeros(100), np.full(100, 3.0)]) + 0.3 * rng.standard_normal(200)
    slope = np.concatenate([np.zeros(100), 0.1 * np.arange(100)]) + 0.3 * rng.standard_normal(200)
    assert find_bends(level) == [100]
    assert [abs(at - 100) <= 5 for at in find_bends(slope)] == [True]


def test_gaps_are_bridged_and_nothing_at_all_is_refused():
    series = np.concatenate([np.zeros(50), np.ones(50)]) + 0.1 * np.random.default_rng(1).standard_normal(100)
    series[10:13] = np.nan
    assert find_bends(series) == [50]
    with pytest.raises(ValueError, match="some of them known"):
        find_bends([float("nan")] * 10)


def test_a_straight_line_and_a_short_series_do_not_bend():
    assert find_bends(np.arange(100.0)) == find_bends([1.0, 2.0, 9.0]) == []
