"""Objectives: declared in OpenSLO, counted from the router's seconds, their budgets and their alerts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from productops.errors import CatalogError, NotFoundError
from productops.usecases.monitoring_slo import budget_of, burned_of_release, list_objectives, read_objective, tidy_objectives
from productops.usecases.monitoring_slo_evaluate import evaluate_objectives
from tests.integration.monitoring_slo_lab import AVAILABILITY, START, ago, declare, make, minutes, second, traffic
from tests.support import SOMEBODY

NAME = "shop-availability"


def test_an_slo_is_declared_changed_and_removed(tmp_path: Path) -> None:
    context, _ = make(tmp_path)
    (_, change) = declare(context, tmp_path, AVAILABILITY)
    assert (change.kind, change.name, change.outcome) == ("OpenSLO SLO", NAME, "created")
    (view,) = list_objectives(context, venture="apollo", actor=SOMEBODY)
    assert (view.objective.venture, view.objective.service, view.objective.target) == ("apollo", "shop", 0.999)
    assert [change.outcome for change in declare(context, tmp_path, AVAILABILITY)][1:] == ["unchanged"]
    minutes(context, NAME, ago(hours=1), 10, good=99, total=100)
    assert declare(context, tmp_path, AVAILABILITY.replace("0.999", "0.99"))[1].outcome == "changed"
    assert budget_of(context, NAME, actor=SOMEBODY).total == 1000  # another target asks the same question
    assert declare(context, tmp_path)[1].outcome == "removed"
    with pytest.raises(NotFoundError, match="known: none, declare one"):
        read_objective(context, NAME, actor=SOMEBODY)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("0.999", "1.5", r"slo.yaml:20: spec.objectives\[0\].target: "),
        ("Occurrences", "Sometimes", "slo.yaml:19: spec.budgetingMethod: must be Occurrences or Timeslices or RatioTimeslices"),
        ("service: shop", "service: shap", "slo.yaml:5: spec.service: there is no service 'shap'"),
        ("type: productops, spec: {metric: failures}", "type: Redshift, spec: {}", "slo.yaml:5: metric sources of type 'redshift' are not"),
        ("metric: failures", "metric: successes", "metric: successes stands on the wrong side"),
        ("target: 0.999", "target: 0.999, compositeWeight: 2", "compositeWeight is not supported"),
        ("budgetingMethod: Occurrences", "budgetingMethod: Timeslices", "needs a timeSliceWindow"),
        ("openslo/v1", "openslo/v2alpha", "slo.yaml:5: apiVersion: must be openslo/v1, not"),
        ("28d", "28 days", "'28 days' is no duration"),
        ("counter: true", "countr: true", "unknown field; did you mean 'counter'"),
    ],
)  # fmt: skip
def test_what_is_wrong_or_not_supported_is_told_with_file_and_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    context, _ = make(tmp_path)
    with pytest.raises(CatalogError, match=said):
        declare(context, tmp_path, AVAILABILITY.replace(old, new))


def test_the_budget_is_that_of_the_hand_worked_example(tmp_path: Path) -> None:
    """1,000,000 requests in 28 days, 400 of them failed, 99.9 % promised: 1,000 may fail, so 40 % of 40.32 minutes are burned."""
    context, _ = make(tmp_path)
    declare(context, tmp_path, AVAILABILITY)
    minutes(context, NAME, ago(days=10), 4_000, good=249.9, total=250.0)
    budget = budget_of(context, NAME, actor=SOMEBODY, now=START)
    assert budget.total == pytest.approx(1_000_000)
    assert budget.sli == pytest.approx(0.9996)
    assert budget.budget_minutes == pytest.approx(28 * 24 * 60 * 0.001) == pytest.approx(40.32)
    assert budget.burned_minutes == pytest.approx(16.128)
    assert budget.remaining_ratio == pytest.approx(0.6)
    assert not budget.spent
    assert "16.1 of 40.3 minutes of budget are burned, 60.0 % is left" in budget.sentence


SLICES = AVAILABILITY.replace("Occurrences", "Timeslices").replace(
    "{target: 0.999}", "{target: 0.99, timeSliceTarget: 0.95, timeSliceWindow: 5m}"
)


def test_slices_of_time_count_whole_and_low_traffic_counts_as_much(tmp_path: Path) -> None:
    """28 days have 8,064 slices of 5 minutes; 80.64 may be bad. 3 bad ones are 15 of 403.2 minutes."""
    context, _ = make(tmp_path)
    declare(context, tmp_path, SLICES)
    minutes(context, NAME, ago(days=2), 500, good=100, total=100)
    minutes(context, NAME, ago(days=1), 15, good=1, total=2)
    budget = budget_of(context, NAME, actor=SOMEBODY, now=START)
    assert (budget.slices, budget.bad_slices) == (103, 3)
    assert budget.budget_minutes == pytest.approx(403.2)
    assert budget.burned_minutes == pytest.approx(15.0)
    assert budget.sli == pytest.approx(1 - 3 / 103)


def test_ratio_slices_take_the_mean_of_their_shares(tmp_path: Path) -> None:
    context, _ = make(tmp_path)
    declare(context, tmp_path, SLICES.replace("Timeslices", "RatioTimeslices"))
    minutes(context, NAME, ago(days=2), 45, good=100, total=100)
    minutes(context, NAME, ago(days=1), 5, good=1, total=2)
    budget = budget_of(context, NAME, actor=SOMEBODY, now=START)
    assert budget.sli == pytest.approx((9 + 0.5) / 10)
    assert budget.remaining_ratio == pytest.approx(1 - 0.05 / 0.01)
    assert budget.spent


def test_minutes_are_counted_from_the_seconds_of_the_router_and_late_ones_are_added(tmp_path: Path) -> None:
    context, clock = make(tmp_path)
    declare(context, tmp_path, AVAILABILITY)
    traffic(context, ago(minutes=10), 600, {"1.0": second(10, 1), "flag:new=on": second(3, 3)})
    assert evaluate_objectives(context, now=START - timedelta(seconds=1), actor=SOMEBODY)[0].severity == "SEV2"
    clock.at = START
    assert budget_of(context, NAME, actor=SOMEBODY, now=START).total == 9 * 600  # the arm of a flag counts the same answers again
    traffic(context, ago(minutes=10), 600, {"1.1": second(5)})  # somebody stores them late
    clock.at = START + timedelta(minutes=20)
    tidy_objectives(context, now=clock.at)
    budget = budget_of(context, NAME, actor=SOMEBODY, now=clock.at)
    assert (budget.total, budget.total - budget.good) == (15 * 600, 600)


def test_latency_counts_requests_below_a_limit(tmp_path: Path) -> None:
    context, _ = make(tmp_path)
    below = AVAILABILITY.replace("bad:", "good:").replace("metric: failures", "metric: latency, belowMs: 300")
    declare(context, tmp_path, below)
    traffic(context, ago(minutes=5), 300, {"1.0": second(10, 5, slow=1)})
    evaluate_objectives(context, now=START + timedelta(seconds=5), actor=SOMEBODY)
    budget = budget_of(context, NAME, actor=SOMEBODY, now=START)
    assert (budget.good, budget.total) == (2700, 3000)


@pytest.mark.parametrize(("rate", "longest_s"), [(50, 4), (10, 5), (3, 7)])
def test_a_total_failure_alerts_within_seconds_and_ends_when_it_is_over(tmp_path: Path, rate: int, longest_s: int) -> None:
    context, _ = make(tmp_path)
    declare(context, tmp_path, AVAILABILITY.replace("0.999", "0.99"))
    traffic(context, ago(seconds=120), 120, {"1.0": second(rate)})
    traffic(context, START, 30, {"1.0": second(rate, rate)})
    traffic(context, START + timedelta(seconds=30), 120, {"1.0": second(rate)})
    told = {
        step: alerts[0]
        for step in range(-20, 150)
        if (alerts := evaluate_objectives(context, now=START + timedelta(seconds=step), actor=SOMEBODY))
    }
    first, last = min(told), max(told)
    assert 0 < first <= longest_s
    assert (told[first].status, told[first].severity, told[first].service) == ("firing", "SEV2", "shop")
    assert "rule 10s" in told[first].summary
    assert told[first].evidence["rules"][0]["bad"] == pytest.approx(rate * first, abs=rate)
    assert (told[last].status, told[last].fingerprint) == ("resolved", told[first].fingerprint)
    assert 30 < last <= 30 + 61
    assert len(told) <= 4  # begun, perhaps repeated, over


def test_a_bad_candidate_with_a_small_share_is_named(tmp_path: Path) -> None:
    context, _ = make(tmp_path)
    declare(context, tmp_path, AVAILABILITY)
    traffic(context, ago(seconds=60), 60, {"1.0": second(100), "1.1": second(2, 1)})
    (alert,) = evaluate_objectives(context, now=START, actor=SOMEBODY)
    assert alert.evidence["version"] == "1.1"
    assert "version 1.1 of shop in production" in alert.summary


def test_a_failure_among_few_requests_is_no_alert(tmp_path: Path) -> None:
    """One of ten requests an hour fails: a burn rate of 100, and bad luck."""
    context, _ = make(tmp_path)
    declare(context, tmp_path, AVAILABILITY)
    minutes(context, NAME, ago(hours=5), 5, good=2, total=2)
    traffic(context, ago(seconds=100), 1, {"1.0": second(1, 1)})
    traffic(context, ago(seconds=50), 1, {"1.0": second(9)})
    assert evaluate_objectives(context, now=START, actor=SOMEBODY) == []


def test_a_policy_of_ones_own_takes_the_place_of_the_rules(tmp_path: Path) -> None:
    context, _ = make(tmp_path)
    policy = """
        apiVersion: openslo/v1
        kind: AlertPolicy
        metadata: {name: slow-burn}
        spec:
          alertWhenBreaching: true
          conditions:
            - kind: AlertCondition
              metadata: {name: one-hour}
              spec: {severity: ticket, condition: {kind: burnrate, threshold: 5, lookbackWindow: 1h, alertAfter: 1m}}
    """
    declare(context, tmp_path, AVAILABILITY + "      alertPolicies: [slow-burn]\n", policy)
    (view,) = list_objectives(context, actor=SOMEBODY)
    assert [(rule.name, rule.long_s, rule.short_s, rule.burn, rule.after_s) for rule in view.objective.rules] == [
        ("slow-burn", 3600, 300, 5.0, 60)
    ]
    traffic(context, ago(minutes=40), 2_400, {"1.0": second(10, 1)})
    assert evaluate_objectives(context, now=START, actor=SOMEBODY) == []
    (alert,) = evaluate_objectives(context, now=START + timedelta(seconds=60), actor=SOMEBODY)
    assert alert.severity == "SEV3"


def test_what_is_silent_alerts_where_the_policy_says_so(tmp_path: Path) -> None:
    context, _ = make(tmp_path)
    policy = """
      alertPolicies:
        - metadata: {name: silence}
          spec:
            alertWhenNoData: true
            conditions: [{spec: {severity: page, condition: {threshold: 2, lookbackWindow: 10m}}}]
