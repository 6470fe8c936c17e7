"""The doors of logs and traces, by real HTTP: OTLP in, search, streams, traces of releases, and what is refused."""

from __future__ import annotations

import gzip
import json
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from typer.testing import CliRunner

from productops import telemetry
from productops.cli.main import app as program
from productops.domain.governance_access import Grant, Role
from productops.logs import set_up_logs
from productops.settings import Settings
from tests.integration.http_support import Reply, Request, answering
from tests.integration.test_api.support import OPS, TOKEN, client_of, events_in, make_template, person_token, prepare, serving, wait_until

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Settings, httpx.Client]]:
    set_up_logs(Settings(log_level="ERROR"), program="api")
    context, settings, _ = prepare(make_template(tmp_path_factory.mktemp("template")), tmp_path_factory.mktemp("doors"))
    with serving(context, settings), client_of(settings) as client:
        yield context, settings, client
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def logs_body(*texts: str, service: str = "shop", severity: int = 9, venture: str = "") -> dict[str, Any]:
    attributes = {"service.name": service, "service.version": "2.0", "productops.venture": venture}
    records = [
        {"timeUnixNano": str(time.time_ns()), "severityNumber": severity, "body": {"stringValue": text}, "traceId": TRACE} for text in texts
    ]  # fmt: skip
    named = [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items() if value]
    return {"resourceLogs": [{"resource": {"attributes": named}, "scopeLogs": [{"logRecords": records}]}]}


def test_log_records_come_in_by_json_and_protobuf_and_are_found(served):
    _, _, client = served
    answer = client.post("/v1/logs", json=logs_body("refused by the bank", severity=17))
    assert (answer.status_code, answer.json()) == (200, {})
    message = ExportLogsServiceRequest()
    resource = message.resource_logs.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "shop"
    resource.scope_logs.add().log_records.add(time_unix_nano=time.time_ns(), severity_text="warn").body.string_value = "zipped words"
    unknown = message.resource_logs.add()
    unknown.resource.attributes.add(key="service.name").value.string_value = "nobody"
    unknown.scope_logs.add().log_records.add().body.string_value = "lost"
    headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}
    answer = client.post("/v1/logs", content=gzip.compress(message.SerializeToString()), headers=headers)
    told = ExportLogsServiceResponse.FromString(answer.content).partial_success
    assert (answer.headers["content-type"], told.rejected_log_records) == ("application/x-protobuf", 1)
    assert "'nobody' is no service" in told.error_message
    found = client.get(f"{OPS}/logs", params={"service": "shop", "text": "bank"}).json()["items"]
    assert [(line["text"], line["level"], line["version"], line["trace_id"]) for line in found] == [
        ("refused by the bank", "error", "2.0", TRACE)
    ]
    assert client.get(f"{OPS}/logs", params={"text": "zipped"}).json()["items"][0]["level"] == "warning"
    errors = client.get(f"{OPS}/logs/errors", params={"service": "shop", "new_in": "2.0"}).json()["items"]
    assert errors[0]["message"] == "refused by the bank"
    templates = client.get(f"{OPS}/logs/templates", params={"service": "shop"}).json()["items"]
    assert {"refused by the bank", "zipped words"} <= {template["text"] for template in templates}
    assert client.get(f"{OPS}/logs/jumps", params={"service": "shop"}).json()["items"] == []
    assert client.get(f"{OPS}/logs/services").json()["items"][0]["service"] == "shop"


