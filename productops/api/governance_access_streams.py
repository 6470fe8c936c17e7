"""What stays open is asked again who it is for: a revoked token or an ended session ends its streams and sockets, too."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import structlog
from starlette.datastructures import Headers

from productops.domain.governance_access import Principal
from productops.errors import StoreUnavailableError

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

    from productops.api.governance_access_ways import Authenticator

log = structlog.get_logger(__name__)
ASK_EVERY_S = 5.0
_OPEN = {"http.response.body", "websocket.send"}


class OpenConnection:
    """``send`` and ``receive`` of one connection that end when its caller is not let in any more, at the next message after 5 s.

    ``before`` is who was let in; whoever is found with other rights later has to connect again.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, before: Principal, authenticator: Authenticator) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._before = before
        self._authenticator = authenticator
        self._asked_at = time.monotonic()
        self._ended = asyncio.Event()

    async def send(self, message: Message) -> None:
        """Pass a message on, unless the connection has ended or ends here."""
        if self._ended.is_set():
            return
        stays = message["type"] in _OPEN and message.get("more_body", True)
        if stays and time.monotonic() - self._asked_at >= ASK_EVERY_S and not await self._still_let_in():
            self._ended.set()
            log.info("an open connection ended: its caller lost the right to it", path=self._scope["path"], principal=self._before.name)
            message = {"type": "http.response.body", "body": b"", "more_body": False}
            if self._scope["type"] == "websocket":
                message = {"type": "websocket.close", "code": 1008, "reason": "no longer allowed"}
        await self._send(message)

    async def receive(self) -> Message:
        """What the caller sends; that it left, once the connection has ended."""
        mine, ended = asyncio.ensure_future(self._receive()), asyncio.ensure_future(self._ended.wait())
        try:
            await asyncio.wait({mine, ended}, return_when=asyncio.FIRST_COMPLETED)
            if mine.done():
                return mine.result()
        finally:
            mine.cancel()
            ended.cancel()
        return {"type": "websocket.disconnect" if self._scope["type"] == "websocket" else "http.disconnect", "code": 1008}

    async def _still_let_in(self) -> bool:
        self._asked_at = time.monotonic()
        try:
            now = await self._authenticator.principal(Headers(scope=self._scope), self._scope["path"])
        except StoreUnavailableError:
            return True  # while the store is away nobody can have been refused
        return now == self._before
