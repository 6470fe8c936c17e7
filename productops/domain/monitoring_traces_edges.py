"""Who calls whom, worked out of spans as they come: a call of one service meets its answer in another."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from productops.domain.monitoring_traces import BOUNDS_MS, EdgeCount, Span, bucket_of
from productops.domain.release import Environment

WAIT_S = 10.0
WAITING_MAX = 20_000
MINUTES_KEPT = 10
PAIRS_MAX = 5_000
_CALLS = frozenset({"client", "producer"})
_ANSWERS = frozenset({"server", "consumer"})
_ADDRESS = ("peer.service", "server.address", "net.peer.name", "http.host", "network.peer.address")
_UNSAFE = re.compile(r"[^\w.:/@-]+")
EdgeKey = tuple[str, Environment, str, str, str, int]


@dataclass(slots=True)
class _Count:
    calls: int = 0
    errors: int = 0
    total_us: int = 0
    max_us: int = 0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_MS) + 1))

    def add(self, duration_us: int, *, error: bool) -> None:
        self.calls += 1
        self.errors += error
        self.total_us += duration_us
        self.max_us = max(self.max_us, duration_us)
        self.buckets[bucket_of(duration_us)] += 1


@dataclass(slots=True)
class EdgeMatcher:
    """Sees every span, before any is left out. Calls wait ten seconds for their answer; at most 20,000 wait.

    A call that nobody of ours answers is one to what its attributes name: a database, a queue, another host. ``is_service`` tells
    whether a name is one of our services. Times are monotonic seconds; one thread at a time.
    """

    is_service: Callable[[str], bool]
    _calls: OrderedDict[tuple[str, str], tuple[Span, float]] = field(default_factory=OrderedDict)
    _answers: OrderedDict[tuple[str, str], tuple[Span, float]] = field(default_factory=OrderedDict)
    _counts: dict[EdgeKey, _Count] = field(default_factory=dict)
    _changed: set[EdgeKey] = field(default_factory=set)

    def add(self, span: Span, *, now: float, minute: int) -> None:
        """Take a span in. ``minute`` is the Unix minute it is now: what is older than ten minutes counts for the tenth."""
        if span.kind in _CALLS:
            key = (span.trace_id, span.span_id)
            answer = self._answers.pop(key, None)
            if answer is not None:
                self._match(span, answer[0], minute)
            else:
                self._calls[key] = (span, now)
        elif span.kind in _ANSWERS and span.parent_id:
            key = (span.trace_id, span.parent_id)
            call = self._calls.pop(key, None)
            if call is not None:
                self._match(call[0], span, minute)
            else:
                self._answers[key] = (span, now)
        self._expire(now, minute)

    def settle(self, *, now: float, minute: int) -> list[EdgeCount]:
        """Counts that have changed since the last call: whole counts of their minutes, not differences."""
        self._expire(now, minute)
        changed = [self._edge(key) for key in sorted(self._changed, key=str)]
        self._changed.clear()
        for key in [each for each in self._counts if each[5] <= minute - MINUTES_KEPT]:
            del self._counts[key]
        return changed

    def _expire(self, now: float, minute: int) -> None:
        while self._calls and (now - next(iter(self._calls.values()))[1] > WAIT_S or len(self._calls) > WAITING_MAX):
            _, (span, _) = self._calls.popitem(last=False)
            callee, kind = self._peer(span.attributes)
            if callee:
                self._count(span, callee, kind, minute, error=span.error)
        while self._answers and (now - next(iter(self._answers.values()))[1] > WAIT_S or len(self._answers) > WAITING_MAX):
            self._answers.popitem(last=False)

    def _match(self, call: Span, answer: Span, minute: int) -> None:
        if call.service != answer.service:
            kind = "messaging" if call.kind == "producer" else "service"
            self._count(call, answer.service, kind, minute, error=call.error or answer.error)

    def _peer(self, attributes: Mapping[str, Any]) -> tuple[str, str]:
        """Who was called, by the conventions for names of databases, queues and hosts; an empty name for nobody known."""
        address = next((str(attributes[key]) for key in _ADDRESS if attributes.get(key)), "")
        for key, kind in (("db.system.name", "database"), ("db.system", "database"), ("messaging.system", "messaging")):
            if attributes.get(key):
                name = f"{attributes[key]}/{attributes.get('db.namespace') or attributes.get('db.name') or address}".rstrip("/")
                return _clean(name), kind
        return _clean(address), "service" if self.is_service(address) else "external"

    def _count(self, call: Span, callee: str, kind: str, minute: int, *, error: bool) -> None:
        began = max(min(call.started_us // 60_000_000, minute), minute - MINUTES_KEPT + 1)
        key = (call.venture, call.environment, call.service, callee, kind, began)
        if key not in self._counts and len(self._counts) >= PAIRS_MAX:
            return
        self._counts.setdefault(key, _Count()).add(call.duration_us, error=error)
        self._changed.add(key)

    def _edge(self, key: EdgeKey) -> EdgeCount:
        venture, environment, caller, callee, kind, minute = key
        count = self._counts[key]
        return EdgeCount(
            venture, environment, caller, callee, kind, minute, count.calls, count.errors, count.total_us, count.max_us,
            tuple(count.buckets),
        )  # fmt: skip


def _clean(name: str) -> str:
    return _UNSAFE.sub("-", name)[:100]
