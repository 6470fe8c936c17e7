"""Routes of traces, and of who calls whom."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, Field

from productops.api.access import allowed
from productops.api.monitoring_logs import READ, Since, Until, window
from productops.api.paging import After, Limit, decode, encode
from productops.api.release import BASE, ReleaseId
from productops.api.wiring import ActorDep, ContextDep
from productops.domain.governance_access import Operation
from productops.domain.monitoring_traces import CallEdge, Span
from productops.domain.release import Environment
from productops.errors import InvalidInputError
from productops.usecases import monitoring_traces
from productops.usecases.monitoring_traces import SpanQuery

TRACES = f"{BASE}/traces"
router = APIRouter(tags=["monitoring"])
_TEXT = r"^[^\x00]*$"
TraceId = Annotated[str, Path(pattern="^[0-9a-fA-F]{32}$", description="32 hex digits.")]
Kind = Literal["internal", "server", "client", "producer", "consumer"]


class SpanOut(BaseModel):
    """One piece of work."""

    trace_id: str = Field(examples=["0af7651916cd43dd8448eb211c80319c"])
    span_id: str = Field(examples=["b7ad6b7169203331"])
    parent_id: str = Field(description="Empty: the trace begins here.", examples=["00f067aa0ba902b7"])
    venture: str
    service: str
    environment: Environment
    version: str
    name: str = Field(examples=["GET /basket"])
    kind: Kind
    error: bool
    message: str = Field(description="How it failed.")
    started_at: datetime
    duration_ms: float
    attributes: dict[str, Any]
    events: list[dict[str, Any]]

    @classmethod
    def of(cls, span: Span) -> SpanOut:
        """From the domain."""
        return cls(
            trace_id=span.trace_id, span_id=span.span_id, parent_id=span.parent_id, venture=span.venture, service=span.service,
            environment=span.environment, version=span.version, name=span.name, kind=span.kind, error=span.error,
            message=span.message, started_at=span.started_at, duration_ms=span.duration_ms, attributes=dict(span.attributes),
            events=[dict(event) for event in span.events],
        )  # fmt: skip


class TraceOut(BaseModel):
    """A trace."""

    trace_id: str = Field(examples=["0af7651916cd43dd8448eb211c80319c"])
    services: list[str]
    error: bool = Field(description="Whether any part failed.")
    started_at: datetime
    duration_ms: float = Field(description="From the first beginning to the last end.")
    spans: list[SpanOut] = Field(description="In the order they began.")

    @classmethod
    def of(cls, spans: list[Span]) -> TraceOut:
        """Of at least one span."""
        first, last = min(s.started_us for s in spans), max(s.started_us + s.duration_us for s in spans)
        return cls(
            trace_id=spans[0].trace_id, services=sorted({span.service for span in spans}), error=any(span.error for span in spans),
            started_at=spans[0].started_at, duration_ms=(last - first) / 1_000, spans=[SpanOut.of(span) for span in spans],
        )  # fmt: skip


class TracesOut(BaseModel):
    """Entries into services, the newest first."""

    items: list[SpanOut]
    next: str | None = Field(description="Give it as `after`.")


class CallEdgeOut(BaseModel):
    """Calls of one service to another, as the caller saw them."""

    venture: str
    environment: Environment
    caller: str
    callee: str = Field(examples=["basket"])
    kind: Literal["service", "database", "messaging", "external"]
    calls: int
    errors: int
    calls_per_s: float
    error_ratio: float
    mean_ms: float
    p50_ms: float
    p95_ms: float
    max_ms: float

    @classmethod
    def of(cls, edge: CallEdge) -> CallEdgeOut:
        """From the domain."""
        return cls(
            venture=edge.venture, environment=edge.environment, caller=edge.caller, callee=edge.callee,
            kind=edge.kind,
            calls=edge.calls, errors=edge.errors, calls_per_s=edge.calls_per_s, error_ratio=edge.error_ratio, mean_ms=edge.mean_ms,
            p50_ms=edge.p50_ms, p95_ms=edge.p95_ms, max_ms=edge.max_ms,
        )  # fmt: skip


class CallGraphOut(BaseModel):
    """Who calls whom, the busiest first."""

    items: list[CallEdgeOut]


async def _wanted(  # async, because others are called in a thread
    service: Annotated[str | None, Query(max_length=63, pattern=_TEXT, description="Entries into it; none: beginnings of traces.")] = None,
    environment: Annotated[Environment | None, Query(description="Environment.")] = None,
    since: Since = None,
    until: Until = None,
    error: Annotated[bool | None, Query(description="Only what failed, or only what did not.")] = None,
    duration_min_ms: Annotated[float | None, Query(ge=0, le=1e9, description="Only what took at least so long.")] = None,
    name: Annotated[str | None, Query(max_length=200, pattern=_TEXT, description="Name of the span.")] = None,
) -> SpanQuery:
    begin, end = window(since, until)
    return SpanQuery(
        service=service, environment=environment, since=begin, until=end, error=error, duration_min_ms=duration_min_ms, name=name
    )  # fmt: skip


@router.get(TRACES, operation_id="listTraces", dependencies=READ, summary="List traces")
def list_traces(
    wanted: Annotated[SpanQuery, Depends(_wanted)], context: ContextDep, actor: ActorDep, after: After = None, limit: Limit = 50
) -> TracesOut:
    """Spans at which services were entered, by service, time, failure and duration. Without times: of the last hour."""
    place = decode(after, parts=2)
    before = (_number(place[0]), place[1]) if place is not None else None
    found = monitoring_traces.list_traces(context, wanted, actor=actor, before=before, limit=limit)
    more = encode(str(found.next[0]), found.next[1]) if found.next is not None else None
    return TracesOut(items=[SpanOut.of(span) for span in found.spans], next=more)


@router.get(f"{TRACES}/{{trace_id}}", operation_id="getTrace", dependencies=READ, summary="Read a trace")
def read_trace(trace_id: TraceId, context: ContextDep, actor: ActorDep) -> TraceOut:
    """Its spans, as far as they were kept, in the order they began."""
    return TraceOut.of(monitoring_traces.find_trace(context, trace_id, actor=actor))


@router.get(
    f"{BASE}/releases/{{release_id}}/trace", operation_id="getReleaseTrace", dependencies=[allowed(Operation.LOG_READ)],
    summary="Read the trace of a release",
)  # fmt: skip
def read_release_trace(release_id: ReleaseId, context: ContextDep, actor: ActorDep) -> TraceOut:
    """What the API, the flow and the agent did for it, and before them whoever asked with a `traceparent`."""
    trace = monitoring_traces.trace_of_release(context, release_id, actor=actor)
    return TraceOut.of(monitoring_traces.find_trace(context, trace, actor=actor))


@router.get(f"{BASE}/call-graph", operation_id="getCallGraph", dependencies=READ, summary="Who calls whom")
def call_graph(
    context: ContextDep, actor: ActorDep,
    venture: Annotated[str | None, Query(max_length=63, pattern=_TEXT, description="Of this venture only.")] = None,
    since: Since = None, until: Until = None,
) -> CallGraphOut:  # fmt: skip
    """Worked out of spans, before any is left out: rates, failures and durations of calls. Without times: of the last hour."""
    begin, end = window(since, until)
    found = monitoring_traces.call_graph(context, venture=venture, since=begin, until=end, actor=actor)
    return CallGraphOut(items=[CallEdgeOut.of(edge) for edge in found])


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise InvalidInputError("after is the `next` of an earlier page, to the letter")
    return int(text)
