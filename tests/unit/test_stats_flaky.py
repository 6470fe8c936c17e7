"""Flaky tests in histories whose truth is known, and in the small cases a person would decide by hand."""

from __future__ import annotations

import numpy as np
import pytest

from productops.stats.flaky import Flakiness, judge_flakiness

RUNS = 30


def history(*rows: str, code: list[int] | None = None) -> Flakiness:
    """One text per test and one letter per run: ``.`` passed, ``F`` failed, ``R`` failed and passed when retried, blank: not run."""
    fails = np.array([[{"F": 1, "R": 1}.get(letter, 0) for letter in row] for row in rows])
    total = np.array([[{" ": 0, "R": 2}.get(letter, 1) for letter in row] for row in rows])
    return judge_flakiness(fails, total, np.array(code if code is not None else range(len(rows[0]))))


def simulated(seed: int, tests: int = 3000, share: float = 0.02) -> tuple[np.ndarray, ...]:
    """Failures, executions, code, suites, which are flaky, and what changes had broken when; with a bad day of all and of ten suites."""
    rng = np.random.default_rng(seed)
    code = np.cumsum(np.r_[0, rng.random(RUNS - 1) > 0.3])
    flaky, suites = rng.random(tests) < share, rng.integers(0, 60, tests)
    rate = np.where(flaky, np.clip(rng.beta(1.2, 4, tests), 0.08, 0.8), 0)[:, None]
    broken, now = np.zeros((tests, RUNS), dtype=bool), np.zeros(tests, dtype=bool)
    for run in range(1, RUNS):
        if code[run] != code[run - 1]:
            hit = (rng.random(tests) < 0.001) | ((suites == rng.integers(60)) & (rng.random(tests) < 0.3) & (rng.random() < 0.2))
            now = np.where(now, rng.random(tests) > 0.35, hit)
        broken[:, run] = now
    bad = np.zeros((tests, RUNS), dtype=bool)
    bad[:, rng.integers(RUNS)] |= rng.random(tests) < 0.4
    bad[:, rng.integers(RUNS)] |= (suites < 10) & (rng.random(tests) < 0.8)
    first, second = (broken | bad | (rng.random((tests, RUNS)) < rate) for _ in range(2))
    return first.astype(int) + (first & second), 1 + first.astype(int), code, suites, flaky, broken


def test_flaky_tests_are_found_and_changes_that_broke_tests_are_not_called_chance():
    for seed in (1, 2):
        fails, total, code, suites, flaky, broken = simulated(seed)
        found = judge_flakiness(fails, total, code, suites)
        called = found.probability > 0.8
        assert (called & flaky).sum() >= 0.95 * called.sum()
        assert (called & flaky).sum() >= 0.85 * flaky.sum()
        assert not (called & ~flaky & broken.any(axis=1)).any()
        assert not (called & broken[:, -4:].all(axis=1) & (found.broken < 0.5)).any()


def test_a_failure_that_a_retry_of_the_same_code_undoes_is_chance():
    steady = "." * RUNS
    found = history(*[steady] * 50, "." * 10 + "R" + "." * 9 + "R" + "." * 9)
    assert found.probability[-1] > 0.95
    assert found.probability[0] < 0.05


def test_a_test_that_broke_and_was_mended_later_is_not_flaky():
    found = history(*["." * RUNS] * 50, "." * 10 + "F" * 6 + "." * 14)
    assert found.probability[-1] < 0.1
    assert found.broken[-1] < 0.1


def test_a_test_that_fails_since_the_newest_changes_is_broken():
    found = history(*["." * RUNS] * 50, "." * 26 + "FFFF")
    assert found.probability[-1] < 0.2
    assert found.broken[-1] > 0.9


def test_a_flaky_test_that_a_change_then_broke_is_flaky_and_broken():
    found = history(*["." * RUNS] * 50, "..F..R....F...R..F....FFFFFFFF")
    assert found.probability[-1] > 0.8
    assert found.broken[-1] > 0.9


def test_a_bad_day_of_the_machines_makes_no_test_flaky():
    fails = np.zeros((200, RUNS), dtype=int)
    fails[:120, 12] = 1
    found = judge_flakiness(fails, np.ones_like(fails), np.repeat(range(RUNS // 2), 2))
    assert (found.probability < 0.2).all()


def test_runs_of_equal_code_belong_together_wherever_they_stand():
    rows = ["." * 6] * 30
    apart = history(*rows, ".F....", code=[1, 2, 3, 2, 4, 5])
    changed = history(*rows, ".F....", code=[1, 2, 3, 6, 4, 5])
    assert apart.probability[-1] > changed.probability[-1]


def test_tests_that_never_ran_are_as_flaky_as_any_and_no_tests_are_fine():
    never = history(*["." * RUNS] * 50, " " * RUNS)
    assert never.probability[-1] < 0.1
    assert judge_flakiness(np.zeros((0, 3), int), np.zeros((0, 3), int), np.arange(3)).probability.shape == (0,)


@pytest.mark.parametrize(("fails", "total"), [([[2]], [[1]]), ([[-1]], [[1]]), ([[0, 0]], [[1, 1]])])
def test_counts_that_cannot_be_are_refused(fails: list[list[int]], total: list[list[int]]):
    with pytest.raises(ValueError, match=r"executions|code"):
        judge_flakiness(np.array(fails), np.array(total), np.array([1]))
