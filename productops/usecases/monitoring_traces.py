"""Reads traces, and the graph of who calls whom, each for who may read them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from productops.domain.governance_access import Operation, visible_places, visible_ventures
from productops.domain.monitoring_traces import CallEdge, Span, merge_edges
from productops.errors import InvalidInputError, NotFoundError
from productops.store.monitoring_traces import SpanQuery
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_scope import in_places, service_for, venture_for

__all__ = ["Edges", "SpanQuery", "TracePage", "call_graph", "find_trace", "list_traces", "trace_of_release"]
Edges = list[CallEdge]
LIMIT_MAX = 200
SpanPlace = tuple[int, str]
"""Begin (Unix microseconds) and id of a span."""


@dataclass(frozen=True, slots=True)
class TracePage:
    """Entries into services, the newest first, and where the next page begins; ``None`` at the end."""

    spans: tuple[Span, ...]
    next: SpanPlace | None


def call_graph(context: Context, *, venture: str | None, since: datetime, until: datetime, actor: Actor) -> Edges:
    """Who calls whom, of services that send spans, the busiest first. ``venture`` ``None``: of all that the caller may see.

    Counted by whole minutes. Raises: InvalidInputError, NotFoundError, StoreUnavailableError.
    """
    if since >= until:
        raise InvalidInputError("since has to be before until")
    ventures = visible_ventures(actor.principal, Operation.LOG_READ)
    with context.store.read() as unit:
        if venture is not None:
            ventures = frozenset({venture_for(unit, venture, actor, Operation.LOG_READ)})
        counts = unit.traces.edges(ventures=ventures, since=since, until=until)
    places = visible_places(actor.principal, Operation.LOG_READ)
    seen = [count for count in counts if in_places(places, count.venture, count.environment)]
    return merge_edges(seen, window_s=(until - since).total_seconds())


def list_traces(context: Context, query: SpanQuery, *, actor: Actor, before: SpanPlace | None = None, limit: int = 50) -> TracePage:
    """Entries into a service, or beginnings of traces when none is named. Raises: InvalidInputError, NotFoundError, ForbiddenError."""
    if not 1 <= limit <= LIMIT_MAX:
        raise InvalidInputError(f"limit has to be 1 to {LIMIT_MAX}, it is {limit}")
    ventures = visible_ventures(actor.principal, Operation.LOG_READ)
    if ventures is not None and not ventures:
        return TracePage((), None)
    with context.store.read() as unit:
        if query.service is not None and ventures is not None:
            service_for(unit, query.service, actor, Operation.LOG_READ, environment=query.environment, seen_by=Operation.LOG_READ)
        narrowed = replace(query, ventures=ventures)
        found = unit.traces.entries(narrowed, before=before, limit=limit + 1)
    page = found[:limit]
    places = visible_places(actor.principal, Operation.LOG_READ)
    seen = tuple(span for span in page if in_places(places, span.venture, span.environment))
    more = (page[-1].started_us, page[-1].span_id) if len(found) > limit else None
    return TracePage(seen, more)


def find_trace(context: Context, trace_id: str, *, actor: Actor) -> list[Span]:
    """The spans of a trace that the caller may see, in the order they began. Raises: NotFoundError, StoreUnavailableError."""
    places = visible_places(actor.principal, Operation.LOG_READ)
    with context.store.read() as unit:
        spans = unit.traces.of(trace_id.lower())
    seen = [span for span in spans if in_places(places, span.venture, span.environment)]
    if not seen:
        raise NotFoundError(f"there is no trace {trace_id[:40]!r} here; spans are kept for some days, and of many traces only some")
    return seen


def trace_of_release(context: Context, release_id: str, *, actor: Actor) -> str:
    """The id of the trace that a release is worked on in. Raises: NotFoundError, ForbiddenError, StoreUnavailableError."""
    from productops.domain.monitoring_traces import trace_of_subject
    from productops.usecases.governance_access_scope import release_for

    subject = f"release/{release_id}"
    with context.store.read() as unit:
        release_for(unit, release_id, actor)
        link = unit.traces.links({subject}).get(subject)
    return link.trace_id if link is not None else trace_of_subject(subject)
