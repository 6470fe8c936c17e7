"""Severity policies and maintenance windows from the catalog."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from productops.domain.catalog_incident import MaintenanceWindowEntry, SeverityPolicyEntry
from productops.errors import CatalogError
from productops.store import Unit
from productops.usecases.context import Actor
from productops.usecases.governance_audit_note import note


@dataclass(frozen=True, slots=True)
class DeclaredIncident:
    """A catalog entry and the folder it came from."""

    entry: SeverityPolicyEntry | MaintenanceWindowEntry
    base: str


def put_incident_policies(
    unit: Unit, declared: Sequence[DeclaredIncident], *, bases: set[str], actor: Actor, now: datetime
) -> list[tuple[str, str, str]]:
    """Store what is declared and remove what these folders no longer declare; returns kind, name and outcome of each.

    Raises: NotFoundError for a venture that does not exist, CatalogError for a second severity policy of a venture.
    """
    outcomes: list[tuple[str, str, str]] = []
    for each in declared:
        kind, name = each.entry.kind, each.entry.metadata.name
        unit.catalog.venture_id(each.entry.metadata.venture)
        before = unit.incident_policies.stored(kind, name)
        outcome = unit.incident_policies.put(each.entry, base=each.base, now=now)
        outcomes.append((kind, name, outcome))
        if outcome != "unchanged":
            after = unit.incident_policies.stored(kind, name)
            note(unit, actor, f"catalog.{outcome}", f"{kind}/{name}", now=now, before=before, after=after)
    kept = {(kind, name) for kind, name, _ in outcomes}
    for gone_kind, gone in unit.incident_policies.declared_in(bases):
        if (gone_kind, gone) not in kept:
            note(unit, actor, "catalog.removed", f"{gone_kind}/{gone}", now=now, before=unit.incident_policies.stored(gone_kind, gone))
            unit.incident_policies.remove(gone_kind, gone)
            outcomes.append((gone_kind, gone, "removed"))
    for venture in sorted({each.entry.metadata.venture for each in declared}):
        policies = unit.incident_policies.names(venture, "SeverityPolicy")
        if len(policies) > 1:
            raise CatalogError(f"venture {venture} has the severity policies {' and '.join(policies)}; it can have one")
    return outcomes
