"""Causes through the API and the commands, against a real server; and on PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import structlog
from typer.testing import CliRunner

from productops.cli.main import app as program
from productops.domain.incident_cause import CauseKind, CauseVerdict
from productops.logs import set_up_logs
from productops.settings import Settings
from productops.usecases.incident_cause_read import cause_record, decide_cause, list_cause_looks
from tests.integration.incident_cause_lab import make_lab
from tests.integration.test_api.support import TOKEN, client_of, free_ports, serving
from tests.support import SOMEBODY, sqlite_url

BASE = "/api/v1/product-ops"
Served = tuple[httpx.Client, str, str, str]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A client, the address, an incident, and the release that did it."""
    set_up_logs(Settings(log_level="ERROR"), program="api")
    folder = tmp_path_factory.mktemp("causes")
    lab = make_lab(folder)
    release = lab.release("1.1.0")
    lab.traffic("shop", {"1.0.0": 0.8, "1.1.0": 0.2}, bad={"1.1.0": 0.4})
    incident = lab.incident()
    settings = Settings(home=folder, port_base=free_ports(), api_token=TOKEN, database_url=sqlite_url(folder))
    with serving(lab.context, settings), client_of(settings) as client:
        yield client, f"http://127.0.0.1:{settings.port_base}", incident, release
    lab.context.store.close()
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def command(served: Served, *words: str) -> str:
    done = CliRunner().invoke(program, ["incident", "cause", *words, "--api-url", served[1]], env={"PRODUCTOPS_API_TOKEN": TOKEN})
    assert done.exit_code == 0, done.output
    return done.output


def test_a_person_looks_reads_draws_and_confirms_the_cause(served: Served, tmp_path: Path) -> None:
    client, _, incident, release = served
    nothing = client.get(f"{BASE}/incidents/{incident}/causes")
    assert (nothing.status_code, "--look" in nothing.json()["detail"]) == (404, True)
    told = command(served, incident, "--look")
    assert f"1.  99%  release:{release}" in told
    assert "requests failed" in told
    assert f"remedy: step roll-back, release_id {release}" in told
    assert told.splitlines()[2:] == command(served, incident).splitlines()[2:]
    picture = tmp_path / "cause.svg"
    command(served, incident, "--picture", str(picture))
    svg = picture.read_text(encoding="utf-8")
    assert svg.startswith("<svg")
    assert "it began" in svg
    assert "1.1.0" in svg
    said = command(served, incident, "--confirm", f"release:{release}", "--reason", "rolled back, and it was gone")
    assert "it was number 1 of the first look" in said
    assert "had 1 on top (100%)" in said
    assert "(confirmed by a person)" in command(served, incident)


def test_looks_are_listed_page_by_page(served: Served) -> None:
    client, _, incident, _ = served
    for _ in range(2):
        assert client.post(f"{BASE}/incidents/{incident}/causes").status_code == 200
    first = client.get(f"{BASE}/incidents/{incident}/causes/looks", params={"limit": 1}).json()
    second = client.get(f"{BASE}/incidents/{incident}/causes/looks", params={"limit": 1, "after": first["next"]}).json()
    assert first["items"][0]["id"] != second["items"][0]["id"]
    assert sum(each["probability"] for each in first["items"][0]["hypotheses"]) == pytest.approx(1, abs=0.01)


def test_what_is_no_hypothesis_and_no_incident_is_answered_in_words(served: Served) -> None:
    client, _, incident, _ = served
    wrong = client.post(f"{BASE}/incidents/{incident}/causes/decisions", json={"hypothesis": "gremlins", "verdict": "confirmed"})
    assert (wrong.status_code, "names no hypothesis" in wrong.json()["detail"]) == (422, True)
    assert client.get(f"{BASE}/incidents/{'0' * 32}/causes").status_code == 404
    assert json.loads(json.dumps(client.get(f"{BASE}/incident-causes/record").json()))["confirmed"] >= 0


def test_on_postgresql_looks_and_decisions_are_kept_the_same(tmp_path: Path, postgres_url: str) -> None:
    lab = make_lab(tmp_path, url=postgres_url)
    release = lab.release("1.1.0")
    lab.traffic("shop", {"1.0.0": 0.8, "1.1.0": 0.2}, bad={"1.1.0": 0.4})
    lab.level("host/web-1", "host.cpu_pct", 20, 99)
    incident = lab.incident()
    found = lab.look(incident)
    assert (found.top.kind, found.top.subject) == (CauseKind.RELEASE, release)
    decide_cause(lab.context, incident, found.top.key, CauseVerdict.CONFIRMED, actor=SOMEBODY)
    kept = list_cause_looks(lab.context, incident, before=None, limit=5, actor=SOMEBODY)
    assert [each.top.verdict for each in kept] == [CauseVerdict.CONFIRMED]
    assert cause_record(lab.context, actor=SOMEBODY).first == 1
    lab.context.store.close()
