"""Keeps the spans of our own programs, and hands them to a collector where one is named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from productops import telemetry
from productops.adapters.monitoring_traces_export import SpanExporter, make_exporter
from productops.domain.monitoring_traces import Span, SubjectLink, new_trace_id, trace_of_subject
from productops.errors import StoreUnavailableError
from productops.store import Store, Unit

StoreOf = Callable[[], Store]


def record_own_spans(program: str, store_of: StoreOf, *, version: str = "") -> None:
    """Record what this program does, into its store, and by OTLP where ``OTEL_EXPORTER_OTLP_ENDPOINT`` says so.

    ``store_of`` is asked when there are spans: a fork has a store of its own.
    """
    telemetry.set_up(program, Keeper(store_of, make_exporter()), version=version)


class Keeper:
    """Finds the traces of spans that belong to a thing of ours, stores them, and exports them."""

    def __init__(self, store_of: StoreOf, exporter: SpanExporter | None = None) -> None:
        self._store_of = store_of
        self._exporter = exporter

    def __call__(self, spans: Sequence[Span], links: Sequence[SubjectLink]) -> None:
        """Raises: StoreUnavailableError, after the export."""
        try:
            with self._store_of().write() as unit:
                placed = _placed(unit, spans, links)
                unit.traces.add(placed)
        except StoreUnavailableError:
            if self._exporter is not None:
                self._exporter.export([_alone(span) for span in spans])
            raise
        if self._exporter is not None:
            self._exporter.export(placed)


def _placed(unit: Unit, spans: Sequence[Span], links: Sequence[SubjectLink]) -> list[Span]:
    from datetime import UTC, datetime

    unit.traces.follow(links, now=datetime.now(UTC))
    subjects = {span.subject for span in spans if span.subject}
    known = unit.traces.links(subjects) if subjects else {}
    return [_in_trace(span, known) if span.subject else span for span in spans]


def _in_trace(span: Span, known: dict[str, SubjectLink]) -> Span:
    link = known.get(span.subject)
    if link is None:
        return _alone(span)
    return replace(span, trace_id=link.trace_id, parent_id=span.parent_id or link.span_id)


def _alone(span: Span) -> Span:
    """A thing whose trace nobody began elsewhere has one that its own id gives."""
    return span if span.trace_id else replace(span, trace_id=trace_of_subject(span.subject) or new_trace_id())
