"""Which deployment caused an incident, and where lead time goes."""

from datetime import UTC, datetime, timedelta

import pytest

from productops.domain.development_dora import Deployment, Facts, Incident, Outcome, Window, dora
from productops.domain.development_dora_attribution import Harm, Traffic, attribute
from productops.domain.development_dora_stages import MergedChange, PipelineRun, first_delivery, previous_success, stages

T = datetime(2026, 3, 2, 12, tzinfo=UTC)


def ago(minutes: float) -> datetime:
    return T - timedelta(minutes=minutes)


def deployed(name: str, minutes: float, service: str = "shop", outcome: Outcome = Outcome.LIVE) -> Deployment:
    return Deployment(name, service, ago(minutes), ago(minutes - 5), outcome)


def test_the_version_whose_users_were_harmed_is_blamed_and_not_the_last_one():
    harm = Harm("i1", T, ("shop",), change_point_at=ago(90))
    found = attribute(harm, [deployed("guilty", 91), deployed("last", 2)], traffic={"guilty": Traffic(80, 1000, 20, 9000)})
    assert found[0].deployment == "guilty"
    assert found[0].confidence > 0.9
    facts = Facts((deployed("guilty", 91), deployed("last", 2)), (), (Incident("i1", T, T),), tuple(found))
    assert dora(facts, Window(ago(600), T)).machine.change_failure_rate.part == 1


def test_nobody_is_sure_without_evidence():
    found = attribute(Harm("i1", T, ("shop",)), [deployed("a", 240), deployed("b", 300)])
    assert all(each.confidence < 0.5 for each in found)
    assert sum(each.confidence for each in found) < 1


def test_a_deployment_of_another_service_is_a_suspect_only_when_the_harmed_one_calls_it():
    other = [deployed("a", 5, service="payment")]
    assert attribute(Harm("i1", T, ("shop",)), other)[0].confidence == 0
    assert attribute(Harm("i1", T, ("shop",)), other, depends_on={"shop": frozenset({"payment"})})[0].confidence > 0.5


def test_what_was_deployed_after_the_harm_long_before_it_or_never_is_no_suspect():
    late, old, never = deployed("late", -5), deployed("old", 4000), deployed("never", 5, outcome=Outcome.NEVER_LIVE)
    assert attribute(Harm("i1", T, ("shop",)), [late, old, never]) == []


def test_traffic_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="as many bad"):
        Traffic(2, 1, 0, 0)


def run(name: str, minutes: float, *, ok: bool = True, environment: str = "PRODUCTION", commit: str = "") -> PipelineRun:
    return PipelineRun(name, "s", "r", environment, ok, ago(minutes), ago(minutes - 1), commit or name)


def test_a_failed_run_is_nobodys_previous_one_and_has_none():
    runs = [run("1", 50), run("2", 40, ok=False), run("3", 30), run("4", 20, environment=""), run("5", 10, environment="STAGING")]
    assert previous_success(runs) == {"3": "1"}


def test_a_change_belongs_to_the_first_run_that_brought_it():
    runs = [run("1", 50), run("2", 40), run("3", 30)]
    found = first_delivery(runs, previous_success(runs), {("1", "2"): {"m"}, ("2", "3"): {"m", "n"}})
    assert {commit: each.id for commit, each in found.items()} == {"m": "2", "n": "3"}


def test_stages_leave_out_what_ran_backwards_and_the_authors_own_comments():
    change = MergedChange("c", "ada", ago(100), ago(40), "m", (("x", ago(90)),), (("own", ago(99), "ada"), ("first", ago(95), "bob")))
    found = stages(change, run("2", 30))
    assert found.coding is None
    assert (found.first_review, found.pickup, found.review) == ("first", timedelta(minutes=5), timedelta(minutes=55))
    assert (found.deploy, found.cycle) == (timedelta(minutes=11), timedelta(minutes=71))
    assert stages(change, None).deploy is None
