"""Development sources as the catalog declares them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from productops.domain.catalog_development import DevelopmentSourceEntry
from productops.errors import CatalogError
from productops.store import Unit
from productops.usecases.context import Actor

KIND = "DevelopmentSource"


@dataclass(frozen=True, slots=True)
class DeclaredDevelopmentSource:
    """A catalog entry and the folder it came from."""

    entry: DevelopmentSourceEntry
    base: str


def put_development_sources(
    unit: Unit, declared: Sequence[DeclaredDevelopmentSource], *, bases: set[str], actor: Actor, now: datetime
) -> list[tuple[str, str, str]]:
    """Store what is declared and remove what these folders no longer declare; returns kind, name and outcome of each.

    Raises: NotFoundError for a venture or service that does not exist, CatalogError for a service of another venture.
    """
    outcomes: list[tuple[str, str, str]] = []
    for each in declared:
        name, venture, spec = each.entry.metadata.name, each.entry.metadata.venture, each.entry.spec
        unit.catalog.venture_id(venture)
        for service in sorted(set(spec.mapping.services.values())):
            owner = unit.catalog.service(service).venture
            if owner != venture:
                raise CatalogError(f"DevelopmentSource {name!r} is of venture {venture}, but service {service!r} is of {owner}")
        before = _stored(unit, name)
        outcome = unit.development_sources.put(name, venture=venture, spec=spec, base=each.base, now=now)
        outcomes.append((KIND, name, outcome))
        if outcome != "unchanged":
            _audit(unit, f"catalog.{outcome}", name, before=before, actor=actor, now=now)
    kept = {name for _, name, _ in outcomes}
    for name in unit.development_sources.declared_in(bases):
        if name not in kept:
            before = _stored(unit, name)
            unit.development_sources.remove(name)
            outcomes.append((KIND, name, "removed"))
            _audit(unit, "catalog.removed", name, before=before, actor=actor, now=now)
    return outcomes


def _stored(unit: Unit, name: str) -> dict[str, Any] | None:
    found = unit.development_sources.find(name)
    return {"venture": found.venture} | found.spec.model_dump(mode="json") if found else None


def _audit(unit: Unit, action: str, name: str, *, before: dict[str, Any] | None, actor: Actor, now: datetime) -> None:
    unit.audit.add(action, f"{KIND}/{name}", actor=actor.name, origin=actor.origin, now=now, before=before, after=_stored(unit, name))
