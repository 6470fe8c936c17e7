"""Incidents that come back, proposals nobody answered, rehearsals: what was done before must not hide what is to be done now."""

from dataclasses import replace
from datetime import datetime, timedelta

from productops.domain.incident_alert import Alert
from productops.domain.incident_cause import CauseKind
from productops.domain.incident_playbook import PAGE_A_PERSON, Drill, ResponseState
from productops.domain.incident_state import IncidentStatus
from productops.domain.traffic import InstanceState
from productops.store.identity import new_id
from productops.usecases.context import Clock
from productops.usecases.incident_again import alerts_since, begun_at
from productops.usecases.incident_change import Wish, acknowledge_incident
from productops.usecases.incident_drill import score_drill
from productops.usecases.incident_moves import move
from productops.usecases.incident_respond import advance_response
from productops.usecases.incident_respond_conclude import conclude_response
from productops.usecases.incident_start import PATIENCE, _turn, begin_response, cause_of, start_due_incidents
from tests.integration.incident_lab import MIA, IncidentLab
from tests.integration.incident_response_lab import (
    CarefulAgent,
    begin,
    carry_out,
    declare,
    ledger,
    open_incident,
    playbook,
    read,
    wait_until,
)
from tests.support import PRODUCTION, SOMEBODY, add_service, running, sqlite_url

MORE = playbook("more", when="{causes: [traffic]}", steps="do: scale, add: 1, instances_max: 9")


class Later(Clock):
    """After a doubtful cause has had its time to become clear."""

    def now(self) -> datetime:
        return super().now() + PATIENCE


def moved(context, incident_id, status):
    with context.store.write() as unit:
        move(unit, unit.incidents.get(incident_id), status, reason="a test", actor=SOMEBODY, now=context.clock.now())


def responses(context, incident_id):
    with context.store.read() as unit:
        return unit.responses.of_incident(incident_id)


def answered(context, incident_id):
    response = begin(context, ledger(incident_id, context, CauseKind.TRAFFIC, "twice the traffic", {}), incident_id)
    return carry_out(context, response.id)


def test_what_comes_back_after_a_response_had_worked_is_not_called_mitigated_again_but_somebody_is_paged(context, tmp_path):
    declare(context, tmp_path / "c", MORE)
    add_service(context, live="1.0")
    with running(CarefulAgent(context)):
        incident = open_incident(context)
        response = answered(context, incident)
        assert response.state is ResponseState.SUCCEEDED
        moved(context, incident, IncidentStatus.MITIGATED)
        moved(context, incident, IncidentStatus.INVESTIGATING)
        assert conclude_response(context, response.id).state == "reopened"
        with context.store.read() as unit:
            assert unit.incidents.get(incident).status is IncidentStatus.INVESTIGATING
        assert start_due_incidents(context, None) == []
        start_due_incidents(replace(context, clock=Later()), None)
    assert [each.playbook for each in responses(context, incident)] == ["more", PAGE_A_PERSON]
    assert "it came back" in responses(context, incident)[-1].why


def test_an_incident_that_was_over_and_comes_back_is_dealt_with_like_a_new_one_and_an_old_proposal_is_withdrawn(context, tmp_path):
    declare(context, tmp_path / "c", playbook("ask", when="{causes: [traffic]}", more="  automatic: false\n", steps="do: scale, add: 1"))
    add_service(context, live="1.0")
    incident = open_incident(context)
    first = begin(context, ledger(incident, context, CauseKind.TRAFFIC, "twice the traffic", {}), incident)
    assert first.state is ResponseState.PROPOSED
    moved(context, incident, IncidentStatus.RESOLVED)
    moved(context, incident, IncidentStatus.INVESTIGATING)
    with context.store.read() as unit:
        found = unit.incidents.get(incident)
        assert begun_at(unit, found) > found.detected_at
    second = begin(context, ledger(incident, context, CauseKind.TRAFFIC, "twice the traffic", {}), incident)
    assert (second.state, read(context, first.id).state) == (ResponseState.PROPOSED, ResponseState.STOPPED)
    assert second.since > first.since


