"""The tables. Private to the store: nobody else imports them; repositories return domain values."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    Interval,
    MetaData,
    Numeric,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
Json = JSON().with_variant(JSONB(), "postgresql")
# SQLite auto-increments only its INTEGER; PostgreSQL wants 64 bits.
BigId = BigInteger().with_variant(Integer(), "sqlite")


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC in and out; SQLite keeps no zone, so the value is stored as naive UTC there."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Raises: ValueError for a naive datetime."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("naive datetime")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Attach UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def one_of(column: str, *values: str) -> CheckConstraint:
    """A closed enum as a checked string, the same on both databases."""
    allowed = ", ".join(f"'{v}'" for v in values)
    return CheckConstraint(f"{column} IN ({allowed})", name=column)


class Base(DeclarativeBase):
    """Base of all tables."""

    metadata = MetaData(naming_convention=CONVENTION)
    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: UtcDateTime(), dict[str, Any]: Json, list[Any]: Json, uuid.UUID: Uuid()}


ENVIRONMENTS = ("development", "staging", "production")
STRATEGIES = ("canary", "blue_green", "rolling", "feature_toggle", "dark_launch")


class Venture(Base):
    """A product business."""

    __tablename__ = "ventures"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(63), unique=True)
    title: Mapped[str] = mapped_column(String(255), default="")
    description: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime]


class CatalogService(Base):
    """A service as last applied; every application is a row of ``catalog_revisions``."""

    __tablename__ = "services"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(63), unique=True)
    venture_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("ventures.id"))
    spec: Mapped[dict[str, Any]]
    base: Mapped[str] = mapped_column(Text)
    revision: Mapped[int]
    updated_at: Mapped[datetime]


class CatalogRevision(Base):
    """One applied version of one catalog entry."""

    __tablename__ = "catalog_revisions"
    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    kind: Mapped[str] = mapped_column(String(40))
    name: Mapped[str] = mapped_column(String(63))
    revision: Mapped[int]
    spec: Mapped[dict[str, Any]]
    author: Mapped[str] = mapped_column(String(255))
    applied_at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("kind", "name", "revision"),)


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
        one_of("strategy", "canary", "blue-green"),
        one_of(
            "phase", "requested", "deploying", "rolling_out", "paused", "promoting", "validating",
            "promoted", "rolling_back", "rolled_back", "failed",
        ),
        Index("ix_releases_service_environment_created_at", "service", "environment", "created_at"),
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
    __table_args__ = (Index("ix_release_events_release_id_seq", "release_id", "seq"),)


class TrafficRow(Base):
    """Desired traffic and lease of one service in one environment."""

    __tablename__ = "traffic_targets"
    service: Mapped[str] = mapped_column(String(63), primary_key=True)
    environment: Mapped[str] = mapped_column(String(20), primary_key=True)
    generation: Mapped[int] = mapped_column(BigInteger, default=0)
    applied_generation: Mapped[int] = mapped_column(BigInteger, default=0)
    applied_at: Mapped[datetime | None]
    baseline_version: Mapped[str | None] = mapped_column(String(100))
    candidate_version: Mapped[str | None] = mapped_column(String(100))
    candidate_pct: Mapped[int] = mapped_column(default=0)
    header_only: Mapped[bool] = mapped_column(Boolean, default=False)
    release_id: Mapped[uuid.UUID | None]
    fence: Mapped[int] = mapped_column(BigInteger, default=0)
    lease_holder: Mapped[str | None] = mapped_column(String(120))
    lease_ttl_s: Mapped[float | None]
    lease_deadline: Mapped[datetime | None]
    lease_beat: Mapped[int] = mapped_column(BigInteger, default=0)
    __table_args__ = (
        one_of("environment", *ENVIRONMENTS),
        CheckConstraint("candidate_pct BETWEEN 0 AND 100", name="candidate_pct"),
        CheckConstraint("candidate_version IS NOT NULL OR (candidate_pct = 0)", name="candidate_named"),
    )


class FleetRow(Base):
    """How many instances of a version should run."""

    __tablename__ = "fleets"
    service: Mapped[str] = mapped_column(String(63), primary_key=True)
    environment: Mapped[str] = mapped_column(String(20), primary_key=True)
    version: Mapped[str] = mapped_column(String(100), primary_key=True)
    desired: Mapped[int]
    keep_until: Mapped[datetime | None]
    failure: Mapped[str] = mapped_column(Text, default="")
    failed_at: Mapped[datetime | None]
    updated_at: Mapped[datetime]


class InstanceRow(Base):
    """One running copy of a version."""

    __tablename__ = "instances"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    service: Mapped[str] = mapped_column(String(63))
    environment: Mapped[str] = mapped_column(String(20))
    version: Mapped[str] = mapped_column(String(100))
    port: Mapped[int]
    state: Mapped[str] = mapped_column(String(20))
    pid: Mapped[int | None]
    started: Mapped[float | None]
    restarts: Mapped[int] = mapped_column(default=0)
    log_path: Mapped[str] = mapped_column(Text, default="")
    last_output: Mapped[str] = mapped_column(Text, default="")
    updated_at: Mapped[datetime]
    __table_args__ = (
        one_of("state", "starting", "healthy", "unhealthy", "draining", "crashed", "stopped"),
        Index("ix_instances_service_environment_version", "service", "environment", "version"),
    )


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


class QuarantineRow(Base):
    """A rolled-back version that is barred for its service and environment."""

    __tablename__ = "quarantines"
    service: Mapped[str] = mapped_column(String(63), primary_key=True)
    environment: Mapped[str] = mapped_column(String(20), primary_key=True)
    version: Mapped[str] = mapped_column(String(100), primary_key=True)
    release_id: Mapped[uuid.UUID]
    reason: Mapped[str] = mapped_column(Text)
    since: Mapped[datetime]


class RunClaim(Base):
    """Who executes an attempt of a flow run: the unique row makes it exactly one."""

    __tablename__ = "run_claims"
    flow_run_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(String(120))
    pid: Mapped[int | None]
    created: Mapped[float | None]
    claimed_at: Mapped[datetime]
    closed_at: Mapped[datetime | None] = mapped_column(index=True)


class IdempotencyRow(Base):
    """Answer of a write that carried an idempotency key."""

    __tablename__ = "idempotency_keys"
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    release_id: Mapped[uuid.UUID]
    created_at: Mapped[datetime]


class AuditRow(Base):
    """Every write and decision; each row's hash covers the one before it."""

    __tablename__ = "audit_entries"
    seq: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(String(255))
    origin: Mapped[str] = mapped_column(String(40))
    action: Mapped[str] = mapped_column(String(60))
    subject: Mapped[str] = mapped_column(String(255))
    reason: Mapped[str] = mapped_column(Text, default="")
    detail: Mapped[dict[str, Any]]
    previous_hash: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64), unique=True)


