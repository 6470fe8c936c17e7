"""Trains: several services released together."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from productops.store.tables.base import ENVIRONMENTS, Base, one_of


class TrainRow(Base):
    """One train."""

    __tablename__ = "release_trains"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    venture: Mapped[str] = mapped_column(String(63))
    environment: Mapped[str] = mapped_column(String(20))
    mode: Mapped[str] = mapped_column(String(20))
    side_by_side: Mapped[int]
    phase: Mapped[str] = mapped_column(String(20), index=True)
    note: Mapped[str] = mapped_column(Text, default="")
    reason: Mapped[str] = mapped_column(Text, default="")
    requested_by: Mapped[str] = mapped_column(String(255))
    origin: Mapped[str] = mapped_column(String(40))
    flow_run_id: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    followed_at: Mapped[datetime | None]
    __table_args__ = (
        one_of("environment", *ENVIRONMENTS),
        one_of("mode", "all-or-nothing", "best-effort"),
        one_of("phase", "running", "rolling_back", "promoted", "partial", "rolled_back", "stuck"),
    )


class TrainMemberRow(Base):
    """One service of a train; ``release_id`` is written in the transaction that writes the release."""

    __tablename__ = "release_train_members"
    train_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("release_trains.id"), primary_key=True)
    service: Mapped[str] = mapped_column(String(63), primary_key=True)
    position: Mapped[int]
    version: Mapped[str] = mapped_column(String(100))
    strategy: Mapped[str | None] = mapped_column(String(20))
    depends_on: Mapped[list[Any]]
    phase: Mapped[str] = mapped_column(String(20))
    release_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("releases.id"))
    reason: Mapped[str] = mapped_column(Text, default="")
    updated_at: Mapped[datetime]
    __table_args__ = (
        one_of(
            "phase", "waiting", "releasing", "promoted", "passed", "unchanged", "failed", "skipped", "rolling_back", "rolled_back", "stuck"
        ),
        Index("ix_release_train_members_release_id", "release_id"),
    )  # fmt: skip
