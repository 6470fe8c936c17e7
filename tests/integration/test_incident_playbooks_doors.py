"""Playbooks, holds and drills over real HTTP and by the command line."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import structlog
from typer.testing import CliRunner

from productops.cli.main import app as program
from productops.domain.governance_access import Grant, Role
from productops.errors import ProductOpsError
from productops.logs import set_up_logs
from productops.settings import Settings
from productops.usecases.context import Context
from productops.usecases.incident_start import start_due_incidents
from tests.integration.incident_response_lab import declare, open_incident, playbook
from tests.integration.test_api.support import OPS, TOKEN, client_of, free_ports, person_token, serving
from tests.support import add_service, make_context, sqlite_url

INCIDENTS = "/api/v1/deployment-ops/incidents"
CALL = playbook(
    "quality-crisis", when="{causes: [unknown], kinds: [quality], probability_min: 0, lead_min: 0}", steps='do: page, say: "look"',
    more="  title: Gates fail\n  drill: report\n",
)  # fmt: skip
MORE = playbook("more", when="{causes: [traffic]}", steps="do: scale, add: 1")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Context, httpx.Client, Settings]]:
    set_up_logs(Settings(log_level="ERROR"), program="api")  # they would stand between what commands print
    folder = tmp_path_factory.mktemp("playbooks")
    context = make_context(sqlite_url(folder))
    with context.store.write() as unit:
        unit.catalog.put_venture("gemini", title="", description="", author="tester", now=context.clock.now())
    add_service(context, live="1.0")
    declare(context, folder / "catalog", f"{CALL}---\n{MORE}")
    settings = Settings(home=folder, port_base=free_ports(), api_token=TOKEN, database_url=sqlite_url(folder))
    with serving(context, settings), client_of(settings) as client:
        yield context, client, settings
    structlog.reset_defaults()


def run(served: Any, *words: str) -> tuple[str, int]:
    done = CliRunner().invoke(program, [*words, "--api-url", served[2].api_url], env={"PRODUCTOPS_API_TOKEN": TOKEN})
    if isinstance(done.exception, ProductOpsError):
        raise done.exception
    return done.output, done.exit_code


def test_playbooks_are_listed_in_the_order_in_which_they_are_tried(served):
    _, client, _ = served
    assert [each["name"] for each in client.get(f"{OPS}/playbooks").json()["items"]] == ["more", "quality-crisis"]
    assert client.get(f"{OPS}/playbooks/more").json()["steps"] == ["scale"]
    assert client.get(f"{OPS}/playbooks/nothing").status_code == 404
    said, code = run(served, "playbook", "list")
    assert (code, "quality-crisis" in said) == (0, True)
    said, _ = run(served, "playbook", "show", "more")
    assert "1. scale, within 60 s" in said


def test_a_person_begins_a_playbook_by_name_and_sees_its_journal(served):
    context, _, _ = served
    incident = open_incident(context)
    said, _ = run(served, "playbook", "run", incident, "more", "--dry-run")
    assert "would run +1 instances of shop" in said
    said, _ = run(served, "playbook", "run", incident, "more")
    assert "scale" in said
    shown = json.loads(run(served, "playbook", "status", incident, "--json")[0])["items"]
    assert [(each["playbook"], each["state"], each["steps"][0]["state"]) for each in shown] == [("more", "running", "running")]
    response = shown[0]["response_id"]
    said, _ = run(served, "playbook", "stop", response, "--reason", "by hand")
    assert "stopped" in said
    with pytest.raises(ProductOpsError, match="already"):
        run(served, "playbook", "stop", response)


def test_a_hold_is_placed_shown_and_lifted_by_those_who_may(served):
    context, client, settings = served
    said, _ = run(served, "playbook", "hold", "we are looking", "--service", "shop", "--minutes", "5")
    hold = said.rsplit(" ", 1)[1].strip()
    assert "we are looking" in run(served, "playbook", "holds")[0]
    viewer = person_token(context, "vera", Grant(Role.VIEWER, "apollo"))
    with client_of(settings, viewer) as seeing:
        assert len(seeing.get(f"{OPS}/response-holds").json()["items"]) == 1
        assert seeing.post(f"{OPS}/response-holds", json={"reason": "x", "service": "shop"}).status_code == 403
    stranger = person_token(context, "otto", Grant(Role.ADMIN, "gemini"))
    with client_of(settings, stranger) as outside:
        assert outside.get(f"{OPS}/response-holds").json()["items"] == []
        assert outside.post(f"{OPS}/response-holds/{hold}/lift", json={}).status_code == 404
    assert run(served, "playbook", "lift", hold) == ("lifted\n", 0)
    assert client.get(f"{OPS}/response-holds").json()["items"] == []


def test_a_drill_in_production_takes_a_word_that_it_is_meant(served):
    _, client, _ = served
    refused = client.post(f"{OPS}/drills", json={"playbook": "quality-crisis", "service": "shop"})
    assert (refused.status_code, "--production" in refused.json()["detail"]) == (409, True)


def test_what_a_killed_drill_left_is_mended_by_the_next_and_the_next_is_scored(served):
    context, client, _ = served
    body = {"playbook": "quality-crisis", "service": "shop", "fault": "full-disk", "even_production": True}
    left = client.post(f"{OPS}/drills", json=body).json()["drill"]["drill_id"]
    broken = context.store.url.removeprefix("sqlite:///") + ".journal"
    plan = {"path": broken, "aside": f"{broken}.before-drill", "cause": "host"}
    assert client.post(f"{OPS}/drills/{left}/injection", json={"injected": plan}).status_code == 200
    stopping = threading.Event()

    def watch() -> None:
        while not stopping.wait(0.1):
            start_due_incidents(context, None)

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        said, code = run(served, "drill", "quality-crisis", "--service", "shop", "--production", "--wait", "30")
    finally:
        stopping.set()
        watching.join(timeout=10)
    assert code == 0, said
    assert "left something broken: mending it first" in said
    assert "passed" in said
    listed = json.loads(run(served, "drill", "list", "--json")[0])["items"]
    assert {each["drill_id"]: each["state"] for each in listed}[left] == "aborted"
    assert all(each["undone_at"] for each in listed)
    assert listed[0]["scores"]["wrong_actions"] == 0
