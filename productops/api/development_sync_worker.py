"""Reads development sources that somebody wants read at once, in a process of its own: years of issues keep nobody else waiting.

``python -m productops.api.development_sync_worker [--full] [NAME …]`` reads the named sources, or those that are wanted, and ends.
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
from productops.api.governance_webhooks_worker import is_dead
from productops.domain.governance_access import MACHINE
from productops.errors import ConflictError, ProductOpsError
from productops.settings import Settings
from productops.usecases.context import Actor, Context
from productops.usecases.development_sync import sync_source, wanted_sources

if TYPE_CHECKING:
    from fastapi import FastAPI

log = structlog.get_logger(__name__)
POLL_S = 5.0
AGAIN_S = 5.0
END_S = 5.0
READER = Actor(name="development sync", origin="api", principal=MACHINE)


@dataclass(slots=True)
class DevelopmentWorker:
    """One per API process. ``news`` wakes it at once; without, it looks every 5 s."""

    context: Context
    settings: Settings
    news: threading.Event
    _stopping: threading.Event = field(default_factory=threading.Event)
    _child: subprocess.Popen[bytes] | None = None
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread = threading.Thread(target=self._repeat, name="development-sync", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End; what was read stays, and the next run goes on there."""
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
                if wanted_sources(self.context):
                    self._read()
            except (ProductOpsError, OSError) as error:
                log.warning("development sources wait", reason=str(error))
                self._stopping.wait(AGAIN_S)

    def _read(self) -> None:
        given = {"PRODUCTOPS_HOME": str(self.settings.home), "PRODUCTOPS_DATABASE_URL": self.settings.sqlalchemy_url}
        command = [sys.executable, "-m", "productops.api.development_sync_worker"]
        self._child = subprocess.Popen(command, env=os.environ | given, stdin=subprocess.DEVNULL)
        if self._stopping.is_set():
            self._child.terminate()
        code = self._child.wait()
        if code != 0 and not self._stopping.is_set():
            log.warning("reading development sources ended early", exit_code=code)
            self._stopping.wait(AGAIN_S)


@asynccontextmanager
async def development_running(app: FastAPI, settings: Settings) -> AsyncIterator[None]:
    """Read what is wanted as long as the application runs."""
    worker = DevelopmentWorker(app.state.context, settings, app.state.development_news)
    worker.start()
    try:
        yield
    finally:
        await to_thread.run_sync(worker.stop)


def read_wanted(context: Context, names: list[str], *, full: bool) -> int:
    """Read the named sources, or all that are wanted; returns how many were not read to their end. Raises: ProductOpsError."""
    unfinished = 0
    for name in names or wanted_sources(context):
        try:
            report = sync_source(context, name, actor=READER, owner=Identity.here().name, full=full, is_dead=is_dead)
        except ConflictError as error:  # another program reads it, which is as good
            log.info("development source left to another", source=name, reason=str(error))
            continue
        unfinished += not report.whole
    return unfinished


def _end(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def main(arguments: list[str]) -> int:
    """The exit code: 0 when all was tried; what went wrong is told by the sources' state."""
    from productops.api.wiring import build_context
    from productops.logs import set_up_logs
    from productops.settings import load_settings

    try:
        settings = load_settings()
        set_up_logs(settings, program="development")
        context = build_context(settings)
    except ProductOpsError as error:
        print(f"productops development: {error}", file=sys.stderr)
        return error.exit_code
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    try:
        read_wanted(context, [each for each in arguments if not each.startswith("-")], full="--full" in arguments)
    except ProductOpsError as error:
        print(f"productops development: {error}", file=sys.stderr)
        return error.exit_code
    finally:
        context.store.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
