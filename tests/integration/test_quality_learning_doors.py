"""Flaky tests and findings through the API and the commands, against a real server."""

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
from tests.integration.quality_learning_lab import add_history, key_of
from tests.integration.test_api.support import TOKEN, client_of, free_ports, serving
from tests.support import make_context

QUALITY = "/api/v1/product-ops/quality"
FLAKY = "....R....R......R....F...R...."
KEY = key_of("pays")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, str]]:
    set_up_logs(Settings(log_level="ERROR"), program="api")
    folder = tmp_path_factory.mktemp("learning")
    url = f"sqlite:///{folder / 'productops.db'}"
    context = make_context(url)
    noise = [1 + 0.01 * ((number * 7) % 5 - 2) for number in range(60)]
    begin = datetime.now(UTC) - timedelta(days=60)
    add_history(context, {"pays": " " * 30 + FLAKY}, begin=begin, series=[100 * e * (1.2 if n >= 35 else 1) for n, e in enumerate(noise)])
    settings = Settings(home=folder, port_base=free_ports(), api_token=TOKEN, database_url=url)
    with serving(context, settings), client_of(settings) as client:
        yield client, f"http://127.0.0.1:{settings.port_base}"
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def command(served: tuple[httpx.Client, str], *words: str) -> str:
    done = CliRunner().invoke(program, ["quality", *words, "--api-url", served[1]], env={"PRODUCTOPS_API_TOKEN": TOKEN})
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_flaky_test_is_shown_quarantined_released_and_quarantined_by_hand(served):
    assert "1 tests answer by chance" in command(served, "flaky", "shop")
    assert "would quarantine" in command(served, "flaky", "shop")
    assert "did quarantine" in command(served, "flaky", "shop", "--review")
    assert "counts again" in command(served, "release", "shop", KEY, "--reason", "it was rewritten")
    told = command(served, "quarantine", "shop", KEY, "--reason", "the rewrite is not live", "--owner", "mia", "--days", "3")
    assert "mia mends it" in told
    answer = served[0].post(f"{QUALITY}/quarantine", json={"service": "shop", "test_key": KEY, "reason": "once more, please"})
    assert answer.status_code == 409
    found = json.loads(command(served, "flaky", "shop", "--json"))
    assert found["quarantined"][0]["test_key"] == KEY
    assert found["people_minutes_each"] == 15


def test_a_finding_is_shown_accepted_finished_and_another_dismissed(served):
    assert "answers by chance" in command(served, "insights", "--review", "shop")
    items = served[0].get(f"{QUALITY}/insights", params={"service": "shop"}).json()["items"]
    flaky, other = (next(i for i in items if (i["kind"] == "flaky-test") is wanted) for wanted in (True, False))
    assert "to do:" in command(served, "insights", flaky["id"])
    assert command(served, "accept", flaky["id"]).strip().endswith("accepted")
    assert served[0].post(f"{QUALITY}/insights/{flaky['id']}/accept", json={}).status_code == 409
    assert command(served, "accept", flaky["id"], "--done", "--reason", "it waits now").strip().endswith("done")
    assert command(served, "dismiss", other["id"], "--reason", "it is only run at night").strip().endswith("dismissed")
    assert served[0].post(f"{QUALITY}/insights/{other['id']}/dismiss", json={"reason": "no"}).status_code == 422


def test_performance_is_told_with_its_steps_and_drawn(served, tmp_path):
    told = command(served, "performance", "shop")
    assert "checkout on ci-large" in told
    assert "worse" in told
    picture = tmp_path / "checkout.svg"
    command(served, "performance", "shop", "checkout", "--picture", str(picture))
    assert b"<svg" in picture.read_bytes()
    answer = served[0].get(f"{QUALITY}/performance/shop/picture", params={"series": "checkout"}, timeout=60)
    assert answer.headers["content-type"].startswith("image/svg+xml")
    assert served[0].get(f"{QUALITY}/performance/shop/picture", params={"series": "other"}).status_code == 404
