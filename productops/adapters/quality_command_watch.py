"""The processes of one command: what they use together, and the end of all of them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import psutil

MARK = "PRODUCTOPS_COMMAND"
_MB = 1024 * 1024
_GONE = (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess)


@dataclass(frozen=True, slots=True)
class Used:
    """``memory_mb`` is of now, pages that processes share counted once; ``cpu_s`` of all processes since the start."""

    cpu_s: float
    memory_mb: float
    memory_mb_max: float


class Tree:
    """A process, its children and theirs; also those that left its session, by a mark in their environment."""

    def __init__(self, pid: int, mark: str) -> None:
        self._pid = pid
        self._mark = mark
        self._cpu_s = self._memory_mb_max = self._memory_mb = 0.0
        self._born = psutil.Process(pid).create_time()

    @property
    def used(self) -> Used:
        """As of the last look."""
        return Used(self._cpu_s, self._memory_mb, self._memory_mb_max)

    def look(self) -> Used:
        """Look now; what came and went between two looks is in the times of its parent."""
        memory = spent = 0.0
        seen: list[psutil.Process] = []
        for process in self._living():
            with suppress(*_GONE):
                times = process.cpu_times()  # of children only those that ended: who lives is counted for itself
                spent += times.user + times.system + times.children_user + times.children_system
                memory += process.memory_info().rss / _MB
                seen.append(process)
        self._cpu_s = max(self._cpu_s, spent)
        self._memory_mb = memory
        if memory > self._memory_mb_max:
            self._memory_mb = _shared_once(seen, memory) if len(seen) > 1 else memory
            self._memory_mb_max = max(self._memory_mb_max, self._memory_mb)
        return self.used

    def kill_all(self, grace_s: float) -> None:
        """Ask all to end, wait, and end who is left; with no grace at once."""
        if grace_s > 0:
            self._tell(signal.SIGTERM, self._living())
            deadline = time.monotonic() + grace_s
            while time.monotonic() < deadline and self._living():
                time.sleep(0.02)
        with suppress(ProcessLookupError, PermissionError, *_GONE):
            if psutil.Process(self._pid).create_time() == self._born:  # else the number may be somebody else's by now
                os.killpg(self._pid, signal.SIGKILL)
        for _ in range(10):  # one that forks at this moment is found at the next look
            left = [*self._living(), *self._marked()]
            if not left:
                return
            self._tell(signal.SIGKILL, left)
            psutil.wait_procs(left, timeout=0.2)

    @staticmethod
    def _tell(number: int, processes: Iterable[psutil.Process]) -> None:
        for process in processes:
            with suppress(*_GONE):
                process.send_signal(number)

    def _living(self) -> list[psutil.Process]:
        try:
            top = psutil.Process(self._pid)
            return [each for each in (top, *top.children(recursive=True)) if each.status() != psutil.STATUS_ZOMBIE]
        except _GONE:
            return []

    def _marked(self) -> list[psutil.Process]:
        """Those of its session, and those that left it and are nobody's children any more."""
        found = []
        for process in psutil.process_iter():
            with suppress(*_GONE, OSError):
                ours = process.create_time() >= self._born and os.getsid(process.pid) == self._pid
                if (ours or process.environ().get(MARK) == self._mark) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found


def _shared_once(processes: Iterable[psutil.Process], otherwise: float) -> float:
    """Megabytes with shared pages divided among those who share them; where the system cannot tell, they count for each."""
    total = 0.0
    for process in processes:
        with suppress(*_GONE):
            told = getattr(process.memory_full_info(), "pss", None)
            if told is None:
                return otherwise
            total += told / _MB
    return total
