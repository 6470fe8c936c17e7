"""A key for the event stream: browsers cannot send a header with it, so its URL carries a key that is good for nothing else."""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Receive, Scope, Send

from productops.api.access import PRINCIPAL
from productops.domain.governance_access import Grant, Operation, Principal, Role
from productops.domain.release import Environment

# What it hears of is that something changed, not what.
FOLLOWER = Principal("a follower of flags", (Grant(Role.VIEWER),), kind="service", operations=frozenset({Operation.FLAG_EVALUATE}))
EVENTS_PATH = "/ofrep/v1/events"


def stream_key(token: str, environment: Environment) -> str:
    """HMAC-SHA256 of the environment under the API's token, 32 hexadecimal digits: it tells nothing about the token."""
    return hmac.new(token.encode(), f"flag-events:{environment.value}".encode(), hashlib.sha256).hexdigest()[:32]


class StreamKey:
    """Lets a caller with the right key follow one environment's events, without a token; other paths are not touched."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["path"] == EVENTS_PATH and scope["method"] == "GET" and self._has_key(scope):
            scope = dict(scope) | {PRINCIPAL: FOLLOWER}
        await self._app(scope, receive, send)

    def _has_key(self, scope: Scope) -> bool:
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        given = query.get("key", [""])[-1]
        try:
            environment = Environment(query.get("environment", [Environment.PRODUCTION.value])[-1])
        except ValueError:
            return False
        return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), stream_key(self._token, environment).encode())
