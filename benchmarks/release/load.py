"""The shop's users, in a thread: counted always, kept answer by answer where asked."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from benchmarks.release.stack import BenchError, BenchStack
from examples.load import LoadConfig, LoadReport, Response, run_load

HOST = "storefront.localhost"
USERS = 2000
CLOSED_LOOP_CONNECTIONS = 6


@dataclass(slots=True)
class Users:
    """Users of the shop while they shop. ``without_version`` counts, by status, answers that no instance of the shop gave."""

    keep: bool
    requests: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    without_version: Counter[str] = field(default_factory=Counter)
    transport_errors: Counter[str] = field(default_factory=Counter)
    responses: list[Response] = field(default_factory=list)
    report: LoadReport | None = None

    def note(self, response: Response) -> None:
        """Count one answer."""
        self.requests += 1
        if response.error is not None:
            self.transport_errors[response.error.value] += 1
        elif response.version is None:
            self.without_version[str(response.status)] += 1
        elif response.failed:
            self.failures[response.version] += 1
        if self.keep:
            self.responses.append(response)


@contextmanager
def shopping(stack: BenchStack, *, rate: float, keep: bool) -> Iterator[Users]:
    """Users who shop for as long as the block lasts, ``rate`` requests a second; 0: as fast as six of them are answered.

    Raises: BenchError when the generator does not end.
    """
    users, stop, ready = Users(keep=keep), asyncio.Event(), threading.Event()
    connections = None if rate else CLOSED_LOOP_CONNECTIONS
    config = LoadConfig(url=stack.router_url, host=HOST, rate=rate, duration_s=None, users=USERS, connections=connections)
    loops: list[asyncio.AbstractEventLoop] = []

    async def shop() -> None:
        loops.append(asyncio.get_running_loop())
        ready.set()
        users.report = await run_load(config, users.note, stop=stop)

    thread = threading.Thread(target=lambda: asyncio.run(shop()), daemon=True)
    thread.start()
    ready.wait(10)
    try:
        yield users
    finally:
        if thread.is_alive():
            loops[0].call_soon_threadsafe(stop.set)
        thread.join(timeout=30)
    if thread.is_alive() or users.report is None:
        raise BenchError("the load generator did not end, or died; its error is above")
