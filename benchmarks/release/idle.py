"""What the stack costs while nothing happens, and how long it takes to come and go."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass

import psutil
from rich.table import Table

from benchmarks.figures import Figure, console
from benchmarks.release.stack import BenchStack
from productops.cli.stack.processes import HomeProcesses
from productops.cli.stack.state import read_state

MB = 1_000_000
MEMORY_BAR_MB = 900.0
CPU_BAR_PCT = 5.0
READY_BAR_S = 20.0
STOP_BAR_S = 10.0


@dataclass(frozen=True, slots=True)
class Cost:
    """One process. ``rss_mb`` counts shared pages in each of them, ``pss_mb`` divides them, ``uss_mb`` leaves them out (both 0 where the
    system does not tell). ``cpu_pct`` is of one core. ``instance``: it is the shop's, not the stack's.
    """

    name: str
    pid: int
    instance: bool
    rss_mb: float
    pss_mb: float
    uss_mb: float
    cpu_pct: float


def measure(stack: BenchStack, *, window_s: float) -> tuple[list[Figure], object]:
    """Look at every process of the stack over ``window_s`` seconds."""
    console.print(f"  watching an idle stack for {window_s:g} s")
    costs = read_costs(stack, window_s=window_s)
    _show(costs)
    ours = [cost for cost in costs if not cost.instance]
    how = f"{len(ours)} processes over {window_s:g} s with one service live; the service's {len(costs) - len(ours)} not counted"
    figures = [
        Figure("idle memory of the stack, shared pages once (PSS)", sum(c.pss_mb for c in ours), "MB", MEMORY_BAR_MB, detail=how),
        Figure("idle memory of the stack, RSS added up", sum(c.rss_mb for c in ours), "MB", detail="shared pages in each"),
        Figure("idle memory of the stack, private (USS)", sum(c.uss_mb for c in ours), "MB", detail="shared pages in none"),
        Figure("idle CPU of the stack", sum(c.cpu_pct for c in ours), "% of a core", CPU_BAR_PCT, detail=how),
    ]
    return figures, [asdict(cost) for cost in costs]


def read_costs(stack: BenchStack, *, window_s: float) -> list[Cost]:
    """Every process of the stack; one that comes or goes meanwhile is left out."""
    record = read_state(stack.home)
    names = {each.pid: each.name for each in record.processes} | {record.pid: "supervisor"} if record else {}
    found = HomeProcesses(stack.home).find(record)
    before = {each.pid: seconds for each in found if (seconds := _cpu_s(each.pid)) is not None}
    began = time.monotonic()
    time.sleep(window_s)
    costs = []
    for each in found:
        used, lasted = _cpu_s(each.pid), time.monotonic() - began
        if used is not None and each.pid in before:
            with suppress(psutil.Error):
                memory = psutil.Process(each.pid).memory_full_info()
                rss, pss, uss = (getattr(memory, kind, 0) / MB for kind in ("rss", "pss", "uss"))
                name = names.get(each.pid) or _child_name(each.pid, names) or each.name
                costs.append(Cost(name, each.pid, each.kind == "instance", rss, pss, uss, 100 * (used - before[each.pid]) / lasted))
    return sorted(costs, key=lambda cost: (cost.instance, -cost.pss_mb))


def _child_name(pid: int, names: dict[int, str]) -> str:
    """A process that the supervisor does not know by itself is named after the parent it knows."""
    with suppress(psutil.Error):
        parent = names.get(psutil.Process(pid).ppid())
        return f"{parent}, child" if parent else ""
    return ""


def _cpu_s(pid: int) -> float | None:
    with suppress(psutil.Error):
        times = psutil.Process(pid).cpu_times()
        return float(times.user + times.system)
    return None


def _show(costs: Sequence[Cost]) -> None:
    table = Table(title="idle processes", title_justify="left")
    for column in ("process", "RSS MB", "PSS MB", "USS MB", "CPU %"):
        table.add_column(column, justify="left" if column == "process" else "right")
    for cost in costs:
        sizes = [f"{size:.0f}" for size in (cost.rss_mb, cost.pss_mb, cost.uss_mb)]
        table.add_row(("service: " if cost.instance else "") + cost.name, *sizes, f"{cost.cpu_pct:.1f}")
    console.print(table)


def timing_figures(*, fresh_s: float, stop_s: float, warm_s: float, stop_again_s: float) -> list[Figure]:
    """Time to ready and time to stop."""
    return [
        Figure("up, in an empty home (all tables made)", fresh_s, "s", READY_BAR_S, reference="Prefect alone, fresh SQLite: 7–24 s"),
        Figure("up, in a used home", warm_s, "s", READY_BAR_S, reference="Prefect alone: 3 s"),
        Figure("down, with a live service", stop_s, "s", STOP_BAR_S),
        Figure("down, right after up", stop_again_s, "s", STOP_BAR_S),
    ]
