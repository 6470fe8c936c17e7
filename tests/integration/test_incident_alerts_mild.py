"""Alerts too mild for an incident of their own: they neither turn another incident into what it is not nor open one that is over."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from productops.domain.incident_alert import AlertState
from productops.domain.incident_state import IncidentStatus
from productops.usecases.incident_moves import move
from productops.usecases.incident_tend import tend_incidents
from tests.integration.incident_lab import IncidentLab
from tests.support import SOMEBODY, sqlite_url


@pytest.fixture
def lab(tmp_path: Path) -> IncidentLab:
    return IncidentLab(sqlite_url(tmp_path), {"shop": (), "cart": ()})


def test_a_release_at_night_makes_no_matter_of_security_of_what_breaks_later(lab: IncidentLab) -> None:
    night = {"source": "security", "severity": "SEV4", "component": "security/unusual-release"}
    lab.take(lab.alert("cart", "unusual-release", **night), lab.alert("shop", "unusual-release", **night))
    lab.clock.pass_by(60)
    opened = lab.take(lab.alert("shop")).opened
    with lab.context.store.read() as unit:
        incident = unit.incidents.get(opened[0])
    assert (incident.kind, incident.services) == ("availability", ("shop",))
    assert {stored.state for stored in lab.alerts() if stored.alert.source == "security"} == {AlertState.LISTED}


def test_what_is_too_mild_to_open_an_incident_opens_none_again(lab: IncidentLab) -> None:
    mild = lab.alert("shop", "noise", severity="SEV4")
    serious = lab.alert("shop")
    lab.take(mild)
    incident = lab.take(serious).opened[0]
    with lab.context.store.write() as unit:
        move(unit, unit.incidents.get(incident), IncidentStatus.RESOLVED, reason="mended", actor=SOMEBODY, now=lab.clock.now())
    lab.take(lab.over(serious))
    for _ in range(5):
        lab.clock.pass_by(60)
        lab.take(mild)
    with lab.context.store.read() as unit:
        assert unit.incidents.get(incident).status is IncidentStatus.RESOLVED
    lab.take(lab.over(mild))
    lab.clock.pass_by(timedelta(seconds=30).total_seconds())
    lab.take(lab.alert("shop", "noise", severity="SEV4"))
    with lab.context.store.read() as unit:
        assert unit.incidents.get(incident).status is IncidentStatus.RESOLVED


def test_what_comes_and_goes_is_held_back_only_until_it_stays(lab: IncidentLab) -> None:
    for _ in range(3):
        lab.take(alert := lab.alert("shop"))
        lab.clock.pass_by(5)
        lab.take(lab.over(alert))
        lab.clock.pass_by(5)
    before = len(lab.incidents())
    lab.take(lab.alert("shop", "errors"))
    assert [stored.state for stored in lab.alerts() if stored.alert.firing] == [AlertState.DAMPED]
    lab.clock.pass_by(10)
    tend_incidents(lab.context)
    assert [stored.state for stored in lab.alerts() if stored.alert.firing] == [AlertState.DAMPED]
    lab.clock.pass_by(6)
    tend_incidents(lab.context)
    assert [stored.state for stored in lab.alerts() if stored.alert.firing] == [AlertState.GROUPED]
    assert len(lab.incidents()) == before == 1
