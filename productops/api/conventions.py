"""What holds for every route alike: HEAD, OPTIONS, `Allow`, ETags, sizes and kinds of bodies, idempotency keys."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import anyio
from fastapi.routing import APIRoute
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from productops.api import problems
from productops.api.idempotency import HEADER, Idempotency, is_usable, refused_key

JSON = "application/json"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
# What nobody sends by hand and no program of ours sends either; a route that takes more says so (`BYTES_MAX`).
BODY_BYTES = 131_072
BYTES_MAX = "x-body-bytes-max"
_CLASSES = (("/ofrep/", 262_144), ("/api/v1/product-ops/flags", 1_048_576), ("/api/", BODY_BYTES))
# Where others' protocols rule: OFREP has its own errors, and its own ETag.
_FOREIGN = ("/ofrep/",)


@dataclass(frozen=True, slots=True)
class Found:
    """A route that takes a path and a method."""

    route: APIRoute
    bytes_max: int | None
    json_only: bool
    keyed: bool

    @classmethod
    def of(cls, route: APIRoute) -> Found:
        """What is to be known of a route before each request."""
        own = (route.openapi_extra or {}).get(BYTES_MAX)
        by_class = next((limit for prefix, limit in _CLASSES if route.path.startswith(prefix)), None)
        foreign = route.path.startswith(_FOREIGN)
        native = any(field.alias.lower() == HEADER for field in route.dependant.header_params)
        keyed = "POST" in (route.methods or ()) and route.path.startswith("/api/") and not native
        return cls(route, own or by_class, json_only=route.body_field is not None and not foreign, keyed=keyed and not foreign)


def api_routes(routes: Iterable[BaseRoute]) -> Iterator[APIRoute]:
    """All operations, those of included routers too: newer versions of the framework keep them apart until they are asked for."""
    for route in routes:
        inner = getattr(route, "original_router", None)
        if isinstance(route, APIRoute):
            yield route
        elif inner is not None:
            yield from api_routes(inner.routes)


class RouteTable:
    """All routes, by the number of parts of their paths: which takes a request, and which methods a path has."""

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        self._by_length: dict[int, list[Found]] = {}
        for route in api_routes(routes):
            self._by_length.setdefault(route.path.count("/"), []).append(Found.of(route))

    def find(self, path: str, method: str) -> Found | None:
        """The route that will serve it; None when none will."""
        return next((f for f in self._taking(path) if method in (f.route.methods or ())), None)

    def methods(self, path: str) -> list[str]:
        """Every method of a path, in order; empty for a path that does not exist."""
        taking = list(self._taking(path))
        # `/releases/backtest` is a path of its own, although `/releases/{id}` would take it, too.
        nearest = min((each.route.path.count("{") for each in taking), default=0)
        found = {m for each in taking if each.route.path.count("{") == nearest for m in each.route.methods or ()}
        if not found:
            return []
        return sorted(found | {"OPTIONS"} | ({"HEAD"} if "GET" in found else set()))

    def _taking(self, path: str) -> Iterable[Found]:
        return (f for f in self._by_length.get(path.count("/"), ()) if f.route.path_regex.match(path))


class Conventions:
    """Around the routes and within the gate: who comes here was let in."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._table: RouteTable | None = None
        self._idempotency = Idempotency()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._table is None:
            self._table = RouteTable(scope["app"].routes)
        methods = self._table.methods(scope["path"]) if scope["method"] == "OPTIONS" else []
        if methods:
            await Response(status_code=204, headers={"Allow": ", ".join(methods)})(scope, receive, send)
        elif scope["method"] in {"GET", "HEAD"}:
            await self._read(scope, receive, _with_allow(send, self._table, scope))
        else:
            await self._write(self._table, scope, receive, _with_allow(send, self._table, scope))

    async def _read(self, scope: Scope, receive: Receive, send: Send) -> None:
        known = Headers(scope=scope).get("if-none-match")
        if scope["method"] == "GET":
            await self._app(scope, receive, _Conditional(send, known).send)
            return
        with anyio.CancelScope() as serving:  # an event stream would go on for ever, without anybody to hear it
            silent = _Silent(send, serving)
            await self._app(dict(scope) | {"method": "GET"}, receive, _Conditional(silent.send, known).send)

    async def _write(self, table: RouteTable, scope: Scope, receive: Receive, send: Send) -> None:
        found = table.find(scope["path"], scope["method"])
        if found is None:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        key = headers.get(HEADER) if found.keyed else None
        if key is not None and not is_usable(key):
            await refused_key()(scope, receive, send)
            return
        if found.json_only and not _is_json(headers):
            kind = problems.KIND_OF[415]
            detail = f"Content-Type is {headers.get('content-type', '')[:80]!r}; send application/json"
            await problems.problem(415, slug=kind.slug, title=kind.title, detail=detail, headers={"Accept": JSON})(scope, receive, send)
            return
        receive = _Sized(receive, found.bytes_max).receive if found.bytes_max else receive
        if key is None:
            await self._app(scope, receive, send)
            return
        try:
            body = await _whole(receive)
        except HTTPException as error:
            await problems.from_http(error)(scope, receive, send)
            return
        await self._idempotency.serve(self._app, scope, receive, send, key=key, body=body)


