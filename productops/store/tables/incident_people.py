"""People in incidents: what is declared about them, who is called, what is told, what users read, and what is learned."""

from __future__ import annotations

import uuid
from datetime import date, datetime
from typing import Any

from sqlalchemy import Date, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from productops.store.tables.base import Base, one_of


class PeopleDeclaredRow(Base):
    """A schedule, escalation, channel, telling or status page of the catalog."""

    __tablename__ = "incident_people_declared"
    kind: Mapped[str] = mapped_column(String(20), primary_key=True)
    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    venture: Mapped[str] = mapped_column(String(63))
    spec: Mapped[dict[str, Any]]
    base: Mapped[str] = mapped_column(String(1000))
    revision: Mapped[int]
    updated_at: Mapped[datetime]
    __table_args__ = (Index("ix_incident_people_declared_venture_kind", "venture", "kind"),)


class OnCallOverrideRow(Base):
    """Somebody takes calls in another's place."""

    __tablename__ = "incident_oncall_overrides"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    schedule: Mapped[str] = mapped_column(String(63))
    person: Mapped[str] = mapped_column(String(100))
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    reason: Mapped[str] = mapped_column(Text)
    by: Mapped[str] = mapped_column(String(255))
    at: Mapped[datetime]
    source: Mapped[str | None] = mapped_column(String(255))
    removed_at: Mapped[datetime | None]
    __table_args__ = (
        UniqueConstraint("schedule", "source", name="uq_incident_oncall_overrides_source"),
        Index("ix_incident_oncall_overrides_schedule_ends_at", "schedule", "ends_at"),
    )


class IncidentPageRow(Base):
    """One run through an escalation. ``due_at`` is when the next level is called; empty once nobody is called any more."""

    __tablename__ = "incident_pages"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    incident_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("incident_management.incident_id"))
    number: Mapped[int]
    venture: Mapped[str] = mapped_column(String(63))
    policy: Mapped[str] = mapped_column(String(63))
    state: Mapped[str] = mapped_column(String(12))
    round: Mapped[int]
    level: Mapped[int]
    called: Mapped[list[Any]]
    due_at: Mapped[datetime | None]
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    by: Mapped[str | None] = mapped_column(String(255))
    __table_args__ = (
        one_of("state", "calling", "acknowledged", "ended", "exhausted"),
        UniqueConstraint("incident_id", "number", name="uq_incident_pages_one"),
        Index("ix_incident_pages_state_due_at", "state", "due_at"),
    )


class IncidentNoticeRow(Base):
    """Something told to somebody, waiting or done. ``fence`` rises with each claim; who was overtaken may write nothing."""

    __tablename__ = "incident_notices"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(255), unique=True)
    venture: Mapped[str] = mapped_column(String(63))
    incident_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("incident_management.incident_id"))
    moment: Mapped[str] = mapped_column(String(20))
    audience: Mapped[str] = mapped_column(String(20))
    channel: Mapped[str] = mapped_column(String(63))
    recipient: Mapped[str] = mapped_column(String(255))
    subject: Mapped[str] = mapped_column(String(255))
    text: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(10))
    attempts: Mapped[int]
    doubtful: Mapped[int]
    next_at: Mapped[datetime]
    fence: Mapped[int]
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    error: Mapped[str] = mapped_column(Text)
    __table_args__ = (
        one_of("state", "waiting", "sending", "sent", "failed", "dropped"),
        Index("ix_incident_notices_state_next_at", "state", "next_at"),
        Index("ix_incident_notices_incident_id_id", "incident_id", "id"),
        Index("ix_incident_notices_venture_id", "venture", "id"),
    )


class IncidentCadenceRow(Base):
    """When the next word about an incident is due."""

    __tablename__ = "incident_cadence"
    incident_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("incident_management.incident_id"), primary_key=True)
    venture: Mapped[str] = mapped_column(String(63))
    told_at: Mapped[datetime]
    due_at: Mapped[datetime | None]
    reminded: Mapped[int]
    __table_args__ = (Index("ix_incident_cadence_due_at", "due_at"),)


class IncidentUpdateRow(Base):
    """Published words about an incident on one status page."""

    __tablename__ = "incident_updates"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    incident_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("incident_management.incident_id"))
    key: Mapped[str] = mapped_column(String(255), unique=True)
    venture: Mapped[str] = mapped_column(String(63))
    page: Mapped[str] = mapped_column(String(63))
    title: Mapped[str] = mapped_column(String(255))
    word: Mapped[str] = mapped_column(String(20))
    harm: Mapped[str] = mapped_column(String(30))
    components: Mapped[list[Any]]
    text: Mapped[str] = mapped_column(Text)
    by: Mapped[str] = mapped_column(String(255))
    at: Mapped[datetime]
    retracted_at: Mapped[datetime | None]
    __table_args__ = (
        one_of("word", "investigating", "identified", "monitoring", "resolved"),
        one_of("harm", "operational", "degraded-performance", "partial-outage", "major-outage"),
        Index("ix_incident_updates_page_at", "page", "at"),
        Index("ix_incident_updates_incident_id_at", "incident_id", "at"),
    )


class UptimeDayRow(Base):
    """Minutes of a day in which a service answered, and in which it did not. ``until_s``: counted up to this second."""

    __tablename__ = "incident_uptime_days"
    service: Mapped[str] = mapped_column(String(63), primary_key=True)
    environment: Mapped[str] = mapped_column(String(20), primary_key=True)
    page: Mapped[str] = mapped_column(String(63), primary_key=True)
    day: Mapped[date] = mapped_column(Date(), primary_key=True)
    minutes_up: Mapped[int]
    minutes_down: Mapped[int]
    until_minute: Mapped[int]


class PostmortemRow(Base):
    """What is learned from an incident: the present text. ``facts`` are the stored figures it was drafted from."""

    __tablename__ = "incident_postmortems"
    incident_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("incident_management.incident_id"), primary_key=True)
    venture: Mapped[str] = mapped_column(String(63))
    state: Mapped[str] = mapped_column(String(10))
    revision: Mapped[int]
    title: Mapped[str] = mapped_column(String(255))
    text: Mapped[str] = mapped_column(Text)
    facts: Mapped[dict[str, Any]]
    updated_by: Mapped[str] = mapped_column(String(255))
    updated_at: Mapped[datetime]
    drafted_at: Mapped[datetime]
    published_at: Mapped[datetime | None]
    published_by: Mapped[str | None] = mapped_column(String(255))
    __table_args__ = (
        one_of("state", "draft", "published"),
        Index("ix_incident_postmortems_venture_drafted_at", "venture", "drafted_at"),
    )


class PostmortemVersionRow(Base):
    """A text it had, and who wrote it."""

    __tablename__ = "incident_postmortem_versions"
    incident_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("incident_postmortems.incident_id"), primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(Text)
    by: Mapped[str] = mapped_column(String(255))
    at: Mapped[datetime]
