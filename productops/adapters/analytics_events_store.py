"""The folder of events: a Parquet file or some for each venture and UTC day, and segments of what is not sorted in yet."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from productops.adapters.analytics_events_segments import sync_folder
from productops.adapters.analytics_events_table import KnownIds, arrow, as_events, halves, in_order, joined, schema, times
from productops.domain.analytics_events import COLUMNS, DAY_US, EventFile, day_of, day_start_us, moment
from productops.errors import EventsDiskFullError
from productops.store.identity import new_id

if TYPE_CHECKING:
    import pyarrow as pa

INCOMING = "_incoming"
ROW_GROUP = 131_072
COMPRESSION_LEVEL = 3
MEMORY_MAX = 512 * 1_048_576


@dataclass(slots=True)
class _Remembered:
    """Ids of files, the last used kept."""

    by_path: dict[str, KnownIds]
    size: int = 0

    def get(self, path: str) -> KnownIds | None:
        found = self.by_path.pop(path, None)
        if found is not None:
            self.by_path[path] = found
        return found

    def put(self, path: str, known: KnownIds) -> None:
        self.by_path[path] = known
        self.size += known.size_bytes
        while self.size > MEMORY_MAX and len(self.by_path) > 1:
            oldest = next(iter(self.by_path))
            self.size -= self.by_path.pop(oldest).size_bytes


class EventFolder:
    """Reads and writes files of events. Which of them count is not its business: the manifest in the database says so."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ids = _Remembered({})

    @property
    def incoming(self) -> Path:
        """Where segments are."""
        return self.folder / INCOMING

    def write(self, venture: str, table: pa.Table) -> list[EventFile]:
        """Write a table of events, a file for each day, sorted; on the disk when it returns. They count once the manifest names them.

        Raises: EventsDiskFullError, DependencyError.
        """
        written = []
        for day, part in by_day(as_events(table)):
            written.append(self.write_day(venture, day, in_order(part)))
        return written

    def write_day(self, venture: str, day: date, table: pa.Table) -> EventFile:
        """Write rows of one day, sorted already, as one file. Raises: EventsDiskFullError, DependencyError."""
        from pyarrow import parquet

        id_ = new_id()
        relative = f"{venture}/day={day.isoformat()}/{id_}.parquet"
        path = self.folder / relative
        temporary = path.with_name(f".{path.name}.tmp")
        at, received = times(table, "at"), times(table, "received_at")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("xb") as file:
                parquet.write_table(
                    table, file, compression="zstd", compression_level=COMPRESSION_LEVEL, row_group_size=ROW_GROUP,
                    use_dictionary=[name for name in COLUMNS if name not in {"event_id", "person", "at", "received_at", "properties"}],
                    write_statistics=[name for name in COLUMNS if name not in {"event_id", "properties", "session"}],
                )  # fmt: skip
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(path)
            sync_folder(path.parent)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink()
            raise EventsDiskFullError(f"events could not be written to {path.parent}: {error}", retry_after_s=10) from error
        self._ids.put(relative, KnownIds(*halves(table)))
        return EventFile(
            path=str(path), day=day, rows=table.num_rows, first_at=moment(int(at.min())), last_at=moment(int(at.max())), id=str(id_),
            venture=venture, size_bytes=path.stat().st_size, first_received_at=moment(int(received.min())),
            last_received_at=moment(int(received.max())), made_at=datetime.now(UTC),
        )  # fmt: skip

    def known_ids(self, file: EventFile) -> KnownIds:
        """The ids of a file. Raises: FileNotFoundError."""
        relative = self.relative(file.path)
        found = self._ids.get(relative)
        if found is None:
            found = KnownIds(*halves(self.read([file.path], columns=["event_id"])))
            self._ids.put(relative, found)
        return found

    def read(self, paths: Sequence[str], *, columns: Sequence[str], where: Any = None) -> pa.Table:
        """Rows of files. ``where`` is an expression of Arrow's. Raises: FileNotFoundError, DependencyError."""
        arrow()
        from pyarrow import dataset

        if not paths:
            return arrow().schema([schema().field(name) for name in columns]).empty_table()
        return dataset.dataset(list(paths), schema=schema(), format="parquet").to_table(columns=list(columns), filter=where)

    def has_person(self, path: str, persons: Collection[int]) -> bool:
        """Whether a file may hold events of these people: by the bounds of its parts, then by the rows. Raises: FileNotFoundError."""
        from pyarrow import compute

        wanted = arrow().array(sorted(persons), arrow().uint64())
        return bool(self.read([path], columns=["person"], where=compute.field("person").isin(wanted)).num_rows)

    def relative(self, path: str) -> str:
        """A path as the manifest has it."""
        return str(Path(path).relative_to(self.folder))

    def remove(self, relative: str) -> None:
        """Delete a file; one that is gone already is fine."""
        with suppress(FileNotFoundError):
            (self.folder / relative).unlink()

    def files(self) -> Iterator[tuple[str, float]]:
        """Every file of a day, also unfinished ones, with the time of its last change."""
        for path in self.folder.glob("*/day=*/*"):
            if path.parent.parent.name != INCOMING:
                with suppress(FileNotFoundError):
                    yield str(path.relative_to(self.folder)), path.stat().st_mtime


def by_day(table: pa.Table) -> list[tuple[date, pa.Table]]:
    """The rows of each UTC day."""
    if not table.num_rows:
        return []
    days = times(table, "at") // DAY_US
    found = np.unique(days)
    if len(found) == 1:
        return [(day_of(int(found[0]) * DAY_US), joined([table]))]
    lib = arrow()
    return [(day_of(int(day) * DAY_US), joined([table.filter(lib.array(days == day))])) for day in found]


def day_bounds(day: date) -> tuple[int, int]:
    """Beginning and end of a UTC day, microseconds since 1970."""
    start = day_start_us(day)
    return start, start + DAY_US