def test_two_processes_that_find_an_incident_without_a_response_page_once(context, tmp_path):
    add_service(context, live="1.0")
    incident = open_incident(context)
    later = replace(context, clock=Later())
    with context.store.read() as unit:
        turns = [_turn(unit, unit.incidents.get(incident), begun_at(unit, unit.incidents.get(incident))) for _ in range(2)]
    begun = [begin_response(later, turn, now=later.clock.now()) for turn in turns]
    assert [each.playbook if each else None for each in begun] == [PAGE_A_PERSON, None]
    assert len(responses(context, incident)) == 1


def left_to_people(tmp_path):
    """An incident whose alert ended half a minute ago; a person was paged and nobody has come."""
    lab = IncidentLab(sqlite_url(tmp_path), {"shop": ()})
    alert = lab.alert()
    incident = lab.take(alert).opened[0]
    lab.clock.pass_by(PATIENCE.total_seconds() + 1)
    start_due_incidents(lab.context, None)
    assert [each.state for each in responses(lab.context, incident)] == [ResponseState.HANDED_OVER]
    lab.take(replace(alert, status="resolved", ends_at=lab.clock.now()))
    lab.clock.pass_by(30)
    return lab, incident


def test_what_begins_while_an_incident_waits_for_a_person_is_dealt_with_like_a_new_one(tmp_path):
    lab, incident = left_to_people(tmp_path)
    lab.take(lab.alert(name="an instance crashed"))
    with lab.context.store.read() as unit:
        assert begun_at(unit, unit.incidents.get(incident)) == lab.clock.now()
        assert "no alert had fired for 30 s" in unit.incident_log.read(incident, after=0)[-1].text
    lab.clock.pass_by(PATIENCE.total_seconds() + 1)
    start_due_incidents(lab.context, None)
    assert [each.playbook for each in responses(lab.context, incident)] == [PAGE_A_PERSON, PAGE_A_PERSON]


def test_who_has_taken_an_incident_up_is_not_disturbed_by_what_joins_it(tmp_path):
    lab, incident = left_to_people(tmp_path)
    acknowledge_incident(lab.context, Wish(incident, MIA))
    lab.take(lab.alert(name="an instance crashed"))
    lab.clock.pass_by(PATIENCE.total_seconds() + 1)
    start_due_incidents(lab.context, None)
    assert len(responses(lab.context, incident)) == 1


def test_a_playbook_that_only_looks_is_begun_by_people_and_not_proposed(context, tmp_path):
    looks = playbook("is-it-over", when="{probability_min: 0, lead_min: 0, causes: [traffic]}", more="  automatic: false\n",
                     steps="do: wait-for-recovery, good_s: 1")  # fmt: skip
    declare(context, tmp_path / "c", looks)
    add_service(context, live="1.0")
    incident = open_incident(context)
    found = begin(context, ledger(incident, context, CauseKind.TRAFFIC, "twice the traffic", {}, probability=0.4), incident)
    assert found.playbook == PAGE_A_PERSON
    assert "people begin it" in found.why


def test_what_a_rehearsal_did_does_not_use_up_what_the_next_night_needs(context, tmp_path):
    declare(context, tmp_path / "c", MORE)
    add_service(context, live="1.0")
    names = []
    with running(CarefulAgent(context)):
        for _ in range(2):
            incident = open_incident(context)
            drill = drilled(context, incident)
            names.append(answered(context, incident).playbook)
            ended(context, drill)
        incident = open_incident(context)
        names.append(answered(context, incident).playbook)
        incident = open_incident(context)
        names.append(answered(context, incident).playbook)
    assert names == ["more", "more", "more", PAGE_A_PERSON]


def drilled(context, incident_id):
    now = context.clock.now()
    drill = Drill(
        id=str(new_id()), playbook="more", fault="bad-flag", venture="apollo", service="shop", environment=PRODUCTION, state="running",
        by="tester", begun_at=now, injected={"cause": "traffic"},
    )  # fmt: skip
    with context.store.write() as unit:
        unit.responses.add_drill(drill)
        unit.responses.set_drill(drill.id, incident_id=incident_id, injected_at=now)
    return drill.id


def ended(context, drill_id):
    with context.store.write() as unit:
        unit.responses.set_drill(drill_id, state="passed", ended_at=context.clock.now())


