"""DORA by its definitions, and the mistakes others made with them."""

from datetime import UTC, datetime, timedelta

import pytest

from productops.domain.development_dora import Attribution, Change, Deployment, Facts, Incident, Outcome, Window, causes, dora, reliability
from productops.stats.dora import Suspicion, confidences

DAY = datetime(2026, 3, 2, tzinfo=UTC)
WINDOW = Window(DAY, DAY + timedelta(days=28))


def at(day: float) -> datetime:
    return DAY + timedelta(days=day)


def deployment(name: str, day: float, *changes: str, outcome: Outcome = Outcome.LIVE, service: str = "shop", **more) -> Deployment:
    return Deployment(name, service, at(day) - timedelta(minutes=5), at(day), outcome, changes, **more)


def people(facts: Facts, window: Window = WINDOW):
    return dora(facts, window).people


def test_two_incidents_of_one_deployment_are_one_failure_and_one_recovery():
    incidents = (Incident("i1", at(1.1), at(1.2)), Incident("i2", at(1.1), at(1.5)))
    blame = tuple(Attribution(each.id, "d1", 0.9) for each in incidents)
    found = people(Facts((deployment("d1", 1), deployment("d2", 2)), (), incidents, blame))
    assert (found.change_failure_rate.part, found.change_failure_rate.whole) == (1, 2)
    assert found.recovery_time.seconds.count == 1
    assert found.recovery_time.seconds.median == pytest.approx(0.5 * 86400)
    assert found.time_to_restore.seconds.count == 2


def test_a_merged_duplicate_of_an_incident_counts_for_the_one_it_went_into():
    incidents = (Incident("i1", at(1.1), at(1.2)), Incident("i2", at(1.1), at(9), duplicate_of="i1"))
    facts = Facts((deployment("d1", 1),), (), incidents, (Attribution("i2", "d1", 0.9),))
    assert causes(facts, people=True) == {"i1": "d1"}
    assert people(facts).recovery_time.seconds.median == pytest.approx(0.2 * 86400)


def test_an_incident_nobody_traced_is_not_blamed_on_whatever_was_deployed_last():
    found = people(Facts((deployment("d1", 1),), (), (Incident("i1", at(1.01)),)))
    assert found.change_failure_rate.value == 0.0


def test_an_unsure_attribution_counts_for_nobody():
    found = people(Facts((deployment("d1", 1),), (), (Incident("i1", at(1.01)),), (Attribution("i1", "d1", 0.4),)))
    assert found.change_failure_rate.part == 0


def test_the_cause_of_an_incident_does_not_change_with_the_window():
    facts = Facts((deployment("d1", 1), deployment("d2", 12)), (), (Incident("i1", at(13), at(14)),), (Attribution("i1", "d1", 0.9),))
    early, late = Window(DAY, at(10)), Window(at(10), at(28))
    assert people(facts, early).change_failure_rate.part == 1
    assert people(facts, late).change_failure_rate.part == 0
    assert people(facts).change_failure_rate.part == 1


def test_neighbouring_windows_add_up_to_the_whole():
    facts = Facts(tuple(deployment(f"d{day}", day) for day in range(28)))
    parts = [people(facts, Window(at(begin), at(begin + 7))).frequency.count for begin in range(0, 28, 7)]
    assert sum(parts) == people(facts).frequency.count == 28


def test_the_failure_rate_is_of_deployments_users_got_not_of_incidents_nor_of_attempts():
    tries = tuple(deployment(f"x{day}", day, outcome=Outcome.NEVER_LIVE) for day in range(5))
    facts = Facts((*tries, deployment("d1", 6), deployment("d2", 7, outcome=Outcome.ROLLED_BACK, recovered_at=at(7.1))))
    assert people(facts).change_failure_rate.value == 0.5


def test_no_deployments_give_no_rate_and_not_zero():
    found = people(Facts())
    assert found.change_failure_rate.value is None
    assert found.rework_rate.value is None
    assert found.frequency.bucket == "none"
    assert found.lead_time.bucket == "none"


