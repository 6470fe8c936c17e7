"""Keep-alive connections that carry one exchange at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Protocol, cast

from examples.load.model import Action, TransportError
from examples.load.users import User
from examples.load.wire import MalformedReplyError, Reply, ReplyReader

CONNECT_S_MAX = 5.0


@dataclass(slots=True, eq=False)
class Exchange:
    """A request on its way; times are on the loop's clock."""

    user: User
    action: Action
    arrived_s: float
    deadline_s: float


class Listener(Protocol):
    """Who hears how exchanges end, and writes their bytes at the last moment."""

    def request_bytes(self, exchange: Exchange) -> bytes:
        """The request to send now."""

    def ended(self, exchange: Exchange, outcome: Reply | TransportError) -> None:
        """The exchange is over."""


class _Connection(asyncio.Protocol):
    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._reader = ReplyReader()
        self.exchange: Exchange | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    @property
    def usable(self) -> bool:
        return not self._transport.is_closing()

    def send(self, exchange: Exchange, data: bytes) -> None:
        self.exchange = exchange
        self._reader.expect(exchange.action.method)
        self._transport.write(data)

    def abort(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        try:
            reply = self._reader.feed(data)
        except MalformedReplyError:
            self._end(TransportError.MALFORMED)
            self.abort()
            return
        if self.exchange is None:
            self.abort()
        elif reply is not None:
            if not reply.keep_alive or not self._reader.clean:
                self._transport.close()
            self._end(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        reply = self._reader.end() if exc is None else None
        self._end(reply or (TransportError.RESET if exc else TransportError.CLOSED))
        self._pool.lost(self)

    def _end(self, outcome: Reply | TransportError) -> None:
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            self._pool.ended(self, exchange, outcome)


class Pool:
    """At most ``size`` connections to one address; exchanges that find none free wait their turn."""

    def __init__(self, *, address: tuple[str, int], size: int, listener: Listener) -> None:
        self._address = address
        self._size = size
        self._listener = listener
        self._idle: list[_Connection] = []
        self._connections: set[_Connection] = set()
        self._openings: set[asyncio.Task[None]] = set()
        self._waiting: deque[Exchange] = deque()
        self._loop = asyncio.get_running_loop()

    @property
    def unfinished(self) -> int:
        """Exchanges that wait or are on their way."""
        return len(self._waiting) + sum(1 for c in self._connections if c.exchange)

    def submit(self, exchange: Exchange) -> None:
        """Send an exchange as soon as a connection is free."""
        self._waiting.append(exchange)
        self._dispatch()

    def expire(self, now_s: float) -> None:
        """End every exchange whose deadline has passed."""
        while self._waiting and self._waiting[0].deadline_s <= now_s:
            self._listener.ended(self._waiting.popleft(), TransportError.TIMEOUT)
        for connection in list(self._connections):
            exchange = connection.exchange
            if exchange is not None and exchange.deadline_s <= now_s:
                connection.exchange = None
                connection.abort()
                self._listener.ended(exchange, TransportError.TIMEOUT)

    async def close(self) -> None:
        """Drop all connections; exchanges on them end without being reported."""
        self._waiting.clear()
        for task in list(self._openings):
            task.cancel()
        await asyncio.gather(*self._openings, return_exceptions=True)
        for connection in list(self._connections):
            connection.exchange = None
            connection.abort()
        # One turn of the loop lets the transports close their sockets.
        await asyncio.sleep(0)

    def ended(self, connection: _Connection, exchange: Exchange, outcome: Reply | TransportError) -> None:
        """An exchange on a connection is over; the connection is free again when it is still usable."""
        if connection.usable:
            self._idle.append(connection)
        self._listener.ended(exchange, outcome)
        self._dispatch()

    def lost(self, connection: _Connection) -> None:
        """A connection is gone; whoever waits may need another one."""
        self._connections.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._dispatch()

    def _dispatch(self) -> None:
        while self._waiting and self._idle:
            connection = self._idle.pop()
            if connection.usable:
                exchange = self._waiting.popleft()
                connection.send(exchange, self._listener.request_bytes(exchange))
        while len(self._openings) < len(self._waiting) and len(self._openings) + len(self._connections) < self._size:
            task = self._loop.create_task(self._open())
            self._openings.add(task)
            task.add_done_callback(self._opened)

    async def _open(self) -> None:
        try:
            async with asyncio.timeout(CONNECT_S_MAX):
                _, connection = await self._loop.create_connection(lambda: _Connection(self), *self._address)
        except TimeoutError:
            self._fail_one(TransportError.TIMEOUT)
        except ConnectionRefusedError:
            self._fail_one(TransportError.REFUSED)
        except OSError:
            self._fail_one(TransportError.CONNECT)
        else:
            if connection.usable:
                self._connections.add(connection)
                self._idle.append(connection)

    def _opened(self, task: asyncio.Task[None]) -> None:
        self._openings.discard(task)
        self._dispatch()

    def _fail_one(self, error: TransportError) -> None:
        if self._waiting:
            self._listener.ended(self._waiting.popleft(), error)
