"""A night on a Sunday looks at people too: from stored events and a saved funnel to insights that live on, end, and are not doubled."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from productops.domain.analytics_insight import AnalyticsInsightKind, AnalyticsInsightState, Insight
from productops.store.analytics_insights import AnalyticsInsightFilter
from productops.usecases.analytics_insight_find import _add_weekly, _Plan, find_insights
from productops.usecases.analytics_insight_people import find_among_people
from productops.usecases.analytics_usage import FUNNEL
from productops.usecases.analytics_usage_refresh import refresh_daily
from productops.usecases.context import OURSELVES, Context
from tests.integration.analytics_usage_lab import BEGIN, Frozen, happened, put, usage_context
from tests.support import add_service, make_context, sqlite_url

SUNDAY = (BEGIN + timedelta(days=62)).date()
WINDOW_DAYS = 1
SPEC = {"steps": [{"name": "shop opened"}, {"name": "order placed"}], "window_s": WINDOW_DAYS * 86_400}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Context:
    """Nine weeks; in the last one whose people had their whole window, orders halve on ios."""
    folder: Path = tmp_path_factory.mktemp("people")
    context = usage_context(make_context(sqlite_url(folder)), folder)
    assert isinstance(context.clock, Frozen)
    context.clock.at = BEGIN + timedelta(days=63, hours=3)
    add_service(context, "shop")
    random = np.random.default_rng(4)
    events = []
    newest = (SUNDAY - BEGIN.date()).days - 6 - WINDOW_DAYS
    for day in range(63):
        for number in range(40):
            person, ios = f"p{day}-{number}", number % 2 == 0
            rate = 0.05 if ios and day >= newest else 0.5
            about = {"platform": "ios" if ios else "web"}
            events.append(happened(person, "shop opened", day, 10, **about))
            if random.random() < rate:
                events.append(happened(person, "order placed", day, 11, **about))
    put(context, events)
    with context.store.write() as unit:
        unit.analytics_usage.put_definition(FUNNEL, "apollo", "purchase", SPEC, base="by-hand", author="mia", now=context.clock.now())
    refresh_daily(context, "apollo")
    return context


def known(context: Context, *states: AnalyticsInsightState) -> list[Insight]:
    found = list_insights_of(context, states)
    return [each for each in found if each.finding.kind is AnalyticsInsightKind.CONVERSION_FELL]


def list_insights_of(context: Context, states: tuple[AnalyticsInsightState, ...]) -> list[Insight]:
    with context.store.read() as unit:
        return unit.analytics_insights.page(AnalyticsInsightFilter("apollo", states=states), before=None, limit=50)


def test_a_funnel_that_loses_people_is_found_on_sunday_and_told_once(lab):
    report = find_insights(lab, "apollo", SUNDAY, actor=OURSELVES)
    (found,) = known(lab)
    assert found.id in {each.id for each in report.opened}
    assert "instead of" in found.finding.title
    assert found.finding.evidence["parts"][0]["value"] == "ios"
    assert len(found.finding.evidence["steps"]["rows"]) == 7
    assert [each.id for each in find_insights(lab, "apollo", SUNDAY, actor=OURSELVES).opened] == [each.id for each in report.opened]
    assert len(known(lab)) == 1


def test_other_days_and_ventures_without_events_look_at_nobody(lab, tmp_path):
    assert find_among_people(lab, "apollo", SUNDAY - timedelta(days=1), actor=OURSELVES) == []
    bare = make_context(sqlite_url(tmp_path))
    add_service(bare, "shop")
    assert find_among_people(bare, "apollo", SUNDAY, actor=OURSELVES) == [], "a program without a folder of events says nothing"


def test_what_four_weeks_do_not_show_again_is_over(lab):
    find_insights(lab, "apollo", SUNDAY, actor=OURSELVES)
    lab.clock.at = BEGIN + timedelta(days=63 + 28, hours=3)
    find_insights(lab, "apollo", SUNDAY + timedelta(days=28), actor=OURSELVES)
    (found,) = known(lab)
    assert found.state is AnalyticsInsightState.OVER
    assert found.reason == "four weeks have not shown it again"


def test_what_was_over_and_comes_back_is_told_anew(lab):
    find_insights(lab, "apollo", SUNDAY, actor=OURSELVES)
    lab.clock.at = BEGIN + timedelta(days=63 + 28, hours=3)
    find_insights(lab, "apollo", SUNDAY + timedelta(days=28), actor=OURSELVES)
    again = SUNDAY + timedelta(days=35)
    lab.clock.at = BEGIN + timedelta(days=63 + 35, hours=3)
    finding = replace(known(lab)[0].finding, first_day=again - timedelta(days=7))
    with lab.store.read() as unit:
        found = unit.analytics_insights.known("apollo", since=BEGIN.date())
    plan = _Plan([], [], [])
    _add_weekly(plan, [finding], found, day=again)
    assert plan.opened == [finding]
    assert plan.over == []
