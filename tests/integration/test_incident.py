"""Incidents: reported, traced to a release where the report says so, and undone."""

import time

import pytest

from productops.domain.release import Cause, Phase
from productops.errors import ConflictError, NotFoundError
from productops.usecases.incident import IncidentReport, read_incident, report_incident, resolve_incident
from tests.integration.test_release_usecases import carry_out, request, stored, traffic
from tests.support import SOMEBODY, HandMadeAgent, add_service, running, service_spec


def report(context, **more):
    return report_incident(context, IncidentReport(title="Customers cannot pay", service="shop", **more), actor=SOMEBODY)


def wait_for(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_an_incident_of_a_named_version_rolls_its_release_back(context):
    add_service(context, spec=service_spec(strategy="blue-green", blue_green={"watch_s": 2.5, "keep_warm_s": 600}), live="1.0")
    with running(HandMadeAgent(context)):
        release = carry_out(context, request(context))
        done = report(context, version="2.0")
        assert (done.traced_to.id, done.rolled_back) == (release.id, True)
        wait_for(lambda: stored(context, release.id).phase is Phase.ROLLED_BACK)
    assert stored(context, release.id).cause is Cause.INCIDENT
    assert traffic(context).baseline_version == "1.0"
    assert read_incident(context, done.incident["incident_id"], actor=SOMEBODY)["status"] == "mitigated"
    with context.store.read() as unit:
        assert unit.quarantine.reason("shop", release.environment, "2.0")


def test_without_a_version_the_suspects_are_named_and_nothing_is_moved(context):
    add_service(context, live="1.0")
    with running(HandMadeAgent(context)):
        release = carry_out(context, request(context))
        done = report(context)
    assert (done.traced_to, done.rolled_back) == (None, False)
    assert [r.id for r in done.suspects] == [release.id]
    assert "report it with its version" in done.note
    assert traffic(context).baseline_version == "2.0"


@pytest.mark.parametrize(("rollout", "why"), [({"on_incident": "tell"}, "on_incident: tell"), ({"rollback_window_s": 0}, "recent enough")])
def test_the_catalog_says_whether_and_for_how_long_an_incident_undoes_a_release(context, rollout, why):
    add_service(context, spec=service_spec(**rollout), live="1.0")
    with running(HandMadeAgent(context)):
        carry_out(context, request(context))
        done = report(context, version="2.0")
    assert not done.rolled_back
    assert why in done.note
    assert traffic(context).baseline_version == "2.0"


def test_a_report_about_what_does_not_exist_opens_nothing(context):
    add_service(context, live="1.0")
    add_service(context, "other", live="1.0")
    other = request(context)
    with pytest.raises(NotFoundError):
        report_incident(context, IncidentReport(title="x", service="nothing"), actor=SOMEBODY)
    with pytest.raises(ConflictError, match="is of shop"):
        report_incident(context, IncidentReport(title="x", service="other", release_id=other.id), actor=SOMEBODY)
    for wrong in ("not-an-id", "0197c5a2-6f0e-7c3a-9b1f-2f6c1d0b7e11"):
        with pytest.raises(NotFoundError):
            read_incident(context, wrong, actor=SOMEBODY)
    with context.store.read() as unit:
        assert unit.incidents.newest() == []


def test_an_incident_is_resolved_once(context):
    add_service(context, live="1.0")
    incident = report(context).incident["incident_id"]
    resolved = resolve_incident(context, incident, steps=["restarted the till"], actor=SOMEBODY)
    assert (resolved["status"], resolved["resolution_steps"], resolved["mttr_minutes"]) == ("resolved", ["restarted the till"], 0)
    with pytest.raises(ConflictError):
        resolve_incident(context, incident, steps=["again"], actor=SOMEBODY)
