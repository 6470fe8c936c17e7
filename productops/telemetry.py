"""Spans of our own programs: what they did, for how long, within which trace. Costs nothing until a program sets it up.

A span goes into a short queue in memory; a thread hands the queue on once a second. Nothing here waits for a database or a collector,
and what cannot be handed on is lost rather than kept for long.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import structlog

from productops.domain.monitoring_traces import (
    ATTRIBUTES_MAX,
    NAME_MAX,
    VALUE_MAX,
    Span,
    SubjectLink,
    TraceContext,
    new_span_id,
    new_trace_id,
)
from productops.domain.release import Environment
from productops.redaction import redact_line

log = structlog.get_logger("telemetry")
QUEUE_MAX = 5_000
FLUSH_S = 1.0
Keep = Callable[[Sequence[Span], Sequence[SubjectLink]], None]
"""Takes finished spans, and which of our things are worked on in whose traces."""


@dataclass(slots=True)
class ActiveSpan:
    """A span that has begun. What is set on it must hold no secret's value; texts are looked through all the same."""

    name: str
    kind: str
    context: TraceContext
    parent_id: str
    subject: str
    started_us: int
    venture: str = ""
    environment: Environment = Environment.PRODUCTION
    attributes: dict[str, Any] = field(default_factory=dict)
    error: bool = False
    message: str = ""
    dropped: bool = False

    def set(self, **attributes: Any) -> None:
        """Add attributes; two underscores in a name stand for a dot."""
        for key, value in attributes.items():
            self.put(key.replace("__", "."), value)

    def put(self, key: str, value: Any) -> None:
        """Add one attribute by its whole name. ``None`` adds nothing."""
        if value is not None and len(self.attributes) < ATTRIBUTES_MAX:
            self.attributes[key] = redact_line(value[:VALUE_MAX]) if isinstance(value, str) else value

    def fail(self, message: str) -> None:
        """What it was for did not succeed."""
        self.error, self.message = True, redact_line(message[:VALUE_MAX])

    def drop(self) -> None:
        """It turned out to be of no interest: it is not kept."""
        self.dropped = True


class _Off(ActiveSpan):
    """Stands for every span while nothing is recorded."""

    def put(self, key: str, value: Any) -> None:
        """Nothing."""

    def fail(self, message: str) -> None:
        """Nothing."""


_OFF = _Off("", "internal", TraceContext("", ""), "", "", 0)
_current: ContextVar[ActiveSpan | None] = ContextVar("productops_span", default=None)


class _Recorder:
    """The queue of one process, and the thread that empties it. A forked child has a thread of its own."""

    def __init__(self, program: str, keep: Keep, version: str) -> None:
        self.program, self.version = program, version
        self._keep = keep
        self._spans: deque[Span] = deque(maxlen=QUEUE_MAX)
        self._links: deque[SubjectLink] = deque(maxlen=QUEUE_MAX)
        self._pid = 0
        self._lock = threading.Lock()
        self._flushing = threading.Lock()

    def add(self, span: Span) -> None:
        self._spans.append(span)
        self._wake()

    def link(self, link: SubjectLink) -> None:
        self._links.append(link)
        self._wake()

    def _wake(self) -> None:
        if self._pid == os.getpid():
            return
        with self._lock:
            if self._pid != os.getpid():
                self._pid = os.getpid()
                threading.Thread(target=self._repeat, name="telemetry", daemon=True).start()

    def _repeat(self) -> None:
        while True:
            time.sleep(FLUSH_S)
            self.flush()

    def flush(self) -> None:
        with self._flushing:
            spans, links = _taken(self._spans), _taken(self._links)
            if not spans and not links:
                return
            try:
                self._keep(spans, links)
            except Exception as error:  # noqa: BLE001 - spans tell of the work; whatever is wrong with them must never stop it
                log.warning("spans lost", spans=len(spans), reason=f"{type(error).__name__}: {error}"[:300])


def _taken(queue: deque[Any]) -> list[Any]:
    return [queue.popleft() for _ in range(len(queue))]


_recorder: _Recorder | None = None


