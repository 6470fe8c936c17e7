"""Insights in the store: found once, kept alive, decided, measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from productops.domain.analytics_insight import ActionKind, AnalyticsInsightKind, AnalyticsInsightState, Insight, Outcome
from productops.domain.catalog_flags import FlagSpec
from productops.domain.governance_access import Grant, Principal, Role
from productops.domain.release import Environment
from productops.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from productops.store.analytics_insights import AnalyticsInsightFilter
from productops.usecases.analytics_insight_decide import Acceptance, accept_insight, dismiss_insight, finish_insight_task
from productops.usecases.analytics_insight_effect import measure_effects
from productops.usecases.analytics_insight_find import InsightReport, find_insights
from productops.usecases.analytics_insight_read import list_insight_nights, list_insight_tasks, list_insights, read_insight
from productops.usecases.context import OURSELVES, Actor, Context
from productops.usecases.release_flags_change import create_flag, ramp_flag
from tests.integration.analytics_insight_lab import DAYS, DayClock, Event, add_figures, day_of
from tests.support import make_context, sqlite_url

MIA = Actor("mia", "api", Principal("mia", (Grant(Role.DEVELOPER, "apollo"),)))
EVE = Actor("eve", "api", Principal("eve", (Grant(Role.VIEWER, "apollo"),)))
STRANGER = Actor("bob", "api", Principal("bob", (Grant(Role.DEVELOPER, "zeus"),)))
DROP = Event("feature-05", 100, people=0.6)


@pytest.fixture
def lab(tmp_path: Path) -> tuple[Context, DayClock]:
    clock = DayClock(make_context(sqlite_url(tmp_path)).clock.now())
    clock.morning_after(day_of(DAYS))
    return replace(make_context(sqlite_url(tmp_path)), clock=clock), clock


def look(lab: tuple[Context, DayClock], *days: int) -> list[InsightReport]:
    found = []
    for number in days:
        lab[1].morning_after(day_of(number))
        found.append(find_insights(lab[0], "apollo", day_of(number), actor=OURSELVES))
    return found


def every(context: Context, *states: AnalyticsInsightState) -> list[Insight]:
    return list_insights(context, AnalyticsInsightFilter("apollo", states=states), after=None, limit=50, actor=EVE).items


def test_a_drop_of_one_platform_is_one_insight_however_often_it_is_looked_at(lab) -> None:
    add_figures(lab[0], Event("feature-05", 100, people=0.45, platform="ios"), days=112)
    reports = look(lab, 98, *range(101, 110))
    found = every(lab[0])
    assert len(found) == 1, [each.finding.title for each in found]
    finding = found[0].finding
    assert (finding.feature, finding.dimension, finding.value) == ("feature-05", "platform", "ios")
    assert finding.kind is AnalyticsInsightKind.USE_FELL
    assert abs((finding.first_day - day_of(100)).days) <= 1
    assert finding.low < -0.55 < finding.high
    assert sum(len(report.opened) for report in reports) == 1
    assert found[0].seen_day > found[0].found_day
    assert finding.evidence["parts"][0]["value"] == "ios"
    assert "With" in finding.sentence or "with" in finding.sentence


def test_a_day_that_was_looked_at_spends_nothing_again(lab) -> None:
    add_figures(lab[0], DROP, days=112)
    first, again = look(lab, 106)[0], look(lab, 106)[0]
    assert not first.repeated
    assert again.repeated
    assert [each.id for each in again.opened] == [each.id for each in first.opened]
    assert len(list_insight_nights(lab[0], "apollo", limit=10, actor=EVE)) == 1
    with pytest.raises(InvalidInputError, match="days go forward only"):
        find_insights(lab[0], "apollo", day_of(90), actor=OURSELVES)
    with pytest.raises(InvalidInputError, match="not over"):
        find_insights(lab[0], "apollo", lab[1].now().date(), actor=OURSELVES)


def test_nothing_is_written_when_a_look_dies_before_its_end(lab, monkeypatch: pytest.MonkeyPatch) -> None:
    add_figures(lab[0], DROP, days=112)

    class DiedError(Exception):
        pass

    class DyingClock(DayClock):
        def monotonic(self) -> float:
            return 0.0

        def now(self):
            self.calls = getattr(self, "calls", 0) + 1
            if self.calls > 1:
                raise DiedError
            return self.at

    dying = DyingClock(lab[1].at)
    dying.morning_after(day_of(106))
    with pytest.raises(DiedError):
        find_insights(replace(lab[0], clock=dying), "apollo", day_of(106), actor=OURSELVES)
    assert every(lab[0]) == []
    assert list_insight_nights(lab[0], "apollo", limit=10, actor=EVE) == []
    assert len(look(lab, 106)[0].opened) == 1


def test_an_insight_is_over_when_use_is_back(lab) -> None:
    add_figures(lab[0], Event("feature-05", 100, 108, people=0.5))
    look(lab, 104, 107, 112, 118, 124)
    assert [each.finding.title for each in every(lab[0])][1:] == []
    (found,) = every(lab[0])
    assert found.state is AnalyticsInsightState.OVER
    assert found.over_day is not None
    assert every(lab[0], AnalyticsInsightState.OPEN) == []


def test_quiet_figures_give_no_insight(lab) -> None:
    add_figures(lab[0], seed=7)
    reports = look(lab, *range(100, DAYS, 3))
    assert [each.finding.title for report in reports for each in report.opened] == []
    assert all(report.night.level > 0 for report in reports)


def test_failures_and_latency_are_told_with_what_else_changed(lab) -> None:
    add_figures(lab[0], Event("feature-09", 100, latency=1.8), Event("feature-10", 100, failures=4.0), days=112)
    look(lab, 103, 106, 109)
    kinds = {each.finding.feature: each.finding.kind for each in every(lab[0])}
    assert kinds == {"feature-09": AnalyticsInsightKind.SLOWER, "feature-10": AnalyticsInsightKind.FAILURES_ROSE}


def found_drop(lab: tuple[Context, DayClock], **wanted: float) -> Insight:
    add_figures(lab[0], DROP, *(Event("feature-05", 112, people=wanted["then"]) for _ in range("then" in wanted)))
    look(lab, 104, 108)
    (found,) = every(lab[0])
    return found


def test_accepting_makes_a_task_and_later_tells_whether_it_helped(lab) -> None:
    insight = found_drop(lab, then=1 / 0.6)
    lab[1].morning_after(day_of(110))
    accepted = accept_insight(lab[0], insight.id, Acceptance(), actor=MIA)
    assert accepted.state is AnalyticsInsightState.ACCEPTED
    assert accepted.follow["kind"] == "task"
    (task,) = list_insight_tasks(lab[0], "apollo", state="open", actor=EVE)
    assert task.insight_id == insight.id
    finish_insight_task(lab[0], insight.id, actor=MIA)
    with pytest.raises(ConflictError, match="no task that is open"):
        finish_insight_task(lab[0], insight.id, actor=MIA)
    assert measure_effects(lab[0], "apollo", day_of(115), actor=OURSELVES) == []
    (measured,) = measure_effects(lab[0], "apollo", day_of(127), actor=OURSELVES)
    assert measured.outcome is Outcome.HELPED
    assert measured.state is AnalyticsInsightState.HELPED
    assert measured.effect["low"] > 0.3
    assert measure_effects(lab[0], "apollo", day_of(128), actor=OURSELVES) == []
    helped = list_insights(lab[0], AnalyticsInsightFilter(), after=None, limit=1, actor=EVE).helped
    assert (helped.measured, helped.helped, helped.share) == (1, 1, 1.0)


def test_what_changed_nothing_is_not_told_as_help(lab) -> None:
    insight = found_drop(lab)
    lab[1].morning_after(day_of(110))
    accept_insight(lab[0], insight.id, Acceptance(), actor=MIA)
    (measured,) = measure_effects(lab[0], "apollo", day_of(128), actor=OURSELVES)
    assert measured.outcome in {Outcome.NO_EFFECT, Outcome.CANNOT_TELL}


def test_accepting_changes_the_flag_that_came_with_it(lab) -> None:
    add_figures(lab[0], DROP, days=112)
    spec = FlagSpec.model_validate(
        {"owner": "mia", "variants": {"on": True, "off": False}, "default_variant": "off", "environments": {"production": {}}}
    )
    lab[1].morning_after(day_of(98))
    create_flag(lab[0], "feature-05", venture="apollo", spec=spec, actor=MIA)
    lab[1].morning_after(day_of(99))
    ramp_flag(lab[0], "feature-05", Environment.PRODUCTION, percent=50, actor=MIA, reason="try it")
    look(lab, 104)
    (insight,) = every(lab[0])
    assert insight.finding.action.kind is ActionKind.FLAG
    assert "no proof" in insight.finding.sentence
    with pytest.raises(ForbiddenError):
        accept_insight(lab[0], insight.id, Acceptance(), actor=EVE)
    manager = Actor("max", "api", Principal("max", (Grant(Role.RELEASE_MANAGER, "apollo"),)))
    accepted = accept_insight(lab[0], insight.id, Acceptance(), actor=manager)
    assert accepted.follow["flag"] == "feature-05"
    with lab[0].store.read() as unit:
        assert unit.flags.get("feature-05").state.live_in(Environment.PRODUCTION).killed
    with pytest.raises(ConflictError, match="it cannot become accepted"):
        accept_insight(lab[0], insight.id, Acceptance(), actor=manager)


def test_a_dismissed_insight_stays_dismissed_and_needs_a_reason(lab) -> None:
    insight = found_drop(lab)
    with pytest.raises(InvalidInputError, match="say why"):
        dismiss_insight(lab[0], insight.id, reason="no", actor=MIA)
    dismissed = dismiss_insight(lab[0], insight.id, reason="we took it off the front page", actor=MIA)
    assert dismissed.state is AnalyticsInsightState.DISMISSED
    look(lab, 112, 118, 124)
    assert [each.state for each in every(lab[0])] == [AnalyticsInsightState.DISMISSED]
    with lab[0].store.read() as unit:
        actions = [entry.action for entry in unit.audit.following(0)]
    assert "insight.dismissed" in actions
    assert actions.count("insights.found") == 5


def test_who_may_not_see_a_venture_is_told_that_there_is_no_insight(lab) -> None:
    insight = found_drop(lab)
    with pytest.raises(NotFoundError):
        read_insight(lab[0], insight.id, actor=STRANGER)
    with pytest.raises(NotFoundError):
        read_insight(lab[0], "nothing", actor=EVE)
    assert list_insights(lab[0], AnalyticsInsightFilter(), after=None, limit=5, actor=STRANGER).items == []
    with pytest.raises(InvalidInputError, match="names no flag"):
        accept_insight(lab[0], insight.id, Acceptance(ActionKind.FLAG), actor=MIA)
    with pytest.raises(InvalidInputError, match="names no release"):
        accept_insight(lab[0], insight.id, Acceptance(ActionKind.ROLLOUT), actor=MIA)


def test_days_that_are_missing_are_no_drop_until_the_third(lab, tmp_path: Path) -> None:
    add_figures(lab[0], days=112)
    gone: Callable[[str], bool] = lambda feature: feature == "feature-11"  # noqa: E731
    for number in (104, 105):
        with lab[0].store.write() as unit:
            kept = [
                row
                for dimension in ("", "platform")
                for row in unit.analytics_usage.daily(
                    "apollo", since=day_of(number), until=day_of(number) + timedelta(days=1), dimension=dimension
                )
                if not gone(row.feature)
            ]
            unit.analytics_usage.replace_day("apollo", day_of(number), kept)
    assert [len(report.opened) for report in look(lab, 104, 105, 106)] == [0, 0, 0]
