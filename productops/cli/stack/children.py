"""One process of the stack over all its lives."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from productops.cli.stack.output import open_output
from productops.cli.stack.processes import HomeProcesses
from productops.cli.stack.specs import ProcessSpec
from productops.cli.stack.state import ProcessRecord, ProcessState, log_path


@dataclass
class Child:
    """``started``: creation as HomeProcesses counts it. ``born`` and ``due``: monotonic seconds; ``due`` set means a start is to come.

    ``leaving`` is the process that a successor takes over from; it ends by itself. ``falls``: deaths of its successors so far.
    """

    spec: ProcessSpec
    home: Path
    pid: int = 0
    started: float = 0.0
    born: float = 0.0
    due: float | None = None
    state: ProcessState = "waiting"
    deaths_in_row: int = 0
    restarts: int = 0
    last_exit: str = ""
    leaving: int = 0
    falls: int = 0

    @property
    def log(self) -> Path:
        """Its output."""
        return log_path(self.home, self.spec.name)

    def start(self, processes: HomeProcesses) -> None:
        """Start it, in a session of its own: a Ctrl-C must reach the supervisor alone, which knows the order of ending.

        A start that fails (no such program, no memory) is a death like any other.
        """
        self.due = None
        self.born = time.monotonic()
        output = -1
        try:
            self.spec.probe.forget()
            output = open_output(self.log)
            process = _spawn(self.spec, output)
        except Exception as error:  # noqa: BLE001 - commands are adapters' and fail in ways of theirs; the next start may succeed
            self._note(f"cannot start: {error}")
            self.died(f"cannot start: {error}")
            return
        finally:
            if output >= 0:
                os.close(output)
        # The supervisor reaps by waitpid(-1); the object must not try as well, nor complain when it goes.
        process.returncode = 0
        self.pid = process.pid
        self.started = processes.started(process.pid)
        self.state = "starting"

    def follow(self, processes: HomeProcesses) -> None:
        """Start the successor of the process that runs. One that cannot start changes nothing but the log."""
        if self.spec.successor is None or self.leaving or self.state != "running":
            self._note("no successor is started: the process cannot be followed, does not run, or is being followed already")
            return
        output = -1
        try:
            output = open_output(self.log)
            process = _spawn(self.spec, output, self.spec.successor)
        except Exception as error:  # noqa: BLE001 - as in ``start``; users keep the one that runs
            self._note(f"cannot start a successor: {error}")
            return
        finally:
            if output >= 0:
                os.close(output)
        process.returncode = 0
        self.leaving, self.pid, self.falls = self.pid, process.pid, 0
        self.started, self.born = processes.started(process.pid), time.monotonic()
        self.state = "starting"
        self.restarts += 1

    def died(self, how: str) -> None:
        """Note the end of a life and when the next begins."""
        now = time.monotonic()
        self.deaths_in_row = 1 if now - self.born >= self.spec.backoff.stable_s else self.deaths_in_row + 1
        self.last_exit = how
        self.falls += 1
        self.pid = 0
        self.due = now + self.spec.backoff.delay_s(self.deaths_in_row)
        self.state = "restarting"
        self.restarts += 1

    def ended(self) -> None:
        """It has ended because we wanted it to."""
        self.pid = 0
        self.due = None
        self.state = "stopped"

    def ask_to_end(self) -> None:
        """Its own signal, to it alone: it knows how its children should end."""
        with suppress(ProcessLookupError, PermissionError):
            os.kill(self.pid, self.spec.stop_signal)

    def kill(self) -> None:
        """End it and its process group at once."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def record(self) -> ProcessRecord:
        """For the state file."""
        return ProcessRecord(
            name=self.spec.name,
            purpose=self.spec.purpose,
            state=self.state,
            pid=self.pid,
            started=self.started,
            restarts=self.restarts,
            last_exit=self.last_exit,
            address=self.spec.address,
            log=str(self.log),
            probe=self.spec.probe,
        )

    def _note(self, text: str) -> None:
        with suppress(OSError):
            descriptor = open_output(self.log)
            os.write(descriptor, f"{text}\n".encode())
            os.close(descriptor)


def _spawn(spec: ProcessSpec, output: int, command: Callable[[], Sequence[str]] | None = None) -> subprocess.Popen[bytes]:
    """Raises: whatever the spec's command raises, OSError when the system refuses."""
    # The supervisor's own signal mask and ignored signals would be passed on.
    user, group = spec.identity or (None, None)
    return subprocess.Popen(
        list((command or spec.command)()),
        cwd=spec.folder,
        env=dict(spec.environment),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        user=user,
        group=group,
        extra_groups=None if group is None else [],
    )
