"""Series of metrics: what they are called, their newest points, their points by the hour, and who is asked for them."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, Index, Integer, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from productops.store.tables.base import Base, BigId, Json, one_of


class MetricSeriesRow(Base):
    """A series. Its key is a small number, for it stands beside every point. ``rowed_s``: to where infrastructure_metrics has it."""

    __tablename__ = "metric_series"
    number: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    digest: Mapped[str] = mapped_column(String(32))
    venture: Mapped[str] = mapped_column(String(63))
    component: Mapped[str] = mapped_column(String(255))
    category: Mapped[str] = mapped_column(String(20))
    name: Mapped[str] = mapped_column(String(255))
    tags: Mapped[list[Any]] = mapped_column(Json)
    warning: Mapped[float | None]
    critical: Mapped[float | None]
    below: Mapped[bool] = mapped_column(Boolean, default=False)
    watched: Mapped[bool] = mapped_column(Boolean, default=False)
    status: Mapped[str] = mapped_column(String(20), default="normal")
    last_s: Mapped[int | None] = mapped_column(BigInteger)
    last_value: Mapped[float | None]
    rowed_s: Mapped[int] = mapped_column(BigInteger, default=0)
    created_at: Mapped[datetime]
    __table_args__ = (
        UniqueConstraint("digest"),
        one_of("category", "infrastructure", "application", "business"),
        one_of("status", "normal", "warning", "critical", "unknown"),
        Index("ix_metric_series_venture_component_name", "venture", "component", "name"),
        Index("ix_metric_series_venture_name", "venture", "name"),
        Index("ix_metric_series_watched", "watched"),
    )


class MetricBatchRow(Base):
    """Points of many series: as they came (shard -1), or a minute of a shard of the series, sorted."""

    __tablename__ = "metric_batches"
    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    shard: Mapped[int] = mapped_column(Integer)
    begin_s: Mapped[int] = mapped_column(BigInteger)
    until_s: Mapped[int] = mapped_column(BigInteger)
    points: Mapped[int] = mapped_column(Integer)
    payload: Mapped[bytes] = mapped_column(LargeBinary)
    __table_args__ = (Index("ix_metric_batches_shard_until_s", "shard", "until_s"),)


class MetricBlockRow(Base):
    """An hour of a series: summed up, by minutes, and its points; the last two are forgotten earlier."""

    __tablename__ = "metric_blocks"
    series: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    begin_s: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    revision: Mapped[int] = mapped_column(Integer, default=1)
    count: Mapped[int] = mapped_column(Integer)
    low: Mapped[float]
    high: Mapped[float]
    total: Mapped[float]
    last: Mapped[float]
    minutes: Mapped[bytes | None] = mapped_column(LargeBinary)
    payload: Mapped[bytes | None] = mapped_column(LargeBinary)
    __table_args__ = (Index("ix_metric_blocks_begin_s", "begin_s"),)


class ScrapeTargetRow(Base):
    """Where metrics are fetched, as the catalog declares it, and how the last try went."""

    __tablename__ = "scrape_targets"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    venture: Mapped[str] = mapped_column(String(63))
    name: Mapped[str] = mapped_column(String(63))
    spec: Mapped[dict[str, Any]]
    base: Mapped[str] = mapped_column(Text)
    revision: Mapped[int] = mapped_column(Integer, default=1)
    tried_at: Mapped[datetime | None]
    samples: Mapped[int] = mapped_column(Integer, default=0)
    problem: Mapped[str] = mapped_column(Text, default="")
    updated_at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("venture", "name"),)
