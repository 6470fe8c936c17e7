"""What performance was found to be, what is predicted of features, and reports with the mails they went out by."""

from __future__ import annotations

import uuid
from datetime import date, datetime
from typing import Any

from sqlalchemy import Date, ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from productops.store.tables.base import Base, one_of

RUN_STATES = ("done", "acting", "acted", "refused")
MAIL_STATES = ("waiting", "sending", "sent", "failed")


class PerformanceRunRow(Base):
    """One look at the performance of a service or feature. ``result``: findings and recommendations; ``effect``: measured after it acted.

    ``request_key`` is unique: a repeated request finds its run.
    """

    __tablename__ = "analytics_performance_runs"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    venture: Mapped[str] = mapped_column(String(63))
    subject: Mapped[str] = mapped_column(String(255))
    environment: Mapped[str] = mapped_column(String(20))
    state: Mapped[str] = mapped_column(String(10))
    sentence: Mapped[str] = mapped_column(Text)
    result: Mapped[dict[str, Any]]
    action: Mapped[dict[str, Any]]
    effect: Mapped[dict[str, Any]]
    request_key: Mapped[str | None] = mapped_column(String(255), unique=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    by: Mapped[str] = mapped_column(String(255))
    at: Mapped[datetime]
    acted_at: Mapped[datetime | None]
    measured_at: Mapped[datetime | None]
    __table_args__ = (
        one_of("state", *RUN_STATES),
        Index("ix_analytics_performance_runs_venture_id", "venture", "id"),
        Index("ix_analytics_performance_runs_subject_id", "subject", "id"),
    )


class PerformanceDayRow(Base):
    """A day of one version in minutes: packed columns, which outlive the seconds they were made of."""

    __tablename__ = "analytics_performance_days"
    service: Mapped[str] = mapped_column(String(63), primary_key=True)
    environment: Mapped[str] = mapped_column(String(20), primary_key=True)
    version: Mapped[str] = mapped_column(String(100), primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    minutes: Mapped[int]
    payload: Mapped[bytes] = mapped_column(LargeBinary)
    __table_args__ = (Index("ix_analytics_performance_days_day", "day"),)


class SuccessPredictionRow(Base):
    """With which probability a feature reaches a goal, as it was said on one day. ``outcome``: reached, missed; NULL: not known yet."""

    __tablename__ = "analytics_predictions"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    venture: Mapped[str] = mapped_column(String(63))
    feature: Mapped[str] = mapped_column(String(255))
    day: Mapped[date] = mapped_column(Date)
    due_at: Mapped[datetime]
    target: Mapped[float]
    probability: Mapped[float]
    base: Mapped[float]
    method: Mapped[str] = mapped_column(String(20))
    days: Mapped[int]
    signals: Mapped[dict[str, Any]]
    reasons: Mapped[list[Any]]
    at: Mapped[datetime]
    outcome: Mapped[str | None] = mapped_column(String(10))
    actual: Mapped[float | None]
    outcome_at: Mapped[datetime | None]
    __table_args__ = (
        one_of("outcome", "reached", "missed"),
        UniqueConstraint("venture", "feature", "day", name="uq_analytics_predictions_one"),
        Index("ix_analytics_predictions_venture_outcome", "venture", "outcome"),
    )


class WeeklyReportRow(Base):
    """The report of a venture and week (``2026-W47``); made anew only until the week is over."""

    __tablename__ = "analytics_reports"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    venture: Mapped[str] = mapped_column(String(63))
    week: Mapped[str] = mapped_column(String(8))
    document: Mapped[dict[str, Any]]
    by: Mapped[str] = mapped_column(String(255))
    made_at: Mapped[datetime]
    whole: Mapped[bool]
    __table_args__ = (UniqueConstraint("venture", "week", name="uq_analytics_reports_one"),)


class ReportMailRow(Base):
    """One mail of a report to one address; the row is there before anything is sent."""

    __tablename__ = "analytics_report_mails"
    report_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("analytics_reports.id"), primary_key=True)
    recipient: Mapped[str] = mapped_column(String(255), primary_key=True)
    state: Mapped[str] = mapped_column(String(10))
    attempts: Mapped[int]
    doubtful: Mapped[int]
    error: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]
    __table_args__ = (one_of("state", *MAIL_STATES),)
