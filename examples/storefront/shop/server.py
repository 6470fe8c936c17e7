"""The listening socket: accepts connections within limits, enforces their deadlines, stops without losing a request."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from .connection import Connection, Handler

CONNECTIONS_MAX = 800
BACKLOG = 512
SWEEP_S = 0.5
LAST_CALL_S = 0.25
_REFUSAL = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nX-Shop-Version: %s\r\nConnection: close\r\n\r\n"


class HttpServer:
    """Serves one handler on one address."""

    def __init__(self, handler: Handler, *, version: str) -> None:
        self.handler = handler
        self.version = version
        self.draining = False
        self.connections: set[Connection] = set()
        self._openings: set[asyncio.Task[object]] = set()

    async def start(self, host: str, port: int) -> int:
        """Listen and return the port in use; ``port`` 0 lets the system choose.

        Raises: OSError when the address is taken.
        """
        self._socket = socket.create_server((host, port), backlog=BACKLOG)
        self._socket.settimeout(0)
        loop = asyncio.get_running_loop()
        loop.add_reader(self._socket, self._accept_waiting)
        self._sweeper = loop.create_task(self._sweep())
        return int(self._socket.getsockname()[1])

    def _accept_waiting(self) -> None:
        """Accept all that wait; we accept by hand so that the last ones can still be taken just before closing."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, _ = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:
                # Out of file descriptors: the clients wait in the backlog; without the pause this would spin.
                loop.remove_reader(self._socket)
                loop.call_later(SWEEP_S, self._resume_accepting)
                return
            if len(self.connections) + len(self._openings) >= CONNECTIONS_MAX:
                with contextlib.suppress(OSError):
                    client.send(_REFUSAL % self.version.encode())
                client.close()
                continue
            client.settimeout(0)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            opening: asyncio.Task[object] = loop.create_task(loop.connect_accepted_socket(lambda: Connection(self), client))
            self._openings.add(opening)
            opening.add_done_callback(self._openings.discard)

    def _resume_accepting(self) -> None:
        if not self.draining:
            asyncio.get_running_loop().add_reader(self._socket, self._accept_waiting)

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_S)
            now = loop.time()
            for connection in [c for c in self.connections if c.deadline < now]:
                connection.expire()

    async def drain(self, grace_s: float) -> int:
        """Stop: answer what is in flight, say ``Connection: close``, take no new clients.

        Idle connections are kept for a last moment, because a request may be on its way on them.
        Returns how many requests were cut off because they outlived ``grace_s`` seconds.
        """
        self.draining = True
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._socket)
        self._accept_waiting()
        self._socket.close()
        if self._openings:
            await asyncio.wait(self._openings)
        started = loop.time()
        while self.connections and loop.time() - started < grace_s:
            if loop.time() - started >= LAST_CALL_S:
                for connection in [c for c in self.connections if c.idle]:
                    connection.close()
            await asyncio.sleep(0.01)
        self._sweeper.cancel()
        cut = sum(1 for c in self.connections if c.busy)
        for connection in list(self.connections):
            connection.abort()
        return cut
