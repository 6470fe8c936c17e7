"""Around every request: an id, a log line, safe headers, who sends it and how often, and a limit on the body."""

from __future__ import annotations

import re
import time
import uuid

import anyio
import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from productops.api import problems
from productops.api.access import PRINCIPAL, Authenticator, is_public
from productops.api.governance_access_limits import Buckets, Left
from productops.api.governance_access_streams import OpenConnection
from productops.api.governance_access_ways import has_credentials
from productops.api.governance_security_seen import Sightings
from productops.domain.governance_access import Principal
from productops.errors import ProductOpsError, TooManyRequestsError, UnauthorizedError
from productops.settings import Settings, is_loopback

log = structlog.get_logger(__name__)

BODY_BYTES_MAX = 1_048_576
# Read and thrown away before a refusal, because a client that still sends may otherwise never see the answer.
DRAIN_BYTES_MAX = 8 * BODY_BYTES_MAX
DRAIN_TIMEOUT_S = 2
BODY_TIMEOUT_S = 30.0
HOW_TO_CALL = "send the header `Authorization: Bearer <token>`; the token of a local installation is in its home folder"
UNKNOWN = "this token, or session, is unknown, has expired or was revoked; " + HOW_TO_CALL
# Reports of tests and scanners are the one thing that is larger; a setting says how much.
UPLOAD_PATH = "/api/v1/product-ops/quality/validate"
# Alerts come in storms. Many who send them throw away what is refused, so they wait in a line of their own instead.
ALERTS_PATH = "/api/v1/product-ops/alerts"
ALERTS_BYTES_MAX = 8 * BODY_BYTES_MAX
ALERTS_LINE_S = 10.0
# Flags have a limit of their own, for all of their callers together.
_UNLIMITED = "/ofrep/"
FORBIDDEN = 403
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}


