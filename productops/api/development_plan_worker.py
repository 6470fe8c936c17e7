"""Makes plans that wait, in a process of its own: a search of half a minute keeps nobody else waiting.

``python -m productops.api.development_plan_worker`` makes what waits and ends. Each API starts one when there is something to do; several
at once share the work.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import TYPE_CHECKING

import structlog
from anyio import to_thread

from productops.adapters.calendar_sources import CalendarSources
from productops.agent.election import Identity
from productops.errors import ProductOpsError
from productops.settings import Settings
from productops.usecases.context import Context
from productops.usecases.development_plan import is_plan_waiting, make_waiting

if TYPE_CHECKING:
    from fastapi import FastAPI

log = structlog.get_logger(__name__)
POLL_S = 5.0
AGAIN_S = 5.0
END_S = 5.0


@dataclass(slots=True)
class PlanWorker:
    """One per API process. ``news`` wakes it at once; without, it looks every 5 s."""

    context: Context
    settings: Settings
    news: threading.Event
    _stopping: threading.Event = field(default_factory=threading.Event)
    _child: subprocess.Popen[bytes] | None = None
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread = threading.Thread(target=self._repeat, name="development-plans", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End; what is being made is made by whoever comes next, once its claim has lapsed."""
        self._stopping.set()
        self.news.set()
        child = self._child
        if child is not None and child.poll() is None:
            child.terminate()
        if self._thread is not None:
            self._thread.join(END_S)

    def _repeat(self) -> None:
        while not self._stopping.is_set():
            self.news.wait(POLL_S)
            self.news.clear()
            if self._stopping.is_set():
                return
            try:
                if is_plan_waiting(self.context):
                    self._make()
            except (ProductOpsError, OSError) as error:
                log.warning("plans wait", reason=str(error))
                self._stopping.wait(AGAIN_S)

    def _make(self) -> None:
        given = {"PRODUCTOPS_HOME": str(self.settings.home), "PRODUCTOPS_DATABASE_URL": self.settings.sqlalchemy_url}
        command = [sys.executable, "-m", "productops.api.development_plan_worker"]
        self._child = subprocess.Popen(command, env=os.environ | given, stdin=subprocess.DEVNULL)
        if self._stopping.is_set():
            self._child.terminate()
        code = self._child.wait()
        if code != 0 and not self._stopping.is_set():
            log.warning("making plans ended early", exit_code=code)
            self._stopping.wait(AGAIN_S)


@asynccontextmanager
async def plans_running(app: FastAPI, settings: Settings) -> AsyncIterator[None]:
    """Make plans as long as the application runs."""
    worker = PlanWorker(app.state.context, settings, app.state.plan_news)
    worker.start()
    try:
        yield
    finally:
        await to_thread.run_sync(worker.stop)


def _end(_number: int, _frame: FrameType | None) -> None:
    """Let ``finally`` clauses give back what is under way."""
    sys.exit(0)


def main() -> int:
    """The exit code."""
    from productops.api.wiring import build_context
    from productops.logs import set_up_logs
    from productops.settings import load_settings

    try:
        settings = load_settings()
        set_up_logs(settings, program="plans")
        context = build_context(settings)
    except ProductOpsError as error:
        print(f"productops plans: {error}", file=sys.stderr)
        return error.exit_code
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    try:
        sources = CalendarSources(allow_private=settings.calendar_allow_private)
        while make_waiting(context, owner=Identity.here().name, sources=sources) is not None:
            pass
    except ProductOpsError as error:
        print(f"productops plans: {error}", file=sys.stderr)
        return error.exit_code
    finally:
        context.store.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
