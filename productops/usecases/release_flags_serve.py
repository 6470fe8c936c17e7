"""What a process that answers evaluations keeps in memory: the flags ready to be asked, and what was asked."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime

import structlog

from productops.domain.catalog_flags import Ramp
from productops.domain.release import Environment
from productops.domain.release_flags.evaluate import Answer, Failure, FlagSet
from productops.domain.release_flags.flag import Flag, FlagCount
from productops.errors import StoreUnavailableError
from productops.store import Unit
from productops.usecases.context import Context
from productops.usecases.release_flags_change import apply_due_changes
from productops.usecases.release_flags_leases import FlagLeases, with_ramp

log = structlog.get_logger(__name__)
# What is counted of answers that are none; no variant can have this name.
ERRORS = "!error"
COUNTS_MAX = 200_000
# Makes another version than any that is stored, so that whoever keeps answers asks for them again.
LAPSED = 2**40
# Small batches with a pause between them: one large one would hold up the evaluations of the same program for milliseconds.
BATCH = 20
KEYS_MAX = 500
BATCH_PAUSE_S = 0.01


class FlagServer:
    """The flags of every environment, read anew when a version row says so. Safe for many threads."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._flags: dict[str, Flag] = {}
        self._sets: Mapping[Environment, FlagSet] = {}
        self._changed_at: Mapping[Environment, datetime] = {}
        self._checked = float("-inf")
        self._leases = FlagLeases()
        self._reduced: dict[Environment, tuple[int, Mapping[str, Ramp | None], FlagSet]] = {}

    @property
    def age_s(self) -> float:
        """Seconds since the versions were last asked for; infinite before the first time."""
        return time.monotonic() - self._checked

    def flag_set(self, environment: Environment) -> FlagSet | None:
        """The flags there, as of the last refresh, without what a release holds whose lease is over; None before the first."""
        found = self._sets.get(environment)
        lapsed = self._leases.lapsed(environment) if found is not None else {}
        if found is None or not lapsed:
            return found
        known = self._reduced.get(environment)
        if known is None or known[:2] != (found.version, lapsed):
            flags = [with_ramp(f, environment, lapsed[f.key]) if f.key in lapsed else f for f in self._flags.values()]
            known = (found.version, lapsed, FlagSet(environment, flags, version=found.version + LAPSED, before=found))
            self._reduced[environment] = known
            log.warning("flags of a release whose lease is over are as before it", environment=environment.value, flags=sorted(lapsed))
        return known[2]

    def changed_at(self, environment: Environment) -> datetime:
        """When somebody last changed a flag there."""
        return self._changed_at.get(environment, datetime.fromtimestamp(0, UTC))

    def refresh(self) -> None:
        """Ask for the versions; apply what is due; read the flags of environments whose version differs. Raises: StoreUnavailableError."""
        with self._lock:
            started = time.monotonic()
            self._leases.ask()
            due_at = self._read(started)
            if due_at is not None and due_at <= self._context.clock.now():
                apply_due_changes(self._context)
                self._read(started)
            self._checked = started

    def refresh_or_keep(self) -> bool:
        """``refresh``; false while the database does not answer: what was read last goes on then.

        Raises: StoreUnavailableError before the first time.
        """
        try:
            self.refresh()
            return True
        except StoreUnavailableError as error:
            if not self._sets:
                raise
            log.warning("flags are answered as they were read last", age_s=round(self.age_s, 1), reason=str(error))
            return False

    def _read(self, started: float) -> datetime | None:
        """Read what has changed; returns when the next scheduled change is due."""
        with self._context.store.read() as unit:
            versions = unit.flags.versions()
            news = [e for e in Environment if e not in self._sets or self._sets[e].version != versions.of(e)]
            if news:
                self._read_flags(unit)
                self._leases.find(unit)
            self._leases.look(unit, started)
        if news:
            flags = self._flags.values()
            fresh = {e: FlagSet(e, flags, version=versions.of(e), before=self._sets.get(e)) for e in news}
            self._sets = dict(self._sets) | fresh
        self._changed_at = versions.changed_at
        return versions.next_due_at

    def _read_flags(self, unit: Unit) -> None:
        """Read what is not known at its newest revision: with many flags, a change costs as much as with few."""
        revisions = unit.flags.revisions()
        known = {key: flag for key, flag in self._flags.items() if revisions.get(key) == flag.revision}
        missing = revisions.keys() - known.keys()
        # A list of many keys is more than some databases take, and then most flags are wanted anyway.
        found = unit.flags.all(keys=missing if len(missing) < KEYS_MAX else None)
        self._flags = known | {flag.key: flag for flag in found}


class FlagCounter:
    """Evaluations counted in memory, by flag, environment, variant and minute, until they are written in one batch."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, Environment, str, int], list[int]] = {}

    def add(self, answer: Answer | Failure, environment: Environment, *, bulk: bool) -> None:
        """Count one evaluation; what is asked of flags that do not exist is not counted."""
        if isinstance(answer, Failure) and answer.code == "FLAG_NOT_FOUND":
            return
        variant = answer.variant if isinstance(answer, Answer) else ERRORS
        place = (answer.key, environment, variant, int(time.time() // 60))
        with self._lock:
            self._counts.setdefault(place, [0, 0])[bulk] += 1

    def flush(self, context: Context) -> int:
        """Write what was counted and return how many rows that were. Raises: StoreUnavailableError; nothing is lost then."""
        with self._lock:
            counts, self._counts = self._counts, {}
        places = sorted(counts)
        written = 0
        try:
            while written < len(places):
                batch = places[written : written + BATCH]
                with context.store.write() as unit:
                    unit.flag_counts.add([_count(place, counts[place]) for place in batch])
                written += len(batch)
                if written < len(places):
                    time.sleep(BATCH_PAUSE_S)
        except BaseException:
            self._take_back({place: counts[place] for place in places[written:]})
            raise
        return written

    def _take_back(self, counts: dict[tuple[str, Environment, str, int], list[int]]) -> None:
        """Keep what could not be written, within bounds: counts are worth less than the memory of the program."""
        with self._lock:
            for place, (single, bulk) in counts.items():
                if place in self._counts or len(self._counts) < COUNTS_MAX:
                    kept = self._counts.setdefault(place, [0, 0])
                    kept[0], kept[1] = kept[0] + single, kept[1] + bulk


def _count(place: tuple[str, Environment, str, int], numbers: list[int]) -> FlagCount:
    key, environment, variant, minute = place
    return FlagCount(key, environment, variant, datetime.fromtimestamp(minute * 60, UTC), *numbers)
