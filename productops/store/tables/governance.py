"""Barred versions and the audit."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from productops.store.tables.base import Base, BigId


class QuarantineRow(Base):
    """A rolled-back version that is barred for its service and environment."""

    __tablename__ = "quarantines"
    service: Mapped[str] = mapped_column(String(63), primary_key=True)
    environment: Mapped[str] = mapped_column(String(20), primary_key=True)
    version: Mapped[str] = mapped_column(String(100), primary_key=True)
    release_id: Mapped[uuid.UUID]
    reason: Mapped[str] = mapped_column(Text)
    since: Mapped[datetime]


class AuditPersonRow(Base):
    """The name behind an ``actor_ref``, which is the commitment to it. An erasure leaves a tombstone and no salt."""

    __tablename__ = "audit_people"
    ref: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(255), index=True)
    salt: Mapped[str] = mapped_column(String(32))
    since: Mapped[datetime]


class AuditRow(Base):
    """Every write and decision; each row's hash covers the one before it. Triggers refuse every change but an erasure.

    ``detail`` is canonical JSON as it was hashed: a database's own JSON type would write numbers anew.
    """

    __tablename__ = "audit_entries"
    __table_args__ = (
        Index("ix_audit_entries_at_seq", "at", "seq"),
        Index("ix_audit_entries_subject_at_seq", "subject", "at", "seq"),
        Index("ix_audit_entries_action_at_seq", "action", "at", "seq"),
        Index("ix_audit_entries_actor_ref_at_seq", "actor_ref", "at", "seq"),
        Index("ix_audit_entries_actor_ref_action_at_seq", "actor_ref", "action", "at", "seq"),
    )
    seq: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    actor_ref: Mapped[str] = mapped_column(String(64))
    origin: Mapped[str] = mapped_column(String(40))
    action: Mapped[str] = mapped_column(String(60))
    subject: Mapped[str] = mapped_column(String(255))
    reason: Mapped[str] = mapped_column(Text, default="")
    detail: Mapped[str] = mapped_column(Text)
    salt: Mapped[str] = mapped_column(String(32))
    erased: Mapped[str] = mapped_column(Text, default="")
    previous_hash: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64), unique=True)
