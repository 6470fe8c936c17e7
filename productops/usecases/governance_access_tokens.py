"""Tokens: made, shown once, looked up with each call, rotated, revoked."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from productops.domain.governance_access import ANY, Grant, Operation, Principal, Role, Scope, decide, exceeds
from productops.domain.governance_access_tokens import (
    OWNER,
    SECRET_CHARACTERS,
    Person,
    StoredToken,
    Token,
    as_token,
    hash_of,
    public_id_of,
    written,
)
from productops.domain.release import Environment
from productops.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from productops.store import Unit
from productops.store.governance_access import new_public_id
from productops.usecases.context import Actor, Context

LIFE_USUALLY = timedelta(days=90)
LIFE_MAX = timedelta(days=366)
OVERLAP_USUALLY = timedelta(hours=24)
OVERLAP_MAX = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class TokenWish:
    """What somebody wants a token for. ``owner`` None: themselves; ``operations`` None: all that the owner may do."""

    name: str
    owner: str | None = None
    operations: frozenset[Operation] | None = None
    venture: str = ANY
    environment: str = ANY
    life: timedelta = LIFE_USUALLY


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token and, this once, its secret."""

    token: Token
    secret: str


def authenticate(context: Context, presented: str) -> Principal | None:
    """Whose token it is and what it may do; None for none of ours, or one that holds no more. Raises: StoreUnavailableError."""
    public_id = public_id_of(presented)
    if public_id is None:
        return None
    with context.store.read() as unit:
        stored = unit.tokens.find(public_id)
    now = context.clock.now()
    if stored is None or not stored.admits(presented, now=now):
        return None
    return stored.principal(now)


def note_used(context: Context, uses: Mapping[str, datetime]) -> None:
    """Write down when tokens were used last. Raises: StoreUnavailableError."""
    with context.store.write() as unit:
        for public_id in sorted(uses):
            unit.tokens.used(public_id, uses[public_id])


