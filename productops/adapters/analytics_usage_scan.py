"""Reads from files of events what a question needs, and no more: few columns, few rows, as NumPy arrays.

Files are sorted by (person, at); a person is a hash, so that the same range of persons is about the same share of each file.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from productops.adapters.analytics_events_json import HINT
from productops.adapters.analytics_usage_match import Masks, value_codes
from productops.domain.analytics_events import EventFile, microseconds
from productops.domain.analytics_usage_query import EventMatch
from productops.errors import ConflictError, DependencyError
from productops.stats.analytics_usage_order import among_sorted

Uints = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]
THREADS = 2
EVERYBODY = (0, 1 << 64)
ROW_BYTES = 28
PIECES_BYTES = 160 * 1_048_576


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of one file that fit something, sorted by (person, at). ``at`` int64 µs, ``bits`` uint32, ``value`` and ``code`` int32 or empty.

    Bit ``n`` of ``bits``: the event fits match ``n``.
    """

    person: Uints
    at: Ints
    bits: npt.NDArray[np.uint32]
    value: npt.NDArray[np.int32]
    code: npt.NDArray[np.int32]

    def part(self, begin: int, end: int) -> Piece:
        """Some of its rows."""
        cut = slice(begin, end)
        return Piece(self.person[cut], self.at[cut], self.bits[cut], self.value[cut], self.code[cut])


class Texts:
    """Numbers for texts, the same in all files; made from several threads."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._lock = threading.Lock()

    def numbers(self, texts: Sequence[str | None]) -> npt.NDArray[np.int32]:
        """One for each; -1 for nothing."""
        with self._lock:
            known = self._numbers
            return np.array([-1 if not t else known.setdefault(t, len(known)) for t in texts], dtype=np.int32)

    @property
    def texts(self) -> list[str]:
        """In the order of their numbers."""
        return list(self._numbers)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to read: events that fit any of ``matches`` in [since, until), of ``people`` (sorted) or of everybody but ``without``.

    ``value`` is a column or property whose text is numbered as ``value``, ``code`` one of the columns name and feature.
    ``at``: whether the instants are needed; without them they are zeros where a file needs no look at them.
    """

    matches: tuple[EventMatch, ...]
    since_us: int
    until_us: int
    people: Uints | None = None
    without: Uints | None = None
    value: str | None = None
    code: str | None = None
    at: bool = True
    values: Texts = field(default_factory=Texts)
    codes: Texts = field(default_factory=Texts)


def parquet() -> Any:
    """The reader, loaded when it is first needed. Raises: DependencyError when it is not installed."""
    try:
        from pyarrow import parquet as found
    except ImportError as error:
        raise DependencyError(HINT) from error
    return found


def scan(
    files: Sequence[EventFile], wanted: Wanted, *, persons: tuple[int, int] = EVERYBODY,
    reduce: Callable[[Piece, EventFile], Any] | None = None,
) -> list[Any]:  # fmt: skip
    """A piece of each file in the order of the files; ``reduce`` makes something smaller of each while it is still warm.

    Raises: DependencyError, ConflictError when a file went away meanwhile (it was merged or erased: ask again).
    """
    masks = Masks(wanted.matches)

    def one(file: EventFile) -> Any:
        piece = read_piece(file, wanted, masks, persons)
        return piece if reduce is None else reduce(piece, file)

    parquet()
    with ThreadPoolExecutor(THREADS, thread_name_prefix="usage") as pool:
        return list(pool.map(one, files))


def read_piece(file: EventFile, wanted: Wanted, masks: Masks, persons: tuple[int, int]) -> Piece:
    """Rows of one file. Raises: ConflictError, DependencyError."""
    lib = parquet()
    columns = masks.columns | {"person"} | ({wanted.code} if wanted.code else set())
    columns |= {value_column(wanted.value)} if wanted.value else set()
    inside = wanted.since_us <= microseconds(file.first_at) and microseconds(file.last_at) < wanted.until_us
    if wanted.at or not inside:
        columns |= {"at"}
    try:
        with lib.ParquetFile(file.path, pre_buffer=False) as reader:
            groups = list(_groups(reader.metadata, persons))
            found = [_rows(reader.read_row_group(g, columns=sorted(columns), use_threads=False), wanted, masks, persons) for g in groups]
    except FileNotFoundError as error:
        raise ConflictError(f"the events of {file.day} were put together anew at this moment; ask again", retry_after_s=1) from error
    except OSError as error:
        raise DependencyError(f"the file of events {file.path} cannot be read: {error}") from error
    return joined(found)


