"""Series of metrics: points taken in by one core, a day of one series read back, bytes on disk; plain SQL rows beside, in the same run."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figures import Figure, percentile, show, write
from productops.domain.monitoring_series import Retention, SeriesKey
from productops.domain.monitoring_series_batch import Batch
from productops.store import Store
from productops.store.migrate import upgrade
from productops.usecases.context import OURSELVES, Clock, Context
from productops.usecases.monitoring_series import Point, put_points, read_series, series_key
from productops.usecases.monitoring_series_known import KnownSeries
from productops.usecases.monitoring_series_tidy import tidy_series

SERIES, DAY_S = 5_000, 86_400
WATCHED = 64
SECONDS, SECONDS_QUICK = 310, 130
READS = 40
FIRST = 1_790_000_000 // 3600 * 3600
READ_BAR_MS = 200.0


class Moved(Clock):
    """A clock that stands where it is put."""

    at = float(FIRST)

    def now(self) -> datetime:
        """Where it was put."""
        return datetime.fromtimestamp(self.at, UTC)


class Quiet:
    """A doorbell nobody hears."""

    def ring(self) -> None:
        """Nothing."""


def run(*, quick: bool, url: str = "") -> list[Figure]:
    """``url``: of an empty database; empty: SQLite in a temporary folder."""
    folder = Path(tempfile.mkdtemp(prefix="series-"))
    where = url or f"sqlite:///{folder / 'productops.db'}"
    try:
        upgrade(where)
        clock = Moved()
        context = Context(store=Store(where), doorbell=Quiet(), lease_ttl_s=15.0, clock=clock, series=KnownSeries(SERIES * 2))
        figures, raw = _figures(context, clock, folder, seconds=SECONDS_QUICK if quick else SECONDS, sqlite=not url)
        context.store.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    write("monitoring-series", "sqlite" if not url else "server", figures, raw)
    show("monitoring-series", figures, note=f"{SERIES:,} series at 1 Hz, {WATCHED} of them for a day; processor time of one core")
    return figures


def keys() -> list[SeriesKey]:
    """As hosts, instances and services have them."""
    return [series_key("", f"host/h{n // 20}", "infrastructure", f"m{n % 20}", {"environment": "production"}) for n in range(SERIES)]


def courses(length: int, seed: int = 1) -> np.ndarray:
    """(WATCHED, length): a quarter each of shares by one decimal, of counts, of sizes in bytes, and of ratios with noise in every bit."""
    random = np.random.default_rng(seed)
    quarter = WATCHED // 4
    shares = np.round(np.clip(40 + np.cumsum(random.normal(0, 0.4, (quarter, length)), axis=1), 0, 100), 1)
    counts = random.poisson(120, (quarter, length)).astype(float)
    sizes = 2e9 + np.cumsum(random.integers(-10, 11, (quarter, length)), axis=1) * 4096.0
    ratios = random.poisson(3, (quarter, length)) / np.maximum(1, random.poisson(120, (quarter, length)))
    return np.concatenate((shares, counts, sizes, ratios))


def _figures(context: Context, clock: Moved, folder: Path, *, seconds: int, sqlite: bool) -> tuple[list[Figure], Any]:
    everything = keys()
    values = courses(DAY_S + seconds)
    _learn(context, clock, everything)
    stored_s = _store_day(context, clock, everything[:WATCHED], values[:, :DAY_S])
    size, points = _size_of_blocks(context)
    live_s, slowest_ms = _live(context, clock, everything, values[:, DAY_S:], seconds)
    reads, cpu = _reads(context, clock, everything[:WATCHED])
    by_minutes, _ = _reads(context, clock, everything[:WATCHED], step_s=60)
    figures = [
        Figure(f"processor, {SERIES:,} series at 1 Hz", 100 * live_s / seconds, "%", 100, detail="of one core, with sorting in"),
        Figure("points a second of one core", SERIES * seconds / live_s, "", SERIES, at_least=True),
        Figure("slowest second taken in", slowest_ms, "ms", 1000, detail="wall clock"),
        Figure("24 h of one series, median", percentile(reads, 0.5), "ms", READ_BAR_MS, detail=f"{DAY_S:,} points, {READS} reads"),
        Figure("24 h of one series, slowest", max(reads), "ms", READ_BAR_MS),
        Figure("24 h of one series, processor time", percentile(cpu, 0.5), "ms", detail="median; the clock also counts what else runs"),
        Figure("24 h by minutes, median", percentile(by_minutes, 0.5), "ms", READ_BAR_MS),
        Figure(
            "bytes a point", size / points, "", 4, reference="Prometheus: 1 to 2", detail="a quarter each: shares, counts, sizes, noise"
        ),
    ]
    plain = _plain_rows(folder, values[:, :DAY_S])
    figures += [
        Figure("plain rows: bytes a point", plain["bytes"], "", detail="the same points, a row each, SQLite"),
        Figure("plain rows: points a second of one core", plain["per_s"], "", detail="one statement for all series of a second"),
        Figure("plain rows: 24 h of one series, median", plain["read_ms"], "ms"),
        Figure("storing a day of hours", stored_s, "s", detail=f"{WATCHED} series, processor time"),
    ]
    return figures, {"reads_ms": reads, "plain": plain, "points": points, "bytes": size, "sqlite": sqlite}


def _learn(context: Context, clock: Moved, everything: list[SeriesKey]) -> None:
    put_points(context, [Point(key, clock.at, 1.0) for key in everything], actor=OURSELVES)


def _store_day(context: Context, clock: Moved, own: list[SeriesKey], values: np.ndarray) -> float:
    """A day of the watched series, sent by the ten minutes and sorted in; returns processor seconds."""
    began = time.process_time()
    numbers = np.array([known.number for known in context.series.get(own) if known is not None])
    for begin in range(0, DAY_S, 600):
        part = values[:, begin : begin + 600]
        seconds = np.broadcast_to(FIRST + np.arange(begin, begin + part.shape[1]), part.shape)
        batch = Batch(np.repeat(numbers, part.shape[1]), seconds.reshape(-1).astype(np.int64), part.reshape(-1))
        with context.store.write() as unit:
            unit.series_points.append(batch)
        clock.at = FIRST + begin + 610.0
        tidy_series(context, Retention(), now=clock.now())
    clock.at = FIRST + DAY_S + 130.0
    for _ in range(40):
        tidy_series(context, Retention(), now=clock.now())
    clock.at = float(FIRST + DAY_S)
    return time.process_time() - began


def _size_of_blocks(context: Context) -> tuple[int, int]:
    with context.store.read() as unit:
        blocks = unit.series_points.blocks(list(range(SERIES * 2)), since_s=FIRST, until_s=FIRST + DAY_S, points=True)
    return sum(len(block.payload or b"") for block in blocks), sum(block.count for block in blocks)


def _live(context: Context, clock: Moved, everything: list[SeriesKey], values: np.ndarray, seconds: int) -> tuple[float, float]:
    """Every series each second, sorted in each minute; returns (processor seconds, slowest second in milliseconds)."""
    random = np.random.default_rng(2)
    level, slowest, cpu = np.round(random.uniform(0, 100, SERIES), 1), 0.0, 0.0
    for second in range(seconds):
        clock.at += 1.0
        level = np.round(np.clip(level + random.normal(0, 0.5, SERIES), 0, 100), 1)
        level[:WATCHED] = values[:, second]
        points = [Point(key, clock.at, value) for key, value in zip(everything, level.tolist(), strict=True)]
        began, began_cpu = time.monotonic(), time.process_time()
        put_points(context, points, actor=OURSELVES)
        slowest = max(slowest, 1000 * (time.monotonic() - began))
        if second % 60 == 9:
            tidy_series(context, Retention(), now=clock.now())
        cpu += time.process_time() - began_cpu
    return cpu, slowest


def _reads(context: Context, clock: Moved, own: list[SeriesKey], *, step_s: int | None = None) -> tuple[list[float], list[float]]:
    """Milliseconds of each read by the clock and of the processor, with the newest minutes not sorted in."""
    until = clock.now() + timedelta(seconds=1)
    found, cpu = [], []
    for number in range(READS):
        key = own[number % len(own)]
        began, began_cpu = time.perf_counter(), time.process_time()
        (data,) = read_series(
            context, venture="", component=key.component, name=key.name, since=until - timedelta(days=1), until=until, step_s=step_s,
            actor=OURSELVES,
        )  # fmt: skip
        found.append(1000 * (time.perf_counter() - began))
        cpu.append(1000 * (time.process_time() - began_cpu))
        if step_s is None and len(data.at) < DAY_S - 2:
            raise RuntimeError(f"{len(data.at)} of {DAY_S} points were read back")
    return found, cpu


def _plain_rows(folder: Path, values: np.ndarray) -> dict[str, float]:
    """The same points as rows (series, second, value) with a primary key, in SQLite with the settings of the store."""
    with _plain(folder / "plain.db") as connection:
        began = time.process_time()
        for second in range(DAY_S):
            column = values[:, second].tolist()
            connection.executemany("INSERT INTO points VALUES (?, ?, ?)", [(n, FIRST + second, value) for n, value in enumerate(column)])
            if second % 10 == 9:
                connection.commit()
        connection.commit()
        cpu = time.process_time() - began
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        reads = []
        for number in range(10):
            began = time.perf_counter()
            found = connection.execute("SELECT at, value FROM points WHERE series = ? ORDER BY at", (number,)).fetchall()
            np.array(found)
            reads.append(1000 * (time.perf_counter() - began))
    size = (folder / "plain.db").stat().st_size
    return {"bytes": size / values.size, "per_s": values.size / cpu, "read_ms": percentile(reads, 0.5) or 0.0}


@contextmanager
def _plain(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("CREATE TABLE points (series INTEGER, at INTEGER, value REAL, PRIMARY KEY (series, at)) WITHOUT ROWID")
        yield connection
    finally:
        connection.close()


if __name__ == "__main__":
    run(quick=False)
