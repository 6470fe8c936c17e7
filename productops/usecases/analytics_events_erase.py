"""Remove the events of a person from all files; killed on the way it goes on where it was. Readers leave them out at once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from productops.adapters.analytics_events_segments import segments
from productops.adapters.analytics_events_store import EventFolder
from productops.adapters.analytics_events_table import joined, kept
from productops.domain.analytics_events import COLUMNS, Erasure, EventFile, Lease, microseconds, person_number
from productops.domain.governance_access import MACHINE, Operation, visible_ventures
from productops.errors import InvalidInputError
from productops.usecases.analytics_events_folder import LEASE, folder_of
from productops.usecases.analytics_events_reading import reader_of
from productops.usecases.analytics_events_sort import erased
from productops.usecases.analytics_events_tidy import delete_replaced
from productops.usecases.context import Actor, Context

FILES_AT_ONCE: Final = 50
AGENT: Final = Actor("productops", "agent", MACHINE)


def request_erasure(
    context: Context, venture: str, person: str, *, secret: bytes, actor: Actor, forever: bool = False, reason: str = ""
) -> Erasure:  # fmt: skip
    """Have a person's events removed: all that came before now, with ``forever`` also what comes later.

    ``person``: the user id or anonymous id as clients send it. It is not kept; the audit has the erasure's id.
    Raises: NotFoundError, ForbiddenError, InvalidInputError.
    """
    if not person.strip():
        raise InvalidInputError("name the person: the user id or anonymous id of the events")
    with context.store.write() as unit:
        actor.check(Operation.ANALYTICS_ERASE, venture=venture)
        unit.catalog.venture_id(venture)
        keys = reader_of(unit, venture, secret=secret).person_keys(person)
        now = context.clock.now()
        made = unit.analytics_events.erasures.add(
            venture, {person_number(venture, key) for key in keys}, forever=forever, reason=reason, by=actor.name, now=now
        )
        unit.audit.add(
            "events.erasure_requested", f"EventErasure/{made.id}", actor=actor.name, origin=actor.origin, now=now,
            detail={"venture": venture, "forever": forever, "reason": reason},
        )  # fmt: skip
    return made


def show_erasure(context: Context, erasure_id: str, *, actor: Actor) -> Erasure:
    """Raises: NotFoundError, ForbiddenError."""
    with context.store.read() as unit:
        found = unit.analytics_events.erasures.get(erasure_id)
    actor.check(Operation.ANALYTICS_READ, venture=found.venture)
    return found


def list_erasures(context: Context, venture: str, *, actor: Actor) -> list[Erasure]:
    """Those of a venture, the newest first; none of one that the caller may not see. Raises: NotFoundError."""
    seen = visible_ventures(actor.principal, Operation.ANALYTICS_READ)
    with context.store.read() as unit:
        unit.catalog.venture_id(venture)
        return unit.analytics_events.erasures.all(venture) if seen is None or venture in seen else []


def erase_some(context: Context, held: Lease) -> bool:
    """Go on with the oldest erasure, some files of it; False when there is none to go on with now. Raises: as ``sort_in``."""
    folder = folder_of(context)
    with context.store.read() as unit:
        found = unit.analytics_events.erasures.open()
    waiting = _oldest_waiting_us(folder)
    for erasure in found:
        with context.store.read() as unit:
            files = unit.analytics_events.files(erasure.venture, folder=folder.folder)
        left = sorted((each for each in files if folder.relative(each.path) > erasure.cursor), key=lambda each: each.path)
        if left:
            _erase(context, held, folder, erasure, left[:FILES_AT_ONCE])
            return True
        # What came before and is in no file yet would be missed.
        if waiting is None or waiting > microseconds(erasure.asked_at):
            _end(context, held, erasure)
            return True
    return False


def _oldest_waiting_us(folder: EventFolder) -> int | None:
    """When the oldest segment was begun that is not sorted in."""
    names = [path.name for path in segments(folder.incoming)]
    return int(names[0].partition("-")[0]) // 1_000 if names else None


def _erase(context: Context, held: Lease, folder: EventFolder, erasure: Erasure, files: Iterable[EventFile]) -> None:
    for file in files:
        cursor = folder.relative(file.path)
        made: list[EventFile] = []
        removed = 0
        if folder.has_person(file.path, erasure.persons):
            table = joined([folder.read([file.path], columns=COLUMNS)])
            gone = erased(table, [erasure])
            removed = int(gone.sum())
            if removed and removed < table.num_rows:
                made = [folder.write_day(file.venture, file.day, joined([kept(table, ~gone)]))]
        with context.store.write() as unit:
            now = context.clock.now()
            unit.analytics_events.hold(held, now=now, lease=LEASE)
            if removed:
                unit.analytics_events.retire([file.id], why="erased", now=now)
                unit.analytics_events.add(made, folder=folder.folder)
            unit.analytics_events.erasures.move(erasure.id, cursor=cursor, files=bool(removed), events=removed)


def _end(context: Context, held: Lease, erasure: Erasure) -> None:
    delete_replaced(context, grace=timedelta(0))
    with context.store.write() as unit:
        now = context.clock.now()
        unit.analytics_events.hold(held, now=now, lease=LEASE)
        unit.analytics_events.erasures.end(erasure.id, now=now)
        done = unit.analytics_events.erasures.get(erasure.id)
        detail = {"venture": done.venture, "files": done.files, "events": done.events, "forever": done.forever, "asked_by": done.by}
        unit.audit.add("events.erased", f"EventErasure/{done.id}", actor=AGENT.name, origin=AGENT.origin, now=now, detail=detail)
