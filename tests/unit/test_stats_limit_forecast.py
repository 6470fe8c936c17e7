"""Forecasts of limits: right about leaks, calm about saw teeth, honest about what is not known."""

from __future__ import annotations

import numpy as np
import pytest

from productops.stats.limit_forecast import forecast_crossing

HOUR = 3600.0
DAY = np.arange(0, 86_400, 300.0)


def test_a_steady_leak_is_foretold_to_the_quarter_hour() -> None:
    values = 40 + DAY / HOUR + np.random.default_rng(1).normal(0, 0.2, len(DAY))
    found = forecast_crossing(DAY, values, values[-1] + 6)
    assert found is not None
    assert found.lead_s == pytest.approx(6 * HOUR, rel=0.15)
    assert found.early_s <= found.lead_s <= found.late_s
    assert found.per_hour == pytest.approx(1.0, rel=0.1)


def test_a_leak_that_began_an_hour_ago_is_not_thinned_by_the_quiet_day_before() -> None:
    values = 40 + np.random.default_rng(2).normal(0, 0.3, len(DAY))
    values[-24:] += np.arange(24) * 1.0
    found = forecast_crossing(DAY, values, values[-1] + 24)
    assert found is not None
    assert found.lead_s == pytest.approx(2 * HOUR, rel=0.4)


@pytest.mark.parametrize("period_h", [2.0, 3.3, 5.0, 7.7])
def test_a_log_that_is_rotated_in_time_never_alarms_at_any_moment_of_its_tooth(period_h: float) -> None:
    at = np.arange(0, 2 * 86_400, 300.0)
    values = 40 + 30 * ((at / (period_h * HOUR)) % 1) + np.random.default_rng(3).normal(0, 0.3, len(at))
    for end in range(300, len(at), 37):
        found = forecast_crossing(at[:end], values[:end], 90.0)
        assert found is not None
        assert found.lead_s > 86_400


def test_noise_around_a_level_crosses_nothing() -> None:
    values = 60 + 3 * np.sin(DAY / 86_400 * 2 * np.pi) + np.random.default_rng(4).normal(0, 1, len(DAY))
    found = forecast_crossing(DAY, values, 90.0)
    assert found is not None
    assert found.lead_s == np.inf
    assert found.probability < 0.05


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    random = np.random.default_rng(5)
    held = []
    for _ in range(120):
        drift, cut = random.uniform(0.5, 4), int(random.integers(400, 900))
        at = np.arange(0, 2 * 86_400, 120.0)
        values = np.cumsum(drift / 30 * random.gamma(2, 0.5, len(at))) + random.normal(0, 0.3, len(at))
        limit = values[cut] + random.uniform(1, 15)
        crossed = np.flatnonzero(values[cut:] >= limit)
        found = forecast_crossing(at[:cut], values[:cut], limit)
        if len(crossed) and found is not None:
            held.append(found.early_s <= crossed[0] * 120.0 <= found.late_s)
    assert 0.6 <= np.mean(held) <= 0.95


def test_what_falls_is_foretold_as_well_and_what_is_beyond_has_no_lead() -> None:
    values = 50 - DAY / HOUR
    found = forecast_crossing(DAY, values, values[-1] - 4, below=True)
    assert found is not None
    assert found.lead_s == pytest.approx(4 * HOUR, rel=0.1)
    beyond = forecast_crossing(DAY, values, values[-1] + 1, below=True)
    assert beyond is not None
    assert beyond.lead_s == 0


def test_too_little_is_no_forecast() -> None:
    assert forecast_crossing(DAY[:5], DAY[:5], 1e9) is None
    assert forecast_crossing(np.zeros(50), np.zeros(50), 1.0) is None
