"""Schedules beside what is known of them: PSPLIB's projects, plain CP-SAT in the same time, and a made-up year of fifty people.

The projects (Kolisch and Sprecher 1997) are not ours to ship: PRODUCTOPS_BENCH_DATA names the folder that has ``rcpsp-psplib/dev`` with
``j30.sm.tar.gz``, ``j30_bounds.json`` and so on. Whole sets take hours; ``--every 12`` takes each twelfth project.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tarfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from ortools.sat.python import cp_model

from benchmarks.figures import Figure, console, show, write
from benchmarks.plan_team import team
from productops.domain.development_plan import Estimate
from productops.domain.development_plan_change import item_changed, replan
from productops.domain.development_plan_make import make_plan
from productops.stats.schedule import Activity, Link, Mode, Problem, Resource
from productops.stats.schedule.solve import solve, warm_up

DATA = "PRODUCTOPS_BENCH_DATA"
WORKERS = 2


@dataclass(frozen=True, slots=True)
class Set:
    """A set of projects: seconds for each, and the bar of the mean gap to the best known makespan, in percent."""

    name: str
    seconds: float
    bar_pct: float
    plain: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One project. ``plain`` is what CP-SAT alone reaches in the same time, 0 when not asked."""

    name: str
    value: int
    bound: int
    known: int
    took_s: float
    plain: int


SETS = (Set("j30", 5, 0.0), Set("j60", 5, 0.4), Set("j120", 10, 2.0, plain=True), Set("j120", 60, 1.2))
EVERY, EVERY_QUICK = 23, 67


def run(*, quick: bool, every: int = 0) -> list[Figure]:
    """All sets, then the team. Without the data only the team."""
    step = every or (EVERY_QUICK if quick else EVERY)
    warm_up()
    speed = calibration_s()
    figures: list[Figure] = []
    raw: list[dict[str, object]] = []
    folder = Path(os.environ.get(DATA, "")) / "rcpsp-psplib" / "dev"
    if DATA in os.environ and folder.is_dir():
        for each in SETS[:3] if quick else SETS:
            rows = [_measure(each, *project) for project in projects(folder, each.name, step)]
            figures += _figures(each, rows)
            raw += [{"set": each.name, "seconds": each.seconds, **asdict(row)} for row in rows]
    else:
        console.print(f"{DATA} names no folder with rcpsp-psplib/dev: PSPLIB's projects are left out")
    figures += team_figures()
    write("plan", "plan", figures, raw)
    note = f"a fixed loop of Python took {speed:.2f} s before and {calibration_s():.2f} s after; every {step}th project; {WORKERS} cores"
    show("plan", figures, note=note)
    return figures


def calibration_s() -> float:
    """How fast this machine is now: the same loop each time."""
    began, total = time.perf_counter(), 0
    for number in range(10_000_000):
        total += number & 7
    return time.perf_counter() - began


