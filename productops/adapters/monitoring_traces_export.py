"""Sends our own spans to a collector by OTLP/HTTP, with OpenTelemetry's own exporter. Loaded only where an endpoint is named."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import structlog

from productops.domain.monitoring_traces import Span

log = structlog.get_logger("telemetry")
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class SpanExporter(Protocol):
    """Takes spans away."""

    def export(self, spans: Sequence[Span]) -> None:
        """Send them; what does not arrive is lost."""


def make_exporter(environment: Mapping[str, str] = os.environ) -> SpanExporter | None:
    """The exporter that the standard variables ask for; ``None`` where none names an endpoint or ``OTEL_SDK_DISABLED`` is true."""
    named = any(environment.get(each, "").strip() for each in _ENDPOINTS)
    if not named or environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    return OtlpExporter()


class OtlpExporter:
    """One for each process. Headers, compression, time limit and certificates are set as for every OpenTelemetry program."""

    def __init__(self) -> None:
        self._exporter: Any = None
        self._missing = False

    def export(self, spans: Sequence[Span]) -> None:
        """Send them. Without the libraries it says so once and does nothing."""
        if self._missing or not spans:
            return
        if self._exporter is None:
            try:
                from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            except ImportError:
                self._missing = True
                log.warning("spans are not exported: pip install 'productops[telemetry]'")
                return
            self._exporter = OTLPSpanExporter()
        self._exporter.export([_readable(span) for span in spans])


def _readable(span: Span) -> Any:
    """The span as the exporter wants it."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import Event, ReadableSpan
    from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

    trace = int(span.trace_id, 16)
    sampled = TraceFlags(TraceFlags.SAMPLED)
    resource = {
        "service.name": span.service, "service.version": span.version, "deployment.environment.name": span.environment.value,
        "productops.venture": span.venture,
    }  # fmt: skip
    began = span.started_us * 1_000
    return ReadableSpan(
        name=span.name,
        context=SpanContext(trace, int(span.span_id, 16), is_remote=False, trace_flags=sampled),
        parent=SpanContext(trace, int(span.parent_id, 16), is_remote=True, trace_flags=sampled) if span.parent_id else None,
        resource=Resource({key: value for key, value in resource.items() if value}),
        attributes={key: value if isinstance(value, (str, bool, int, float)) else str(value) for key, value in span.attributes.items()},
        events=[Event(str(e.get("name", "")), {k: str(v) for k, v in e.items()}, int(e.get("at_us", 0)) * 1_000) for e in span.events],
        kind=SpanKind[span.kind.upper()],
        status=Status(StatusCode.ERROR, span.message) if span.error else Status(StatusCode.UNSET),
        start_time=began, end_time=began + span.duration_us * 1_000,
    )  # fmt: skip
