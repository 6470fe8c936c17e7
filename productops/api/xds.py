"""Envoy's REST discovery: ``POST /v3/discovery:{listeners,clusters,routes}``, under a token of its own.

A question that names the version we have is kept open until there is another, or for some seconds; the answer then is 304.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from typing import Any

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from productops.adapters.envoy_remote.discovery import KINDS, Discovery, Resources
from productops.adapters.envoy_remote.documents import HOLD_S
from productops.api import problems
from productops.errors import InvalidInputError, NotFoundError, ProductOpsError, SettingsError, UnauthorizedError
from productops.settings import TOKEN_CHARACTERS_MIN, Settings

log = structlog.get_logger(__name__)
PREFIX = "/v3/discovery:"
BODY_BYTES_MAX = 1_048_576
POLL_S = 0.01
REOFFER_S = 0.25
"""After a refusal the same version is offered again so much later: a route may have waited for its cluster."""


def xds_token(settings: Settings) -> str:
    """The token remote Envoys present, or an empty text when none is set. Raises: SettingsError for one that is too short."""
    token = settings.xds_token.get_secret_value().strip() if settings.xds_token else ""
    if token and len(token) < TOKEN_CHARACTERS_MIN:
        raise SettingsError(f"PRODUCTOPS_XDS_TOKEN is too short: use at least {TOKEN_CHARACTERS_MIN} characters")
    return token


class Xds:
    """Answers Envoys and passes everything else on. Without a token there are no Envoys, and their paths are as unknown as others."""

    def __init__(self, app: ASGIApp, *, discovery: Discovery, token: str, hold_s: float = HOLD_S) -> None:
        self._app, self._discovery, self._token, self._hold_s = app, discovery, token, hold_s
        self._changed = asyncio.Condition()
        self._watcher: asyncio.Task[None] | None = None
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not self._token or not scope["path"].startswith(PREFIX):
            await self._app(scope, receive, send)
            return
        try:
            found = await self._answer(scope, receive)
        except ProductOpsError as error:
            log.warning("envoy refused", path=scope["path"], reason=str(error))
            await problems.from_error(error)(scope, receive, send)
            return
        headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 200 if found else 304, "headers": headers})
        await send({"type": "http.response.body", "body": found.body if found else b""})

    async def _answer(self, scope: Scope, receive: Receive) -> Resources | None:
        headers = Headers(scope=scope)
        given = (headers.get("authorization") or "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(given, f"Bearer {self._token}".encode()):
            raise UnauthorizedError("send the header `Authorization: Bearer <PRODUCTOPS_XDS_TOKEN>`")
        kind = scope["path"].removeprefix(PREFIX)
        if kind not in KINDS or scope["method"] != "POST":
            raise NotFoundError(f"there is no discovery of {kind[:60]!r} by {scope['method']}; POST one of {', '.join(KINDS)}")
        request = await _read(receive)
        refused = await asyncio.to_thread(self._discovery.note, kind, request)
        has = refused or str(request.get("version_info") or "")
        found = await self._next(kind, has, wait_s=REOFFER_S if refused else self._hold_s, offer_again=bool(refused))
        if found is not None:
            self._discovery.gave(kind, request["node"]["id"], found.version)
        return found

    async def _next(self, kind: str, has: str, *, wait_s: float, offer_again: bool) -> Resources | None:
        """Another version than ``has`` as soon as there is one; when there is none in time the same one, or nothing."""
        deadline = asyncio.get_running_loop().time() + wait_s
        while True:
            found = self._discovery.resources(kind)
            if found is not None and found.version != has:
                return found
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                return found if offer_again else None
            await self._news(left)

    async def _news(self, within_s: float) -> None:
        """Until a file has changed. One task looks at the files, for however many Envoys wait."""
        self._waiting += 1
        try:
            if self._watcher is None or self._watcher.done():
                self._watcher = asyncio.create_task(self._watch())
            async with self._changed:
                await asyncio.wait_for(self._changed.wait(), within_s)
        except TimeoutError:
            return
        finally:
            self._waiting -= 1

    async def _watch(self) -> None:
        before = self._versions()
        while self._waiting:
            await asyncio.sleep(POLL_S)
            now = self._versions()
            if now != before:
                before = now
                async with self._changed:
                    self._changed.notify_all()

    def _versions(self) -> list[str]:
        return [found.version if (found := self._discovery.resources(kind)) else "" for kind in KINDS]


async def _read(receive: Receive) -> dict[str, Any]:
    """The question. Raises: InvalidInputError when it is too long or no JSON object."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > BODY_BYTES_MAX or message["type"] == "http.disconnect":
            raise InvalidInputError(f"a discovery request has at most {BODY_BYTES_MAX:,} bytes")
        if not message.get("more_body", False):
            break
    try:
        request = json.loads(body)
    except ValueError:
        request = None
    if not isinstance(request, dict):
        raise InvalidInputError("a discovery request is a JSON object")
    return request
