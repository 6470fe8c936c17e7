"""Moves between runs: right on average, honest about the noise of the runner."""

from __future__ import annotations

import numpy as np
import pytest

from productops.stats.comparison import compare_runs


def runs(seed: int, count: int, *, level: float = 100.0, between: float = 0.03, within: float = 0.1) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [level * np.exp(between * rng.standard_normal() + within * rng.standard_normal(200)) for _ in range(count)]


def test_a_move_of_fifteen_percent_is_measured_with_an_interval_around_it():
    shift = compare_runs(runs(1, 20), runs(2, 5, level=115))
    assert shift.low < 0.15 < shift.high
    assert 0.10 < shift.change < 0.20
    assert shift.before == pytest.approx(100, rel=0.05)
    assert not shift.presumed


def test_the_interval_holds_the_truth_as_often_as_it_says():
    """The runner's noise is shared by all values of a run: 200 of them are worth one."""
    inside = sum(
        shift.low <= 0 <= shift.high
        for seed in range(400)
        for shift in [compare_runs(runs(3 * seed, 12), runs(3 * seed + 1, 3))]
    )  # fmt: skip
    assert 0.92 <= inside / 400 <= 0.99


def test_a_change_of_the_stated_size_is_found_in_about_four_of_five():
    size = compare_runs(runs(0, 12), runs(1, 3)).detectable
    found = sum(compare_runs(runs(3 * s, 12), runs(3 * s + 1, 3, level=100 * (1 + size))).low > 0 for s in range(200))
    assert 0.6 <= found / 200 <= 0.97


def test_the_tail_can_move_while_the_median_stays():
    rng = np.random.default_rng(4)
    slow = [np.where(rng.random(400) < 0.05, 3.0, 1.0) * run for run in (rng.lognormal(4.6, 0.05, 400) for _ in range(8))]
    good = [rng.lognormal(4.6, 0.05, 400) for _ in range(8)]
    assert abs(compare_runs(good, slow).change) < 0.02
    assert compare_runs(good, slow, quantile=0.99).low > 0.5


def test_one_earlier_run_is_not_enough_to_know_the_noise_and_it_says_so():
    shift = compare_runs(runs(1, 1), runs(2, 1, level=104))
    assert shift.presumed
    assert shift.low < 0 < shift.high
    assert compare_runs(runs(1, 1), runs(2, 1, level=150)).low > 0


def test_wild_runs_do_not_hide_a_change():
    wild = [*runs(5, 15), *runs(6, 2, level=400)]
    assert compare_runs(wild, runs(7, 5, level=125)).low > 0


def test_the_unit_does_not_matter():
    one = compare_runs(runs(1, 10), runs(2, 3))
    two = compare_runs([run * 1e-9 for run in runs(1, 10)], [run * 1e-9 for run in runs(2, 3)])
    assert two.change == pytest.approx(one.change)


@pytest.mark.parametrize("wrong", [[], [[]], [[0.0]], [[-1.0]], [[float("nan")]]])
def test_what_cannot_be_compared_is_refused(wrong: list[list[float]]):
    with pytest.raises(ValueError, match="at least one run"):
        compare_runs(wrong, [[1.0]])
