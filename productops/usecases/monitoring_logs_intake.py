"""Takes log lines in: secrets out, a template for each, errors counted, packed, and stored in one short transaction."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from productops.domain.monitoring_logs import TEXT_MAX, LogLevel, LogLine, LogOffset, LogOrigin, LogService
from productops.domain.monitoring_logs_chunk import Chunk, cut, pack
from productops.domain.monitoring_logs_errors import ErrorSeen, plain_error, read_error
from productops.domain.monitoring_logs_rate import Allowance
from productops.domain.release import Environment
from productops.redaction import redact_line
from productops.stats.log_templates import Cluster, TemplateTree
from productops.store.monitoring_logs_errors import ErrorKey, SeenErrors
from productops.store.monitoring_logs_templates import MinuteKey
from productops.usecases.context import Context

TEMPLATES_MAX = 1_000
SERVICES_MAX = 2_000
SAMPLE_MAX = 4_000
MINUTE_US = 60_000_000
BURST_S = 10.0


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of lines: kept, or only counted because they came too fast."""

    lines: int = 0
    dropped: int = 0


@dataclass(slots=True)
class _Book:
    """What is known of a service's lines at one level: the tree, and the ids of its clusters in the store."""

    venture: str
    service: str
    level: LogLevel
    tree: TemplateTree
    ids: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Seen:
    error: ErrorSeen
    sample: str
    first_us: int
    last_us: int
    counts: dict[tuple[str, int], int] = field(default_factory=dict)


@dataclass(slots=True)
class _Batch:
    """What a batch of lines comes to, before it is written."""

    lines: list[LogLine] = field(default_factory=list)
    clusters: list[tuple[_Book, Cluster]] = field(default_factory=list)
    kept: list[bool] = field(default_factory=list)
    new: dict[int, tuple[_Book, list[Cluster]]] = field(default_factory=dict)
    wider: dict[int, str] = field(default_factory=dict)
    errors: dict[ErrorKey, _Seen] = field(default_factory=dict)


class LogIntake:
    """One for each process. Safe for many threads; one batch is worked on at a time."""

    def __init__(self, context: Context, *, lines_per_s: int = 2_000) -> None:
        self._context = context
        self._allowance = Allowance(per_s=lines_per_s, burst_s=BURST_S)
        self._lock = threading.Lock()
        self._books: dict[tuple[str, LogLevel], _Book] = {}

    def take(self, lines: Sequence[LogLine], *, offsets: Mapping[str, LogOffset] | None = None) -> Kept:
        """Keep lines of any ventures, and with them how far files were read. All of it or nothing is stored.

        Raises: StoreUnavailableError.
        """
        if not lines and not offsets:
            return Kept()
        with self._lock:
            batch = self._read(lines)
            self._name(batch)
            chunks = self._pack(batch)
            return self._write(batch, chunks, offsets or {})

    # ---- reading

    def _read(self, lines: Iterable[LogLine]) -> _Batch:
        batch = _Batch()
        now = self._context.clock.monotonic()
        for line in lines:
            clean = redact_line(line.text[:TEXT_MAX].replace("\0", ""))
            if clean != line.text:
                line = replace(line, text=clean)  # noqa: PLW2901 - the line goes on without its secrets
            book = self._book(line.origin, line.level)
            cluster, changed = book.tree.learn(line.text)
            if cluster.number not in book.ids:
                batch.new.setdefault(id(book), (book, []))[1].append(cluster)
            elif changed:
                batch.wider[book.ids[cluster.number]] = cluster.text
            if line.level >= LogLevel.ERROR:
                _note_error(batch.errors, line, cluster.text)
            batch.lines.append(line)
            batch.clusters.append((book, cluster))
            batch.kept.append(line.level >= LogLevel.WARNING or self._allowance.take(line.origin.service, now=now))
        return batch

    def _book(self, origin: LogOrigin, level: LogLevel) -> _Book:
        found = self._books.get((origin.service, level))
        if found is None:
            if len(self._books) >= SERVICES_MAX:
                self._books.clear()
            with self._context.store.read() as unit:
                known = unit.logs.templates.known(origin.service, limit=TEMPLATES_MAX * len(LogLevel))
            for each in LogLevel:
                book = _Book(origin.venture, origin.service, each, TemplateTree(clusters_max=TEMPLATES_MAX))
                for template in reversed([t for t in known if t.level is each][:TEMPLATES_MAX]):
                    book.ids.setdefault(book.tree.seed(template.text).number, template.id)
                self._books[origin.service, each] = book
            found = self._books[origin.service, level]
        return found

    # ---- writing

    def _name(self, batch: _Batch) -> None:
        """Give new templates their ids. Few batches have any, and never many."""
        if not batch.new:
            return
        now = self._context.clock.now()
        with self._context.store.write() as unit:
            for book, clusters in batch.new.values():
                shapes = {(book.level, cluster.text) for cluster in clusters}
                ids = unit.logs.templates.put(book.venture, book.service, shapes, now=now)
                for cluster in clusters:
                    book.ids[cluster.number] = ids[book.level, cluster.text]
        for book, _ in batch.new.values():
            if len(book.ids) > 2 * TEMPLATES_MAX:
                living = {cluster.number for cluster in book.tree.clusters}
                book.ids = {number: template for number, template in book.ids.items() if number in living}

    def _pack(self, batch: _Batch) -> list[Chunk]:
        ventures: dict[str, tuple[list[LogLine], list[int]]] = {}
        for line, (book, cluster), kept in zip(batch.lines, batch.clusters, batch.kept, strict=True):
            if kept:
                lines, templates = ventures.setdefault(line.origin.venture, ([], []))
                lines.append(line)
                templates.append(book.ids[cluster.number])
        return [pack(lines[part], templates[part]) for lines, templates in ventures.values() for part in cut(lines)]

    def _write(self, batch: _Batch, chunks: Sequence[Chunk], offsets: Mapping[str, LogOffset]) -> Kept:
        now = self._context.clock.now()
        counts, services = _counts(batch), _services(batch)
        errors = {key: _stored(seen) for key, seen in batch.errors.items()}
        with self._context.store.write() as unit:
            for chunk in chunks:
                unit.logs.add(chunk, now=now)
            unit.logs.templates.widen(batch.wider)
            unit.logs.templates.count(counts, now=now)
            unit.logs.errors.add(errors)
            for service in services:
                unit.logs.note_service(service)
            for instance, offset in sorted(offsets.items()):
                unit.logs.keep_offset(instance, offset, now=now)
        kept = sum(batch.kept)
        return Kept(kept, len(batch.kept) - kept)


