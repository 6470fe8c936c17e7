"""What takes the processors of this machine: programs by name and by when they began. Arguments of programs may hold secrets: not read."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from productops.domain.monitoring_series_host import Busy

_PROC: Final = Path("/proc")
_TOGETHER_S: Final = 5.0
"""Programs of one name that began within so many seconds are told as one."""
_TOLD: Final = 3
_LITTLE_PCT: Final = 5.0
_USER, _SYSTEM, _START = 11, 12, 19
"""Places in /proc/<pid>/stat after the name (proc(5)), counted from 0."""


class BusyMeter:
    """Rates are over the time since the last reading; the first reading tells nothing. Use it from one thread.

    It reads a line for each process and nothing else: it is used when there is no time to lose.
    """

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], float] = {}
        self._at = time.monotonic()

    def read(self) -> Sequence[Busy]:
        """The busiest first, at most three kinds; nothing where the system has no such files."""
        before, elapsed = self._seen, max(1e-3, time.monotonic() - self._at)
        self._seen, self._at = {}, time.monotonic()
        taken: list[tuple[str, float, float]] = []
        for life, name, began, spent_s in _processes():
            self._seen[life] = spent_s
            since_s = spent_s - before.get(life, 0.0) if before else 0.0
            if since_s > 0:
                taken.append((name, began, 100.0 * since_s / elapsed))
        return _grouped(taken)


def _processes() -> Iterator[tuple[tuple[str, str], str, float, float]]:
    """What tells it from all others, name, when it began (Unix seconds), and the processor seconds it has taken."""
    ticks = os.sysconf("SC_CLK_TCK")
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else 0.0
    for pid in filter(str.isdigit, os.listdir(_PROC) if _PROC.is_dir() else ()):
        try:
            head, _, rest = (_PROC / pid / "stat").read_text(errors="replace").rpartition(") ")
        except OSError:
            continue  # it has ended
        fields = rest.split()
        if len(fields) > _START:
            spent_s = (int(fields[_USER]) + int(fields[_SYSTEM])) / ticks
            yield (pid, fields[_START]), head.partition("(")[2], booted + int(fields[_START]) / ticks, spent_s


def _grouped(taken: Sequence[tuple[str, float, float]]) -> list[Busy]:
    groups: list[Busy] = []
    for name, began, cpu_pct in sorted(taken):
        last = groups[-1] if groups else None
        if last is not None and last.name == name and began - last.began <= _TOGETHER_S:
            groups[-1] = Busy(name, last.count + 1, last.cpu_pct + cpu_pct, last.began)
        else:
            groups.append(Busy(name, 1, cpu_pct, began))
    busiest = sorted(groups, key=lambda each: -each.cpu_pct)
    return [each for each in busiest if each.cpu_pct >= _LITTLE_PCT][:_TOLD]
