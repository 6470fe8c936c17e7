"""What detectors learned and said, heartbeats, and how the watch is."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from productops.store.tables.base import Base


class DetectorStateRow(Base):
    """What was learned of one series, packed."""

    __tablename__ = "detector_states"
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    subject: Mapped[str] = mapped_column(String(600))
    data: Mapped[bytes] = mapped_column(LargeBinary)
    saved_at: Mapped[datetime]


class DetectorAlertRow(Base):
    """An alert that fires by a detector's word. ``told``: it was taken; ``ended_at``: it is over, and that is still to be told."""

    __tablename__ = "detector_alerts"
    fingerprint: Mapped[str] = mapped_column(String(64), primary_key=True)
    detector: Mapped[str] = mapped_column(String(20))
    data: Mapped[dict[str, Any]]
    told: Mapped[bool]
    ended_at: Mapped[datetime | None]


class DetectorCursorRow(Base):
    """Up to which number a detector has read."""

    __tablename__ = "detector_cursors"
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger)


class HeartbeatRow(Base):
    """Something that has to report now and then."""

    __tablename__ = "heartbeats"
    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    venture: Mapped[str] = mapped_column(String(63))
    spec: Mapped[dict[str, Any]]
    base: Mapped[str] = mapped_column(Text)
    declared_at: Mapped[datetime]
    last_at: Mapped[datetime | None]
    beats: Mapped[int] = mapped_column(BigInteger)


class WatchReportRow(Base):
    """How a watch process is, by its own word."""

    __tablename__ = "watch_reports"
    holder: Mapped[str] = mapped_column(String(150), primary_key=True)
    data: Mapped[dict[str, Any]]
    at: Mapped[datetime]
