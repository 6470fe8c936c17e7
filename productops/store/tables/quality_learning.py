"""Findings about the tests themselves."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from productops.store.tables.base import Base, one_of


class QualityInsightRow(Base):
    """One matter of one service, found again at each review by its ``key``. ``decided_weight`` is what spoke for it when it was decided.

    ``gone_at``: the newest review did not find it. An accepted one is a task; the development process reads it.
    """

    __tablename__ = "quality_insights"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    venture: Mapped[str] = mapped_column(String(63))
    service: Mapped[str] = mapped_column(String(63))
    kind: Mapped[str] = mapped_column(String(20))
    key: Mapped[str] = mapped_column(String(32))
    title: Mapped[str] = mapped_column(Text)
    sentence: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(Text)
    minutes: Mapped[float]
    weight: Mapped[float]
    evidence: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(10))
    reason: Mapped[str] = mapped_column(Text)
    decided_by: Mapped[str | None] = mapped_column(String(255))
    decided_at: Mapped[datetime | None]
    decided_weight: Mapped[float]
    found_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    gone_at: Mapped[datetime | None]
    __table_args__ = (
        one_of("state", "open", "accepted", "done", "dismissed"),
        UniqueConstraint("service", "key", name="uq_quality_insights_one"),
        Index("ix_quality_insights_venture_id", "venture", "id"),
        Index("ix_quality_insights_service_state", "service", "state"),
    )
