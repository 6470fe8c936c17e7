"""On-call, status pages and post-mortems through the API and the commands, against a real server."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import structlog
from typer.testing import CliRunner

from productops.cli.main import app as program
from productops.logs import set_up_logs
from productops.settings import Settings
from productops.usecases.context import Clock
from tests.integration.people_lab import People, make_people
from tests.integration.test_api.support import NO_TLS, TOKEN, client_of, free_ports, serving

BASE = "/api/v1/product-ops"


class Doors:
    """A served API with people behind it."""

    def __init__(self, people: People, client: httpx.Client, url: str) -> None:
        self.people, self.client, self.url = people, client, url
        self.incident = people.open()

    def run(self, *words: str, code: int = 0) -> str:
        done = CliRunner().invoke(program, [*words, "--api-url", self.url], env={"PRODUCTOPS_API_TOKEN": TOKEN})
        assert done.exit_code == code, done.output
        return done.stdout


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    set_up_logs(Settings(log_level="ERROR"), program="api")
    folder = tmp_path_factory.mktemp("people")
    url = f"sqlite:///{folder / 'productops.db'}"
    people = make_people(url, folder, start=datetime.now(UTC))
    context = replace(people.context, clock=Clock())
    settings = Settings(home=folder, port_base=free_ports(), api_token=TOKEN, database_url=url, status_pages=True)
    with serving(context, settings), client_of(settings) as client:
        yield Doors(people, client, f"http://127.0.0.1:{settings.port_base}")
    people.close()
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def test_schedules_are_read_overridden_and_exported_by_commands(doors: Doors, tmp_path: Path) -> None:
    assert re.match(r"primary: (mia|noah) \(weekly\) until \S+ 08:00 UTC, then (mia|noah)", doors.run("oncall", "list"))
    begin = datetime.now(UTC)
    made = doors.run("oncall", "override", "primary", "Emma", begin.isoformat(), (begin + timedelta(hours=1)).isoformat(), "--reason", "x")
    assert "emma from" in made
    assert json.loads(doors.run("oncall", "who", "primary", "--json"))["person"] == "emma"
    assert "NOBODY" not in doors.run("oncall", "show", "primary")
    file = tmp_path / "mine.ics"
    assert "shifts written" in doors.run("oncall", "export", "primary", str(file), "--person", "mia")
    assert b"SUMMARY:mia" in file.read_bytes()
    assert "mia from" in doors.run("oncall", "import", "primary", str(file))
    doors.run("oncall", "remove", made.split(":")[0])
    assert "emma has no channel" in doors.run("oncall", "check", code=1)
    week = timedelta(days=7)
    swapped = doors.run("oncall", "swap", "primary", (begin + 8 * week).isoformat(), (begin + 9 * week).isoformat())
    assert len(swapped.splitlines()) == 2


def test_people_are_called_told_and_what_was_told_is_shown(doors: Doors) -> None:
    assert "level 1: " in doors.run("oncall", "page", doors.incident)
    assert doors.run("oncall", "called", doors.incident).startswith("standard: calling; the next level at")
    assert "ended by" in doors.run("oncall", "stop", doors.incident)
    assert "2 channels are told" in doors.run("oncall", "tell", doors.incident, "we know why")
    assert "war-room" in doors.run("oncall", "told", "--incident", doors.incident)
    assert "one person" in doors.run("oncall", "channels")
    assert "secret" not in doors.run("oncall", "channels", "--json").lower()
    assert "on its way" in doors.run("oncall", "try", "war-room")


def test_users_read_the_page_without_a_token_and_nothing_else(doors: Doors) -> None:
    published = doors.run(
        "status-page", "publish", doors.incident, "identified", "We know why.", "--title", "Payments", "--impact", "major-outage"
    )
    assert "identified, Shop" in published
    assert "Payments: identified" in doors.run("status-page", "show", "apollo")
    with httpx.Client(base_url=doors.url, verify=NO_TLS) as anybody:
        page = anybody.get("/status/apollo/")
        assert (page.status_code, page.headers["cache-control"]) == (200, "public, max-age=5")
        assert "script-src" not in page.headers["content-security-policy"]
        assert "Payments" in page.text
        assert "Customers cannot pay" not in page.text
        assert anybody.get("/status/apollo").headers["location"] == "/status/apollo/"
        summary = anybody.get("/status/apollo/summary.json").json()
        assert (summary["status"]["indicator"], len(summary["components"][0]["days"])) == ("major-outage", 90)
        assert anybody.get("/status/apollo/feed.atom").headers["content-type"].startswith("application/atom+xml")
        assert b"<item>" in anybody.get("/status/apollo/feed.rss").content
        assert anybody.get("/status/nothing/").status_code == 404
        assert anybody.get(f"{BASE}/status-pages/apollo").status_code == 401
        known = anybody.get("/status/apollo/summary.json").headers["etag"]
        assert anybody.get("/status/apollo/summary.json", headers={"If-None-Match": known}).status_code == 304
    update_id = published.split(" as ")[1].split(":")[0]
    assert "taken off apollo" in doors.run("status-page", "retract", update_id, "said too much")
    assert "taken back" in doors.run("status-page", "updates", doors.incident)


def test_without_the_setting_there_is_no_page_for_anybody(tmp_path: Path) -> None:
    people = make_people(f"sqlite:///{tmp_path / 'productops.db'}", tmp_path)
    settings = Settings(home=tmp_path, port_base=free_ports(), api_token=TOKEN, database_url=people.context.store.url)
    with serving(people.context, settings), client_of(settings) as client:
        assert client.get("/status/apollo/").status_code == 404
        assert client.get("/status/apollo/summary.json").status_code == 404
        assert client.get(f"{BASE}/status-pages/apollo/preview").text.startswith("<!doctype html>")
    people.close()


def test_a_post_mortem_is_drafted_edited_published_and_followed_by_commands(doors: Doors, tmp_path: Path) -> None:
    incident = doors.people.open("Baskets are empty")
    assert "## Timeline" in doors.run("postmortem", "draft", incident)
    text = tmp_path / "text.md"
    text.write_text("# Baskets\n\n| a |\n|---|\n| b |\n", encoding="utf-8")
    assert "revision 2 is kept" in doors.run("postmortem", "edit", incident, str(text))
    page = tmp_path / "page.html"
    doors.run("postmortem", "show", incident, "--html", str(page))
    assert "<table>" in page.read_text(encoding="utf-8")
    doors.run("postmortem", "publish", incident, code=1)
    doors.people.resolve(incident)
    assert "published as revision 3" in doors.run("postmortem", "publish", incident)
    assert len(doors.run("postmortem", "versions", incident).splitlines()) == 3
    task = doors.run("postmortem", "add-action", incident, "alert on empty baskets", "--owner", "mia", "--due", "2020-01-01", code=0)
    assert "OVERDUE" in doors.run("postmortem", "actions", "--overdue")
    assert "noah" in doors.run("postmortem", "assign", task.split()[0], "noah")
    assert "done" in doors.run("postmortem", "done", task.split()[0])
    assert incident in doors.run("postmortem", "list")


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/oncall/nothing", None, 404),
        ("GET", "/oncall/primary?since=2026-01-01T00:00:00Z&until=2030-01-01T00:00:00Z", None, 422),
        ("GET", "/oncall/primary/now?at=yesterday", None, 422),
        ("POST", "/oncall/primary/overrides", {"person": "zoe", "starts_at": "2030-01-01T00:00Z", "ends_at": "2030-01-02T00:00Z"}, 422),
        ("POST", "/oncall/primary/import", {"calendar": "nothing of the kind"}, 422),
        ("POST", "/oncall-overrides/nothing/remove", {}, 404),
        ("POST", "/incidents/nothing/page", {}, 404),
        ("GET", "/incidents/nothing/postmortem", None, 404),
        ("POST", "/incidents/nothing/tell", {"text": "x"}, 404),
        ("POST", "/incident-tasks/nothing", {"state": "done"}, 404),
        ("POST", "/incident-tasks/nothing", {"state": "lost"}, 422),
        ("POST", "/channels/nothing/try", {}, 404),
        ("GET", "/status-pages/nothing", None, 404),
    ],
)
def test_what_cannot_be_is_answered_with_a_problem(
    doors: Doors, method: str, path: str, body: dict[str, object] | None, status: int
) -> None:
    answer = doors.client.request(method, f"{BASE}{path}", json=body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
