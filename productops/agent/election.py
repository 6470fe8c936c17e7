"""Several agents, one writer: who writes the router is decided by a row of the store and the watchers' own monotonic clocks."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import psutil
import structlog

from productops.domain.traffic import AgentTerm
from productops.errors import StoreUnavailableError
from productops.store import Store, Unit
from productops.usecases.context import OURSELVES, Clock
from productops.usecases.governance_audit_note import note

log = structlog.get_logger(__name__)
PATIENCE_S = 3.0
BEAT_S = 1.0
LOOK_S = 0.25


@dataclass(frozen=True, slots=True)
class Identity:
    """An agent's process: ``machine`` tells apart machines and containers, ``created`` (Unix seconds) a pid that was given anew."""

    machine: str
    pid: int
    created: float

    @classmethod
    def here(cls) -> Identity:
        """This process."""
        return cls(machine_name(), os.getpid(), psutil.Process().create_time())

    @classmethod
    def parse(cls, holder: str) -> Identity | None:
        """Read ``name``'s form; ``None`` for a text that is none."""
        parts = holder.split("#")
        try:
            return cls(parts[0], int(parts[1]), float(parts[2]))
        except (ValueError, IndexError):
            return None

    @property
    def name(self) -> str:
        """What the store calls it."""
        return f"{self.machine}#{self.pid}#{self.created:.2f}"

    def lives(self) -> bool:
        """Whether that very process runs. Only meaningful on its own machine."""
        try:
            process = psutil.Process(self.pid)
            return abs(process.create_time() - self.created) < 0.02 and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False


def machine_name() -> str:
    """Host name and, on Linux, the space its process ids belong to: two containers may share the one but never the other."""
    space = ""
    with suppress(OSError):
        space = os.readlink("/proc/self/ns/pid").strip("pid:[]")
    return f"{socket.gethostname()[:50].replace('#', '-')}/{space}"


def router_name(folder: Path) -> str:
    """Name of the router whose files lie in ``folder``, the same for all who share it; given when first asked for."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "name"
    if not path.exists():
        fresh = folder / f".name.{uuid.uuid4().hex}"
        fresh.write_text(f"router-{uuid.uuid4()}\n", encoding="ascii")
        with suppress(FileExistsError):
            os.link(fresh, path)  # whoever is first names it
        fresh.unlink()
    return path.read_text(encoding="ascii").strip()


@dataclass(slots=True)
class Election:
    """One agent's part in it. A candidate watches the holder's beat: standing still for ``PATIENCE_S`` of its own seconds ends a term.

    A holder of this very machine whose process is gone is followed at once; one that is frozen is ended first, since it could otherwise
    finish a write that it had begun. ``latest_term`` is the last term the router itself knows of.
    """

    store: Store
    router: str
    me: Identity
    latest_term: Callable[[], int] = lambda: 0
    clock: Clock = field(default_factory=Clock)
    patience_s: float = PATIENCE_S
    _seen: AgentTerm | None = None
    _seen_at: float = 0.0

    def campaign(self, stopping: threading.Event) -> AgentTerm | None:
        """Wait until this agent has the router; ``None`` when it is told to stop before."""
        standing_by = False
        while not stopping.is_set():
            try:
                if (mine := self.attempt()) is not None:
                    return mine
            except StoreUnavailableError as error:
                log.warning("no election without the store", reason=str(error))
            if not standing_by and self._seen is not None:
                standing_by = True
                log.info("standing by", router=self.router, holder=self._seen.holder)
            stopping.wait(LOOK_S)
        return None

    def attempt(self) -> AgentTerm | None:
        """Look once, and take over when nobody has the router or its holder is silent. Raises: StoreUnavailableError."""
        with self.store.read() as unit:
            present = unit.agents.find(self.router)
        if present is not None and not self._is_over(present):
            return None
        with self.store.write() as unit:
            later_than, now = self.latest_term(), self.clock.now()
            mine = unit.agents.take(self.router, self.me.name, seen=present, later_than=later_than, now=now)
            if mine is not None:
                before = {"holder": present.holder, "term": present.term} if present is not None else None
                _say(unit, "agent.elected", self.router, now=now, before=before, after={"holder": mine.holder, "term": mine.term})
        if mine is None:
            return None
        if present is not None:
            self._end_frozen(present)
        log.info("this agent writes the router", router=self.router, term=mine.term, after=present.holder if present else "")
        return mine

    def _is_over(self, present: AgentTerm) -> bool:
        now = self.clock.monotonic()
        if self._seen is None or (present.holder, present.beat, present.term) != (self._seen.holder, self._seen.beat, self._seen.term):
            self._seen, self._seen_at = present, now
        holder = Identity.parse(present.holder)
        gone = holder is None or (holder.machine == self.me.machine and not holder.lives())
        return not present.holder or gone or now - self._seen_at >= self.patience_s

    def _end_frozen(self, former: AgentTerm) -> None:
        holder = Identity.parse(former.holder)
        if holder is not None and holder.machine == self.me.machine and holder.pid != self.me.pid and holder.lives():
            log.warning("ending the former agent: it has shown no sign of life", pid=holder.pid, router=self.router)
            with suppress(ProcessLookupError, PermissionError):
                os.kill(holder.pid, signal.SIGKILL)


def _say(unit: Unit, action: str, router: str, *, now: datetime, before: object, after: object) -> None:
    note(unit, OURSELVES, action, f"router/{router}", now=now, before=before, after=after)


@dataclass(slots=True)
class TermLoop:
    """Keeps a term alive from a thread of its own. A deposed agent ends: its supervisor starts it again, to stand by."""

    store: Store
    mine: AgentTerm
    stopping: threading.Event
    on_deposed: Callable[[], None]
    clock: Clock = field(default_factory=Clock)

    def run(self) -> None:
        """Until the agent stops or is deposed."""
        while not self.stopping.wait(BEAT_S):
            try:
                with self.store.write() as unit:
                    held = unit.agents.beat(self.mine, now=self.clock.now())
            except StoreUnavailableError as error:
                # Nobody else can be elected by a store that is away from all; one that is away from here alone is caught by the fence.
                log.warning("term not renewed", reason=str(error))
                continue
            if not held:
                self.on_deposed()
                return

    def resign(self) -> None:
        """Step down, so that a successor need not wait. Never raises."""
        with suppress(StoreUnavailableError), self.store.write() as unit:
            now = self.clock.now()
            unit.agents.resign(self.mine, now=now)
            before = {"holder": self.mine.holder, "term": self.mine.term}
            _say(unit, "agent.resigned", self.mine.router, now=now, before=before, after=None)


def end_deposed() -> None:
    """Leave at once and write nothing more: another agent has the router."""
    log.error("another agent has the router; ending")
    sys.stderr.write("error: another agent writes this router now\n")
    sys.stderr.flush()
    os._exit(75)
