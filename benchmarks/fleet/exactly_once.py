"""Many runs, two dispatchers and three Prefect workers on one queue; one dispatcher is killed in the middle."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fleet.queue import Queue

DISPATCHERS = ("dispatcher-a", "dispatcher-b")
FINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


@dataclass(frozen=True, slots=True)
class Count:
    """``executed``: how often each run was, by its id. ``by``: how many executions each process began. ``took_s``: request to last end."""

    executed: dict[str, int]
    states: Counter[str]
    by: dict[str, int]
    turned_away: int
    took_s: float

    @property
    def exactly_once(self) -> int:
        """Runs that were executed exactly once."""
        return sum(times == 1 for times in self.executed.values())


def count_executions(queue: Queue, *, runs: int, workers: int, kill_after: int, within_s: float) -> Count:
    """Have ``runs`` executed and count. A dispatcher is killed once ``kill_after`` have been; it stays dead. Raises: TimeoutError."""
    for name in DISPATCHERS:
        queue.add_dispatcher(name)
    names = [f"worker-{number + 1}" for number in range(workers)]
    for name in names:
        queue.add_worker(name)
    for name in names:
        queue.until(lambda name=name: _says(queue, name, "started!"), within_s=120, what=f"{name} asks for work")
    pids = {queue.processes[name].pid: name for name in (*DISPATCHERS, *names)}
    began = time.monotonic()
    asked = queue.submit(runs)
    queue.until(lambda: len(queue.executions()) >= kill_after, within_s=within_s, what=f"{kill_after} executions")
    queue.kill(DISPATCHERS[0])
    queue.until(lambda: _ended(queue, asked) == runs, within_s=within_s, what=f"all {runs} runs ended")
    took_s = time.monotonic() - began
    time.sleep(3.0)  # who is late comes now, and calls an ended run pending for a moment
    queue.until(lambda: _ended(queue, asked) == runs, within_s=within_s, what=f"all {runs} runs ended again")
    executions = queue.executions()
    times = Counter(run for run, _ in executions)
    by = Counter(pids.get(parent, "another") for _, parent in executions)
    away = sum(_lines(queue.folder / f"{name}.log", "carries this run out") for name in names)
    states: Counter[str] = Counter()
    queue.until(lambda: states.update(queue.states(asked)) or states, within_s=within_s, what="the last look")
    return Count({run: times[run] for run in asked}, states, dict(by), away, took_s)


def _ended(queue: Queue, asked: list[str]) -> int:
    found = queue.states(asked)
    return sum(found[kind] for kind in FINAL)


def _says(queue: Queue, name: str, text: str) -> bool:
    return _lines(queue.folder / f"{name}.log", text) > 0


def _lines(log: Path, text: str) -> int:
    return sum(text in line for line in log.read_text(encoding="utf-8", errors="replace").splitlines())
