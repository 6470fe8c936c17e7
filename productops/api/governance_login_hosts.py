"""Under which names the API is called, and what a proxy before it may say about a caller."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from productops.api import problems
from productops.settings import Settings, is_loopback

FORWARDED = (b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-port", b"x-real-ip")
# Whoever watches over us calls by whatever address we have at that moment; these two tell nothing.
PROBES = frozenset({"/healthz", "/readyz"})
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Hosts:
    """Refuses other names than ours: a page on a stranger's name that leads here (DNS rebinding) is a stranger's page.

    ``X-Forwarded-…`` is believed from trusted proxies and removed from everybody else's requests.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._names = frozenset(_names(settings))
        self._proxies = tuple(_networks(settings.behind_proxy))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        scope = self._as_seen(scope)
        host = host_of(Headers(scope=scope).get("host", ""))
        if host in self._names or is_loopback(host) or host.endswith(".localhost") or scope["path"] in PROBES:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "another host"})
        else:
            detail = f"this installation is not called {host[:100]!r}; add the name to PRODUCTOPS_PUBLIC_NAMES if it should be"
            await problems.problem(421, slug="wrong-host", title="Not called so", detail=detail)(scope, receive, send)

    def _as_seen(self, scope: Scope) -> Scope:
        """The request as the browser sent it to the proxy that we trust; as it came, from anybody else."""
        headers = Headers(scope=scope)
        kept = [(name, value) for name, value in scope["headers"] if name not in FORWARDED]
        if len(kept) == len(scope["headers"]):
            return scope
        scope = {**scope, "headers": kept}
        client = scope.get("client")
        if not client or not self._trusts(client[0]):
            return scope
        if (proto := headers.get("x-forwarded-proto", "").split(",")[-1].strip()) in {"http", "https"}:
            secure = proto == "https"
            scope["scheme"] = (("wss" if secure else "ws") if scope["type"] == "websocket" else proto)  # fmt: skip
        if address := self._caller(headers.getlist("x-forwarded-for")):
            scope["client"] = (address, 0)
        if name := headers.get("x-forwarded-host", "").split(",")[-1].strip():
            scope["headers"] = [(n, v) for n, v in kept if n != b"host"] + [(b"host", name.encode("latin-1", "replace"))]
        return scope

    def _caller(self, lines: Iterable[str]) -> str | None:
        """The nearest address that is no proxy of ours: what stands before it anybody may have written."""
        for part in reversed([each.strip().strip("[]") for line in lines for each in line.split(",")]):
            try:
                ipaddress.ip_address(part)
            except ValueError:
                return None
            if not self._trusts(part):
                return part
        return None

    def _trusts(self, address: str) -> bool:
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(found in network for network in self._proxies)


def host_of(header: str) -> str:
    """The name or address in a `Host` header, without port and brackets, lower case."""
    try:
        return (urlsplit(f"//{header}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _names(settings: Settings) -> Iterable[str]:
    yield from (name.strip().lower() for name in settings.public_names.split(",") if name.strip())
    if settings.oidc_redirect_base:
        yield urlsplit(settings.oidc_redirect_base).hostname or ""
    if settings.host not in {"0.0.0.0", "::", ""}:  # noqa: S104 - compared, not bound
        yield settings.host.lower()


def _networks(text: str) -> Iterable[Network]:
    return (ipaddress.ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip())
