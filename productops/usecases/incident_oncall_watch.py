"""What the watch process does for people, beat by beat: call, remind, count uptime, send. One part that fails stops no other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import structlog

from productops.errors import ProductOpsError
from productops.usecases.context import Context
from productops.usecases.incident_oncall_escalate import escalate_due
from productops.usecases.incident_status_page import count_uptime
from productops.usecases.incident_tell_remind import remind_tasks, remind_updates
from productops.usecases.incident_tell_send import send_due

log = structlog.get_logger(__name__)

_EVERY: Final = (
    ("escalate", escalate_due, timedelta(0)),
    ("remind-updates", remind_updates, timedelta(seconds=5)),
    ("remind-tasks", remind_tasks, timedelta(minutes=5)),
    ("uptime", count_uptime, timedelta(minutes=1)),
)


class PeopleWatch:
    """Call ``tick`` about once a second. It is safe to run in several processes at once: rows decide who does what.

    Sending has a thread of its own, because a channel may take its time; ``close`` ends it.
    """

    def __init__(self, context: Context, *, send_every_s: float = 0.5) -> None:
        self._context = context
        self._next: dict[str, datetime] = {}
        self._stop = threading.Event()
        self._send_every_s = send_every_s
        self._sender: threading.Thread | None = None

    def tick(self, now: datetime | None = None) -> None:
        """What is due by now; never raises for what a database or a channel does."""
        at = now or self._context.clock.now()
        if self._sender is None:
            self._sender = threading.Thread(target=self._sending, name="notices", daemon=True)
            self._sender.start()
        for name, part, every in _EVERY:
            if at >= self._next.get(name, at):
                self._next[name] = at + every
                _guarded(name, lambda part=part: part(self._context, at))  # type: ignore[misc]  # bound now, called now

    def _sending(self) -> None:
        while not self._stop.wait(self._send_every_s):
            _guarded("send", lambda: send_due(self._context))

    def close(self) -> None:
        """End the sender; what it holds is taken up again by another one."""
        self._stop.set()
        if self._sender is not None:
            self._sender.join(timeout=5)


def _guarded(name: str, part: Callable[[], int]) -> None:
    try:
        part()
    except ProductOpsError as error:
        log.warning("people were not told in this beat", part=name, reason=error.detail)
    except Exception:  # whatever it is, others have to be called in the next beat
        log.exception("a part of telling people failed", part=name)