def test_a_drill_that_opens_an_earlier_incident_again_is_scored_by_what_happened_since(context, tmp_path):
    declare(context, tmp_path / "c", MORE)
    add_service(context, live="1.0")
    with running(CarefulAgent(context)):
        incident = open_incident(context)
        answered(context, incident)
        moved(context, incident, IncidentStatus.RESOLVED)
        drill = drilled(context, None)
        assert score_drill(context, drill, actor=SOMEBODY, last=False).incident_id is None
        moved(context, incident, IncidentStatus.INVESTIGATING)
        scored = score_drill(context, drill, actor=SOMEBODY, last=False)
    assert scored.incident_id == incident
    assert (scored.scores["playbook"], scored.scores["actions"], scored.scores["mitigated_s"]) == (None, [], None)
    assert 0 <= scored.scores["detected_s"] < 5


def test_an_instance_that_ended_so_often_that_its_fleet_was_given_up_is_replaced(context, tmp_path):
    declare(context, tmp_path / "c", playbook("replace", when="{causes: [instance]}", steps="do: restart, which: ailing"))
    add_service(context, live="1.0")
    with running(CarefulAgent(context)):
        wait_until(lambda: len(instances(context)) == 2)
        ailing = instances(context)[0].id
        with context.store.write() as unit:
            unit.fleets.set_instance(ailing, now=context.clock.now(), state=InstanceState.CRASHED)
            unit.fleets.fail(unit.fleets.find("shop", PRODUCTION, "1.0"), "it ended 4 times", now=context.clock.now())
        incident = open_incident(context)
        cause = ledger(incident, context, CauseKind.INSTANCE, ailing, {"step": "restart", "instance": ailing})
        found = carry_out(context, begin(context, cause, incident).id)
        assert found.state is ResponseState.SUCCEEDED, found.reason
        assert ailing not in {each.id for each in instances(context)}
        assert len(instances(context)) == 2


def test_a_version_that_cannot_be_started_is_no_substitute(context, tmp_path):
    declare(context, tmp_path / "c", playbook("replace", when="{causes: [instance]}", steps="do: restart, which: all"))
    add_service(context, live="1.0")
    with running(CarefulAgent(context)):
        wait_until(lambda: len(instances(context)) == 2)
    incident = open_incident(context)
    response = begin(context, ledger(incident, context, CauseKind.INSTANCE, "i", {"step": "restart", "instance": "i"}), incident)
    for _ in range(20):
        with context.store.write() as unit:
            unit.fleets.fail(unit.fleets.find("shop", PRODUCTION, "1.0"), "it cannot be started", now=context.clock.now())
        found = advance_response(context, response.id, holder="one", keep=True)
        if found.steps[0].ended:
            break
    assert (found.steps[0].state, "it cannot be started" in found.steps[0].result) == ("failed", True)
    with context.store.read() as unit:
        assert unit.fleets.find("shop", PRODUCTION, "1.0").desired == 2


def instances(context):
    with context.store.read() as unit:
        return [each for each in unit.fleets.instances_of("shop", PRODUCTION, "1.0") if each.state is not InstanceState.STOPPED]


def test_alerts_of_the_time_before_say_nothing_of_an_incident_that_came_back(context):
    add_service(context, live="1.0")
    incident = open_incident(context)
    moved(context, incident, IncidentStatus.RESOLVED)
    moved(context, incident, IncidentStatus.INVESTIGATING)
    with context.store.read() as unit:
        found = unit.incidents.get(incident)
        begun = begun_at(unit, found)

    def alert(starts_s, ends_s=None):
        ends = begun + timedelta(seconds=ends_s) if ends_s is not None else None
        return Alert(
            source="anomaly", name="failing requests", venture="apollo", service="shop", environment=PRODUCTION, component="shop",
            severity="SEV2", starts_at=begun + timedelta(seconds=starts_s), ends_at=ends, summary="", labels={},
        )  # fmt: skip

    now, lately, over, long_ago = alert(-3), alert(-20, 5), alert(-20, -1), alert(-600)
    assert alerts_since([now, lately, over, long_ago], found, begun) == (now, lately)


def test_several_processes_that_look_for_a_cause_within_a_second_look_once(context):
    add_service(context, live="1.0")
    incident = open_incident(context)
    first, second = cause_of(context, incident), cause_of(context, incident)
    later = cause_of(replace(context, clock=Later()), incident)
    since = cause_of(context, incident, since=context.clock.now())
    assert first.id == second.id
    assert len({first.id, later.id, since.id}) == 3
