"""Signals as something to wait for: they wake a loop, which then decides."""

from __future__ import annotations

import contextlib
import ctypes
import os
import selectors
import signal
import socket
import sys
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any, Self

_PR_SET_CHILD_SUBREAPER = 36
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Wakeups:
    """Catches SIGINT, SIGTERM, SIGHUP and SIGCHLD while it is entered; only in the main thread."""

    def __init__(self) -> None:
        self._before: dict[signal.Signals, Any] = {}
        self._before_fd = -1
        self.end_requests = 0
        self.end_signal = ""

    def __enter__(self) -> Self:
        self._inside, self._outside = socket.socketpair()
        self._inside.setblocking(False)  # noqa: FBT003
        self._outside.setblocking(False)  # noqa: FBT003
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._inside, selectors.EVENT_READ)
        self._before_fd = signal.set_wakeup_fd(self._outside.fileno(), warn_on_full_buffer=False)
        for number in _ENDING:
            # Whoever says nohup means it.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._on_end)
        self._before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        signal.set_wakeup_fd(self._before_fd)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._selector.close()
        self._inside.close()
        self._outside.close()

    def wait(self, timeout_s: float | None) -> None:
        """Sleep until a signal or a ``wake``, at most ``timeout_s``."""
        if self._selector.select(timeout_s):
            with contextlib.suppress(BlockingIOError):
                while self._inside.recv(4096):
                    pass

    def wake(self) -> None:
        """End the sleep from another thread."""
        with contextlib.suppress(OSError):
            self._outside.send(b"\0")

    def _on_end(self, number: int, _frame: FrameType | None) -> None:
        self.end_requests += 1
        self.end_signal = signal.Signals(number).name


@contextlib.contextmanager
def subreaper() -> Iterator[None]:
    """Orphans of our descendants become our children instead of init's, so that they are reaped and found. Linux only."""
    _set_subreaper(1)
    try:
        yield
    finally:
        _set_subreaper(0)


def _set_subreaper(value: int) -> None:
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, value, 0, 0, 0)


def describe_exit(status: int) -> str:
    """A wait status in words."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exit {code}"
    with contextlib.suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"
