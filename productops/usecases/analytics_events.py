"""Take usage events in: read each, write all of a request to the disk, and say what became of them."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

import structlog

from productops.adapters.analytics_events_json import loads
from productops.adapters.analytics_events_segments import SegmentWriter, frame_of
from productops.domain.analytics_events import DAY_US, ID, Row, microseconds
from productops.domain.analytics_events_intake import EventReader, time_us
from productops.domain.analytics_events_plan import RefusedEventError
from productops.domain.governance_access import Operation
from productops.errors import InvalidInputError, NotFoundError
from productops.usecases.analytics_events_folder import folder_of
from productops.usecases.analytics_events_reading import reader_of
from productops.usecases.context import Actor, Context

log = structlog.get_logger(__name__)
EVENTS_MAX: Final = 10_000
REASONS_MAX: Final = 100
FRESH_S: Final = 2.0
IDS_REMEMBERED: Final = 100_000
REFUSALS_MAX: Final = 1_000
_MANY: Final = "(others)"
MIB: Final = 1_048_576


@dataclass(frozen=True, slots=True)
class Refused:
    """An event of a request that was not taken: its place, from 0, and why."""

    index: int
    reason: str


@dataclass(slots=True)
class Taken:
    """What became of a request. It is only true once ``kept`` ended well."""

    accepted: int = 0
    duplicates: int = 0
    dropped: int = 0
    refused_total: int = 0
    refused: list[Refused] = field(default_factory=list)
    kept: list[Future[None]] = field(default_factory=list)
    rows: dict[str, list[Row]] = field(default_factory=dict)


class RecentIds:
    """Ids of events that are on the disk: the newest some 100,000 of this program."""

    def __init__(self, size: int = IDS_REMEMBERED) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._new: set[str] = set()
        self._old: set[str] = set()

    def __contains__(self, id_: str) -> bool:
        return id_ in self._new or id_ in self._old

    def add(self, ids: Iterable[str]) -> None:
        """Remember more."""
        with self._lock:
            self._new.update(ids)
            if len(self._new) > self._size:
                self._old, self._new = self._new, set()


class EventIntake:
    """What a program that takes events in keeps in memory. Safe for many threads."""

    def __init__(
        self, context: Context, *, secret: bytes, retention_days: int = 36_500, free_mb: int = 0, backlog_mb: int = 1024
    ) -> None:  # fmt: skip
        self._context, self._secret, self._retention_days = context, secret, retention_days
        folder = folder_of(context).incoming
        self.writer = SegmentWriter(folder, free_bytes_min=free_mb * MIB, backlog_bytes_max=backlog_mb * MIB)
        self._lock = threading.Lock()
        self._readers: dict[str, EventReader] = {}
        self._revisions: Mapping[str, int] = {}
        self._ventures: frozenset[str] = frozenset()
        self._looked = float("-inf")
        self._recent = RecentIds()
        self._refusals: Counter[tuple[str, date, str, str]] = Counter()

    def take(self, body: bytes, *, lines: bool, venture: str | None, actor: Actor) -> Taken:
        """Read a request and hand it to the disk; ``lines``: one JSON object a line, else an array, ``{"batch": […]}`` or one event.

        Raises: InvalidInputError for what is no such thing, NotFoundError for a venture, ForbiddenError, EventsBusyError.
        """
        self._refresh()
        found = Taken()
        if lines:
            events, sent, wanted = _lines(body, found), None, venture
        else:
            events, sent, named = _batch(_document(body))
            wanted = venture or named
        self._read_all(events, sent_us=sent, venture=wanted, found=found, actor=actor)
        self.write(found)
        return found

    def write(self, found: Taken) -> None:
        """Hand rows to the disk. Raises: EventsBusyError."""
        for venture, rows in found.rows.items():
            found.kept.append(self.writer.submit(frame_of(venture, rows)))

    def confirm(self, found: Taken) -> None:
        """The rows are on the disk: who sends them again is told so."""
        for rows in found.rows.values():
            self._recent.add([row[ID] for row in rows])

    def person_key(self, venture: str, person: str) -> str:
        """What somebody is called in the files. Raises: StoreUnavailableError before the first time."""
        self._refresh()
        reader = self._readers.get(venture)
        return reader.known_as(person) if reader is not None else person

    def flush_refusals(self) -> None:
        """Write the counts of what was refused. Raises: StoreUnavailableError; they are lost then, they are only counts."""
        with self._lock:
            counts, self._refusals = self._refusals, Counter()
        if counts:
            with self._context.store.write() as unit:
                unit.analytics_events.seen.refuse(counts)

    def _refresh(self) -> None:
        """Ventures and plans as they were two seconds ago at most. Raises: StoreUnavailableError before the first time."""
        if time.monotonic() - self._looked < FRESH_S:
            return
        with self._lock:
            if time.monotonic() - self._looked < FRESH_S:
                return
            with self._context.store.read() as unit:
                self._ventures = frozenset(unit.catalog.ventures())
                revisions = unit.analytics_events.plans.revisions()
                now = microseconds(self._context.clock.now())
                oldest = now - self._retention_days * DAY_US
                for venture in self._ventures:
                    if venture not in self._readers or self._revisions.get(venture) != revisions.get(venture):
                        self._readers[venture] = reader_of(unit, venture, secret=self._secret, oldest_us=oldest)
            self._revisions, self._looked = revisions, time.monotonic()

    def _read_all(self, events: Sequence[Any], *, sent_us: int | None, venture: str | None, found: Taken, actor: Actor) -> None:
        if len(events) > EVENTS_MAX:
            raise InvalidInputError(f"a request has at most {EVENTS_MAX:,} events, this one has {len(events):,}; send several")
        allowed: dict[str, EventReader] = {}
        if venture is not None:
            allowed[venture] = self._allowed(venture, actor)
        rows: dict[str, list[Row]] = defaultdict(list)
        seen: set[str] = set()
        received = microseconds(self._context.clock.now())
        for index, raw in enumerate(events):
            if raw is _UNREADABLE:
                continue
            own: Any = raw.get("venture", venture) if type(raw) is dict else venture
            try:
                reader = (allowed.get(own) if type(own) is str else None) or self._reader_for(own, allowed, actor)
                row = reader.read(raw, received_us=received, sent_us=sent_us)
            except RefusedEventError as error:
                self._refuse(found, index, raw, own, str(error))
                continue
            self._sort_out(row, own, found, rows, seen)
        found.rows = rows
        found.accepted = sum(map(len, rows.values()))

    def _sort_out(self, row: Row | None, venture: str, found: Taken, rows: dict[str, list[Row]], seen: set[str]) -> None:
        if row is None:
            found.dropped += 1
        elif row[ID] in seen or row[ID] in self._recent:
            found.duplicates += 1
        else:
            seen.add(row[ID])
            rows[venture].append(row)

    def _reader_for(self, venture: Any, allowed: dict[str, EventReader], actor: Actor) -> EventReader:
        """The reader for an event that names its venture itself. Raises: RefusedEventError, ForbiddenError."""
        if not isinstance(venture, str):
            raise RefusedEventError("it names no venture: write ?venture= or a field venture")
        try:
            allowed[venture] = self._allowed(venture, actor)
        except NotFoundError as error:
            raise RefusedEventError(str(error)) from error
        return allowed[venture]

    def _allowed(self, venture: str, actor: Actor) -> EventReader:
        """Raises: ForbiddenError, NotFoundError."""
        actor.check(Operation.ANALYTICS_WRITE, venture=venture)
        if venture not in self._ventures:
            raise NotFoundError(f"there is no venture {venture[:80]!r}")
        return self._readers[venture]

    def _refuse(self, found: Taken, index: int, raw: Any, venture: Any, reason: str) -> None:
        found.refused_total += 1
        if len(found.refused) < REASONS_MAX:
            found.refused.append(Refused(index, reason))
        name = raw.get("event") if type(raw) is dict else None
        name = name[:200] if isinstance(name, str) else ""
        if isinstance(venture, str) and venture in self._ventures:
            place = (venture, self._context.clock.now().date(), name, reason[:200])
            with self._lock:
                known = place in self._refusals or len(self._refusals) < REFUSALS_MAX
                self._refusals[place if known else (venture, place[1], _MANY, _MANY)] += 1


_UNREADABLE: Final = object()


def _document(body: bytes) -> Any:
    try:
        return loads(body)
    except ValueError as error:
        raise InvalidInputError(f"the body is no JSON: {error}") from error


def _batch(document: Any) -> tuple[Sequence[Any], int | None, str | None]:
    """Events, when the client sent them by its clock, and the venture, where the request says so. Raises: InvalidInputError."""
    if isinstance(document, list):
        return document, None, None
    if not isinstance(document, dict):
        raise InvalidInputError('the body has to be an array of events, {"batch": […]} or one event')
    venture = document.get("venture")
    named = venture if isinstance(venture, str) else None
    batch = document.get("batch")
    if batch is None:
        return [document], None, named
    if not isinstance(batch, list):
        raise InvalidInputError("batch has to be an array of events")
    try:
        sent = time_us(document["sentAt"]) if document.get("sentAt") is not None else None
    except RefusedEventError as error:
        raise InvalidInputError(f"sentAt: {error}") from error
    return batch, sent, named


def _lines(body: bytes, found: Taken) -> Sequence[Any]:
    """One event a line; a line that is no JSON is refused by itself."""
    events: list[Any] = []
    for line in body.split(b"\n"):
        if not line.strip():
            continue
        try:
            events.append(loads(line))
        except ValueError:
            found.refused_total += 1
            if len(found.refused) < REASONS_MAX:
                found.refused.append(Refused(len(events), "the line is no JSON"))
            events.append(_UNREADABLE)
    return events
