"""Use through the API, the commands, the catalog and the flow, against a real server and real files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import structlog
from typer.testing import CliRunner

from productops.adapters.catalog_files import load_catalog
from productops.cli.main import app as program
from productops.domain.analytics_usage_query import FunnelQuery
from productops.errors import CatalogError, InvalidInputError
from productops.logs import set_up_logs
from productops.settings import Settings
from productops.usecases.analytics_usage_ask import ask_funnel, funnel_of_part, funnel_of_parts
from productops.usecases.analytics_usage_refresh import is_counting_waiting, refresh_daily
from productops.usecases.catalog import apply_catalog
from productops.usecases.context import Context
from tests.integration.analytics_usage_lab import happened, put, usage_context, when
from tests.integration.test_api.support import TOKEN, client_of, free_ports, serving
from tests.support import SOMEBODY, make_context

ANALYTICS = "/api/v1/product-ops/analytics"
SINCE, UNTIL = "2026-06-01T00:00:00Z", "2026-07-01T00:00:00Z"
CATALOG = """\
apiVersion: productops/v1
kind: Venture
metadata: {name: apollo}
---
apiVersion: productops/v1
kind: Cohort
metadata: {name: buyers, venture: apollo}
spec:
  description: who bought within 90 days
  conditions: [{event: {name: buy}, days: 90}]
---
apiVersion: productops/v1
kind: Funnel
metadata: {name: checkout, venture: apollo}
spec:
  steps: [{name: view}, {name: cart}, {name: buy}]
  window_s: 86400
