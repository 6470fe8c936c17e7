"""Looks for causes of incidents, and what people said about the hypotheses."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from productops.store.tables.base import Base, Json, one_of


class IncidentCauseLookRow(Base):
    """One look: hypotheses with their evidence, the likeliest first, as they were then."""

    __tablename__ = "incident_cause_looks"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    incident_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("incident_management.incident_id"))
    at: Mapped[datetime]
    by: Mapped[str] = mapped_column(String(255))
    hypotheses: Mapped[list[Any]]
    onset: Mapped[dict[str, Any] | None] = mapped_column(Json)
    sources: Mapped[list[Any]]
    missing: Mapped[list[Any]]
    took_s: Mapped[float]
    __table_args__ = (Index("ix_incident_cause_looks_incident_id_id", "incident_id", "id"),)


class IncidentCauseDecisionRow(Base):
    """What a person said a hypothesis is; the newest of an incident, kind and subject counts."""

    __tablename__ = "incident_cause_decisions"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    incident_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("incident_management.incident_id"))
    venture: Mapped[str | None] = mapped_column(String(63))
    kind: Mapped[str] = mapped_column(String(20))
    subject: Mapped[str] = mapped_column(String(255))
    verdict: Mapped[str] = mapped_column(String(10))
    rank: Mapped[int | None] = mapped_column(Integer())
    probability: Mapped[float | None]
    by: Mapped[str] = mapped_column(String(255))
    reason: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]
    __table_args__ = (
        one_of("kind", "release", "flag", "config", "scaling", "dependency", "instance", "host", "traffic", "unknown"),
        one_of("verdict", "confirmed", "refuted"),
        Index("ix_incident_cause_decisions_incident_id_id", "incident_id", "id"),
        Index("ix_incident_cause_decisions_venture_at", "venture", "at"),
    )
