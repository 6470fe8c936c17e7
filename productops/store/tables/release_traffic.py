"""Desired traffic, leases, fleets, instances, agents."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from productops.store.tables.base import ENVIRONMENTS, Base, Json, one_of


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
    segments: Mapped[list[Any] | None] = mapped_column(Json)
    mirror: Mapped[dict[str, Any] | None] = mapped_column(Json)
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


class AgentRow(Base):
    """The agent that may write the router; another waits until the beat stands still. ``term`` rises with every change of holder."""

    __tablename__ = "agents"
    router: Mapped[str] = mapped_column(String(63), primary_key=True)
    holder: Mapped[str] = mapped_column(String(120))
    term: Mapped[int] = mapped_column(BigInteger, default=1)
    beat: Mapped[int] = mapped_column(BigInteger)
    beat_at: Mapped[datetime]
