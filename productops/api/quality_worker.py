"""Judges uploads that wait, in a process of its own: a report of a quarter of a gigabyte keeps nobody else waiting.

``python -m productops.api.quality_worker`` judges what waits and ends. Each API starts one when there is something to do; several at
once share the work.
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

from productops.agent.election import Identity
from productops.errors import ProductOpsError
from productops.settings import Settings
from productops.usecases.context import Context
from productops.usecases.quality_uploads import is_waiting, judge_waiting, tidy_uploads

if TYPE_CHECKING:
    from fastapi import FastAPI

log = structlog.get_logger(__name__)
POLL_S = 5.0
AGAIN_S = 5.0
END_S = 5.0


@dataclass(slots=True)
class QualityWorker:
    """One per API process. ``news`` wakes it at once; without, it looks every 5 s."""

    context: Context
    settings: Settings
    news: threading.Event
    _stopping: threading.Event = field(default_factory=threading.Event)
    _child: subprocess.Popen[bytes] | None = None
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread = threading.Thread(target=self._repeat, name="quality-uploads", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End; what is being judged is given back, and judged by whoever comes next."""
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
                if is_waiting(self.context):
                    self._judge()
            except (ProductOpsError, OSError) as error:
                log.warning("uploads wait", reason=str(error))
                self._stopping.wait(AGAIN_S)

    def _judge(self) -> None:
        given = {"PRODUCTOPS_HOME": str(self.settings.home), "PRODUCTOPS_DATABASE_URL": self.settings.sqlalchemy_url}
        command = [sys.executable, "-m", "productops.api.quality_worker"]
        self._child = subprocess.Popen(command, env=os.environ | given, stdin=subprocess.DEVNULL)
        if self._stopping.is_set():
            self._child.terminate()
        code = self._child.wait()
        if code != 0 and not self._stopping.is_set():
            log.warning("judging uploads ended early", exit_code=code)
            self._stopping.wait(AGAIN_S)


@asynccontextmanager
async def quality_running(app: FastAPI, settings: Settings) -> AsyncIterator[None]:
    """Judge uploads as long as the application runs."""
    worker = QualityWorker(app.state.context, settings, app.state.quality_news)
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
        set_up_logs(settings, program="quality")
        context = build_context(settings)
    except ProductOpsError as error:
        print(f"productops quality: {error}", file=sys.stderr)
        return error.exit_code
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    try:
        while judge_waiting(context, owner=Identity.here().name):
            pass
        tidy_uploads(context, settings.quality_folder)
    except ProductOpsError as error:
        print(f"productops quality: {error}", file=sys.stderr)
        return error.exit_code
    finally:
        context.store.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