def test_pages_are_followed_by_their_cursor(served):
    _, _, client = served
    client.post("/v1/logs", json=logs_body(*(f"page {n}" for n in range(25))))
    seen, after = [], None
    while True:
        page = client.get(f"{OPS}/logs", params={"text": "page", "limit": 10} | ({"after": after} if after else {})).json()
        seen += [line["text"] for line in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert seen == [f"page {n}" for n in reversed(range(25))]
    wrong = client.get(f"{OPS}/logs", params={"after": "bm9uc2Vuc2U"})
    assert (wrong.status_code, wrong.json()["slug"]) == (422, "invalid-input")


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"x", {"Content-Type": "text/plain"}, 415),
        (b"x", {"Content-Type": "application/json", "Content-Encoding": "br"}, 415),
        (b"not gzip", {"Content-Type": "application/json", "Content-Encoding": "gzip"}, 400),
        (gzip.compress(b"{}")[:-4], {"Content-Type": "application/json", "Content-Encoding": "gzip"}, 400),
        (gzip.compress(b" " * 40_000_000), {"Content-Type": "application/json", "Content-Encoding": "gzip"}, 413),
        (zlib.compress(b" " * 40_000_000), {"Content-Type": "application/x-protobuf", "Content-Encoding": "deflate"}, 413),
        (b" " * 1_100_000, {"Content-Type": "application/json"}, 413),
        (b"{", {"Content-Type": "application/json"}, 422),
        (b"\xff\xff", {"Content-Type": "application/x-protobuf"}, 422),
    ],
    ids=["text", "brotli", "no gzip", "cut", "bomb", "other bomb", "long", "no json", "no protobuf"],
)
@pytest.mark.parametrize("path", ["/v1/logs", "/v1/traces"])
def test_what_is_no_otlp_or_too_much_is_refused_as_a_problem(served, path, content, headers, status):
    _, _, client = served
    answer = client.post(path, content=content, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_nobody_sends_for_a_service_they_have_no_part_in(served):
    context, settings, _ = served
    secret = person_token(context, "ann", Grant(Role.DEVELOPER, "apollo", "staging"))
    with client_of(settings, secret) as ann:
        assert ann.post("/v1/logs", json=logs_body("x")).status_code == 403
        assert ann.post("/v1/logs", json=logs_body("x", service="nobody")).status_code == 404
        assert ann.get(f"{OPS}/logs").json()["items"] == []
    with client_of(settings, None) as stranger:
        assert stranger.post("/v1/logs", json=logs_body("x")).status_code == 401


def test_lines_are_followed_as_they_come(served):
    _, _, client = served
    with client.stream("GET", f"{OPS}/logs/tail", params={"service": "shop", "text": "live"}) as stream:
        lines = stream.iter_lines()
        next(lines)
        client.post("/v1/logs", json=logs_body("nothing of interest", "live one", "live two"))
        found = events_in(lines)
        got = [next(found), next(found)]
    assert [(event["event"], event["text"]) for event in got] == [("line", "live one"), ("line", "live two")]
    with client.stream("GET", f"{OPS}/logs/tail", params={"text": "live"}, headers={"Last-Event-ID": got[0]["id"]}) as stream:
        client.post("/v1/logs", json=logs_body("live three"))
        assert next(events_in(stream.iter_lines()))["text"] == "live three"


def spans_body() -> dict[str, Any]:
    begin = time.time_ns()

    def spans(service: str, *items: dict[str, Any]) -> dict[str, Any]:
        named = [
            {"key": "service.name", "value": {"stringValue": service}},
            {"key": "productops.venture", "value": {"stringValue": "apollo"}},
        ]
        times = {"startTimeUnixNano": str(begin), "endTimeUnixNano": str(begin + 30_000_000)}
        made = [{"traceId": TRACE, "name": "GET /basket", **times, **item} for item in items]
        return {"resource": {"attributes": named}, "scopeSpans": [{"spans": made}]}

    return {
        "resourceSpans": [
            spans("shop", {"spanId": SPAN, "kind": 2}, {"spanId": "1" * 16, "parentSpanId": SPAN, "kind": 3}),
            spans("basket", {"spanId": "2" * 16, "parentSpanId": "1" * 16, "kind": 2, "status": {"code": 2}}),
        ]
    }


def test_spans_come_in_and_are_shown_with_who_calls_whom(served):
    _, _, client = served
    assert client.post("/v1/traces", json=spans_body()).json() == {}
    trace = client.get(f"{OPS}/traces/{TRACE}").json()
    assert (trace["services"], trace["error"], len(trace["spans"]), trace["duration_ms"]) == (["basket", "shop"], True, 3, 30.0)
    assert client.get(f"{OPS}/traces", params={"service": "basket", "error": True}).json()["items"][0]["trace_id"] == TRACE
    assert client.get(f"{OPS}/traces", params={"service": "shop", "duration_min_ms": 1_000}).json()["items"] == []
    wait_until(lambda: bool(client.get(f"{OPS}/call-graph").json()["items"]), timeout_s=15)
    [edge] = client.get(f"{OPS}/call-graph", params={"venture": "apollo"}).json()["items"]
    assert (edge["caller"], edge["callee"], edge["kind"], edge["error_ratio"]) == ("shop", "basket", "service", 1.0)
    assert client.get(f"{OPS}/traces/{'0' * 31}1").status_code == 404


def test_a_release_belongs_to_the_trace_of_whoever_asked_for_it(served):
    context, _, client = served
    parent = "00f067aa0ba902b7"
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    asked = client.post(f"{OPS}/release/2.0", json={"service": "shop"}, headers={"traceparent": f"00-{trace}-{parent}-01"})
    release = asked.json()["id"]
    telemetry.emit("shift traffic", started_us=time.time_ns() // 1_000, duration_us=900, subject=f"release/{release}")
    telemetry.flush()
    found = client.get(f"{OPS}/releases/{release}/trace").json()
    request, shift = found["spans"]
    assert (found["trace_id"], request["parent_id"], request["kind"]) == (trace, parent, "server")
    assert (request["name"], request["venture"]) == ("POST /api/v1/product-ops/release/<*>", "apollo")
    assert request["attributes"]["http.response.status_code"] == 202
    assert (shift["name"], shift["parent_id"]) == ("shift traffic", request["span_id"])
    with context.store.read() as unit:
        assert unit.traces.links({f"release/{release}"})[f"release/{release}"].trace_id == trace


def test_reading_leaves_no_span_and_neither_does_a_stranger(served):
    _, settings, client = served
    telemetry.flush()
    before = client.get(f"{OPS}/traces").json()["items"]
    with client_of(settings, "wrong") as stranger:
        stranger.post(f"{OPS}/release/9.9", json={}, headers={"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"})
    client.get(f"{OPS}/logs")
    telemetry.flush()
    assert [s["trace_id"] for s in client.get(f"{OPS}/traces").json()["items"]] == [s["trace_id"] for s in before]


def test_spans_of_ours_go_to_a_collector_where_one_is_named(monkeypatch, served):
    from productops.adapters.monitoring_traces_export import make_exporter
    from productops.usecases.monitoring_traces_own import Keeper

    context, _, _ = served
    assert make_exporter({}) is None
    assert make_exporter({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "true"}) is None
    seen: list[Request] = []

    def collect(request: Request) -> Reply:
        seen.append(request)
        return Reply(raw=b"", headers={"content-type": "application/x-protobuf"})

    with answering(collect) as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("NO_PROXY", "*")
        exporter = make_exporter()
        assert exporter is not None
        found: list[Any] = []
        telemetry.set_up("test", lambda spans, _links: found.extend(spans))
        with telemetry.span("work", kind="client", attributes={"n": 1}):
            pass
        telemetry.turn_off()
        Keeper(lambda: context.store, exporter)(found, [])
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    sent = ExportTraceServiceRequest.FromString(seen[0].body)
    assert seen[0].path == "/v1/traces"
    assert sent.resource_spans[0].scope_spans[0].spans[0].trace_id.hex() == found[0].trace_id


def test_commands_show_what_the_doors_give(served, tmp_path):
    _, settings, client = served
    client.post("/v1/logs", json=logs_body("boom by command", severity=17))
    client.post("/v1/traces", json=spans_body())
    place = ["--api-url", settings.api_url, "--home", str(settings.home)]
    token = Path(tmp_path / "token")
    token.write_text(TOKEN)
    token.chmod(0o600)

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(program, ["--token-file", str(token), *arguments, *place])
        assert done.exit_code == 0, (done.output, done.exception)
        return done.output

    assert "ERROR   shop 2.0: boom by command" in run("logs", "search", "boom", "--service", "shop")
    assert "began in 2.0; by version: 2.0 1" in run("logs", "errors", "shop", "--traces")
    assert "boom by command" in run("logs", "templates", "shop")
    assert run("logs", "jumps", "shop").strip()
    assert "production" in run("logs", "services")
    assert TRACE in run("traces", "list", "--service", "basket")
    shown = run("traces", "show", TRACE, "--attributes")
    assert f"trace {TRACE}: 3 spans" in shown
    assert "    basket: GET /basket  FAILED" in shown
    assert run("traces", "graph").strip()
    assert json.loads(run("logs", "search", "boom", "--json"))["items"][0]["service"] == "shop"
