"""Insights through the API and the commands, against a real server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import structlog
from typer.testing import CliRunner

from productops.cli.main import app as program
from productops.logs import set_up_logs
from productops.settings import Settings
from tests.integration import analytics_insight_lab
from tests.integration.analytics_insight_lab import Event, add_figures, day_of
from tests.integration.test_api.support import TOKEN, client_of, free_ports, serving
from tests.support import make_context

BASE = "/api/v1/product-ops"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, str]]:
    set_up_logs(Settings(log_level="ERROR"), program="api")
    folder = tmp_path_factory.mktemp("insights")
    url = f"sqlite:///{folder / 'productops.db'}"
    context = make_context(url)
    first = analytics_insight_lab.FIRST
    analytics_insight_lab.FIRST = datetime.now(UTC).date() - timedelta(days=110)
    add_figures(context, Event("feature-05", 100, people=0.6), Event("feature-09", 100, latency=2.0), days=110)
    settings = Settings(home=folder, port_base=free_ports(), api_token=TOKEN, database_url=url)
    with serving(context, settings), client_of(settings) as client:
        yield client, f"http://127.0.0.1:{settings.port_base}"
    analytics_insight_lab.FIRST = first
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def command(served: tuple[httpx.Client, str], *words: str, code: int = 0) -> str:
    done = CliRunner().invoke(program, ["insights", *words, "--api-url", served[1]], env={"PRODUCTOPS_API_TOKEN": TOKEN})
    assert done.exit_code == code, done.output
    return done.stdout


def test_insights_are_looked_for_shown_accepted_and_dismissed(served, tmp_path) -> None:
    day = day_of(107).isoformat()
    told = command(served, "look", "apollo", day)
    assert "2 new insights" in told
    assert "looked at before" in command(served, "look", "apollo", day)
    listed = command(served, "list", "--venture", "apollo")
    assert "feature-05 is used less" in listed
    assert "no effect was measured yet" in listed
    items = {each["feature"]: each for each in json.loads(command(served, "list", "--json"))["items"]}
    drop, slow = items["feature-05"], items["feature-09"]
    assert (drop["kind"], slow["kind"]) == ("use-fell", "slower")
    page = command(served, "show", drop["id"], "--rows")
    assert "to do (task): Find out why feature-05 is used less." in page
    assert "day  people  expected" in page
    picture = tmp_path / "drop.svg"
    command(served, "show", drop["id"], "--picture", str(picture))
    assert picture.read_bytes().startswith(b"<svg")
    assert "accepted, it is a task now" in command(served, "accept", drop["id"], "--after-days", "7")
    assert "Find out why" in command(served, "tasks", "apollo")
    assert command(served, "done", drop["id"]).strip().endswith("accepted")
    assert "dismissed" in command(served, "dismiss", slow["id"], "--reason", "the new machine is known to be slow")
    assert "feature-09" not in command(served, "list")
    assert "feature-09" in command(served, "list", "--all")


def test_every_figure_comes_with_its_rows(served) -> None:
    command(served, "look", "apollo", day_of(107).isoformat())
    client = served[0]
    page = client.get(f"{BASE}/insights", params={"limit": 1, "venture": "apollo"}).json()
    assert len(page["items"]) == 1
    following = client.get(f"{BASE}/insights", params={"limit": 1, "venture": "apollo", "after": page["next"]}).json()
    assert following["items"][0]["id"] != page["items"][0]["id"]
    found = client.get(f"{BASE}/insights/{page['items'][0]['id']}").json()
    assert found["evidence"]["columns"][0] == "day"
    assert len(found["evidence"]["days"]) > 60
    assert client.get(f"{BASE}/insights/{found['id']}/picture").headers["content-type"].startswith("image/svg+xml")
    (night,) = client.get(f"{BASE}/insight-nights/apollo").json()["items"]
    assert night["series"] == 14 * 3 * 4
    assert night["level"] > 0


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/insights/nothing", None, 404),
        ("GET", "/insights?venture=zeus", None, 404),
        ("POST", "/insights/0197c5a2-6f0e-7c3a-9b1f-2f6c1d0b7e11/accept", {}, 404),
        ("POST", "/insights/0197c5a2-6f0e-7c3a-9b1f-2f6c1d0b7e11/accept", {"after_days": 0}, 422),
        ("POST", "/insights/0197c5a2-6f0e-7c3a-9b1f-2f6c1d0b7e11/dismiss", {"reason": "no"}, 422),
        ("POST", "/insight-nights/apollo", {"day": "2999-01-01"}, 422),
        ("GET", "/insight-tasks/apollo?state=lost", None, 422),
    ],
)
def test_what_cannot_be_is_answered_with_a_problem(served, method: str, path: str, body: dict[str, object] | None, status: int) -> None:
    answer = served[0].request(method, f"{BASE}{path}", json=body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
