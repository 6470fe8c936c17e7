"""OTLP as exporters send it, protobuf or JSON: log records and spans, read leniently and within bounds.

Source: OpenTelemetry Protocol Specification 1.x, sections "OTLP/HTTP" and "JSON Protobuf Encoding" (ids are hex there, not base64).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from productops.domain.monitoring_logs import TEXT_MAX, LogLevel, LogLine, LogOrigin
from productops.domain.monitoring_logs_parse import PAST_US
from productops.domain.monitoring_logs_resource import Resource, clean, resource_of
from productops.domain.monitoring_traces import ATTRIBUTES_MAX, EVENTS_MAX, KINDS, NAME_MAX, VALUE_MAX, Span
from productops.errors import DependencyError, InvalidInputError

RECORDS_MAX = 50_000
DEPTH_MAX = 4
FUTURE_US = 3_600_000_000
_HINT = "pip install 'productops[telemetry]'"
OriginOf = Callable[[Resource], LogOrigin | None]
"""Where something belongs that was sent; ``None`` when it is refused."""


@dataclass(slots=True)
class Read:
    """What was understood, and how much was not kept."""

    lines: list[LogLine] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    refused: int = 0


def read_logs(body: bytes, *, is_json: bool, origin_of: OriginOf, received_us: int) -> Read:
    """Log records. Raises: InvalidInputError for what is no OTLP, DependencyError when what reads protobuf is not installed."""
    read = Read()
    for group in _groups(body, "logs", is_json=is_json):
        origin = origin_of(resource_of(group.attributes))
        for record in group.records():
            _count(read)
            if origin is None:
                read.refused += 1
            else:
                read.lines.append(_line(origin, record, received_us))
    return read


def read_spans(body: bytes, *, is_json: bool, origin_of: OriginOf, received_us: int) -> Read:
    """Spans. Raises: as ``read_logs``."""
    read = Read()
    for group in _groups(body, "spans", is_json=is_json):
        origin = origin_of(resource_of(group.attributes))
        for record in group.records():
            _count(read)
            span = _span(origin, record, received_us) if origin is not None else None
            if span is None:
                read.refused += 1
            else:
                read.spans.append(span)
    return read


def answer_of(read: Read, message: str, *, is_json: bool, signal: str) -> bytes:
    """The body of the answer: empty, or how much was refused and why."""
    field_name = "rejectedLogRecords" if signal == "logs" else "rejectedSpans"
    if is_json:
        return json.dumps({"partialSuccess": {field_name: str(read.refused), "errorMessage": message}} if read.refused else {}).encode()
    if not read.refused:
        return b""
    text = message.encode()[:2_000]
    inside = b"\x08" + _varint(read.refused) + b"\x12" + _varint(len(text)) + text
    return b"\x0a" + _varint(len(inside)) + inside


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def _count(read: Read) -> None:
    if len(read.lines) + len(read.spans) + read.refused >= RECORDS_MAX:
        raise InvalidInputError(f"a request has at most {RECORDS_MAX:,} records")


# ---- the two encodings, made one


@dataclass(frozen=True, slots=True)
class _Group:
    attributes: Mapping[str, Any]
    records: Callable[[], Iterable[Any]]


def _groups(body: bytes, signal: str, *, is_json: bool) -> Iterable[_Group]:
    return _json_groups(body, signal) if is_json else _protobuf_groups(body, signal)


def _protobuf_groups(body: bytes, signal: str) -> Iterable[_Group]:
    try:
        from google.protobuf.message import DecodeError
        from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    except ImportError as error:
        raise DependencyError(f"OTLP as protobuf cannot be read here: {_HINT}, or send application/json") from error
    try:
        if signal == "logs":
            for logs in ExportLogsServiceRequest.FromString(body).resource_logs:
                yield _Group(_attributes(logs.resource.attributes), lambda r=logs: (_P(x) for s in r.scope_logs for x in s.log_records))  # type: ignore[misc]
            return
        for spans in ExportTraceServiceRequest.FromString(body).resource_spans:
            yield _Group(_attributes(spans.resource.attributes), lambda r=spans: (_P(x) for s in r.scope_spans for x in s.spans))  # type: ignore[misc]
    except DecodeError as error:
        raise InvalidInputError(f"the body is no OTLP protobuf message of {signal}: {error}") from error


def _json_groups(body: bytes, signal: str) -> Iterable[_Group]:
    name = "Logs" if signal == "logs" else "Spans"
    inner = "logRecords" if signal == "logs" else "spans"
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"the body is no JSON: {error}") from error
    for resource in _members(document, f"resource{name}"):
        attributes = _json_attributes(_members(resource.get("resource") or {}, "attributes"))
        yield _Group(
            attributes, lambda r=resource: (_J(x) for s in _members(r, f"scope{name}") for x in _members(s, inner))  # type: ignore[misc]
        )  # fmt: skip


def _members(document: Any, name: str) -> list[dict[str, Any]]:
    """The objects of a list in an object. Raises: InvalidInputError for anything else there."""
    if not isinstance(document, dict):
        raise InvalidInputError(f"an OTLP message is a JSON object that has {name}")
    found = document.get(name) or []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise InvalidInputError(f"{name} has to be a list of objects")
    return found


class _P:
    """A record of protobuf."""

    __slots__ = ("_r",)

    def __init__(self, record: Any) -> None:
        self._r = record

    def text(self, name: str) -> str:
        return str(getattr(self._r, _SNAKE.get(name, name)))

    def number(self, name: str) -> int:
        return int(getattr(self._r, _SNAKE.get(name, name)))

    def ids(self, name: str) -> str:
        found: bytes = getattr(self._r, _SNAKE.get(name, name))
        return found.hex()

    def attributes(self) -> dict[str, Any]:
        return _attributes(self._r.attributes)

    def body(self) -> Any:
        return _value(self._r.body, 0)

    def status(self) -> tuple[int, str]:
        return self._r.status.code, self._r.status.message

    def events(self) -> list[tuple[str, int, dict[str, Any]]]:
        return [(e.name, e.time_unix_nano // 1_000, _attributes(e.attributes)) for e in self._r.events[:EVENTS_MAX]]


class _J:
    """A record of JSON. Numbers of 64 bits are texts there, and enumerations may be their names."""

    __slots__ = ("_r",)

    def __init__(self, record: dict[str, Any]) -> None:
        self._r = record

    def text(self, name: str) -> str:
        return str(self._r.get(name, ""))

    def number(self, name: str) -> int:
        return _number(self._r.get(name, 0))

    def ids(self, name: str) -> str:
        found = str(self._r.get(name, "")).lower()
        return found if all(c in "0123456789abcdef" for c in found) else ""

    def attributes(self) -> dict[str, Any]:
        return _json_attributes(_members(self._r, "attributes"))

    def body(self) -> Any:
        return _json_value(self._r.get("body"), 0)

    def status(self) -> tuple[int, str]:
        found = self._r.get("status")
        status = found if isinstance(found, dict) else {}
        code = status.get("code", 0)
        return (2 if code in {2, "2", "STATUS_CODE_ERROR"} else 0), str(status.get("message", ""))

    def events(self) -> list[tuple[str, int, dict[str, Any]]]:
        events = _members(self._r, "events")[:EVENTS_MAX]
        return [
            (str(e.get("name", "")), _number(e.get("timeUnixNano", 0)) // 1_000, _json_attributes(_members(e, "attributes")))
            for e in events
        ]  # fmt: skip


_SNAKE = {
    "timeUnixNano": "time_unix_nano", "observedTimeUnixNano": "observed_time_unix_nano", "severityNumber": "severity_number",
    "severityText": "severity_text", "traceId": "trace_id", "spanId": "span_id", "parentSpanId": "parent_span_id",
    "startTimeUnixNano": "start_time_unix_nano", "endTimeUnixNano": "end_time_unix_nano",
}  # fmt: skip
_KIND_NAMES = {f"SPAN_KIND_{kind.upper()}": index + 1 for index, kind in enumerate(KINDS)}


def _number(value: Any) -> int:
    if isinstance(value, str) and value in _KIND_NAMES:
        return _KIND_NAMES[value]
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return 0


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key[:NAME_MAX]: _value(pair.value, 0) for pair in pairs[:ATTRIBUTES_MAX]}


def _value(value: Any, depth: int) -> Any:
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return value.string_value
    if kind is None or depth > DEPTH_MAX:
        return ""
    if kind == "array_value":
        return [_value(each, depth + 1) for each in value.array_value.values[:ATTRIBUTES_MAX]]
    if kind == "kvlist_value":
        return {pair.key: _value(pair.value, depth + 1) for pair in value.kvlist_value.values[:ATTRIBUTES_MAX]}
    found = getattr(value, kind)
    return found.hex() if isinstance(found, bytes) else found


def _json_attributes(pairs: list[dict[str, Any]]) -> dict[str, Any]:
    return {str(pair.get("key", ""))[:NAME_MAX]: _json_value(pair.get("value"), 0) for pair in pairs[:ATTRIBUTES_MAX]}


def _json_value(value: Any, depth: int) -> Any:
    if not isinstance(value, dict) or depth > DEPTH_MAX:
        return ""
    for name, read in _JSON_KINDS.items():
        if name in value:
            return read(value[name], depth)
    return ""


_JSON_KINDS: dict[str, Callable[[Any, int], Any]] = {
    "stringValue": lambda v, _: str(v),
    "intValue": lambda v, _: _number(v),
    "doubleValue": lambda v, _: v if isinstance(v, (int, float)) else str(v),
    "boolValue": lambda v, _: bool(v),
    "bytesValue": lambda v, _: str(v),
    "arrayValue": lambda v, depth: [_json_value(each, depth + 1) for each in _members(v, "values")[:ATTRIBUTES_MAX]],
    "kvlistValue": lambda v, depth: {
        str(pair.get("key", "")): _json_value(pair.get("value"), depth + 1) for pair in _members(v, "values")[:ATTRIBUTES_MAX]
    },
}


# ---- records


def _line(origin: LogOrigin, record: Any, received_us: int) -> LogLine:
    body, attributes = record.body(), record.attributes()
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False, default=str)
    stack = attributes.pop("exception.stacktrace", "")
    rest = " ".join(f"{key}={value}" for key, value in attributes.items())
    text = " ".join(filter(None, (text, rest))) + (f"\n{stack}" if stack else "")
    number = record.number("severityNumber")
    named = LogLevel.of_name(record.text("severityText")) if not number else None
    return LogLine(
        origin, _time(record.number("timeUnixNano") or record.number("observedTimeUnixNano"), received_us),
        named or LogLevel.of_number(number), clean(text, TEXT_MAX), _id(record.ids("traceId"), 32),
    )  # fmt: skip


def _span(origin: LogOrigin, record: Any, received_us: int) -> Span | None:
    """``None`` for a span without ids or name, which no trace could hold."""
    trace, span = _id(record.ids("traceId"), 32), _id(record.ids("spanId"), 16)
    name = clean(record.text("name"), NAME_MAX)
    if not trace or not span or not name:
        return None
    begin, end = record.number("startTimeUnixNano"), record.number("endTimeUnixNano")
    started_us = _time(begin, received_us)
    code, message = record.status()
    kind = record.number("kind")
    return Span(
        trace_id=trace, span_id=span, parent_id=_id(record.ids("parentSpanId"), 16), venture=origin.venture, service=origin.service,
        environment=origin.environment, name=name, started_us=started_us, duration_us=max(0, min(end - begin, 10**17)) // 1_000,
        kind=KINDS[kind - 1] if 1 <= kind <= len(KINDS) else "internal", error=code == 2, message=clean(message, VALUE_MAX),
        version=origin.version, attributes={key: _bounded(value) for key, value in record.attributes().items()},
        events=tuple({"name": clean(n, NAME_MAX), "at_us": at, **{k: _bounded(v) for k, v in a.items()}} for n, at, a in record.events()),
    )  # fmt: skip


def _bounded(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value, VALUE_MAX)
    if isinstance(value, (list, dict)):
        return clean(json.dumps(value, ensure_ascii=False, default=str), VALUE_MAX)
    return value


def _id(text: str, length: int) -> str:
    """An id of that length that is not all zeros, else nothing."""
    return text if len(text) == length and text.strip("0") else ""


def _time(nanoseconds: int, received_us: int) -> int:
    at_us = nanoseconds // 1_000
    return at_us if received_us - PAST_US <= at_us <= received_us + FUTURE_US else received_us