"""


def events() -> list[dict[str, object]]:
    found = []
    for n in range(60):
        more = {
            "feature": "shop",
            "platform": ("web", "ios")[n % 2],
            "version": f"1.{n % 28 // 14}",
            "duration_ms": 10.0 + n,
            "failed": n % 20 == 0,
        }
        found.append(happened(f"p{n:02}", "view", n % 28, 10, **more))
        if n % 3:
            found.append(happened(f"p{n:02}", "cart", n % 28, 11, **more))
        if n % 3 == 2:
            found.append(happened(f"p{n:02}", "buy", n % 28, 13, **more))
    return found


def of_version(version: str) -> int:
    return sum(event["properties"]["version"] == version for event in events())  # type: ignore[index]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, str, Context]]:
    set_up_logs(Settings(log_level="ERROR"), program="api")
    folder = tmp_path_factory.mktemp("usage")
    url = f"sqlite:///{folder / 'productops.db'}"
    context = replace(make_context(url), analytics_folder=folder / "analytics")
    put(context, events())
    refresh_daily(context, "apollo")
    (folder / "catalog").mkdir()
    (folder / "catalog" / "all.yaml").write_text(CATALOG)
    apply_catalog(context, load_catalog(folder / "catalog"), actor=SOMEBODY)
    settings = Settings(home=folder, port_base=free_ports(), api_token=TOKEN, database_url=url)
    with serving(context, settings), client_of(settings) as client:
        yield client, f"http://127.0.0.1:{settings.port_base}", context
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def command(served: tuple[httpx.Client, str, Context], *words: str, code: int = 0) -> str:
    done = CliRunner().invoke(program, [*words, "--api-url", served[1]], env={"PRODUCTOPS_API_TOKEN": TOKEN})
    assert done.exit_code == code, done.output
    return done.stdout


def test_a_funnel_is_asked_saved_and_removed_through_the_api(served):
    client = served[0]
    spec = {"steps": [{"name": "view"}, {"name": "buy"}], "breakdown": "platform"}
    asked = client.post(f"{ANALYTICS}/funnels", json={"venture": "apollo", "since": SINCE, "until": UNTIL, "funnel": spec}).json()
    assert [step["people"] for step in asked["steps"]] == [60, 20]
    assert asked["by_value"] == {"ios": [30, 10], "web": [30, 10]}
    saved = client.put(f"{ANALYTICS}/funnels/short", params={"venture": "apollo"}, json=spec)
    assert (saved.status_code, saved.json()["declared"]) == (200, False)
    found = client.get(f"{ANALYTICS}/funnels/short", params={"venture": "apollo", "since": SINCE, "until": UNTIL}).json()
    assert found["steps"] == asked["steps"]
    assert [item["name"] for item in client.get(f"{ANALYTICS}/funnels").json()["items"]] == ["checkout", "short"]
    assert client.delete(f"{ANALYTICS}/funnels/short", params={"venture": "apollo"}).status_code == 204
    assert client.get(f"{ANALYTICS}/funnels/short", params={"venture": "apollo"}).status_code == 404


def test_what_the_catalog_declares_is_changed_there(served):
    refused = served[0].put(f"{ANALYTICS}/cohorts/buyers", params={"venture": "apollo"}, json={"people": ["ann"]})
    assert (refused.status_code, refused.headers["content-type"]) == (409, "application/problem+json")
    assert "declared by the catalog" in refused.json()["detail"]


def test_a_cohort_in_use_is_not_removed(served):
    client, params = served[0], {"venture": "apollo"}
    assert client.put(f"{ANALYTICS}/cohorts/some", params=params, json={"people": ["p00", "p01"]}).status_code == 200
    spec = {"steps": [{"name": "view"}, {"name": "buy"}], "cohort": "some"}
    assert client.put(f"{ANALYTICS}/funnels/narrow", params=params, json=spec).status_code == 200
    assert client.delete(f"{ANALYTICS}/cohorts/some", params=params).status_code == 409
    assert client.delete(f"{ANALYTICS}/funnels/narrow", params=params).status_code == 204
    assert client.delete(f"{ANALYTICS}/cohorts/some", params=params).status_code == 204


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("funnels", {"funnel": {"steps": [{"name": "view"}]}}, "steps"),
        ("retention", {"zone": "Mars/Olympus"}, "time zone"),
        ("paths", {"start": {"name": "a"}, "end": {"name": "b"}}, "not both"),
        ("usage", {"until": "2030-01-01T00:00:00Z"}, "more than 1100 days"),
        ("segments", {"by": "shoe_size"}, "by"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused_with_its_reason(served, path, body, said):
    base = {"venture": "apollo", "since": SINCE, "until": UNTIL}
    answer = served[0].post(f"{ANALYTICS}/{path}", json=base | body)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert said in answer.text


def test_every_question_answers_and_says_what_it_is_made_of(served):
    base = {"venture": "apollo", "since": SINCE, "until": UNTIL}
    for path, body in (
        ("funnels", {"funnel": {"steps": [{"name": "view"}, {"name": "buy"}]}}), ("retention", {}), ("paths", {"start": {"name": "view"}}),
        ("usage", {"feature": "shop"}), ("segments", {"by": "platform"}),
    ):  # fmt: skip
        answer = served[0].post(f"{ANALYTICS}/{path}", json=base | body)
        assert answer.status_code == 200, answer.text
        assert answer.json()["basis"]["events"] == 120
    items = served[0].post(f"{ANALYTICS}/performance", json=base | {"feature": "shop"}).json()["items"]
    assert [(item["version"], item["events"]) for item in items] == [("1.0", of_version("1.0")), ("1.1", of_version("1.1"))]
    cohort = served[0].post(f"{ANALYTICS}/cohorts", json={"venture": "apollo", "at": UNTIL, "cohort": {"people": ["p00"]}}).json()
    assert (cohort["people"], cohort["keys"]) == (1, ["p00"])
    dropped = {"funnel": {"steps": [{"name": "view"}, {"name": "cart"}]}, "step": 1, "most": 3}
    assert len(served[0].post(f"{ANALYTICS}/funnels/dropped", json=base | dropped).json()["people"]) == 3


def test_a_feature_is_told_on_one_page(served):
    page = served[0].get(f"{ANALYTICS}/shop", params={"since": "2026-06-01", "until": "2026-07-01"}).json()
    assert (page["venture"], sum(day["events"] for day in page["days"]), sum(day["new_people"] for day in page["days"])) == (
        "apollo",
        120,
        60,
    )
    assert [(v["version"], v["events"]) for v in page["versions"]] == [("1.1", of_version("1.1")), ("1.0", of_version("1.0"))]
    assert page["links"]["insights"].endswith("venture=apollo&feature=shop")
    assert [month["people"] for month in page["months"]] == [60]
    missing = served[0].get(f"{ANALYTICS}/shoes")
    assert (missing.status_code, missing.json()["detail"]) == (404, "there is no feature 'shoes'; in use: shop")
    wide = served[0].get(f"{ANALYTICS}/shop", params={"since": "2020-01-01", "until": "2026-07-01"})
    assert (wide.status_code, "at most 400 days" in wide.json()["detail"]) == (422, True)


def test_commands_draw_what_the_api_says(served):
    told = command(served, "usage", "shop", "--days", "30", "--until", "2026-07-01")
    assert "people a day" in told
    assert "1.1" in told
    told = command(served, "funnel", "checkout", "--venture", "apollo", "--days", "30", "--until", "2026-07-01")
    assert [line.split()[1] for line in told.splitlines()[:3]] == ["60", "40", "20"]
    assert "half within 2.0 h" in told
    told = command(served, "funnel", "--venture", "apollo", "--step", "view", "--step", "buy", "--by", "platform", "--until", "2026-07-01")
    assert "ios" in told
    told = command(served, "retention", "--venture", "apollo", "--days", "30", "--until", "2026-07-01", "--periods", "2")
    assert told.splitlines()[0].split() == ["began", "people", "0", "1", "2"]
    assert "buyers" in command(served, "cohort", "list")
    assert json.loads(command(served, "cohort", "show", "buyers", "--venture", "apollo", "--json"))["name"] == "buyers"


def test_commands_say_when_there_is_nothing(served):
    assert "no events of apollo" in command(served, "retention", "--venture", "apollo", "--until", "2020-01-01", code=3)
    assert "nobody used it" in command(served, "usage", "shop", "--until", "2020-01-01", code=3)
    unclear = CliRunner().invoke(program, ["funnel", "--venture", "apollo", "--api-url", served[1]])
    assert isinstance(unclear.exception, InvalidInputError)


def test_the_catalog_removes_what_it_no_longer_declares_and_refuses_unknown_cohorts(context: Context, tmp_path: Path) -> None:
    file = tmp_path / "all.yaml"
    file.write_text(CATALOG)
    assert {c.outcome for c in apply_catalog(context, load_catalog(tmp_path), actor=SOMEBODY)} >= {"created"}
    assert {c.outcome for c in apply_catalog(context, load_catalog(tmp_path), actor=SOMEBODY) if c.kind in {"Funnel", "Cohort"}} == {
        "unchanged"
    }
    file.write_text(CATALOG.replace("  window_s: 86400", "  cohort: sellers"))
    with pytest.raises(CatalogError, match="known: buyers"):
        apply_catalog(context, load_catalog(tmp_path), actor=SOMEBODY)
    file.write_text(CATALOG.split("---\n", maxsplit=1)[0])
    gone = [c.kind for c in apply_catalog(context, load_catalog(tmp_path), actor=SOMEBODY) if c.outcome == "removed"]
    assert gone == ["Funnel", "Cohort"]


def test_a_funnel_in_parts_is_the_same_as_of_everybody(context: Context, tmp_path: Path) -> None:
    lab = usage_context(context, tmp_path)
    put(lab, events())  # type: ignore[arg-type]
    query = FunnelQuery.model_validate(
        {
            "venture": "apollo", "since": when(0, 0), "until": when(30, 0),
            "funnel": {"steps": [{"name": "view"}, {"name": "buy"}], "breakdown": "platform"},
        }
    )  # fmt: skip
    whole = ask_funnel(lab, query, actor=SOMEBODY)
    parts = [funnel_of_part(lab, query, part=n, parts=16, actor=SOMEBODY) for n in range(16)]
    together = funnel_of_parts(query, parts)
    assert (together.steps, together.by_value, together.median_s) == (whole.steps, whole.by_value, whole.median_s)
    with pytest.raises(InvalidInputError, match="not in 3"):
        funnel_of_part(lab, query, part=0, parts=3, actor=SOMEBODY)


def test_figures_wait_until_they_are_counted(context: Context, tmp_path: Path) -> None:
    lab = usage_context(context, tmp_path)
    assert not is_counting_waiting(context)
    assert not is_counting_waiting(lab)
    put(lab, [happened("ann", "view", 0)])
    assert is_counting_waiting(lab)
    refresh_daily(lab, "apollo")
    assert not is_counting_waiting(lab)