def _is_json(headers: Headers) -> bool:
    """Whether a body is JSON as its sender says; no body and no word are fine, too."""
    said = headers.get("content-type", "").partition(";")[0].strip().lower()
    return said in {"", JSON} or (said.startswith("application/") and said.endswith("+json"))


def _with_allow(send: Send, table: RouteTable, scope: Scope) -> Send:
    """``Allow`` of a 405 names the methods of all routes at the path; the framework knows those of the first."""
    path = scope["path"]

    async def allowing(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == 405:
            MutableHeaders(scope=message)["Allow"] = ", ".join(table.methods(path))
        await send(message)

    return allowing


async def _whole(receive: Receive) -> bytes:
    """The body. Raises: HTTPException as the receiver does."""
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False) and message["type"] == "http.request"
    return b"".join(parts)


class _Sized:
    """A ``receive`` that refuses what is more than a route takes, once all of it was read: who still sends would not hear the answer."""

    def __init__(self, receive: Receive, bytes_max: int) -> None:
        self._receive = receive
        self._bytes_max = bytes_max
        self._seen = 0

    async def receive(self) -> Message:
        """The next part. Raises: HTTPException."""
        message = await self._receive()
        self._seen += len(message.get("body", b""))
        if self._seen > self._bytes_max:
            while message.get("more_body", False):
                message = await self._receive()
            raise HTTPException(413, f"a body of this operation has at most {self._bytes_max:,} bytes")
        return message


class _Conditional:
    """Gives each JSON document an ETag, and answers 304 to who has it already."""

    def __init__(self, send: Send, known: str | None) -> None:
        self._send = send
        self._known = known
        self._start: Message | None = None

    async def send(self, message: Message) -> None:
        """Pass a message on, or keep it until its body is there."""
        if message["type"] == "http.response.start" and message["status"] == 200 and _is_document(message):
            self._start = message
            return
        start, self._start = self._start, None
        if start is None:
            await self._send(message)
        elif message.get("more_body", False):
            await self._send(start)
            await self._send(message)
        else:
            await self._answer(start, message)

    async def _answer(self, start: Message, body: Message) -> None:
        headers = MutableHeaders(scope=start)
        if "etag" not in headers:
            headers["ETag"] = f'W/"{hashlib.blake2b(body.get("body", b""), digest_size=16).hexdigest()}"'
        headers.setdefault("Cache-Control", "private, no-cache")
        if not matches(self._known, headers["ETag"]):
            await self._send(start)
            await self._send(body)
            return
        kept = [(name, value) for name, value in start["headers"] if name.lower() not in {b"content-length", b"content-type"}]
        await self._send({**start, "status": 304, "headers": kept})
        await self._send({**body, "body": b""})


def _is_document(start: Message) -> bool:
    kind = Headers(raw=start["headers"]).get("content-type", "")
    return kind.partition(";")[0] == JSON


def matches(if_none_match: str | None, etag: str) -> bool:
    """Whether the caller has this answer already, by the weak comparison of RFC 9110 section 8.8.3.2."""
    if if_none_match is None:
        return False
    known = [each.strip().removeprefix("W/") for each in if_none_match.split(",")]
    return "*" in known or etag.removeprefix("W/") in known


class _Silent:
    """Sends headers only, and ends the serving of what has no end."""

    def __init__(self, send: Send, serving: anyio.CancelScope) -> None:
        self._send = send
        self._serving = serving

    async def send(self, message: Message) -> None:
        """Pass on the start, and an end in the place of the body."""
        if message["type"] == "http.response.start":
            await self._send(message)
            return
        if message["type"] == "http.response.body":
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
            if message.get("more_body", False):
                self._serving.cancel()
