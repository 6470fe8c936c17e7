"""Documents of usage events."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from productops.domain.analytics_events import Erasure, ErasureState, EventImport, ImportState, SeenName
from productops.usecases.analytics_events import Taken
from productops.usecases.analytics_events_status import EventSchema, EventsStatus, TailEvent


class RefusedEventOut(BaseModel):
    """An event that was not taken."""

    index: int = Field(description="Its place in the request, from 0.")
    reason: str


class EventsTakenOut(BaseModel):
    """What became of the events of a request. What was accepted is on the disk."""

    accepted: int
    duplicates: int = Field(description="Known by their id already; nothing is done again. Duplicates found later are not in it.")
    dropped: int = Field(description="Not kept, because the tracking plan drops them.")
    refused_total: int
    refused: list[RefusedEventOut] = Field(description="The first 100 of them.")

    @classmethod
    def of(cls, taken: Taken) -> EventsTakenOut:
        """The outcome as callers see it."""
        refused = [RefusedEventOut(index=each.index, reason=each.reason) for each in taken.refused]
        return cls(
            accepted=taken.accepted, duplicates=taken.duplicates, dropped=taken.dropped, refused_total=taken.refused_total, refused=refused
        )


class EventsDayOut(BaseModel):
    """Events of one UTC day."""

    model_config = ConfigDict(from_attributes=True)

    day: date
    files: int
    events: int


class EventRefusalsOut(BaseModel):
    """Events of one day and name that were refused for one reason."""

    model_config = ConfigDict(from_attributes=True)

    day: date
    name: str = Field(description="As the client wrote it; empty when it wrote none.")
    reason: str
    events: int


class ErasureOut(BaseModel):
    """The removal of a person's events."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    venture: str
    state: ErasureState
    forever: bool = Field(description="What comes later is dropped, too.")
    files: int = Field(description="Files that were written anew.")
    events: int = Field(description="Events removed from files.")
    reason: str
    by: str
    asked_at: datetime
    ended_at: datetime | None

    @classmethod
    def of(cls, found: Erasure) -> ErasureOut:
        """The erasure as callers see it."""
        return cls.model_validate(found)


class ErasuresOut(BaseModel):
    """Erasures, the newest first."""

    items: list[ErasureOut]


class EventImportOut(BaseModel):
    """Events fetched from elsewhere."""

    id: str
    venture: str
    source: str = Field(examples=["mixpanel 1234567 2026-01-01..2026-03-31"])
    state: ImportState
    cursor: dict[str, Any] = Field(description="Where it goes on.", examples=[{"day": "2026-02-03"}])
    accepted: int
    duplicates: int
    refused: int
    error: str
    by: str
    started_at: datetime
    moved_at: datetime
    ended_at: datetime | None

    @classmethod
    def of(cls, found: EventImport) -> EventImportOut:
        """The import as callers see it."""
        same = {name: getattr(found, name) for name in cls.model_fields if name != "cursor"}
        return cls(cursor=dict(found.cursor), **same)


class EventImportsOut(BaseModel):
    """Imports, the newest first."""

    items: list[EventImportOut]


class EventsStatusOut(BaseModel):
    """How the taking in of events is."""

    venture: str
    files: int
    events: int
    size_bytes: int
    newest_received_at: datetime | None = Field(description="When the newest event that is sorted in came.")
    waiting_bytes: int = Field(description="Events of all ventures that are not sorted in yet.")
    waiting_segments: int
    lag_s: float = Field(description="Age of the oldest of them, seconds; 0 when there is none.")
    sorted_by: str = Field(description="Program that sorts in now; empty: none.", examples=["ops-1:4711:7f3a:9c0d1e2f"])
    days: list[EventsDayOut]
    refusals: list[EventRefusalsOut] = Field(description="Of the last 7 days.")
    erasures: list[ErasureOut] = Field(description="Those under way, and those for ever.")
    imports: list[EventImportOut]

    @classmethod
    def of(cls, found: EventsStatus) -> EventsStatusOut:
        """The status as callers see it."""
        lists = {"days", "refusals", "erasures", "imports"}
        same = {name: getattr(found, name) for name in cls.model_fields if name not in lists}
        return cls(
            days=[EventsDayOut.model_validate(each) for each in found.days],
            refusals=[EventRefusalsOut.model_validate(each) for each in found.refusals],
            erasures=[ErasureOut.of(each) for each in found.erasures], imports=[EventImportOut.of(each) for each in found.imports], **same,
        )  # fmt: skip


class SeenPropertyOut(BaseModel):
    """A property as it was seen."""

    name: str
    types: dict[str, int] = Field(description="Events by type of the value: string, integer, number, boolean, null, array, object.")
    first_at: datetime
    last_at: datetime


class SeenEventOut(BaseModel):
    """A name of events as it was seen."""

    name: str = Field(examples=["checkout.completed"])
    planned: bool = Field(description="The tracking plan has it.")
    events: int
    first_at: datetime
    last_at: datetime
    by_day: dict[str, int] = Field(description="Events by UTC day.")
    properties: list[SeenPropertyOut]

    @classmethod
    def of(cls, found: SeenName, planned: frozenset[str]) -> SeenEventOut:
        """The name as callers see it."""
        parts = [
            SeenPropertyOut(name=part.name, types=dict(part.types), first_at=part.first_at, last_at=part.last_at)
            for part in found.properties
        ]
        return cls(
            name=found.name, planned=found.name in planned, events=found.events, first_at=found.first_at, last_at=found.last_at,
            by_day={day.isoformat(): events for day, events in found.by_day.items()}, properties=parts,
        )  # fmt: skip


class EventSchemaOut(BaseModel):
    """Names and properties of events."""

    venture: str
    plan: str | None = Field(description="Name of the venture's tracking plan.")
    unseen: list[str] = Field(description="Events of the plan that never came.")
    events: list[SeenEventOut] = Field(description="The most frequent first.")

    @classmethod
    def of(cls, found: EventSchema) -> EventSchemaOut:
        """The schema as callers see it."""
        planned = frozenset(each.name for each in found.spec.events) if found.spec else frozenset()
        unseen = sorted(planned - {each.name for each in found.names})
        return cls(venture=found.venture, plan=found.plan, unseen=unseen, events=[SeenEventOut.of(each, planned) for each in found.names])


class TailEventOut(BaseModel):
    """One event."""

    event_id: str
    person: str = Field(description="Number of the person, 16 hexadecimal digits.", examples=["04c141d64f7d9da2"])
    name: str
    at: datetime
    received_at: datetime
    columns: dict[str, Any] = Field(
        description="What it has of feature, service, version, environment, platform, country, duration_ms, failed and value."
    )
    properties: dict[str, Any]

    @classmethod
    def of(cls, found: TailEvent) -> TailEventOut:
        """The event as callers see it."""
        same = {name: getattr(found, name) for name in cls.model_fields if name not in {"columns", "properties"}}
        return cls(columns=dict(found.columns), properties=dict(found.properties), **same)


class TailOut(BaseModel):
    """The newest events, the oldest of them first."""

    items: list[TailEventOut]
