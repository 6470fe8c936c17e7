"""Alerts that come all at once over HTTP: none is refused, none is lost, and each sender hears what became of its own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from productops.api.governance_access_limits import Buckets
from productops.api.middleware import ALERTS_LINE_S
from productops.domain.governance_access import Grant, Role
from productops.domain.incident import IncidentFilter
from productops.store.incident_alerts import AlertFilter
from productops.usecases.context import OURSELVES
from productops.usecases.incident_read import find_alerts, find_incidents
from tests.integration.test_api.support import OPS, client_of, free_ports, person_token, serving

SENT = 60


@pytest.fixture
def narrow(fresh):
    settings = fresh.settings.model_copy(update={"port_base": free_ports(), "requests_per_s": 20, "requests_burst": 20})
    with serving(fresh.context, settings):
        yield settings, fresh.context


def alert(number: int) -> dict[str, Any]:
    return {
        "name": "TooManyErrors", "venture": "apollo" if number % 10 else "nobody", "service": "shop", "severity": "SEV2",
        "starts_at": "2026-11-21T03:00:00Z", "labels": {"pod": f"pod-{number}"},
    }  # fmt: skip


def test_a_storm_of_single_posts_waits_in_line_instead_of_being_refused_and_each_hears_its_own_answer(narrow):
    settings, context = narrow
    token = person_token(context, "prometheus", Grant(Role.DEVELOPER, "apollo"))
    with client_of(settings, token) as client, ThreadPoolExecutor(20) as senders:

        def send(number: int) -> httpx.Response:
            return client.post(f"{OPS}/alerts", json={"alerts": [alert(number)]}, timeout=30)

        answers = list(senders.map(send, range(SENT)))
        again = send(1)
        assert client.get("/api/v1/access/me").status_code == 200  # the storm has not used up what other requests have
    assert {each.status_code for each in answers} == {202}
    told = [each.json() for each in answers]
    assert [each["stored"] for each in told] == [1 if number % 10 else 0 for number in range(SENT)]
    assert all("no venture 'nobody'" in each["refused"][0]["reason"] for each in told[::10])
    assert len({incident for each in told for incident in each["opened"]}) == 1
    assert (again.json()["stored"], again.json()["duplicates"]) == (0, 1)
    assert len(find_incidents(context, IncidentFilter(), limit=10, actor=OURSELVES)) == 1
    assert len(find_alerts(context, AlertFilter(), limit=1000, actor=OURSELVES)) == SENT - SENT // 10


def test_who_may_report_nothing_is_refused_in_the_middle_of_a_storm_of_others(narrow):
    settings, context = narrow
    with context.store.write() as unit:
        unit.catalog.put_venture("gemini", title="Gemini", description="", author="tester", now=context.clock.now())
    good = person_token(context, "prometheus", Grant(Role.DEVELOPER, "apollo"))
    bad = person_token(context, "eve", Grant(Role.VIEWER, "apollo"), Grant(Role.DEVELOPER, "gemini"))
    body = {"alerts": [alert(1)]}
    with client_of(settings, good) as one, client_of(settings, bad) as other, ThreadPoolExecutor(12) as senders:
        found = list(
            senders.map(lambda number: (other if number % 3 == 0 else one).post(f"{OPS}/alerts", json=body, timeout=30), range(12))
        )
    assert [each.status_code for each in found] == [403 if number % 3 == 0 else 202 for number in range(12)]
    assert sum(each.json()["stored"] for each in found if each.status_code == 202) == 1


def test_a_message_of_alertmanager_may_be_larger_than_other_bodies(narrow):
    settings, context = narrow
    token = person_token(context, "prometheus", Grant(Role.DEVELOPER, "apollo"))
    note = {"summary": "x" * 1900, "description": "y" * 1900}
    alerts = [
        {"status": "firing", "labels": {"alertname": "Slow", "service": "shop", "pod": f"p{number}"}, "annotations": note,
         "startsAt": "2026-11-21T03:00:00Z", "fingerprint": f"{number:016x}"}
        for number in range(400)
    ]  # fmt: skip
    with client_of(settings, token) as client:
        answer = client.post(f"{OPS}/alerts/alertmanager", json={"version": "4", "alerts": alerts}, timeout=60)
    assert len(answer.request.content) > 1_048_576
    assert (answer.status_code, answer.json()["stored"]) == (202, 400)


def test_the_line_is_served_at_its_pace_and_has_an_end():
    buckets = Buckets(per_s=10, burst=5)
    lined = [buckets.line_up("a", longest_s=ALERTS_LINE_S) for _ in range(120)]
    waits = [wait_s for wait_s, left in lined if left.allowed]
    assert waits[:5] == [0.0] * 5
    assert 104 <= len(waits) <= 106
    assert waits == sorted(waits)
    assert 9.9 <= waits[-1] <= ALERTS_LINE_S
    assert buckets.line_up("b", longest_s=ALERTS_LINE_S)[1].allowed
    assert not buckets.line_up("a", longest_s=ALERTS_LINE_S)[1].allowed
    assert lined[-1][1].retry_s >= 10
