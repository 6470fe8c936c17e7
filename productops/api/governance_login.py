"""Logging in and out of browsers: the first page, the one-time link, the identity provider."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode

import structlog
from anyio import to_thread
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from productops.adapters.oidc import OidcProvider, provider_of
from productops.api import governance_login_pages as pages
from productops.api.access import is_public
from productops.api.governance_login_session import Cookies, Sessions, read_cookies
from productops.domain.governance_sessions import new_secret, safe_target
from productops.errors import ForbiddenError, ProductOpsError, UnauthorizedError
from productops.settings import Settings
from productops.usecases.context import Context
from productops.usecases.governance_access import principal_of_person
from productops.usecases.governance_sessions import (
    MadeSession,
    begin_attempt,
    log_in_by_link,
    log_in_by_provider,
    log_out,
    take_attempt,
)

log = structlog.get_logger(__name__)

CALLBACK = "/login/callback"
ATTEMPT_S = 600


@dataclass(slots=True)
class Login:
    """The pages at ``/``, ``/login…`` and ``/logout``; everything else goes on to the application."""

    app: ASGIApp
    context: Context
    settings: Settings
    sessions: Sessions
    provider: OidcProvider | None = None

    def __post_init__(self) -> None:
        self.provider = self.provider or provider_of(self.settings)

    @property
    def cookies(self) -> Cookies:
        """Names of our cookies."""
        return self.sessions.cookies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        answer = self._routes().get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if answer is None:
            if await self._is_lost(scope):
                await to_log_in(scope)(scope, receive, send)
                return
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            response = await to_thread.run_sync(answer, request)
        except ProductOpsError as error:
            log.info("log-in refused", path=scope["path"], reason=str(error))
            response = self._page(request, problem=str(error), status=error.status)
        await response(scope, receive, send)

    async def _is_lost(self, scope: Scope) -> bool:
        """Whether a person's browser wants to show what it would only be refused for want of a log-in."""
        if scope["type"] != "http" or is_public(scope["path"]) or not wants_page(scope):
            return False
        headers = Headers(scope=scope)
        return headers.get("authorization") is None and await to_thread.run_sync(self.sessions.find, headers) is None

    def _routes(self) -> dict[tuple[str, str], Callable[[Request], Response]]:
        reading: dict[str, Callable[[Request], Response]] = {
            "/": self._home,
            "/login": self._log_in,
            "/login/oidc": self._leave,
            CALLBACK: self._return,
        }
        return {("GET", path): answer for path, answer in reading.items()} | {("POST", "/logout"): self._log_out}

    def _home(self, request: Request) -> Response:
        found = self.sessions.find(request.headers)  # a header `Authorization` opens no page
        if found is None:
            return RedirectResponse("/login", status_code=303)
        roles = ", ".join(dict.fromkeys(str(grant.role) for grant in found.principal.grants)) or "no role"
        return pages.home(found.principal.name, roles)

    def _log_in(self, request: Request) -> Response:
        code = request.query_params.get("code", "")
        if not code:
            return self._page(request)
        made = log_in_by_link(self.context, code, browser=_browser(request), instead_of=self._secret(request))
        return self._begin(request, made, safe_target(request.query_params.get("next", "/")))

    def _leave(self, request: Request) -> Response:
        """Off to the provider; the attempt is tied to this browser by a cookie."""
        provider = self._need_provider()
        browser_secret = new_secret()
        state, attempt = begin_attempt(self.context, target=request.query_params.get("next", "/"), browser_secret=browser_secret)
        url = provider.authorization_url(state=state, nonce=attempt.nonce, verifier=attempt.verifier, redirect_uri=self._redirect_uri())
        response = RedirectResponse(url, status_code=303)
        self.cookies.put(response.headers, self.cookies.attempt, browser_secret, secure=_secure(request), age_s=ATTEMPT_S)
        return response

    def _return(self, request: Request) -> Response:
        """Back from the provider, perhaps with a person."""
        provider = self._need_provider()
        query = request.query_params
        browser_secret = read_cookies(request.headers).get(self.cookies.attempt, "")
        attempt = take_attempt(self.context, query.get("state", ""), browser_secret=browser_secret)
        if error := query.get("error"):
            raise UnauthorizedError(f"the identity provider did not log you in: {query.get('error_description', error)[:200]}")
        if query.get("iss") not in {None, provider.issuer}:  # RFC 9207: another provider's answer
            raise UnauthorizedError("this answer is of another identity provider")
        known = provider.identify(
            code=query.get("code", ""), nonce=attempt.nonce, verifier=attempt.verifier, redirect_uri=self._redirect_uri()
        )
        subject = f"{provider.issuer}#{known.subject}"
        principal = principal_of_person(self.context, subject=subject, name=known.name, email=known.email, groups=known.groups)
        made = log_in_by_provider(self.context, principal, browser=_browser(request), instead_of=self._secret(request))
        response = self._begin(request, made, attempt.target)
        self.cookies.put(response.headers, self.cookies.attempt, "", secure=_secure(request), age_s=0)
        return response

    def _log_out(self, request: Request) -> Response:
        secret = self._secret(request)
        ended = log_out(self.context, secret) if secret else None
        self.sessions.forget()
        there = None
        if ended is not None and ended.way == "oidc" and self.provider is not None:
            there = self._provider_log_out()
        response = pages.logged_out(there)
        self.cookies.end(response.headers, secure=_secure(request))
        return response

    def _provider_log_out(self) -> str | None:
        try:
            return self._need_provider().log_out_url(back_to=f"{self.settings.public_url}/login")
        except ProductOpsError as error:  # here the person is logged out, whatever the provider's state
            log.info("no log-out at the provider", reason=str(error))
            return None

    def _begin(self, request: Request, made: MadeSession, target: str) -> Response:
        response = RedirectResponse(target, status_code=303)
        self.cookies.begin(response.headers, made.secret, secure=_secure(request))
        self.sessions.forget()
        return response

    def _page(self, request: Request, *, problem: str = "", status: int = 200) -> Response:
        target = safe_target(request.query_params.get("next", "/"))
        issuer = self.provider.issuer if self.provider else ""
        return pages.log_in(provider=issuer, next_path=urlencode({"next": target}), problem=problem, status=status)

    def _secret(self, request: Request) -> str | None:
        return read_cookies(request.headers).get(self.cookies.session) or None

    def _redirect_uri(self) -> str:
        return f"{self.settings.public_url}{CALLBACK}"

    def _need_provider(self) -> OidcProvider:
        if self.provider is None:
            raise ForbiddenError("no identity provider is set up here; set PRODUCTOPS_OIDC_ISSUER, or use `productops login`")
        return self.provider


def wants_page(scope: Scope) -> bool:
    """Whether a browser wants to show the answer, so that it is better sent to the log-in than refused."""
    headers = {name: value for name, value in scope["headers"] if name in {b"accept", b"sec-fetch-mode"}}
    mode = headers.get(b"sec-fetch-mode")
    return scope["method"] == "GET" and b"text/html" in headers.get(b"accept", b"") and mode in {None, b"navigate"}


def to_log_in(scope: Scope) -> Response:
    """Send a browser to the log-in, and back to where it wanted to go."""
    query = scope.get("query_string", b"").decode("latin-1")
    target = scope["path"] + (f"?{query}" if query and not parse_qs(query).get("code") else "")
    return RedirectResponse(f"/login?{urlencode({'next': target})}", status_code=303)


def _browser(request: Request) -> str:
    return request.headers.get("user-agent", "")[:200]


def _secure(request: Request) -> bool:
    return request.url.scheme == "https"
