"""Changes of capacity."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Boolean, ForeignKey, Interval, Numeric, String
from sqlalchemy.orm import Mapped, mapped_column

from productops.store.tables.base import Base, Json, one_of


class ScalingOperation(Base):
    """One change of capacity (the requirements' table)."""

    __tablename__ = "scaling_operations"
    scaling_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    venture_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("ventures.id"))
    scaling_trigger: Mapped[str] = mapped_column(String(20))
    scaling_action: Mapped[str] = mapped_column(String(20))
    resource_type: Mapped[str] = mapped_column(String(20))
    baseline_capacity: Mapped[dict[str, Any]]
    target_capacity: Mapped[dict[str, Any]]
    actual_capacity: Mapped[dict[str, Any] | None] = mapped_column(Json)
    scaling_duration: Mapped[timedelta | None] = mapped_column(Interval)
    cost_impact: Mapped[Decimal | None] = mapped_column(Numeric(10, 2))
    performance_impact: Mapped[dict[str, Any] | None] = mapped_column(Json)
    status: Mapped[str] = mapped_column(String(20), default="initiated")
    chairman_approval_required: Mapped[bool] = mapped_column(Boolean, default=False)
    initiated_at: Mapped[datetime]
    completed_at: Mapped[datetime | None]
    __table_args__ = (
        one_of("scaling_trigger", "manual", "schedule", "prediction", "metric", "incident", "release"),
        one_of("scaling_action", "scale_out", "scale_in", "scale_up", "scale_down"),
        one_of("resource_type", "instance", "cpu", "memory", "storage", "connection"),
        one_of("status", "initiated", "running", "completed", "failed", "cancelled"),
    )
