"""Read usage events: the files that count, and what came in during the last seconds."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from productops.adapters.analytics_events_segments import Frame, segments
from productops.adapters.analytics_events_store import EventFolder
from productops.adapters.analytics_events_table import arrow, as_events, halves, joined, kept, repeated, schema, table_of, times
from productops.domain.analytics_events import Erasure, EventFile, Row, microseconds
from productops.errors import DependencyError
from productops.usecases.analytics_events_folder import folder_of, holding
from productops.usecases.analytics_events_reading import default_reader
from productops.usecases.analytics_events_sort import Sorted, erased, frames_of, keep, keep_table
from productops.usecases.context import Context

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

TRIES = 5


def event_files(context: Context, venture: str, *, since: datetime, until: datetime) -> list[EventFile]:
    """The files that may hold events from ``since`` to before ``until``, by day; what came in during the last seconds is in none of them.

    No id is twice in the files of one day. A file may go at any moment (merged, erased): who finds it gone asks again.
    Raises: StoreUnavailableError, DependencyError for a program without a folder of events.
    """
    folder = folder_of(context)
    with context.store.read() as unit:
        files = unit.analytics_events.files(venture, folder=folder.folder, since=since.date(), until=until.date())
    return [each for each in files if each.last_at >= since and each.first_at < until]


def read_events(
    context: Context, venture: str, *, since: datetime, until: datetime, columns: Sequence[str], names: Collection[str] | None = None,
    features: Collection[str] | None = None,
) -> pa.Table:  # fmt: skip
    """Events from ``since`` to before ``until`` as an Arrow table, each once, what came in during the last seconds included.

    ``columns`` are of ``productops.domain.analytics_events.COLUMNS``; ``names`` and ``features`` None: all. The order is not defined.
    People whose events are being removed are left out at once. Raises: StoreUnavailableError, DependencyError.
    """
    folder = folder_of(context)
    for attempt in range(1, TRIES + 1):
        # Segments first: what is sorted in meanwhile is found twice then, and not missed.
        fresh = frames_of(segments(folder.incoming), venture)
        files = event_files(context, venture, since=since, until=until)
        with context.store.read() as unit:
            erasures = unit.analytics_events.erasures.in_force(venture)
        try:
            return _read(folder, venture, files, fresh, erasures, columns, _Wanted(since, until, names, features))
        except FileNotFoundError as error:
            if attempt == TRIES:
                raise DependencyError(f"files of events go faster than they can be read: {error}") from error
    raise AssertionError  # pragma: no cover - the loop returns or raises


class _Wanted:
    """Which events are asked for."""

    def __init__(
        self, since: datetime, until: datetime, names: Collection[str] | None, features: Collection[str] | None
    ) -> None:  # fmt: skip
        self.first, self.end = microseconds(since), microseconds(until)
        self.since, self.until = since, until
        self.sets: dict[str, frozenset[str]] = {}
        for column, values in (("name", names), ("feature", features)):
            if values is not None:
                self.sets[column] = frozenset(values)

    @property
    def expression(self) -> Any:
        """For the files."""
        from pyarrow import compute

        lib = arrow()
        at = compute.field("at")
        found = (at >= lib.scalar(self.since, schema().field("at").type)) & (at < lib.scalar(self.until, schema().field("at").type))
        for column, values in self.sets.items():
            found &= compute.field(column).cast(lib.string()).isin(lib.array(sorted(values), lib.string()))
        return found

    def of_rows(self, table: pa.Table) -> NDArray[np.bool_]:
        """For what is in no file yet."""
        at = times(table, "at")
        found = (at >= self.first) & (at < self.end)
        for column, values in self.sets.items():
            found &= np.isin(np.asarray(table.column(column).to_pylist(), dtype=object), list(values))
        return np.asarray(found, dtype=bool)


def _read(
    folder: EventFolder, venture: str, files: Sequence[EventFile], fresh: Sequence[Frame], erasures: Sequence[Erasure],
    columns: Sequence[str], wanted: _Wanted,
) -> pa.Table:  # fmt: skip
    """Raises: FileNotFoundError when a file went meanwhile."""
    needed = list(dict.fromkeys([*columns, *(("person", "received_at") if erasures else ())]))
    old = folder.read([file.path for file in files], columns=needed, where=wanted.expression)
    new = _fresh(folder, venture, files, [row for frame in fresh for row in frame.rows], wanted).select(needed)
    parts = [kept(part, ~erased(part, erasures)) for part in (old, new) if part.num_rows]
    parts = [part for part in parts if part.num_rows]
    found = joined(parts) if parts else old.slice(0, 0)
    return found.select(list(columns))


def _fresh(folder: EventFolder, venture: str, files: Sequence[EventFile], rows: list[Row], wanted: _Wanted) -> pa.Table:
    """What is in no file yet."""
    table = table_of(venture, rows)
    table = kept(table, wanted.of_rows(table)) if rows else table
    if not table.num_rows:
        return table
    table = joined([table])
    ids = halves(table)
    double = repeated(*ids)
    first, last = times(table, "at").min(), times(table, "at").max()
    for file in files:
        if microseconds(file.last_at) >= first - _SLACK_US and microseconds(file.first_at) <= last + _SLACK_US:
            double |= folder.known_ids(file).has(*ids)
    return kept(table, ~double)


_SLACK_US = 86_400_000_000


def put_events(context: Context, venture: str, rows: Iterable[Mapping[str, Any] | Row] | pa.Table) -> Sorted:
    """Put events straight into files, each id once a day; for imports of tables, examples and tests.

    ``rows``: events as the API takes them (``{"event": …, "userId": …, "timestamp": …}``), rows as segments have them, or an Arrow table
    with the columns of events. What cannot be read is left out. Raises: StoreUnavailableError, DependencyError, EventsDiskFullError,
    ConflictError while others keep the files for two minutes.
    """
    if not hasattr(rows, "num_rows"):
        reader = default_reader(context, venture)
        made = [row if isinstance(row, list) else reader.read(row) for row in rows]
        with holding(context) as held:
            return keep(context, held, {venture: [row for row in made if row is not None]})
    table: pa.Table = rows
    with holding(context) as held:
        return keep_table(context, held, venture, joined([as_events(table)]))
