"""The shop's users: the load generator in a thread, every answer kept for the table at the end."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field

from examples.load import LoadConfig, LoadReport, Response, run_load


@dataclass(slots=True)
class Users:
    """Users who shop from ``start`` to ``stop``. ``rate`` is requests per second."""

    url: str
    host: str
    rate: float
    responses: list[Response] = field(default_factory=list)
    report: LoadReport | None = None
    _loop: asyncio.AbstractEventLoop | None = None
    _stop: asyncio.Event | None = None
    _thread: threading.Thread | None = None
    _ready: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Begin; returns when the first request is on its way."""
        self._thread = threading.Thread(target=lambda: asyncio.run(self._shop()), daemon=True)
        self._thread.start()
        self._ready.wait(10)

    async def _shop(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        config = LoadConfig(url=self.url, host=self.host, rate=self.rate, duration_s=None, users=2000)
        self.report = await run_load(config, self.responses.append, stop=self._stop)

    def stop(self) -> LoadReport:
        """End; returns the report."""
        if self._loop is None or self._stop is None or self._thread is None:
            raise RuntimeError("the users were never started")
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout=20)
        if self.report is None:
            raise RuntimeError("the load generator died; its error is above")
        return self.report
