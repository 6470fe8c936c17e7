"""Teams, plans of their work, which plan is the current one, and forecasts with what came true."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from productops.store.tables.base import Base, one_of


class DevelopmentTeamRow(Base):
    """A declared team. ``calendars``: what its iCalendar sources said when they were last read."""

    __tablename__ = "development_teams"
    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    venture: Mapped[str] = mapped_column(String(63), index=True)
    spec: Mapped[dict[str, Any]]
    base: Mapped[str] = mapped_column(Text)
    revision: Mapped[int]
    updated_at: Mapped[datetime]
    calendars: Mapped[dict[str, Any]]
    calendars_revision: Mapped[int]


class DevelopmentPlanRow(Base):
    """One plan, or the wish for one. Hours are working hours; ``gap`` is a share of the length."""

    __tablename__ = "development_plans"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    venture: Mapped[str] = mapped_column(String(63))
    team: Mapped[str] = mapped_column(String(63))
    state: Mapped[str] = mapped_column(String(12))
    scenario: Mapped[str] = mapped_column(Text)
    base_id: Mapped[uuid.UUID | None]
    previous_id: Mapped[uuid.UUID | None]
    asked_by: Mapped[str] = mapped_column(String(255))
    origin: Mapped[str] = mapped_column(String(40))
    asked_at: Mapped[datetime]
    made_at: Mapped[datetime | None]
    note: Mapped[str] = mapped_column(Text)
    wish: Mapped[dict[str, Any]]
    request: Mapped[dict[str, Any]]
    request_digest: Mapped[str] = mapped_column(String(64))
    plan: Mapped[dict[str, Any]]
    changed: Mapped[dict[str, Any]]
    changes: Mapped[list[Any]]
    gaps: Mapped[list[Any]]
    extra: Mapped[dict[str, Any]]
    error: Mapped[dict[str, Any]]
    proven: Mapped[bool]
    gap: Mapped[float]
    length_h: Mapped[int]
    starts_at: Mapped[datetime | None]
    ends_at: Mapped[datetime | None]
    claimed_by: Mapped[str | None] = mapped_column(String(255))
    claimed_until: Mapped[datetime | None]
    tries: Mapped[int]
    __table_args__ = (
        one_of("state", "waiting", "draft", "current", "superseded", "failed"),
        Index("ix_development_plans_venture_team_id", "venture", "team", "id"),
        Index("ix_development_plans_state_id", "state", "id"),
    )


class DevelopmentPlanItemRow(Base):
    """One item of a plan that is, or was, the current one: who does it when."""

    __tablename__ = "development_plan_items"
    plan_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("development_plans.id", ondelete="CASCADE"), primary_key=True)
    item: Mapped[str] = mapped_column(String(320), primary_key=True)
    feature: Mapped[str] = mapped_column(String(320))
    person: Mapped[str] = mapped_column(String(200))
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    critical: Mapped[bool]
    __table_args__ = (Index("ix_development_plan_items_plan_id_feature", "plan_id", "feature"),)


class DevelopmentCurrentPlanRow(Base):
    """Which plan a venture, or one of its teams, works by; moved by compare-and-set of ``revision``."""

    __tablename__ = "development_current_plans"
    venture: Mapped[str] = mapped_column(String(63), primary_key=True)
    team: Mapped[str] = mapped_column(String(63), primary_key=True)
    plan_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("development_plans.id"))
    revision: Mapped[int]
    since: Mapped[datetime]


class DevelopmentForecastRow(Base):
    """By when a feature or a sprint is done, and when it really was."""

    __tablename__ = "development_forecasts"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    venture: Mapped[str] = mapped_column(String(63))
    team: Mapped[str] = mapped_column(String(63))
    plan_id: Mapped[uuid.UUID | None]
    subject: Mapped[str] = mapped_column(String(10))
    key: Mapped[str] = mapped_column(String(320))
    title: Mapped[str] = mapped_column(Text)
    made_at: Mapped[datetime]
    method: Mapped[str] = mapped_column(String(60))
    inputs_digest: Mapped[str] = mapped_column(String(64))
    planned_at: Mapped[datetime | None]
    p50_at: Mapped[datetime]
    p80_at: Mapped[datetime]
    p95_at: Mapped[datetime]
    grid: Mapped[list[Any]]
    deadline: Mapped[datetime | None]
    chance: Mapped[float | None]
    figures: Mapped[dict[str, Any]]
    actual_at: Mapped[datetime | None]
    place: Mapped[float | None]
    __table_args__ = (
        one_of("subject", "feature", "sprint"),
        Index("ix_development_forecasts_venture_subject_key_id", "venture", "subject", "key", "id"),
        Index("ix_development_forecasts_venture_actual_at", "venture", "actual_at"),
    )
