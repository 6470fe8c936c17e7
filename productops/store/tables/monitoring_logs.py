"""Logs in chunks, what was learned from them, spans of traces, and who calls whom."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, Index, Integer, LargeBinary, SmallInteger, String, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from productops.store.tables.base import Base, BigId, Json


class LogChunkRow(Base):
    """Some hundred lines of one venture, packed. ``words`` is what PostgreSQL finds it by; SQLite has the table ``log_chunk_words``."""

    __tablename__ = "log_chunks"
    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    venture: Mapped[str] = mapped_column(String(63))
    first_us: Mapped[int] = mapped_column(BigInteger)
    last_us: Mapped[int] = mapped_column(BigInteger)
    made_us: Mapped[int] = mapped_column(BigInteger)
    lines: Mapped[int] = mapped_column(Integer)
    size_bytes: Mapped[int] = mapped_column(Integer)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    words: Mapped[str | None] = mapped_column(Text().with_variant(TSVECTOR(), "postgresql"))
    __table_args__ = (
        # What takes part in finding chunks lies in the index alone: pages with bodies are read for chunks that are opened only.
        Index("ix_log_chunks_window", "venture", "id", "first_us", "last_us"),
        {"sqlite_autoincrement": True},
    )


class LogOffsetRow(Base):
    """How far the output of an instance was read."""

    __tablename__ = "log_offsets"
    instance: Mapped[str] = mapped_column(String(64), primary_key=True)
    path: Mapped[str] = mapped_column(Text)
    device: Mapped[int] = mapped_column(BigInteger)
    inode: Mapped[int] = mapped_column(BigInteger)
    offset: Mapped[int] = mapped_column(BigInteger)
    head: Mapped[str] = mapped_column(String(64))
    updated_at: Mapped[datetime]


class LogServiceRow(Base):
    """That a service logs in an environment."""

    __tablename__ = "log_services"
    service: Mapped[str] = mapped_column(String(63), primary_key=True)
    environment: Mapped[str] = mapped_column(String(20), primary_key=True)
    venture: Mapped[str] = mapped_column(String(63))
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
    lines: Mapped[int] = mapped_column(BigInteger)
    dropped: Mapped[int] = mapped_column(BigInteger)


class LogTemplateRow(Base):
    """The shape of lines. ``key`` is a hash of the text it had first: it stays when the text becomes more general."""

    __tablename__ = "log_templates"
    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    venture: Mapped[str] = mapped_column(String(63))
    service: Mapped[str] = mapped_column(String(63))
    key: Mapped[str] = mapped_column(String(32))
    text: Mapped[str] = mapped_column(Text)
    level: Mapped[int] = mapped_column(SmallInteger)
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("service", "key", name="uq_log_templates_one"), {"sqlite_autoincrement": True})


class LogTemplateMinuteRow(Base):
    """Lines of a template in one minute (Unix minutes)."""

    __tablename__ = "log_template_minutes"
    template_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    environment: Mapped[str] = mapped_column(String(20), primary_key=True)
    version: Mapped[str] = mapped_column(String(100), primary_key=True)
    minute: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    lines: Mapped[int] = mapped_column(BigInteger)
    __table_args__ = (Index("ix_log_template_minutes_minute", "minute"),)


class LogErrorRow(Base):
    """Errors with one fingerprint. ``fired_at``: when the alert about it began; ``None`` while there is none."""

    __tablename__ = "log_errors"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    venture: Mapped[str] = mapped_column(String(63))
    service: Mapped[str] = mapped_column(String(63))
    environment: Mapped[str] = mapped_column(String(20))
    fingerprint: Mapped[str] = mapped_column(String(32))
    language: Mapped[str] = mapped_column(String(10))
    type: Mapped[str] = mapped_column(String(255))
    message: Mapped[str] = mapped_column(Text)
    frames: Mapped[list[Any]]
    sample: Mapped[str] = mapped_column(Text)
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
    fired_at: Mapped[datetime | None]
    __table_args__ = (
        UniqueConstraint("service", "environment", "fingerprint", name="uq_log_errors_one"),
        Index("ix_log_errors_first_at", "first_at"),
    )


class LogErrorVersionRow(Base):
    """When a version had an error first and last, and how often; kept as long as the error is."""

    __tablename__ = "log_error_versions"
    error_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    version: Mapped[str] = mapped_column(String(100), primary_key=True)
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
    lines: Mapped[int] = mapped_column(BigInteger)


class LogErrorMinuteRow(Base):
    """Errors of one fingerprint and version in one minute (Unix minutes)."""

    __tablename__ = "log_error_minutes"
    error_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    version: Mapped[str] = mapped_column(String(100), primary_key=True)
    minute: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    lines: Mapped[int] = mapped_column(BigInteger)
    __table_args__ = (Index("ix_log_error_minutes_minute", "minute"),)


class TraceSpanRow(Base):
    """One span that was kept."""

    __tablename__ = "trace_spans"
    trace_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    span_id: Mapped[str] = mapped_column(String(16), primary_key=True)
    parent_id: Mapped[str] = mapped_column(String(16))
    venture: Mapped[str] = mapped_column(String(63))
    service: Mapped[str] = mapped_column(String(63))
    environment: Mapped[str] = mapped_column(String(20))
    version: Mapped[str] = mapped_column(String(100))
    name: Mapped[str] = mapped_column(String(200))
    kind: Mapped[str] = mapped_column(String(10))
    entry: Mapped[bool] = mapped_column(Boolean)
    error: Mapped[bool] = mapped_column(Boolean)
    message: Mapped[str] = mapped_column(Text)
    started_us: Mapped[int] = mapped_column(BigInteger)
    duration_us: Mapped[int] = mapped_column(BigInteger)
    attributes: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    events: Mapped[list[Any]]
    __table_args__ = (
        Index("ix_trace_spans_service", "service", "entry", "started_us"),
        Index("ix_trace_spans_started_us", "started_us"),
    )


class TraceSubjectRow(Base):
    """The trace that something of ours is worked on in, where somebody else began it."""

    __tablename__ = "trace_subjects"
    subject: Mapped[str] = mapped_column(String(100), primary_key=True)
    trace_id: Mapped[str] = mapped_column(String(32))
    span_id: Mapped[str] = mapped_column(String(16))
    at: Mapped[datetime]
    __table_args__ = (Index("ix_trace_subjects_at", "at"),)


class TraceEdgeRow(Base):
    """Calls between two services in one minute as one process saw them (``writer``), so that no two ever write one row."""

    __tablename__ = "trace_edges"
    minute: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    venture: Mapped[str] = mapped_column(String(63), primary_key=True)
    environment: Mapped[str] = mapped_column(String(20), primary_key=True)
    caller: Mapped[str] = mapped_column(String(100), primary_key=True)
    callee: Mapped[str] = mapped_column(String(100), primary_key=True)
    kind: Mapped[str] = mapped_column(String(10), primary_key=True)
    writer: Mapped[str] = mapped_column(String(32), primary_key=True)
    calls: Mapped[int] = mapped_column(BigInteger)
    errors: Mapped[int] = mapped_column(BigInteger)
    total_us: Mapped[int] = mapped_column(BigInteger)
    max_us: Mapped[int] = mapped_column(BigInteger)
    buckets: Mapped[list[Any]]