def test_a_revert_has_no_lead_time_and_shows_as_rework():
    changes = (Change("a", at(0)), Change("r", at(3), reverts="a"))
    facts = Facts((deployment("d1", 2, "a"), deployment("d2", 3.1, "r", unplanned=True)), changes)
    found = people(facts)
    assert (found.lead_time.seconds.count, found.lead_time.seconds.median) == (1, 2 * 86400)
    assert found.rework_rate.value == 0.5


def test_a_change_that_is_deployed_again_counts_once_by_its_first_time():
    facts = Facts((deployment("d1", 2, "a"), deployment("d2", 9, "a")), (Change("a", at(0)),))
    assert people(facts).lead_time.seconds.median == 2 * 86400
    assert people(facts, Window(at(8), at(28))).lead_time.seconds.count == 0


def test_a_rolled_back_version_delivered_nothing_until_it_comes_again():
    rolled = deployment("d1", 2, "a", outcome=Outcome.ROLLED_BACK, recovered_at=at(2.1))
    found = people(Facts((rolled, deployment("d2", 5, "a")), (Change("a", at(0)),)))
    assert found.lead_time.seconds.median == 5 * 86400


def test_a_commit_from_after_its_deployment_is_told_and_not_averaged():
    found = people(Facts((deployment("d1", 2, "a", "b"),), (Change("a", at(4)), Change("b", at(1)))))
    assert (found.lead_time.excluded, found.lead_time.seconds.count) == (1, 1)


def test_harm_that_goes_on_is_open_and_not_zero():
    found = people(Facts((deployment("d1", 1),), (), (Incident("i1", at(2)),), (Attribution("i1", "d1", 0.9),)))
    assert (found.recovery_time.open, found.recovery_time.seconds.median) == (1, None)


def test_a_deployment_told_twice_counts_once():
    assert people(Facts((deployment("d1", 1), deployment("d1", 1)))).frequency.count == 1


@pytest.mark.parametrize(
    ("days", "bucket"),
    [
        ([day + hour for day in range(28) for hour in (0.4, 0.5, 0.6)], "on_demand"),
        ([day + 0.5 for day in range(28) if day % 7 < 4], "daily"),
        ([day + 0.5 for day in range(0, 28, 7)], "weekly"),
        ([3.5], "monthly"),
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], "monthly"),
    ],
)
def test_the_bucket_counts_days_with_a_deployment_and_weeks_without(days, bucket):
    facts = Facts(tuple(deployment(f"d{number}", day) for number, day in enumerate(days)))
    assert people(facts).frequency.bucket == bucket


def test_people_overrule_the_machine_and_both_numbers_are_given():
    said = (
        Attribution("i1", "d2", 0.95),
        Attribution("i1", "d1", 1.0, by_person=True, at=at(3)),
        Attribution("i1", None, 1.0, by_person=True, at=at(4)),
    )
    found = dora(Facts((deployment("d1", 1), deployment("d2", 2)), (), (Incident("i1", at(2.1), at(2.2)),), said), WINDOW)
    assert found.machine.change_failure_rate.part == 1
    assert found.people.change_failure_rate.part == 0
    assert found.overruled == 1


def test_reliability_is_the_share_of_objectives_kept():
    assert reliability([(0.999, 0.99), (0.98, 0.99)]).value == 0.5
    assert reliability([]).value is None


def test_what_came_after_the_harm_or_does_not_touch_it_is_no_cause():
    after, elsewhere = confidences([Suspicion(-10.0), Suspicion(60.0, touches=False)])
    assert after == elsewhere == 0.0


def test_traffic_beats_being_last():
    guilty = Suspicion(7200, onset_s=60, candidate_bad=80, candidate_total=1000, rest_bad=20, rest_total=9000)
    guilty_confidence, last_confidence = confidences([guilty, Suspicion(30.0)])
    assert guilty_confidence > 0.9
    assert last_confidence < 0.1


def test_equal_harm_with_and_without_it_speaks_against_it():
    alone = confidences([Suspicion(60.0)])[0]
    equal = confidences([Suspicion(60.0, candidate_bad=50, candidate_total=1000, rest_bad=450, rest_total=9000)])[0]
    assert equal < alone
    assert equal < 0.5


def test_an_old_deployment_alone_is_not_blamed():
    assert confidences([Suspicion(86400.0)])[0] < 0.05
