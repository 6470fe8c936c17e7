"""Trace context, edges of the call graph, sampling, OTLP read from both encodings, and our own spans."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from productops import telemetry
from productops.adapters.monitoring_otlp import Read, answer_of, read_logs, read_spans
from productops.domain.monitoring_logs import LogLevel, LogOrigin
from productops.domain.monitoring_traces import Span, TraceContext, merge_edges, quantile_ms, read_traceparent, trace_of_subject
from productops.domain.monitoring_traces_edges import EdgeMatcher
from productops.domain.monitoring_traces_sampling import Sampler
from productops.domain.release import Environment
from productops.errors import InvalidInputError

PRODUCTION = Environment.PRODUCTION
TRACE = "0af7651916cd43dd8448eb211c80319c"
NOW_US = 1_795_255_200_000_000
MINUTE = NOW_US // 60_000_000


def span(service: str, span_id: int, parent: int | None = None, *, kind: str = "server", trace: str = TRACE, **more: object) -> Span:
    fields: dict[str, object] = {
        "trace_id": trace, "span_id": f"{span_id:016x}", "parent_id": f"{parent:016x}" if parent else "", "venture": "apollo",
        "service": service, "environment": PRODUCTION, "name": "GET /", "started_us": NOW_US, "duration_us": 20_000, "kind": kind,
    }  # fmt: skip
    return Span(**(fields | more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "header",
    ["", "nonsense", f"00-{'0' * 32}-b7ad6b7169203331-01", f"00-{TRACE}-{'0' * 16}-01", f"ff-{TRACE}-b7ad6b7169203331-01",
     f"00-{TRACE}-b7ad6b7169203331-01-more", f"00-{TRACE.upper()}-b7ad6b7169203331-01"],
)  # fmt: skip
def test_a_wrong_traceparent_begins_a_new_trace(header):
    assert read_traceparent(header) is None


def test_a_traceparent_is_read_and_written_and_later_versions_may_say_more():
    context = TraceContext(TRACE, "b7ad6b7169203331")
    assert read_traceparent(context.traceparent) == context
    assert read_traceparent(f"cc-{TRACE}-b7ad6b7169203331-00-what.the.future.has") == TraceContext(TRACE, "b7ad6b7169203331", sampled=False)
    assert trace_of_subject("release/0197c5a2-6f0e-7c3a-9b1f-2f6c1d0b7e11") == "0197c5a26f0e7c3a9b1f2f6c1d0b7e11"
    assert trace_of_subject("release/not-an-id") == ""


def matcher() -> EdgeMatcher:
    return EdgeMatcher(lambda name: name in {"shop", "cart"})


@pytest.mark.parametrize("turned", [False, True])
def test_a_call_meets_its_answer_whichever_comes_first(turned):
    spans = [span("shop", 1, kind="client", error=True), span("cart", 2, 1)]
    graph = matcher()
    for each in reversed(spans) if turned else spans:
        graph.add(each, now=1.0, minute=MINUTE)
    [edge] = graph.settle(now=1.0, minute=MINUTE)
    assert (edge.caller, edge.callee, edge.kind, edge.calls, edge.errors, edge.total_us) == ("shop", "cart", "service", 1, 1, 20_000)
    assert graph.settle(now=2.0, minute=MINUTE) == []


@pytest.mark.parametrize(
    ("attributes", "callee", "kind"),
    [
        ({"db.system.name": "postgresql", "db.namespace": "orders"}, "postgresql/orders", "database"),
        ({"messaging.system": "kafka", "server.address": "broker"}, "kafka/broker", "messaging"),
        ({"server.address": "api.bank.example"}, "api.bank.example", "external"),
        ({"peer.service": "cart"}, "cart", "service"),
    ],
)
def test_a_call_that_nobody_answers_is_one_to_what_it_names(attributes, callee, kind):
    graph = matcher()
    graph.add(span("shop", 1, kind="client", attributes=attributes), now=1.0, minute=MINUTE)
    assert graph.settle(now=5.0, minute=MINUTE) == []
    [edge] = graph.settle(now=12.0, minute=MINUTE)
    assert (edge.callee, edge.kind) == (callee, kind)


def test_what_waits_for_its_other_half_is_bounded():
    graph = matcher()
    for number in range(1, 45_000):
        graph.add(span("shop", number, kind="client" if number % 2 else "server", parent=number + 10**6), now=1.0, minute=MINUTE)
    assert len(graph._calls) <= 20_000
    assert len(graph._answers) <= 20_000


def test_edges_of_several_minutes_and_writers_are_one():
    graph = matcher()
    for number in range(100):
        graph.add(span("shop", number + 1, kind="client", duration_us=(number + 1) * 1_000), now=1.0, minute=MINUTE)
        graph.add(span("cart", number + 1_001, number + 1), now=1.0, minute=MINUTE)
    counts = graph.settle(now=1.0, minute=MINUTE)
    [edge] = merge_edges([*counts, *counts], window_s=100.0)
    assert (edge.calls, edge.calls_per_s, edge.max_ms) == (200, 2.0, 100.0)
    assert 45 <= edge.p50_ms <= 55
    assert 90 <= edge.p95_ms <= 100
    assert quantile_ms((0, 0), 0.5, max_us=0) == 0.0


def test_all_is_kept_while_there_is_room_and_whole_traces_when_there_is_not():
    quiet = Sampler(100.0)
    assert len(quiet.choose([span("shop", 1, trace=f"{n:032x}") for n in range(1, 50)], now=0.0)) == 49
    busy, kept = Sampler(100.0), 0
    for second in range(30):
        spans = [span("shop", number, trace=f"{(second * 1_000 + number) * 2654435761 % 2**128:032x}") for number in range(1_000)]
        kept = len(busy.choose(spans, now=float(second)))
    assert 60 <= kept <= 160


def test_traces_that_failed_or_took_very_long_are_kept_before_others():
    sampler = Sampler(10.0)
    for second in range(30):
        sampler.choose([span("shop", n, trace=f"{n:024x}ffffffff") for n in range(1, 2_000)], now=float(second))
    failed, slow = f"{7:024x}ffffffff", f"{8:024x}ffffffff"
    kept = sampler.choose(
        [span("shop", 1, trace=failed, error=True), span("shop", 2, 1, trace=failed), span("shop", 3, trace=slow, duration_us=900_000),
         span("shop", 4, trace=f"{9:024x}ffffffff")], now=40.0,
    )  # fmt: skip
    assert [each.trace_id for each in kept] == [failed, failed, slow]


# ---- OTLP


def origin(_: object) -> LogOrigin:
    return LogOrigin("apollo", "shop", PRODUCTION, "1.0")


DOCUMENT = {
    "resourceSpans": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
        "scopeSpans": [{"spans": [
            {"traceId": TRACE, "spanId": "b7ad6b7169203331", "parentSpanId": "", "name": "GET /", "kind": "SPAN_KIND_SERVER",
             "startTimeUnixNano": str(NOW_US * 1000), "endTimeUnixNano": str(NOW_US * 1000 + 5_000_000),
             "status": {"code": 2, "message": "boom"}, "attributes": [{"key": "n", "value": {"intValue": "7"}}]},
            {"traceId": "", "spanId": "", "name": "nothing"},
        ]}],
    }]
}  # fmt: skip


def test_spans_are_the_same_from_json_and_from_protobuf():
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    message = ExportTraceServiceRequest()
    resource = message.resource_spans.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "shop"
    scope = resource.scope_spans.add()
    made = scope.spans.add(
        trace_id=bytes.fromhex(TRACE), span_id=bytes.fromhex("b7ad6b7169203331"), name="GET /", kind=2, start_time_unix_nano=NOW_US * 1000,
        end_time_unix_nano=NOW_US * 1000 + 5_000_000,
    )  # fmt: skip
    made.status.code, made.status.message = 2, "boom"
    made.attributes.add(key="n").value.int_value = 7
    scope.spans.add(name="nothing")
    one = read_spans(json.dumps(DOCUMENT).encode(), is_json=True, origin_of=origin, received_us=NOW_US)
    two = read_spans(message.SerializeToString(), is_json=False, origin_of=origin, received_us=NOW_US)
    assert one == two
    assert one.refused == 1
    [found] = one.spans
    assert (found.error, found.message, found.kind, found.duration_ms, dict(found.attributes)) == (True, "boom", "server", 5.0, {"n": 7})


def test_what_is_refused_is_told_in_both_encodings():
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    read = Read(refused=300)
    answer = ExportTraceServiceResponse.FromString(answer_of(read, "no such service", is_json=False, signal="spans"))
    assert (answer.partial_success.rejected_spans, answer.partial_success.error_message) == (300, "no such service")
    told = json.loads(answer_of(read, "no such service", is_json=True, signal="logs"))
    assert told == {"partialSuccess": {"rejectedLogRecords": "300", "errorMessage": "no such service"}}
    assert answer_of(Read(), "", is_json=False, signal="logs") == b""


@pytest.mark.parametrize(
    ("body", "is_json"),
    [(b"\xff\xff\xff", False), (b"{", True), (b"[]", True), (b'{"resourceLogs": 7}', True), (b'{"resourceLogs": [7]}', True),
     (b'{"resourceLogs": [{"scopeLogs": [{"logRecords": "x"}]}]}', True), (b"[" * 100_000, True)],
)  # fmt: skip
def test_what_is_no_otlp_is_refused_with_the_reason(body, is_json):
    with pytest.raises(InvalidInputError):
        read_logs(body, is_json=is_json, origin_of=origin, received_us=NOW_US)


NAMES = ["body", "stringValue", "attributes", "key", "value", "timeUnixNano", "severityNumber", "kvlistValue", "values", "arrayValue"]
JSONISH = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)


@given(JSONISH)
def test_hostile_records_are_read_or_refused_never_an_accident(record):
    body = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).encode()
    try:
        read = read_logs(body, is_json=True, origin_of=origin, received_us=NOW_US)
    except InvalidInputError:
        return
    assert all(isinstance(line.level, LogLevel) for line in read.lines)


# ---- our own spans


@pytest.fixture
def recorded() -> Iterator[list[Span]]:
    found: list[Span] = []
    telemetry.set_up("test", lambda spans, _links: found.extend(spans))
    yield found
    telemetry.turn_off()


def test_spans_nest_and_an_error_that_leaves_one_makes_it_failed(recorded):
    def fail() -> None:
        with telemetry.span("outer", attributes={"a": 1}):
            with telemetry.span("inner"):
                pass
            raise ValueError("no token=abcdefgh12345678 here")

    with pytest.raises(ValueError, match="no token"):
        fail()
    telemetry.flush()
    inner, failed = recorded
    assert (inner.trace_id, inner.parent_id) == (failed.trace_id, failed.span_id)
    assert (failed.error, failed.attributes["error.type"]) == (True, "ValueError")
    assert "abcdefgh12345678" not in failed.message
    assert telemetry.current() is None


def test_nothing_is_recorded_and_nothing_fails_before_a_program_says_so():
    assert not telemetry.is_on()
    with telemetry.span("quiet") as quiet:
        quiet.put("a", 1)
        quiet.fail("x")
        telemetry.follow("release/x", venture="apollo", environment=PRODUCTION)
    telemetry.emit("quiet", started_us=0, duration_us=0)
    assert telemetry.current() is None
    assert quiet.attributes == {}


def test_a_sink_that_fails_stops_nobody(recorded):
    def broken(_spans: object, _links: object) -> None:
        raise OSError("disk full")

    telemetry.set_up("test", broken)
    with telemetry.span("work"):
        pass
    telemetry.flush()
