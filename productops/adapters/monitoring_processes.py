"""What instances on this machine take: each with its children, which a server with workers has."""

from __future__ import annotations

import time
from typing import Final

import psutil

from productops.domain.monitoring_series_host import ProcessReading

_SAME_START_S: Final = 0.01
_CHILDREN_S: Final = 10.0
_FILES_S: Final = 10.0


class _Watched:
    """A process and its children, with the processor time they had taken at the last reading."""

    def __init__(self, process: psutil.Process) -> None:
        self.process = process
        self.children: list[psutil.Process] = []
        self.cpu_s: float | None = None
        self.at = 0.0
        self.files: float | None = None
        self.files_at = -_FILES_S


class ProcessMeter:
    """Reads processes by id and start. Use it from one thread; ``keep`` forgets those that are gone."""

    def __init__(self) -> None:
        self._watched: dict[tuple[int, float], _Watched] = {}
        self._family_at = -_CHILDREN_S

    def keep(self, wanted: set[tuple[int, float]]) -> None:
        """Forget all others, and see now and then which children there are."""
        self._watched = {key: watched for key, watched in self._watched.items() if key in wanted}
        if self._watched and time.monotonic() - self._family_at >= _CHILDREN_S:
            self._family_at = time.monotonic()
            self._find_children()

    def read(self, pid: int, started: float) -> ProcessReading | None:
        """None when that very process does not run here."""
        try:
            watched = self._watched.get((pid, started)) or self._begin(pid, started)
            return self._reading(watched) if watched is not None else None
        except psutil.Error:
            self._watched.pop((pid, started), None)
            return None

    def _begin(self, pid: int, started: float) -> _Watched | None:
        process = psutil.Process(pid)
        if abs(process.create_time() - started) > _SAME_START_S:
            return None
        watched = self._watched[pid, started] = _Watched(process)
        return watched

    def _reading(self, watched: _Watched) -> ProcessReading:
        now = time.monotonic()
        cpu_s, memory, threads = 0.0, 0.0, 0.0
        for process in (watched.process, *watched.children):
            try:
                with process.oneshot():
                    times = process.cpu_times()
                    cpu_s += times.user + times.system
                    memory += process.memory_info().rss
                    threads += process.num_threads()
            except psutil.Error:
                if process is watched.process:
                    raise
        before_s, before_at = watched.cpu_s, watched.at
        watched.cpu_s, watched.at = cpu_s, now
        # A child that ended takes its time with it.
        cpu_pct = max(0.0, 100.0 * (cpu_s - before_s) / (now - before_at)) if before_s is not None and now > before_at else None
        return ProcessReading(cpu_pct, memory, threads, self._files(watched, now))

    def _files(self, watched: _Watched, now: float) -> float | None:
        if now - watched.files_at >= _FILES_S:
            watched.files_at = now
            try:
                watched.files = float(watched.process.num_fds())
            except (psutil.Error, AttributeError):
                watched.files = None
        return watched.files

    def _find_children(self) -> None:
        by_parent: dict[int, list[psutil.Process]] = {}
        for process in psutil.process_iter(["ppid"]):
            by_parent.setdefault(process.info["ppid"], []).append(process)
        for watched in self._watched.values():
            found, waiting = [], [watched.process.pid]
            while waiting:
                children = by_parent.get(waiting.pop(), [])
                found += children
                waiting += [child.pid for child in children]
            watched.children = found
