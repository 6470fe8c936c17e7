"""Playbooks as declared, responses with their journal of steps, holds of people, drills."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from productops.store.tables.base import ENVIRONMENTS, Base, one_of

RESPONSE_STATES = ("proposed", "running", "undoing", "succeeded", "failed", "handed-over", "stopped")
STEP_STATES = ("pending", "running", "done", "failed", "skipped")
DRILL_STATES = ("running", "passed", "failed", "aborted")


class IncidentPlaybookRow(Base):
    """``kind: Playbook``."""

    __tablename__ = "incident_playbooks"
    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    venture: Mapped[str | None] = mapped_column(String(63), index=True)
    spec: Mapped[dict[str, Any]]
    base: Mapped[str] = mapped_column(Text)
    revision: Mapped[int]
    updated_at: Mapped[datetime]


class IncidentResponseRow(Base):
    """A playbook at work. ``spec`` is the playbook as it was then. ``fence`` rises with every change of ``holder``."""

    __tablename__ = "incident_responses"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    incident_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("incident_management.incident_id"))
    number: Mapped[int]
    playbook: Mapped[str] = mapped_column(String(63))
    spec: Mapped[dict[str, Any]]
    base: Mapped[str] = mapped_column(Text)
    venture: Mapped[str] = mapped_column(String(63))
    service: Mapped[str] = mapped_column(String(63))
    environment: Mapped[str] = mapped_column(String(20))
    cause: Mapped[dict[str, Any]]
    mode: Mapped[str] = mapped_column(String(10))
    state: Mapped[str] = mapped_column(String(12))
    why: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    by: Mapped[str] = mapped_column(String(255))
    since: Mapped[datetime]
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    holder: Mapped[str] = mapped_column(String(255))
    held_until: Mapped[datetime | None]
    fence: Mapped[int]
    flow_run_id: Mapped[str | None] = mapped_column(String(64))
    __table_args__ = (
        UniqueConstraint("incident_id", "number", "mode", name="uq_incident_responses_one"),
        one_of("state", *RESPONSE_STATES),
        one_of("mode", "act", "dry-run"),
        one_of("environment", *ENVIRONMENTS),
        Index("ix_incident_responses_state", "state"),
    )


class IncidentStepRow(Base):
    """A line of the journal: written before anything is done, and again with what came of it. ``subject`` is what it acts on."""

    __tablename__ = "incident_response_steps"
    response_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("incident_responses.id"), primary_key=True)
    role: Mapped[str] = mapped_column(String(4), primary_key=True)
    index: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    do: Mapped[str] = mapped_column(String(20))
    spec: Mapped[dict[str, Any]]
    subject: Mapped[str] = mapped_column(String(255))
    state: Mapped[str] = mapped_column(String(8))
    attempts: Mapped[int]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    not_before: Mapped[datetime | None]
    memory: Mapped[dict[str, Any]]
    result: Mapped[str] = mapped_column(Text)
    __table_args__ = (
        one_of("role", "step", "undo"),
        one_of("state", *STEP_STATES),
        Index("ix_incident_response_steps_started_at", "started_at"),
    )


class IncidentHoldRow(Base):
    """A person's word that programs keep their hands off."""

    __tablename__ = "incident_holds"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    venture: Mapped[str] = mapped_column(String(63), index=True)
    service: Mapped[str] = mapped_column(String(63))
    environment: Mapped[str | None] = mapped_column(String(20))
    incident_id: Mapped[uuid.UUID | None]
    reason: Mapped[str] = mapped_column(Text)
    by: Mapped[str] = mapped_column(String(255))
    at: Mapped[datetime]
    until: Mapped[datetime | None]
    lifted_at: Mapped[datetime | None]
    lifted_by: Mapped[str | None] = mapped_column(String(255))


class IncidentDrillRow(Base):
    """A rehearsal; ``injected`` is written before anything is broken."""

    __tablename__ = "incident_drills"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    playbook: Mapped[str] = mapped_column(String(63))
    fault: Mapped[str] = mapped_column(String(40))
    venture: Mapped[str] = mapped_column(String(63), index=True)
    service: Mapped[str] = mapped_column(String(63))
    environment: Mapped[str] = mapped_column(String(20))
    state: Mapped[str] = mapped_column(String(8))
    by: Mapped[str] = mapped_column(String(255))
    begun_at: Mapped[datetime]
    injected: Mapped[dict[str, Any]]
    injected_at: Mapped[datetime | None]
    undone_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    incident_id: Mapped[uuid.UUID | None]
    scores: Mapped[dict[str, Any]]
    note: Mapped[str] = mapped_column(Text)
    __table_args__ = (one_of("state", *DRILL_STATES),)
