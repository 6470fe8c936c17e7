"""``productops status``: what each process does at this moment."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from productops.cli.stack.probes import Probe
from productops.cli.stack.processes import HomeProcesses, descendants
from productops.cli.stack.state import ProcessRecord, StackRecord, read_state
from productops.errors import NotRunningError

_CPU_WINDOW_S = 0.5


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """One process now. ``state``: running, starting, restarting or dead. ``cpu_pct``: of one core, over half a second.

    Seconds and bytes are of the present life; ``rss_bytes`` counts pages shared between forks in each of them.
    """

    name: str
    state: str
    healthy: bool
    pid: int
    uptime_s: float
    restarts: int
    last_exit: str
    rss_bytes: int
    cpu_pct: float
    address: str
    log: str


@dataclass(frozen=True, slots=True)
class StackStatus:
    """The whole stack; ``healthy`` when every process and the supervisor are. ``others``: flow runs, instances and the like."""

    home: str
    phase: str
    healthy: bool
    urls: dict[str, str]
    settings: dict[str, str]
    processes: list[ProcessStatus]
    others: int
    rss_bytes: int
    cpu_pct: float

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return asdict(self)


def read_status(home: Path) -> StackStatus:
    """Look at every process of the stack in ``home``.

    Raises: NotRunningError when there is no stack, StackError when its record is of another version.
    """
    home = home.expanduser().resolve()
    processes = HomeProcesses(home)
    record = read_state(home)
    found = processes.find(record) if record else []
    if record is None or not any(each.kind == "stack" for each in found):
        raise NotRunningError(f"no stack runs in {home}; start one with `productops up --home {home}`")
    supervised = processes.is_alive(record.pid, record.started)
    lines = [_supervisor(record), *record.processes]
    watched = {line.pid for line in lines if processes.is_alive(line.pid, line.started)}
    others = ({each.pid for each in found} | descendants(record.pid)) - watched
    usage = _usage(watched | others)
    with ThreadPoolExecutor(max_workers=len(lines)) as pool:
        healthy = list(pool.map(lambda line: line.pid in watched and line.probe.passes(), lines))
    statuses = [
        _status(line, alive=line.pid in watched, healthy=well, supervised=supervised, usage=usage.get(line.pid, (0, 0.0)))
        for line, well in zip(lines, healthy, strict=True)
    ]
    return StackStatus(
        home=str(home),
        phase=record.phase if supervised else "unsupervised",
        healthy=supervised and record.phase == "running" and all(status.healthy for status in statuses),
        urls=record.urls,
        settings=record.settings,
        processes=statuses,
        others=len(others),
        rss_bytes=sum(rss for rss, _ in usage.values()),
        cpu_pct=round(sum(cpu for _, cpu in usage.values()), 1),
    )


def _status(line: ProcessRecord, *, alive: bool, healthy: bool, supervised: bool, usage: tuple[int, float]) -> ProcessStatus:
    state = line.state if alive else ("restarting" if supervised and line.state == "restarting" else "dead")
    rss_bytes, cpu_pct = usage
    return ProcessStatus(
        name=line.name,
        state=state,
        healthy=healthy,
        pid=line.pid if alive else 0,
        uptime_s=round(max(0.0, time.time() - line.started), 1) if alive else 0.0,
        restarts=line.restarts,
        last_exit=line.last_exit,
        rss_bytes=rss_bytes,
        cpu_pct=cpu_pct,
        address=line.address,
        log=line.log,
    )


def _supervisor(record: StackRecord) -> ProcessRecord:
    return ProcessRecord(
        name="supervisor", purpose="keeps the others alive", state="running", pid=record.pid, started=record.started,
        restarts=0, last_exit="", address="", log="", probe=Probe("none"),
    )  # fmt: skip


def _usage(pids: Iterable[int]) -> dict[int, tuple[int, float]]:
    """Resident bytes and percent of one core of each living process."""
    living: list[psutil.Process] = []
    for pid in pids:
        with suppress(psutil.Error):
            process = psutil.Process(pid)
            process.cpu_percent()
            living.append(process)
    time.sleep(_CPU_WINDOW_S)
    usage: dict[int, tuple[int, float]] = {}
    for process in living:
        with suppress(psutil.Error):
            usage[process.pid] = (process.memory_info().rss, process.cpu_percent())
    return usage
