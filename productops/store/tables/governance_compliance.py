"""Controls, findings, waivers and checks."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from productops.store.tables.base import Base, one_of


class ControlRow(Base):
    """A declared control in its present revision."""

    __tablename__ = "compliance_controls"
    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    venture: Mapped[str | None] = mapped_column(String(63))
    spec: Mapped[dict[str, Any]]
    base: Mapped[str] = mapped_column(Text)
    revision: Mapped[int]


class FindingRow(Base):
    """Something that is not as a control wants it. ``fingerprint`` is unique among those that are not resolved, by ``open_key``."""

    __tablename__ = "compliance_findings"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(32))
    open_key: Mapped[str | None] = mapped_column(String(32), unique=True)
    control: Mapped[str] = mapped_column(String(63))
    subject: Mapped[str] = mapped_column(String(200))
    venture: Mapped[str | None] = mapped_column(String(63))
    environment: Mapped[str | None] = mapped_column(String(20))
    severity: Mapped[str] = mapped_column(String(10))
    owner: Mapped[str] = mapped_column(String(255))
    sentence: Mapped[str] = mapped_column(Text)
    remediation: Mapped[str] = mapped_column(Text)
    evidence: Mapped[dict[str, Any]]
    opened_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    resolved_at: Mapped[datetime | None]
    waiver_id: Mapped[uuid.UUID | None]
    waived_until: Mapped[datetime | None]
    __table_args__ = (
        one_of("severity", "low", "medium", "high", "critical"),
        Index("ix_compliance_findings_control_id", "control", "id"),
        Index("ix_compliance_findings_venture_id", "venture", "id"),
        Index("ix_compliance_findings_resolved_at_id", "resolved_at", "id"),
    )


class WaiverRow(Base):
    """Somebody's word that a finding is borne for a time. ``ended_at``: taken back, replaced, or expired and told."""

    __tablename__ = "compliance_waivers"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    finding_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("compliance_findings.id"), index=True)
    fingerprint: Mapped[str] = mapped_column(String(32))
    owner: Mapped[str] = mapped_column(String(255))
    reason: Mapped[str] = mapped_column(Text)
    given_by: Mapped[str] = mapped_column(String(255))
    given_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class ComplianceCheckRow(Base):
    """One check and what became of each control."""

    __tablename__ = "compliance_checks"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    by: Mapped[str] = mapped_column(String(255))
    origin: Mapped[str] = mapped_column(String(40))
    duration_s: Mapped[float]
    results: Mapped[list[Any]]
