"""Whose users leave, and which funnels lose people: the figures and the sentences."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from productops.domain.analytics_insight import ActionKind, AnalyticsInsightKind
from productops.domain.analytics_insight_people import FunnelWeeks, conversions, harmful
from productops.stats.analytics_insight_people import leavers, rate_change

SUNDAY = date(2026, 8, 2)


def two_weeks(random: np.random.Generator, *, harm: float, people: int = 6000, eager: float = 0.0):
    """People with a habit (share of days); a third uses feature 0, and leaves ``harm`` times as often; feature 1 does nothing."""
    habit = random.beta(2, 3, people)
    # who is more active uses more: a plain comparison would call the feature good, whatever it does
    uses = random.random((people, 2)) < (0.2 + eager * habit)[:, None]
    gone = random.random(people) < np.clip(0.25 * (1 - habit) * np.where(uses[:, 0], harm, 1.0), 0, 1)
    came = random.random((people, 14)) < habit[:, None]
    came[gone, 7:] = False
    one, at = np.nonzero(came)
    person, day, feature = [one], [at], [np.full(len(one), -1)]
    for thing in range(2):
        here = uses[one, thing] & (at < 7)
        person.append(one[here])
        day.append(at[here])
        feature.append(np.full(int(here.sum()), thing))
    return np.concatenate(person).astype(np.uint64), np.concatenate(day), np.concatenate(feature)


def test_a_feature_whose_users_leave_is_told_apart_from_one_that_does_nothing():
    found = harmful(leavers(*two_weeks(np.random.default_rng(3), harm=1.8), 2), ["checkout", "search"], day=SUNDAY)
    assert [each.feature for each in found] == ["checkout"]
    (one,) = found
    assert one.kind is AnalyticsInsightKind.HARMFUL
    assert one.low < 0.9
    assert one.high > 0.3
    assert one.action.kind is ActionKind.TASK
    assert "no proof" in one.sentence
    rows = one.evidence["strata"]["rows"]
    assert [row[0] for row in rows] == [1, 2, 3, 4, 5, 6, 7]
    assert sum(row[1] for row in rows) > 500


@pytest.mark.parametrize("seed", range(6))
def test_a_feature_that_the_eager_use_is_not_called_harmful_for_it(seed):
    counted = leavers(*two_weeks(np.random.default_rng(seed), harm=1.0, people=2500, eager=0.6), 2)
    assert harmful(counted, ["checkout", "search"], day=SUNDAY) == []


def test_two_weeks_of_nobody_say_nothing():
    none = np.array([], dtype=np.intp)
    counted = leavers(np.array([], dtype=np.uint64), none, none, 3)
    assert counted.people.sum() == 0
    assert harmful(counted, ["a", "b", "c"], day=SUNDAY) == []


def test_people_are_counted_by_the_days_they_came():
    person = np.array([1, 1, 1, 2, 2, 3], dtype=np.uint64)
    day = np.array([0, 3, 9, 2, 2, 8], dtype=np.intp)
    feature = np.array([0, -1, 1, 1, 1, 0], dtype=np.intp)
    counted = leavers(person, day, feature, 2)
    assert counted.people.tolist() == [1, 1, 0, 0, 0, 0, 0], "person 3 came in the second week only"
    assert counted.left.tolist() == [1, 0, 0, 0, 0, 0, 0]
    assert counted.users.tolist() == [[0, 1, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0]]
    assert counted.users_left.tolist() == [[0, 0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0]]


def funnel(*ends: int, name: str = "purchase", segments=None) -> FunnelWeeks:
    weeks = tuple((2000, 1000, end) for end in ends)
    return FunnelWeeks(name, ("shop opened", "basket filled", "order placed"), weeks, SUNDAY - timedelta(days=13), segments or {})


def test_a_week_in_which_fewer_come_through_is_told_with_its_step_and_segment():
    parts = {("platform", "ios"): (6000, 1500, 1000, 80), ("platform", "web"): (6000, 1500, 1000, 245)}
    (found,) = conversions([funnel(500, 505, 492, 498, 507, 495, 325, segments=parts)], day=SUNDAY)
    assert found.kind is AnalyticsInsightKind.CONVERSION_FELL
    assert found.title == "fewer people come through purchase: 16.2% instead of 25.0%"
    assert "the step to order placed: 32.5% of those before it instead of 50.0%" in found.sentence
    assert "platform ios makes 97% of the change (25.0% to 8.0% there)" in found.sentence
    assert found.change == pytest.approx(-0.35, abs=0.01)
    assert found.low < found.change < found.high < 0
    assert found.evidence["steps"]["rows"][-1][1:] == [2000, 1000, 325]


def test_a_better_week_is_good_news_and_asks_for_nothing():
    (found,) = conversions([funnel(500, 505, 492, 498, 507, 495, 700)], day=SUNDAY)
    assert found.kind is AnalyticsInsightKind.CONVERSION_ROSE
    assert found.action.kind is ActionKind.NONE


def test_a_week_no_more_unusual_than_others_were_says_nothing():
    assert conversions([funnel(420, 590, 480, 630, 400, 520, 385)], day=SUNDAY) == []


def test_a_rate_is_compared_only_with_enough_weeks_of_enough_people():
    full = np.array([500.0] * 6)
    assert rate_change(full / 4, full) is not None
    assert rate_change(full[:4] / 4, full[:4]) is None
    assert rate_change(np.array([100.0, 110, 90, 105, 95, 1]), np.array([500.0, 500, 500, 500, 500, 4])) is None


def test_weeks_of_one_level_are_called_changed_as_rarely_as_they_should_be():
    random = np.random.default_rng(5)
    p = []
    for _ in range(2000):
        of = np.full(7, 800.0)
        change = rate_change(random.binomial(800, np.clip(random.normal(0.2, 0.02, 7), 0, 1)).astype(float), of)
        assert change is not None
        p.append(change.p)
    assert np.mean(np.array(p) < 0.05) < 0.06
