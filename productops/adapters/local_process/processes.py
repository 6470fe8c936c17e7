"""Which processes are instances of this installation, and how they are ended."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import psutil

INSTANCE_ID = "PRODUCTOPS_INSTANCE_ID"
INSTANCE_HOME = "PRODUCTOPS_INSTANCE_HOME"
SAME_START_S = 0.01


@dataclass(frozen=True, slots=True)
class LocalProcess:
    """Identity of a process: pids are used again, a pid and its creation time (Unix seconds) are not."""

    pid: int
    started: float


class ProcessTable:
    """The instances of the installation in ``home``, whoever started them."""

    def __init__(self, home: Path) -> None:
        self._home = home

    @cached_property
    def _booted(self) -> float | None:
        """Unix time of the boot as this installation first read it; ``None`` where creation times need no reference.

        Linux knows a process's start since the boot and derives the boot's date from the wall clock of the moment: a step of the clock
        would change every creation time, and running instances would be taken for strangers. So the date is read once per boot.
        """
        if not psutil.LINUX:
            return None
        try:
            boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        except OSError:  # hidden by a container: creation times are as good as the clock
            return None
        record = self._home / "boot.json"
        with suppress(OSError, ValueError, TypeError, KeyError):
            known = json.loads(record.read_bytes())
            if known["boot_id"] == boot:
                return float(known["booted"])
        booted = psutil.boot_time()
        self._home.mkdir(parents=True, exist_ok=True)
        fresh = record.with_name(f"boot.{os.getpid()}.new")
        fresh.write_text(json.dumps({"boot_id": boot, "booted": booted}), encoding="ascii")
        fresh.replace(record)
        return booted

    def identify(self, pid: int) -> LocalProcess:
        """Raises: psutil.NoSuchProcess when no process has ``pid``."""
        if self._booted is None:
            return LocalProcess(pid, psutil.Process(pid).create_time())
        return LocalProcess(pid, round(self._booted + _since_boot(pid), 3))

    def alive(self, pid: int, started: float) -> bool:
        """Whether that very process runs. One of our own children that has ended is reaped."""
        try:
            if not self._is_same(pid, started):
                return False
        except psutil.NoSuchProcess:
            return False
        if not _has_ended(pid):
            return True
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        return False

    def find(self) -> dict[str, LocalProcess]:
        """The topmost living process of every instance id: an instance's children carry its id as well."""
        members: dict[str, list[int]] = {}
        for pid in psutil.pids():
            instance = self._instance_of(pid)
            if instance is not None:
                members.setdefault(instance, []).append(pid)
        found: dict[str, LocalProcess] = {}
        for instance, pids in members.items():
            with suppress(psutil.Error):
                found[instance] = self.identify(_topmost(pids))
        return found

    def signal(self, pid: int, started: float, *, kill: bool) -> None:
        """Ask the instance and its children to end, or end them; nothing happens to anything else, nor when all of it has ended."""
        number = signal.SIGKILL if kill else signal.SIGTERM
        session = self._session_of(pid, started)
        # A member may fork while it is being killed; the second round meets the fork.
        for _ in range(2 if kill else 1):
            _signal(session, number)

    def _is_same(self, pid: int, started: float) -> bool:
        return abs(self.identify(pid).started - started) <= SAME_START_S

    def _session_of(self, pid: int, started: float) -> int:
        """Session of that very process, 0 when there is nothing to signal.

        When it has ended and left children behind, theirs, if they carry our mark. A process that lives in a session of somebody else
        (it did not come from us) has none of its own to end.
        """
        try:
            if not self._is_same(pid, started):
                return 0
            session = os.getsid(pid)
            return session if session == pid or _has_ended(session) else 0
        except (psutil.Error, ProcessLookupError):
            return pid if any(self._instance_of(member) for member in _members(pid)) else 0

    def _instance_of(self, pid: int) -> str | None:
        """Instance id of a living process of ours and of this user."""
        marks = _environment(pid)
        if marks.get(INSTANCE_HOME) != str(self._home):
            return None
        try:
            if psutil.Process(pid).uids().effective != os.geteuid():
                return None
        except psutil.Error:
            return None
        return marks.get(INSTANCE_ID) or None


def _since_boot(pid: int) -> float:
    """Seconds from the boot to the start of a process (Linux). Raises: psutil.NoSuchProcess."""
    try:
        # The name in parentheses may hold anything; the start is the 20th field after it. Source: proc(5), /proc/pid/stat.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError) as error:
        raise psutil.NoSuchProcess(pid) from error
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")


def _environment(pid: int) -> Mapping[str, str]:
    """A process's environment as it was started; empty when it has ended or is not ours to read."""
    try:
        return psutil.Process(pid).environ()
    except (psutil.Error, OSError):
        return {}


def _members(session: int) -> Iterator[int]:
    for pid in psutil.pids():
        with suppress(ProcessLookupError, PermissionError):
            if os.getsid(pid) == session:
                yield pid


def _has_ended(pid: int) -> bool:
    """Whether a process is gone, or would be if its parent had taken notice."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _topmost(pids: list[int]) -> int:
    """The session's leader if it lives, else the one whose parent is not among them, else the first."""
    if len(pids) == 1:
        return pids[0]

    def rank(pid: int) -> tuple[bool, bool, int]:
        with suppress(ProcessLookupError, psutil.Error):
            return (psutil.Process(pid).ppid() in pids, os.getsid(pid) != pid, pid)
        return (True, True, pid)

    return min(pids, key=rank)


def _signal(session: int, number: signal.Signals) -> None:
    """Signal a session: its first process group at once, which a fork cannot slip out of, then what moved to other groups."""
    if session == 0:
        return
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(session, number)
    for member in _members(session):
        with suppress(ProcessLookupError, PermissionError):
            if os.getpgid(member) != session:
                os.kill(member, number)
