"""Apply the declared ventures and services."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from productops.adapters.catalog_files import LoadedEntry
from productops.domain.catalog import ServiceEntry, VentureEntry
from productops.usecases.context import Actor, Context


@dataclass(frozen=True, slots=True)
class Change:
    """What applying an entry did, or would do: ``created``, ``changed`` or ``unchanged``."""

    kind: str
    name: str
    outcome: str


class _PlanOnlyError(Exception):
    """Leaves the transaction so that a plan writes nothing."""


def apply_catalog(context: Context, entries: Sequence[LoadedEntry], *, actor: Actor, plan_only: bool = False) -> list[Change]:
    """Store the entries; all or none. ``plan_only`` tells what would change and writes nothing.

    Raises: NotFoundError for a service whose venture is not declared, StoreUnavailableError.
    """
    changes: list[Change] = []
    try:
        with context.store.write() as unit:
            now = context.clock.now()
            ordered = sorted(entries, key=lambda e: isinstance(e.entry, ServiceEntry))
            for loaded in ordered:
                entry = loaded.entry
                if isinstance(entry, VentureEntry):
                    outcome = unit.catalog.put_venture(
                        entry.metadata.name, title=entry.spec.title, description=entry.spec.description, author=actor.name, now=now
                    )
                else:
                    outcome = unit.catalog.put_service(
                        entry.metadata.name, venture=entry.metadata.venture or "", spec=entry.spec, base=str(loaded.base),
                        author=actor.name, now=now,
                    )  # fmt: skip
                changes.append(Change(entry.kind, entry.metadata.name, outcome))
                if outcome != "unchanged":
                    unit.audit.add(
                        f"catalog.{outcome}", f"{entry.kind}/{entry.metadata.name}", actor=actor.name, origin=actor.origin, now=now
                    )
            if plan_only:
                raise _PlanOnlyError
    except _PlanOnlyError:
        return changes
    context.doorbell.ring()
    return changes


def form_choices(context: Context) -> dict[str, list[str]]:
    """What a form offers: names of services and ventures. Raises: StoreUnavailableError."""
    with context.store.read() as unit:
        return {"service": [s.name for s in unit.catalog.services()], "venture": unit.catalog.ventures()}
