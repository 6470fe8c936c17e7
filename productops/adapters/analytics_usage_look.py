"""Paths, segments, performance, and who people are, over files of events."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from productops.adapters.analytics_usage_buckets import by_bucket
from productops.adapters.analytics_usage_return import EVERYONE, People
from productops.adapters.analytics_usage_scan import Piece, Wanted, parquet, scan
from productops.domain.analytics_events import EventFile
from productops.domain.analytics_usage_answers import NO_VALUE, Performance
from productops.domain.analytics_usage_query import CohortCondition, EventMatch, PathsQuery
from productops.stats.analytics_usage_order import among_sorted, distinct_sorted
from productops.stats.analytics_usage_paths import edges_of, walk_paths, whole_paths
from productops.stats.analytics_usage_return import count_matches

Uints = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]
DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class PathsPart:
    """Sessions; how many of them make each move (step, before, after) and take each whole path."""

    sessions: int
    moves: dict[tuple[int, str, str], int]
    paths: dict[tuple[str, ...], int]


def paths_part(files: Sequence[EventFile], query: PathsQuery, *, since_us: int, until_us: int, people: People = EVERYONE) -> PathsPart:
    """Raises: as ``scan``."""
    anchor = query.start or query.end
    matches = (EventMatch(),) if anchor is None else (EventMatch(), anchor)
    wanted = Wanted(matches, since_us, until_us, people=people.only, without=people.without, code=query.by)
    pieces = [(p.person, p.at, p.code, p.bits) for p in scan(files, wanted, persons=people.persons)]

    def walk(person: Uints, at: Ints, code: Any, bits: Any) -> Any:
        here = (bits & (2 if anchor else 1)) > 0
        way = -1 if query.end is not None else 1
        flat = walk_paths(person, at, code, here, query.steps, query.session_gap_s * 1_000_000, way, int(query.collapse))
        return whole_paths(flat.reshape(-1, query.steps))

    counted: dict[tuple[int, ...], int] = defaultdict(int)
    for paths, counts in by_bucket(pieces, walk, order=1, persons=people.persons):
        for path, count in zip(map(tuple, paths.tolist()), counts.tolist(), strict=True):
            counted[path] += count
    return _told(counted, wanted.codes.texts, query.steps)


def _told(counted: dict[tuple[int, ...], int], texts: list[str], steps: int) -> PathsPart:
    names = [*texts, NO_VALUE]
    rows = np.array(list(counted), dtype=np.int32).reshape(-1, steps)
    weights = np.array(list(counted.values()), dtype=np.int64)
    moves: dict[tuple[int, str, str], int] = defaultdict(int)
    found, _ = edges_of(rows)
    for step, before, after in found.tolist():
        here = (rows[:, step] == before) & (rows[:, step + 1] == after)
        moves[step, names[before], names[after]] += int(weights[here].sum())
    paths = {tuple(names[code] for code in path if code >= 0): count for path, count in counted.items()}
    return PathsPart(int(weights.sum()), dict(moves), paths)


def segments_of(
    files: Sequence[EventFile], match: EventMatch, by: str, *, since_us: int, until_us: int, people: People = EVERYONE
) -> tuple[dict[str, tuple[int, int]], int]:  # fmt: skip
    """Events and people by value, and people in all. Raises: as ``scan``."""
    wanted = Wanted((match,), since_us, until_us, people=people.only, without=people.without, value=by)
    pieces = [(p.person, p.value) for p in scan(files, wanted, persons=people.persons)]

    def count(person: Uints, value: npt.NDArray[np.int32]) -> tuple[Ints, Ints, int]:
        size = len(wanted.values.texts) + 1
        fresh = np.ones(len(person), bool)
        fresh[1:] = (person[1:] != person[:-1]) | (value[1:] != value[:-1])
        return np.bincount(value + 1, minlength=size), np.bincount(value[fresh] + 1, minlength=size), len(distinct_sorted(person))

    found = by_bucket(pieces, count, order=1, persons=people.persons)
    if not found:
        return {}, 0
    events: Ints = np.sum([part[0] for part in found], axis=0)
    users: Ints = np.sum([part[1] for part in found], axis=0)
    names = [NO_VALUE, *wanted.values.texts]
    return {names[n]: (int(events[n]), int(users[n])) for n in np.flatnonzero(events)}, sum(part[2] for part in found)


def people_of(
    files: Sequence[EventFile], conditions: Sequence[CohortCondition], *, at_us: int, every: bool, people: People = EVERYONE
) -> Uints:  # fmt: skip
    """Numbers of the people who fit ``every`` condition, or any, in the days before ``at_us``; sorted. Raises: as ``scan``."""
    since = [at_us - condition.days * DAY_US for condition in conditions]
    wanted = Wanted(tuple(c.event for c in conditions), min(since), at_us, people=people.only, without=people.without)

    def reduce(piece: Piece, _: EventFile) -> Any:
        bits = piece.bits.copy()
        for n, begin in enumerate(since):
            if begin > wanted.since_us:
                bits[piece.at < begin] &= np.uint32(0xFFFFFFFF ^ (1 << n))
        return piece.person, bits

    def fit(person: Uints, bits: npt.NDArray[np.uint32]) -> Uints:
        who, counts = count_matches(person, bits, len(conditions))
        held = [
            (counts[:, n] >= c.times_min) & (counts[:, n] <= (c.times_max if c.times_max is not None else 1 << 30))
            for n, c in enumerate(conditions)
        ]  # fmt: skip
        return who[np.logical_and.reduce(held) if every else np.logical_or.reduce(held)]

    found = by_bucket(scan(files, wanted, persons=people.persons, reduce=reduce), fit, order=None, persons=people.persons)
    return np.concatenate(found) if found else np.empty(0, np.uint64)


def keys_of(files: Sequence[EventFile], persons: Uints, *, most: int) -> dict[int, str]:
    """Keys of people by number, of the newest file that has them; at most ``most``. Raises: DependencyError, FileNotFoundError."""
    left = np.unique(persons[:most])
    found: dict[int, str] = {}
    for file in sorted(files, key=lambda each: each.day, reverse=True):
        if not len(left):
            break
        table = parquet().read_table(file.path, columns=["person", "person_key"], use_threads=False)
        person = table.column("person").to_numpy()
        rows = np.flatnonzero(among_sorted(person, left))
        keys = table.column("person_key").take(rows).to_pylist()
        found |= dict(zip(person[rows].tolist(), keys, strict=True))
        left = left[~np.isin(left, person[rows])]
    return found


def performance_of(files: Sequence[EventFile], features: frozenset[str] | None, *, since_us: int, until_us: int) -> list[Performance]:
    """Each feature and version, exactly. ``features`` None: all. Raises: DependencyError, FileNotFoundError."""
    import pyarrow as pa
    from pyarrow import compute

    kept: dict[tuple[str, str], list[Any]] = defaultdict(list)
    columns = ["feature", "version", "duration_ms", "failed", "at"]
    for file in files:
        table = parquet().read_table(file.path, columns=columns)
        at = table.column("at").cast(pa.int64()).to_numpy()
        table = table.filter(pa.array((at >= since_us) & (at < until_us)))
        feature, version = (table.column(name).cast(pa.string()).combine_chunks() for name in ("feature", "version"))
        pairs = compute.binary_join_element_wise(feature, version, "\x00").dictionary_encode()
        failed = table.column("failed").fill_null(False).to_numpy()  # noqa: FBT003 - Arrow's own way
        duration = table.column("duration_ms").to_numpy()
        codes = pairs.indices.to_numpy()
        for code, text in enumerate(pairs.dictionary.to_pylist()):
            name, _, made = text.partition("\x00")
            if features is None or name in features:
                here = codes == code
                kept[name, made].append((int(here.sum()), int(failed[here].sum()), duration[here & ~np.isnan(duration)]))
    return [_performance(name, made, parts) for (name, made), parts in sorted(kept.items())]


def _performance(feature: str, version: str, parts: Sequence[tuple[int, int, Any]]) -> Performance:
    timed = np.concatenate([part[2] for part in parts])
    p50, p95, p99 = (float(v) for v in np.quantile(timed, (0.5, 0.95, 0.99))) if len(timed) else (None, None, None)
    return Performance(feature, version, sum(p[0] for p in parts), sum(p[1] for p in parts), len(timed), p50, p95, p99)
