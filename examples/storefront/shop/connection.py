"""One client's connection: cuts its bytes into requests, answers them in order, closes it politely."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Protocol, cast

from .wire import BODY_BYTES_MAX, HEAD_BYTES_MAX, Answer, HttpError, Request, body_length, error_answer, parse_head, render

IDLE_S_MAX = 75.0
REQUEST_S_MAX = 10.0
LINGER_S = 1.0

Handler = Callable[[Request], Awaitable[Answer]]


class Owner(Protocol):
    """What a connection needs from the server that accepted it."""

    version: str
    draining: bool
    handler: Handler
    connections: set[Connection]


class Connection(asyncio.Protocol):
    """A keep-alive connection; requests on it are answered one at a time.

    ``deadline`` is on the loop's clock: when it passes, the server calls :meth:`expire`.
    """

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray()
        self._head: tuple[Request, int] | None = None
        self._task: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._peer_done = False
        self._lingering = False
        self.deadline = self._loop.time() + IDLE_S_MAX

    @property
    def busy(self) -> bool:
        """Whether a request is being answered now."""
        return self._task is not None

    @property
    def idle(self) -> bool:
        """Whether not a byte of a next request has arrived."""
        return self._task is None and not self._buffer and self._head is None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._owner.connections.add(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._owner.connections.discard(self)
        self._writable.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        if self._lingering:
            return
        if self.idle:
            self.deadline = self._loop.time() + REQUEST_S_MAX
        self._buffer += data
        if self._task is None:
            self._advance()
        elif len(self._buffer) > HEAD_BYTES_MAX + BODY_BYTES_MAX:
            # Pipelined requests wait in the kernel, so that one client cannot fill our memory.
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """Keep the sending half open while an answer is due; a client may close its half after its last request."""
        self._peer_done = True
        return self._task is not None

    def close(self) -> None:
        """Close once what was written has left."""
        self._transport.close()

    def abort(self) -> None:
        """Close at once, losing what was not sent."""
        self._transport.abort()

    def expire(self) -> None:
        """The deadline passed: a half-sent request gets a 408, everything else a close."""
        if self.idle or self._lingering:
            self.close()
        else:
            self._refuse(HttpError(408, f"the request did not arrive within {REQUEST_S_MAX:.0f} s"))

    def _advance(self) -> None:
        """Start to answer the next request if it is here completely."""
        request = self._next_request()
        if request is not None:
            self.deadline = math.inf
            self._task = self._loop.create_task(self._answer_all(request))

    def _next_request(self) -> Request | None:
        try:
            return self._cut()
        except HttpError as error:
            self._refuse(error)
            return None

    def _cut(self) -> Request | None:
        """Take one whole request off the buffer; ``None`` while bytes are missing."""
        if self._head is None:
            # Empty lines before a request line are allowed by RFC 9112, 2.2.
            while self._buffer.startswith(b"\r\n"):
                del self._buffer[:2]
            end = self._buffer.find(b"\r\n\r\n", 0, HEAD_BYTES_MAX + 4)
            if end < 0:
                if len(self._buffer) > HEAD_BYTES_MAX:
                    raise HttpError(431, f"the head of the request is larger than {HEAD_BYTES_MAX} bytes")
                return None
            request = parse_head(bytes(self._buffer[:end]))
            self._head = request, body_length(request.headers)
            del self._buffer[: end + 4]
            self._invite_body()
        request, length = self._head
        if len(self._buffer) < length:
            return None
        request.body = bytes(self._buffer[:length])
        del self._buffer[:length]
        self._head = None
        return request

    def _invite_body(self) -> None:
        if self._head and self._head[0].headers.get("expect", "").lower() == "100-continue" and not self._buffer:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    async def _answer_all(self, first: Request) -> None:
        """Answer a request, and those that piled up behind it meanwhile."""
        request: Request | None = first
        while request is not None:
            answer = await self._owner.handler(request)
            await self._writable.wait()
            keep_alive = request.keep_alive and not self._owner.draining
            self._write(answer, keep_alive=keep_alive, with_body=request.method != "HEAD")
            if not keep_alive:
                self.close()
            if self._transport.is_closing():
                break
            self._transport.resume_reading()
            request = self._next_request()
        self._task = None
        self.deadline = self._loop.time() + (IDLE_S_MAX if self.idle else REQUEST_S_MAX)
        if self._lingering:
            self.deadline = self._loop.time() + LINGER_S
        elif self._peer_done:
            self.close()

    def _refuse(self, error: HttpError) -> None:
        """Answer a broken request and stop listening to this client.

        What the client still sends is read and dropped for a moment: closing with unread bytes makes the kernel send a
        reset, and the client would lose the answer that says what was wrong.
        """
        self._write(error_answer(error), keep_alive=False, with_body=True)
        self._buffer.clear()
        self._head = None
        self._lingering = True
        self.deadline = self._loop.time() + LINGER_S
        if not self._transport.is_closing():
            self._transport.write_eof()

    def _write(self, answer: Answer, *, keep_alive: bool, with_body: bool) -> None:
        if not self._transport.is_closing():
            self._transport.write(render(answer, version=self._owner.version, keep_alive=keep_alive, with_body=with_body))
