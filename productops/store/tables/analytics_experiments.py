"""Experiments as declared, the run each is in, and every look at it."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from productops.store.tables.base import Base, one_of

STATES = ("draft", "running", "stopped", "decided")


class AnalyticsExperimentRow(Base):
    """``kind: Experiment`` with its run. ``plan`` is the spec as the run began with it; ``moves`` counts changes of state, so that two
    who change it at one moment hear of each other. ``breach`` is written once in a run, with what was done about it.
    """

    __tablename__ = "analytics_experiments"
    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    venture: Mapped[str] = mapped_column(String(63), index=True)
    spec: Mapped[dict[str, Any]]
    base: Mapped[str] = mapped_column(Text)
    revision: Mapped[int]
    updated_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(10), index=True)
    moves: Mapped[int]
    run: Mapped[int]
    plan: Mapped[dict[str, Any] | None]
    started_at: Mapped[datetime | None]
    stopped_at: Mapped[datetime | None]
    looks: Mapped[int]
    looked_at: Mapped[datetime | None]
    breach: Mapped[dict[str, Any] | None]
    decision: Mapped[dict[str, Any] | None]
    __table_args__ = (one_of("state", *STATES),)


class AnalyticsExperimentLookRow(Base):
    """What one look found. Looks are never changed: an answer that is valid at every look is valid by this record."""

    __tablename__ = "analytics_experiment_looks"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    experiment: Mapped[str] = mapped_column(String(63))
    run: Mapped[int]
    number: Mapped[int]
    at: Mapped[datetime]
    result: Mapped[dict[str, Any]]
    __table_args__ = (
        UniqueConstraint("experiment", "run", "number", name="uq_analytics_experiment_looks_one"),
        Index("ix_analytics_experiment_looks_experiment_id", "experiment", "id"),
    )
