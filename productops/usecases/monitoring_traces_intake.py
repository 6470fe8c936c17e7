"""Takes spans of services in: edges of the call graph from all of them, the spans themselves as far as there is room."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from productops.domain.monitoring_traces import EdgeCount, Span
from productops.domain.monitoring_traces_edges import EdgeMatcher
from productops.domain.monitoring_traces_sampling import Sampler
from productops.errors import StoreUnavailableError
from productops.redaction import BLANK, names_secret, redact_line
from productops.usecases.context import Context
from productops.usecases.monitoring_logs_places import Places

SETTLE_S = 5.0


@dataclass(frozen=True, slots=True)
class KeptSpans:
    """What became of spans: kept, or left out by sampling. All of them count for the call graph."""

    spans: int
    left_out: int


class SpanIntake:
    """One for each process. Safe for many threads."""

    def __init__(self, context: Context, places: Places, *, spans_per_s: int = 200) -> None:
        self._context = context
        self._matcher = EdgeMatcher(lambda name: places.of_service(name) is not None)
        self._sampler = Sampler(float(spans_per_s))
        self._lock = threading.Lock()
        self._writer = uuid.uuid4().hex
        self._settled_at = float("-inf")
        self._unwritten: dict[tuple[Any, ...], EdgeCount] = {}

    def take(self, spans: Sequence[Span]) -> KeptSpans:
        """Keep spans of any ventures. Raises: StoreUnavailableError; their edges are written later."""
        clock = self._context.clock
        now, minute = clock.monotonic(), int(clock.now().timestamp() // 60)
        with self._lock:
            for span in spans:
                self._matcher.add(span, now=now, minute=minute)
            chosen = [clean(span) for span in self._sampler.choose(spans, now=now)]
            edges = self._due(now, minute)
        self._write(chosen, edges)
        return KeptSpans(len(chosen), len(spans) - len(chosen))

    def settle(self) -> None:
        """Write edges that wait; called every few seconds, also when no spans come. Raises: StoreUnavailableError."""
        clock = self._context.clock
        with self._lock:
            edges = self._due(clock.monotonic(), int(clock.now().timestamp() // 60), at_once=True)
        self._write([], edges)

    def _due(self, now: float, minute: int, *, at_once: bool = False) -> list[EdgeCount]:
        if not at_once and now - self._settled_at < SETTLE_S:
            return []
        self._settled_at = now
        edges = self._matcher.settle(now=now, minute=minute)
        self._unwritten |= {(e.venture, e.environment, e.caller, e.callee, e.kind, e.minute): e for e in edges}
        return list(self._unwritten.values())

    def _write(self, spans: list[Span], edges: list[EdgeCount]) -> None:
        if not spans and not edges:
            return
        try:
            with self._context.store.write() as unit:
                unit.traces.add(spans)
                unit.traces.put_edges(edges, self._writer)
        except StoreUnavailableError:
            with self._lock:
                self._settled_at = float("-inf")
            raise
        with self._lock:
            written = {(e.venture, e.environment, e.caller, e.callee, e.kind, e.minute): e for e in edges}
            self._unwritten = {key: edge for key, edge in self._unwritten.items() if written.get(key) is not edge}


def clean(span: Span) -> Span:
    """The span without secrets in its attributes, events and message."""
    return replace(
        span, attributes=_clean(span.attributes), message=redact_line(span.message), events=tuple(_clean(event) for event in span.events)
    )


def _clean(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: value if not isinstance(value, str) else BLANK if names_secret(key) else redact_line(value)
        for key, value in attributes.items()
    }
