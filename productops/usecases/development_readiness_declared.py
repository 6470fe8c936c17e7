"""What features are for, as the catalog declares it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from productops.domain.catalog_feature import FeatureEntry, SloGoal
from productops.errors import CatalogError
from productops.store import Unit
from productops.usecases.context import Actor

KIND = "Feature"


@dataclass(frozen=True, slots=True)
class DeclaredFeature:
    """A catalog entry and the folder it came from."""

    entry: FeatureEntry
    base: str


def put_features(
    unit: Unit, declared: Sequence[DeclaredFeature], *, bases: set[str], actor: Actor, now: datetime
) -> list[tuple[str, str, str]]:
    """Store what is declared and remove what these folders no longer declare; returns kind, name and outcome of each.

    Raises: NotFoundError for a venture or service that does not exist, CatalogError for a service of another venture.
    """
    outcomes: list[tuple[str, str, str]] = []
    for each in declared:
        entry = each.entry
        _check(unit, entry)
        outcome, before = unit.development_goals.put(entry, base=each.base, author=actor.name, now=now)
        outcomes.append((KIND, entry.metadata.name, outcome))
        if outcome != "unchanged":
            after = entry.spec.model_dump(mode="json")
            _audit(unit, f"catalog.{outcome}", entry.metadata.name, before=before, after=after, actor=actor, now=now)
    kept = {name for _, name, _ in outcomes}
    for name in sorted(set(unit.development_goals.declared_in(bases)) - kept):
        before = unit.catalog.last_spec(KIND, name)
        unit.development_goals.remove(name)
        outcomes.append((KIND, name, "removed"))
        _audit(unit, "catalog.removed", name, before=before, after=None, actor=actor, now=now)
    return outcomes


def _check(unit: Unit, entry: FeatureEntry) -> None:
    venture = entry.metadata.venture
    unit.catalog.venture_id(venture)
    for service in sorted({*entry.spec.services, *(goal.service for goal in entry.spec.success if isinstance(goal, SloGoal))}):
        owner = unit.catalog.service(service).venture
        if owner != venture:
            raise CatalogError(f"Feature {entry.metadata.name!r} is of venture {venture}, but service {service!r} is of {owner}")


def _audit(
    unit: Unit, action: str, name: str, *, before: dict[str, Any] | None, after: dict[str, Any] | None, actor: Actor, now: datetime
) -> None:
    unit.audit.add(action, f"{KIND}/{name}", actor=actor.name, origin=actor.origin, now=now, before=before, after=after)
