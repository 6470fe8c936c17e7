"""Alerts and incidents through their doors: HTTP as it is served, the command line, and the stream of the log."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import httpx
import pytest
import typer
from typer.testing import CliRunner

from productops.cli import incident as incident_commands
from productops.cli import incident_alerts as alert_commands
from productops.domain.catalog_webhooks import WebhookTargetSpec
from productops.usecases.governance_webhooks_declared import put_target
from tests.integration.test_api.support import OPS, TOKEN
from tests.support import SOMEBODY

program = typer.Typer()  # of these commands only: all of them take seconds to build
incident_commands.register(program)
alert_commands.register(program)
ALERT = {
    "name": "TooManyErrors", "venture": "apollo", "service": "shop", "severity": "SEV2", "summary": "4 % of requests fail",
    "starts_at": "2026-11-21T03:00:00Z", "labels": {"team": "web"},
}  # fmt: skip


def sent(api: Any, *alerts: Any) -> dict[str, Any]:
    answer = api.client.post(f"{OPS}/alerts", json={"alerts": list(alerts)})
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    return found


def post(api: Any, incident: str, what: str, **body: Any) -> dict[str, Any]:
    answer = api.client.post(f"{OPS}/incidents/{incident}/{what}", json=body)
    assert answer.status_code in {200, 201}, answer.text
    found: dict[str, Any] = answer.json()
    return found


def cli(api: Any, *arguments: str) -> str:
    found = CliRunner().invoke(program, [*arguments, "--api-url", str(api.client.base_url)], env={"PRODUCTOPS_API_TOKEN": TOKEN})
    assert found.exit_code == 0, found.output
    return found.output


def test_a_batch_keeps_the_good_ones_and_names_the_bad_ones_by_place(api):
    taken = sent(api, ALERT, {"name": "x"}, ALERT | {"severity": "BAD"}, ALERT | {"name": "Slow"}, ALERT | {"venture": "zeus"})
    assert (taken["stored"], len(taken["opened"])) == (2, 1)
    assert [each["index"] for each in taken["refused"]] == [1, 2, 4]
    assert "venture" in taken["refused"][0]["reason"]
    again = sent(api, ALERT)
    assert (again["stored"], again["duplicates"], again["opened"]) == (0, 1, [])
    listed = api.client.get(f"{OPS}/alerts", params={"state": "grouped", "limit": 1}).json()
    more = api.client.get(f"{OPS}/alerts", params={"state": "grouped", "limit": 1, "after": listed["next"]}).json()
    assert {listed["items"][0]["name"], more["items"][0]["name"]} == {"TooManyErrors", "Slow"}
    one = api.client.get(f"{OPS}/alerts/{listed['items'][0]['id']}").json()
    assert one["incident_id"] == taken["opened"][0]


def test_alertmanager_sends_again_out_of_order_and_cut_short(api):
    alert = {
        "status": "firing", "fingerprint": "abc", "startsAt": "2026-11-21T02:00:00Z", "endsAt": "0001-01-01T00:00:00Z",
        "labels": {"alertname": "TooManyErrors", "service": "shop", "severity": "critical"}, "annotations": {"summary": "Too many errors"},
    }  # fmt: skip
    body = {"version": "4", "truncatedAlerts": 7, "alerts": [alert, {"status": "odd"}]}
    first = api.client.post(f"{OPS}/alerts/alertmanager", json=body)
    assert first.status_code == 202, first.text
    taken = first.json()
    assert (taken["stored"], len(taken["opened"])) == (1, 1)
    assert [each["index"] for each in taken["refused"]] == [1, 2]
    assert "7 alerts" in taken["refused"][1]["reason"]
    over = alert | {"status": "resolved", "endsAt": "2026-11-21T02:05:00Z"}
    assert api.client.post(f"{OPS}/alerts/alertmanager", json={"version": "4", "alerts": [over]}).json()["ended"] == 1
    late = api.client.post(f"{OPS}/alerts/alertmanager", json={"version": "4", "alerts": [alert]}).json()
    assert (late["stored"], late["duplicates"], late["opened"]) == (0, 1, [])
    found = api.client.get(f"{OPS}/incidents/{taken['opened'][0]}").json()
    assert (found["severity"], found["title"], found["detection"]) == ("SEV1", "shop: Too many errors", "alert")
    assert api.client.post(f"{OPS}/alerts/alertmanager", json={"odd": 1}).status_code == 422


@pytest.mark.parametrize(
    ("path", "body", "name"),
    [
        ("datadog", {"alert_transition": "Triggered", "alert_cycle_key": "7", "alert_title": "Slow", "tags": "service:shop,env:production"},
         "Slow"),
        ("newrelic", {"id": "i-1", "state": "ACTIVATED", "title": "Slow answers", "priority": "CRITICAL", "impactedEntities": ["shop"],
                      "createdAt": 1795230000000}, "Slow answers"),
        ("grafana", {"alerts": [{"status": "firing", "fingerprint": "f", "startsAt": "2026-11-21T02:00:00Z",
                                 "labels": {"alertname": "Slow", "service": "shop"}}]}, "Slow"),
    ],
)  # fmt: skip
def test_other_tools_alerts_are_read(api, path, body, name):
    answer = api.client.post(f"{OPS}/alerts/{path}", json=body, params={"venture": "apollo"})
    assert answer.status_code == 202, answer.text
    assert answer.json()["stored"] == 1
    assert api.client.get(f"{OPS}/alerts").json()["items"][0]["name"] == name


def test_an_incident_is_taken_up_by_people_and_its_log_tells_it_in_order(api):
    incident = sent(api, ALERT)["opened"][0]
    assert post(api, incident, "acknowledge")["status"] == "investigating"
    assert post(api, incident, "roles", role="commander", person="mia")["roles"] == {"commander": "mia"}
    assert post(api, incident, "roles", role="commander", person="tom")["roles"] == {"commander": "tom"}
    seen = post(api, incident, "severity", severity="SEV1", reason="nobody can pay")
    stale = api.client.post(f"{OPS}/incidents/{incident}/severity", json={"severity": "SEV3", "reason": "x", "revision": 1})
    assert (stale.status_code, stale.json()["slug"]) == (412, "revision-mismatch")
    assert post(api, incident, "links", kind="page", target="https://example.com/runbook")["revision"] == seen["revision"] + 1
    assert api.client.post(f"{OPS}/incidents/{incident}/links", json={"kind": "release", "target": "nothing"}).status_code == 404
    post(api, incident, "notes", text="the database is out of disk")
    assert post(api, incident, "moves", status="mitigated", reason="disk is larger")["status"] == "mitigated"
    assert api.client.post(f"{OPS}/incidents/{incident}/moves", json={"status": "resolved", "reason": "x"}).status_code == 422
    lines = api.client.get(f"{OPS}/incidents/{incident}/log").json()["items"]
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
    kinds = [line["kind"] for line in lines]
    assert kinds == ["opened", "acknowledged", "investigating", "role", "role", "severity", "link", "note", "mitigated"]
    assert "tom takes over as commander from mia" in lines[4]["text"]
    page = api.client.get(f"{OPS}/incidents/{incident}/log", params={"limit": 2}).json()
    assert len(api.client.get(f"{OPS}/incidents/{incident}/log", params={"after": page["next"]}).json()["items"]) == len(lines) - 2
    closed = post(api, incident, "moves", status="closed", reason="done")
    assert closed["closed_at"]
    wrong = api.client.post(f"{OPS}/incidents/{incident}/moves", json={"status": "mitigated", "reason": "x"})
    assert (wrong.status_code, wrong.json()["slug"]) == (409, "illegal-transition")


def test_the_log_is_followed_line_by_line(api):
    incident = sent(api, ALERT)["opened"][0]
    got: list[dict[str, Any]] = []

    def follow() -> None:
        headers = {"Last-Event-ID": "1"}
        path = f"{OPS}/incidents/{incident}/log/events"
        client = httpx.Client(base_url=api.client.base_url, headers=dict(api.client.headers), timeout=20)
        with client, client.stream("GET", path, headers=headers) as answer:
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    got.append(json.loads(line.removeprefix("data: ")))
                    if len(got) == 2:
                        return

    reader = threading.Thread(target=follow)
    reader.start()
    time.sleep(0.2)
    post(api, incident, "notes", text="one")
    post(api, incident, "notes", text="two")
    reader.join(timeout=10)
    assert [(each["seq"], each["kind"], each["text"]) for each in got] == [(2, "note", "one"), (3, "note", "two")]


def test_incidents_are_merged_split_found_and_resolved(api):
    one = sent(api, ALERT)["opened"][0]
    other = api.client.post("/api/v1/deployment-ops/incidents", json={"title": "the basket is empty", "service": "shop"}).json()
    other = other["incident"]["incident_id"]
    merged = post(api, one, "merge", incidents=[other], reason="the same database")
    assert merged["id"] == one
    gone = api.client.get(f"{OPS}/incidents/{other}").json()
    assert (gone["status"], gone["merged_into"]) == ("closed", one)
    sent(api, ALERT | {"name": "Disk"})
    alerts = api.client.get(f"{OPS}/alerts", params={"incident_id": one}).json()["items"]
    split = post(api, one, "split", alerts=[alerts[0]["id"]], reason="that is the disk", title="the disk is full")
    assert api.client.get(f"{OPS}/alerts/{alerts[0]['id']}").json()["incident_id"] == split["id"]
    assert api.client.post(f"{OPS}/incidents/{one}/split", json={"alerts": [alerts[1]["id"]], "reason": "x"}).status_code == 422
    found = api.client.get(f"{OPS}/incidents", params={"service": "shop", "status": "open", "text": "DISK"}).json()["items"]
    assert [each["id"] for each in found] == [split["id"]]
    required = api.client.get("/api/v1/deployment-ops/incidents", params={"status": ["open", "closed"]}).json()["items"]
    assert {each["incident_id"] for each in required} == {one, other, split["id"]}
    done = api.client.post(f"/api/v1/deployment-ops/incidents/{one}/resolution", json={"steps": ["more disk"]})
    assert done.json()["status"] == "resolved"
    assert api.client.get(f"{OPS}/incidents/{one}/log").json()["items"][-1]["text"] == "more disk"


def test_what_happens_to_an_incident_is_told_outside(api):
    spec = WebhookTargetSpec(url="https://example.com/hooks", types=("incident.*",))
    put_target(api.context, "pager", venture=None, spec=spec, actor=SOMEBODY)
    incident = sent(api, ALERT)["opened"][0]
    post(api, incident, "acknowledge")
    api.client.post(f"/api/v1/deployment-ops/incidents/{incident}/resolution", json={"steps": ["restarted"]})
    with api.context.store.read() as unit:
        told = [delivery.event.type for delivery in unit.outbox.newest()][::-1]
    assert told == ["incident.detected", "incident.changed", "incident.resolved"]


def test_the_command_line_lists_shows_silences_and_follows(api):
    incident = sent(api, ALERT)["opened"][0]
    assert incident in cli(api, "incident", "list")
    assert "taken up by" not in cli(api, "incident", "show", incident)
    assert "investigating" in cli(api, "incident", "ack", incident)
    assert "commander mia" in cli(api, "incident", "role", incident, "commander", "mia")
    assert "SEV1" in cli(api, "incident", "severity", incident, "SEV1", "--reason", "nobody can pay")
    assert "line 6" in cli(api, "incident", "note", incident, "restarting the database")
    assert "restarting the database" in cli(api, "incident", "log", incident)
    made = json.loads(cli(api, "alerts", "silence", "apollo", "service=shop", "labels.team~w*", "--reason", "moving", "--json"))
    assert made["active"]
    sent(api, ALERT | {"name": "Other"})
    assert "moving" in cli(api, "alerts", "list", "--state", "silenced")
    held = json.loads(cli(api, "alerts", "list", "--state", "silenced", "--json"))["items"][0]
    assert "silenced" in cli(api, "alerts", "show", held["id"])
    assert made["id"] in cli(api, "alerts", "silences")
    assert "does not hold" in cli(api, "alerts", "unsilence", made["id"])
    assert "mitigated" in cli(api, "incident", "move", incident, "mitigated", "--reason", "it is back")
    assert "resolved after" in cli(api, "incident", "resolve", incident, "restarted it")
    assert "no incidents" in cli(api, "incident", "list")
