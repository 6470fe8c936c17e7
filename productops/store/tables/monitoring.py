"""Measured numbers over time."""

from __future__ import annotations

import uuid
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Boolean, CheckConstraint, ForeignKey, Index, Numeric, String
from sqlalchemy.orm import Mapped, mapped_column

from productops.store.tables.base import Base, Json, one_of


class SecondRow(Base):
    """Traffic of one version in one second. ``missed`` marks a second that could not be measured."""

    __tablename__ = "traffic_seconds"
    service: Mapped[str] = mapped_column(String(63), primary_key=True)
    environment: Mapped[str] = mapped_column(String(20), primary_key=True)
    version: Mapped[str] = mapped_column(String(100), primary_key=True)
    at_s: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    requests: Mapped[int]
    failures: Mapped[int]
    upper_ms: Mapped[list[Any]]
    counts: Mapped[list[Any]]
    missed: Mapped[bool] = mapped_column(Boolean, default=False)
    __table_args__ = (Index("ix_traffic_seconds_at_s", "at_s"),)


class MetricSecondRow(Base):
    """A metric of one's own of one version in one second: events among ``total``, or a level."""

    __tablename__ = "metric_seconds"
    service: Mapped[str] = mapped_column(String(63), primary_key=True)
    environment: Mapped[str] = mapped_column(String(20), primary_key=True)
    version: Mapped[str] = mapped_column(String(100), primary_key=True)
    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    at_s: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    events: Mapped[int | None] = mapped_column(BigInteger)
    total: Mapped[int | None] = mapped_column(BigInteger)
    level: Mapped[float | None]
    __table_args__ = (
        CheckConstraint("(level IS NULL) != (events IS NULL)", name="one_kind"),
        Index("ix_metric_seconds_at_s", "at_s"),
    )


class InfrastructureMetric(Base):
    """One value of one infrastructure metric (the requirements' table)."""

    __tablename__ = "infrastructure_metrics"
    metric_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    venture_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("ventures.id"))
    infrastructure_component: Mapped[str] = mapped_column(String(255))
    metric_category: Mapped[str] = mapped_column(String(20))
    metric_name: Mapped[str] = mapped_column(String(255))
    metric_value: Mapped[Decimal | None] = mapped_column(Numeric(24, 4))
    threshold_warning: Mapped[Decimal | None] = mapped_column(Numeric(24, 4))
    threshold_critical: Mapped[Decimal | None] = mapped_column(Numeric(24, 4))
    status: Mapped[str] = mapped_column(String(20), default="normal")
    tags: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    recorded_at: Mapped[datetime]
    __table_args__ = (
        one_of("metric_category", "infrastructure", "application", "business"),
        one_of("status", "normal", "warning", "critical", "unknown"),
        Index("ix_infrastructure_metrics_series", "infrastructure_component", "metric_name", "recorded_at"),
        Index("ix_infrastructure_metrics_recorded_at", "recorded_at"),
    )
