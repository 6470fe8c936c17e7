"""People, service accounts and their tokens, as they are stored and as they are written."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, replace
from datetime import datetime

from productops.domain.governance_access import ANY, Grant, Operation, Principal, narrowed

PREFIX = "po_"
PUBLIC_CHARACTERS, SECRET_CHARACTERS = 12, 64
_WRITTEN = re.compile(rf"{PREFIX}([0-9a-f]{{{PUBLIC_CHARACTERS}}})_[0-9a-f]{{{SECRET_CHARACTERS}}}")
OWNER = "owner"
RESERVED = frozenset({OWNER, "productops", "nobody", "somebody in prefect"})
"""Names that stand for something else in the audit log."""


@dataclass(frozen=True, slots=True)
class HeldGrant:
    """A grant with where it comes from. ``group``: it is held by being in that group. ``declared``: the catalog says it."""

    id: str
    grant: Grant
    given_by: str
    given_at: datetime
    expires_at: datetime | None
    group: str | None
    declared: bool

    def holds(self, now: datetime) -> bool:
        """Whether it has not expired."""
        return self.expires_at is None or self.expires_at > now


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody, or a service account (``kind`` service), with all their grants, also expired ones."""

    id: str
    name: str
    kind: str
    subject: str | None
    email: str
    disabled: bool
    declared_in: str | None
    groups: tuple[str, ...]
    grants: tuple[HeldGrant, ...]
    created_at: datetime
    updated_at: datetime

    def principal(self, now: datetime) -> Principal:
        """With what holds now; nothing while disabled."""
        held = () if self.disabled else tuple(dict.fromkeys(each.grant for each in self.grants if each.holds(now)))
        return Principal(self.name, held, kind=self.kind)


@dataclass(frozen=True, slots=True)
class Token:
    """A token without its secret. ``operations`` None: all that the owner may do. ``venture``, ``environment``: only there, or ``*``."""

    id: str
    public_id: str
    owner: str
    name: str
    operations: frozenset[Operation] | None
    venture: str
    environment: str
    created_by: str
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    rotated_at: datetime | None
    revoked_at: datetime | None
    previous_until: datetime | None

    def state(self, now: datetime) -> str:
        """``live``, ``expired`` or ``revoked``."""
        if self.revoked_at is not None:
            return "revoked"
        return "live" if self.expires_at > now else "expired"


@dataclass(frozen=True, slots=True)
class StoredToken:
    """A token with its owner and the hashes that its secret is compared with."""

    token: Token
    owner: Person
    hash: str
    previous_hash: str | None

    def admits(self, presented: str, *, now: datetime) -> bool:
        """Whether ``presented`` is this token and still holds; takes the same time for every wrong secret."""
        given = hash_of(presented)
        newest = hmac.compare_digest(given, self.hash)
        earlier = hmac.compare_digest(given, self.previous_hash or "")
        overlapping = self.token.previous_until is not None and self.token.previous_until > now
        return (newest or (earlier and overlapping)) and self.token.state(now) == "live" and not self.owner.disabled

    def principal(self, now: datetime) -> Principal:
        """Its owner with what this token may do of what they may."""
        return as_token(self.owner.principal(now), self.token)


def as_token(owner: Principal, token: Token) -> Principal:
    """The owner as one of their tokens acts."""
    grants = narrowed(owner.grants, venture=token.venture, environment=token.environment)
    return replace(owner, grants=grants, operations=token.operations, token_id=token.public_id)


def hash_of(secret: str) -> str:
    """SHA-256, hexadecimal. The secret has 256 random bits, so there is nothing that a slow hash would protect."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def written(public_id: str, secret: str) -> str:
    """A token as its owner keeps it."""
    return f"{PREFIX}{public_id}_{secret}"


def public_id_of(presented: str) -> str | None:
    """The part by which a token is looked up; None for what is no such token."""
    found = _WRITTEN.fullmatch(presented)
    return found[1] if found else None


def described(grant: Grant) -> str:
    """A grant in words."""
    where = "all ventures" if grant.venture == ANY else f"venture {grant.venture}"
    return f"{grant.role} in {where}" + ("" if grant.environment == ANY else f", {grant.environment}")
