"""People and programs, what they were granted, and their tokens."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, String, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from productops.store.tables.base import ENVIRONMENTS, Base, one_of

# Python's None as SQL's NULL, not as JSON's null.
MaybeJson = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
ROLES = ("viewer", "developer", "release-manager", "incident-commander", "director", "admin")


class AccessEntryRow(Base):
    """An entry ``Access`` of the catalog as it was applied last."""

    __tablename__ = "access_entries"
    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    base: Mapped[str] = mapped_column(Text)
    spec: Mapped[dict[str, Any]]
    updated_at: Mapped[datetime]


class PrincipalRow(Base):
    """A person or a service account. ``subject`` is who an identity provider says it is; ``declared_in`` names a catalog entry."""

    __tablename__ = "access_principals"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    kind: Mapped[str] = mapped_column(String(20))
    subject: Mapped[str | None] = mapped_column(String(255), unique=True)
    email: Mapped[str] = mapped_column(String(255), index=True, default="")
    disabled: Mapped[bool] = mapped_column(default=False)
    declared_in: Mapped[str | None] = mapped_column(String(63))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    __table_args__ = (one_of("kind", "person", "service"),)


class MembershipRow(Base):
    """A group that somebody is in: by the catalog, or by what the identity provider said at the last log-in."""

    __tablename__ = "access_memberships"
    principal_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("access_principals.id"), primary_key=True)
    group_name: Mapped[str] = mapped_column(String(255), primary_key=True, index=True)
    source: Mapped[str] = mapped_column(String(20), primary_key=True)
    __table_args__ = (one_of("source", "declared", "log-in"),)


class GrantRow(Base):
    """A role of a principal or of a group in a venture and an environment; ``*`` is all of them."""

    __tablename__ = "access_grants"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    principal_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("access_principals.id"), index=True)
    group_name: Mapped[str | None] = mapped_column(String(255), index=True)
    role: Mapped[str] = mapped_column(String(30))
    venture: Mapped[str] = mapped_column(String(63))
    environment: Mapped[str] = mapped_column(String(20))
    given_by: Mapped[str] = mapped_column(String(255))
    given_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    declared_in: Mapped[str | None] = mapped_column(String(63))
    __table_args__ = (
        one_of("role", *ROLES),
        one_of("environment", "*", *ENVIRONMENTS),
        CheckConstraint("(principal_id IS NULL) <> (group_name IS NULL)", name="holder"),
    )


class TokenRow(Base):
    """A token: its public id and the hashes of its secret. The secret is nowhere. ``operations`` null: all that the owner may do."""

    __tablename__ = "access_tokens"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(20), unique=True)
    principal_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("access_principals.id"), index=True)
    name: Mapped[str] = mapped_column(String(100))
    hash: Mapped[str] = mapped_column(String(64))
    previous_hash: Mapped[str | None] = mapped_column(String(64))
    previous_until: Mapped[datetime | None]
    operations: Mapped[list[Any] | None] = mapped_column(MaybeJson, nullable=True)
    venture: Mapped[str] = mapped_column(String(63))
    environment: Mapped[str] = mapped_column(String(20))
    created_by: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    rotated_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    __table_args__ = (one_of("environment", "*", *ENVIRONMENTS),)
