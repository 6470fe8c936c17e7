"""People, service accounts and groups: what they may do, who gave it, and what an identity provider says of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from productops.domain.governance_access import (
    ALLOWED,
    ANY,
    Grant,
    Operation,
    Principal,
    Role,
    Scope,
    decide,
    exceeds,
    visible_ventures,
)
from productops.domain.governance_access_tokens import OWNER, RESERVED, HeldGrant, Person, described
from productops.domain.release import Environment
from productops.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from productops.store import Unit
from productops.store.governance_access import LOG_IN
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_tokens import scope_of

NAME_MAX = 100
EVERYWHERE = Grant(Role.ADMIN)


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a grant: a person, a service account, or everybody in a group."""

    name: str
    kind: str = "person"
    email: str = ""

    @property
    def is_group(self) -> bool:
        """Whether it is a group."""
        return self.kind == "group"


@dataclass(frozen=True, slots=True)
class Explained:
    """A decision with its reason in a sentence."""

    allowed: bool
    sentence: str


def list_people(context: Context, *, actor: Actor) -> list[Person]:
    """Everybody, by name. Who may read access in some ventures only sees the grants there, and people who have any."""
    ventures = visible_ventures(actor.principal, Operation.ACCESS_READ)
    with context.store.read() as unit:
        everybody = unit.principals.all()
    if ventures is None:
        return everybody
    shown = [replace(p, grants=tuple(h for h in p.grants if h.grant.venture in ventures)) for p in everybody]
    return [person for person in shown if person.grants or person.name == actor.principal.name]


def list_groups(context: Context, *, actor: Actor) -> dict[str, list[HeldGrant]]:
    """Grants by group; only those of ventures whose access the caller may read."""
    ventures = visible_ventures(actor.principal, Operation.ACCESS_READ)
    with context.store.read() as unit:
        groups = unit.principals.groups()
    shown = {name: [h for h in held if ventures is None or h.grant.venture in ventures] for name, held in groups.items()}
    return {name: held for name, held in shown.items() if held}


def give(
    context: Context, holder: Holder, grant: Grant, *, expires_at: datetime | None = None, reason: str = "", actor: Actor
) -> HeldGrant:  # fmt: skip
    """Give a role to somebody, who is made when there is nobody of that name, or to a group.

    Raises: ForbiddenError for more than the caller has, ConflictError for what the catalog declares or is given already,
        InvalidInputError, NotFoundError for an unknown venture.
    """
    _check_holder(holder)
    _check_power(grant, actor)
    with context.store.write() as unit:
        now = context.clock.now()
        if grant.venture != ANY:
            unit.catalog.venture_id(grant.venture)
        if expires_at is not None and expires_at <= now:
            raise InvalidInputError(f"{expires_at.isoformat()} is over")
        unit.audit.add(
            "access.granted", _subject(holder), actor=actor.name, origin=actor.origin, now=now, reason=reason,
            after={"grant": described(grant), "expires_at": expires_at.isoformat() if expires_at else None},
        )  # fmt: skip
        person = None if holder.is_group else _person(unit, holder, now=now)
        before = unit.principals.groups().get(holder.name, []) if person is None else [g for g in person.grants if g.group is None]
        _refuse_declared(holder, person, before)
        if any(each.grant == grant and each.expires_at == expires_at for each in before):
            raise ConflictError(f"{holder.name} is {described(grant)} already")
        made = unit.principals.grant(
            grant, person=person, group=holder.name if person is None else None, given_by=actor.name, expires_at=expires_at, now=now
        )
    return HeldGrant(made, grant, actor.name, now, expires_at, holder.name if holder.is_group else None, declared=False)


