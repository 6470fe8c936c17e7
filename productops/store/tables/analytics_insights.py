"""Insights about use, the nights that looked for them, and the tasks they became."""

from __future__ import annotations

import uuid
from datetime import date, datetime
from typing import Any

from sqlalchemy import Date, ForeignKey, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from productops.store.tables.base import Base, one_of


class AnalyticsInsightRow(Base):
    """One matter. ``feature``, ``measure`` and ``first_day`` name it; days in [first_day, quiet_until) of that series open no other."""

    __tablename__ = "analytics_insights"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    venture: Mapped[str] = mapped_column(String(63))
    kind: Mapped[str] = mapped_column(String(30))
    feature: Mapped[str] = mapped_column(String(255))
    measure: Mapped[str] = mapped_column(String(20))
    dimension: Mapped[str] = mapped_column(String(20))
    value: Mapped[str] = mapped_column(String(255))
    title: Mapped[str] = mapped_column(Text)
    sentence: Mapped[str] = mapped_column(Text)
    action: Mapped[dict[str, Any]]
    first_day: Mapped[date] = mapped_column(Date())
    quiet_until: Mapped[date] = mapped_column(Date())
    change: Mapped[float]
    low: Mapped[float]
    high: Mapped[float]
    p: Mapped[float]
    worth: Mapped[float]
    evidence: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(10))
    reason: Mapped[str] = mapped_column(Text)
    decided_by: Mapped[str | None] = mapped_column(String(255))
    decided_at: Mapped[datetime | None]
    decided_change: Mapped[float]
    follow: Mapped[dict[str, Any]]
    due_day: Mapped[date | None] = mapped_column(Date())
    outcome: Mapped[str | None] = mapped_column(String(20))
    effect: Mapped[dict[str, Any]]
    found_day: Mapped[date] = mapped_column(Date())
    seen_day: Mapped[date] = mapped_column(Date())
    over_day: Mapped[date | None] = mapped_column(Date())
    __table_args__ = (
        one_of("state", "open", "accepted", "done", "dismissed", "helped", "no-effect", "over"),
        UniqueConstraint("venture", "feature", "measure", "first_day", "kind", name="uq_analytics_insights_one"),
        Index("ix_analytics_insights_venture_state", "venture", "state"),
        Index("ix_analytics_insights_venture_id", "venture", "id"),
    )


class AnalyticsInsightNightRow(Base):
    """One day of one venture that was looked at, and what of the budget of false discoveries it spent. Once."""

    __tablename__ = "analytics_insight_nights"
    venture: Mapped[str] = mapped_column(String(63), primary_key=True)
    day: Mapped[date] = mapped_column(Date(), primary_key=True)
    series: Mapped[int] = mapped_column(Integer())
    tests: Mapped[int] = mapped_column(Integer())
    level: Mapped[float]
    rejected: Mapped[int] = mapped_column(Integer())
    rejected_most: Mapped[int] = mapped_column(Integer())
    insights: Mapped[list[Any]]
    seconds: Mapped[float]
    at: Mapped[datetime]


class AnalyticsTaskRow(Base):
    """What somebody has to do: about an insight, or (``incident_id``) because of an incident."""

    __tablename__ = "analytics_tasks"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    venture: Mapped[str] = mapped_column(String(63))
    insight_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("analytics_insights.id"))
    incident_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("incident_management.incident_id"))
    owner: Mapped[str | None] = mapped_column(String(255))
    due_day: Mapped[date | None] = mapped_column(Date())
    reminded_on: Mapped[date | None] = mapped_column(Date())
    revision: Mapped[int] = mapped_column(Integer(), default=1)
    title: Mapped[str] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(10))
    by: Mapped[str] = mapped_column(String(255))
    at: Mapped[datetime]
    done_at: Mapped[datetime | None]
    __table_args__ = (
        one_of("state", "open", "done"),
        UniqueConstraint("insight_id", name="uq_analytics_tasks_one"),
        Index("ix_analytics_tasks_venture_state", "venture", "state"),
        Index("ix_analytics_tasks_incident_id", "incident_id"),
        Index("ix_analytics_tasks_state_due_day", "state", "due_day"),
    )
