"""Objectives as the catalog declares them, in OpenSLO."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from productops.domain.catalog_slo import OpenSloEntry, SloEntry
from productops.domain.governance_access import Operation
from productops.domain.monitoring_slo import Objective
from productops.domain.monitoring_slo_resolve import Documents, resolve
from productops.errors import CatalogError
from productops.store import Unit
from productops.store.monitoring_slo import PREFIX, read_document
from productops.usecases.context import Actor


@dataclass(frozen=True, slots=True)
class DeclaredSlo:
    """A document, the folder it came from, and where it stands (``file:line``)."""

    entry: OpenSloEntry
    base: str
    place: str


def put_slos(unit: Unit, declared: Sequence[DeclaredSlo], *, bases: set[str], actor: Actor, now: datetime) -> list[tuple[str, str, str]]:
    """Store what is declared, remove what these folders no longer declare, and make the objectives anew.

    Returns kind, name and outcome of each. Raises: CatalogError with file and line for what refers to nothing or is not supported,
    ForbiddenError.
    """
    before = unit.objectives.documents()
    if not declared and not any(base in bases for _, base in before.values()):
        return []
    outcomes = [_put(unit, each, before, actor=actor, now=now) for each in declared]
    kept = {(each.entry.kind, each.entry.metadata.name) for each in declared}
    for (kind, name), (document, base) in sorted(before.items()):
        if base in bases and (kind, name) not in kept:
            unit.objectives.remove_document(kind, name)
            outcomes.append((f"{PREFIX}{kind}", name, "removed"))
            _audit(unit, "catalog.removed", kind, name, before=document, after=None, actor=actor, now=now)
    _make(unit, {(d.entry.kind, d.entry.metadata.name): d.place for d in declared}, actor=actor)
    return outcomes


def _put(
    unit: Unit, each: DeclaredSlo, before: Mapping[tuple[str, str], tuple[dict[str, Any], str]], *, actor: Actor, now: datetime
) -> tuple[str, str, str]:
    entry = each.entry
    kind, name = entry.kind, entry.metadata.name
    outcome = unit.objectives.put_document(entry, base=each.base, author=actor.name, now=now)
    if outcome != "unchanged":
        known = before.get((kind, name))
        after = entry.model_dump(mode="json", exclude_unset=True)
        _audit(unit, f"catalog.{outcome}", kind, name, before=known[0] if known else None, after=after, actor=actor, now=now)
    return (f"{PREFIX}{kind}", name, outcome)


def _make(unit: Unit, places: Mapping[tuple[str, str], str], *, actor: Actor) -> None:
    """Fill in what objectives refer to. Whoever changes one must be allowed to where it belongs. Raises: CatalogError, ForbiddenError."""
    documents = Documents({key: read_document(document) for key, (document, _) in unit.objectives.documents().items()})
    owners = {service.name: service.venture for service in unit.catalog.services()}
    ventures = set(unit.catalog.ventures())
    made: dict[str, Objective] = {}
    for (kind, name), entry in sorted(documents.by_name.items()):
        if not isinstance(entry, SloEntry):
            continue
        place = places.get((kind, name), f"{PREFIX}SLO {name!r}")
        try:
            found = resolve(entry, documents, venture=_venture(entry, owners, ventures))
        except ValueError as error:
            raise CatalogError(f"{place}: {_said(error)}") from error
        made |= {objective.name: objective for objective in found}
    present = {objective.name: objective for objective in unit.objectives.all()}
    for changed in sorted(name for name in made.keys() | present.keys() if made.get(name) != present.get(name)):
        for objective in filter(None, (made.get(changed), present.get(changed))):
            actor.check(Operation.CATALOG_APPLY, venture=objective.venture)
        if changed in made and changed in present and _asks(made[changed]) != _asks(present[changed]):
            unit.objectives.forget_counts(changed)
    unit.objectives.set(list(made.values()))


def _asks(objective: Objective) -> tuple[object, ...]:
    return (objective.indicator, objective.service, objective.environment)


def _said(error: ValueError) -> str:
    return str(error).splitlines()[0]


def _venture(entry: SloEntry, owners: Mapping[str, str], ventures: set[str]) -> str:
    """The owner of the service; where it is none of ours, what the annotation says. Raises: ValueError."""
    owner, named = owners.get(entry.spec.service), entry.metadata.venture
    if owner is None and named is None:
        raise ValueError(
            f"spec.service: there is no service {entry.spec.service!r}; declare it (apiVersion: productops/v1, kind: Service), or name the "
            "owner in metadata.annotations: productops/venture"
        )
    if owner is not None and named is not None and owner != named:
        raise ValueError(f"metadata.annotations: service {entry.spec.service!r} is of venture {owner}, not {named}")
    found = owner or named or ""
    if found not in ventures:
        raise ValueError(f"metadata.annotations: venture {found!r} is not declared; add an entry of kind Venture with that name")
    return found


def _audit(
    unit: Unit, action: str, kind: str, name: str, *, before: dict[str, Any] | None, after: dict[str, Any] | None, actor: Actor,
    now: datetime,
) -> None:  # fmt: skip
    unit.audit.add(action, f"{PREFIX}{kind}/{name}", actor=actor.name, origin=actor.origin, now=now, before=before, after=after)
