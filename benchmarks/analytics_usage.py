"""Funnel and retention over many events, beside Polars, DuckDB and pandas on the same files; then the daily figures."""

from __future__ import annotations

import importlib.util
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks import analytics_usage_events as made
from benchmarks.analytics_usage_engines import VENTURE, context_of, register
from benchmarks.figures import Figure, console, show, write
from benchmarks.release.stack import BenchError

EVENTS = 10_000_000
EVENTS_QUICK = 500_000
BARS = {"funnel": 1.5, "retention": 1.0}
PEAK_BAR_MB = 600
LARGE = 30_000_000
PEAK_LARGE_MB = 1500
PAGE_BAR_MS = 300
REFERENCES = ("polars", "duckdb", "pandas")
TIMEOUT_S = 900


def run(*, quick: bool, events: int | None = None, folder: Path | None = None) -> list[Figure]:
    """``folder``: of events that were made before; empty: they are made, and removed. Raises: BenchError."""
    count = events or (EVENTS_QUICK if quick else EVENTS)
    where = folder or Path(tempfile.mkdtemp(prefix="usage-"))
    try:
        if not (where / VENTURE).exists():
            began = time.monotonic()
            made.make(where, events=count, people=max(1000, count // 20))
            console.print(f"{count:,} events made in {time.monotonic() - began:.0f} s")
        figures, raw = _questions(where, count, quick=quick)
        figures += _figures_of_days(where)
    finally:
        if folder is None:
            shutil.rmtree(where, ignore_errors=True)
    write("analytics-usage", f"{count}", figures, raw)
    show(
        "analytics-usage",
        figures,
        note=f"{count:,} events of {max(1000, count // 20):,} people in 90 days; medians, files in the page cache",
    )
    return figures


def _questions(where: Path, count: int, *, quick: bool) -> tuple[list[Figure], list[Any]]:
    figures, raw = [], []
    full = count == EVENTS
    for question in ("funnel", "retention"):
        others = {}
        for engine in REFERENCES:
            if importlib.util.find_spec(engine) is not None and not (quick and engine == "pandas"):
                others[engine] = _ask(engine, question, where, 1 if quick else 3)
        own = _ask("ours", question, where, 2 if quick else 5)
        said = ", ".join(f"{name} {statistics.median(found['seconds']):.2f} s, {found['peak_mb']:.0f} MB" for name, found in others.items())
        how = f"processor {statistics.median(own['cpu']):.2f} s; answer {own['answer'][:4]}"
        figures.append(Figure(f"{question}", statistics.median(own["seconds"]), "s", BARS[question] if full else None, False, said, how))
        bar = PEAK_BAR_MB if full else PEAK_LARGE_MB if count >= LARGE else None
        figures.append(Figure(f"{question}, memory at most", own["peak_mb"], "MB", bar))
        raw.append({"question": question, "ours": own, **others})
    return figures, raw


def _ask(engine: str, question: str, where: Path, runs: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.analytics_usage_engines", engine, question, str(where), str(runs)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise BenchError(f"{engine} {question}: {getattr(error, 'stderr', '') or error}") from error
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _figures_of_days(where: Path) -> list[Figure]:
    """Count all days, count one again, and ask for a page."""
    from productops.store.migrate import upgrade
    from productops.usecases.analytics_usage_feature import feature_use
    from productops.usecases.analytics_usage_refresh import refresh_daily
    from productops.usecases.context import OURSELVES

    url = f"sqlite:///{tempfile.mkdtemp()}/usage.db"
    upgrade(url)
    context = replace(context_of(url), analytics_folder=where)
    register(context, str(where))
    shutil.rmtree(where / "_usage", ignore_errors=True)
    began = time.perf_counter()
    done = refresh_daily(context, VENTURE)
    whole = time.perf_counter() - began
    last = done.days[-1]
    with context.store.write() as unit:
        unit.analytics_usage.forget_counted(VENTURE, [last])
    began = time.perf_counter()
    refresh_daily(context, VENTURE, [last])
    again = time.perf_counter() - began
    times = []
    for _ in range(10):
        began = time.perf_counter()
        page = feature_use(context, "checkout", since=made.BEGIN, until=made.BEGIN + timedelta(days=90), actor=OURSELVES)
        times.append((time.perf_counter() - began) * 1000)
    how = f"{len(page.days)} days, {len(page.versions)} versions"
    return [
        Figure("all 90 days counted", whole, "s"),
        Figure("the newest day counted again", again, "s", 30.0, detail="so long after its events are in a file, with 10 s between looks"),
        Figure("a page about a feature", statistics.median(times), "ms", PAGE_BAR_MS, detail=how),
    ]
