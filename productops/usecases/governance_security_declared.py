"""Security policies from the catalog."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from productops.domain.catalog_security import SecurityPolicyEntry
from productops.domain.governance_access import Operation
from productops.errors import CatalogError
from productops.store import Unit
from productops.store.governance_security import KIND
from productops.usecases.context import Actor
from productops.usecases.governance_audit_note import note


@dataclass(frozen=True, slots=True)
class DeclaredSecurity:
    """A catalog entry and the folder it came from."""

    entry: SecurityPolicyEntry
    base: str


def put_security_policies(
    unit: Unit, declared: Sequence[DeclaredSecurity], *, bases: set[str], actor: Actor, now: datetime
) -> list[tuple[str, str, str]]:
    """Store what is declared and remove what these folders no longer declare; returns kind, name and outcome of each.

    Whoever changes what counts as a danger has to answer for it: that takes the right to respond to security incidents.
    Raises: NotFoundError for a venture that does not exist, ForbiddenError, CatalogError for a second policy of one place.
    """
    outcomes: list[tuple[str, str, str]] = []
    for each in declared:
        name, venture = each.entry.metadata.name, each.entry.metadata.venture
        _check_places(unit, each)
        before = unit.security.stored_policy(name)
        outcome = unit.security.put_policy(each.entry, base=each.base, now=now)
        outcomes.append((KIND, name, outcome))
        if outcome != "unchanged":
            for place in {venture, before["venture"] if before else venture}:
                actor.check(Operation.SECURITY_RESPOND, venture=place)
            after = unit.security.stored_policy(name)
            note(unit, actor, f"catalog.{outcome}", f"{KIND}/{name}", now=now, before=before, after=after)
    kept = {name for _, name, _ in outcomes}
    for name in unit.security.declared_in(bases):
        before = unit.security.stored_policy(name)
        if name in kept or before is None:
            continue
        actor.check(Operation.SECURITY_RESPOND, venture=before["venture"])
        note(unit, actor, "catalog.removed", f"{KIND}/{name}", now=now, before=before)
        unit.security.remove_policy(name)
        outcomes.append((KIND, name, "removed"))
    _check_one_each(unit, declared)
    return outcomes


def _check_one_each(unit: Unit, declared: Sequence[DeclaredSecurity]) -> None:
    for venture in {each.entry.metadata.venture for each in declared}:
        names = unit.security.policy_names(venture)
        if len(names) > 1:
            place = f"venture {venture}" if venture else "the installation"
            raise CatalogError(f"{place} has the security policies {' and '.join(names)}; it can have one")


def _check_places(unit: Unit, declared: DeclaredSecurity) -> None:
    """Raises: NotFoundError for a venture that does not exist."""
    for place in (declared.entry.metadata.venture, declared.entry.spec.answers):
        if place is not None:
            unit.catalog.venture_id(place)
