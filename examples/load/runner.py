"""One run of load: arrivals on time, answers counted."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable

from examples.load.model import LoadConfig, Response, TransportError
from examples.load.pool import Exchange, Pool
from examples.load.report import LoadReport, Tally
from examples.load.users import Crowd
from examples.load.wire import Reply

SWEEP_S = 0.1
PAUSE_AFTER_ERROR_S = 0.05


class _Runner:
    def __init__(self, config: LoadConfig, on_response: Callable[[Response], None] | None) -> None:
        self._config = config
        self._on_response = on_response
        self._loop = asyncio.get_running_loop()
        self._crowd = Crowd(config)
        self._pool = Pool(address=config.address, size=config.connections_max, listener=self)
        self._tally = Tally(started_unix_s=time.time(), started_monotonic_s=self._loop.time())
        self._left = math.inf if config.requests_max is None else config.requests_max
        self._sending = True
        self._over = asyncio.Event()
        self._bug: BaseException | None = None

    async def run(self, stop: asyncio.Event) -> LoadReport:
        """Send until an end is reached, wait for what is in flight, report."""
        helpers = [self._loop.create_task(self._sweep()), self._loop.create_task(self._arrive())]
        for helper in helpers:
            helper.add_done_callback(self._note_bug)
        try:
            await self._until_end(stop)
            self._sending = False
            report = await self._drained()
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            await self._pool.close()
        if self._bug is not None:
            raise self._bug
        return report

    async def _until_end(self, stop: asyncio.Event) -> None:
        waits = [self._loop.create_task(stop.wait()), self._loop.create_task(self._over.wait())]
        try:
            await asyncio.wait(waits, timeout=self._config.duration_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _drained(self) -> LoadReport:
        """Wait for requests in flight; the report's duration ends with the sending, or with the last answer of a counted run."""
        ended_s = self._loop.time()
        while self._pool.unfinished and self._loop.time() - ended_s < self._config.drain_s and self._bug is None:  # noqa: ASYNC110 - three ends
            await asyncio.sleep(0.005)
        return self._tally.report(now_monotonic_s=ended_s, unfinished=self._pool.unfinished)

    async def _arrive(self) -> None:
        if self._config.rate == 0:
            for _ in range(self._config.connections_max):
                self._submit(self._loop.time())
            return
        due_s = self._loop.time()
        while self._sending and self._left > 0:
            now_s = self._loop.time()
            if due_s > now_s:
                await asyncio.sleep(due_s - now_s)
                continue
            self._tally.add_lag(now_s - due_s)
            self._submit(due_s)
            due_s += self._crowd.gap_s()

    def _submit(self, arrived_s: float) -> None:
        if not self._sending or self._left <= 0:
            return
        self._left -= 1
        user, action = self._crowd.next_action()
        self._pool.submit(Exchange(user, action, arrived_s, arrived_s + self._config.timeout_s))
        if self._left <= 0 and self._config.rate:
            self._over.set()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            self._pool.expire(self._loop.time())

    def request_bytes(self, exchange: Exchange) -> bytes:
        """The request with the cookies its user has by now."""
        return self._crowd.request_bytes(exchange.user, exchange.action)

    def ended(self, exchange: Exchange, outcome: Reply | TransportError) -> None:
        """Count a finished exchange; in a closed loop the next one starts."""
        response = self._response(exchange, outcome)
        self._tally.add(response)
        if self._on_response is not None:
            try:
                self._on_response(response)
            except Exception as error:  # noqa: BLE001 - raised again at the end of the run; here the event loop would swallow it
                self._bug = self._bug or error
                self._over.set()
        if self._config.rate == 0:
            self._next_of_closed_loop(response)

    def _next_of_closed_loop(self, response: Response) -> None:
        if self._left <= 0:
            if not self._pool.unfinished:
                self._over.set()
        elif response.error is None:
            self._submit(self._loop.time())
        else:
            # A dead target refuses thousands of times a second; a short pause keeps that from being the load.
            self._loop.call_later(PAUSE_AFTER_ERROR_S, lambda: self._submit(self._loop.time()))

    def _response(self, exchange: Exchange, outcome: Reply | TransportError) -> Response:
        ended_s, ended_unix_s = self._loop.time(), time.time()
        reply = outcome if isinstance(outcome, Reply) else None
        if reply is not None and reply.set_cookies:
            exchange.user.keep(reply.set_cookies)
        return Response(
            user=exchange.user.number,
            action=exchange.action.name,
            arrived_monotonic_s=exchange.arrived_s,
            ended_monotonic_s=ended_s,
            arrived_unix_s=ended_unix_s - (ended_s - exchange.arrived_s),
            ended_unix_s=ended_unix_s,
            status=reply.status if reply else None,
            error=outcome if isinstance(outcome, TransportError) else None,
            version=reply.headers.get(self._config.version_header) if reply else None,
        )

    def _note_bug(self, task: asyncio.Task[None]) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            if (error := task.exception()) is not None:
                self._bug = error
                self._over.set()


async def run_load(
    config: LoadConfig, on_response: Callable[[Response], None] | None = None, *, stop: asyncio.Event | None = None
) -> LoadReport:
    """Send load until the duration, the number of requests or ``stop`` ends it, and report what users got.

    ``on_response`` hears every finished request in the event loop: it must be quick.
    Raises: whatever ``on_response`` raised.
    """
    return await _Runner(config, on_response).run(stop or asyncio.Event())
