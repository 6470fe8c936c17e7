"""``python -m benchmarks fleet``: each run exactly once, and many releases at the same moment."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.figures import Figure, console, percentile, show, write
from benchmarks.fleet.exactly_once import DISPATCHERS, count_executions
from benchmarks.fleet.queue import Queue
from benchmarks.fleet.releases import FleetStack, Wave, release_all, tell, visitors
from benchmarks.release.stack import BenchError, prepared
from examples.demo.stack import free_port_base

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

STORE = "PRODUCTOPS_BENCH_DATABASE_URL"
PREFECT = "PRODUCTOPS_BENCH_PREFECT_DATABASE_URL"
FIRST_STEP_BAR_S = 5.0
WITHIN_S = 600.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured. The databases are taken as they are: give empty ones, other ones for the runs and for the releases."""

    runs: int
    workers: int
    services: int
    home: Path

    @property
    def databases(self) -> tuple[str, str]:
        """Store and Prefect's; empty for SQLite."""
        return os.environ.get(STORE, ""), os.environ.get(PREFECT, "")


def plan(home: Path, *, quick: bool) -> Plan:
    """500 runs and 50 releases with PostgreSQL, 60 and 10 with SQLite; fewer when ``quick``."""
    runs, services = (500, 50) if os.environ.get(PREFECT) else (60, 10)
    return Plan(runs=runs // 10 if quick else runs, workers=3, services=services // 5 if quick else services, home=home)


def run(wanted: Plan, *, parts: tuple[str, ...] = ("runs", "releases")) -> list[Figure]:
    """Measure, print, write. Raises: BenchError."""
    figures: list[Figure] = []
    try:
        if "runs" in parts:
            figures += _runs(wanted)
        if "releases" in parts:
            figures += _releases(wanted)
    except TimeoutError as error:
        raise BenchError(str(error)) from error
    return figures


def _runs(wanted: Plan) -> list[Figure]:
    folder = wanted.home.with_name(f"{wanted.home.name}-queue")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    store, prefect = wanted.databases
    with Queue(folder, free_port_base(), database_url=store, prefect_database_url=prefect) as queue:
        count = count_executions(queue, runs=wanted.runs, workers=wanted.workers, kill_after=wanted.runs // 3, within_s=WITHIN_S)
    how = f"{len(DISPATCHERS)} dispatchers, one killed after a third of the runs; {wanted.workers} Prefect workers; {prefect_kind(prefect)}"
    by = ", ".join(f"{name} {number}" for name, number in sorted(count.by.items()))
    figures = [
        Figure("runs executed exactly once", count.exactly_once, "", wanted.runs, True, detail=f"of {wanted.runs}; {how}"),
        Figure("runs that ended as completed", count.states["COMPLETED"], "", wanted.runs, True, detail=f"executions by {by}"),
        Figure("second executions turned away", count.turned_away, "", detail="processes of workers that found the run claimed"),
        Figure("runs a minute", wanted.runs / count.took_s * 60, "", detail=f"{count.took_s:.0f} s in all"),
    ]
    write("fleet", "runs", figures, _plain(count))
    show("runs", figures)
    return figures


def _releases(wanted: Plan) -> list[Figure]:
    store, prefect = wanted.databases
    given = {"PRODUCTOPS_DATABASE_URL": store, "PRODUCTOPS_PREFECT_DATABASE_URL": prefect}
    with prepared(wanted.home, port_base=None) as bare:
        stack = FleetStack(bare.home, bare.port_base, tuple((name, url) for name, url in given.items() if url))
        names = stack.write_catalog(wanted.services)
        console.print(f"{len(names)} services; ready in {stack.command('up', '--detach'):.1f} s")
        stack.command("apply", str(stack.home / "catalog"))
        first = release_all(stack, names, "1.0.0", within_s=WITHIN_S)
        tell("first versions", first)
        with visitors(stack, names) as seen:
            canary = release_all(stack, names, "1.1.0", within_s=WITHIN_S)
        tell("canaries", canary)
    lost = sum(number for status, number in seen.items() if status in {0, 502, 503, 504})
    figures = _figures(canary, count=len(names), how=prefect_kind(prefect))
    figures.append(Figure("requests lost meanwhile", lost, "", 0, detail=f"of {sum(seen.values()):,}"))
    write("fleet", "releases", figures, {"first": _plain(first), "canary": _plain(canary), "answers": dict(seen)})
    show("releases at the same moment", figures)
    return figures


def _figures(wave: Wave, *, count: int, how: str) -> list[Figure]:
    steps = wave.first_step_s
    return [
        Figure("releases that ended rightly", wave.phases["promoted"], "", count, True, detail=f"of {count} at once; {how}"),
        Figure("trigger → first step, median", percentile(steps, 0.5), "s", detail="first task of the flow, by Prefect's record"),
        Figure("trigger → first step, p95", percentile(steps, 0.95), "s", FIRST_STEP_BAR_S),
        Figure("trigger → deploying, p95", percentile(wave.deploying_s, 0.95), "s"),
        Figure("API's answer, p95", percentile(wave.answered_s, 0.95), "s"),
        Figure("until all had ended", wave.took_s, "s"),
        Figure(
            "memory, all processes", wave.memory_mb, "MB", detail=f"{wave.processes} processes, instances included; proportional set size"
        ),
    ]


def _plain(measured: DataclassInstance) -> dict[str, Any]:
    """For JSON; ``asdict`` makes a counter of a counter's items."""
    values = {field.name: getattr(measured, field.name) for field in fields(measured)}
    return {name: dict(value) if isinstance(value, Counter) else value for name, value in values.items()}


def prefect_kind(url: str) -> str:
    """Which database Prefect has."""
    return "Prefect on PostgreSQL" if url else "Prefect on SQLite"