def take(context: Context, holder: Holder, grant: Grant, *, reason: str = "", actor: Actor) -> None:
    """Take a role away again; it holds nowhere any more within 5 s.

    Raises: NotFoundError, ForbiddenError, ConflictError for what the catalog declares, and for the last admin.
    """
    scope = scope_of(grant)
    actor.check(Operation.ACCESS_MANAGE, venture=scope.venture, environment=scope.environment)
    with context.store.write() as unit:
        now = context.clock.now()
        unit.audit.add(
            "access.revoked", _subject(holder), actor=actor.name, origin=actor.origin, now=now, reason=reason,
            before={"grant": described(grant)},
        )  # fmt: skip
        held = unit.principals.groups().get(holder.name, []) if holder.is_group else _own(unit.principals.get(holder.name))
        found = [each for each in held if each.grant == grant]
        if not found:
            raise NotFoundError(f"{holder.name} is not {described(grant)}")
        _refuse_declared(holder, None, found)
        admins = admins_of(unit, now=now)
        for each in found:
            unit.principals.take(each.id)
        _keep_an_admin(unit, admins, actor, now=now)


def set_disabled(context: Context, name: str, *, disabled: bool, reason: str = "", actor: Actor) -> Person:
    """Shut somebody out, with all their tokens, or let them in again. Raises: NotFoundError, ForbiddenError, ConflictError."""
    with context.store.write() as unit:
        now = context.clock.now()
        person = unit.principals.get(name)
        _check_whole(person, actor, now=now)
        if person.declared_in:
            raise ConflictError(f"{name} is declared in the catalog (Access/{person.declared_in}): set disabled there, and apply it")
        if person.disabled == disabled:
            return person
        unit.audit.add(
            "access.disabled" if disabled else "access.enabled", f"principal/{name}", actor=actor.name, origin=actor.origin, now=now,
            reason=reason, before={"disabled": person.disabled}, after={"disabled": disabled},
        )  # fmt: skip
        admins = admins_of(unit, now=now)
        unit.principals.update(person, now=now, disabled=disabled)
        _keep_an_admin(unit, admins, actor, now=now)
        return unit.principals.get(name)


def explain(
    context: Context, name: str, operation: Operation, *, venture: str | None, environment: Environment | None, actor: Actor
) -> Explained:
    """Whether somebody may do something somewhere, and why. About oneself everybody may ask. Raises: ForbiddenError, NotFoundError."""
    if name != actor.principal.name:
        actor.check(Operation.ACCESS_READ, venture=venture)
    scope, now = Scope(venture, environment), context.clock.now()
    with context.store.read() as unit:
        person = unit.principals.find(name)
    if person is None and name != actor.principal.name:
        raise NotFoundError(f"there is nobody called {name[:100]!r}")
    principal = actor.principal if name == actor.principal.name else _need(person).principal(now)
    decision = decide(principal, operation, scope)
    if not decision.allowed:
        disabled = " (disabled)" if person and person.disabled else ""
        return Explained(allowed=False, sentence=f"no{disabled}: {decision.reason}")
    grant = next(g for g in principal.grants if operation in ALLOWED[g.role] and g.covers(scope))
    return Explained(allowed=True, sentence=f"yes: {name} may do {operation} in {scope} as {described(grant)}{_source(person, grant)}")


def grants_of_groups(unit: Unit, groups: Iterable[str], *, now: datetime) -> tuple[Grant, ...]:
    """What everybody may do who is in one of the groups."""
    return tuple(dict.fromkeys(held.grant for held in unit.principals.grants_of_groups(sorted(set(groups))) if held.holds(now)))


def principal_of_person(context: Context, *, subject: str, name: str, email: str, groups: Iterable[str]) -> Principal:
    """Who an identity provider says it is: made at the first log-in, with the groups of this one.

    ``subject`` is unique among all providers (issuer and ``sub``); ``email`` only where the provider has verified it, else empty.
    A declared person with that address and no subject yet is taken to be them. Raises: ForbiddenError for somebody who is shut out.
    """
    with context.store.write() as unit:
        now = context.clock.now()
        person = unit.principals.by_subject(subject) or _first_time(unit, subject=subject, name=name, email=email, now=now)
        if person.disabled:
            raise ForbiddenError(f"{person.name} is disabled here; ask an admin")
        unit.principals.set_groups(person, groups, source=LOG_IN)
        return _need(unit.principals.find(person.name)).principal(now)


