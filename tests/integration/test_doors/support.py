"""A served API with browsers that log in, an OpenID Connect provider with real keys, and people with roles."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from fastapi import FastAPI
from joserfc import jwt
from joserfc.jwk import RSAKey

from productops.settings import Settings
from productops.store import Store
from productops.usecases.context import Context
from tests.integration.http_support import Reply, Request, answering
from tests.integration.test_api.support import NO_TLS, TOKEN, HandMadeOrchestrator, client_of, free_ports, put_service, serving
from tests.support import Silent, make_context, sqlite_url

CLIENT_SECRET = "the-secret-of-the-client"


@dataclass
class Door:
    """A served API. ``owner`` is a program that carries the installation's token."""

    context: Context
    settings: Settings
    app: FastAPI
    owner: httpx.Client
    opened: list[httpx.Client] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.settings.api_url

    def browser(self) -> httpx.Client:
        """A browser that knows nobody yet."""
        headers = {"Accept": "text/html", "User-Agent": "Browser/1.0"}
        return self._opened(httpx.Client(base_url=self.url, headers=headers, timeout=20, trust_env=False, verify=NO_TLS))

    def link(self, client: httpx.Client | None = None) -> str:
        answer = (client or self.owner).post("/api/v1/access/login-links", json={})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["path"])

    def logged_in(self, client: httpx.Client | None = None) -> httpx.Client:
        """A browser that has opened a link of that caller."""
        browser = self.browser()
        assert browser.get(self.link(client)).status_code == 303
        return browser

    def program(self, token: str) -> httpx.Client:
        return self._opened(client_of(self.settings, token))

    def _opened(self, client: httpx.Client) -> httpx.Client:
        self.opened.append(client)
        return client

    def actions(self) -> list[str]:
        with self.context.store.read() as unit:
            return [entry["action"] for entry in unit.audit.entries()]


@contextmanager
def door(folder: Path, **more: Any) -> Iterator[Door]:
    """Serve an installation of its own: service ``shop`` of venture apollo."""
    home = folder / "home"
    home.mkdir(mode=0o700)
    make_context(sqlite_url(folder)).store.close()
    base = more.pop("port_base", None) or free_ports()
    settings = Settings(home=home, port_base=base, api_token=TOKEN, database_url=sqlite_url(folder), **more)  # type: ignore[arg-type]
    context = Context(store=Store(settings.sqlalchemy_url), doorbell=Silent(), lease_ttl_s=3.0, orchestrator=HandMadeOrchestrator())
    put_service(context, folder / "versions", live="1.0")
    with serving(context, settings) as app, client_of(settings) as owner:
        made = Door(context, settings, app, owner)
        try:
            yield made
        finally:
            for client in made.opened:
                client.close()


@dataclass
class Provider:
    """An OpenID Connect provider. ``claims``, ``header`` and ``key`` change what its next ID tokens say and how they are signed."""

    url: str = ""
    client_id: str = "productops"
    person: dict[str, Any] = field(default_factory=lambda: {"sub": "ada-1", "preferred_username": "ada", "groups": ["release-team"]})
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "k1"}))
    claims: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    unsigned: bool = False
    by_shared_secret: bool = False
    published: list[RSAKey] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def answer(self, request: Request) -> Reply:
        self.asked.append(request.path)
        match request.path:
            case "/.well-known/openid-configuration":
                return Reply(document=self.document())
            case "/keys":
                return Reply(document={"keys": [key.as_dict(private=False) for key in self.published or [self.key]]})
            case "/token":
                return self.trade(request)
        return Reply(404, {"error": "no such page"})

    def document(self) -> dict[str, Any]:
        return {
            "issuer": self.url, "authorization_endpoint": f"{self.url}/authorize", "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys", "end_session_endpoint": f"{self.url}/logout",
        }  # fmt: skip

    def approve(self, location: str) -> str:
        """What the provider does when the person logs in there: a code, sent back to where the request came from."""
        query = {name: values[-1] for name, values in parse_qs(urlsplit(location).query).items()}
        assert (query["response_type"], query["client_id"], query["code_challenge_method"]) == ("code", self.client_id, "S256")
        assert "openid" in query["scope"].split()
        code = secrets.token_urlsafe(8)
        self.codes[code] = query
        return f"{query['redirect_uri']}?code={code}&state={query['state']}"

    def trade(self, request: Request) -> Reply:
        form = request.form
        asked = self.codes.pop(form.get("code", ""), None)
        given = base64.b64decode(request.headers.get("authorization", "").removeprefix("Basic ") or b"").decode()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest()).rstrip(b"=").decode()
        if asked is None or given != f"{self.client_id}:{CLIENT_SECRET}" or asked["code_challenge"] != challenge:
            return Reply(400, {"error": "invalid_grant", "error_description": "the code is unknown or was used"})
        return Reply(document={"access_token": "at", "token_type": "Bearer", "id_token": self.id_token(asked["nonce"])})

    def id_token(self, nonce: str) -> str:
        now = int(time.time())
        claims = {"iss": self.url, "aud": self.client_id, "iat": now, "exp": now + 300, "nonce": nonce} | self.person | self.claims
        claims = {name: value for name, value in claims.items() if value is not None}
        if self.unsigned:
            return f"{_part({'alg': 'none'})}.{_part(claims)}."
        if self.by_shared_secret:  # the public key, taken for a shared secret: a classic confusion
            signed = f"{_part({'alg': 'HS256', 'kid': self.key.kid})}.{_part(claims)}"
            mac = hmac.digest(self.key.as_pem(private=False), signed.encode(), "sha256")
            return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
        return jwt.encode({"alg": "RS256", "kid": self.key.kid} | self.header, claims, self.key)


@contextmanager
def provider() -> Iterator[Provider]:
    """Serve one."""
    made = Provider()
    with answering(made.answer) as server:
        made.url = server.url
        yield made


def _part(document: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()
