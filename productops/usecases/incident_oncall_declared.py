"""Schedules, escalations, channels, tellings and status pages, as the catalog declares them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from productops.domain.catalog_oncall import EscalationEntry, OnCallEntry
from productops.domain.catalog_oncall_telling import ChannelEntry, StatusPageEntry, TellingEntry
from productops.errors import CatalogError
from productops.store import Unit
from productops.usecases.context import Actor

PeopleEntry = OnCallEntry | EscalationEntry | ChannelEntry | TellingEntry | StatusPageEntry
_FIRST = {"Channel": 0, "OnCall": 1, "Escalation": 2, "Telling": 3, "StatusPage": 4}


@dataclass(frozen=True, slots=True)
class DeclaredPeople:
    """A catalog entry and the folder it came from."""

    entry: PeopleEntry
    base: str


def put_people(
    unit: Unit, declared: Sequence[DeclaredPeople], *, bases: set[str], actor: Actor, now: datetime
) -> list[tuple[str, str, str]]:  # fmt: skip
    """Store what is declared and remove what these folders no longer declare; returns kind, name and outcome of each.

    Raises: NotFoundError for a venture that does not exist, CatalogError for a name that leads nowhere.
    """
    outcomes: list[tuple[str, str, str]] = []
    for each in sorted(declared, key=lambda d: _FIRST[d.entry.kind]):
        kind: str = each.entry.kind
        name, venture = each.entry.metadata.name, each.entry.metadata.venture
        unit.catalog.venture_id(venture)
        before = unit.oncall.document(kind, name)
        outcome = unit.oncall.put(kind, name, venture=venture, spec=each.entry.spec, base=each.base, now=now)
        outcomes.append((kind, name, outcome))
        if outcome != "unchanged":
            _audit(unit, f"catalog.{outcome}", kind, name, before=before, actor=actor, now=now)
    kept = {(kind, name) for kind, name, _ in outcomes}
    for kind, name in unit.oncall.declared_in(bases):
        if (kind, name) not in kept:
            before = unit.oncall.document(kind, name)
            unit.oncall.remove(kind, name)
            outcomes.append((kind, name, "removed"))
            _audit(unit, "catalog.removed", kind, name, before=before, actor=actor, now=now)
    for each in declared:
        _check(unit, each.entry)
    return outcomes


def _check(unit: Unit, entry: PeopleEntry) -> None:
    """Whether everything that is named is there, and of the same venture. Raises: CatalogError."""
    where = f"{entry.kind} {entry.metadata.name!r}"
    venture = entry.metadata.venture
    for kind, name in _named(entry):
        found = unit.oncall.document(kind, name)
        if found is None or found["venture"] != venture:
            raise CatalogError(f"{where} names {kind} {name!r}, which venture {venture} does not declare")
    if isinstance(entry, StatusPageEntry):
        for component in entry.spec.components:
            owner = unit.catalog.find_service(component.service)
            if owner is None or owner.venture != venture:
                missing = f"is of service {component.service!r}, which {venture} does not have"
                raise CatalogError(f"{where}: component {component.name!r} {missing}")


def _named(entry: PeopleEntry) -> set[tuple[str, str]]:
    if isinstance(entry, OnCallEntry):
        return {("Channel", name) for person in entry.spec.people for name in person.channels}
    if not isinstance(entry, EscalationEntry):
        return set()
    targets = [*entry.spec.fallback, *(target for level in entry.spec.levels for target in level.targets)]
    named = {("OnCall", target.schedule) for target in targets if target.schedule}
    return named | {("Channel", target.channel) for target in targets if target.channel}


def _audit(unit: Unit, action: str, kind: str, name: str, *, before: object, actor: Actor, now: datetime) -> None:
    after = unit.oncall.document(kind, name)
    unit.audit.add(action, f"{kind}/{name}", actor=actor.name, origin=actor.origin, now=now, before=before, after=after)
