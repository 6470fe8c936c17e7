"""What is tried on users, as the catalog declares it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from productops.domain.analytics_experiment import ExperimentState
from productops.domain.catalog_experiment import ExperimentEntry
from productops.errors import CatalogError
from productops.store import Unit
from productops.usecases.context import Actor

KIND = "Experiment"


@dataclass(frozen=True, slots=True)
class DeclaredExperiment:
    """A catalog entry and the folder it came from."""

    entry: ExperimentEntry
    base: str


def put_experiments(
    unit: Unit, declared: Sequence[DeclaredExperiment], *, bases: set[str], actor: Actor, now: datetime
) -> list[tuple[str, str, str]]:
    """Store what is declared and remove drafts that these folders no longer declare; what was ever started stays, for its record.

    Returns kind, name and outcome of each. Raises: NotFoundError for a venture that does not exist, CatalogError for a flag that is not
    there, is another venture's, or has no such variant.
    """
    outcomes: list[tuple[str, str, str]] = []
    for each in declared:
        entry = each.entry
        check_flag(unit, entry.metadata.venture, entry)
        outcome, before = unit.analytics_experiments.put(entry, base=each.base, author=actor.name, now=now)
        outcomes.append((KIND, entry.metadata.name, outcome))
        if outcome != "unchanged":
            after = entry.spec.model_dump(mode="json")
            _audit(unit, f"catalog.{outcome}", entry.metadata.name, before=before, after=after, actor=actor, now=now)
    kept = {name for _, name, _ in outcomes}
    gone = unit.analytics_experiments.declared_in(bases) if bases else {}
    for name in sorted(name for name, state in gone.items() if name not in kept and state is ExperimentState.DRAFT):
        before = unit.catalog.last_spec(KIND, name)
        unit.analytics_experiments.remove(name)
        outcomes.append((KIND, name, "removed"))
        _audit(unit, "catalog.removed", name, before=before, after=None, actor=actor, now=now)
    return outcomes


def check_flag(unit: Unit, venture: str, entry: ExperimentEntry) -> None:
    """Raises: NotFoundError for the venture, CatalogError that says what is wrong with the flag."""
    unit.catalog.venture_id(venture)
    name, spec = entry.metadata.name, entry.spec
    flag = unit.flags.find(spec.flag)
    if flag is None:
        raise CatalogError(f"Experiment {name!r} is about flag {spec.flag!r}, which is not there; declare it as kind: Flag")
    if flag.venture != venture:
        raise CatalogError(f"Experiment {name!r} is of venture {venture}, but flag {spec.flag!r} is of {flag.venture}")
    missing = [variant for variant in spec.arms if variant not in flag.spec.variants]
    if missing:
        has = ", ".join(flag.spec.variants)
        raise CatalogError(f"Experiment {name!r} compares variant {missing[0]!r}, which flag {spec.flag!r} does not have; it has {has}")
    if spec.environment not in flag.spec.environments:
        raise CatalogError(f"Experiment {name!r} is in {spec.environment}, but flag {spec.flag!r} is not")


def _audit(
    unit: Unit, action: str, name: str, *, before: dict[str, Any] | None, after: dict[str, Any] | None, actor: Actor, now: datetime
) -> None:
    unit.audit.add(action, f"{KIND}/{name}", actor=actor.name, origin=actor.origin, now=now, before=before, after=after)