def create_token(context: Context, wish: TokenWish, *, actor: Actor) -> NewToken:
    """Make a token; its secret is in the answer and nowhere else.

    Raises: ForbiddenError for more than the caller has, InvalidInputError, NotFoundError for an unknown owner.
    """
    _check_wish(wish)
    now = context.clock.now()
    secret = secrets.token_hex(SECRET_CHARACTERS // 2)
    public_id = new_public_id()
    presented = written(public_id, secret)
    with context.store.write() as unit:
        owner = _owner(unit, wish, actor, now=now)
        token = unit.tokens.add(
            owner, public_id=public_id, name=wish.name, secret_hash=hash_of(presented), operations=wish.operations, venture=wish.venture,
            environment=wish.environment, created_by=actor.name, expires_at=now + wish.life, now=now,
        )  # fmt: skip
        _check_power(owner, token, actor, now=now)
        _tell(unit, "token.created", token, actor, now=now, after=_shown(token))
    return NewToken(token, presented)


def list_tokens(context: Context, *, actor: Actor, owner: str | None = None) -> list[Token]:
    """Newest first: the caller's own; of another, or with owner ``*`` of everybody, for who may read access everywhere.

    Raises: ForbiddenError.
    """
    name = owner or actor.principal.name
    if name != actor.principal.name:
        actor.check(Operation.ACCESS_READ)
    with context.store.read() as unit:
        return unit.tokens.all(owner=None if name == ANY else name)


def rotate_token(
    context: Context, public_id: str, *, overlap: timedelta = OVERLAP_USUALLY, life: timedelta = LIFE_USUALLY, actor: Actor
) -> NewToken:
    """Another secret for the same token; the one before holds for ``overlap`` more, so that nothing that uses it fails meanwhile.

    Raises: NotFoundError, ForbiddenError, ConflictError when it holds no more, InvalidInputError.
    """
    if not timedelta(0) <= overlap <= OVERLAP_MAX:
        raise InvalidInputError(f"the secrets overlap for 0 to {OVERLAP_MAX.days} days, not {overlap}")
    _check_life(life)
    now = context.clock.now()
    presented = written(public_id, secrets.token_hex(SECRET_CHARACTERS // 2))
    with context.store.write() as unit:
        stored = _mine(unit, public_id, actor)
        if stored.token.state(now) != "live":
            raise ConflictError(f"token {public_id} is {stored.token.state(now)}: make a new one")
        _check_power(stored.owner, stored.token, actor, now=now)
        until = min(now + overlap, stored.token.expires_at)
        if not unit.tokens.rotate(stored, secret_hash=hash_of(presented), expires_at=now + life, previous_until=until, now=now):
            raise ConflictError(f"token {public_id} was rotated or revoked at the same moment; look at it and repeat")
        token = unit.tokens.get(public_id)
        _tell(unit, "token.rotated", token, actor, now=now, before=_shown(stored.token), after=_shown(token))
    return NewToken(token, presented)


def revoke_token(context: Context, public_id: str, *, reason: str, actor: Actor) -> Token:
    """It holds no more, in every process within 5 s. Raises: NotFoundError, ForbiddenError, ConflictError when it was revoked before."""
    now = context.clock.now()
    with context.store.write() as unit:
        stored = _mine(unit, public_id, actor)
        if not unit.tokens.revoke(public_id, now=now):
            raise ConflictError(f"token {public_id} is revoked already")
        token = unit.tokens.get(public_id)
        _tell(unit, "token.revoked", token, actor, now=now, before=_shown(stored.token), after=_shown(token), reason=reason)
    return token


def _check_wish(wish: TokenWish) -> None:
    if not wish.name.strip():
        raise InvalidInputError("a token needs a name that says what it is for")
    if wish.operations is not None and not wish.operations:
        raise InvalidInputError("a token for no operation is for nothing; name operations, or none to leave it all that its owner may do")
    if wish.environment != ANY and wish.environment not in {e.value for e in Environment}:
        raise InvalidInputError(f"there is no environment {wish.environment[:40]!r}; known: {', '.join(Environment)}, or * for all")
    _check_life(wish.life)


def _check_life(life: timedelta) -> None:
    if not timedelta(minutes=1) <= life <= LIFE_MAX:
        raise InvalidInputError(f"a token lives for a minute to {LIFE_MAX.days} days, not {life}")


def _owner(unit: Unit, wish: TokenWish, actor: Actor, *, now: datetime) -> Person:
    name = wish.owner or actor.principal.name
    if name == actor.principal.name:
        _check_own(actor)
    if name == OWNER and unit.principals.find(OWNER) is None and actor.principal.name == OWNER:
        # The owner of the installation has a row only once something has to point at it.
        made = unit.principals.add(OWNER, kind="person", subject=None, email="", declared_in=None, now=now)
        unit.principals.grant(Grant(Role.ADMIN), person=made, given_by=OWNER, now=now)
    owner = unit.principals.find(name)
    if owner is None:
        raise NotFoundError(f"there is nobody called {name[:100]!r}; make them with: productops access grant")
    if owner.disabled:
        raise ConflictError(f"{name} is disabled")
    return owner


def _check_own(actor: Actor) -> None:
    own = actor.principal
    if not any(decide(own, Operation.TOKEN_OWN, scope_of(grant)).allowed for grant in own.grants):
        raise ForbiddenError(f"{own.name} may not make tokens", operation=Operation.TOKEN_OWN.value)


def _check_power(owner: Person, token: Token, actor: Actor, *, now: datetime) -> None:
    """Raises: ForbiddenError where the token could do what the caller cannot, or is another's that the caller does not manage."""
    given = as_token(owner.principal(now), token)
    if not given.grants:
        raise InvalidInputError(f"{owner.name} was granted nothing there: such a token could do nothing")
    too_much = exceeds(given, actor.principal)
    if too_much:
        raise ForbiddenError(too_much)
    if owner.name != actor.principal.name:
        for grant in given.grants:
            scope = scope_of(grant)
            actor.check(Operation.ACCESS_MANAGE, venture=scope.venture, environment=scope.environment)


def _mine(unit: Unit, public_id: str, actor: Actor) -> StoredToken:
    """A token that the caller owns or manages. Raises: NotFoundError."""
    stored = unit.tokens.find(public_id)
    if stored is None:
        raise NotFoundError(f"there is no token {public_id[:20]!r}; list them with: productops token list")
    if stored.owner.name == actor.principal.name:
        return stored
    manages = decide(actor.principal, Operation.ACCESS_MANAGE, Scope(None if stored.token.venture == ANY else stored.token.venture))
    if not manages.allowed:
        raise NotFoundError(f"there is no token {public_id[:20]!r}; list them with: productops token list")
    return stored


def scope_of(grant: Grant) -> Scope:
    """Where a grant holds."""
    return Scope(None if grant.venture == ANY else grant.venture, None if grant.environment == ANY else Environment(grant.environment))


def _shown(token: Token) -> dict[str, Any]:
    """What the audit keeps of a token: everything but the secret."""
    return {
        "owner": token.owner, "name": token.name, "operations": None if token.operations is None else sorted(token.operations),
        "venture": token.venture, "environment": token.environment, "expires_at": token.expires_at.isoformat(),
        "previous_until": token.previous_until.isoformat() if token.previous_until else None, "revoked": token.revoked_at is not None,
    }  # fmt: skip


def _tell(
    unit: Unit, action: str, token: Token, actor: Actor, *, now: datetime, reason: str = "", before: object = None, after: object = None
) -> None:
    unit.audit.add(
        action, f"token/{token.public_id}", actor=actor.name, origin=actor.origin, now=now, reason=reason, before=before, after=after
    )  # fmt: skip
