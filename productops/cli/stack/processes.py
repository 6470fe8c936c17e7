"""Processes that belong to a home: found by record and by the mark in their environment, and ended."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from productops.adapters.local_process.processes import INSTANCE_HOME, INSTANCE_ID, ProcessTable
from productops.cli.stack.environment import STACK_HOME
from productops.cli.stack.state import StackRecord

Kind = Literal["stack", "instance"]
_LOOK_S = 0.02
# A killed process is gone at once, unless the system is writing its memory to disk.
_KILL_S = 2.0


@dataclass(frozen=True, slots=True)
class Belonging:
    """A living process of a home: of its stack, or an instance of a service. ``started`` as ProcessTable counts it."""

    pid: int
    started: float
    kind: Kind
    name: str

    def __str__(self) -> str:
        return f"{self.name} ({self.pid})"


class HomeProcesses:
    """The processes of the stack in ``home``, whoever is their parent by now."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._table = ProcessTable(home)

    def started(self, pid: int) -> float:
        """Creation time of a living process. Raises: psutil.NoSuchProcess."""
        return self._table.identify(pid).started

    def is_alive(self, pid: int, started: float) -> bool:
        """Whether that very process runs; one that has ended but was not reaped does not."""
        return pid > 0 and self._table.alive(pid, started)

    def find(self, record: StackRecord | None = None) -> list[Belonging]:
        """All that carry our mark, and all of ``record`` that live; never this process or one it descends from."""
        spared = _lineage()
        found = {each.pid: each for each in self._recorded(record) if each.pid not in spared}
        for pid in psutil.pids():
            if pid not in spared and pid not in found and (kind := self._kind_of(pid)) is not None:
                found |= self._belonging(pid, kind)
        return list(found.values())

    def find_with_descendants(self) -> list[Belonging]:
        """``find``, and everything below this process: a program may have cleaned its environment of our mark."""
        found = {each.pid: each for each in self.find()}
        of_instances = {pid for each in found.values() if each.kind == "instance" for pid in descendants(each.pid)}
        for pid in descendants(os.getpid()) - found.keys():
            found |= self._belonging(pid, "instance" if pid in of_instances else "stack")
        return list(found.values())

    def end(self, processes: Iterable[Belonging], *, grace_s: float, pause: Callable[[], bool] | None = None) -> list[Belonging]:
        """Ask them to end, kill what still lives after ``grace_s``; returns those that had to be killed.

        ``pause`` sleeps a moment while they end, for a caller who has something to do meanwhile; true from it means: kill now.
        """
        living = list(processes)
        self._signal(living, signal.SIGTERM)
        living = self._wait(living, grace_s, pause or _pause)
        self._signal(living, signal.SIGKILL)
        self._wait(living, _KILL_S, _pause)
        return living

    def _signal(self, processes: Iterable[Belonging], number: signal.Signals) -> None:
        for each in processes:
            if self.is_alive(each.pid, each.started):
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(each.pid, number)

    def _wait(self, processes: list[Belonging], timeout_s: float, pause: Callable[[], bool]) -> list[Belonging]:
        deadline = time.monotonic() + timeout_s
        while True:
            processes = [each for each in processes if self.is_alive(each.pid, each.started)]
            if not processes or time.monotonic() >= deadline or pause():
                return processes

    def _belonging(self, pid: int, kind: Kind) -> dict[int, Belonging]:
        with suppress(psutil.Error):
            return {pid: Belonging(pid, self.started(pid), kind, _name(pid))}
        return {}

    def _recorded(self, record: StackRecord | None) -> Iterable[Belonging]:
        if record is None:
            return
        known = [("supervisor", record.pid, record.started), *((each.name, each.pid, each.started) for each in record.processes)]
        for name, pid, started in known:
            if self.is_alive(pid, started):
                yield Belonging(pid, started, "stack", name)

    def _kind_of(self, pid: int) -> Kind | None:
        marks = _environment(pid)
        home = str(self._home)
        if marks.get(INSTANCE_HOME) == home and marks.get(INSTANCE_ID):
            return "instance"
        return "stack" if marks.get(STACK_HOME) == home else None


def descendants(pid: int) -> set[int]:
    """Pids below ``pid``; empty when it has ended."""
    with suppress(psutil.Error):
        return {child.pid for child in psutil.Process(pid).children(recursive=True)}
    return set()


def _pause() -> bool:
    time.sleep(_LOOK_S)
    return False


def _lineage() -> set[int]:
    """This process and those it descends from: a stack may be ended from within something it started."""
    with suppress(psutil.Error):
        return {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    return {os.getpid()}


def _environment(pid: int) -> Mapping[str, str]:
    """Empty for processes of other users. Root sees all: its PostgreSQL has to run as somebody else."""
    try:
        process = psutil.Process(pid)
        if os.geteuid() not in {0, process.uids().real}:
            return {}
        return process.environ()
    except (psutil.Error, OSError):
        return {}


def _name(pid: int) -> str:
    """The module of a Python process, else the program's name."""
    command = psutil.Process(pid).cmdline()
    if "-m" in command[:-1]:
        return command[command.index("-m") + 1]
    return psutil.Process(pid).name()
