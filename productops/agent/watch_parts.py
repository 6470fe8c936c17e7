"""Parts of the watch: each in a thread of its own, at its own pace, so that a slow or failing one holds up no other."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from productops.errors import AgentDeposedError, ProductOpsError, StoreUnavailableError

log = structlog.get_logger("watch")
COMPLAIN_EVERY_S: Final = 60.0
LONGEST_PAUSE_S: Final = 5.0
PRESSED_S: Final = 15.0
FROZEN: Final = 20.0
"""A turn that takes so many times its limit will not come back: the whole process begins again."""


@dataclass(slots=True)
class Part:
    """``work`` is called every ``every_s`` seconds and should take less than ``limit_s``.

    ``everywhere``: also where another machine's watch was elected, like what measures this very machine. ``pressed``: while this is so
    it comes far less often, so that what an incident needs at once gets the processor.
    """

    name: str
    work: Callable[[], object]
    every_s: float
    limit_s: float = 5.0
    everywhere: bool = False
    pressed: Callable[[], bool] | None = None
    end: Callable[[], None] | None = None
    turns: int = 0
    failures: int = 0
    in_a_row: int = 0
    took_ms: float = 0.0
    longest_ms: float = 0.0
    problem: str = ""
    began: float = 0.0
    """Monotonic; 0 between two turns."""
    _complained: float = float("-inf")

    def turn(self) -> None:
        """Once; what goes wrong is noted and tried again at the next."""
        self.began = time.monotonic()
        try:
            self.work()
        except AgentDeposedError:
            raise
        except StoreUnavailableError as error:
            self._failed(error, "the database does not answer")
        except (ProductOpsError, OSError) as error:
            self._failed(error, str(error))
        except Exception as error:  # noqa: BLE001 - a mistake in one part must not take the eyes of all others
            self._failed(error, f"{type(error).__name__}: {error}", trace=True)
        else:
            self.in_a_row, self.problem = 0, ""
        took = time.monotonic() - self.began
        self.took_ms, self.began = took * 1000.0, 0.0
        self.longest_ms = max(self.longest_ms * 0.999, self.took_ms)
        self.turns += 1

    def _failed(self, error: Exception, words: str, *, trace: bool = False) -> None:
        self.failures, self.in_a_row, self.problem = self.failures + 1, self.in_a_row + 1, words[:300]
        now = time.monotonic()
        if now - self._complained >= COMPLAIN_EVERY_S:
            self._complained = now
            log.warning("part of the watch failed", part=self.name, reason=str(error), exc_info=trace)

    def pause_s(self, took_s: float) -> float:
        """Until the next turn: at its pace, slower after failures in a row or while it is pressed, never back to back."""
        if self.pressed is not None and self.pressed():
            return max(PRESSED_S, self.every_s)
        pace = self.every_s if not self.in_a_row else min(LONGEST_PAUSE_S, self.every_s * 2.0 ** min(self.in_a_row, 6))
        return max(0.02, pace - took_s)

    def running_s(self) -> float:
        """How long the present turn takes already; 0 between two."""
        began = self.began
        return time.monotonic() - began if began else 0.0

    def document(self) -> dict[str, Any]:
        """For the status."""
        state = "failing" if self.in_a_row else "slow" if self.running_s() > self.limit_s else "well"
        return {
            "name": self.name, "state": state, "every_s": self.every_s, "turns": self.turns, "failures": self.failures,
            "took_ms": round(self.took_ms, 1), "longest_ms": round(self.longest_ms, 1), "running_s": round(self.running_s(), 1),
            "problem": self.problem,
        }  # fmt: skip


@dataclass(slots=True)
class Parts:
    """All parts with their threads. Those that are not for everywhere wait until this process is ``elected``."""

    parts: Sequence[Part]
    stopping: threading.Event
    elected: threading.Event = field(default_factory=threading.Event)
    give_up: Callable[[int], None] = os._exit
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """A thread each."""
        for part in self.parts:
            thread = threading.Thread(target=self._run, args=(part,), name=part.name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self, part: Part) -> None:
        while not part.everywhere and not self.elected.wait(0.25):
            if self.stopping.is_set():
                return
        while not self.stopping.is_set():
            began = time.monotonic()
            try:
                part.turn()
            except AgentDeposedError:
                self.give_up(75)
                return
            self.stopping.wait(part.pause_s(time.monotonic() - began))

    def frozen(self) -> Part | None:
        """A part whose turn will not come back."""
        return next((part for part in self.parts if part.running_s() > FROZEN * part.limit_s), None)

    def end(self, *, grace_s: float = 2.0) -> None:
        """Let present turns finish, then let each part put away what it knows."""
        deadline = time.monotonic() + grace_s
        for thread in self._threads:
            thread.join(timeout=max(0.0, deadline - time.monotonic()))
        for part in self.parts:
            if part.end is not None and self.elected.is_set() and not part.running_s():
                part.end()
