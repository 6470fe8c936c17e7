"""Who may do what, as the catalog declares it: the whole truth about everybody it names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from productops.domain.catalog_access import AccessEntry, AccessGrant, AccessPerson, AccessService
from productops.domain.governance_access import Operation, Principal, exceeds
from productops.domain.governance_access_tokens import Person
from productops.errors import CatalogError, ForbiddenError
from productops.store import Unit
from productops.store.governance_access import DECLARED
from productops.usecases.context import Actor
from productops.usecases.governance_access_tokens import scope_of

KIND = "Access"


@dataclass(frozen=True, slots=True)
class DeclaredAccess:
    """A catalog entry and the folder it came from."""

    entry: AccessEntry
    base: str


def put_access(
    unit: Unit, declared: Sequence[DeclaredAccess], *, bases: set[str], actor: Actor, now: datetime
) -> list[tuple[str, str, str]]:  # fmt: skip
    """Store what is declared and take back what no longer is; returns kind, name and outcome of each entry.

    Somebody who is no longer named is shut out, and keeps the name in the audit log. Entries that came from one of ``bases`` and are
    not among ``declared`` are removed. Raises: ForbiddenError for more than the caller has, CatalogError.
    """
    before = unit.principals.entries()
    outcomes = []
    for each in declared:
        name = each.entry.metadata.name
        spec = each.entry.spec.model_dump(mode="json")
        known = before.get(name)
        if known is not None and known[1] == spec:
            outcomes.append((KIND, name, "unchanged"))
            continue
        _check_power(each.entry, actor)
        _store(unit, each, actor=actor, now=now)
        outcome = "created" if known is None else "changed"
        unit.audit.add(
            f"catalog.{outcome}", f"{KIND}/{name}", actor=actor.name, origin=actor.origin, now=now,
            before=known[1] if known else None, after=spec,
        )  # fmt: skip
        outcomes.append((KIND, name, outcome))
    names = {each.entry.metadata.name for each in declared}
    for name in sorted(n for n, (base, _) in before.items() if base in bases and n not in names):
        _remove(unit, name, before[name][1], actor=actor, now=now)
        outcomes.append((KIND, name, "removed"))
    return outcomes


def _check_power(entry: AccessEntry, actor: Actor) -> None:
    spec = entry.spec
    grants = [*(g for holder in (*spec.people, *spec.services) for g in holder.grants), *(g for held in spec.groups.values() for g in held)]
    for grant in {each.grant for each in grants}:
        scope = scope_of(grant)
        actor.check(Operation.ACCESS_MANAGE, venture=scope.venture, environment=scope.environment)
        too_much = exceeds(Principal("declared", (grant,)), actor.principal)
        if too_much:
            raise ForbiddenError(too_much)


def _store(unit: Unit, declared: DeclaredAccess, *, actor: Actor, now: datetime) -> None:
    entry, spec = declared.entry.metadata.name, declared.entry.spec
    unit.principals.take_declared(entry)
    named = {holder.name for holder in (*spec.people, *spec.services)}
    _shut_out(unit, entry, keep=named, now=now)
    holders: list[AccessPerson | AccessService] = [*spec.people, *spec.services]
    for holder in holders:
        person = _adopt(unit, entry, holder, now=now)
        unit.principals.set_groups(person, holder.groups, source=DECLARED)
        for held in person.grants:
            if held.group is None and not held.declared:
                unit.principals.take(held.id)
        _grant(unit, entry, holder.grants, person=person, actor=actor, now=now)
    known = unit.principals.groups()
    for group, grants in spec.groups.items():
        for held in known.get(group, []):
            unit.principals.take(held.id)
        _grant(unit, entry, grants, group=group, actor=actor, now=now)
    unit.principals.put_entry(entry, base=declared.base, spec=spec.model_dump(mode="json"), now=now)


def _adopt(unit: Unit, entry: str, holder: AccessPerson | AccessService, *, now: datetime) -> Person:
    """The person of that name, with what the catalog says of them. Raises: CatalogError when another entry declares them."""
    kind = "person" if isinstance(holder, AccessPerson) else "service"
    email = holder.email if isinstance(holder, AccessPerson) else ""
    subject = holder.subject or None if isinstance(holder, AccessPerson) else None
    found = unit.principals.find(holder.name)
    if found is not None and found.declared_in not in {None, entry}:
        raise CatalogError(f"{holder.name} is declared in {KIND}/{found.declared_in} and in {KIND}/{entry}: name them once")
    other = unit.principals.by_subject(subject) if subject else None
    if other is not None and other.name != holder.name:
        raise CatalogError(f"subject {subject!r} of {holder.name} is that of {other.name} already")
    if found is None:
        found = unit.principals.add(holder.name, kind=kind, subject=subject, email=email, declared_in=entry, now=now)
    unit.principals.update(
        found, now=now, kind=kind, email=email, subject=subject or found.subject, disabled=holder.disabled, declared_in=entry
    )
    return unit.principals.get(holder.name)


def _grant(
    unit: Unit, entry: str, grants: Sequence[AccessGrant], *, person: Person | None = None, group: str | None = None, actor: Actor,
    now: datetime,
) -> None:  # fmt: skip
    for grant in dict.fromkeys(each.grant for each in grants):
        unit.principals.grant(grant, person=person, group=group, given_by=actor.name, declared_in=entry, now=now)


def _shut_out(unit: Unit, entry: str, *, keep: set[str], now: datetime) -> None:
    for person in unit.principals.all():
        if person.declared_in == entry and person.name not in keep:
            unit.principals.set_groups(person, (), source=DECLARED)
            unit.principals.update(person, now=now, disabled=True, declared_in=None)


def _remove(unit: Unit, entry: str, spec: dict[str, Any], *, actor: Actor, now: datetime) -> None:
    actor.check(Operation.ACCESS_MANAGE)
    unit.principals.take_declared(entry)
    _shut_out(unit, entry, keep=set(), now=now)
    unit.principals.forget_entry(entry)
    unit.audit.add("catalog.removed", f"{KIND}/{entry}", actor=actor.name, origin=actor.origin, now=now, before=spec)
