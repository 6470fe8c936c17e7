"""Keeps the processes of the stack alive, and ends them in order."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from pathlib import Path

from productops.cli.stack.children import Child
from productops.cli.stack.output import bound_output
from productops.cli.stack.prober import Prober
from productops.cli.stack.processes import Belonging, HomeProcesses, descendants
from productops.cli.stack.signals import Wakeups, describe_exit
from productops.cli.stack.specs import ProcessSpec, StopStage

_LOGS_LOOK_S = 300.0
_STRAY_GRACE_S = 1.0
_LOOK_S = 0.02


def follow_request(home: Path, name: str) -> Path:
    """The file that asks for a successor of a process."""
    return home / "run" / f"{name}.follow"


class Supervisor:
    """Runs in the main thread, asleep unless a signal, a due start or a probe's answer wakes it.

    ``on_change`` is called after every change of a process's state, ``on_death`` when one ended that should not have.
    """

    def __init__(self, home: Path, wakeups: Wakeups, on_change: Callable[[], None], on_death: Callable[[Child], None]) -> None:
        self.children: dict[str, Child] = {}
        self._home = home
        self._wakeups = wakeups
        self._on_change = on_change
        self._on_death = on_death
        self._processes = HomeProcesses(home)
        self._prober = Prober(wakeups.wake)
        self._logs_due = time.monotonic() + _LOGS_LOOK_S
        self._stopping = False

    @property
    def end_requested(self) -> bool:
        """Whether a signal asked the stack to end."""
        return self._wakeups.end_requests > 0

    def start(self, specs: Iterable[ProcessSpec]) -> None:
        """Start processes beside those that run already."""
        for spec in specs:
            child = Child(spec, self._home)
            self.children[spec.name] = child
            self._start(child)
        self._on_change()

    def wait_ready(self, names: Collection[str], *, timeout_s: float) -> bool:
        """Run until all of ``names`` are ready (true), or until the time is over or a signal asks for the end (false)."""
        deadline = time.monotonic() + timeout_s
        while any(self.children[name].state != "running" for name in names):
            left = deadline - time.monotonic()
            if left <= 0 or self.end_requested:
                return False
            self._step(left)
        return True

    def run(self) -> None:
        """Run until a signal asks for the end."""
        while not self.end_requested:
            self._step(None)

    def stop(self, *, instance_grace_s: float = 2.0) -> list[Belonging]:
        """End everything that belongs to the home, stage after stage; a second signal kills at once. Returns what still lives.

        Takes at most about 10 s. Flow runs end after the dispatcher had its chance to end them, instances after the router.
        """
        self._stopping = True
        for stage in StopStage:
            if stage is StopStage.INSTANCES:
                self._end_strays("instance", instance_grace_s)
                continue
            self._end_children([child for child in self.children.values() if child.spec.stop_stage is stage])
            if stage is StopStage.FLOWS:
                self._end_strays("stack", _STRAY_GRACE_S)
        self._processes.end(self._processes.find_with_descendants(), grace_s=0.0)
        self._reap()
        return self._processes.find_with_descendants()

    def _follow(self) -> bool:
        """Start the successors that somebody asked for by a file; that a signal came with it woke us."""
        asked = [child for child in self.children.values() if follow_request(self._home, child.spec.name).exists()]
        for child in asked:
            follow_request(self._home, child.spec.name).unlink(missing_ok=True)
            child.follow(self._processes)
            if child.leaving:
                self._prober.ask(child.pid, child.spec.probe)
        return bool(asked)

    def _step(self, timeout_s: float | None) -> None:
        now = time.monotonic()
        moments = [child.due for child in self.children.values() if child.due is not None]
        wait_s = min([*moments, self._logs_due]) - now
        if timeout_s is not None:
            wait_s = min(wait_s, timeout_s)
        self._wakeups.wait(max(0.0, wait_s))
        changed = self._reap()
        changed = self._start_due() or changed
        changed = self._note_ready() or changed
        changed = self._follow() or changed
        self._bound_logs()
        if changed:
            self._on_change()

    def _start(self, child: Child) -> None:
        child.start(self._processes)
        if child.pid:
            self._prober.ask(child.pid, child.spec.probe)

    def _start_due(self) -> bool:
        now = time.monotonic()
        due = [child for child in self.children.values() if child.due is not None and child.due <= now]
        for child in due:
            self._start(child)
        return bool(due)

    def _note_ready(self) -> bool:
        changed = False
        while self._prober.ready:
            pid = self._prober.ready.popleft()
            for child in self.children.values():
                if child.pid == pid:
                    child.state = "running"
                    self._end_left_over(child)
                    changed = True
        return changed

    def _end_left_over(self, child: Child) -> None:
        """A successor that died on the way is followed by a fresh start: nobody else tells the former process to end."""
        if child.leaving and child.falls:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(child.leaving, child.spec.stop_signal)

    def _reap(self) -> bool:
        """Take every exit status there is: our processes' and those of orphans that came to us."""
        changed = False
        with suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    break
                self._prober.forget(pid)
                for child in self.children.values():
                    if child.pid == pid:
                        self._note_end(child, status)
                        changed = True
                    elif child.leaving == pid:
                        child.leaving = 0
                        changed = True
        return changed

    def _note_end(self, child: Child, status: int) -> None:
        if self._stopping:
            child.ended()
        else:
            child.died(describe_exit(status))
            if child.falls > 1:  # the fresh start fails as well: perhaps the former process is in its way
                self._end_left_over(child)
            self._on_death(child)

    def _bound_logs(self) -> None:
        now = time.monotonic()
        if now >= self._logs_due:
            self._logs_due = now + _LOGS_LOOK_S
            for child in self.children.values():
                bound_output(child.log)

    def _end_children(self, children: list[Child]) -> None:
        for child in children:
            child.due = None
            if child.pid:
                child.ask_to_end()
            else:
                child.ended()
        self._wait_gone(children, max((child.spec.grace_s for child in children), default=0.0))
        for child in children:
            if child.pid:
                child.kill()
        self._wait_gone(children, 2.0, killed=True)
        if children:
            self._on_change()

    def _wait_gone(self, children: list[Child], timeout_s: float, *, killed: bool = False) -> None:
        deadline = time.monotonic() + timeout_s
        self._reap()
        while any(child.pid for child in children):
            left = deadline - time.monotonic()
            if left <= 0 or (self._impatient() and not killed):
                return
            self._wakeups.wait(left)
            self._reap()

    def _end_strays(self, kind: str, grace_s: float) -> None:
        """End what belongs to the home but is no child we know and does not hang below one: flow runs, or instances."""
        known = {os.getpid()}
        for child in self.children.values():
            if child.pid:
                known |= {child.pid} | descendants(child.pid)
        strays = [each for each in self._processes.find_with_descendants() if each.kind == kind and each.pid not in known]
        self._processes.end(strays, grace_s=0.0 if self._impatient() else grace_s, pause=self._pause)

    def _pause(self) -> bool:
        """A moment's sleep while strays end; whether somebody wants it over."""
        self._wakeups.wait(_LOOK_S)
        self._reap()
        return self._impatient()

    def _impatient(self) -> bool:
        return self._wakeups.end_requests > 1
