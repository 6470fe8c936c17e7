"""Daily figures of use, people by week and month, and saved funnels and cohorts."""

from __future__ import annotations

import uuid
from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, Date, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from productops.store.tables.base import Base, one_of


class AnalyticsDailyRow(Base):
    """One day of one feature (``""``: the whole venture), perhaps of one value of a dimension; durations in milliseconds."""

    __tablename__ = "analytics_daily"
    venture: Mapped[str] = mapped_column(String(63), primary_key=True)
    day: Mapped[date] = mapped_column(Date(), primary_key=True)
    feature: Mapped[str] = mapped_column(String(255), primary_key=True)
    dimension: Mapped[str] = mapped_column(String(20), primary_key=True)
    value: Mapped[str] = mapped_column(String(255), primary_key=True)
    events: Mapped[int] = mapped_column(BigInteger())
    people: Mapped[int] = mapped_column(BigInteger())
    new_people: Mapped[int] = mapped_column(BigInteger())
    failures: Mapped[int] = mapped_column(BigInteger())
    duration_count: Mapped[int] = mapped_column(BigInteger())
    duration_sum_ms: Mapped[float]
    duration_p50_ms: Mapped[float | None]
    duration_p95_ms: Mapped[float | None]
    value_sum: Mapped[float]
    __table_args__ = (
        one_of("dimension", "", "platform", "country", "version", "environment"),
        Index("ix_analytics_daily_feature", "venture", "feature", "dimension", "day"),
    )


class AnalyticsPeriodRow(Base):
    """People of a feature in a week or month."""

    __tablename__ = "analytics_periods"
    venture: Mapped[str] = mapped_column(String(63), primary_key=True)
    unit: Mapped[str] = mapped_column(String(10), primary_key=True)
    begin: Mapped[date] = mapped_column(Date(), primary_key=True)
    feature: Mapped[str] = mapped_column(String(255), primary_key=True)
    people: Mapped[int] = mapped_column(BigInteger())
    new_people: Mapped[int] = mapped_column(BigInteger())
    __table_args__ = (one_of("unit", "week", "month"),)


class AnalyticsCountedRow(Base):
    """Which state of a day's files the figures were made of; another state means that the day has to be counted again."""

    __tablename__ = "analytics_counted"
    venture: Mapped[str] = mapped_column(String(63), primary_key=True)
    day: Mapped[date] = mapped_column(Date(), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64))
    counted_at: Mapped[datetime]


class AnalyticsDefinitionRow(Base):
    """A saved funnel or cohort. ``base`` is the catalog folder that declares it; empty: made by hand."""

    __tablename__ = "analytics_definitions"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    venture: Mapped[str] = mapped_column(String(63))
    kind: Mapped[str] = mapped_column(String(10))
    name: Mapped[str] = mapped_column(String(63))
    spec: Mapped[dict[str, Any]]
    base: Mapped[str] = mapped_column(Text)
    revision: Mapped[int] = mapped_column(Integer())
    updated_by: Mapped[str] = mapped_column(String(255))
    updated_at: Mapped[datetime]
    __table_args__ = (
        one_of("kind", "Funnel", "Cohort"),
        UniqueConstraint("venture", "kind", "name", name="uq_analytics_definitions_one"),
    )
