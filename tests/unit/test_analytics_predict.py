"""Predictions from the first days are better than the base rate and than a straight line, and mean what they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.success import DUE, run, simulate
from productops.domain.analytics_predict import SIGNALS, known_row, one_of_each, start_calibrator
from productops.stats.analytics_predict import (
    PLATEAU,
    calibrated,
    curves,
    fit_calibrator,
    fit_growth,
    future_means,
    learned_prior,
    wide_prior,
)


def test_predictions_beat_the_base_rate_and_a_straight_line_on_simulated_features() -> None:
    found = run("usual", features=40, past=0, days=10, seed=5)
    assert found["brier"] < 0.6 * found["brier_base_rate"]
    assert found["brier"] < 0.6 * found["brier_line_normal"]


def test_without_a_day_the_prior_speaks_and_days_sharpen_it() -> None:
    prior = wide_prior()
    nothing = fit_growth(np.empty(0), np.empty(0), np.empty(0), prior=prior)
    days = np.arange(20.0)
    seen = fit_growth(days, np.full(20, 300.0), np.full(20, 1000.0), prior=prior)
    wide, sharp = (np.ptp(np.quantile(future_means(d, first=35, last=41, people=1000), [0.1, 0.9])) for d in (nothing, seen))
    assert sharp < 0.3 * wide
    assert np.isfinite(curves(seen, np.arange(float(DUE)))).all()


def test_a_feature_nobody_uses_and_one_everybody_uses_have_a_fit() -> None:
    days, people = np.arange(6.0), np.full(6, 50.0)
    for users, low, high in ((np.zeros(6), 0.0, 0.1), (people, 0.5, 1.0)):
        draws = fit_growth(days, users, people, prior=wide_prior())
        assert low <= float(np.median(future_means(draws, first=20, last=26, people=50))) <= high


def test_the_prior_moves_to_the_past_and_two_features_do_not_decide() -> None:
    past = np.tile(wide_prior().mean + 1.0, (2, 1))
    few, many = learned_prior(past), learned_prior(np.tile(past, (50, 1)))
    assert 0 < few.mean[PLATEAU] - wide_prior().mean[PLATEAU] < 0.5
    assert many.mean[PLATEAU] - wide_prior().mean[PLATEAU] == pytest.approx(1.0, abs=0.1)


def test_the_weights_learn_from_the_past_and_stay_near_the_prior_without() -> None:
    start = start_calibrator()
    assert fit_calibrator(np.empty((0, 7)), np.empty(0), start) is start
    random = np.random.default_rng(1)
    rows = np.array([known_row(random.uniform(0.1, 0.9), dict.fromkeys(SIGNALS)) for _ in range(200)])
    learned = fit_calibrator(rows, np.zeros(200), start)
    assert calibrated(learned, rows[0]) < calibrated(start, rows[0])


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 1), st.fixed_dictionaries({name: st.none() | st.floats(0, 1e9) for name in SIGNALS}))  # fmt: skip
def test_whatever_is_measured_gives_a_probability(chance: float, signals: dict[str, float | None]) -> None:
    assert 0 < calibrated(start_calibrator(), known_row(chance, signals)) < 1


def test_nothing_known_is_no_reason() -> None:
    assert known_row(0.5, {}).tolist() == [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    assert one_of_each([]) == []
    assert simulate("usual", np.random.default_rng(0)).users.shape == (DUE,)
