"""Security operations: policies, what the door saw, findings, and evidence with who had it."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from productops.store.tables.base import Base, one_of


class SecurityPolicyRow(Base):
    """``kind: SecurityPolicy``. ``venture`` null: the installation's."""

    __tablename__ = "security_policies"
    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    venture: Mapped[str | None] = mapped_column(String(63))
    spec: Mapped[dict[str, Any]]
    base: Mapped[str] = mapped_column(Text)
    revision: Mapped[int]
    changed_at: Mapped[datetime]


class SecuritySightingRow(Base):
    """What the door of the API saw of one address in one minute. ``subject``: a token's public id or a name, as far as it is known."""

    __tablename__ = "security_sightings"
    minute_s: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    kind: Mapped[str] = mapped_column(String(20), primary_key=True)
    subject: Mapped[str] = mapped_column(String(255), primary_key=True)
    address: Mapped[str] = mapped_column(String(64), primary_key=True)
    principal: Mapped[str] = mapped_column(String(255))
    times: Mapped[int] = mapped_column(BigInteger)


class SecurityFindingRow(Base):
    """What a rule saw, one row for each time it began. ``data`` is the finding as it was seen last."""

    __tablename__ = "security_findings"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64), index=True)
    rule: Mapped[str] = mapped_column(String(40))
    subject: Mapped[str] = mapped_column(String(255))
    venture: Mapped[str | None] = mapped_column(String(63))
    severity: Mapped[str] = mapped_column(String(4))
    data: Mapped[dict[str, Any]]
    began_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    ended_at: Mapped[datetime | None] = mapped_column(index=True)
    __table_args__ = (one_of("severity", "SEV1", "SEV2", "SEV3", "SEV4"),)


class SecurityMarkRow(Base):
    """How far was looked: the audit log, the advisories."""

    __tablename__ = "security_marks"
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    data: Mapped[dict[str, Any]]
    at: Mapped[datetime]


class EvidenceBundleRow(Base):
    """A sealed bundle. ``manifest`` is canonical JSON as it was hashed; its hash stands in the audit log, too."""

    __tablename__ = "evidence_bundles"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    incident_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("incident_management.incident_id"), index=True)
    venture: Mapped[str | None] = mapped_column(String(63))
    title: Mapped[str] = mapped_column(Text)
    taken_by: Mapped[str] = mapped_column(String(255))
    taken_at: Mapped[datetime]
    manifest: Mapped[str] = mapped_column(Text)
    manifest_hash: Mapped[str] = mapped_column(String(64))


class EvidenceItemRow(Base):
    """One thing in a bundle, compressed."""

    __tablename__ = "evidence_items"
    bundle_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("evidence_bundles.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(255))
    kind: Mapped[str] = mapped_column(String(20))
    packed: Mapped[bytes]


class EvidenceCustodyRow(Base):
    """Who took, read, exported or handed on a bundle; each row's hash covers the one before it. ``at`` as it was hashed."""

    __tablename__ = "evidence_custody"
    bundle_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("evidence_bundles.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[str] = mapped_column(String(40))
    action: Mapped[str] = mapped_column(String(20))
    who: Mapped[str] = mapped_column(String(255))
    to: Mapped[str] = mapped_column(String(255))
    reason: Mapped[str] = mapped_column(Text)
    previous_hash: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))
    __table_args__ = (one_of("action", "taken", "read", "exported", "handed-on"),)
