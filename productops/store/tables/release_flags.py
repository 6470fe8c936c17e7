"""Feature flags: their state, every revision, changes that wait, and how often they were evaluated."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from productops.store.tables.base import ENVIRONMENTS, Base, BigId, one_of

# Python's None as SQL's NULL, not as JSON's null.
MaybeJson = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
CHANGE_STATES = ("proposed", "scheduled", "applied", "rejected", "cancelled", "failed")


class FlagRow(Base):
    """A flag at its newest revision. ``declared`` is the specification the catalog gave last; NULL when none did."""

    __tablename__ = "flags"
    key: Mapped[str] = mapped_column(String(63), primary_key=True)
    venture_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("ventures.id"))
    state: Mapped[dict[str, Any]]
    declared: Mapped[dict[str, Any] | None] = mapped_column(MaybeJson, nullable=True)
    revision: Mapped[int]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class FlagRevisionRow(Base):
    """One change that took effect, with the flag before and after; rows are only added."""

    __tablename__ = "flag_revisions"
    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    flag_key: Mapped[str] = mapped_column(ForeignKey("flags.key"))
    revision: Mapped[int]
    action: Mapped[str] = mapped_column(String(20))
    summary: Mapped[str] = mapped_column(Text)
    before: Mapped[dict[str, Any] | None] = mapped_column(MaybeJson, nullable=True)
    after: Mapped[dict[str, Any]]
    author: Mapped[str] = mapped_column(String(255))
    origin: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str] = mapped_column(Text)
    release_id: Mapped[uuid.UUID | None]
    at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("flag_key", "revision"),)


class FlagChangeRow(Base):
    """A change that waits for approval or its time, and what became of it."""

    __tablename__ = "flag_changes"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    flag_key: Mapped[str] = mapped_column(ForeignKey("flags.key"))
    operation: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(20))
    base_revision: Mapped[int]
    due_at: Mapped[datetime | None]
    author: Mapped[str] = mapped_column(String(255))
    origin: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str] = mapped_column(Text)
    release_id: Mapped[uuid.UUID | None]
    created_at: Mapped[datetime]
    decided_by: Mapped[str] = mapped_column(String(255), default="")
    decided_at: Mapped[datetime | None]
    outcome: Mapped[str] = mapped_column(Text, default="")
    __table_args__ = (
        one_of("state", *CHANGE_STATES),
        Index("ix_flag_changes_state_due_at", "state", "due_at"),
        Index("ix_flag_changes_flag_key_created_at", "flag_key", "created_at"),
    )


class FlagVersionRow(Base):
    """One row per environment: rises with every change that somebody there may see. Cheap to ask many times a second."""

    __tablename__ = "flag_versions"
    environment: Mapped[str] = mapped_column(String(20), primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger)
    changed_at: Mapped[datetime]
    next_due_at: Mapped[datetime | None]
    __table_args__ = (one_of("environment", *ENVIRONMENTS),)


class FlagCountRow(Base):
    """Evaluations of one variant within one minute (Unix minutes), summed over all processes."""

    __tablename__ = "flag_counts"
    flag_key: Mapped[str] = mapped_column(String(63), primary_key=True)
    environment: Mapped[str] = mapped_column(String(20), primary_key=True)
    variant: Mapped[str] = mapped_column(String(63), primary_key=True)
    minute: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    single: Mapped[int] = mapped_column(BigInteger)
    bulk: Mapped[int] = mapped_column(BigInteger)
    __table_args__ = (one_of("environment", *ENVIRONMENTS), Index("ix_flag_counts_minute", "minute"))


class FlagUseRow(Base):
    """When a flag was first and last evaluated; outlives the counts."""

    __tablename__ = "flag_uses"
    flag_key: Mapped[str] = mapped_column(String(63), primary_key=True)
    environment: Mapped[str] = mapped_column(String(20), primary_key=True)
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
    __table_args__ = (one_of("environment", *ENVIRONMENTS),)
