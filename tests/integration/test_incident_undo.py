"""An incident that somebody traces to a release when reporting it: one roll back, by the playbook where there is one."""

from __future__ import annotations

import json

import pytest

from productops.domain.incident_playbook import ResponseState
from productops.domain.release import Cause, Phase
from productops.errors import OrchestratorError
from productops.usecases.incident import IncidentReport, report_incident
from productops.usecases.incident_playbooks import HoldWish, hold_responses, list_responses
from productops.usecases.incident_start import start_due_incidents
from tests.integration.incident_response_lab import declare, had_traffic, playbook, wait_until
from tests.integration.test_release_usecases import carry_out as release_it
from tests.integration.test_release_usecases import request, stored, traffic
from tests.support import SOMEBODY, HandMadeAgent, add_service, running, service_spec

UNDO = playbook("undo", when="{causes: [release]}", steps="do: roll-back\ndo: wait-for-recovery, good_s: 1, timeout_s: 20")


def report(context, **more):
    return report_incident(context, IncidentReport(title="Customers cannot pay", service="shop", **more), actor=SOMEBODY)


def responses(context, incident_id):
    return list_responses(context, incident_id, actor=SOMEBODY)


def asked(context, release):
    """How often somebody asked for this release to be rolled back."""
    with context.store.read() as unit:
        entries = [entry for entry in unit.audit.following(0) if entry.subject == f"release/{release.id}"]
    return [entry.action for entry in entries if "roll" in entry.action]


class Broken:
    """An orchestrator that is away."""

    def start_incident(self, parameters, *, key):
        raise OrchestratorError("Prefect does not answer")

    def start_rollback(self, parameters, *, key):
        raise OrchestratorError("Prefect does not answer")


def test_the_playbook_that_fits_rolls_back_once_however_many_look_at_the_incident_and_without_prefect(any_context, tmp_path):
    context = any_context
    add_service(context, spec=service_spec(strategy="blue-green", blue_green={"watch_s": 1.5, "keep_warm_s": 600}), live="1.0")
    declare(context, tmp_path / "playbooks", UNDO)
    with running(HandMadeAgent(context)):
        release = release_it(context, request(context))
        had_traffic(context, "1.0", ago_s=200, seconds=60)
        done = report(context, version="2.0")
        incident = done.incident["incident_id"]
        assert (done.traced_to.id, done.rolled_back) == (release.id, True)
        assert done.note.endswith("is being rolled back by playbook undo")
        for _ in range(3):
            start_due_incidents(context, Broken())
        wait_until(lambda: start_due_incidents(context, None) is not None and stored(context, release.id).phase is Phase.ROLLED_BACK)
    found = responses(context, incident)
    assert [(each.playbook, each.by) for each in found] == [("undo", SOMEBODY.name)]
    assert found[0].steps[0].state == "done"
    assert traffic(context).baseline_version == "1.0"
    assert stored(context, release.id).cause is Cause.INCIDENT
    assert len([each for each in asked(context, release) if each == "release.rolled_back"]) <= 1


def test_nobody_else_can_begin_a_response_between_the_report_and_its_playbook(context, tmp_path):
    add_service(context, spec=service_spec(strategy="blue-green", blue_green={"watch_s": 1.5, "keep_warm_s": 600}), live="1.0")
    declare(context, tmp_path / "playbooks", UNDO)
    with running(HandMadeAgent(context)):
        release_it(context, request(context))
        done = report(context, version="2.0")
    with context.store.read() as unit:
        entries = [entry for entry in unit.audit.following(0) if entry.subject == f"incident/{done.incident['incident_id']}"]
    actions = [entry.action for entry in entries]
    assert actions.index("response.begun") - actions.index("incident.reported") <= 2
    assert json.loads(entries[actions.index("response.begun")].detail)["why"] == [f"{SOMEBODY.name} traced it to {done.traced_to.title}"]


def test_a_playbook_that_a_person_has_to_begin_is_proposed_and_nothing_moves_before(context, tmp_path):
    add_service(context, live="1.0")
    manual = playbook("undo", when="{causes: [release]}", steps="do: roll-back", more="  automatic: false\n")
    declare(context, tmp_path / "playbooks", manual)
    with running(HandMadeAgent(context)):
        release_it(context, request(context))
        done = report(context, version="2.0")
    assert not done.rolled_back
    assert "waits for somebody to say go" in done.note
    assert [each.state for each in responses(context, done.incident["incident_id"])] == [ResponseState.PROPOSED]
    assert traffic(context).baseline_version == "2.0"


def test_a_hold_of_a_person_keeps_the_release_where_it_is(context):
    add_service(context, live="1.0")
    with running(HandMadeAgent(context)):
        release_it(context, request(context))
        hold_responses(context, HoldWish(service="shop", reason="the till is being counted"), actor=SOMEBODY)
        done = report(context, version="2.0")
    assert not done.rolled_back
    assert "the till is being counted" in done.note
    assert traffic(context).baseline_version == "2.0"


@pytest.mark.parametrize("declared", ["", playbook("flags", when="{causes: [flag]}", steps="do: disable-flag, flag: x")])
def test_where_no_playbook_rolls_back_it_is_done_directly_and_no_response_follows(context, tmp_path, declared):
    add_service(context, spec=service_spec(strategy="blue-green", blue_green={"watch_s": 1.5, "keep_warm_s": 600}), live="1.0")
    if declared:
        declare(context, tmp_path / "playbooks", declared)
    with running(HandMadeAgent(context)):
        release = release_it(context, request(context))
        done = report(context, version="2.0")
        assert done.rolled_back
        assert start_due_incidents(context, None) == []
        wait_until(lambda: stored(context, release.id).phase is Phase.ROLLED_BACK)
    assert responses(context, done.incident["incident_id"]) == []