def projects(folder: Path, name: str, every: int) -> Iterator[tuple[str, Problem, int]]:
    """(name, problem, best known makespan) of each ``every``-th project, spread over the kinds of project in the set."""
    bounds = json.loads((folder / f"{name}_bounds.json").read_text())
    names = sorted(bounds, key=lambda each: [int(number) for number in re.findall(r"\d+", each)])
    with tarfile.open(folder / f"{name}.sm.tar.gz") as archive:
        files = {Path(member.name).name: member for member in archive.getmembers()}
        # Five projects in a row are of one kind: take another one of each kind that is met.
        for each in [names[min(len(names) - 1, place + count % 5)] for count, place in enumerate(range(every // 2, len(names), every))]:
            content = archive.extractfile(files[each])
            assert content is not None
            yield each, read_project(content.read().decode()), int(bounds[each]["ub"])


def read_project(text: str) -> Problem:
    """A project in PSPLIB's format for one mode."""
    lines = text.splitlines()
    at = {key: next(i for i, line in enumerate(lines) if line.startswith(key)) for key in ("PRECEDENCE", "REQUESTS", "RESOURCEAVAIL")}
    links = [Link(row[0] - 1, after - 1) for row in _numbers(lines[at["PRECEDENCE"] + 2 :]) for after in row[3:]]
    activities = tuple(
        Activity(str(row[0]), (Mode(row[2], tuple((k, units) for k, units in enumerate(row[3:]) if units)),))
        for row in _numbers(lines[at["REQUESTS"] + 3 :])
    )
    units = next(_numbers(lines[at["RESOURCEAVAIL"] + 2 :]))
    return Problem(activities, tuple(links), tuple(Resource(f"R{k + 1}", capacity) for k, capacity in enumerate(units)))


def _numbers(lines: list[str]) -> Iterator[list[int]]:
    for line in lines:
        if line.startswith("*"):
            return
        yield [int(number) for number in line.split()]


def plain(problem: Problem, seconds: float) -> int:
    """The makespan that CP-SAT reaches from the plainest model: intervals, precedences, cumulatives."""
    model = cp_model.CpModel()
    horizon = sum(activity.modes[0].duration for activity in problem.activities)
    starts = [model.new_int_var(0, horizon, "") for _ in problem.activities]
    lengths = [activity.modes[0].duration for activity in problem.activities]
    intervals = [model.new_fixed_size_interval_var(start, length, "") for start, length in zip(starts, lengths, strict=True)]
    for link in problem.links:
        model.add(starts[link.after] >= starts[link.before] + lengths[link.before])
    for k, resource in enumerate(problem.resources):
        uses = [
            (interval, units)
            for i, interval in enumerate(intervals)
            for which, units in problem.activities[i].modes[0].demands
            if which == k
        ]
        model.add_cumulative([interval for interval, _ in uses], [units for _, units in uses], resource.capacity)
    makespan = model.new_int_var(0, horizon, "")
    model.add_max_equality(makespan, [start + length for start, length in zip(starts, lengths, strict=True)])
    model.minimize(makespan)
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = seconds
    solver.parameters.num_workers = WORKERS
    status = solver.solve(model)
    return round(solver.objective_value) if status in {cp_model.OPTIMAL, cp_model.FEASIBLE} else horizon


def _measure(each: Set, name: str, problem: Problem, known: int) -> Row:
    found = solve(problem, each.seconds, workers=WORKERS)
    other = plain(problem, each.seconds) if each.plain else 0
    console.print(
        f"{name}: {found.value} (at least {found.bound}, best known {known}), {found.took_s:.1f} s" + (f", plain {other}" if other else "")
    )
    return Row(name, found.value, found.bound, known, found.took_s, other)


def _figures(each: Set, rows: list[Row]) -> list[Figure]:
    gap = float(np.mean([row.value / row.known - 1 for row in rows])) * 100
    best = sum(row.value <= row.known for row in rows)
    proven = sum(row.value == row.bound for row in rows)
    how = f"{len(rows)} projects: {best} as good as the best known, {proven} proven; longest {max(row.took_s for row in rows):.1f} s"
    other = f"plain CP-SAT {np.mean([row.plain / row.known - 1 for row in rows]) * 100:.2f} %" if each.plain else ""
    return [Figure(f"{each.name}, {each.seconds:.0f} s: mean gap to the best known", gap, "%", each.bar_pct, False, other, how)]


def team_figures() -> list[Figure]:
    """Fifty people, forty features, 1,500 tasks: the first plan, and the plan after one task has grown."""
    request = team()
    began = time.monotonic()
    plan = make_plan(request, limit_s=25.0, workers=WORKERS)
    took = time.monotonic() - began
    # One that is early on the critical chain, so that something has to give.
    item = next(each for each in request.items if each.id == plan.critical[1] and each.estimate is not None)
    grown = item.estimate
    assert grown is not None
    three = Estimate(grown.optimistic_h * 3, grown.likely_h * 3, grown.pessimistic_h * 3)
    changed = item_changed(request, replace(item, estimate=three))
    began = time.monotonic()
    again = replan(changed, plan, workers=WORKERS)
    again_took = time.monotonic() - began
    said = "proven" if plan.proven else f"at most {plan.gap:.1%} above the best possible"
    longer = again.plan.length_h - plan.length_h
    return [
        Figure("plan of 1,500 tasks, 40 features, 50 people", took, "s", 30.0, detail=f"{plan.length_h} working hours, {said}"),
        Figure("  gap that is stated", plan.gap * 100, "%"),
        Figure(
            "plan again after one task has grown threefold",
            again_took,
            "s",
            5.0,
            detail=f"{item.id} on the critical chain; ends {longer:+} h",
        ),
        Figure("  tasks that moved", len(again.moves), "", detail=f"{again.kept} stayed"),
    ]


def main() -> int:
    """``python -m benchmarks.plan --every 12``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plan", description=__doc__)
    parser.add_argument("--every", type=int, default=EVERY)
    run(quick=False, every=parser.parse_args().every)
    return 0


if __name__ == "__main__":
    sys.exit(main())
