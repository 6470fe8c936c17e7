"""Releases and what happened in them."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Boolean, ForeignKey, Index, Interval, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from productops.store.tables.base import ENVIRONMENTS, STRATEGIES, Base, BigId, Json, one_of


class ReleaseRow(Base):
    """One release. ``active_key`` is service and environment while it runs and NULL after: unique, so one rollout at a time."""

    __tablename__ = "releases"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    venture: Mapped[str] = mapped_column(String(63))
    service: Mapped[str] = mapped_column(String(63))
    environment: Mapped[str] = mapped_column(String(20))
    version: Mapped[str] = mapped_column(String(100))
    baseline_version: Mapped[str | None] = mapped_column(String(100))
    strategy: Mapped[str] = mapped_column(String(20))
    phase: Mapped[str] = mapped_column(String(20))
    steps: Mapped[list[Any]]
    plan: Mapped[dict[str, Any]]
    requested_by: Mapped[str] = mapped_column(String(255))
    origin: Mapped[str] = mapped_column(String(40))
    reason: Mapped[str] = mapped_column(Text, default="")
    cause: Mapped[str | None] = mapped_column(String(20))
    step_index: Mapped[int] = mapped_column(default=-1)
    fence: Mapped[int] = mapped_column(default=0)
    flow_run_id: Mapped[str | None] = mapped_column(String(64), index=True)
    active_key: Mapped[str | None] = mapped_column(String(100), unique=True)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    heartbeat_at: Mapped[datetime | None]
    __table_args__ = (
        one_of("environment", *ENVIRONMENTS),
        one_of("strategy", "canary", "blue-green", "rolling", "feature-toggle", "dark-launch"),
        one_of(
            "phase", "requested", "deploying", "rolling_out", "paused", "promoting", "validating",
            "promoted", "passed", "rolling_back", "rolled_back", "failed",
        ),
        Index("ix_releases_service_environment_created_at", "service", "environment", "created_at"),
        Index("ix_releases_service_id", "service", "id"),
        Index("ix_releases_service_environment_id", "service", "environment", "id"),
        Index("ix_releases_environment_id", "environment", "id"),
        Index("ix_releases_venture_id", "venture", "id"),
        Index("ix_releases_service_environment_phase_ended_at", "service", "environment", "phase", "ended_at"),
    )  # fmt: skip


class TransitionRow(Base):
    """One move of a release: who, when, why, with what evidence."""

    __tablename__ = "release_transitions"
    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    release_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("releases.id"), index=True)
    source: Mapped[str | None] = mapped_column(String(20))
    target: Mapped[str] = mapped_column(String(20))
    actor: Mapped[str] = mapped_column(String(255))
    reason: Mapped[str] = mapped_column(Text, default="")
    evidence: Mapped[dict[str, Any]]
    at: Mapped[datetime]


class StepRow(Base):
    """One step of a rollout as it went."""

    __tablename__ = "release_steps"
    release_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("releases.id"), primary_key=True)
    step_index: Mapped[int] = mapped_column(primary_key=True)
    weight_pct: Mapped[int]
    hold_s: Mapped[float]
    header_only: Mapped[bool] = mapped_column(Boolean, default=False)
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    verdict: Mapped[str | None] = mapped_column(String(20))
    reason: Mapped[str] = mapped_column(Text, default="")
    summary: Mapped[dict[str, Any]]


class AnalysisRow(Base):
    """One look of the judge with its evidence."""

    __tablename__ = "analyses"
    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    release_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("releases.id"))
    step_index: Mapped[int]
    at_s: Mapped[int] = mapped_column(BigInteger)
    verdict: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str] = mapped_column(Text, default="")
    log_e: Mapped[float]
    log_e_safe: Mapped[float]
    evidence: Mapped[dict[str, Any]]
    recorded_at: Mapped[datetime]
    __table_args__ = (Index("ix_analyses_release_id_at_s", "release_id", "at_s", unique=True),)


class EventRow(Base):
    """The story of a release, line by line; also the outbox that streams read."""

    __tablename__ = "release_events"
    seq: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    release_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("releases.id"))
    type: Mapped[str] = mapped_column(String(40))
    at: Mapped[datetime]
    payload: Mapped[dict[str, Any]]
    __table_args__ = (
        Index("ix_release_events_release_id_seq", "release_id", "seq"),
        Index("ix_release_events_release_id_type_seq", "release_id", "type", "seq"),
    )


class IdempotencyRow(Base):
    """Answer of a write that carried an idempotency key."""

    __tablename__ = "idempotency_keys"
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    release_id: Mapped[uuid.UUID]
    created_at: Mapped[datetime]


class DeploymentOpsEvent(Base):
    """One deployment with its outcome (the requirements' table)."""

    __tablename__ = "deployment_ops_events"
    ops_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    venture_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("ventures.id"))
    deployment_id: Mapped[uuid.UUID] = mapped_column(unique=True)
    version: Mapped[str] = mapped_column(String(100))
    environment: Mapped[str] = mapped_column(String(20))
    pipeline_status: Mapped[str] = mapped_column(String(20))
    deployment_type: Mapped[str] = mapped_column(String(20), default="rolling")
    started_at: Mapped[datetime]
    completed_at: Mapped[datetime | None]
    duration: Mapped[timedelta | None] = mapped_column(Interval)
    success_metrics: Mapped[dict[str, Any] | None] = mapped_column(Json)
    failure_details: Mapped[dict[str, Any] | None] = mapped_column(Json)
    rollback_details: Mapped[dict[str, Any] | None] = mapped_column(Json)
    performance_impact: Mapped[dict[str, Any] | None] = mapped_column(Json)
    chairman_approval: Mapped[bool] = mapped_column(Boolean, default=False)
    created_at: Mapped[datetime]
    __table_args__ = (
        one_of("environment", *ENVIRONMENTS),
        one_of("pipeline_status", "pending", "running", "succeeded", "failed", "rolled_back"),
        one_of("deployment_type", *STRATEGIES),
    )


class RecordingRow(Base):
    """All seconds a release was judged by, compressed: they outlive the retention of the seconds themselves."""

    __tablename__ = "release_recordings"
    release_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("releases.id"), primary_key=True)
    schema_version: Mapped[int]
    seconds: Mapped[int]
    payload: Mapped[bytes] = mapped_column(LargeBinary)
    recorded_at: Mapped[datetime]
