"""A thread that asks starting processes whether they are ready, so that a slow answer never delays a restart."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from productops.cli.stack.probes import Probe

_LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class Asked:
    """A probe of one life of a process, told by its pid."""

    pid: int
    probe: Probe


class Prober:
    """``wake`` is called when there is something in ``ready``. The thread lives only while something is asked for."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self.ready: deque[int] = deque()
        self._wake = wake
        self._asked: dict[int, Asked] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def ask(self, pid: int, probe: Probe) -> None:
        """Ask until the probe passes or ``forget``."""
        with self._lock:
            self._asked[pid] = Asked(pid, probe)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="prober", daemon=True)
                self._thread.start()

    def forget(self, pid: int) -> None:
        """The process has ended."""
        with self._lock:
            self._asked.pop(pid, None)

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            with self._lock:
                asked = list(self._asked.values())
                if not asked:
                    self._thread = None
                    return
            for each in asked:
                if each.probe.passes():
                    self._pass(each)
            pause.wait(_LOOK_S)

    def _pass(self, asked: Asked) -> None:
        with self._lock:
            if self._asked.get(asked.pid) is not asked:
                return  # it died while it was asked, and its pid is another's now
            del self._asked[asked.pid]
        self.ready.append(asked.pid)
        self._wake()
