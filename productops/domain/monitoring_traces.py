"""Traces: spans of programs, the W3C trace context they pass on, and who calls whom."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from productops.domain.release import Environment

NAME_MAX: Final = 200
ATTRIBUTES_MAX: Final = 64
VALUE_MAX: Final = 1_000
EVENTS_MAX: Final = 16
KINDS: Final = ("internal", "server", "client", "producer", "consumer")
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_LENGTH_0 = 55  # of version 00, which has nothing after its flags
_ENTRIES = frozenset({"server", "consumer"})
BOUNDS_MS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000)
"""Upper bounds of the buckets that durations of calls are counted in; what is longer is in one more."""


@dataclass(frozen=True, slots=True)
class TraceContext:
    """Where in a trace something happens: 32 and 16 hex digits, none of them all zeros. ``sampled`` is the sender's wish."""

    trace_id: str
    span_id: str
    sampled: bool = True

    @property
    def traceparent(self) -> str:
        """As W3C Trace Context writes it, section 3.2."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"


def read_traceparent(header: str | None) -> TraceContext | None:
    """The context of a ``traceparent`` header; None for none and for a wrong one, which starts a new trace."""
    given = (header or "").strip()
    found = _TRACEPARENT.fullmatch(given)
    if found is None or found[1] == "ff" or (found[1] == "00" and len(given) != _LENGTH_0):
        return None
    if not int(found[2], 16) or not int(found[3], 16):
        return None
    return TraceContext(found[2], found[3], sampled=bool(int(found[4], 16) & 1))


def new_trace_id() -> str:
    """32 hex digits at random."""
    return secrets.token_hex(16)


def new_span_id() -> str:
    """16 hex digits at random."""
    return secrets.token_hex(8)


def trace_of_subject(subject: str) -> str:
    """The trace of something that has an id of its own (``release/<uuid>``) where nobody began one: the id without its dashes."""
    digits = subject.rpartition("/")[2].replace("-", "").lower()
    return digits if re.fullmatch(r"[0-9a-f]{32}", digits) and int(digits, 16) else ""


@dataclass(frozen=True, slots=True)
class Span:
    """One piece of work. Times are Unix microseconds. ``kind`` is one of ``KINDS``; ``error`` says that it failed, ``message`` how.

    ``subject`` (``release/<id>``) stands for a trace that is looked up when the span is kept; its ``trace_id`` is empty until then.
    """

    trace_id: str
    span_id: str
    parent_id: str
    venture: str
    service: str
    environment: Environment
    name: str
    started_us: int
    duration_us: int
    kind: str = "internal"
    error: bool = False
    message: str = ""
    version: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    events: tuple[Mapping[str, Any], ...] = ()
    subject: str = ""

    @property
    def entry(self) -> bool:
        """Whether a service was entered here: it has no parent, or answers somebody."""
        return not self.parent_id or self.kind in _ENTRIES

    @property
    def started_at(self) -> datetime:
        """When it began."""
        return datetime.fromtimestamp(self.started_us / 1e6, UTC)

    @property
    def duration_ms(self) -> float:
        """How long it took."""
        return self.duration_us / 1_000


@dataclass(frozen=True, slots=True)
class SubjectLink:
    """That a thing of ours (``release/<id>``) is worked on in a trace that somebody else began."""

    subject: str
    trace_id: str
    span_id: str


@dataclass(frozen=True, slots=True)
class EdgeCount:
    """Calls of one service to another in one minute (Unix minutes); ``buckets`` by ``BOUNDS_MS`` and one for longer ones.

    ``kind`` is service, database, messaging or external.
    """

    venture: str
    environment: Environment
    caller: str
    callee: str
    kind: str
    minute: int
    calls: int
    errors: int
    total_us: int
    max_us: int
    buckets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CallEdge:
    """Who calls whom, over a window: rate, errors and durations as the caller saw them."""

    venture: str
    environment: Environment
    caller: str
    callee: str
    kind: str
    calls: int
    errors: int
    calls_per_s: float
    mean_ms: float
    p50_ms: float
    p95_ms: float
    max_ms: float

    @property
    def error_ratio(self) -> float:
        """Failed calls among all."""
        return self.errors / self.calls if self.calls else 0.0


def bucket_of(duration_us: int) -> int:
    """Index of the bucket of a duration."""
    for index, bound in enumerate(BOUNDS_MS):
        if duration_us <= bound * 1_000:
            return index
    return len(BOUNDS_MS)


def quantile_ms(buckets: tuple[int, ...], share: float, *, max_us: int) -> float:
    """The duration that ``share`` of the calls did not exceed, by interpolation within its bucket; 0 without calls."""
    total = sum(buckets)
    if not total:
        return 0.0
    wanted, seen, longest = share * total, 0, max_us / 1_000
    for index, count in enumerate(buckets):
        if count and seen + count >= wanted:
            low = BOUNDS_MS[index - 1] if index else 0.0
            high = min(BOUNDS_MS[index], longest) if index < len(BOUNDS_MS) else longest
            return low + (max(high, low) - low) * (wanted - seen) / count
        seen += count
    return longest


def merge_edges(counts: list[EdgeCount], *, window_s: float) -> list[CallEdge]:
    """One edge for each pair, the busiest first. ``window_s`` is what rates are of."""
    pairs: dict[tuple[str, Environment, str, str, str], list[EdgeCount]] = {}
    for each in counts:
        pairs.setdefault((each.venture, each.environment, each.caller, each.callee, each.kind), []).append(each)
    edges = [_merged(key, found, window_s) for key, found in pairs.items()]
    return sorted(edges, key=lambda edge: (-edge.calls, edge.caller, edge.callee))


def _merged(key: tuple[str, Environment, str, str, str], found: list[EdgeCount], window_s: float) -> CallEdge:
    calls = sum(each.calls for each in found)
    buckets = tuple(sum(column) for column in zip(*(each.buckets for each in found), strict=True))
    longest = max(each.max_us for each in found)
    return CallEdge(
        *key, calls=calls, errors=sum(each.errors for each in found), calls_per_s=calls / max(window_s, 1.0),
        mean_ms=sum(each.total_us for each in found) / max(calls, 1) / 1_000, p50_ms=quantile_ms(buckets, 0.5, max_us=longest),
        p95_ms=quantile_ms(buckets, 0.95, max_us=longest), max_ms=longest / 1_000,
    )  # fmt: skip
