"""Apply the declared ventures and services."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from productops.adapters.catalog_files import LoadedEntry
from productops.domain.catalog import VentureEntry
from productops.domain.catalog_flags import FlagEntry
from productops.domain.catalog_windows import CalendarEntry, ChangeWindowEntry
from productops.store import Unit
from productops.usecases.context import Actor, Context
from productops.usecases.release_flags_catalog import put_declared
from productops.usecases.release_windows_refresh import DeclaredCalendar, put_calendars


@dataclass(frozen=True, slots=True)
class Change:
    """What applying an entry did, or would do.

    ``created``, ``changed``, ``unchanged``, ``proposed`` (a flag: somebody has to approve it), ``removed`` (a calendar that went).
    """

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
            others = [e for e in entries if not isinstance(e.entry, CalendarEntry | ChangeWindowEntry)]
            ordered = sorted(others, key=lambda e: not isinstance(e.entry, VentureEntry))
            for loaded in ordered:
                entry = loaded.entry
                outcome = _put(unit, loaded, actor=actor, now=now)
                changes.append(Change(entry.kind, entry.metadata.name, outcome))
                if outcome != "unchanged":
                    unit.audit.add(
                        f"catalog.{outcome}", f"{entry.kind}/{entry.metadata.name}", actor=actor.name, origin=actor.origin, now=now
                    )
            changes += _put_calendars(unit, entries, actor=actor, now=now)
            if plan_only:
                raise _PlanOnlyError
    except _PlanOnlyError:
        return changes
    context.doorbell.ring()
    return changes


def _put_calendars(unit: Unit, entries: Sequence[LoadedEntry], *, actor: Actor, now: datetime) -> list[Change]:
    """Calendars come last, for they name services; those that are no longer declared are removed. Raises: CatalogError."""
    declared = [DeclaredCalendar(e.entry, str(e.base)) for e in entries if isinstance(e.entry, CalendarEntry | ChangeWindowEntry)]
    ventures = {e.entry.metadata.name for e in entries if isinstance(e.entry, VentureEntry)}
    outcomes = put_calendars(unit, declared, ventures=ventures, bases={str(e.base) for e in entries}, actor=actor, now=now)
    return [Change(kind, name, outcome) for kind, name, outcome in outcomes]


def _put(unit: Unit, loaded: LoadedEntry, *, actor: Actor, now: datetime) -> str:
    """Store one entry; returns the outcome. Raises: NotFoundError, InvalidInputError."""
    entry = loaded.entry
    if isinstance(entry, VentureEntry):
        return unit.catalog.put_venture(
            entry.metadata.name, title=entry.spec.title, description=entry.spec.description, author=actor.name, now=now
        )
    if isinstance(entry, FlagEntry):
        return put_declared(unit, entry, actor=actor, now=now)
    if isinstance(entry, CalendarEntry | ChangeWindowEntry):
        raise TypeError("calendars are stored together")
    return unit.catalog.put_service(
        entry.metadata.name, venture=entry.metadata.venture or "", spec=entry.spec, base=str(loaded.base), author=actor.name, now=now
    )


def form_choices(context: Context) -> dict[str, list[str]]:
    """What a form offers: names of services and ventures. Raises: StoreUnavailableError."""
    with context.store.read() as unit:
        return {"service": [s.name for s in unit.catalog.services()], "venture": unit.catalog.ventures()}
