"""Webhooks: who may send, what came in, what it meant; who is told, what is told, and each attempt's outcome."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from productops.store.tables.base import Base, BigId, one_of

INBOUND_STATES = ("received", "done", "unrecognised", "dead", "discarded")
OUTBOUND_STATES = ("pending", "delivered", "dead", "discarded")


class WebhookSourceRow(Base):
    """Somebody who may send, as the catalog declares it; a source that is no longer declared goes."""

    __tablename__ = "webhook_sources"
    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    venture: Mapped[str] = mapped_column(String(63))
    spec: Mapped[dict[str, Any]]
    base: Mapped[str] = mapped_column(Text)
    updated_at: Mapped[datetime]


class WebhookTargetRow(Base):
    """Somebody who is told. ``base`` is empty for one that was made by the API."""

    __tablename__ = "webhook_targets"
    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    venture: Mapped[str | None] = mapped_column(String(63))
    spec: Mapped[dict[str, Any]]
    base: Mapped[str] = mapped_column(Text)
    revision: Mapped[int]
    updated_at: Mapped[datetime]


class InboundDeliveryRow(Base):
    """One request as it came, stored before anything else is done with it."""

    __tablename__ = "webhook_received"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(String(63))
    venture: Mapped[str] = mapped_column(String(63))
    dedup_key: Mapped[str] = mapped_column(String(255))
    body_sha256: Mapped[str] = mapped_column(String(64))
    headers: Mapped[dict[str, Any]]
    body: Mapped[bytes] = mapped_column(LargeBinary)
    received_at: Mapped[datetime]
    status: Mapped[str] = mapped_column(String(20), default="received")
    attempts: Mapped[int] = mapped_column(default=0)
    next_at: Mapped[datetime]
    lease_owner: Mapped[str | None] = mapped_column(String(200))
    lease_until: Mapped[datetime | None]
    fence: Mapped[int] = mapped_column(default=0)
    reason: Mapped[str] = mapped_column(Text, default="")
    repetitions: Mapped[int] = mapped_column(default=0)
    processed_at: Mapped[datetime | None]
    __table_args__ = (
        UniqueConstraint("source", "dedup_key"),
        one_of("status", *INBOUND_STATES),
        Index("ix_webhook_received_status_next_at", "status", "next_at"),
        Index("ix_webhook_received_source_body_sha256", "source", "body_sha256"),
    )


class InboundEventRow(Base):
    """What a request meant: one row for each thing that it told."""

    __tablename__ = "webhook_inbound_events"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    delivery_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("webhook_received.id", ondelete="CASCADE"))
    position: Mapped[int]
    source: Mapped[str] = mapped_column(String(63))
    venture: Mapped[str] = mapped_column(String(63))
    kind: Mapped[str] = mapped_column(String(60))
    service: Mapped[str | None] = mapped_column(String(63))
    environment: Mapped[str | None] = mapped_column(String(20))
    version: Mapped[str | None] = mapped_column(String(100))
    subject: Mapped[str] = mapped_column(String(500), default="")
    outcome: Mapped[str] = mapped_column(String(40), default="")
    url: Mapped[str] = mapped_column(Text, default="")
    actor: Mapped[str] = mapped_column(String(255), default="")
    at: Mapped[datetime]
    reason: Mapped[str] = mapped_column(Text, default="")
    effect: Mapped[str] = mapped_column(Text, default="")
    data: Mapped[dict[str, Any]]
    __table_args__ = (
        UniqueConstraint("delivery_id", "position"),
        Index("ix_webhook_inbound_events_kind_at", "kind", "at"),
        Index("ix_webhook_inbound_events_service_at", "service", "at"),
    )


class WebhookAlertRow(Base):
    """Which incident an alert opened: an alert that is told again opens no other."""

    __tablename__ = "webhook_alerts"
    source: Mapped[str] = mapped_column(String(63), primary_key=True)
    alert_key: Mapped[str] = mapped_column(String(120), primary_key=True)
    incident_id: Mapped[uuid.UUID | None]
    since: Mapped[datetime]


class OutboxEventRow(Base):
    """What happened here and may be told outside; written in the transaction in which it happened."""

    __tablename__ = "outbox_events"
    seq: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    id: Mapped[uuid.UUID] = mapped_column(unique=True)
    type: Mapped[str] = mapped_column(String(60))
    subject: Mapped[str] = mapped_column(String(255))
    venture: Mapped[str | None] = mapped_column(String(63))
    data: Mapped[dict[str, Any]]
    at: Mapped[datetime] = mapped_column(index=True)
    __table_args__ = ({"sqlite_autoincrement": True},)  # a number that was taken away is never given again


class OutboxDeliveryRow(Base):
    """One event for one target: its stable id, what was tried, and what became of it."""

    __tablename__ = "outbox_deliveries"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    event_seq: Mapped[int] = mapped_column(ForeignKey("outbox_events.seq"))
    target: Mapped[str] = mapped_column(String(63))
    subject: Mapped[str] = mapped_column(String(255))
    venture: Mapped[str | None] = mapped_column(String(63))
    status: Mapped[str] = mapped_column(String(20), default="pending")
    attempts: Mapped[int] = mapped_column(default=0)
    next_at: Mapped[datetime]
    give_up_at: Mapped[datetime]
    lease_owner: Mapped[str | None] = mapped_column(String(200))
    lease_until: Mapped[datetime | None]
    fence: Mapped[int] = mapped_column(default=0)
    last_status: Mapped[int | None]
    last_answer: Mapped[str] = mapped_column(Text, default="")
    reason: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime]
    tried_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    __table_args__ = (
        UniqueConstraint("target", "event_seq"),
        one_of("status", *OUTBOUND_STATES),
        Index("ix_outbox_deliveries_status_next_at", "status", "next_at"),
        Index("ix_outbox_deliveries_target_subject_status_event_seq", "target", "subject", "status", "event_seq"),
    )
