"""Usage events: which files hold them, what their names and properties are, and who is erased. The events themselves are in files."""

from __future__ import annotations

import uuid
from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, Date, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from productops.store.tables.base import Base, one_of


class AnalyticsFileRow(Base):
    """One file of events of a venture and a UTC day. Those without ``gone_at`` are the events; others only wait to be deleted.

    ``path`` is relative to the folder of events.
    """

    __tablename__ = "analytics_files"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    venture: Mapped[str] = mapped_column(String(63))
    day: Mapped[date] = mapped_column(Date())
    path: Mapped[str] = mapped_column(String(255), unique=True)
    rows: Mapped[int] = mapped_column(BigInteger)
    bytes: Mapped[int] = mapped_column(BigInteger)
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
    first_received_at: Mapped[datetime]
    last_received_at: Mapped[datetime]
    made_at: Mapped[datetime]
    gone_at: Mapped[datetime | None]
    gone_why: Mapped[str] = mapped_column(String(20))
    __table_args__ = (
        one_of("gone_why", "", "merged", "erased", "expired"),
        Index("ix_analytics_files_venture_day", "venture", "day"),
        Index("ix_analytics_files_gone_at", "gone_at"),
    )


class AnalyticsSegmentRow(Base):
    """A file of new events that is sorted in; kept until the file is gone, so that it is never sorted in twice."""

    __tablename__ = "analytics_segments"
    name: Mapped[str] = mapped_column(String(120), primary_key=True)
    events: Mapped[int]
    sorted_at: Mapped[datetime] = mapped_column(index=True)


class AnalyticsLeaseRow(Base):
    """Who may change the files now. One row; ``generation`` rises with each holder, and a holder of the past changes nothing."""

    __tablename__ = "analytics_leases"
    name: Mapped[str] = mapped_column(String(30), primary_key=True)
    owner: Mapped[str] = mapped_column(String(120))
    until: Mapped[datetime]
    generation: Mapped[int] = mapped_column(BigInteger)


class AnalyticsNameRow(Base):
    """A name of events that was seen."""

    __tablename__ = "analytics_names"
    venture: Mapped[str] = mapped_column(String(63), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
    events: Mapped[int] = mapped_column(BigInteger)


class AnalyticsNameDayRow(Base):
    """Events of one name on one UTC day."""

    __tablename__ = "analytics_name_days"
    venture: Mapped[str] = mapped_column(String(63), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    day: Mapped[date] = mapped_column(Date(), primary_key=True)
    events: Mapped[int] = mapped_column(BigInteger)
    __table_args__ = (Index("ix_analytics_name_days_venture_day", "venture", "day"),)


class AnalyticsPropertyRow(Base):
    """A property of events of one name that was seen with values of one type."""

    __tablename__ = "analytics_properties"
    venture: Mapped[str] = mapped_column(String(63), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    property: Mapped[str] = mapped_column(String(200), primary_key=True)
    type: Mapped[str] = mapped_column(String(10), primary_key=True)
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
    events: Mapped[int] = mapped_column(BigInteger)


class AnalyticsRefusalRow(Base):
    """Events of one UTC day that were refused or dropped for one reason."""

    __tablename__ = "analytics_refusals"
    venture: Mapped[str] = mapped_column(String(63), primary_key=True)
    day: Mapped[date] = mapped_column(Date(), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    reason: Mapped[str] = mapped_column(String(200), primary_key=True)
    events: Mapped[int] = mapped_column(BigInteger)


class AnalyticsPlanRow(Base):
    """A declared tracking plan; one for a venture."""

    __tablename__ = "analytics_plans"
    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    venture: Mapped[str] = mapped_column(String(63), unique=True)
    spec: Mapped[dict[str, Any]]
    base: Mapped[str] = mapped_column(Text)
    revision: Mapped[int]
    updated_at: Mapped[datetime]


class AnalyticsErasureRow(Base):
    """A person whose events are removed. ``persons``: numbers of the person as text; who it is does not stand here.

    ``cursor`` is the last file that is done. ``forever``: what comes later is dropped, too.
    """

    __tablename__ = "analytics_erasures"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    venture: Mapped[str] = mapped_column(String(63))
    persons: Mapped[list[Any]]
    forever: Mapped[bool]
    state: Mapped[str] = mapped_column(String(10))
    cursor: Mapped[str] = mapped_column(String(300))
    files: Mapped[int]
    events: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[str] = mapped_column(Text)
    by: Mapped[str] = mapped_column(String(255))
    asked_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    __table_args__ = (
        one_of("state", "waiting", "working", "done"),
        Index("ix_analytics_erasures_venture_id", "venture", "id"),
        Index("ix_analytics_erasures_state", "state"),
    )


class AnalyticsImportRow(Base):
    """Events fetched from elsewhere, and how far. ``current_key`` is there while it may go on, so that there is one for each source."""

    __tablename__ = "analytics_imports"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    venture: Mapped[str] = mapped_column(String(63))
    source: Mapped[str] = mapped_column(String(300))
    state: Mapped[str] = mapped_column(String(10))
    cursor: Mapped[dict[str, Any]]
    accepted: Mapped[int] = mapped_column(BigInteger)
    duplicates: Mapped[int] = mapped_column(BigInteger)
    refused: Mapped[int] = mapped_column(BigInteger)
    error: Mapped[str] = mapped_column(Text)
    by: Mapped[str] = mapped_column(String(255))
    started_at: Mapped[datetime]
    moved_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    current_key: Mapped[str | None] = mapped_column(String(64), unique=True)
    __table_args__ = (one_of("state", "running", "done", "stopped"), Index("ix_analytics_imports_venture_id", "venture", "id"))
