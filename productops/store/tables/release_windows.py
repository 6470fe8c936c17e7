"""Calendars of freezes and change windows, their events, and the permissions to go past them."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from productops.store.tables.base import ENVIRONMENTS, Base, BigId, one_of


class ChangeCalendarRow(Base):
    """A declared calendar and what is known of its source; ``content`` is the last good copy."""

    __tablename__ = "change_calendars"
    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    venture: Mapped[str | None] = mapped_column(String(63))
    effect: Mapped[str] = mapped_column(String(10))
    services: Mapped[list[Any]]
    environments: Mapped[list[Any]]
    timezone: Mapped[str] = mapped_column(String(60))
    labels: Mapped[dict[str, Any]]
    spec: Mapped[dict[str, Any]]
    base: Mapped[str] = mapped_column(Text)
    revision: Mapped[int]
    content: Mapped[bytes | None] = mapped_column(LargeBinary)
    digest: Mapped[str] = mapped_column(String(64), default="")
    etag: Mapped[str] = mapped_column(String(200), default="")
    read_at: Mapped[datetime | None]
    checked_at: Mapped[datetime | None]
    changed_at: Mapped[datetime | None]
    known_until: Mapped[datetime | None]
    error: Mapped[str] = mapped_column(Text, default="")
    failing_since: Mapped[datetime | None]
    __table_args__ = (one_of("effect", "freeze", "window"), one_of("kind", "Calendar", "ChangeWindow"))


class ChangeOccurrenceRow(Base):
    """One event of a calendar at one time."""

    __tablename__ = "change_occurrences"
    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    calendar: Mapped[str] = mapped_column(ForeignKey("change_calendars.name", ondelete="CASCADE"))
    effect: Mapped[str] = mapped_column(String(10))
    uid: Mapped[str] = mapped_column(String(255))
    title: Mapped[str] = mapped_column(String(255))
    labels: Mapped[list[Any]]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    __table_args__ = (Index("ix_change_occurrences_calendar_ends_at", "calendar", "ends_at"),)


class ChangeBypassRow(Base):
    """The permission to start one release of one service during a freeze: asked by one person, approved by another, used once."""

    __tablename__ = "change_bypasses"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    venture: Mapped[str] = mapped_column(String(63))
    service: Mapped[str] = mapped_column(String(63))
    environment: Mapped[str] = mapped_column(String(20))
    version: Mapped[str | None] = mapped_column(String(100))
    reason: Mapped[str] = mapped_column(Text)
    asked_by: Mapped[str] = mapped_column(String(255))
    asked_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    approved_by: Mapped[str | None] = mapped_column(String(255))
    approved_at: Mapped[datetime | None]
    approval_note: Mapped[str] = mapped_column(Text, default="")
    used_by: Mapped[str | None] = mapped_column(String(64))
    used_at: Mapped[datetime | None]
    __table_args__ = (one_of("environment", *ENVIRONMENTS), Index("ix_change_bypasses_service_environment", "service", "environment"))
