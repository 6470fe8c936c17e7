"""Runs a command that tests or measures a version: bounded in time, memory and processor, without our secrets, its output kept and cut."""

from __future__ import annotations

import glob
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import IO, Protocol

from productops.adapters.quality_command_watch import Tree, Used
from productops.errors import DependencyError, InvalidInputError, NotFoundError
from productops.redaction import redact

OUTPUT_HEAD_BYTES = 64 * 1024
OUTPUT_TAIL_BYTES = 192 * 1024
LINE_CHARACTERS_MAX = 500
"""Lines are cut there: looking for secrets in one of many thousands takes seconds."""
ARTIFACTS_MAX = 10_000
ARTIFACT_BYTES_MAX = 1024 * 1024 * 1024
GRACE_S = 2.0
"""Seconds between SIGTERM and SIGKILL."""
LOOK_S = 0.1
_READ_BYTES = 64 * 1024
# File systems keep times in steps; a report written in the first moment is no old one.
_CLOCK_STEP_S = 0.05
# Our own settings and Prefect's open the installation: no policy hands them on.
_NEVER = ("PRODUCTOPS_", "PREFECT_")
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR")
# Sets the limits in the process that becomes the command: between fork and exec of a program with threads nothing may be done safely.
_LAUNCHER = """
import os, resource, sys
def limit(name, value):
    hard = resource.getrlimit(name)[1]
    resource.setrlimit(name, (value, value if hard == resource.RLIM_INFINITY else min(value, hard)))
cpu_s, memory = int(sys.argv[1]), int(sys.argv[2])
limit(resource.RLIMIT_CORE, 0)
if cpu_s: limit(resource.RLIMIT_CPU, cpu_s)
if memory: limit(resource.RLIMIT_DATA, memory)
try:
    os.execvp(sys.argv[3], sys.argv[3:])
except OSError as error:
    sys.stderr.write(f"{sys.argv[3]} cannot be started: {error.strerror}\\n")
    os._exit(127)
"""


