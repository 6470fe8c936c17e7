"""Wire form of freezes, change windows and bypasses. Times in UTC, durations in seconds."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from productops.api.release_schemas import Reason, Sent, Text
from productops.domain.catalog import Name
from productops.domain.catalog_windows import Effect
from productops.domain.release import Environment
from productops.domain.release_windows import Bypass, BypassState, ChangeCalendar, Occurrence, Opening
from productops.usecases.release_windows import WindowsView
from productops.usecases.release_windows_bypass import VALID_MAX, VALID_MIN, VALID_USUALLY


class EventOut(BaseModel):
    """One event at one time."""

    calendar: str
    effect: Effect
    title: str
    starts_at: datetime
    ends_at: datetime
    labels: list[str] = Field(description="The event's categories.")
    uid: str

    @classmethod
    def of(cls, occurrence: Occurrence) -> EventOut:
        """The event as callers see it."""
        return cls.model_validate({name: getattr(occurrence, name) for name in cls.model_fields} | {"labels": list(occurrence.labels)})


class CalendarOut(BaseModel):
    """A calendar and how fresh what is known of it is."""

    name: str
    kind: str
    effect: Effect
    venture: str | None = Field(description="Null: all ventures.")
    services: list[str] = Field(description="Empty: all services.")
    environments: list[Environment] = Field(description="Empty: all environments.")
    timezone: str
    labels: dict[str, str]
    source: dict[str, Any] | None = Field(description="Null: the times are in the catalog itself.")
    read_at: datetime | None = Field(description="When its source last gave a usable calendar; what is in force is of then.")
    age_s: float | None = Field(description="Seconds since then.")
    checked_at: datetime | None
    known_until: datetime | None = Field(description="So far its events are worked out.")
    error: str = Field(description="Why its source cannot be read now; empty when it can.")
    failing_since: datetime | None

    @classmethod
    def of(cls, calendar: ChangeCalendar, *, now: datetime) -> CalendarOut:
        """The calendar as callers see it."""
        state = calendar.state
        return cls(
            name=calendar.name, kind=calendar.kind, effect=calendar.effect, venture=calendar.venture, services=list(calendar.services),
            environments=list(calendar.environments), timezone=calendar.timezone, labels=dict(calendar.labels),
            source=calendar.spec.get("source"), read_at=state.read_at,
            age_s=round((now - state.read_at).total_seconds(), 1) if state.read_at else None,
            checked_at=state.checked_at, known_until=state.known_until, error=state.error, failing_since=state.failing_since,
        )  # fmt: skip


class WindowsOut(BaseModel):
    """Calendars that apply, and their events from now on."""

    calendars: list[CalendarOut]
    events: list[EventOut]

    @classmethod
    def of(cls, view: WindowsView) -> WindowsOut:
        """What was found, as callers see it."""
        return cls(
            calendars=[CalendarOut.of(c, now=view.read_at) for c in view.calendars], events=[EventOut.of(o) for o in view.occurrences]
        )


class OpeningOut(BaseModel):
    """Whether a release may start now, and when next."""

    service: str
    environment: Environment
    open: bool
    reason: str
    event: EventOut | None = Field(description="The freeze that forbids it, or the window that is open.")
    next_at: datetime | None = Field(description="Next moment at which one may start; null when none is known.")
    closes_at: datetime | None = Field(description="When the present opening ends; null when it is closed, or no end is known.")
    asked_at: datetime

    @classmethod
    def of(cls, found: Opening, service: str, environment: Environment) -> OpeningOut:
        """The opening as callers see it."""
        return cls(
            service=service, environment=environment, open=found.is_open, reason=found.reason,
            event=EventOut.of(found.event) if found.event else None, next_at=found.next_at, closes_at=found.closes_at,
            asked_at=found.asked_at,
        )  # fmt: skip


class RefreshedOut(BaseModel):
    """One look at one calendar."""

    name: str
    outcome: str = Field(description="changed, unchanged, failed, or skipped: another process looked at the same time.")
    error: str


class RefreshedList(BaseModel):
    """All looks."""

    items: list[RefreshedOut]


class FeedOut(BaseModel):
    """Where a calendar program subscribes. Whoever has the address can read the feed, and nothing else."""

    path: str = Field(description="Behind the address of this API.")
    url: str


class BypassBody(Sent):
    """What should be allowed during a freeze, and why."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"service": "storefront", "version": "1.1.1", "reason": "customers cannot pay"}]}
    )
    service: Name
    environment: Environment = Environment.PRODUCTION
    version: str | None = Field(default=None, max_length=100, description="Only this version; empty: any.")
    reason: Reason
    valid_s: int = Field(
        default=int(VALID_USUALLY.total_seconds()), ge=int(VALID_MIN.total_seconds()), le=int(VALID_MAX.total_seconds()),
        description="How long it may be used, from now on.",
    )  # fmt: skip


class ApprovalBody(Sent):
    """Why it is approved."""

    note: Text = ""


class BypassOut(BaseModel):
    """A permission to start one release of one service during a freeze."""

    id: str
    state: BypassState
    service: str
    environment: Environment
    version: str | None
    reason: str
    asked_by: str
    asked_at: datetime
    expires_at: datetime
    approved_by: str | None
    approved_at: datetime | None
    approval_note: str
    used_by: str | None = Field(description="The release or train that it was spent on.")
    used_at: datetime | None

    @classmethod
    def of(cls, bypass: Bypass, *, now: datetime) -> BypassOut:
        """The bypass as callers see it."""
        values = {name: getattr(bypass, name) for name in cls.model_fields if name != "state"}
        return cls.model_validate(values | {"state": bypass.state(now)})


class BypassList(BaseModel):
    """Newest first; pass ``next`` as ``after`` for the following page."""

    items: list[BypassOut]
    next: str | None