def value_column(name: str) -> str:
    """The column that holds a field."""
    return "properties" if name.startswith("properties.") else name


def _groups(metadata: Any, persons: tuple[int, int]) -> Iterator[int]:
    """Row groups that may hold persons of the range, by their statistics."""
    place = metadata.schema.to_arrow_schema().get_field_index("person")
    for group in range(metadata.num_row_groups):
        told = metadata.row_group(group).column(place).statistics if persons != EVERYBODY else None
        if told is None or not told.has_min_max or (told.min < persons[1] and told.max >= persons[0]):
            yield group


def _rows(table: Any, wanted: Wanted, masks: Masks, persons: tuple[int, int]) -> Piece:
    person: Uints = table.column("person").to_numpy()
    at: Ints = table.column("at").cast("int64").to_numpy() if "at" in table.column_names else np.empty(0, np.int64)
    bits = masks.bits(table)
    if len(at):
        outside = (at < wanted.since_us) | (at >= wanted.until_us)
        if outside.any():
            bits = np.where(outside, np.uint32(0), bits)
    if persons != EVERYBODY:
        begin, end = bounds_of(person, persons)
        bits[:begin] = 0
        bits[end:] = 0
    if wanted.people is not None:
        bits[~among_sorted(person, wanted.people)] = 0
    if wanted.without is not None and len(wanted.without):
        bits[among_sorted(person, wanted.without)] = 0
    kept = np.flatnonzero(bits)
    every = len(kept) == len(bits)
    value = value_codes(table, wanted.value, wanted.values.numbers, kept) if wanted.value else np.empty(0, np.int32)
    code = value_codes(table, wanted.code, wanted.codes.numbers, kept) if wanted.code else np.empty(0, np.int32)
    told = at if every or not len(at) else at[kept]
    return Piece(
        person if every else person[kept], told if len(at) else np.zeros(len(kept), np.int64), bits if every else bits[kept], value, code
    )


def bounds_of(person: Uints, persons: tuple[int, int]) -> tuple[int, int]:
    """Where a range of persons begins and ends in sorted ones."""
    low, high = persons
    begin = int(np.searchsorted(person, np.uint64(low), side="left"))
    end = len(person) if high >= 1 << 64 else int(np.searchsorted(person, np.uint64(high), side="left"))
    return begin, end


def joined(pieces: Sequence[Piece]) -> Piece:
    """One after the other."""
    if len(pieces) == 1:
        return pieces[0]
    if not pieces:
        none = np.empty(0, np.int32)
        return Piece(np.empty(0, np.uint64), np.empty(0, np.int64), np.empty(0, np.uint32), none, none)
    return Piece(
        np.concatenate([p.person for p in pieces]), np.concatenate([p.at for p in pieces]), np.concatenate([p.bits for p in pieces]),
        np.concatenate([p.value for p in pieces]), np.concatenate([p.code for p in pieces]),
    )  # fmt: skip


def person_ranges(parts: int) -> list[tuple[int, int]]:
    """The space of persons in equal ranges; ``parts`` is a power of two."""
    width = (1 << 64) // parts
    return [(n * width, (n + 1) * width) for n in range(parts)]


def passes_for(files: Sequence[EventFile], wanted: Wanted, *, budget_bytes: int = PIECES_BYTES) -> int:
    """In how many ranges of persons to go over the files so that what is kept of them fits into memory: by a look at one file.

    Raises: DependencyError, ConflictError.
    """
    rows = sum(file.rows for file in files)
    if rows * ROW_BYTES <= budget_bytes:
        return 1
    looked = max(files, key=lambda file: file.rows)
    kept = len(read_piece(looked, wanted, Masks(wanted.matches), EVERYBODY).person)
    share = min(1.0, kept * 1.1 / max(1, looked.rows))
    parts = 1
    while parts < 1024 and rows * share * ROW_BYTES / parts > budget_bytes:
        parts *= 2
    return parts