class Command(Protocol):
    """What is run, as a policy declares it. ``folder`` is below the sources; limits of 0 are none, ``cpu_s`` and ``memory_mb`` hold
    for all of its processes together.
    """

    @property
    def name(self) -> str: ...  # noqa: D102 - said above
    @property
    def argv(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def folder(self) -> str: ...  # noqa: D102
    @property
    def timeout_s(self) -> float: ...  # noqa: D102
    @property
    def memory_mb(self) -> int: ...  # noqa: D102
    @property
    def cpu_s(self) -> float: ...  # noqa: D102
    @property
    def artifacts(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def environment(self) -> Sequence[str]: ...  # noqa: D102


class CommandEnd(StrEnum):
    """How a command came to its end."""

    EXITED = "exited"
    TIMED_OUT = "timed-out"
    OUT_OF_MEMORY = "out-of-memory"
    OUT_OF_CPU = "out-of-cpu"
    KILLED = "killed"


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What a command did. ``exit_code`` is None when a signal ended it. ``output`` is standard output and error as they came, without
    known secrets, cut in the middle by ``output_cut_bytes``. ``artifacts`` are copies of what it wrote, ``stale`` names matching files
    that were there before and that it did not write again: they tell nothing of this run.
    """

    name: str
    end: CommandEnd
    exit_code: int | None
    duration_s: float
    cpu_s: float
    memory_mb_max: float
    output: str
    output_cut_bytes: int = 0
    artifacts: tuple[Path, ...] = ()
    stale: tuple[str, ...] = ()
    said: str = field(default="", repr=False)

    @property
    def succeeded(self) -> bool:
        """It ended by itself with exit code 0."""
        return self.end is CommandEnd.EXITED and self.exit_code == 0

    @property
    def sentence(self) -> str:
        """How it ended, for a person."""
        return f"{self.name} {self.said}"


def run_command(command: Command, folder: Path, out: Path) -> CommandResult:
    """Run it in ``folder / command.folder`` and keep output (``output.log``) and artifacts below ``out``, which must be empty or missing.

    Whatever it started is gone when this returns, background processes too.
    Raises: InvalidInputError for a folder outside ``folder`` or a variable that may not be passed on; NotFoundError for a program or
    folder that is not there; DependencyError when the system refuses to start it.
    """
    where = _inside(folder, command.folder, command.name)
    out.mkdir(parents=True, exist_ok=True)
    # Short: browsers put sockets below it, whose paths may not have more than 107 bytes.
    private = Path(tempfile.mkdtemp(prefix="quality-"))
    try:
        return _run(command, where, out, private)
    finally:
        shutil.rmtree(private, ignore_errors=True)


def _run(command: Command, where: Path, out: Path, private: Path) -> CommandResult:
    mark = uuid.uuid4().hex
    variables = _variables(command, os.environ, private) | {"PRODUCTOPS_COMMAND": mark}
    argv = [sys.executable if part == "{python}" else part for part in command.argv]
    _check_program(argv, where, variables["PATH"], command.name)
    started_at, started = time.time(), time.monotonic()
    process = _start(command, argv, where, variables)
    tree = Tree(process.pid, mark)
    output = _Output(process)
    end = _wait(process, tree, command, started)
    tree.kill_all(GRACE_S if end is not CommandEnd.EXITED else 0.0)
    code = process.wait()
    text, cut = output.text()
    (out / "output.log").write_text(text, encoding="utf-8")
    found, stale = _collect(command, where, out / "artifacts", since=started_at - _CLOCK_STEP_S)
    used, duration_s = tree.used, time.monotonic() - started
    end = _told_by_signal(end, code, command, used)
    return CommandResult(
        command.name, end, code if code >= 0 else None, duration_s, used.cpu_s, used.memory_mb_max, text, cut, found, stale,
        said=_said(end, code, command, used, duration_s),
    )  # fmt: skip


def _inside(root: Path, relative: str, name: str) -> Path:
    """The folder the command runs in. Raises: InvalidInputError outside ``root``; NotFoundError."""
    top = root.resolve()
    where = (top / relative).resolve()
    if not where.is_relative_to(top):
        raise InvalidInputError(f"command {name}: its folder {relative!r} leads out of the sources {top}")
    if not where.is_dir():
        raise NotFoundError(f"command {name}: there is no folder {where}; are the sources there?")
    return where


def _variables(command: Command, ours: Mapping[str, str], private: Path) -> dict[str, str]:
    """The command's whole environment: what every program needs, and what its policy names. Raises: InvalidInputError."""
    refused = [name for name in command.environment if name.startswith(_NEVER)]
    if refused:
        raise InvalidInputError(f"command {command.name}: {', '.join(refused)} open this installation and are never passed on")
    variables = {name: ours[name] for name in (*_PASSED_ON, *command.environment) if name in ours}
    for name, value in (("PATH", os.defpath), ("LANG", "C.UTF-8"), ("TZ", "UTC"), ("HOME", str(private)), ("TMPDIR", str(private))):
        variables.setdefault(name, value)
    return variables | {"CI": "true", "PYTHONUNBUFFERED": "1"}


def _check_program(argv: Sequence[str], where: Path, path: str, name: str) -> None:
    if not argv or any("\0" in part for part in argv):
        raise InvalidInputError(f"command {name}: argv names no program, or holds a NUL")
    place = str(where / argv[0]) if "/" in argv[0] else argv[0]
    if shutil.which(place, path=path) is None:
        raise NotFoundError(f"command {name}: there is no program {argv[0]!r} (looked in {where if '/' in argv[0] else path})")


def _start(command: Command, argv: Sequence[str], where: Path, variables: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Raises: DependencyError."""
    limits = [str(max(1, round(command.cpu_s)) if command.cpu_s else 0), str(command.memory_mb * 1024 * 1024)]
    # A thread that blocks signals would pass that on, and the command could not be asked to end.
    blocked = signal.pthread_sigmask(signal.SIG_SETMASK, ())
    try:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _LAUNCHER, *limits, *argv],
            cwd=where,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise DependencyError(f"command {command.name} cannot be started: {error.strerror}") from error
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _wait(process: subprocess.Popen[bytes], tree: Tree, command: Command, started: float) -> CommandEnd:
    """Until it ends or goes past a limit."""
    while True:
        used = tree.look()
        if command.memory_mb and used.memory_mb > command.memory_mb:
            return CommandEnd.OUT_OF_MEMORY
        if command.cpu_s and used.cpu_s > command.cpu_s:
            return CommandEnd.OUT_OF_CPU
        left = started + command.timeout_s - time.monotonic()
        if left <= 0:
            return CommandEnd.TIMED_OUT
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=min(LOOK_S, left))
            return CommandEnd.EXITED


def _told_by_signal(end: CommandEnd, code: int, command: Command, used: Used) -> CommandEnd:
    """The kernel's own word for a limit of one process."""
    if end is not CommandEnd.EXITED or code >= 0:
        return end
    if command.cpu_s and (-code == signal.SIGXCPU or (-code == signal.SIGKILL and used.cpu_s >= command.cpu_s - 1)):
        return CommandEnd.OUT_OF_CPU
    return CommandEnd.KILLED


def _said(end: CommandEnd, code: int, command: Command, used: Used, duration_s: float) -> str:
    return {
        CommandEnd.EXITED: f"ended after {duration_s:.1f} s with exit code {code}",
        CommandEnd.TIMED_OUT: f"was stopped after {command.timeout_s:g} s, its timeout",
        CommandEnd.OUT_OF_MEMORY: f"was stopped: its processes used {used.memory_mb_max:.0f} MB, and {command.memory_mb} are allowed",
        CommandEnd.OUT_OF_CPU: f"was stopped: it used {used.cpu_s:.0f} s of processor time, and {command.cpu_s:g} are allowed",
        CommandEnd.KILLED: f"was ended by signal {-code} after {duration_s:.1f} s",
    }[end]


class _Output:
    """Reads all the time, so that nobody waits for us; keeps the beginning and the end."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None  # noqa: S101 - it was asked for
        self._pipe: IO[bytes] = process.stdout
        self._head = bytearray()
        self._tail: deque[bytes] = deque()
        self._tail_bytes = self._cut = 0
        self._reader = threading.Thread(target=self._read, name="command-output", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with suppress(OSError, ValueError):  # it was closed while somebody we could not end still had the other side
            while part := os.read(self._pipe.fileno(), _READ_BYTES):
                self._keep(part)

    def _keep(self, part: bytes) -> None:
        room = OUTPUT_HEAD_BYTES - len(self._head)
        self._head += part[:room] if room > 0 else b""
        rest = part[max(room, 0) :]
        if rest:
            self._tail.append(rest)
            self._tail_bytes += len(rest)
        while self._tail and self._tail_bytes - len(self._tail[0]) >= OUTPUT_TAIL_BYTES:
            gone = self._tail.popleft()
            self._tail_bytes -= len(gone)
            self._cut += len(gone)

    def text(self) -> tuple[str, int]:
        """What was said, and how many bytes of it are left out."""
        self._reader.join(timeout=1.0)
        self._pipe.close()
        gap = f"\n… {self._cut:,} bytes are left out here …\n".encode() if self._cut else b""
        whole = (bytes(self._head) + gap + b"".join(self._tail)).decode("utf-8", "replace")
        return redact("".join(_short(line) for line in whole.splitlines(keepends=True))), self._cut


def _short(line: str) -> str:
    """A line as long as a person reads it."""
    if len(line) <= LINE_CHARACTERS_MAX:
        return line
    return f"{line[:LINE_CHARACTERS_MAX]} … {len(line) - LINE_CHARACTERS_MAX:,} characters more\n"


def _collect(command: Command, where: Path, to: Path, *, since: float) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Copies of what it wrote, and the names of what it did not. Raises: InvalidInputError past a limit."""
    found: list[Path] = []
    stale: list[str] = []
    size = 0
    for name in _matching(command, where):
        source = where / name
        told = source.stat()
        if told.st_mtime < since:
            stale.append(name)
            continue
        size += told.st_size
        if len(found) >= ARTIFACTS_MAX or size > ARTIFACT_BYTES_MAX:
            raise InvalidInputError(
                f"command {command.name}: its artifacts are more than {ARTIFACTS_MAX:,} files or {ARTIFACT_BYTES_MAX:,} bytes"
            )
        kept = to / name
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, kept, follow_symlinks=False)
        found.append(kept)
    return tuple(found), tuple(stale)


def _matching(command: Command, where: Path) -> Iterator[str]:
    """Files below the command's folder that a pattern of it names; links lead anywhere and are left out."""
    seen: set[str] = set()
    for pattern in command.artifacts:
        if pattern.startswith("/") or ".." in Path(pattern).parts:
            raise InvalidInputError(f"command {command.name}: artifacts {pattern!r} must lie below its folder")
        for name in sorted(glob.glob(pattern, root_dir=where, recursive=True)):
            path = where / name
            if name not in seen and path.is_file() and not path.is_symlink() and path.resolve().is_relative_to(where):
                seen.add(name)
                yield name
