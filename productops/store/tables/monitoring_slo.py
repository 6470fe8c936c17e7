"""Objectives: what is declared, good and bad events by minute, where each stands, allowances; alert rules and where they stand."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from productops.store.tables.base import Base, one_of


class SloDocumentRow(Base):
    """An OpenSLO document as declared; earlier revisions stand in catalog_revisions."""

    __tablename__ = "slo_documents"
    kind: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    document: Mapped[dict[str, Any]]
    base: Mapped[str] = mapped_column(Text)


class SloObjectiveRow(Base):
    """One objective with all that it refers to filled in."""

    __tablename__ = "slo_objectives"
    name: Mapped[str] = mapped_column(String(130), primary_key=True)
    slo: Mapped[str] = mapped_column(String(63))
    venture: Mapped[str] = mapped_column(String(63))
    service: Mapped[str] = mapped_column(String(63))
    environment: Mapped[str] = mapped_column(String(20))
    spec: Mapped[dict[str, Any]]
    __table_args__ = (Index("ix_slo_objectives_service_environment", "service", "environment"), Index("ix_slo_objectives_slo", "slo"))


class SloMinuteRow(Base):
    """What was counted of one version in the minute that began at ``minute_s``; version empty: of all of them."""

    __tablename__ = "slo_minutes"
    objective: Mapped[str] = mapped_column(String(130), primary_key=True)
    minute_s: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    version: Mapped[str] = mapped_column(String(100), primary_key=True)
    good: Mapped[float]
    total: Mapped[float]


class SloStateRow(Base):
    """How far the minutes of an objective are counted, and which of its rules burn too fast."""

    __tablename__ = "slo_states"
    objective: Mapped[str] = mapped_column(String(130), primary_key=True)
    rolled_s: Mapped[int] = mapped_column(BigInteger)
    data: Mapped[dict[str, Any]]


class SloAllowanceRow(Base):
    """Somebody's word that releases may go out though the budget is spent, until a moment."""

    __tablename__ = "slo_allowances"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    objective: Mapped[str] = mapped_column(String(130))
    venture: Mapped[str] = mapped_column(String(63))
    reason: Mapped[str] = mapped_column(Text)
    given_by: Mapped[str] = mapped_column(String(255))
    given_at: Mapped[datetime]
    until: Mapped[datetime]
    __table_args__ = (Index("ix_slo_allowances_objective_until", "objective", "until"),)


class AlertRuleRow(Base):
    """A rule of one's own about a series."""

    __tablename__ = "alert_rules"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    venture: Mapped[str] = mapped_column(String(63))
    name: Mapped[str] = mapped_column(String(120))
    service: Mapped[str | None] = mapped_column(String(63))
    environment: Mapped[str | None] = mapped_column(String(20))
    severity: Mapped[str] = mapped_column(String(4))
    enabled: Mapped[bool]
    spec: Mapped[dict[str, Any]]
    revision: Mapped[int]
    created_by: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime]
    changed_by: Mapped[str] = mapped_column(String(255))
    changed_at: Mapped[datetime]
    __table_args__ = (
        UniqueConstraint("venture", "name", name="uq_alert_rules_venture_name"),
        one_of("severity", "SEV1", "SEV2", "SEV3", "SEV4"),
    )


class AlertRuleStateRow(Base):
    """Where a rule stands for one series. ``since``: its condition holds since then; ``fired_at``: it was told of."""

    __tablename__ = "alert_rule_states"
    rule_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("alert_rules.id"), primary_key=True)
    series: Mapped[str] = mapped_column(String(500), primary_key=True)
    since: Mapped[datetime | None]
    fired_at: Mapped[datetime | None]
    told_at: Mapped[datetime | None]
    value: Mapped[float | None]
