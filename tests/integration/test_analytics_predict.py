"""Predictions of success from daily figures of use in a real store, kept each day and settled when the day has come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from productops.api.analytics_usage_schemas import FeatureUseOut
from productops.domain.analytics_usage import UsageDay
from productops.domain.catalog_feature import FeatureEntry
from productops.domain.development_readiness import AnswerState, Used
from productops.domain.governance_access import Grant, Principal, Role
from productops.errors import ForbiddenError, NotFoundError
from productops.usecases.analytics_predict import predict_success, read_predictions, reliability_of, stored_prediction
from productops.usecases.analytics_usage_feature import feature_use
from productops.usecases.context import Actor, Context
from productops.usecases.development_readiness import usage_of
from tests.integration.test_analytics_optimize import Stopped
from tests.support import SOMEBODY, make_context, sqlite_url

BEGAN = datetime(2026, 9, 1, tzinfo=UTC)


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    made = replace(make_context(sqlite_url(tmp_path)), clock=Stopped(BEGAN + timedelta(days=12, hours=3)))
    yield made
    made.store.close()


def declare(context: Context, name: str, *, share: float, after_days: float = 28) -> None:
    entry = FeatureEntry.model_validate(
        {"apiVersion": "productops/v1", "kind": "Feature", "metadata": {"name": name, "venture": "apollo"},
         "spec": {"work": [f"SHOP-{name}"], "after_days": after_days,
                  "success": [{"kind": "usage", "feature": name, "share_min": share}]}}
    )  # fmt: skip
    with context.store.write() as unit:
        unit.development_goals.put(entry, base="", author="tester", now=BEGAN)


def used(context: Context, name: str, *, plateau: float, days: int, begin: datetime = BEGAN, failing: float = 0.01, seed: int = 1) -> None:
    """Half of the plateau after four days; a thousand active people a day."""
    random = np.random.default_rng(seed)
    rows = []
    for number in range(days):
        day = (begin + timedelta(days=number)).date()
        users = int(random.binomial(1000, plateau * (1 - 2 ** (-(number + 0.5) / 4))))
        rows.append(UsageDay("apollo", day, "", "", "", 9000, 1000, 10, 90, 9000, 9e5, 80.0, 200.0, 0.0))
        rows.append(UsageDay("apollo", day, name, "", "", users * 2, users, 5, int(users * 2 * failing), users, 1e4, 80.0, 220.0, 0.0))
    with context.store.write() as unit:
        unit.analytics_usage.put_daily(rows)


def test_a_feature_far_above_its_goal_is_likely_and_one_far_below_is_not_and_both_say_why(context: Context) -> None:
    declare(context, "invoice", share=0.1)
    declare(context, "gift", share=0.5)
    used(context, "invoice", plateau=0.3, days=12)
    used(context, "gift", plateau=0.12, days=12, seed=2)
    found = {each.feature: each for each in predict_success(context, "apollo", actor=SOMEBODY).items}
    assert found["invoice"].probability > 0.9
    assert found["gift"].probability < 0.1
    assert found["gift"].reasons[0].startswith(("1", "9"))
    assert "50.0% are wanted" in found["gift"].reasons[0]
    assert any("not measured" in reason and "first users coming back" in reason for reason in found["gift"].reasons)
    assert found["gift"].due_at == BEGAN + timedelta(days=28)
    assert found["gift"].method == "prior"


def test_the_page_of_a_feature_shows_the_newest_prediction(context: Context) -> None:
    declare(context, "invoice", share=0.1)
    used(context, "invoice", plateau=0.3, days=12)
    assert feature_use(context, "invoice", actor=SOMEBODY).prediction is None
    predict_success(context, "apollo", actor=SOMEBODY)
    shown = FeatureUseOut.of(feature_use(context, "invoice", actor=SOMEBODY)).prediction
    assert shown is not None
    assert (shown.probability > 0.9, shown.target, shown.method) == (True, 0.1, "prior")


def test_too_few_days_are_said_and_not_guessed_around(context: Context) -> None:
    declare(context, "invoice", share=0.1)
    declare(context, "gift", share=0.1)
    used(context, "invoice", plateau=0.3, days=3, begin=BEGAN + timedelta(days=9))
    found = predict_success(context, "apollo", actor=SOMEBODY)
    assert found.items == ()
    assert {each.feature: each.why for each in found.silent} == {
        "invoice": "it was used for 3 whole days; 4 are needed", "gift": "no event of gift was counted yet",
    }  # fmt: skip


def test_of_a_day_the_last_word_is_kept_and_it_is_settled_when_the_day_has_come(context: Context) -> None:
    declare(context, "invoice", share=0.1)
    used(context, "invoice", plateau=0.3, days=12)
    assert isinstance(context.clock, Stopped)
    predict_success(context, "apollo", actor=SOMEBODY)
    predict_success(context, "apollo", actor=SOMEBODY)
    context.clock.at = BEGAN + timedelta(days=20)
    used(context, "invoice", plateau=0.3, days=20)
    predict_success(context, "apollo", actor=SOMEBODY)
    with context.store.read() as unit:
        assert len(unit.analytics_reports.predictions("apollo")) == 2
        newest = stored_prediction(unit, "apollo", "invoice")
        assert newest is not None
        assert newest.day == context.clock.at.date()
    context.clock.at = BEGAN + timedelta(days=29)
    used(context, "invoice", plateau=0.3, days=29)
    done = predict_success(context, "apollo", actor=SOMEBODY)
    assert (done.settled, done.items) == (2, ())
    with context.store.read() as unit:
        known = unit.analytics_reports.predictions("apollo", known=True)
    assert {each.outcome for each in known} == {"reached"}
    assert known[0].actual == pytest.approx(0.3, abs=0.02)
    assert predict_success(context, "apollo", actor=SOMEBODY).settled == 0


def test_a_past_of_its_own_is_learned_from_and_its_reliability_is_shown(context: Context) -> None:
    assert isinstance(context.clock, Stopped)
    for number in range(12):
        declare(context, f"past{number}", share=0.05 if number % 2 else 0.5)
        used(context, f"past{number}", plateau=0.1, days=28, seed=number)
    predict_success(context, "apollo", actor=SOMEBODY)
    context.clock.at = BEGAN + timedelta(days=29)
    predict_success(context, "apollo", actor=SOMEBODY)
    declare(context, "invoice", share=0.05)
    begin = BEGAN + timedelta(days=29)
    used(context, "invoice", plateau=0.1, days=8, begin=begin, seed=40)
    context.clock.at = begin + timedelta(days=8)
    found = predict_success(context, "apollo", actor=SOMEBODY)
    assert [each.method for each in found.items] == ["learned"]
    assert found.items[0].probability > 0.8
    kept = found.reliability
    assert (kept.features, kept.brier is not None) == (12, True)
    assert kept.brier is not None
    assert kept.brier_base is not None
    assert kept.brier < kept.brier_base
    assert "better than the base rate" in kept.sentence
    assert reliability_of([]).brier is None


def test_reading_takes_the_right_to_read_and_predicting_to_write(context: Context) -> None:
    declare(context, "invoice", share=0.1)
    viewer = Actor("vic", "api", Principal("vic", (Grant(Role.VIEWER, "apollo"),)))
    assert read_predictions(context, "apollo", actor=viewer).silent[0].feature == "invoice"
    with pytest.raises(ForbiddenError):
        predict_success(context, "apollo", actor=viewer)
    stranger = Actor("sam", "api", Principal("sam", (Grant(Role.ADMIN, "gemini"),)))
    with pytest.raises(NotFoundError):
        read_predictions(context, "apollo", actor=stranger)


def test_a_goal_of_use_is_measured_by_active_people(context: Context) -> None:
    declare(context, "invoice", share=0.1)
    used(context, "invoice", plateau=0.3, days=40)
    with context.store.read() as unit:
        goal = unit.development_goals.all(["apollo"])[0].spec.success[0]
        assert goal.kind == "usage"
        seen = usage_of(unit, "apollo", goal, until=BEGAN + timedelta(days=28))
        assert seen == Used(pytest.approx(0.3, abs=0.02), 1000.0, 7)
        assert usage_of(unit, "apollo", goal, until=BEGAN) is None


def test_the_success_of_a_feature_says_whether_its_goal_of_use_holds(context: Context) -> None:
    from productops.domain.development_readiness import SuccessFacts, success

    declare(context, "invoice", share=0.1)
    with context.store.read() as unit:
        spec = unit.development_goals.all(["apollo"])[0].spec

    def answer(share: float, people: float) -> AnswerState:
        seen = {"invoice": Used(share, people, 7)}
        return success(
            SuccessFacts(
                goal=spec, live_at=BEGAN, releases=(), traffic={}, variants={}, incidents=(), rollbacks=(),
                now=BEGAN + timedelta(days=30), used=seen,
            )
        ).state  # fmt: skip

    assert [answer(0.2, 900), answer(0.05, 900), answer(0.2, 3)] == [
        AnswerState.PASSED, AnswerState.FAILED, AnswerState.INCONCLUSIVE,
    ]  # fmt: skip
