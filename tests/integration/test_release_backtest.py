"""Releases that are over, judged again by what was kept of them; metrics of one's own on the way to the judge."""

import time

import pytest

from productops.domain.analysis import RatioCount
from productops.domain.release import Cause, Phase
from productops.errors import InvalidInputError, NotFoundError
from productops.usecases import release_backtest
from productops.usecases.monitoring_metrics import take_metrics
from productops.usecases.release_plan import read_usual_traffic
from productops.usecases.release_request import plan_release
from tests.integration.test_release_usecases import carry_out, request, wish
from tests.support import PRODUCTION, SOMEBODY, HandMadeAgent, add_service, running, service_spec


@pytest.fixture
def ended(context):
    """A bad and a good release, both over."""
    add_service(context, spec=service_spec(canary={"steps": [{"weight_pct": 20, "hold_s": 4}]}), live="1.0")
    with running(HandMadeAgent(context, failure_share={"2.0": 0.3})):
        bad = carry_out(context, request(context))
        good = carry_out(context, request(context, "3.0"))
    assert (bad.phase, good.phase) == (Phase.ROLLED_BACK, Phase.PROMOTED)
    return bad, good


def test_what_was_judged_is_kept_longer_than_the_seconds_and_judged_again(context, ended):
    bad, good = ended
    assert set(release_backtest.record_ended(context)) == {bad.id, good.id}
    assert release_backtest.record_ended(context) == [], "once is enough"
    with context.store.write() as unit:
        unit.seconds.forget(before_s=int(time.time()) + 10)
    rows, following = release_backtest.backtest_releases(context, service="shop", changes={}, actor=SOMEBODY)
    assert following is None
    assert [(r.release.id, r.then.stopped_s is not None) for r in rows] == [(good.id, False), (bad.id, True)]
    assert rows[1].stopped_s is not None
    assert rows[0].stopped_s is None


def test_another_policy_says_something_else(context, ended):
    release_backtest.record_ended(context)
    lenient = {"judge": "threshold", "thresholds": {"failure_ratio": 0.9, "interval_s": 1, "count": 1}}
    rows, _ = release_backtest.backtest_releases(context, service=None, changes=lenient, actor=SOMEBODY)
    assert [r.then.verdict.value for r in rows] == ["passed", "passed"]
    with pytest.raises(InvalidInputError, match=r"analysis\.alpha"):
        release_backtest.backtest_releases(context, service=None, changes={"alpha": 7}, actor=SOMEBODY)
    with pytest.raises(InvalidInputError, match=r"analysis\.alphaa"):
        release_backtest.backtest_releases(context, service=None, changes={"alphaa": 0.1}, actor=SOMEBODY)


def test_pages_of_releases_leave_none_out(context, ended):
    release_backtest.record_ended(context)
    first, following = release_backtest.backtest_releases(context, service=None, changes={}, limit=1, actor=SOMEBODY)
    second, end = release_backtest.backtest_releases(context, service=None, changes={}, before=following, limit=1, actor=SOMEBODY)
    assert {first[0].release.id, second[0].release.id} == {r.id for r in ended}
    assert end is None


def test_a_metric_of_ones_own_rolls_a_release_back(context):
    analysis = {"requests_min": 10, "metrics": [{"name": "orders", "direction": "lower_is_worse"}], "metrics_lag_s": 1}
    add_service(context, spec=service_spec(canary={"steps": [{"weight_pct": 50, "hold_s": 60}]}, analysis=analysis), live="1.0")

    class Selling(HandMadeAgent):
        """Also reports orders: none on the candidate."""

        def _count(self) -> None:
            at_s = self._second
            HandMadeAgent._count(self)
            for version, orders in (("1.0", 60), ("2.0", 0)):
                take_metrics(context, "shop", PRODUCTION, version, at_s=at_s, values={"orders": (orders, 200)}, actor=SOMEBODY)

    with running(Selling(context)):
        release = carry_out(context, request(context))
    assert (release.phase, release.cause) == (Phase.ROLLED_BACK, Cause.VERDICT)
    assert release.reason.startswith("orders")


def test_metrics_come_back_by_second_and_replace_what_was_sent_before(any_context):
    add_service(any_context, live="1.0")
    now = int(time.time())
    for events in (1, 2):
        take_metrics(any_context, "shop", PRODUCTION, "1.0", at_s=now, values={"orders": (events, 9), "cpu": 0.25}, actor=SOMEBODY)
    with any_context.store.read() as unit:
        found = unit.seconds.metrics_between("shop", PRODUCTION, ["1.0"], after_s=now - 1, until_s=now)
    assert found == {now: {"1.0": {"orders": RatioCount(2, 9), "cpu": 0.25}}}
    with pytest.raises(InvalidInputError, match="Unix seconds"):
        take_metrics(any_context, "shop", PRODUCTION, "1.0", at_s=now * 1000, values={"cpu": 0.1}, actor=SOMEBODY)
    with pytest.raises(InvalidInputError, match="finite"):
        take_metrics(any_context, "shop", PRODUCTION, "1.0", at_s=now, values={"cpu": float("inf")}, actor=SOMEBODY)
    with pytest.raises(NotFoundError):
        take_metrics(any_context, "nothing", PRODUCTION, "1.0", at_s=now, values={"cpu": 0.1}, actor=SOMEBODY)


def test_a_plan_follows_the_traffic_that_was_measured(any_context):
    add_service(any_context, spec=service_spec(canary={"decision_s": 100}), live="1.0")
    assert plan_release(any_context, wish(), actor=SOMEBODY).plan["outlook"] is None
    agent = HandMadeAgent(any_context)
    agent._second = int(time.time()) - 60
    for _ in range(60):
        agent._count()
    traffic = read_usual_traffic(any_context, "shop", PRODUCTION)
    assert traffic.requests_per_s == pytest.approx(400, rel=0.1)
    release = plan_release(any_context, wish(), actor=SOMEBODY)
    assert sum(s.hold_s for s in release.steps) == pytest.approx(100, abs=2)
    assert release.plan["outlook"]["harms"][-1]["detected_s"] <= 3
