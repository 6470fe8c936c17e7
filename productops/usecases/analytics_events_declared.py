"""Tracking plans as the catalog declares them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from productops.domain.catalog_analytics_events import TrackingPlanEntry
from productops.errors import CatalogError, ConflictError
from productops.store import Unit
from productops.store.analytics_events_plans import PLAN
from productops.usecases.context import Actor


@dataclass(frozen=True, slots=True)
class DeclaredTrackingPlan:
    """A catalog entry and the folder it came from."""

    entry: TrackingPlanEntry
    base: str


def put_tracking_plans(
    unit: Unit, declared: Sequence[DeclaredTrackingPlan], *, bases: set[str], actor: Actor, now: datetime
) -> list[tuple[str, str, str]]:  # fmt: skip
    """Store what is declared and remove what these folders no longer declare; returns kind, name and outcome of each.

    Programs that take events in follow within two seconds. Raises: NotFoundError for a venture, CatalogError for its second plan.
    """
    outcomes: list[tuple[str, str, str]] = []
    kept = {each.entry.metadata.name for each in declared}
    # First what goes: a venture's plan may have been given another name.
    for name in sorted(set(unit.analytics_events.plans.declared_in(bases)) - kept):
        before = unit.catalog.last_spec(PLAN, name)
        unit.analytics_events.plans.remove(name)
        outcomes.append((PLAN, name, "removed"))
        unit.audit.add("catalog.removed", f"{PLAN}/{name}", actor=actor.name, origin=actor.origin, now=now, before=before, after=None)
    for each in declared:
        name = each.entry.metadata.name
        unit.catalog.venture_id(each.entry.metadata.venture)
        try:
            outcome, before = unit.analytics_events.plans.put(each.entry, base=each.base, author=actor.name, now=now)
        except ConflictError as error:
            raise CatalogError(str(error)) from error
        outcomes.append((PLAN, name, outcome))
        if outcome != "unchanged":
            after = each.entry.spec.model_dump(mode="json")
            subject = f"{PLAN}/{name}"
            unit.audit.add(f"catalog.{outcome}", subject, actor=actor.name, origin=actor.origin, now=now, before=before, after=after)
    return outcomes
