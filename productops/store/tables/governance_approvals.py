"""Approval policies, requests, signatures, one-time links, reviews of overrides, and change records."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from productops.store.tables.base import ENVIRONMENTS, Base, one_of

ACTIONS = ("release", "train", "flag", "bypass", "playbook", "override", "policy")
STATES = ("waiting", "approved", "overridden", "refused", "expired", "withdrawn")
CHANGES = ("release", "train", "flag", "catalog", "override")


class ApprovalPolicyRow(Base):
    """A declared policy in its present version."""

    __tablename__ = "approval_policies"
    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    venture: Mapped[str | None] = mapped_column(String(63))
    spec: Mapped[dict[str, Any]]
    base: Mapped[str] = mapped_column(Text)
    version: Mapped[int]


class ApprovalRow(Base):
    """A request for signatures. ``open_key`` is the subject while it waits and NULL after: unique, so one open request a subject."""

    __tablename__ = "approval_requests"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(String(200))
    open_key: Mapped[str | None] = mapped_column(String(200), unique=True)
    action: Mapped[str] = mapped_column(String(20))
    title: Mapped[str] = mapped_column(Text)
    venture: Mapped[str | None] = mapped_column(String(63))
    environment: Mapped[str | None] = mapped_column(String(20))
    requested_by: Mapped[str] = mapped_column(String(255))
    reason: Mapped[str] = mapped_column(Text)
    content: Mapped[dict[str, Any]]
    content_hash: Mapped[str] = mapped_column(String(64))
    facts: Mapped[list[Any]]
    needs: Mapped[list[Any]]
    state: Mapped[str] = mapped_column(String(20))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[str] = mapped_column(String(255), default="")
    outcome: Mapped[str] = mapped_column(Text, default="")
    __table_args__ = (
        one_of("action", *ACTIONS),
        one_of("state", *STATES),
        one_of("environment", *ENVIRONMENTS),
        Index("ix_approval_requests_subject_id", "subject", "id"),
        Index("ix_approval_requests_state_id", "state", "id"),
    )


class ApprovalSignatureRow(Base):
    """One person's word on one request."""

    __tablename__ = "approval_signatures"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    request_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("approval_requests.id"), index=True)
    person: Mapped[str] = mapped_column(String(255))
    roles: Mapped[list[Any]]
    content_hash: Mapped[str] = mapped_column(String(64))
    note: Mapped[str] = mapped_column(Text, default="")
    origin: Mapped[str] = mapped_column(String(40))
    at: Mapped[datetime]


class ApprovalLinkRow(Base):
    """A link that one person may use once, for one request; only its hash is kept."""

    __tablename__ = "approval_links"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    request_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("approval_requests.id"), index=True)
    person: Mapped[str] = mapped_column(String(255))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class ApprovalReviewRow(Base):
    """The look that somebody else takes at an override."""

    __tablename__ = "approval_reviews"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    request_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("approval_requests.id"), index=True)
    subject: Mapped[str] = mapped_column(String(200))
    venture: Mapped[str | None] = mapped_column(String(63))
    overridden_by: Mapped[str] = mapped_column(String(255))
    reason: Mapped[str] = mapped_column(Text)
    opened_at: Mapped[datetime]
    due_at: Mapped[datetime]
    closed_by: Mapped[str | None] = mapped_column(String(255))
    closed_at: Mapped[datetime | None] = mapped_column(index=True)
    note: Mapped[str] = mapped_column(Text, default="")


class ChangeRecordRow(Base):
    """One change. ``number`` is an outside change system's; ``report_error``: why it has not taken the change yet."""

    __tablename__ = "change_records"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    subject: Mapped[str] = mapped_column(String(200), index=True)
    title: Mapped[str] = mapped_column(Text)
    venture: Mapped[str | None] = mapped_column(String(63))
    environment: Mapped[str | None] = mapped_column(String(20))
    requested_by: Mapped[str] = mapped_column(String(255))
    origin: Mapped[str] = mapped_column(String(40))
    reason: Mapped[str] = mapped_column(Text)
    risk_level: Mapped[str] = mapped_column(String(10))
    risk_reasons: Mapped[list[Any]]
    windows: Mapped[str] = mapped_column(Text)
    rollback_plan: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(index=True)
    detail: Mapped[dict[str, Any]]
    number: Mapped[str] = mapped_column(String(100), default="")
    report_error: Mapped[str] = mapped_column(Text, default="")
    __table_args__ = (
        one_of("kind", *CHANGES),
        one_of("risk_level", "low", "medium", "high"),
        one_of("environment", *ENVIRONMENTS),
        Index("ix_change_records_venture_id", "venture", "id"),
        Index("ix_change_records_number_id", "number", "id"),
    )
