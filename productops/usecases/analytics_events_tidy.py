"""Keep the files of events few and no longer than wanted: small ones become one, old ones go, and so does what nobody knows of."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog

from productops.adapters.analytics_events_segments import segments
from productops.adapters.analytics_events_table import in_order, joined
from productops.domain.analytics_events import COLUMNS, EventFile, Lease
from productops.domain.analytics_events_merge import to_merge
from productops.usecases.analytics_events_folder import LEASE, folder_of
from productops.usecases.context import Context

log = structlog.get_logger(__name__)
# Who lists files and then opens them has so long; who comes later asks again.
GRACE: Final = timedelta(minutes=5)
ORPHAN_S: Final = 3_600.0
REMEMBERED: Final = timedelta(days=1)
DAYS_AT_ONCE: Final = 20


@dataclass(frozen=True, slots=True)
class Tidied:
    """How many files went: too old, taken the place of, or known to nobody."""

    expired: int = 0
    replaced: int = 0
    orphans: int = 0


def merge_some(context: Context, held: Lease) -> int:
    """Make one file out of small ones of one day; returns how many there were, 0 when nothing is to be done. Raises: as ``sort_in``."""
    folder, now = folder_of(context), context.clock.now()
    with context.store.read() as unit:
        crowded = unit.analytics_events.crowded(files_min=2, limit=DAYS_AT_ONCE * 50)
        for venture, day, _ in crowded:
            files = unit.analytics_events.files(venture, folder=folder.folder, since=day, until=day)
            if chosen := to_merge(files, now=now):
                break
        else:
            return 0
    table = folder.read([each.path for each in chosen], columns=COLUMNS)
    merged = folder.write_day(venture, day, in_order(joined([table])))
    with context.store.write() as unit:
        unit.analytics_events.hold(held, now=context.clock.now(), lease=LEASE)
        unit.analytics_events.retire([each.id for each in chosen], why="merged", now=context.clock.now())
        unit.analytics_events.add([merged], folder=folder.folder)
    return len(chosen)


def tidy(context: Context, held: Lease, *, retention_days: int) -> Tidied:
    """Let old days go, and delete what counts no more. Raises: as ``sort_in``."""
    folder, now = folder_of(context), context.clock.now()
    limit = (now - timedelta(days=retention_days)).date()
    with context.store.read() as unit:
        ventures = unit.analytics_events.ventures()
        old: dict[str, list[EventFile]] = defaultdict(list)
        for venture in ventures:
            old[venture] = unit.analytics_events.files(venture, folder=folder.folder, until=limit - timedelta(days=1))
    for files in filter(None, old.values()):
        with context.store.write() as unit:
            unit.analytics_events.hold(held, now=now, lease=LEASE)
            unit.analytics_events.retire([each.id for each in files[:500]], why="expired", now=now)
    with context.store.write() as unit:
        unit.analytics_events.hold(held, now=now, lease=LEASE)
        unit.analytics_events.seen.forget(before=limit)
        existing = {path.name for path in segments(folder.incoming)}
        unit.analytics_events.forget_sorted(before=now - REMEMBERED, existing=existing)
    return Tidied(sum(map(len, old.values())), delete_replaced(context, grace=GRACE), _sweep(context))


def delete_replaced(context: Context, *, grace: timedelta) -> int:
    """Delete files that have counted no more for some time; how many."""
    folder, now = folder_of(context), context.clock.now()
    with context.store.read() as unit:
        paths = unit.analytics_events.retired(before=now - grace)
    for path in paths:
        folder.remove(path)
    if paths:
        with context.store.write() as unit:
            unit.analytics_events.forget(paths)
    return len(paths)


def _sweep(context: Context) -> int:
    """Delete files that nobody knows of: of programs that were killed before they could say so."""
    folder = folder_of(context)
    found = [path for path, changed in folder.files() if time.time() - changed > ORPHAN_S]
    if not found:
        return 0
    with context.store.read() as unit:
        known = unit.analytics_events.known_paths()
    orphans = [path for path in found if path not in known]
    for path in orphans:
        folder.remove(path)
    return len(orphans)