def admins_of(unit: Unit, *, now: datetime) -> list[str]:
    """Names of everybody who is admin everywhere now, the owner of the installation aside."""
    return [p.name for p in unit.principals.all() if p.name != OWNER and EVERYWHERE in p.principal(now).grants]


def _first_time(unit: Unit, *, subject: str, name: str, email: str, now: datetime) -> Person:
    known = unit.principals.by_email(email)
    if len(known) == 1:
        unit.audit.add(
            "access.linked", f"principal/{known[0].name}", actor=known[0].name, origin="log-in", now=now, after={"subject": subject}
        )
        unit.principals.update(known[0], now=now, subject=subject)
        return _need(unit.principals.by_subject(subject))
    chosen = next(n for n in (name.strip()[:NAME_MAX], email[:NAME_MAX], subject[-NAME_MAX:]) if _is_free(unit, n))
    unit.audit.add("access.joined", f"principal/{chosen}", actor=chosen, origin="log-in", now=now, after={"subject": subject})
    return unit.principals.add(chosen, kind="person", subject=subject, email=email, declared_in=None, now=now)


def _is_free(unit: Unit, name: str) -> bool:
    """People choose how a provider calls them: not by the name of somebody else."""
    wanted = " ".join(name.split()).casefold()
    taken = RESERVED | {" ".join(p.name.split()).casefold() for p in unit.principals.all()}
    return bool(wanted) and wanted not in taken and name.isprintable()


def _check_holder(holder: Holder) -> None:
    if not holder.name.strip() or len(holder.name) > NAME_MAX or not holder.name.isprintable():
        raise InvalidInputError(f"a name has 1 to {NAME_MAX} printable characters")
    if not holder.is_group and holder.name.casefold() in RESERVED:
        raise InvalidInputError(f"{holder.name!r} is the name of something else in the audit log; choose another")


def _check_power(grant: Grant, actor: Actor) -> None:
    scope = scope_of(grant)
    actor.check(Operation.ACCESS_MANAGE, venture=scope.venture, environment=scope.environment)
    too_much = exceeds(Principal("given", (grant,)), actor.principal)
    if too_much:
        raise ForbiddenError(too_much)


def _check_whole(person: Person, actor: Actor, *, now: datetime) -> None:
    """Who shuts somebody out manages all that they have."""
    for grant in person.principal(now).grants or (EVERYWHERE,):
        scope = scope_of(grant)
        actor.check(Operation.ACCESS_MANAGE, venture=scope.venture, environment=scope.environment)


def _person(unit: Unit, holder: Holder, *, now: datetime) -> Person:
    found = unit.principals.find(holder.name)
    if found is None:
        return unit.principals.add(holder.name, kind=holder.kind, subject=None, email=holder.email, declared_in=None, now=now)
    return found


def _own(person: Person) -> list[HeldGrant]:
    return [each for each in person.grants if each.group is None]


def _refuse_declared(holder: Holder, person: Person | None, held: Iterable[HeldGrant]) -> None:
    """What the catalog declares is changed there and nowhere else, so that the two never differ."""
    if (person is not None and person.declared_in) or any(each.declared for each in held):
        raise ConflictError(f"{holder.name} is declared in the catalog (kind: Access): change it there, and run productops apply")


def _keep_an_admin(unit: Unit, before: list[str], actor: Actor, *, now: datetime) -> None:
    """Raises: ConflictError when there would be nobody left who can let anybody in. The installation's owner always can."""
    if before and actor.principal.name != OWNER and not admins_of(unit, now=now):
        raise ConflictError(f"{before[0]} is the last admin: make somebody else admin first")


def _subject(holder: Holder) -> str:
    return f"{'group' if holder.is_group else 'principal'}/{holder.name}"


def _need(person: Person | None) -> Person:
    if person is None:
        raise NotFoundError("there is nobody of that name any more")
    return person


def _source(person: Person | None, grant: Grant) -> str:
    held: Any = next((h for h in person.grants if h.grant == grant), None) if person else None
    if held is None:
        return ""
    by = f" by group {held.group}" if held.group else ""
    given = "declared in the catalog" if held.declared else f"given by {held.given_by}"
    return f"{by}, {given}"