class AgentRow(Base):
    """The agent that may write the router; a second one waits until the beat stands still."""

    __tablename__ = "agents"
    router: Mapped[str] = mapped_column(String(63), primary_key=True)
    holder: Mapped[str] = mapped_column(String(120))
    beat: Mapped[int] = mapped_column(BigInteger)
    beat_at: Mapped[datetime]


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


class InfrastructureMetric(Base):
    """One value of one infrastructure metric (the requirements' table)."""

    __tablename__ = "infrastructure_metrics"
    metric_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    venture_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("ventures.id"))
    infrastructure_component: Mapped[str] = mapped_column(String(255))
    metric_category: Mapped[str] = mapped_column(String(20))
    metric_name: Mapped[str] = mapped_column(String(255))
    metric_value: Mapped[Decimal | None] = mapped_column(Numeric(15, 4))
    threshold_warning: Mapped[Decimal | None] = mapped_column(Numeric(15, 4))
    threshold_critical: Mapped[Decimal | None] = mapped_column(Numeric(15, 4))
    status: Mapped[str] = mapped_column(String(20), default="normal")
    tags: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    recorded_at: Mapped[datetime]
    __table_args__ = (
        one_of("metric_category", "infrastructure", "application", "business"),
        one_of("status", "normal", "warning", "critical", "unknown"),
        Index("ix_infrastructure_metrics_series", "infrastructure_component", "metric_name", "recorded_at"),
    )


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
    __table_args__ = (
        one_of("incident_type", "deployment", "performance", "availability", "security", "data", "quality"),
        one_of("severity", "SEV1", "SEV2", "SEV3", "SEV4"),
        one_of("status", "open", "investigating", "mitigated", "resolved", "closed"),
        one_of("detection_method", "lease", "verdict", "slo", "anomaly", "alert", "heartbeat", "person"),
    )


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
