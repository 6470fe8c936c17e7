"""Usage events: what one is, who did it, which day it belongs to, and which files hold them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

EXPOSURE: Final = "$exposure"
IDENTIFY: Final = "$identify"
PAGEVIEW: Final = "$pageview"
SCREEN: Final = "$screen"
GROUP: Final = "$group"

# One event, as it is kept until it is sorted into a day's file; the order is that of the rows of segments. Times are microseconds
# since 1970, `event_id` is 32 hexadecimal digits, `properties` is the text of a JSON object.
ROW: Final = (
    "event_id", "person_key", "name", "feature", "service", "version", "environment", "platform", "country", "session", "at",
    "received_at", "duration_ms", "failed", "value", "properties",
)  # fmt: skip
Row = list[Any]
ID, PERSON_KEY, NAME, AT, RECEIVED_AT, PROPERTIES = (
    ROW.index(name) for name in ("event_id", "person_key", "name", "at", "received_at", "properties")
)
# The same, as a file has it: with the number of the person.
COLUMNS: Final = (ROW[0], "person", *ROW[1:])
DAY_US: Final = 86_400_000_000
# A client that sends again around midnight may be corrected into the other day.
MIDNIGHT_US: Final = 600_000_000
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class ErasureState(StrEnum):
    """How far the removal of a person's events is."""

    WAITING = "waiting"
    WORKING = "working"
    DONE = "done"


class ImportState(StrEnum):
    """Whether an import may still go on."""

    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"


def person_number(venture: str, person_key: str) -> int:
    """The number a person has in the files of a venture: 64 bits of BLAKE2b of the key, another for each venture."""
    return _number(person_key, _venture_salt(venture))


def person_numbers(venture: str, person_keys: Iterable[str]) -> dict[str, int]:
    """The numbers of many people."""
    salt = _venture_salt(venture)
    return {key: _number(key, salt) for key in person_keys}


@lru_cache(maxsize=131_072)
def _number(person_key: str, salt: bytes) -> int:
    """Remembered: people come back."""
    return int.from_bytes(_digest(person_key, person=salt, size=8), "big")


def _venture_salt(venture: str) -> bytes:
    return hashlib.blake2b(venture.encode(), digest_size=16).digest()


def _digest(text: str, *, size: int, person: bytes = b"") -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size, person=person).digest()


def event_id(text: str) -> str:
    """32 hexadecimal digits: a UUID's own, or 128 bits of BLAKE2b of any other text."""
    if len(text) == 36 and text[8] == text[13] == text[18] == text[23] == "-":
        plain = text.replace("-", "").lower()
        if len(plain) == 32 and not plain.strip("0123456789abcdef"):
            return plain
    return _digest(text, size=16).hex()


def microseconds(at: datetime) -> int:
    """Since 1970. ``at`` is aware."""
    return (at - EPOCH) // timedelta(microseconds=1)


def moment(at_us: int) -> datetime:
    """The time of so many microseconds since 1970."""
    return EPOCH + timedelta(microseconds=at_us)


def day_of(at_us: int) -> date:
    """The UTC day of a time in microseconds since 1970."""
    return date.fromordinal(EPOCH.toordinal() + at_us // DAY_US)


def day_start_us(day: date) -> int:
    """Microseconds from 1970 to the beginning of a UTC day."""
    return (day.toordinal() - EPOCH.toordinal()) * DAY_US


@dataclass(frozen=True, slots=True)
class EventFile:
    """A file of events of one venture and UTC day. ``first_at`` and ``last_at`` are of when they happened, ``made_at`` of the file."""

    path: str
    day: date
    rows: int
    first_at: datetime
    last_at: datetime
    id: str = ""
    venture: str = ""
    size_bytes: int = 0
    first_received_at: datetime = EPOCH
    last_received_at: datetime = EPOCH
    made_at: datetime = EPOCH


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to change the files of events, until it lapses."""

    owner: str
    generation: int


@dataclass(frozen=True, slots=True)
class SeenProperty:
    """A property of events of one name. ``types``: by type, how many events had such a value."""

    name: str
    types: Mapping[str, int]
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class SeenName:
    """A name of events that was seen. ``by_day`` is filled where days were asked for."""

    venture: str
    name: str
    events: int
    first_at: datetime
    last_at: datetime
    by_day: Mapping[date, int] = field(default_factory=dict)
    properties: tuple[SeenProperty, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusals:
    """Events of one day and name that were refused or dropped for one reason."""

    venture: str
    day: date
    name: str
    reason: str
    events: int


@dataclass(frozen=True, slots=True)
class Erasure:
    """A person whose events are removed. ``persons`` are the numbers the person may have."""

    id: str
    venture: str
    persons: frozenset[int]
    forever: bool
    state: ErasureState
    cursor: str
    files: int
    events: int
    reason: str
    by: str
    asked_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class EventImport:
    """Events fetched from elsewhere. ``cursor`` is where the source goes on."""

    id: str
    venture: str
    source: str
    state: ImportState
    cursor: Mapping[str, Any]
    accepted: int
    duplicates: int
    refused: int
    error: str
    by: str
    started_at: datetime
    moved_at: datetime
    ended_at: datetime | None