def set_up(program: str, keep: Keep, *, version: str = "") -> None:
    """Record spans of this process from now on: once, where a program begins."""
    global _recorder  # noqa: PLW0603 - one process has one queue, as it has one set-up of its logs
    if _recorder is None:
        atexit.register(flush)
    _recorder = _Recorder(program, keep, version)


def turn_off() -> None:
    """Record nothing any more; what waits is handed on."""
    global _recorder  # noqa: PLW0603 - see set_up
    flush()
    _recorder = None


def is_on() -> bool:
    """Whether spans are recorded."""
    return _recorder is not None


def flush() -> None:
    """Hand on what waits, now. For a process that ends without saying so, as a fork does."""
    if _recorder is not None:
        _recorder.flush()


def current() -> TraceContext | None:
    """Where in a trace this code runs; ``None`` outside of spans, and where the trace is only looked up when spans are kept."""
    active = _current.get()
    return active.context if active is not None and active.context.trace_id else None


def current_span() -> ActiveSpan:
    """The span this code runs in; one that takes everything and keeps nothing where there is none."""
    return _current.get() or _OFF


def follow(subject: str, *, venture: str, environment: Environment) -> None:
    """Let all work on a thing of ours (``release/<id>``) be part of the trace that this code runs in."""
    active = _current.get()
    if _recorder is None or active is None or active.subject:
        return
    active.venture, active.environment = venture, environment
    _recorder.link(SubjectLink(subject, active.context.trace_id, active.context.span_id))


@contextmanager
def span(
    name: str, *, kind: str = "internal", parent: TraceContext | None = None, subject: str = "", venture: str = "",
    environment: Environment = Environment.PRODUCTION, attributes: Mapping[str, Any] | None = None,
) -> Iterator[ActiveSpan]:  # fmt: skip
    """Record a piece of work. An exception that leaves it makes it a failed one.

    It is part of ``parent``, else of the trace of ``subject``, else of the span around it; otherwise it begins a trace.
    """
    if _recorder is None:
        yield _OFF
        return
    active = _begin(name, kind, parent, subject, venture, environment)
    for key, value in (attributes or {}).items():
        active.put(key, value)
    began, token = time.perf_counter(), _current.set(active)
    try:
        yield active
    except BaseException as error:
        active.put("error.type", type(error).__name__)
        active.fail(str(error) or type(error).__name__)
        raise
    finally:
        _current.reset(token)
        _finish(active, int((time.perf_counter() - began) * 1e6))


def emit(
    name: str, *, started_us: int, duration_us: int, kind: str = "internal", subject: str = "", venture: str = "",
    environment: Environment = Environment.PRODUCTION, error: str = "", attributes: Mapping[str, Any] | None = None,
) -> None:  # fmt: skip
    """Record a piece of work that is over. ``error``: why it failed."""
    if _recorder is None:
        return
    active = _begin(name, kind, None, subject, venture, environment)
    active.started_us = started_us
    for key, value in (attributes or {}).items():
        active.put(key, value)
    if error:
        active.fail(error)
    _finish(active, duration_us)


def _begin(
    name: str, kind: str, parent: TraceContext | None, subject: str, venture: str, environment: Environment
) -> ActiveSpan:  # fmt: skip
    around = _current.get()
    if parent is None and not subject and around is not None:
        parent, subject = around.context, around.subject
        venture, environment = venture or around.venture, around.environment
    trace_id = parent.trace_id if parent is not None else "" if subject else new_trace_id()
    parent_id = parent.span_id if parent is not None else ""
    context = TraceContext(trace_id, new_span_id())
    return ActiveSpan(name[:NAME_MAX], kind, context, parent_id, subject, time.time_ns() // 1_000, venture, environment)


def _finish(active: ActiveSpan, duration_us: int) -> None:
    recorder = _recorder
    if recorder is None or active.dropped:
        return
    recorder.add(
        Span(
            trace_id=active.context.trace_id, span_id=active.context.span_id, parent_id=active.parent_id, venture=active.venture,
            service=f"productops-{recorder.program}", environment=active.environment, name=active.name, started_us=active.started_us,
            duration_us=duration_us, kind=active.kind, error=active.error, message=active.message, version=recorder.version,
            attributes=active.attributes, subject=active.subject,
        )
    )  # fmt: skip