"""
    declare(context, tmp_path, AVAILABILITY.rstrip() + policy)
    (alert,) = evaluate_objectives(context, now=START, actor=SOMEBODY)
    assert "nothing was measured of shop in production for 600 s" in alert.summary


def test_a_calendar_window_begins_with_the_local_month(tmp_path: Path) -> None:
    context, _ = make(tmp_path)
    month = "[{duration: 1M, isRolling: false, calendar: {startTime: 2020-01-01 00:00:00, timeZone: Pacific/Auckland}}]"
    declare(context, tmp_path, AVAILABILITY.replace("[{duration: 28d, isRolling: true}]", month))
    minutes(context, NAME, datetime(2026, 2, 28, 10, 0, tzinfo=UTC), 120, good=1, total=1)
    budget = budget_of(context, NAME, actor=SOMEBODY, now=START)
    assert (budget.since, budget.until) == (datetime(2026, 2, 28, 11, 0, tzinfo=UTC), datetime(2026, 3, 31, 11, 0, tzinfo=UTC))
    assert budget.total == 60


def test_what_a_release_burned_is_what_its_baseline_would_not_have(tmp_path: Path) -> None:
    from dataclasses import replace

    from productops.domain.release import Phase
    from productops.usecases.release_request import ReleaseWish, place_release

    context, clock = make(tmp_path)
    declare(context, tmp_path, AVAILABILITY)
    release = place_release(context, ReleaseWish("shop", "1.1"), actor=SOMEBODY).release
    minutes(context, NAME, START, 10, good=898.2, total=900, version="1.0")  # its baseline fails at 0.2 %
    minutes(context, NAME, START, 10, good=90, total=100, version="1.1")
    clock.at = START + timedelta(minutes=10)
    (burn,) = [burn for _, burn in burned_of_release(context, replace(release, phase=Phase.ROLLING_OUT))]
    assert (burn.bad, burn.expected) == (pytest.approx(100), pytest.approx(2.0))
    assert burn.minutes == pytest.approx((100 - 2) / 10_000 * 28 * 24 * 60)
    assert read_objective(context, NAME, actor=SOMEBODY).budget.releases == (burn,)
