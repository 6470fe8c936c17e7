"""Sort new events into the files of their days: each once, also when it was sent twice, and also when we are killed on the way.

A file counts from the transaction on that names it in the manifest; the same transaction says which segments it came from. Killed
before it, the segments are sorted in again and the files are swept away; killed after it, only the segments are left to delete.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from productops.adapters.analytics_events_json import loads
from productops.adapters.analytics_events_segments import Frame, read_frames, sealed_segments
from productops.adapters.analytics_events_store import EventFolder, day_bounds
from productops.adapters.analytics_events_table import halves, in_order, joined, kept, of_people, repeated, table_of, times
from productops.domain.analytics_events import (
    AT,
    DAY_US,
    MIDNIGHT_US,
    NAME,
    PROPERTIES,
    ROW,
    Erasure,
    EventFile,
    Lease,
    Row,
    day_of,
    microseconds,
)
from productops.domain.analytics_events_seen import Sightings, sightings_of
from productops.usecases.analytics_events_folder import LEASE, folder_of
from productops.usecases.context import Context

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

ROUND_BYTES_MAX = 32 * 1_048_576


@dataclass(slots=True)
class Sorted:
    """What a round did: ``events`` are new ones, ``left_out`` of people who were erased. ``more``: segments were left for the next."""

    segments: int = 0
    events: int = 0
    duplicates: int = 0
    left_out: int = 0
    files: list[EventFile] = field(default_factory=list)
    more: bool = False


def sort_in(context: Context, held: Lease) -> Sorted:
    """One round: some segments, the oldest first. Raises: LeaseLostError, EventsDiskFullError, DependencyError, StoreUnavailableError."""
    folder = folder_of(context)
    paths = sealed_segments(folder.incoming)
    with context.store.read() as unit:
        done = unit.analytics_events.sorted_in([path.name for path in paths])
    _delete(path for path in paths if path.name in done)
    waiting = [path for path in paths if path.name not in done]
    chosen, rows = _read(waiting)
    found = keep(context, held, rows, segments=chosen)
    found.more = len(chosen) < len(waiting)
    _delete(folder.incoming / name for name, _ in chosen)
    return found


def _read(paths: Sequence[Path]) -> tuple[list[tuple[str, int]], dict[str, list[Row]]]:
    """Segments until they are as much as one round takes: their names with their events, and the rows by venture."""
    chosen: list[tuple[str, int]] = []
    rows: dict[str, list[Row]] = defaultdict(list)
    size = 0
    for path in paths:
        try:
            size += path.stat().st_size
        except FileNotFoundError:
            continue
        if chosen and size > ROUND_BYTES_MAX:
            break
        events = 0
        for frame in read_frames(path):
            rows[frame.venture] += frame.rows
            events += len(frame.rows)
        chosen.append((path.name, events))
    return chosen, rows


def _delete(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def keep(context: Context, held: Lease, rows: Mapping[str, list[Row]], *, segments: Sequence[tuple[str, int]] = ()) -> Sorted:
    """Put rows into files and let these count, in one transaction with ``segments``. Raises: as ``sort_in``."""
    found = Sorted(segments=len(segments))
    if not rows and not segments:
        return found
    seen: dict[str, Sightings] = {}
    for venture, events in rows.items():
        good = _write(context, venture, table_of(venture, events), found)
        seen[venture] = sightings_of((row for row, new in zip(events, good, strict=True) if new), loads)
    _count(context, held, found, segments, seen)
    return found


def keep_table(context: Context, held: Lease, venture: str, table: pa.Table) -> Sorted:
    """The same with a table of one venture. Raises: as ``sort_in``."""
    found = Sorted()
    new = _write(context, venture, table, found)
    _count(context, held, found, (), {venture: _sightings(kept(table, new))})
    return found


def _count(context: Context, held: Lease, found: Sorted, segments: Sequence[tuple[str, int]], seen: Mapping[str, Sightings]) -> None:
    folder = folder_of(context)
    with context.store.write() as unit:
        now = context.clock.now()
        unit.analytics_events.hold(held, now=now, lease=LEASE)
        unit.analytics_events.add(found.files, folder=folder.folder)
        unit.analytics_events.note_sorted(segments, now=now)
        for venture, sightings in seen.items():
            unit.analytics_events.seen.add(venture, sightings)


def _write(context: Context, venture: str, table: pa.Table, found: Sorted) -> NDArray[np.bool_]:
    """Write the files of what is new; which rows those are."""
    folder = folder_of(context)
    if not table.num_rows:
        return np.zeros(0, dtype=bool)
    days = times(table, "at") // DAY_US
    wanted = {day_of(int(day) * DAY_US) for day in np.unique(days)}
    with context.store.read() as unit:
        erasures = unit.analytics_events.erasures.in_force(venture)
        span = timedelta(days=1)
        files = unit.analytics_events.files(venture, folder=folder.folder, since=min(wanted) - span, until=max(wanted) + span)
    people = erased(table, erasures)
    ids = halves(table)
    double = ~people & repeated(*ids)
    for day in sorted(wanted):
        double |= _known(folder, files, day, days=days, at=times(table, "at"), ids=ids)
    keep_ = ~(people | double)
    found.left_out += int(people.sum())
    found.duplicates += int((double & ~people).sum())
    found.events += int(keep_.sum())
    for day in sorted(wanted):
        of_day = keep_ & (days == day_bounds(day)[0] // DAY_US)
        if of_day.any():
            found.files.append(folder.write_day(venture, day, in_order(joined([kept(table, of_day)]))))
    return keep_


def _sightings(table: pa.Table) -> Sightings:
    """Names, days and properties of a table."""
    rows: list[Row] = [[None] * len(ROW) for _ in range(table.num_rows)]
    columns = {NAME: table.column("name").to_pylist(), AT: times(table, "at").tolist(), PROPERTIES: table.column("properties").to_pylist()}
    for place, values in columns.items():
        for row, value in zip(rows, values, strict=True):
            row[place] = value
    return sightings_of(rows, loads)


def _known(
    folder: EventFolder, files: Sequence[EventFile], day: date, *, days: NDArray[np.int64], at: NDArray[np.int64],
    ids: tuple[NDArray[np.uint64], NDArray[np.uint64]],
) -> NDArray[np.bool_]:  # fmt: skip
    """Which rows of a day are in its files already; near midnight also in those of the day beside it."""
    start, end = day_bounds(day)
    found = np.zeros(len(days), dtype=bool)
    here = days == start // DAY_US
    span = timedelta(days=1)
    places = ((day, here), (day - span, here & (at < start + MIDNIGHT_US)), (day + span, here & (at >= end - MIDNIGHT_US)))
    for place, mask in places:
        if mask.any():
            for file in files:
                if file.day == place:
                    found[mask] |= folder.known_ids(file).has(ids[0][mask], ids[1][mask])
    return found


def erased(table: pa.Table, erasures: Iterable[Erasure]) -> NDArray[np.bool_]:
    """Which rows are of people whose events are removed: all of them where that is for ever, else those received before it was asked."""
    found = np.zeros(table.num_rows, dtype=bool)
    for each in erasures:
        of_them = of_people(table, each.persons)
        found |= of_them if each.forever else of_them & (times(table, "received_at") <= microseconds(each.asked_at))
    return found


def frames_of(paths: Iterable[Path], venture: str) -> list[Frame]:
    """The frames of a venture in segments; those that are gone by now are in files."""
    return [frame for path in paths for frame in read_frames(path) if frame.venture == venture]
