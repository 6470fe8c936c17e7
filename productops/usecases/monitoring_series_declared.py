"""Scrape targets as the catalog declares them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from productops.domain.catalog_monitoring import ScrapeTargetEntry
from productops.errors import CatalogError
from productops.store import Unit
from productops.usecases.context import Actor

KIND = "ScrapeTarget"


@dataclass(frozen=True, slots=True)
class DeclaredScrapeTarget:
    """A catalog entry and the folder it came from."""

    entry: ScrapeTargetEntry
    base: str


def put_scrape_targets(
    unit: Unit, declared: Sequence[DeclaredScrapeTarget], *, bases: set[str], actor: Actor, now: datetime
) -> list[tuple[str, str, str]]:
    """Store what is declared and remove what these folders no longer declare; returns kind, name and outcome of each.

    Raises: NotFoundError for a venture or service that does not exist, CatalogError for a service of another venture.
    """
    outcomes: list[tuple[str, str, str]] = []
    kept: set[tuple[str, str]] = set()
    for each in declared:
        name, venture, spec = each.entry.metadata.name, each.entry.metadata.venture, each.entry.spec
        unit.catalog.venture_id(venture)
        if spec.service is not None and (owner := unit.catalog.service(spec.service).venture) != venture:
            raise CatalogError(f"ScrapeTarget {name!r} is of venture {venture}, but service {spec.service!r} is of {owner}")
        outcome, before = unit.scrape_targets.put(venture, name, spec, base=each.base, now=now)
        kept.add((venture, name))
        outcomes.append((KIND, name, outcome))
        if outcome != "unchanged":
            _audit(unit, f"catalog.{outcome}", name, before=before, after=spec.model_dump(mode="json"), actor=actor, now=now)
    for target in unit.scrape_targets.all():
        if target.base in bases and (target.venture, target.name) not in kept:
            unit.scrape_targets.remove(target.venture, target.name)
            outcomes.append((KIND, target.name, "removed"))
            _audit(unit, "catalog.removed", target.name, before=target.spec.model_dump(mode="json"), after=None, actor=actor, now=now)
    return outcomes


def _audit(
    unit: Unit, action: str, name: str, *, before: dict[str, Any] | None, after: dict[str, Any] | None, actor: Actor, now: datetime
) -> None:
    unit.audit.add(action, f"{KIND}/{name}", actor=actor.name, origin=actor.origin, now=now, before=before, after=after)
