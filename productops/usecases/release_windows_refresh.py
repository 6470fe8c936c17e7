"""Keep calendars up to date: read their sources, keep the last good copy when one fails."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from productops.domain.catalog_windows import CalendarEntry, ChangeWindowEntry
from productops.domain.governance_access import Operation
from productops.domain.release_windows import AHEAD, BEHIND, ChangeCalendar, Occurrence
from productops.errors import CalendarError, CalendarSourceError, CatalogError
from productops.store import Unit
from productops.usecases.context import Actor, Context

log = structlog.get_logger(__name__)
FILES_EVERY = timedelta(seconds=60)
RETRY_AFTER = timedelta(seconds=60)
REWORK_AFTER = timedelta(days=1)
"""Events are worked out anew so often, so that those known never get fewer than a year's."""


class Fetched(Protocol):
    """What a source has; ``content`` None: unchanged since the ETag that was sent."""

    @property
    def content(self) -> bytes | None:
        """The calendar's bytes."""

    @property
    def etag(self) -> str:
        """The mark of this content."""


class Sources(Protocol):
    """Reads the source of a calendar."""

    def read(self, calendar: ChangeCalendar) -> Fetched:
        """Raises: CalendarSourceError."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """One look at one calendar: ``changed``, ``unchanged``, ``failed`` or ``skipped`` (another looked at the same time)."""

    name: str
    outcome: str
    error: str = ""


def refresh_calendars(context: Context, sources: Sources, *, actor: Actor, only_due: bool = True) -> list[Refreshed]:
    """Look at every calendar whose time has come; one that fails keeps its last good copy, and says so.

    It is for all ventures, and asks for what applying a catalog to them takes. Raises: ForbiddenError, StoreUnavailableError.
    """
    actor.check(Operation.CATALOG_APPLY)
    with context.store.read() as unit:
        names = [c.name for c in unit.calendars.all() if not only_due or _is_due(c, context.clock.now())]
    return [refresh_calendar(context, sources, name, actor=actor) for name in names]


def _is_due(calendar: ChangeCalendar, now: datetime) -> bool:
    checked = calendar.state.checked_at
    if checked is None:
        return True
    if calendar.state.error:
        return now - checked >= RETRY_AFTER
    every_s = (calendar.spec.get("source") or {}).get("refresh_s")
    if calendar.kind == "ChangeWindow":
        return calendar.unknown_at(now + AHEAD - REWORK_AFTER)
    return now - checked >= (timedelta(seconds=every_s) if every_s else FILES_EVERY)


def refresh_calendar(context: Context, sources: Sources, name: str, *, actor: Actor) -> Refreshed:
    """Look at one calendar. Raises: NotFoundError, StoreUnavailableError."""
    with context.store.read() as unit:
        seen = unit.calendars.get(name)
    now = context.clock.now()
    try:
        fetched = sources.read(seen)
        content = seen.state.content if fetched.content is None else fetched.content
        if content is None:
            raise CalendarSourceError(f"calendar {name}: its address says that nothing changed, but nothing was ever read from it")
        digest = hashlib.sha256(content).hexdigest()
        if digest == seen.state.digest and not seen.unknown_at(now + AHEAD - REWORK_AFTER):
            return _note_unchanged(context, seen, etag=fetched.etag, actor=actor)
        occurrences = _worked_out(seen, content, now=now)
    except (CalendarSourceError, CalendarError) as error:
        return _note_failure(context, seen, str(error), actor=actor)
    return _keep(context, seen, content, digest, fetched.etag, occurrences, actor=actor)


def _worked_out(calendar: ChangeCalendar, content: bytes, *, now: datetime) -> list[Occurrence]:
    from productops.adapters.calendar_files import read_occurrences  # its libraries take 0.2 s to load

    return read_occurrences(
        content, name=calendar.name, effect=calendar.effect, timezone=calendar.timezone, starts_at=now - BEHIND, ends_at=now + AHEAD
    )


def _note_unchanged(context: Context, seen: ChangeCalendar, *, etag: str, actor: Actor) -> Refreshed:
    now = context.clock.now()
    with context.store.write() as unit:
        mine = unit.calendars.record(seen, checked_at=now, read_at=now, etag=etag, error="", failing_since=None)
        if mine and seen.state.error:
            unit.audit.add("calendar.recovered", f"calendar/{seen.name}", actor=actor.name, origin=actor.origin, now=now)
    return Refreshed(seen.name, "unchanged" if mine else "skipped")


def _note_failure(context: Context, seen: ChangeCalendar, error: str, *, actor: Actor) -> Refreshed:
    """The first of several failures in a row is told; its successors only move the time of the last look."""
    now = context.clock.now()
    with context.store.write() as unit:
        error = error.replace("\x00", "")[:2000]
        since = seen.state.failing_since or now
        mine = unit.calendars.record(seen, checked_at=now, error=error, failing_since=since)
        if mine and seen.state.error != error:
            unit.audit.add("calendar.failed", f"calendar/{seen.name}", actor=actor.name, origin=actor.origin, now=now, reason=error)
    if mine and not seen.state.error:
        log.warning("calendar could not be read, its last good copy stays", calendar=seen.name, reason=error, read_at=seen.state.read_at)
    return Refreshed(seen.name, "failed" if mine else "skipped", error)


def _keep(
    context: Context, seen: ChangeCalendar, content: bytes, digest: str, etag: str, occurrences: Sequence[Occurrence], *, actor: Actor
) -> Refreshed:
    now = context.clock.now()
    changed = digest != seen.state.digest
    with context.store.write() as unit:
        mine = unit.calendars.record(
            seen, checked_at=now, read_at=now, content=content, digest=digest, etag=etag, error="", failing_since=None,
            known_until=now + AHEAD, changed_at=now if changed else seen.state.changed_at,
        )  # fmt: skip
        if not mine:
            return Refreshed(seen.name, "skipped")
        unit.calendars.replace(seen.name, occurrences)
        if changed:
            detail = {"events": len(occurrences), "before": {"sha256": seen.state.digest}, "after": {"sha256": digest}}
            unit.audit.add("calendar.read", f"calendar/{seen.name}", actor=actor.name, origin=actor.origin, now=now, detail=detail)
    return Refreshed(seen.name, "changed" if changed else "unchanged")


@dataclass(frozen=True, slots=True)
class DeclaredCalendar:
    """A catalog entry and the folder its relative paths start from."""

    entry: CalendarEntry | ChangeWindowEntry
    base: str


def put_calendars(
    unit: Unit, declared: Sequence[DeclaredCalendar], *, ventures: set[str], bases: set[str], actor: Actor, now: datetime
) -> list[tuple[str, str, str]]:
    """Store what is declared and remove what no longer is; returns kind, name and outcome of each.

    Removed are those of ``ventures`` (all that this catalog declares), and those for all ventures that came from one of its folders.
    Raises: CatalogError for a name that is taken or a service that does not exist.
    """
    names = [d.entry.metadata.name for d in declared]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise CatalogError(f"{twice!r} is both a Calendar and a ChangeWindow; give them different names")
    known = {s.name for s in unit.catalog.services()}
    outcomes: list[tuple[str, str, str]] = []
    for each in declared:
        missing = next((s for s in each.entry.spec.services if s not in known), None)
        if missing:
            raise CatalogError(f"{each.entry.kind} {each.entry.metadata.name!r} is for service {missing!r}, which is not declared")
        outcome = unit.calendars.put(each.entry, base=each.base, author=actor.name, now=now)
        outcomes.append((each.entry.kind, each.entry.metadata.name, outcome))
    for calendar in unit.calendars.all():
        ours = calendar.venture in ventures or (calendar.venture is None and calendar.base in bases)
        if ours and calendar.name not in names:
            unit.calendars.remove(calendar.name)
            outcomes.append((calendar.kind, calendar.name, "removed"))
    for kind, name, outcome in outcomes:
        if outcome != "unchanged":
            unit.audit.add(f"catalog.{outcome}", f"{kind}/{name}", actor=actor.name, origin=actor.origin, now=now)
    return outcomes
