"""Series through the API, OTLP and the commands, against a real server."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator

import httpx
import pytest
import structlog
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest, ExportMetricsServiceResponse
from typer.testing import CliRunner

from productops.cli.main import app as program
from productops.logs import set_up_logs
from productops.settings import Settings
from tests.integration.test_api.support import TOKEN, client_of, free_ports, serving
from tests.support import add_service, make_context

BASE = "/api/v1/product-ops"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, str]]:
    set_up_logs(Settings(log_level="ERROR"), program="api")
    folder = tmp_path_factory.mktemp("series")
    url = f"sqlite:///{folder / 'productops.db'}"
    context = make_context(url)
    add_service(context)
    settings = Settings(home=folder, port_base=free_ports(), api_token=TOKEN, database_url=url)
    with serving(context, settings), client_of(settings) as client:
        yield client, f"http://127.0.0.1:{settings.port_base}"
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def command(served: tuple[httpx.Client, str], *words: str, code: int = 0) -> str:
    done = CliRunner().invoke(program, ["metrics", *words, "--api-url", served[1]], env={"PRODUCTOPS_API_TOKEN": TOKEN})
    assert done.exit_code == code, done.output
    return done.stdout


def body(name: str, points: list[list[float]], **more) -> dict:
    return {
        "series": [{"venture": "apollo", "component": "shop", "name": name, "tags": {"environment": "production"}, "points": points} | more]
    }


def test_points_that_are_sent_are_listed_read_by_steps_and_shown(served):
    client, now = served[0], int(time.time()) // 60 * 60 - 600
    points = [[now + second, second % 10] for second in range(0, 300, 5)]
    assert client.post(f"{BASE}/metrics", json=body("queue", points)).json() == {"kept": 60}
    (item,) = client.get(f"{BASE}/series", params={"venture": "apollo", "name": "queue", "tag": "environment=production"}).json()["items"]
    assert (item["component"], item["tags"], item["status"]) == ("shop", {"environment": "production"}, "normal")
    asked = {"venture": "apollo", "name": "queue", "since": f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(now))}", "step_s": 60}
    (found,) = client.get(f"{BASE}/metrics", params=asked | {"statistic": "max"}).json()["series"]
    assert found["points"] == [[now + 60.0 * n, 5.0] for n in range(5)]
    assert len(client.get(f"{BASE}/metrics", params=asked | {"step_s": 1}).json()["series"][0]["points"]) == 60
    text = command(served, "show", str(item["number"]), "--minutes", "30", "--step", "5")
    assert "60 values: least 0, mean 2.5, greatest 5, last 5" in text
    assert "queue" in command(served, "list", "--component", "shop", "--tag", "environment=production")
    assert json.loads(command(served, "show", str(item["number"]), "--json"))["name"] == "queue"


def test_thresholds_are_set_and_the_next_value_tells_the_status(served):
    client = served[0]
    assert "1 point kept" in command(served, "send", "shop", "disk", "5", "--venture", "apollo", "--tag", "environment=production")
    number = client.get(f"{BASE}/series", params={"name": "disk"}).json()["items"][0]["number"]
    assert "below warning 20, critical 10" in command(served, "threshold", str(number), "--warning", "20", "--critical", "10", "--below")
    client.post(f"{BASE}/metrics", json=body("disk", [[time.time(), 4]]))
    assert client.get(f"{BASE}/series/{number}").json()["status"] == "critical"
    assert "critical" in command(served, "list", "--status", "critical")
    refused = client.post(f"{BASE}/series/{number}/thresholds", json={"warning": 10, "critical": 20, "below": True})
    assert (refused.status_code, refused.json()["detail"][:25]) == (422, "critical 20 is above warn")


@pytest.mark.parametrize(
    ("method", "path", "more", "status"),
    [
        ("get", "/series/999999", {}, 404),
        ("get", "/series", {"params": {"tag": "environment"}}, 422),
        ("get", "/series", {"params": {"after": "nonsense"}}, 422),
        ("get", "/metrics", {"params": {"venture": "ghost"}}, 404),
        ("get", "/metrics", {"params": {"step_s": 0}}, 422),
        ("post", "/metrics", {"json": {"series": []}}, 422),
        ("post", "/metrics", {"json": {"series": [{"venture": "apollo", "component": "a", "name": "b", "points": [[5, 1]]}]}}, 422),
    ],
)
def test_what_is_wrong_is_answered_with_a_problem(served, method, path, more, status):
    answer = served[0].request(method, f"{BASE}{path}", **more)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


def test_lists_go_on_where_the_page_before_ended(served):
    client = served[0]
    client.post(f"{BASE}/metrics", json={"series": [body(f"paged{n}", [[time.time(), 1]])["series"][0] for n in range(3)]})
    names, after = [], None
    while True:
        page = client.get(f"{BASE}/series", params={"limit": 1} | ({"after": after} if after else {})).json()
        names += [each["name"] for each in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert {"paged0", "paged1", "paged2"} <= set(names)
    assert len(names) == len(set(names))


def test_metrics_of_the_deployment_ops_api_go_with_stored_series(served):
    client = served[0]
    client.post(f"{BASE}/metrics", json=body("backlog", [[time.time() - 5, 3], [time.time() - 4, 5]]))
    answer = client.get("/api/v1/deployment-ops/metrics", params={"service": "shop", "metric": ["backlog"], "step_s": 3600})
    assert [each["name"] for each in answer.json()["series"]] == ["backlog"]
    assert client.get("/api/v1/deployment-ops/metrics", params={"service": "shop"}).json()["series"] == []


def test_exporters_of_opentelemetry_are_understood_in_both_encodings(served):
    client = served[0]
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    for name, value in (("service.name", "shop"), ("deployment.environment.name", "production")):
        resource.resource.attributes.add(key=name).value.string_value = value
    metric = resource.scope_metrics.add().metrics.add(name="otlp.temperature")
    metric.gauge.data_points.add(time_unix_nano=time.time_ns(), as_double=36.6)
    headers = {"content-type": "application/x-protobuf", "content-encoding": "gzip"}
    answer = client.post("/v1/metrics", content=gzip.compress(request.SerializeToString()), headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-protobuf")
    assert not ExportMetricsServiceResponse.FromString(answer.content).partial_success.rejected_data_points
    assert client.get(f"{BASE}/series", params={"name": "otlp.temperature"}).json()["items"][0]["last_value"] == 36.6
    for content, kind, status in ((b"{}", "application/json", 200), (b"{", "application/json", 422), (b"x", "text/plain", 415)):
        assert client.post("/v1/metrics", content=content, headers={"content-type": kind}).status_code == status
    assert client.post("/v1/metrics", content=b"{}", headers={"content-type": "application/json", "authorization": ""}).status_code == 401


def test_without_scrape_targets_the_command_says_how_to_declare_one(served):
    assert "kind: ScrapeTarget" in command(served, "targets")
    assert served[0].get(f"{BASE}/scrape-targets").json() == {"items": []}
