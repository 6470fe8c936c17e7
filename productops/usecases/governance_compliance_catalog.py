"""The controls of a catalog, applied with the rest of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from productops.domain.catalog_compliance import ControlEntry
from productops.errors import CatalogError
from productops.store import Unit
from productops.usecases.context import Actor

KIND = "Control"


@dataclass(frozen=True, slots=True)
class DeclaredControl:
    """A catalog entry and the folder it came from."""

    entry: ControlEntry
    base: str


def put_controls(
    unit: Unit, declared: Sequence[DeclaredControl], *, ventures: set[str], bases: set[str], actor: Actor, now: datetime
) -> list[tuple[str, str, str]]:
    """Store what is declared and remove what no longer is; returns kind, name and outcome of each.

    Removed are those of ``ventures`` (all that this catalog declares), and those for all ventures that came from one of its folders.
    Their findings are resolved by the next check. Raises: CatalogError for a service that does not exist.
    """
    known = {service.name for service in unit.catalog.services()}
    outcomes: list[tuple[str, str, str]] = []
    for each in declared:
        name = each.entry.metadata.name
        missing = next((service for service in each.entry.spec.services if service not in known), None)
        if missing:
            raise CatalogError(f"Control {name!r} is for service {missing!r}, which is not declared")
        outcome, before = unit.controls.put(each.entry, base=each.base, author=actor.name, now=now)
        outcomes.append((KIND, name, outcome))
        if outcome != "unchanged":
            after = {"venture": each.entry.metadata.venture} | each.entry.spec.model_dump(mode="json")
            unit.audit.add(
                f"catalog.{outcome}", f"{KIND}/{name}", actor=actor.name, origin=actor.origin, now=now, before=before, after=after
            )
    names = {name for _, name, _ in outcomes}
    for control in unit.controls.all():
        ours = control.venture in ventures or (control.venture is None and control.base in bases)
        if ours and control.name not in names:
            unit.controls.remove(control.name)
            outcomes.append((KIND, control.name, "removed"))
            before = {"venture": control.venture} | control.spec.model_dump(mode="json")
            unit.audit.add("catalog.removed", f"{KIND}/{control.name}", actor=actor.name, origin=actor.origin, now=now, before=before)
    return outcomes
