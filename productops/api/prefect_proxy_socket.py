"""Prefect's websockets (events, logs) behind our door: Prefect's secret is put in on the way, and never comes back."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit

import structlog
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from productops.api.access import principal_of
from productops.api.prefect_proxy_redact import Blanker
from productops.api.prefect_proxy_rules import READ_SOCKETS
from productops.domain.governance_access import Operation
from productops.errors import ForbiddenError
from productops.settings import Settings
from productops.usecases.context import Actor, Context

log = structlog.get_logger(__name__)

MESSAGE_BYTES_MAX = 1_048_576
OPEN_S = 5.0
BASE = "/prefect"
REFUSED, AWAY = 1008, 1013


async def serve_socket(scope: Scope, receive: Receive, send: Send, *, context: Context, settings: Settings, auth: str) -> None:  # noqa: ARG001
    """Pass messages on in both directions until either side ends."""
    principal = principal_of(scope)
    path = scope["path"].removeprefix(f"{BASE}/api")
    reading = READ_SOCKETS.fullmatch(path) is not None
    browser = WebSocket(scope, receive, send)
    try:
        operation = Operation.PREFECT_READ if reading else Operation.PREFECT_MANAGE
        Actor(name=principal.name, origin="prefect", principal=principal).check(operation)
    except ForbiddenError as error:
        await browser.close(REFUSED, reason=str(error)[:100])
        return
    host = urlsplit(settings.prefect_api_url).netloc
    try:
        async with connect(
            f"ws://{host}/api{path}", subprotocols=["prefect"], open_timeout=OPEN_S, max_size=MESSAGE_BYTES_MAX, proxy=None,  # type: ignore[list-item]
        ) as prefect:  # fmt: skip
            await _converse(browser, prefect, auth)
    except (WebSocketException, OSError, TimeoutError) as error:
        log.info("no websocket to Prefect", path=path, reason=str(error) or type(error).__name__)
        await _close(browser, AWAY, "Prefect does not answer")


async def _converse(browser: WebSocket, prefect: ClientConnection, auth: str) -> None:
    await prefect.send(json.dumps({"type": "auth", "token": auth}))
    await prefect.recv()  # that it succeeded; a refusal closes the connection
    asked = "prefect" in browser.scope.get("subprotocols", [])
    await browser.accept(subprotocol="prefect" if asked else None)
    if asked:
        await browser.receive_text()  # its own word of who it is; the gate knew that already
        await browser.send_text(json.dumps({"type": "auth_success"}))
    blanker = Blanker(auth)
    ways = [asyncio.ensure_future(_up(browser, prefect)), asyncio.ensure_future(_down(browser, prefect, blanker))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        await _close(browser, 1000, "")


async def _up(browser: WebSocket, prefect: ClientConnection) -> None:
    while True:
        message: dict[str, Any] = dict(await browser.receive())
        if message["type"] == "websocket.disconnect":
            return
        text = message.get("text")
        await prefect.send(text if text is not None else message.get("bytes") or b"")


async def _down(browser: WebSocket, prefect: ClientConnection, blanker: Blanker) -> None:
    async for message in prefect:
        if isinstance(message, str):
            await browser.send_text(blanker.text(message.encode()).decode())
        else:
            await browser.send_bytes(blanker.text(message))


async def _close(browser: WebSocket, code: int, reason: str) -> None:
    try:
        await browser.close(code, reason=reason)
    except (RuntimeError, WebSocketDisconnect):
        return  # it has gone
