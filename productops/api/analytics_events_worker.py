"""Sorts events in, in a process of its own: what it reads and writes keeps no request waiting.

``python -m productops.api.analytics_events_worker`` does what there is to do and ends after a minute without work, or with its parent.
Each API starts one when events wait; of several one works at a time, by a lease in the database.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import TYPE_CHECKING

import structlog
from anyio import to_thread

from productops.adapters.analytics_events_json import is_installed
from productops.api.analytics_child import END_S, Child
from productops.errors import ProductOpsError
from productops.settings import Settings
from productops.store import Store
from productops.usecases.analytics_events_work import EventWork, is_work_waiting
from productops.usecases.context import Context

if TYPE_CHECKING:
    from fastapi import FastAPI

    from productops.api.analytics_events_intake import EventDoor
    from productops.usecases.analytics_events_exposures import Exposures

log = structlog.get_logger(__name__)
LOOK_S = 1.0
AGAIN_S = 5.0
TURN_S = 3.0
IDLE_S = 60.0


@dataclass(slots=True)
class EventWorker:
    """One per API process: hands exposures of flags to the disk, counts refusals, and keeps a child that sorts in."""

    context: Context
    settings: Settings
    door: EventDoor
    exposures: Exposures
    _child: Child = field(init=False)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __post_init__(self) -> None:
        given = {
            "PRODUCTOPS_HOME": str(self.settings.home), "PRODUCTOPS_DATABASE_URL": self.settings.sqlalchemy_url,
            "PRODUCTOPS_ANALYTICS": str(self.settings.analytics_folder),
            "PRODUCTOPS_ANALYTICS_RETENTION_DAYS": str(self.settings.analytics_retention_days),
        }  # fmt: skip
        self._child = Child("productops.api.analytics_events_worker", given, AGAIN_S)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread = threading.Thread(target=self._repeat, name="analytics-events", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End; what is not sorted in yet is sorted in by whoever comes next."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(END_S)
        self._child.end()
        with suppress(ProductOpsError):
            self._flush()
        self.door.close()

    def _repeat(self) -> None:
        while not self._stopping.wait(LOOK_S):
            try:
                self._flush()
                self._child.look(lambda: is_work_waiting(self.context) and not self._stopping.is_set())
            except (ProductOpsError, OSError) as error:
                log.warning("events wait", reason=str(error))
                self._child.rest()

    def _flush(self) -> None:
        """Raises: ProductOpsError; what is not written is written next time."""
        if not is_installed():
            self.exposures.forget()
        elif self.exposures.waiting:
            self.exposures.flush(self.door.intake)
        if self.door.opened is not None:
            self.door.opened.flush_refusals()


@asynccontextmanager
async def events_running(app: FastAPI, settings: Settings) -> AsyncIterator[None]:
    """Sort events in as long as the application runs."""
    worker = EventWorker(app.state.context, settings, app.state.events, app.state.flags.exposures)
    worker.start()
    try:
        yield
    finally:
        await to_thread.run_sync(worker.stop)


class _Silent:
    """Nothing here changes what routers do."""

    def ring(self) -> None:
        """Nothing."""


def sort_until_idle(work: EventWork, *, parent: int, stopping: threading.Event) -> None:
    """Turn after turn, until there is nothing for a minute, or the parent is gone. Raises: what a turn does."""
    idle_since = time.monotonic()
    while not stopping.is_set() and (not parent or os.getppid() == parent):
        worked = work.turn(stopping=stopping.is_set)
        now = time.monotonic()
        if worked or (worked is not None and is_work_waiting(work.context)):
            idle_since = now
        if now - idle_since > IDLE_S:
            return
        stopping.wait(TURN_S)


def main() -> int:
    """The exit code."""
    from productops.logs import set_up_logs
    from productops.settings import load_settings
    from productops.usecases.analytics_events_folder import who_we_are

    stopping = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    try:
        settings = load_settings()
        set_up_logs(settings, program="events")
        # Not all that the API is given: of that, half of the time to start goes into what is not needed here.
        context = Context(
            store=Store(settings.sqlalchemy_url), doorbell=_Silent(), lease_ttl_s=settings.lease_ttl_s,
            analytics_folder=settings.analytics_folder,
        )  # fmt: skip
    except ProductOpsError as error:
        print(f"productops events: {error}", file=sys.stderr)
        return error.exit_code
    # A round makes millions of objects and no circles; looking for some takes half of its time.
    gc.disable()
    work = EventWork(context, who_we_are(), settings.analytics_retention_days)
    try:
        sort_until_idle(work, parent=int(sys.argv[1]) if len(sys.argv) > 1 else 0, stopping=stopping)
        work.end()
    except ProductOpsError as error:
        print(f"productops events: {error}", file=sys.stderr)
        return error.exit_code
    finally:
        context.store.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
