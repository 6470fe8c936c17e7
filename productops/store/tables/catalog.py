"""Ventures, services and what was applied."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from productops.store.tables.base import Base, BigId


class Venture(Base):
    """A product business."""

    __tablename__ = "ventures"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(63), unique=True)
    title: Mapped[str] = mapped_column(String(255), default="")
    description: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime]


class CatalogService(Base):
    """A service as last applied; every application is a row of ``catalog_revisions``."""

    __tablename__ = "services"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(63), unique=True)
    venture_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("ventures.id"))
    spec: Mapped[dict[str, Any]]
    base: Mapped[str] = mapped_column(Text)
    revision: Mapped[int]
    updated_at: Mapped[datetime]


class CatalogRevision(Base):
    """One applied version of one catalog entry."""

    __tablename__ = "catalog_revisions"
    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    kind: Mapped[str] = mapped_column(String(40))
    name: Mapped[str] = mapped_column(String(63))
    revision: Mapped[int]
    spec: Mapped[dict[str, Any]]
    author: Mapped[str] = mapped_column(String(255))
    applied_at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("kind", "name", "revision"),)
