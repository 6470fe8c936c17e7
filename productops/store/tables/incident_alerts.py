"""Alerts, silences, declared policies of incidents, and the log of an incident."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, ForeignKey, Index, Integer, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from productops.store.tables.base import Base, one_of

_LATEST = text("latest")


class IncidentAlertRow(Base):
    """One time that an alert fired. ``latest``: no later one of this fingerprint is known; it carries when earlier ones began."""

    __tablename__ = "incident_alerts"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    venture: Mapped[str] = mapped_column(String(63))
    fingerprint: Mapped[str] = mapped_column(String(128))
    latest: Mapped[bool] = mapped_column(Boolean())
    source: Mapped[str] = mapped_column(String(20))
    name: Mapped[str] = mapped_column(String(255))
    status: Mapped[str] = mapped_column(String(10))
    severity: Mapped[str] = mapped_column(String(4))
    service: Mapped[str | None] = mapped_column(String(63))
    environment: Mapped[str | None] = mapped_column(String(20))
    component: Mapped[str] = mapped_column(String(255))
    labels: Mapped[dict[str, Any]]
    summary: Mapped[str] = mapped_column(Text)
    evidence: Mapped[dict[str, Any]]
    value: Mapped[float | None]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime | None]
    state: Mapped[str] = mapped_column(String(12))
    reason: Mapped[str] = mapped_column(Text)
    incident_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("incident_management.incident_id"))
    received: Mapped[int] = mapped_column(Integer())
    began: Mapped[list[Any]]
    first_seen_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    __table_args__ = (
        one_of("status", "firing", "resolved"),
        one_of("severity", "SEV1", "SEV2", "SEV3", "SEV4"),
        one_of("state", "grouped", "listed", "silenced", "maintenance", "damped", "low-traffic", "ended"),
        Index("uq_incident_alerts_latest", "venture", "fingerprint", unique=True, sqlite_where=_LATEST, postgresql_where=_LATEST),
        Index("ix_incident_alerts_venture_fingerprint", "venture", "fingerprint"),
        Index("ix_incident_alerts_incident_id_status", "incident_id", "status"),
        Index("ix_incident_alerts_status_state", "status", "state"),
        Index("ix_incident_alerts_venture_id", "venture", "id"),
    )


class IncidentLogRow(Base):
    """A line of the log of an incident; never changed."""

    __tablename__ = "incident_log"
    incident_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("incident_management.incident_id"), primary_key=True)
    seq: Mapped[int] = mapped_column(Integer(), primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    kind: Mapped[str] = mapped_column(String(40))
    text: Mapped[str] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(String(255))
    detail: Mapped[dict[str, Any]]


class IncidentSilenceRow(Base):
    """Alerts that nobody wants to hear of for a time, and why."""

    __tablename__ = "incident_silences"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    venture: Mapped[str] = mapped_column(String(63))
    matchers: Mapped[list[Any]]
    reason: Mapped[str] = mapped_column(Text)
    author: Mapped[str] = mapped_column(String(255))
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    ended_by: Mapped[str | None] = mapped_column(String(255))
    created_at: Mapped[datetime]
    __table_args__ = (Index("ix_incident_silences_venture_ends_at", "venture", "ends_at"),)


class IncidentPolicyRow(Base):
    """What the catalog declares about alerts and incidents: ``SeverityPolicy`` and ``MaintenanceWindow``."""

    __tablename__ = "incident_policies"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(40))
    name: Mapped[str] = mapped_column(String(63))
    venture: Mapped[str] = mapped_column(String(63))
    spec: Mapped[dict[str, Any]]
    base: Mapped[str] = mapped_column(Text)
    revision: Mapped[int] = mapped_column(Integer())
    changed_at: Mapped[datetime]
    __table_args__ = (
        UniqueConstraint("kind", "name", name="uq_incident_policies_kind_name"),
        Index("ix_incident_policies_venture_kind", "venture", "kind"),
    )