class RequestScope:
    """Gives a request its id, writes one log line, adds safe headers, and turns what nobody foresaw into a 500 without details."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        started = time.perf_counter()
        status = 0

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                for name, value in _SAFE_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, send_marked)
            except Exception:
                log.exception("unexpected error", method=scope["method"], path=scope["path"])
                if status:
                    raise
                await problems.internal()(scope, receive, send_marked)
            finally:
                # Flags are asked for with POST, hundreds of times a second.
                routine = (scope["method"] in {"GET", "HEAD"} or scope["path"].startswith("/ofrep/")) and status < 500
                write = log.debug if routine else log.info
                write(
                    "request", method=scope["method"], path=scope["path"], status=status,
                    duration_ms=round((time.perf_counter() - started) * 1000, 1),
                )  # fmt: skip


class Gate:
    """Lets in who is known, as often as they may come, and bodies of at most 1 MiB."""

    def __init__(
        self, app: ASGIApp, authenticator: Authenticator, settings: Settings | None = None, body_timeout_s: float = BODY_TIMEOUT_S,
        sightings: Sightings | None = None,
    ) -> None:  # fmt: skip
        known = settings or Settings()
        self._app = app
        self._authenticator = authenticator
        self._sightings = sightings or Sightings()
        self._body_timeout_s = body_timeout_s
        self._upload_bytes_max = known.quality_upload_mb * 1_048_576
        self._requests = Buckets(per_s=known.requests_per_s, burst=max(known.requests_burst, known.requests_per_s))
        self._alerts = Buckets(per_s=known.requests_per_s, burst=max(known.requests_burst, known.requests_per_s))
        self._failures = Buckets(per_s=known.failed_authentications_per_min / 60, burst=known.failed_authentications_per_min)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, or refuse, one request."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        if PRINCIPAL not in scope and not is_public(scope["path"]):
            try:
                scope = dict(scope) | {PRINCIPAL: await self._known(scope)}
            except ProductOpsError as error:
                await _refuse(error, scope, receive, send)
                return
        principal: Principal | None = scope.get(PRINCIPAL)
        if principal is not None and not scope["path"].startswith(_UNLIMITED):
            buckets, left = await self._counted(principal, scope)
            send = self._counting(send, buckets, left, principal, scope)
            if not left.allowed:
                wait = f"more than {buckets.per_s:g} requests a second; come back in {left.retry_s} s"
                await _refuse(TooManyRequestsError(wait, retry_after_s=left.retry_s), scope, receive, send)
                return
        if principal is not None and scope.get("method", "GET") == "GET":  # streams and sockets
            held = OpenConnection(scope, receive, send, principal, self._authenticator)
            receive, send = held.receive, held.send
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            receive = _limited(
                receive, announced=headers.get("content-length", ""), timeout_s=self._body_timeout_s, bytes_max=self._bytes_max(scope)
            )  # fmt: skip
        await self._app(scope, receive, send)

    def _bytes_max(self, scope: Scope) -> int:
        if scope["path"] == UPLOAD_PATH:
            return self._upload_bytes_max
        return ALERTS_BYTES_MAX if _tells_alerts(scope) else BODY_BYTES_MAX

    async def _counted(self, principal: Principal, scope: Scope) -> tuple[Buckets, Left]:
        """The limit that a request is under, and what is left of it; alerts come back from here when it is their turn."""
        name = principal.token_id or principal.name
        if not _tells_alerts(scope):
            return self._requests, self._requests.take(name)
        wait_s, left = self._alerts.line_up(name, longest_s=ALERTS_LINE_S)
        if left.allowed and wait_s:
            await anyio.sleep(wait_s)
        return self._alerts, left

    async def _known(self, scope: Scope) -> Principal:
        """Who sends it. Raises: UnauthorizedError, TooManyRequestsError for an address that was wrong too often, StoreUnavailableError."""
        headers, path = Headers(scope=scope), scope["path"]
        if not has_credentials(headers):
            raise UnauthorizedError(HOW_TO_CALL)
        address = (scope.get("client") or ("", 0))[0]
        left = self._failures.peek(address)
        if not left.allowed:
            # Who works with a good token from there goes on; on this machine its owner always does.
            found = self._authenticator.at_once(headers, path, installation=is_loopback(address))
            if found is None:
                self._sightings.throttled(address)
                wait = f"too many wrong tokens from your address; come back in {left.retry_s} s"
                raise TooManyRequestsError(wait, retry_after_s=left.retry_s)
            return found
        found = await self._authenticator.principal(headers, path)
        if found is None:
            self._failures.take(address)
            self._sightings.failed(address, headers)
            raise UnauthorizedError(UNKNOWN)
        self._sightings.used(found, address)
        return found

    def _counting(self, send: Send, buckets: Buckets, left: Left, principal: Principal, scope: Scope) -> Send:
        """``send`` that tells how many requests are left, and counts what is refused."""

        async def counting(message: Message) -> None:
            if message["type"] == "http.response.start":
                if message["status"] == FORBIDDEN:
                    self._sightings.refused(principal, (scope.get("client") or ("", 0))[0])
                headers = MutableHeaders(scope=message)
                headers["RateLimit-Policy"] = buckets.policy
                headers["RateLimit"] = buckets.header(left)
            await send(message)

        return counting


def _tells_alerts(scope: Scope) -> bool:
    path: str = scope["path"]
    return scope.get("method") == "POST" and (path == ALERTS_PATH or path.startswith(f"{ALERTS_PATH}/"))


async def _refuse(error: ProductOpsError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a problem; a websocket is closed before it was opened, which its caller sees as 403."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})
        return
    await problems.from_error(error)(scope, receive, send)


def _limited(receive: Receive, *, announced: str, timeout_s: float, bytes_max: int = BODY_BYTES_MAX) -> Receive:
    """``receive`` that refuses a body past the limit as soon as that is known, and one that does not come."""
    seen, complete = 0, False
    length = int(announced[:20]) if announced.isdecimal() else 0

    async def limited() -> Message:
        nonlocal seen, complete
        if complete:  # what comes now is the end of the connection, whenever that is
            return await receive()
        too_large = f"a body has at most {bytes_max:,} bytes"
        if length > max(DRAIN_BYTES_MAX, bytes_max):
            raise HTTPException(413, too_large)
        with anyio.move_on_after(timeout_s) as patience:
            message = await receive()
        if patience.cancelled_caught:
            raise HTTPException(408, f"the body did not come within {timeout_s:g} s")
        seen += len(message.get("body", b""))
        complete = not message.get("more_body", False)
        if max(seen, length) > bytes_max:
            await _drain(receive, message)
            raise HTTPException(413, too_large)
        return message

    return limited


async def _drain(receive: Receive, message: Message) -> None:
    drained = 0
    with anyio.move_on_after(DRAIN_TIMEOUT_S):
        while message.get("more_body", False) and drained < DRAIN_BYTES_MAX:
            message = await receive()
            drained += len(message.get("body", b""))
