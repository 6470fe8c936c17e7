"""Counts days whose events changed, in a process of its own: it keeps no request waiting.

``python -m productops.api.analytics_usage_worker`` counts what there is to count and ends after a minute without work, or with its
parent. What has to be counted is found in the database each time, so that nothing is lost when it is killed.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import TYPE_CHECKING

import structlog
from anyio import to_thread

from productops.api.analytics_child import END_S, Child
from productops.errors import DependencyError, ProductOpsError
from productops.settings import Settings
from productops.usecases.analytics_usage import need_engine
from productops.usecases.analytics_usage_refresh import is_counting_waiting, refresh_all
from productops.usecases.context import Context

if TYPE_CHECKING:
    from fastapi import FastAPI

log = structlog.get_logger(__name__)
LOOK_S = 5.0
TURN_S = 10.0
IDLE_S = 60.0
AGAIN_S = 30.0


@dataclass(slots=True)
class UsageWorker:
    """One per API process; keeps a child while there is something to count."""

    context: Context
    settings: Settings
    _child: Child = field(init=False)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __post_init__(self) -> None:
        given = {
            "PRODUCTOPS_HOME": str(self.settings.home), "PRODUCTOPS_DATABASE_URL": self.settings.sqlalchemy_url,
            "PRODUCTOPS_ANALYTICS": str(self.settings.analytics_folder),
        }  # fmt: skip
        self._child = Child("productops.api.analytics_usage_worker", given, AGAIN_S)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread = threading.Thread(target=self._repeat, name="analytics-usage", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End; what is not counted yet is counted by whoever comes next."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(END_S)
        self._child.end()

    def _repeat(self) -> None:
        while not self._stopping.wait(LOOK_S):
            try:
                self._child.look(lambda: is_counting_waiting(self.context) and not self._stopping.is_set())
            except (ProductOpsError, OSError) as error:
                log.warning("daily figures wait", reason=str(error))
                self._child.rest()


@asynccontextmanager
async def usage_running(app: FastAPI, settings: Settings) -> AsyncIterator[None]:
    """Count what changes as long as the application runs; nothing where usage events cannot be read."""
    try:
        need_engine()
    except DependencyError:
        yield
        return
    worker = UsageWorker(app.state.context, settings)
    worker.start()
    try:
        yield
    finally:
        await to_thread.run_sync(worker.stop)


def count_until_idle(context: Context, *, parent: int, stopping: threading.Event) -> None:
    """Round after round, until there is nothing for a minute, or the parent is gone. Raises: ProductOpsError."""
    idle_since = time.monotonic()
    while not stopping.is_set() and (not parent or os.getppid() == parent):
        if refresh_all(context):
            idle_since = time.monotonic()
        if time.monotonic() - idle_since > IDLE_S:
            return
        stopping.wait(TURN_S)


def main() -> int:
    """The exit code."""
    from productops.api.wiring import build_context
    from productops.logs import set_up_logs
    from productops.settings import load_settings

    stopping = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    try:
        settings = load_settings()
        set_up_logs(settings, program="usage")
        context = build_context(settings)
    except ProductOpsError as error:
        print(f"productops usage: {error}", file=sys.stderr)
        return error.exit_code
    try:
        count_until_idle(context, parent=int(sys.argv[1]) if len(sys.argv) > 1 else 0, stopping=stopping)
    except ProductOpsError as error:
        print(f"productops usage: {error}", file=sys.stderr)
        return error.exit_code
    finally:
        context.store.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
