"""Runs git and pip: bounded in time, without a terminal, and without our own secrets."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

from productops.errors import DependencyError

_OUTPUT_BYTES = 1_000_000
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
# What ties git to the repository of whoever started us (a hook, say) and not to the one we name.
_GIT_PLACE = frozenset(
    {
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_PREFIX",
        "GIT_COMMON_DIR",
        "GIT_NAMESPACE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_SHALLOW_FILE",
        "GIT_GRAFT_FILE",
        "GIT_REPLACE_REF_BASE",
        "GIT_CONFIG",
        "GIT_CONFIG_PARAMETERS",
        "GIT_CONFIG_COUNT",
    }
)
_QUIET_TOOLS = {
    "LC_ALL": "C",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
    "PIP_NO_INPUT": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
}


@dataclass(frozen=True, slots=True)
class ToolResult:
    """Exit code and output of a tool that has ended."""

    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The last lines a tool said about its failure, without credentials."""
        return redact(" / ".join((self.err.strip() or self.out.strip()).splitlines()[-4:])[:1000]) or f"exit code {self.code}"


def redact(text: str) -> str:
    """``text`` without the user and password of any URL in it."""
    return _CREDENTIALS.sub("", text)


def run_tool(arguments: Sequence[str], *, timeout_s: float, **environment: str) -> ToolResult:
    """Run a program to its end; its whole process group ends with it when it takes longer than ``timeout_s``.

    ``environment`` is added to ours, from which our own settings are taken out.
    Raises: DependencyError when the program is missing or too slow.
    """
    # Files and not pipes: a grandchild that holds a pipe open (git's transport helpers) would make us wait past the timeout.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        try:
            process = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=_environment() | environment,
                start_new_session=True,
            )
        except OSError as error:
            raise DependencyError(f"cannot run {arguments[0]}: {error.strerror}") from error
        code = _wait(process, timeout_s)
        if code is None:
            raise DependencyError(f"{redact(' '.join(arguments[:6]))} … took longer than {timeout_s:g} s")
        return ToolResult(code, _last_part(out), _last_part(err))


def _last_part(file: IO[bytes]) -> str:
    file.seek(max(0, os.fstat(file.fileno()).st_size - _OUTPUT_BYTES))
    return file.read(_OUTPUT_BYTES).decode(errors="replace")


def _wait(process: subprocess.Popen[bytes], timeout_s: float) -> int | None:
    """Exit code, or ``None`` when the time was up. Whatever interrupts the wait, nothing stays behind."""
    try:
        return process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _environment() -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PRODUCTOPS_") and name not in _GIT_PLACE}
    ours.setdefault("GIT_SSH_COMMAND", "ssh -o BatchMode=yes -o ConnectTimeout=10")
    return ours | _QUIET_TOOLS
