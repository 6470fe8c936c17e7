"""Spans that were kept, traces of our own things, and who calls whom."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from productops.domain.monitoring_logs import unix_us
from productops.domain.monitoring_traces import EdgeCount, Span, SubjectLink
from productops.domain.release import Environment
from productops.store.tables import TraceEdgeRow, TraceSpanRow, TraceSubjectRow

SPANS_MAX = 5_000


@dataclass(frozen=True, slots=True)
class SpanQuery:
    """Which entries into services are meant; what is not said does not matter. Durations in milliseconds."""

    ventures: frozenset[str] | None = None
    service: str | None = None
    environment: Environment | None = None
    since: datetime | None = None
    until: datetime | None = None
    error: bool | None = None
    duration_min_ms: float | None = None
    name: str | None = None


class Traces:
    """Repository of spans within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, spans: Iterable[Span]) -> None:
        """Keep spans; one that is there already stays as it is."""
        rows = [
            {
                "trace_id": s.trace_id, "span_id": s.span_id, "parent_id": s.parent_id, "venture": s.venture, "service": s.service,
                "environment": s.environment.value, "version": s.version, "name": s.name, "kind": s.kind, "entry": s.entry,
                "error": s.error, "message": s.message, "started_us": s.started_us, "duration_us": s.duration_us,
                "attributes": dict(s.attributes), "events": [dict(event) for event in s.events],
            }
            for s in spans
        ]  # fmt: skip
        if rows:
            made = self._insert(TraceSpanRow).on_conflict_do_nothing(index_elements=["trace_id", "span_id"])
            self._session.connection().execute(made, rows)

    def of(self, trace_id: str) -> list[Span]:
        """The spans of a trace in the order they began, 5,000 at most."""
        query = select(TraceSpanRow).where(TraceSpanRow.trace_id == trace_id).order_by(TraceSpanRow.started_us, TraceSpanRow.span_id)
        return [_span(row) for row in self._session.scalars(query.limit(SPANS_MAX))]

    def entries(self, query: SpanQuery, *, before: tuple[int, str] | None, limit: int) -> list[Span]:
        """Entries into services, the newest first. ``before``: begin and span id of the last one that was given."""
        row = TraceSpanRow
        wanted = select(row).where(row.entry.is_(True))
        tests: dict[str, Callable[[Any], Any]] = {
            "ventures": lambda v: row.venture.in_(sorted(v)), "service": lambda v: row.service == v,
            "environment": lambda v: row.environment == v.value, "since": lambda v: row.started_us >= unix_us(v),
            "until": lambda v: row.started_us < unix_us(v), "error": row.error.is_,
            "duration_min_ms": lambda v: row.duration_us >= v * 1_000, "name": lambda v: row.name == v,
        }  # fmt: skip
        for field, test in tests.items():
            value = getattr(query, field)
            if value is not None:
                wanted = wanted.where(test(value))
        if before is not None:
            at, span = before
            wanted = wanted.where((row.started_us < at) | ((row.started_us == at) & (row.span_id < span)))
        if query.service is None:
            wanted = wanted.where(row.parent_id == "")
        return [_span(each) for each in self._session.scalars(wanted.order_by(row.started_us.desc(), row.span_id.desc()).limit(limit))]

    def follow(self, links: Iterable[SubjectLink], *, now: datetime) -> None:
        """Note which trace a thing of ours belongs to; the first one counts."""
        rows = [{"subject": each.subject, "trace_id": each.trace_id, "span_id": each.span_id, "at": now} for each in links]
        if rows:
            made = self._insert(TraceSubjectRow).on_conflict_do_nothing(index_elements=["subject"])
            self._session.connection().execute(made, rows)

    def links(self, subjects: Collection[str]) -> dict[str, SubjectLink]:
        """Noted traces by subject."""
        rows = self._session.scalars(select(TraceSubjectRow).where(TraceSubjectRow.subject.in_(sorted(subjects))))
        return {row.subject: SubjectLink(row.subject, row.trace_id, row.span_id) for row in rows}

    def put_edges(self, edges: Sequence[EdgeCount], writer: str) -> None:
        """Set what this writer has counted in these minutes so far."""
        for each in edges:
            self._session.merge(
                TraceEdgeRow(
                    minute=each.minute, venture=each.venture, environment=each.environment.value, caller=each.caller, callee=each.callee,
                    kind=each.kind, writer=writer, calls=each.calls, errors=each.errors, total_us=each.total_us, max_us=each.max_us,
                    buckets=list(each.buckets),
                )
            )  # fmt: skip

    def edges(self, *, ventures: frozenset[str] | None, since: datetime, until: datetime) -> list[EdgeCount]:
        """Counts of the minutes of a window."""
        row = TraceEdgeRow
        first, last = int(since.timestamp() // 60), int((until - timedelta(microseconds=1)).timestamp() // 60)
        wanted = select(row).where(row.minute >= first, row.minute <= last)
        if ventures is not None:
            wanted = wanted.where(row.venture.in_(sorted(ventures)))
        return [
            EdgeCount(
                venture=e.venture, environment=Environment(e.environment), caller=e.caller, callee=e.callee, kind=e.kind, minute=e.minute,
                calls=e.calls, errors=e.errors, total_us=e.total_us, max_us=e.max_us, buckets=tuple(e.buckets),
            )
            for e in self._session.scalars(wanted)
        ]  # fmt: skip

    def forget(self, *, spans_before: datetime, edges_before: datetime, limit: int) -> int:
        """Delete spans that began before a time, at most so many, and edges of minutes before another; returns how many spans."""
        row = TraceSpanRow
        old = select(row.trace_id, row.span_id).where(row.started_us < unix_us(spans_before)).order_by(row.started_us).limit(limit)
        keys = [(trace, span) for trace, span in self._session.execute(old)]
        if keys:
            gone = delete(row).where(row.started_us < unix_us(spans_before), row.trace_id.in_({trace for trace, _ in keys}))
            self._session.execute(gone.execution_options(synchronize_session=False))
        self._session.execute(delete(TraceEdgeRow).where(TraceEdgeRow.minute < int(edges_before.timestamp() // 60)))
        self._session.execute(delete(TraceSubjectRow).where(TraceSubjectRow.at < spans_before))
        return len(keys)

    def _insert(self, table: type[Any]) -> Any:
        dialect = self._session.get_bind().dialect.name
        return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def _span(row: TraceSpanRow) -> Span:
    attributes: Mapping[str, Any] = row.attributes
    return Span(
        trace_id=row.trace_id, span_id=row.span_id, parent_id=row.parent_id, venture=row.venture, service=row.service,
        environment=Environment(row.environment), name=row.name, started_us=row.started_us, duration_us=row.duration_us, kind=row.kind,
        error=row.error, message=row.message, version=row.version, attributes=attributes, events=tuple(row.events),
    )  # fmt: skip
