"""Experiments over real HTTP and by the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from productops.cli.main import app as program
from productops.domain.governance_access import Grant, Role
from productops.errors import ProductOpsError
from productops.settings import Settings
from tests.integration.experiment_lab import START, Lab, make_lab, visitors
from tests.integration.test_api.support import OPS, TOKEN, client_of, free_ports, person_token, serving
from tests.support import sqlite_url

EXPERIMENTS = f"{OPS}/experiments"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, httpx.Client, Settings]]:
    folder = tmp_path_factory.mktemp("experiments")
    lab = make_lab(folder)
    lab.declare(segments=["platform"])
    lab.declare("idle")
    settings = Settings(home=folder, port_base=free_ports(), api_token=TOKEN, database_url=sqlite_url(folder))
    with serving(lab.context, settings), client_of(settings) as client:
        started = client.post(f"{EXPERIMENTS}/checkout/start", json={"reason": "try it"})
        assert started.status_code == 200, started.text
        lab.put(visitors(1500, rates={"off": 0.1, "on": 0.25}, platforms=("web", "ios")))
        lab.clock.at = START + timedelta(days=5)
        looked = client.post(f"{EXPERIMENTS}/checkout/looks", json={})
        assert looked.status_code == 201, looked.text
        yield lab, client, settings


def run(served: tuple[Lab, httpx.Client, Settings], *words: str) -> tuple[str, int]:
    done = CliRunner().invoke(program, ["experiment", *words, "--api-url", served[2].api_url], env={"PRODUCTOPS_API_TOKEN": TOKEN})
    if isinstance(done.exception, ProductOpsError):
        raise done.exception
    return done.output, done.exit_code


def get(client: httpx.Client, path: str, **query: Any) -> Any:
    answer = client.get(f"{EXPERIMENTS}{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_experiments_are_listed_page_by_page_and_by_state(served: tuple[Lab, httpx.Client, Settings]) -> None:
    _, client, _ = served
    first = get(client, "", limit=1)
    assert [each["name"] for each in first["items"]] == ["checkout"]
    second = get(client, "", limit=1, after=first["next"])
    assert [each["name"] for each in second["items"]] == ["idle"]
    assert second["next"] is None
    assert [each["name"] for each in get(client, "", state="draft")["items"]] == ["idle"]
    assert get(client, "", venture="nobody")["items"] == []


def test_an_experiment_is_shown_with_what_the_last_look_found(served: tuple[Lab, httpx.Client, Settings]) -> None:
    _, client, _ = served
    found = get(client, "/checkout")
    assert found["state"] == "running"
    assert found["spec"]["metrics"][0]["name"] == "sign-ups"
    assert found["look"]["sentence"].startswith("Variant on raised sign-ups")
    assert found["look"]["metrics"][0]["contrasts"][0]["standing"] == "better"
    assert found["look"]["guardrails"][0]["holds"] is True
    assert get(client, "/checkout/looks")["items"][0] == found["look"]
    assert get(client, "/idle")["look"] is None


def test_a_look_is_drawn_and_there_is_none_before_the_first(served: tuple[Lab, httpx.Client, Settings]) -> None:
    _, client, _ = served
    picture = client.get(f"{EXPERIMENTS}/checkout/picture")
    assert picture.headers["content-type"] == "image/svg+xml"
    assert "sign-ups" in picture.text
    assert client.get(f"{EXPERIMENTS}/idle/picture").status_code == 404


def test_what_cannot_be_done_says_why(served: tuple[Lab, httpx.Client, Settings]) -> None:
    _, client, _ = served
    for path, status, says in (
        ("idle/stop", 409, "is draft and cannot become stopped"),
        ("idle/looks", 409, "there is nothing to look at"),
        ("checkout/start", 409, "is running and cannot become running"),
        ("nowhere/start", 404, "there is no experiment 'nowhere'"),
    ):
        answer = client.post(f"{EXPERIMENTS}/{path}", json={})
        assert (answer.status_code, says in answer.json()["detail"]) == (status, True), answer.text


def test_who_only_reads_changes_nothing(served: tuple[Lab, httpx.Client, Settings]) -> None:
    lab, _, settings = served
    token = person_token(lab.context, "vi", Grant(Role.VIEWER, "apollo"))
    with client_of(settings, token) as client:
        assert client.get(f"{EXPERIMENTS}/checkout").status_code == 200
        assert client.post(f"{EXPERIMENTS}/checkout/stop", json={}).status_code == 403


def test_the_command_line_tells_the_same(served: tuple[Lab, httpx.Client, Settings], tmp_path: Path) -> None:
    listed, _ = run(served, "list")
    assert "checkout" in listed
    shown, _ = run(served, "show", "checkout", "--picture", str(tmp_path / "look.svg"))
    assert "Variant on raised sign-ups" in shown
    assert "platform=web" in shown
    assert (tmp_path / "look.svg").read_text().startswith("<svg")
    document, _ = run(served, "show", "checkout", "--json")
    assert json.loads(document.splitlines()[-1])["name"] == "checkout"
    planned, _ = run(served, "plan", "idle", "--mean", "0.041", "--people-per-day", "4000", "--effect", "0.1")
    assert "people (" in planned
    checked, code = run(served, "check", "checkout")
    assert code == 0
    assert "look " in checked


def test_a_decision_is_kept_with_its_sentence(served: tuple[Lab, httpx.Client, Settings]) -> None:
    lab, client, _ = served
    lab.declare("brief", flag="one-page", environment="staging")
    assert client.post(f"{EXPERIMENTS}/brief/start", json={}).status_code == 200
    refused = client.post(f"{EXPERIMENTS}/brief/decide", json={"choice": "ship"})
    assert (refused.status_code, "give a reason" in refused.json()["detail"]) == (422, True)
    told, _ = run(served, "decide", "brief", "drop", "--reason", "Nobody met it.")
    assert "decided by " in told
    assert get(client, "/brief")["decision"]["choice"] == "drop"
