"""``productops up --detach``: the same stack without a terminal."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence

from productops.cli.stack.environment import PROGRAM_FOLDER, settings_environment
from productops.cli.stack.home import prepare_home, resolved
from productops.cli.stack.output import last_lines, open_output
from productops.cli.stack.start import READY_S, Say
from productops.cli.stack.state import StackRecord, log_path, read_state, take_lock
from productops.errors import ProductOpsError, SettingsError, StackError, StoreUnavailableError
from productops.settings import Settings

_LOOK_S = 0.1
_WAIT_S = READY_S + 30.0
_COMMAND = (sys.executable, "-m", "productops.cli.main", "up")
_BY_EXIT_CODE = {each.exit_code: each for each in (SettingsError, StoreUnavailableError, StackError)}


def start_detached(settings: Settings, *, say: Say, options: Sequence[str] = (), command: Sequence[str] = _COMMAND) -> StackRecord:
    """Start the supervisor in a session of its own and return its record once all is ready.

    Raises: AlreadyRunningError, and what the supervisor failed with; StackError when it is not ready after a minute and a half,
    and goes on trying.
    """
    settings = resolved(settings)
    prepare_home(settings.home)
    take_lock(settings.home).close()  # says so at once when there is one already
    log = log_path(settings.home, "supervisor")
    output = open_output(log)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PRODUCTOPS_")}
    try:
        process = subprocess.Popen(
            [*command, *options],
            cwd=PROGRAM_FOLDER,
            env=inherited | settings_environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    finally:
        os.close(output)
    record = _wait(process, settings)
    say(f"the stack runs in the background (supervisor {process.pid}); what it says goes to {log}")
    process.returncode = 0  # it outlives this command
    return record


def _wait(process: subprocess.Popen[bytes], settings: Settings) -> StackRecord:
    log = log_path(settings.home, "supervisor")
    deadline = time.monotonic() + _WAIT_S
    while time.monotonic() < deadline:
        code = process.poll()
        if code is not None:
            raise _failure(code, last_lines(log, 3))
        record = read_state(settings.home)
        if record and record.pid == process.pid and record.phase == "running":
            return record
        time.sleep(_LOOK_S)
    process.returncode = 0
    raise StackError(f"the stack is not ready after {_WAIT_S:.0f} s and goes on trying; see `productops status` and {log}")


def _failure(code: int, lines: list[str]) -> ProductOpsError:
    """The error the supervisor ended with, told by its exit code and its last words."""
    words = next((line.removeprefix("error: ") for line in reversed(lines) if line.startswith("error: ")), " | ".join(lines))
    return _BY_EXIT_CODE.get(code, StackError)(words or f"the supervisor ended with {code}")
