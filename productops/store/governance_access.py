"""People, service accounts, groups, grants and tokens: rows in and out."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, false, or_, select, true, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from productops.domain.governance_access import ANY, Grant, Operation, Role
from productops.domain.governance_access_tokens import PUBLIC_CHARACTERS, HeldGrant, Person, StoredToken, Token
from productops.errors import ConflictError, NotFoundError
from productops.store.identity import new_id
from productops.store.tables import AccessEntryRow, GrantRow, MembershipRow, PrincipalRow, TokenRow

DECLARED, LOG_IN = "declared", "log-in"


class Principals:
    """Repository of people, service accounts, their groups and grants within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, name: str) -> Person:
        """Raises: NotFoundError."""
        found = self.find(name)
        if found is None:
            raise NotFoundError(f"there is nobody called {name[:100]!r}; list them with: productops access people")
        return found

    def find(self, name: str) -> Person | None:
        """By name."""
        return self._one(PrincipalRow.name == name)

    def by_subject(self, subject: str) -> Person | None:
        """By what an identity provider calls them."""
        return self._one(PrincipalRow.subject == subject)

    def by_email(self, email: str) -> list[Person]:
        """Everybody with that address who has no subject yet; an empty address is nobody's."""
        return self._people(PrincipalRow.email == email, PrincipalRow.subject.is_(None)) if email else []

    def all(self) -> list[Person]:
        """Everybody, by name."""
        return self._people()

    def _one(self, *conditions: Any) -> Person | None:
        return next(iter(self._people(*conditions)), None)

    def _people(self, *conditions: Any) -> list[Person]:
        rows = self._session.scalars(select(PrincipalRow).where(*conditions).order_by(PrincipalRow.name)).all()
        ids = [row.id for row in rows]
        wanted = (MembershipRow.principal_id.in_(ids),) if conditions else ()
        memberships: dict[uuid.UUID, set[str]] = {}
        for membership in self._session.scalars(select(MembershipRow).where(*wanted)):
            memberships.setdefault(membership.principal_id, set()).add(membership.group_name)
        groups = set().union(*memberships.values()) if memberships else set()
        query = select(GrantRow).order_by(GrantRow.given_at, GrantRow.id)
        if conditions:
            query = query.where(or_(GrantRow.principal_id.in_(ids), GrantRow.group_name.in_(groups)))
        grants = self._session.scalars(query).all()
        return [person_of(row, memberships.get(row.id, set()), grants) for row in rows]

    def add(self, name: str, *, kind: str, subject: str | None, email: str, declared_in: str | None, now: datetime) -> Person:
        """A new one, without grants. Raises: ConflictError when the name or the subject is taken."""
        row = PrincipalRow(
            id=new_id(), name=name, kind=kind, subject=subject, email=email, disabled=False, declared_in=declared_in, created_at=now,
            updated_at=now,
        )  # fmt: skip
        self._session.add(row)
        try:
            self._session.flush()
        except IntegrityError as error:
            raise ConflictError(f"there is somebody called {name!r} already, or with the same subject") from error
        return person_of(row, set(), ())

    def update(self, person: Person, *, now: datetime, **values: Any) -> None:
        """Change fields. Raises: ConflictError when somebody else changed them since ``person`` was read."""
        changed = self._session.execute(
            update(PrincipalRow)
            .where(PrincipalRow.id == uuid.UUID(person.id), PrincipalRow.updated_at == person.updated_at)
            .values(updated_at=now, **values)
        )
        if changed.rowcount != 1:  # type: ignore[attr-defined]
            raise ConflictError(f"{person.name} was changed at the same moment; look again and repeat")

    def set_groups(self, person: Person, groups: Iterable[str], *, source: str) -> None:
        """The groups that ``source`` (declared, log-in) says they are in, in place of those it said before."""
        holder = uuid.UUID(person.id)
        self._session.execute(delete(MembershipRow).where(MembershipRow.principal_id == holder, MembershipRow.source == source))
        self._session.add_all(MembershipRow(principal_id=holder, group_name=name, source=source) for name in sorted(set(groups)))
        self._session.flush()

    def grant(
        self, grant: Grant, *, person: Person | None = None, group: str | None = None, given_by: str, expires_at: datetime | None = None,
        declared_in: str | None = None, now: datetime,
    ) -> str:  # fmt: skip
        """Give a role to a person or to a group; returns the grant's id."""
        row = GrantRow(
            id=new_id(), principal_id=uuid.UUID(person.id) if person else None, group_name=group, role=grant.role.value,
            venture=grant.venture, environment=grant.environment, given_by=given_by, given_at=now, expires_at=expires_at,
            declared_in=declared_in,
        )  # fmt: skip
        self._session.add(row)
        self._session.flush()
        return str(row.id)

    def take(self, grant_id: str) -> bool:
        """Take a grant away; false when somebody else did."""
        done = self._session.execute(delete(GrantRow).where(GrantRow.id == uuid.UUID(grant_id)))
        return bool(done.rowcount)  # type: ignore[attr-defined]

    def take_declared(self, entry: str) -> None:
        """Take away what an entry of the catalog gave."""
        self._session.execute(delete(GrantRow).where(GrantRow.declared_in == entry))

    def groups(self) -> dict[str, list[HeldGrant]]:
        """Grants by group."""
        rows = self._session.scalars(select(GrantRow).where(GrantRow.group_name.is_not(None)).order_by(GrantRow.group_name, GrantRow.id))
        found: dict[str, list[HeldGrant]] = {}
        for row in rows:
            found.setdefault(row.group_name or "", []).append(_held(row))
        return found

    def grants_of_groups(self, groups: Collection[str]) -> list[HeldGrant]:
        """Grants of everybody who is in one of the groups."""
        return [_held(row) for row in self._session.scalars(select(GrantRow).where(GrantRow.group_name.in_(list(groups))))]

    def entries(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """Folder and content of every entry of the catalog as it was applied last, by name."""
        return {row.name: (row.base, row.spec) for row in self._session.scalars(select(AccessEntryRow))}

    def put_entry(self, name: str, *, base: str, spec: dict[str, Any], now: datetime) -> None:
        """Keep what was applied."""
        self._session.merge(AccessEntryRow(name=name, base=base, spec=spec, updated_at=now))

    def forget_entry(self, name: str) -> None:
        """It is no longer declared."""
        self._session.execute(delete(AccessEntryRow).where(AccessEntryRow.name == name))


class Tokens:
    """Repository of tokens within one transaction; secrets never come here."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def find(self, public_id: str) -> StoredToken | None:
        """A token with its owner and what that one was granted: one question, by indexes."""
        query = (
            select(TokenRow, PrincipalRow, MembershipRow.group_name, GrantRow)
            .join(PrincipalRow, PrincipalRow.id == TokenRow.principal_id)
            .outerjoin(MembershipRow, MembershipRow.principal_id == PrincipalRow.id)
            .outerjoin(GrantRow, or_(GrantRow.principal_id == PrincipalRow.id, GrantRow.group_name == MembershipRow.group_name))
            .where(TokenRow.public_id == public_id)
        )
        rows = self._session.execute(query).all()
        if not rows:
            return None
        token, owner = rows[0][0], rows[0][1]
        groups = {group for _, _, group, _ in rows if group}
        grants = {grant.id: grant for *_, grant in rows if grant is not None}
        return StoredToken(
            _token(token, owner.name), person_of(owner, groups, list(grants.values())), token.hash, token.previous_hash
        )  # fmt: skip

    def get(self, public_id: str) -> Token:
        """Raises: NotFoundError."""
        found = self.find(public_id)
        if found is None:
            raise NotFoundError(f"there is no token {public_id[:20]!r}; list them with: productops token list")
        return found.token

    def all(self, *, owner: str | None = None) -> list[Token]:
        """Newest first; of everybody, or of one."""
        query = select(TokenRow, PrincipalRow.name).join(PrincipalRow, PrincipalRow.id == TokenRow.principal_id)
        if owner is not None:
            query = query.where(PrincipalRow.name == owner)
        return [_token(row, name) for row, name in self._session.execute(query.order_by(TokenRow.id.desc()))]

    def add(
        self, owner: Person, *, public_id: str, name: str, secret_hash: str, operations: Collection[Operation] | None, venture: str,
        environment: str, created_by: str, expires_at: datetime, now: datetime,
    ) -> Token:  # fmt: skip
        """A new token."""
        row = TokenRow(
            id=new_id(), public_id=public_id, principal_id=uuid.UUID(owner.id), name=name, hash=secret_hash, previous_hash=None,
            previous_until=None, operations=None if operations is None else sorted(o.value for o in operations), venture=venture,
            environment=environment, created_by=created_by, created_at=now, expires_at=expires_at,
        )  # fmt: skip
        self._session.add(row)
        self._session.flush()
        return _token(row, owner.name)

    def rotate(self, stored: StoredToken, *, secret_hash: str, expires_at: datetime, previous_until: datetime, now: datetime) -> bool:
        """Another secret; the one before holds until ``previous_until``. False when somebody else rotated or revoked it."""
        return self._set(
            TokenRow.public_id == stored.token.public_id, TokenRow.hash == stored.hash, TokenRow.revoked_at.is_(None),
            hash=secret_hash, previous_hash=stored.hash, previous_until=previous_until, expires_at=expires_at, rotated_at=now,
        )  # fmt: skip

    def revoke(self, public_id: str, *, now: datetime) -> bool:
        """It holds no more. False when it was revoked before."""
        return self._set(TokenRow.public_id == public_id, TokenRow.revoked_at.is_(None), revoked_at=now)

    def used(self, public_id: str, at: datetime) -> None:
        """Note when a token was used last."""
        self._set(
            TokenRow.public_id == public_id, or_(TokenRow.last_used_at.is_(None), TokenRow.last_used_at < at), last_used_at=at
        )  # fmt: skip

    def _set(self, *conditions: Any, **values: Any) -> bool:
        changed = self._session.execute(update(TokenRow).where(*conditions).values(**values).execution_options(synchronize_session=False))
        return bool(changed.rowcount)  # type: ignore[attr-defined]


def within(places: Collection[tuple[str, str]], venture: Any, environment: Any) -> ColumnElement[bool]:
    """Rows of the places (pairs of venture and environment, each perhaps ``*``) that somebody may see."""
    conditions = []
    for place in sorted(places):
        named = zip((venture, environment), place, strict=True)
        conditions.append(and_(true(), *(column == name for column, name in named if name != ANY)))
    return or_(false(), *conditions)


def new_public_id() -> str:
    """The part of a token that is no secret."""
    return secrets.token_hex(PUBLIC_CHARACTERS // 2)


def person_of(row: PrincipalRow, groups: Collection[str], grants: Sequence[GrantRow]) -> Person:
    """A row with those of ``grants`` that are its own or its groups'."""
    held = [_held(grant) for grant in grants if grant.principal_id == row.id or grant.group_name in groups]
    return Person(
        id=str(row.id), name=row.name, kind=row.kind, subject=row.subject, email=row.email, disabled=row.disabled,
        declared_in=row.declared_in, groups=tuple(sorted(groups)), grants=tuple(held), created_at=row.created_at,
        updated_at=row.updated_at,
    )  # fmt: skip


def _held(row: GrantRow) -> HeldGrant:
    return HeldGrant(
        id=str(row.id), grant=Grant(Role(row.role), row.venture, row.environment), given_by=row.given_by, given_at=row.given_at,
        expires_at=row.expires_at, group=row.group_name, declared=row.declared_in is not None,
    )  # fmt: skip


def _token(row: TokenRow, owner: str) -> Token:
    operations = None if row.operations is None else frozenset(Operation(name) for name in row.operations)
    return Token(
        id=str(row.id), public_id=row.public_id, owner=owner, name=row.name, operations=operations, venture=row.venture,
        environment=row.environment, created_by=row.created_by, created_at=row.created_at, expires_at=row.expires_at,
        last_used_at=row.last_used_at, rotated_at=row.rotated_at, revoked_at=row.revoked_at, previous_until=row.previous_until,
    )  # fmt: skip
