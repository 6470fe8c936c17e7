"""The statistics of insights: what is causal, what is bounded, what holds on average."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.insights import judge, ours
from benchmarks.insights_ventures import WORLDS, simulate
from productops.stats.analytics_insight_effect import interrupted, unsteadied
from productops.stats.analytics_insight_explain import compare_harm, explain_amount, explain_rate, used_at_most
from productops.stats.analytics_insight_fdr import SHARE, WINDOW_NIGHTS, Night, level_of, night_of, reject
from productops.stats.analytics_insight_find import Replay
from productops.stats.analytics_insight_forecast import forecast
from productops.stats.analytics_insight_panel import Panel, clean, steadied, weighted_median

P_VALUES = st.lists(st.floats(min_value=0, max_value=1), min_size=1, max_size=40)


def panel(values: np.ndarray) -> Panel:
    rows, days = values.shape
    none = np.full(rows, -1)
    return Panel(values, none, none, np.arange(days) % 7, np.ones(rows, bool), np.zeros(rows, int), np.arange(rows), none)


@given(P_VALUES, st.floats(min_value=0.001, max_value=0.5))
def test_what_is_rejected_at_a_level_is_rejected_at_a_higher_one(values: list[float], level: float) -> None:
    p = np.array(values)
    assert not (reject(p, level) & ~reject(p, min(1.0, 2 * level))).any()


@given(st.lists(st.integers(min_value=0, max_value=3), max_size=120))
def test_no_window_of_nights_spends_more_than_its_share(found: list[int]) -> None:
    nights: list[Night] = []
    for count in found:
        nights.append(Night(100, level_of(nights), count, count + 1))
        recent = nights[-WINDOW_NIGHTS:]
        total = sum(night.rejected for night in recent)
        spent = sum(n.level * n.rejected_most / (n.rejected_most + total - n.rejected) for n in recent)
        assert spent <= SHARE * 1.001


def test_a_night_without_a_small_p_finds_nothing_and_keeps_its_record() -> None:
    mask, night = night_of(np.array([0.5, 0.9, 0.2]), 0.01)
    assert not mask.any()
    assert (night.tests, night.rejected, night.rejected_most) == (3, 0, 1)


def test_what_is_said_of_a_day_does_not_depend_on_later_days() -> None:
    random = np.random.default_rng(3)
    values = random.poisson(200, (24, 90)).astype(float)
    later = values.copy()
    later[:, 60:] *= 3
    one, other = clean(panel(values)), clean(panel(later))
    assert np.array_equal(one.course[:, :60], other.course[:, :60])
    assert np.array_equal(one.scale[:, :60], other.scale[:, :60])


def test_one_series_cannot_say_alone_what_all_share() -> None:
    values, weights = np.array([5.0, *np.linspace(-1, 1, 19)]), np.array([1e6, *np.ones(19)])
    assert abs(weighted_median(values, weights)) < 0.5
    assert weighted_median(values[:5], weights[:5]) == 0.0


@given(st.floats(min_value=0, max_value=1e6))
def test_the_steady_scale_can_be_undone(value: float) -> None:
    there = steadied(np.array([[value]]), np.array([True]))[0]
    assert unsteadied(there, count=True)[0] == pytest.approx(value, rel=1e-6, abs=1e-6)


def test_a_planted_drop_is_found_once_in_its_segment_and_noise_is_not() -> None:
    venture = simulate(4, noise=WORLDS["calm"], features=30, dimensions=(3,), days=160, judged=40, effects=6)
    score = ours(venture)
    assert score.right >= 4
    assert score.wrong <= 2
    nothing = simulate(5, noise=WORLDS["usual"], features=30, dimensions=(3,), days=160, judged=40, effects=0)
    assert ours(nothing).wrong <= 1


def test_a_discovery_of_what_was_found_already_counts_as_false() -> None:
    venture = simulate(4, noise=WORLDS["calm"], features=12, dimensions=(3,), days=120, judged=40, effects=2)
    row, night = venture.truths[0].row, venture.truths[0].first + 3
    score = judge(venture, [(row, night), (row, night + 1)], night_s=0.0)
    assert (score.right, score.wrong) == (1, 1)


def test_a_panel_that_is_too_short_finds_nothing_and_spends_nothing() -> None:
    replay = Replay(panel(np.full((12, 20), 50.0)))
    assert replay.night(19) == []
    assert replay.nights[-1].level == 0.0


@settings(max_examples=20, deadline=None)
@given(st.integers(min_value=1, max_value=10_000), st.sampled_from([0.5, 0.7, 1.5, 2.0]))
def test_an_effect_is_measured_with_its_sign_and_about_its_size(seed: int, factor: float) -> None:
    random = np.random.default_rng(seed)
    week = np.exp(0.2 * np.sin(2 * np.pi * np.arange(112) / 7))
    shared = np.exp(random.normal(0, 0.1, 112))
    others = random.poisson(500 * week * shared, (10, 112)).astype(float)
    mine = random.poisson(400 * week * shared * np.where(np.arange(112) >= 90, factor, 1.0)).astype(float)
    effect = interrupted(mine, others, 90, np.arange(112) % 7)
    assert effect is not None
    assert effect.low < effect.change < effect.high
    assert effect.change == pytest.approx(factor - 1, abs=0.15 * factor)
    assert effect.low * effect.high > 0


def test_too_few_days_give_no_effect_and_no_forecast() -> None:
    assert interrupted(np.full(40, 9.0), np.empty((0, 40)), 38, np.arange(40) % 7) is None
    assert forecast(np.full(30, 9.0), 7) is None


def test_a_forecast_keeps_the_weekdays_and_its_range_holds_its_middle() -> None:
    random = np.random.default_rng(1)
    week = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 0.4, 0.4])
    values = random.poisson(300 * np.tile(week, 20)).astype(float)
    ahead = forecast(values, 14)
    assert ahead is not None
    assert (ahead.low <= ahead.middle).all()
    assert (ahead.middle <= ahead.high).all()
    assert ahead.middle[5] < 0.6 * ahead.middle[0]


def test_parts_of_a_change_add_up_to_it() -> None:
    parts = explain_amount(np.array([100.0, 50.0, 50.0]), np.array([40.0, 50.0, 50.0]))
    assert (parts[0].index, parts[0].share) == (0, 1.0)
    done0, of0, done1, of1 = (np.array(each) for each in ([30.0, 10.0], [100.0, 100.0], [30.0, 20.0], [100.0, 300.0]))
    rates = explain_rate(done0, of0, done1, of1)
    assert sum(each.within + each.mix for each in rates) == pytest.approx(50 / 400 - 40 / 200)
    assert sum(each.share for each in rates) == pytest.approx(1.0)


def test_unused_can_only_be_said_when_enough_were_there() -> None:
    assert used_at_most(0, 0) == 1.0
    assert used_at_most(0, 100) > 0.02
    assert used_at_most(0, 10_000) < 0.001
    assert used_at_most(10, 10) == 1.0


def test_harm_is_compared_among_alike_people_only() -> None:
    # Heavy users fail more and use the feature more: all of the difference is theirs.
    harm = compare_harm(np.array([5.0, 90.0]), np.array([100.0, 300.0]), np.array([45.0, 30.0]), np.array([900.0, 100.0]))
    assert harm is not None
    assert harm.low < 1 < harm.high
    worse = compare_harm(np.array([60.0]), np.array([300.0]), np.array([60.0]), np.array([900.0]))
    assert worse is not None
    assert worse.ratio == pytest.approx(3.0)
    assert worse.low > 1.5
    assert worse.hidden > 2
    assert compare_harm(np.zeros(1), np.ones(1), np.ones(1), np.ones(1)) is None