def _note_error(errors: dict[ErrorKey, _Seen], line: LogLine, template: str) -> None:
    error = read_error(line.text) or plain_error(line.text, template)
    origin = line.origin
    key = (origin.venture, origin.service, origin.environment, error.fingerprint)
    seen = errors.setdefault(key, _Seen(error, line.text[:SAMPLE_MAX], line.at_us, line.at_us))
    seen.first_us, seen.last_us = min(seen.first_us, line.at_us), max(seen.last_us, line.at_us)
    place = (origin.version, line.at_us // MINUTE_US)
    seen.counts[place] = seen.counts.get(place, 0) + 1


def _stored(seen: _Seen) -> SeenErrors:
    return SeenErrors(seen.error, seen.sample, _at(seen.first_us), _at(seen.last_us), seen.counts)


def _counts(batch: _Batch) -> dict[MinuteKey, int]:
    counts: dict[MinuteKey, int] = {}
    for line, (book, cluster) in zip(batch.lines, batch.clusters, strict=True):
        key = (book.ids[cluster.number], line.origin.environment, line.origin.version, line.at_us // MINUTE_US)
        counts[key] = counts.get(key, 0) + 1
    return counts


def _services(batch: _Batch) -> list[LogService]:
    totals: dict[tuple[str, Environment], list[int]] = {}
    ventures: dict[str, str] = {}
    for line, kept in zip(batch.lines, batch.kept, strict=True):
        total = totals.setdefault((line.origin.service, line.origin.environment), [line.at_us, line.at_us, 0, 0])
        total[0], total[1] = min(total[0], line.at_us), max(total[1], line.at_us)
        total[2 if kept else 3] += 1
        ventures[line.origin.service] = line.origin.venture
    return [
        LogService(ventures[service], service, where, _at(first), _at(last), kept, dropped)
        for (service, where), (first, last, kept, dropped) in sorted(totals.items())
    ]


def _at(us: int) -> datetime:
    return datetime.fromtimestamp(us / 1e6, UTC)
