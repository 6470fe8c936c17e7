"""How the taking in of usage events is: how much there is, what waits, what is in it, and the newest of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from productops.adapters.analytics_events_json import loads
from productops.adapters.analytics_events_segments import backlog_bytes, segments
from productops.adapters.analytics_events_table import kept, of_people
from productops.domain.analytics_events import Erasure, EventImport, Refusals, SeenName, person_number
from productops.domain.catalog_analytics_events import TrackingPlanSpec
from productops.domain.governance_access import Operation
from productops.errors import NotFoundError
from productops.usecases.analytics_events_folder import folder_of
from productops.usecases.analytics_events_read import read_events
from productops.usecases.context import Actor, Context

# The first that has enough; with 20,000 events a second a quarter of an hour would be eighteen million.
TAIL_SPANS: Final = (timedelta(seconds=5), timedelta(minutes=1), timedelta(minutes=15))
TAIL_COLUMNS: Final = (
    "event_id", "person", "name", "feature", "service", "version", "environment", "platform", "country", "at", "received_at",
    "duration_ms", "failed", "value", "properties",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class DayTotal:
    """Events of one UTC day, and in how many files."""

    day: date
    files: int
    events: int


@dataclass(frozen=True, slots=True)
class EventsStatus:
    """``waiting_*``: segments that are not sorted in yet, of all ventures; ``lag_s``: age of the oldest of them, 0 when there is none."""

    venture: str
    files: int
    events: int
    size_bytes: int
    newest_received_at: datetime | None
    waiting_bytes: int
    waiting_segments: int
    lag_s: float
    sorted_by: str
    days: Sequence[DayTotal]
    refusals: Sequence[Refusals]
    erasures: Sequence[Erasure]
    imports: Sequence[EventImport]


@dataclass(frozen=True, slots=True)
class EventSchema:
    """What was seen, and what the tracking plan says."""

    venture: str
    plan: str | None
    spec: TrackingPlanSpec | None
    names: Sequence[SeenName]


@dataclass(frozen=True, slots=True)
class TailEvent:
    """One event. ``person`` is the person's number in hexadecimal digits."""

    event_id: str
    person: str
    name: str
    columns: Mapping[str, Any]
    at: datetime
    received_at: datetime
    properties: Mapping[str, Any]


def events_status(context: Context, venture: str, *, actor: Actor, days: int = 14) -> EventsStatus:
    """Raises: NotFoundError, ForbiddenError, DependencyError for a program without a folder of events."""
    actor.check(Operation.ANALYTICS_READ, venture=venture)
    folder, now = folder_of(context), context.clock.now()
    waiting = segments(folder.incoming)
    with context.store.read() as unit:
        unit.catalog.venture_id(venture)
        files, events, size, newest = unit.analytics_events.totals(venture)
        by_day = unit.analytics_events.days(venture)[:days]
        refusals = unit.analytics_events.seen.refusals(venture, since=(now - timedelta(days=7)).date())
        holder = unit.analytics_events.holder()
        erasures = [each for each in unit.analytics_events.erasures.all(venture) if each.ended_at is None or each.forever]
        imports = unit.analytics_events.imports.all(venture, limit=5)
    begun = int(waiting[0].name.partition("-")[0]) / 1e9 if waiting else 0.0
    return EventsStatus(
        venture=venture, files=files, events=events, size_bytes=size, newest_received_at=newest,
        waiting_bytes=backlog_bytes(folder.incoming), waiting_segments=len(waiting),
        lag_s=max(0.0, now.timestamp() - begun) if waiting else 0.0, sorted_by=holder[0] if holder and holder[1] > now else "",
        days=[DayTotal(day, count, rows) for day, count, rows, _ in by_day], refusals=refusals, erasures=erasures, imports=imports,
    )  # fmt: skip


def event_schema(context: Context, venture: str, *, actor: Actor, name: str | None = None, days: int = 30) -> EventSchema:
    """Names of events and their properties as they were seen, and the plan beside. Raises: NotFoundError, ForbiddenError."""
    actor.check(Operation.ANALYTICS_READ, venture=venture)
    since = (context.clock.now() - timedelta(days=days)).date()
    with context.store.read() as unit:
        unit.catalog.venture_id(venture)
        names = unit.analytics_events.seen.names(venture, name=name, since=since)
        plan = unit.analytics_events.plans.find(venture)
    if name is not None and not names:
        raise NotFoundError(f"no event {name[:80]!r} of venture {venture} was seen")
    return EventSchema(venture, plan[0] if plan else None, plan[1] if plan else None, names)


def newest_events(
    context: Context, venture: str, *, actor: Actor, limit: int = 50, name: str | None = None, person: str | None = None
) -> list[TailEvent]:  # fmt: skip
    """The newest events by when they came in, of those that happened in the last quarter of an hour; the oldest of them first.

    ``person``: a user id as it is in the files. Raises: NotFoundError, ForbiddenError, DependencyError.
    """
    actor.check(Operation.ANALYTICS_READ, venture=venture)
    with context.store.read() as unit:
        unit.catalog.venture_id(venture)
    now = context.clock.now()
    for span in TAIL_SPANS:
        names = [name] if name else None
        table = read_events(context, venture, since=now - span, until=now + timedelta(days=1), columns=TAIL_COLUMNS, names=names)
        if person is not None:
            table = kept(table, of_people(table, [person_number(venture, person)]))
        if table.num_rows >= limit:
            break
    order = table.column("received_at").to_numpy().argsort(kind="stable")[-limit:]
    return [_tail(row) for row in table.take(order).to_pylist()]


def _tail(row: Mapping[str, Any]) -> TailEvent:
    rest = {key: value for key, value in row.items() if key not in {"event_id", "person", "name", "at", "received_at", "properties"}}
    return TailEvent(
        event_id=row["event_id"].hex(), person=f"{row['person']:016x}", name=row["name"], at=row["at"], received_at=row["received_at"],
        columns={key: value for key, value in rest.items() if value is not None and value != ""}, properties=loads(row["properties"]),
    )  # fmt: skip
