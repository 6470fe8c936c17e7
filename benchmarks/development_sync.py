"""Reading years of issues: time, memory, and what ten kills lose or double."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks.figures import Figure, console, show, write
from benchmarks.release.stack import BenchError
from productops.domain.catalog_development import DevelopmentSourceSpec
from productops.domain.development import Change, WorkItem
from productops.store import Store
from productops.store.migrate import upgrade
from productops.usecases.context import Clock

ISSUES, CHANGES = 80_000, 20_000
QUICK = 20
KILLS = 10
TIME_BAR_S = 600.0
MEMORY_BAR_MB = 500.0
NAME = "bench"


@contextmanager
def forge(issues: int, changes: int) -> Iterator[str]:
    """The server in a process of its own, so that its time and memory are not the reader's."""
    command = [sys.executable, "-m", "tests.integration.development_lab", str(issues), str(changes)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        try:
            yield child.stdout.readline().strip()
        finally:
            child.kill()


def run(*, quick: bool) -> list[Figure]:
    """All figures. Raises: BenchError when the reader ends with an error."""
    issues, changes = (ISSUES // QUICK, CHANGES // QUICK) if quick else (ISSUES, CHANGES)
    with tempfile.TemporaryDirectory() as folder, forge(issues, changes) as url:
        whole = backfill(Path(folder) / "whole", url, kills=0, after_s=0.0)
        killed = backfill(Path(folder) / "killed", url, kills=KILLS, after_s=max(1.0, 0.8 * whole.took_s / (KILLS + 1)))
    said = f"{issues:,} issues, {changes:,} changes with files and reviews"
    figures = [
        Figure(f"backfill of {issues + changes:,} things", whole.took_s, "s", TIME_BAR_S, False, "", said),
        Figure("memory at its peak", whole.memory_mb, "MB", MEMORY_BAR_MB),
        Figure(f"lost in {killed.kills} kills", float(issues + changes - killed.distinct), "things", 0.0, False, "", "SIGKILL"),
        Figure(f"doubled in {killed.kills} kills", float(killed.rows - killed.distinct), "things", 0.0),
        Figure("lost without kills", float(issues + changes - whole.distinct), "things", 0.0),
    ]
    raw = [{"issues": issues, "changes": changes, "whole": vars(whole), "killed": vars(killed)}]
    write("development-sync", "development-sync", figures, raw)
    show("development-sync", figures)
    return figures


class Reading:
    """What a backfill took and left."""

    def __init__(self, *, took_s: float, memory_mb: float, kills: int, rows: int, distinct: int) -> None:
        self.took_s, self.memory_mb, self.kills, self.rows, self.distinct = took_s, memory_mb, kills, rows, distinct


def backfill(home: Path, url: str, *, kills: int, after_s: float) -> Reading:
    """Read all of it in processes that are killed so many times, each after so many seconds."""
    database = f"sqlite:///{home}/store.db"
    home.mkdir(parents=True)
    upgrade(database)
    store = Store(database)
    spec = DevelopmentSourceSpec.model_validate({"system": "github", "address": url, "projects": ["acme/shop"]})
    with store.write() as unit:
        now = Clock().now()
        unit.catalog.put_venture("apollo", title="", description="", author="bench", now=now)
        unit.development_sources.put(NAME, venture="apollo", spec=spec, base="", now=now)
    began, memory, done = time.monotonic(), 0.0, 0
    while True:
        code, used = _read_once(home, database, after_s if done < kills else 0.0)
        memory = max(memory, used)
        if code == 0:
            break
        if code != -9:
            raise BenchError(f"the reader ended with {code}")
        done += 1
    took = time.monotonic() - began
    with store.read() as unit:
        state = unit.development_sources.state(NAME)
        if state.last_error or state.succeeded_at is None:
            raise BenchError(f"not all was read: {state.last_error}")
        rows, distinct = 0, 0
        for kind in (WorkItem, Change):
            ids, after = [], None
            while page := unit.development.of(kind, source=NAME, after=after, limit=5000):
                ids += [each.external_id for each in page]
                after = page[-1].id
            rows, distinct = rows + len(ids), distinct + len(set(ids))
    store.close()
    console.print(f"{rows:,} things in {took:.0f} s, {memory:.0f} MB, {done} kills")
    return Reading(took_s=took, memory_mb=memory, kills=done, rows=rows, distinct=distinct)


def _read_once(home: Path, database: str, kill_after_s: float) -> tuple[int, float]:
    """One process; returns its exit code and its memory in MB."""
    given = os.environ | {"PRODUCTOPS_HOME": str(home), "PRODUCTOPS_DATABASE_URL": database, "PRODUCTOPS_LOG_LEVEL": "ERROR"}
    with subprocess.Popen([sys.executable, "-m", "productops.api.development_sync_worker", NAME], env=given) as child:
        watched, memory = psutil.Process(child.pid), 0.0
        killer = threading.Timer(kill_after_s, child.kill) if kill_after_s else None
        if killer is not None:
            killer.start()
        while child.poll() is None:
            try:
                memory = max(memory, watched.memory_info().rss / 1e6)
            except psutil.NoSuchProcess:
                break
            time.sleep(0.1)
        if killer is not None:
            killer.cancel()
        return child.wait(), memory
