"""``productops down``: ends the stack of a home, and whatever a killed one left."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from productops.cli.stack.processes import Belonging, HomeProcesses
from productops.cli.stack.start import Say
from productops.cli.stack.state import StackRecord, is_locked, read_state, remove_state
from productops.errors import StackError

END_S = 15.0
_GRACE_S = 3.0
_LOOK_S = 0.05
_RECORD_S = 5.0


def stop_stack(home: Path, *, say: Say) -> None:
    """End everything that belongs to ``home``; it is no error when nothing runs.

    Raises: StackError when something cannot be ended.
    """
    home = home.expanduser().resolve()
    processes = HomeProcesses(home)
    record = _record(home)
    ended = _end_supervisor(processes, record, say) if record else []
    left = processes.find(record)
    if left:
        say(f"ending what no supervisor looks after: {_names(left)}")
        killed = processes.end(left, grace_s=_GRACE_S)
        if killed:
            say(f"had to be killed: {_names(killed)}")
    still = processes.find(record)
    if still:
        raise StackError(f"these processes could not be ended: {_names(still)}; end them by hand")
    if home.is_dir():
        remove_state(home)
    if not ended and not left:
        say(f"nothing runs in {home}")


def _record(home: Path) -> StackRecord | None:
    """A stack that has just been started has its lock a moment before its record."""
    deadline = time.monotonic() + _RECORD_S
    while (record := read_state(home)) is None and is_locked(home) and time.monotonic() < deadline:
        time.sleep(_LOOK_S)
    return record


def _end_supervisor(processes: HomeProcesses, record: StackRecord, say: Say) -> list[str]:
    """Ask the supervisor to end everything in order; kill it when it does not. Returns what it ended."""
    if not processes.is_alive(record.pid, record.started):
        return []
    running = [f"{each.name} ({each.pid})" for each in record.processes if each.pid]
    began = time.monotonic()
    with suppress(ProcessLookupError):
        os.kill(record.pid, signal.SIGTERM)
    while processes.is_alive(record.pid, record.started):
        if time.monotonic() - began > END_S:
            say(f"the supervisor ({record.pid}) does not end within {END_S:.0f} s; killing it")
            with suppress(ProcessLookupError):
                os.kill(record.pid, signal.SIGKILL)
            return running
        time.sleep(_LOOK_S)
    say(f"ended in {time.monotonic() - began:.1f} s: {', '.join([*running, f'supervisor ({record.pid})'])}")
    return running or [str(record.pid)]


def _names(processes: list[Belonging]) -> str:
    return ", ".join(str(each) for each in processes)
