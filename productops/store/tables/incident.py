"""Incidents."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from productops.store.tables.base import Base, Json, one_of


class IncidentRow(Base):
    """User-visible harm, or the danger of it (the requirements' table)."""

    __tablename__ = "incident_management"
    incident_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    venture_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("ventures.id"))
    incident_type: Mapped[str] = mapped_column(String(20))
    severity: Mapped[str] = mapped_column(String(4))
    status: Mapped[str] = mapped_column(String(20), default="open")
    title: Mapped[str] = mapped_column(String(255))
    description: Mapped[str | None] = mapped_column(Text)
    affected_services: Mapped[list[Any] | None] = mapped_column(Json)
    detection_method: Mapped[str | None] = mapped_column(String(20))
    root_cause: Mapped[str | None] = mapped_column(Text)
    resolution_steps: Mapped[list[Any] | None] = mapped_column(Json)
    impact_assessment: Mapped[dict[str, Any] | None] = mapped_column(Json)
    mttr_minutes: Mapped[int | None]
    chairman_escalation: Mapped[bool] = mapped_column(Boolean, default=False)
    detected_at: Mapped[datetime]
    resolved_at: Mapped[datetime | None]
    postmortem_completed: Mapped[bool] = mapped_column(Boolean, default=False)
    environment: Mapped[str | None] = mapped_column(String(20))
    component: Mapped[str | None] = mapped_column(String(255))
    revision: Mapped[int] = mapped_column(Integer(), default=1)
    log_seq: Mapped[int] = mapped_column(Integer(), default=0)
    grouping: Mapped[dict[str, Any] | None] = mapped_column(Json)
    roles: Mapped[dict[str, Any] | None] = mapped_column(Json)
    links: Mapped[list[Any] | None] = mapped_column(Json)
    acknowledged_by: Mapped[str | None] = mapped_column(String(255))
    acknowledged_at: Mapped[datetime | None]
    mitigated_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    last_alert_at: Mapped[datetime | None]
    reopened: Mapped[int] = mapped_column(Integer(), default=0)
    merged_into: Mapped[uuid.UUID | None]
    __table_args__ = (
        one_of("incident_type", "deployment", "performance", "availability", "security", "data", "quality"),
        one_of("severity", "SEV1", "SEV2", "SEV3", "SEV4"),
        one_of("status", "open", "investigating", "mitigated", "resolved", "closed"),
        one_of("detection_method", "lease", "verdict", "slo", "anomaly", "alert", "heartbeat", "person"),
        Index("ix_incident_management_venture_id_incident_id", "venture_id", "incident_id"),
        Index("ix_incident_management_status_incident_id", "status", "incident_id"),
    )
