"""Who was active when, kept beside the events: the people of each day, and when each was first seen. All of it can be made anew.

Files below ``<analytics folder>/_usage/<venture>``; each is replaced as a whole, so that a reader finds the old or the new one.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import date
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from productops.adapters.analytics_usage_count import DayPeople
from productops.errors import DependencyError
from productops.stats.analytics_usage_order import distinct

Uints = npt.NDArray[np.uint64]
FOLDER = "_usage"
UNREADABLE = (OSError, ValueError, KeyError, EOFError, BadZipFile)


def pair_keys(feature: str, people: Uints) -> Uints:
    """One number for each pair of feature and person: the person for no feature, else mixed with a hash of the feature."""
    if not feature:
        return people
    salt = np.uint64(int.from_bytes(hashlib.blake2b(feature.encode(), digest_size=8).digest(), "big"))
    mixed = people ^ salt
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(31))


class FirstSeen:
    """On which day (ordinal) each pair was first seen. ``days``: which state of which day is in it."""

    def __init__(self, keys: Uints, first: npt.NDArray[np.int32], days: dict[str, str]) -> None:
        self.keys, self.first, self.days = keys, first, days

    @classmethod
    def empty(cls) -> FirstSeen:
        """Of nobody."""
        return cls(np.empty(0, np.uint64), np.empty(0, np.int32), {})

    def of(self, keys: Uints) -> npt.NDArray[np.int32]:
        """The first day of each; 0 for who was never seen."""
        if not len(self.keys):
            return np.zeros(len(keys), np.int32)
        order = np.argsort(keys)  # millions of keys are walked through once, and not jumped about in
        place = np.empty(len(keys), np.int64)
        place[order] = np.minimum(np.searchsorted(self.keys, keys[order]), len(self.keys) - 1)
        return np.where(self.keys[place] == keys, self.first[place], np.int32(0)).astype(np.int32)

    def add(self, day: date, digest: str, people: DayPeople) -> set[int]:
        """Add a day; returns the days (ordinals) on which somebody is no longer new."""
        ordinal = day.toordinal()
        keys = distinct(np.concatenate([pair_keys(name, who) for name, who in people.by_feature.items()] or [np.empty(0, np.uint64)]))
        known = self.of(keys)
        later = known > ordinal
        again = set(known[later].tolist())
        if later.any():
            self.first = self.first.copy()
            self.first[np.searchsorted(self.keys, keys[later])] = ordinal
        fresh = keys[known == 0]
        if len(fresh):
            place = np.searchsorted(self.keys, fresh)
            self.keys = np.insert(self.keys, place, fresh)
            self.first = np.insert(self.first, place, np.int32(ordinal))
        self.days[day.isoformat()] = digest
        return again

    def drop(self, keys: Uints) -> None:
        """Forget pairs for ever."""
        gone = np.isin(self.keys, keys)
        self.keys, self.first = self.keys[~gone], self.first[~gone]


class PeopleFolder:
    """Reads and writes the files of a venture."""

    def __init__(self, folder: Path, venture: str) -> None:
        self.folder = folder / FOLDER / venture

    def day(self, day: date, digest: str) -> DayPeople | None:
        """The people of a day in this state of its files; None where that was not kept, or cannot be read."""
        try:
            with self._path(day, digest).open("rb") as file, np.load(file, allow_pickle=False) as stored:
                names, ends, people = stored["names"].tolist(), stored["ends"].tolist(), stored["people"]
        except UNREADABLE:
            return None
        return DayPeople({name: people[begin:end] for name, begin, end in zip(names, [0, *ends[:-1]], ends, strict=True)})

    def put_day(self, day: date, digest: str, people: DayPeople) -> None:
        """Keep the people of a day, in place of those of an earlier state. Raises: DependencyError."""
        names = list(people.by_feature)
        every = np.concatenate([people.by_feature[name] for name in names] or [np.empty(0, np.uint64)])
        ends = np.cumsum([len(people.by_feature[name]) for name in names] or [0])[: max(1, len(names))]
        path = self._path(day, digest)
        self._write(path, names=np.array(names or [""]), ends=ends, people=every)
        for other in self.folder.glob(f"{day.isoformat()}.*.npz"):
            if other != path:
                with suppress(OSError):
                    other.unlink()

    def forget(self, days: Iterable[date]) -> None:
        """Delete the people of days whose events are gone."""
        for day in days:
            for path in self.folder.glob(f"{day.isoformat()}.*.npz"):
                with suppress(OSError):
                    path.unlink()

    def first_seen(self) -> FirstSeen | None:
        """None where it was not kept, or cannot be read: it has to be made anew."""
        try:
            with (self.folder / "first.npz").open("rb") as file, np.load(file, allow_pickle=False) as stored:
                return FirstSeen(stored["keys"], stored["first"], dict(json.loads(str(stored["days"]))))
        except UNREADABLE:
            return None

    def put_first_seen(self, seen: FirstSeen) -> None:
        """Raises: DependencyError."""
        self._write(self.folder / "first.npz", keys=seen.keys, first=seen.first, days=np.array(json.dumps(seen.days)))

    def _path(self, day: date, digest: str) -> Path:
        return self.folder / f"{day.isoformat()}.{digest}.npz"

    def _write(self, path: Path, **arrays: npt.NDArray[np.generic]) -> None:
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("xb") as file:
                np.savez(file, **dict(arrays))  # type: ignore[arg-type]
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(path)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink()
            raise DependencyError(f"figures of use could not be kept in {path.parent}: {error}") from error


def together(parts: Iterable[Mapping[str, Uints]]) -> dict[str, Uints]:
    """People of several days by feature, each once."""
    found: dict[str, list[Uints]] = {}
    for part in parts:
        for name, people in part.items():
            found.setdefault(name, []).append(people)
    return {name: distinct(np.concatenate(people)) for name, people in found.items()}
