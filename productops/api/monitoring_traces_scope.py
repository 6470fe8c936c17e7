"""A span for each request that did something, failed or took long, within the trace that its caller names."""

from __future__ import annotations

import time

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from productops import telemetry
from productops.domain.monitoring_traces import TraceContext, read_traceparent
from productops.stats.log_templates import mask

SLOW_S = 0.5
# Flags are asked for hundreds of times a second, and spans of what takes spans in would never end.
_UNTRACED = ("/ofrep/", "/v1/", "/v3/", "/healthz", "/readyz", "/prefect", "/docs", "/openapi.json")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
# Anybody can cause these: they would let strangers write into the database.
_UNKNOWN = frozenset({401, 404, 405, 413, 415, 429})


class Traced:
    """Around the gate: who is not known is seen, but leaves no span."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not telemetry.is_on() or scope["path"].startswith(_UNTRACED):
            await self._app(scope, receive, send)
            return
        parent = read_traceparent(Headers(scope=scope).get("traceparent"))
        method, began = scope["method"], time.monotonic()
        status, stream = 0, False

        async def noted(message: Message) -> None:
            nonlocal status, stream
            if message["type"] == "http.response.start":
                status = message["status"]
                stream = Headers(raw=message["headers"]).get("content-type", "").startswith("text/event-stream")
            await send(message)

        with telemetry.span(f"{method} {_name(scope['path'])}", kind="server", parent=parent) as active:
            try:
                with structlog.contextvars.bound_contextvars(trace_id=active.context.trace_id):
                    await self._app(scope, receive, noted)
            finally:
                _finish(active, scope, status)
                quick = time.monotonic() - began < SLOW_S or stream
                if status in _UNKNOWN or (method in _SAFE and status < 500 and quick and not _is_followed(parent)):
                    active.drop()


def _name(path: str) -> str:
    """The path without ids and versions of services: what requests of one kind have in common."""
    before, found, rest = path.partition("/v1/")
    return f"{before}{found}{mask(rest)}" if found else mask(path)


def _finish(active: telemetry.ActiveSpan, scope: Scope, status: int) -> None:
    active.put("http.request.method", scope["method"])
    active.put("url.path", scope["path"])
    active.put("http.response.status_code", status)
    if status >= 500 or not status:
        active.put("error.type", str(status or "none"))
        active.fail(f"answered {status}" if status else "no answer")


def _is_followed(parent: TraceContext | None) -> bool:
    """Whether the caller records its own part of the trace."""
    return parent is not None and parent.sampled
