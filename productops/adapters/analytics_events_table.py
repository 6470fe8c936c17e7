"""Rows of segments as Arrow tables, and what is done with whole tables of events."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from productops.adapters.analytics_events_json import HINT
from productops.domain.analytics_events import COLUMNS, ROW, Row, person_numbers
from productops.errors import DependencyError

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

TEXTS = ("person_key", "name", "feature", "service", "version", "environment", "platform", "country")
SORT = ("person", "at", "event_id")


def arrow() -> Any:
    """The library, loaded when it is first needed. Raises: DependencyError when it is not installed."""
    try:
        import pyarrow
    except ImportError as error:
        raise DependencyError(HINT) from error
    return pyarrow


@cache
def schema() -> pa.Schema:
    """The columns of a file of events."""
    lib = arrow()
    text = lib.dictionary(lib.int32(), lib.string())
    kinds = dict.fromkeys(TEXTS, text) | {
        "event_id": lib.binary(16), "person": lib.uint64(), "session": lib.string(), "at": lib.timestamp("us", tz="UTC"),
        "received_at": lib.timestamp("us", tz="UTC"), "duration_ms": lib.float32(), "failed": lib.bool_(), "value": lib.float64(),
        "properties": lib.string(),
    }  # fmt: skip
    return lib.schema([(name, kinds[name]) for name in COLUMNS])


def table_of(venture: str, rows: Sequence[Row]) -> pa.Table:
    """The rows of one venture as a table, in their order. Raises: DependencyError."""
    lib = arrow()
    if not rows:
        return schema().empty_table()
    columns: dict[str, Sequence[Any]] = dict(zip(ROW, zip(*rows, strict=True), strict=True))
    numbers = person_numbers(venture, set(columns["person_key"]))
    given: dict[str, Any] = {}
    for each in schema():
        if each.name == "event_id":
            ids = bytes.fromhex("".join(columns["event_id"]))
            given[each.name] = lib.FixedSizeBinaryArray.from_buffers(lib.binary(16), len(rows), [None, lib.py_buffer(ids)])
        elif each.name == "person":
            keys = columns["person_key"]
            given[each.name] = lib.array(np.fromiter((numbers[key] for key in keys), dtype=np.uint64, count=len(rows)))
        elif each.name in TEXTS:
            given[each.name] = lib.array(columns[each.name], lib.string()).dictionary_encode()
        elif each.name in {"at", "received_at"}:
            given[each.name] = lib.array(np.asarray(columns[each.name], dtype=np.int64)).cast(each.type)
        else:
            given[each.name] = lib.array(columns[each.name], each.type)
    return lib.table(given, schema=schema())


def as_events(table: pa.Table) -> pa.Table:
    """A table with the columns of events, in whatever order, with their types. Raises: KeyError for a column that is missing."""
    return table.select(list(COLUMNS)).cast(schema())


def joined(tables: Iterable[pa.Table]) -> pa.Table:
    """All rows of tables of the same columns, in one piece."""
    found = [table for table in tables if table.num_rows]
    if not found:
        raise ValueError("there is nothing to join")
    if len(found) == 1 and found[0].column(0).num_chunks == 1:
        return found[0]
    return arrow().concat_tables(found).unify_dictionaries().combine_chunks()


def in_order(table: pa.Table) -> pa.Table:
    """Sorted as files are: by person, then time, then id."""
    keys = [np.frombuffer(_ids(table), dtype=">u8").reshape(-1, 2)[:, column] for column in (1, 0)]
    at = _int64(table, "at")
    person = table.column("person").to_numpy()
    return table.take(arrow().array(np.lexsort((*keys, at, person))))


def halves(table: pa.Table) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """The ids as a pair of numbers each: a well mixed one, which together with the other stands for the id."""
    pairs = np.frombuffer(_ids(table), dtype=np.uint64).reshape(-1, 2)
    low = pairs[:, 1].copy()
    mixed = pairs[:, 0] ^ (low * np.uint64(0x9E3779B97F4A7C15))
    return mixed, low


def _ids(table: pa.Table) -> bytes:
    """All ids in a row."""
    parts = []
    for chunk in table.column("event_id").chunks:
        buffer = chunk.buffers()[1]
        parts.append(memoryview(buffer)[chunk.offset * 16 : (chunk.offset + len(chunk)) * 16])
    return b"".join(parts)


def _int64(table: pa.Table, name: str) -> NDArray[np.int64]:
    found: NDArray[np.int64] = table.column(name).cast(arrow().int64()).to_numpy()
    return found


def times(table: pa.Table, name: str) -> NDArray[np.int64]:
    """A column of times as microseconds since 1970."""
    return _int64(table, name)


def of_people(table: pa.Table, persons: Collection[int]) -> NDArray[np.bool_]:
    """Which rows are of these people."""
    return np.isin(table.column("person").to_numpy(), np.fromiter(persons, dtype=np.uint64, count=len(persons)))


def kept(table: pa.Table, keep: NDArray[np.bool_]) -> pa.Table:
    """The rows where it is true."""
    return table if keep.all() else table.filter(arrow().array(keep))


class KnownIds:
    """Ids of a file, ready to be asked: 16 bytes each, in memory."""

    __slots__ = ("_low", "_mixed")

    def __init__(self, mixed: NDArray[np.uint64], low: NDArray[np.uint64]) -> None:
        order = np.argsort(mixed, kind="stable")
        self._mixed, self._low = mixed[order], low[order]

    @property
    def size_bytes(self) -> int:
        """Memory they take."""
        return self._mixed.nbytes + self._low.nbytes

    def has(self, mixed: NDArray[np.uint64], low: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Which of these ids are known; exact."""
        found = np.zeros(len(mixed), dtype=bool)
        if not len(self._mixed):
            return found
        place = np.searchsorted(self._mixed, mixed)
        open_ = np.ones(len(mixed), dtype=bool)
        while True:  # a second turn only where two ids have the same mixed half
            inside = open_ & (place < len(self._mixed))
            at = np.minimum(place, len(self._mixed) - 1)
            open_ = inside & (self._mixed[at] == mixed) & ~found
            if not open_.any():
                return found
            found |= open_ & (self._low[at] == low)
            place = place + 1


def repeated(mixed: NDArray[np.uint64], low: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which ids came before in the same list."""
    order = np.lexsort((np.arange(len(mixed)), low, mixed))
    same = (mixed[order][1:] == mixed[order][:-1]) & (low[order][1:] == low[order][:-1])
    found = np.zeros(len(mixed), dtype=bool)
    found[order[1:][same]] = True
    return found
