"""The session cookie: whose browser it is, and that a write comes from our own pages."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send

from productops.api import problems
from productops.domain.governance_access import Principal
from productops.errors import ForbiddenError, StoreUnavailableError
from productops.settings import Settings
from productops.usecases.context import Context
from productops.usecases.governance_sessions import LoggedIn, find_login, note_use

log = structlog.get_logger(__name__)

CACHED_S = 5.0
CACHED_MAX = 2000
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
CSRF_HEADER = "x-productops-csrf"
FOREIGN = "this write did not come from a page of ours (Origin, Sec-Fetch-Site and the CSRF header say so); programs send a bearer token"


@dataclass(slots=True)
class Cookies:
    """Names of our cookies. They carry the port: browsers give cookies to every port of a host."""

    port: int
    idle_s: int

    @property
    def session(self) -> str:
        """The session's secret; no script reads it."""
        return f"productops-{self.port}"

    @property
    def csrf(self) -> str:
        """What scripts of ours send back in a header."""
        return f"productops-csrf-{self.port}"

    @property
    def attempt(self) -> str:
        """Ties a log-in at the provider to the browser that began it."""
        return f"productops-login-{self.port}"

    def put(self, headers: MutableHeaders, name: str, value: str, *, secure: bool, age_s: int, readable: bool = False) -> None:
        """Set one; an age of 0 removes it."""
        flags = f"Path=/; Max-Age={age_s}; SameSite=Lax" + ("; Secure" if secure else "") + ("" if readable else "; HttpOnly")
        headers.append("set-cookie", f"{name}={value}; {flags}")

    def begin(self, headers: MutableHeaders, secret: str, *, secure: bool) -> None:
        """Log the browser in. How long that holds the store decides, not the cookie."""
        self.put(headers, self.session, secret, secure=secure, age_s=30 * 86_400)
        self.put(headers, self.csrf, secrets.token_urlsafe(16), secure=secure, age_s=30 * 86_400, readable=True)

    def end(self, headers: MutableHeaders, *, secure: bool) -> None:
        """Log it out."""
        for name in (self.session, self.csrf):
            self.put(headers, name, "", secure=secure, age_s=0)


def read_cookies(headers: Mapping[str, str]) -> dict[str, str]:
    """Cookies by name; none when the header is not readable."""
    try:
        return {name: each.value for name, each in SimpleCookie(headers.get("cookie", "")).items()}
    except CookieError:
        return {}


@dataclass(slots=True)
class Sessions:
    """One more way to say who calls: the session cookie. Answers are kept for 5 s, so an ended session is out within 5 s everywhere."""

    context: Context
    cookies: Cookies
    idle: timedelta
    installation: bool = True
    _kept: dict[str, tuple[float, LoggedIn | None]] = field(default_factory=dict)

    def __call__(self, headers: Mapping[str, str], path: str) -> Principal | None:  # noqa: ARG002 - as every way is called
        """The principal of the session in the cookie. A header `Authorization` goes before it."""
        found = self.find(headers)
        return found.principal if found is not None else None

    def secret_of(self, headers: Mapping[str, str]) -> str | None:
        """The cookie's secret, unless another way to say who calls is in the request."""
        secret = read_cookies(headers).get(self.cookies.session, "") if headers.get("authorization") is None else ""
        return secret or None

    def find(self, headers: Mapping[str, str]) -> LoggedIn | None:
        """The session of a request. Raises: StoreUnavailableError."""
        secret = self.secret_of(headers)
        if secret is None:
            return None
        now = time.monotonic()
        at, known = self._kept.get(secret, (-1e9, None))
        if now - at < CACHED_S:
            return known
        found = find_login(self.context, secret, idle=self.idle, installation=self.installation)
        if len(self._kept) >= CACHED_MAX:
            self._kept.clear()
        if found is not None:  # a wrong cookie costs its sender a read each time, and us no memory
            self._kept[secret] = (now, found)
            self._note(found)
        return found

    def forget(self) -> None:
        """Ask the store again: a session has just ended here."""
        self._kept.clear()

    def _note(self, found: LoggedIn) -> None:
        try:
            note_use(self.context, found.session)
        except StoreUnavailableError as error:
            log.info("use of a session not noted", reason=str(error))


def settings_cookies(settings: Settings) -> Cookies:
    """Cookies of this installation."""
    return Cookies(settings.api_port, settings.session_idle_s)


class SameOrigin:
    """Refuses writes, and websockets, that carry our cookie and were caused by somebody else's page."""

    def __init__(self, app: ASGIApp, cookies: Cookies) -> None:
        self._app = app
        self._cookies = cookies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] == "http" and scope["method"] not in SAFE and not self.allows(scope):
            await problems.from_error(ForbiddenError(FOREIGN))(scope, receive, send)
            return
        if scope["type"] == "websocket" and not self.allows(scope):
            await send({"type": "websocket.close", "code": 1008, "reason": "another origin"})
            return
        await self._app(scope, receive, send)

    def allows(self, scope: Scope) -> bool:
        """Whether it is no browser's session, or comes from our own page."""
        headers = Headers(scope=scope)
        cookies = read_cookies(headers)
        if self._cookies.session not in cookies or headers.get("authorization") is not None:
            return True
        origin = headers.get("origin")
        if origin is not None:
            return origin == own_origin(scope)
        if (site := headers.get("sec-fetch-site")) is not None:
            return site == "same-origin"
        wanted = cookies.get(self._cookies.csrf, "")
        return bool(wanted) and secrets.compare_digest(headers.get(CSRF_HEADER, "").encode(), wanted.encode())


def own_origin(scope: Scope) -> str:
    """Scheme, host and port as the browser sees them."""
    scheme = {"ws": "http", "wss": "https"}.get(scope["scheme"], scope["scheme"])
    host = Headers(scope=scope).get("host", "")
    parts = urlsplit(f"{scheme}://{host}")
    default = ":443" if scheme == "https" else ":80"
    return f"{scheme}://{parts.netloc.removesuffix(default)}"
