"""OpenID Connect: people log in at a provider of theirs. Discovery, authorization code with PKCE, and the ID token's proof.

Source: OpenID Connect Core 1.0 (3.1), Discovery 1.0; RFC 7636 (PKCE); RFC 9700 (what to be wary of).
"""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from productops.adapters.safe_http import SafeHttp
from productops.errors import IdentityProviderError, UnauthorizedError
from productops.settings import Settings, is_loopback

# Signatures by the provider's own key. `none` and the shared secret of HS256 are no proof of who signed.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA")
LEEWAY_S = 30
DOCUMENT_LIFE_S = 3600.0
KEYS_AGAIN_S = 30.0
GROUPS_MAX = 500
_TEXT_MAX = 255


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody the provider vouches for. ``email`` is empty unless the provider says that it verified it."""

    subject: str
    name: str
    email: str
    groups: tuple[str, ...]


@dataclass(slots=True)
class _Kept:
    value: Any = None
    at: float = -1e9

    def young(self, life_s: float) -> bool:
        return self.value is not None and time.monotonic() - self.at < life_s

    def put(self, value: Any) -> Any:
        self.value, self.at = value, time.monotonic()
        return value


@dataclass(slots=True)
class OidcProvider:
    """One provider, with its documents kept for an hour. Usable from many threads."""

    issuer: str
    client_id: str
    client_secret: str = ""
    groups_claim: str = "groups"
    timeout_s: float = 5.0
    _document: _Kept = field(default_factory=_Kept)
    _keys: _Kept = field(default_factory=_Kept)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def authorization_url(self, *, state: str, nonce: str, verifier: str, redirect_uri: str) -> str:
        """Where the browser goes to log in. Raises: IdentityProviderError."""
        challenge: str = create_s256_code_challenge(verifier)  # type: ignore[no-untyped-call]
        url: str = prepare_grant_uri(
            self._endpoint("authorization_endpoint"), self.client_id, "code", redirect_uri=redirect_uri, scope="openid profile email",
            state=state, nonce=nonce, code_challenge=challenge, code_challenge_method="S256",
        )  # fmt: skip
        return url

    def identify(self, *, code: str, nonce: str, verifier: str, redirect_uri: str) -> Identity:
        """Trade the code for an ID token, and believe it only when everything about it fits.

        Raises: IdentityProviderError when the provider fails, UnauthorizedError when it refuses the code or its token proves nothing.
        """
        tokens = self._trade(code, verifier=verifier, redirect_uri=redirect_uri)
        claims = self._verified(str(tokens.get("id_token", "")), nonce=nonce, access_token=tokens.get("access_token"))
        groups = claims.get(self.groups_claim) or []
        groups = [groups] if isinstance(groups, str) else groups
        named = claims.get("preferred_username") or claims.get("email") or claims.get("name") or claims["sub"]
        return Identity(
            subject=str(claims["sub"])[:_TEXT_MAX],
            name=str(named)[:100],
            email=str(claims.get("email", ""))[:_TEXT_MAX] if claims.get("email_verified") is True else "",
            groups=tuple(str(each)[:_TEXT_MAX] for each in groups[:GROUPS_MAX]) if isinstance(groups, list) else (),
        )

    def log_out_url(self, *, back_to: str) -> str | None:
        """Where somebody logs out at the provider; None when it has no such page. Raises: IdentityProviderError."""
        if not self._read_document().get("end_session_endpoint"):
            return None
        query = urlencode({"client_id": self.client_id, "post_logout_redirect_uri": back_to})
        return f"{self._endpoint('end_session_endpoint')}?{query}"

    # ---- the provider's documents

    def _read_document(self) -> Mapping[str, Any]:
        with self._lock:
            if self._document.young(DOCUMENT_LIFE_S):
                kept: Mapping[str, Any] = self._document.value
                return kept
            document = self._json("GET", f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
            if document.get("issuer") != self.issuer:
                said = str(document.get("issuer"))[:200]
                raise IdentityProviderError(f"the provider at {self.issuer} calls itself {said}: PRODUCTOPS_OIDC_ISSUER must be that text")
            found: Mapping[str, Any] = self._document.put(document)
            return found

    def _endpoint(self, name: str) -> str:
        url = str(self._read_document().get(name) or "")
        parts = urlsplit(url)
        if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or "")):
            return url
        raise IdentityProviderError(f"the provider at {self.issuer} names no usable {name}; it must begin with https://")

    def _key_set(self, *, again: bool) -> KeySet:
        endpoint = self._endpoint("jwks_uri")
        with self._lock:
            if self._keys.young(KEYS_AGAIN_S if again else DOCUMENT_LIFE_S):
                kept: KeySet = self._keys.value
                return kept
            document = self._json("GET", endpoint)
            try:
                keys: KeySet = self._keys.put(KeySet.import_key_set(document))
            except (JoseError, ValueError, KeyError, TypeError) as error:
                raise IdentityProviderError(f"the keys of the provider at {self.issuer} cannot be read: {error}") from error
            return keys

    # ---- the code and the token

    def _trade(self, code: str, *, verifier: str, redirect_uri: str) -> Mapping[str, Any]:
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri, "code_verifier": verifier}
        headers: dict[str, str] = {}
        ways = self._read_document().get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        if self.client_secret and "client_secret_basic" in ways:
            pair = f"{quote(self.client_id, safe='')}:{quote(self.client_secret, safe='')}"
            headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            form |= {"client_id": self.client_id} | ({"client_secret": self.client_secret} if self.client_secret else {})
        answer = self._json("POST", self._endpoint("token_endpoint"), form=form, headers=headers)
        if not isinstance(answer, dict) or not answer.get("id_token"):
            raise UnauthorizedError("the identity provider gave no ID token; is `openid` among the scopes it allows this client?")
        return answer

    def _verified(self, token: str, *, nonce: str, access_token: Any) -> CodeIDToken:
        """Signature, algorithm, issuer, audience, times, nonce. Raises: UnauthorizedError."""
        decoded = self._decoded(token)
        claims = CodeIDToken(
            decoded.claims, decoded.header,
            {"iss": {"essential": True, "value": self.issuer}, "aud": {"essential": True, "value": self.client_id}},
            {"nonce": nonce, "client_id": self.client_id, "access_token": access_token},
        )  # fmt: skip
        try:
            claims.validate(leeway=LEEWAY_S)
        except Exception as error:  # errors of two libraries; each means: not proven
            raise UnauthorizedError(f"the identity provider's token is refused: {error}") from error
        if not isinstance(claims.get("sub"), str) or not claims["sub"]:
            raise UnauthorizedError("the identity provider's token is refused: it names nobody")
        return claims

    def _decoded(self, token: str) -> jwt.Token:
        """The token with its signature proven; the provider may have changed its keys since we read them."""
        try:
            return jwt.decode(token, self._key_set(again=False), algorithms=list(ALGORITHMS))
        except (JoseError, ValueError, KeyError, TypeError):
            pass
        try:
            return jwt.decode(token, self._key_set(again=True), algorithms=list(ALGORITHMS))
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise UnauthorizedError(f"the identity provider's token is refused: its signature proves nothing ({error})") from error

    def _json(self, method: str, url: str, *, form: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None) -> Any:
        """Raises: IdentityProviderError, UnauthorizedError when the provider refuses what it was sent."""
        secrets = [self.client_secret, *(form or {}).values()]
        http = SafeHttp(
            url, what="the identity provider", secrets=secrets, timeout_s=self.timeout_s, patience_s=self.timeout_s,
            failure=IdentityProviderError,
        )  # fmt: skip
        try:
            answer = http.call(method, "", form=form, headers=headers, repeatable=method == "GET")
        finally:
            http.close()
        document = answer.document()
        if answer.status in {400, 401, 403} and form is not None:
            why = document.get("error_description") or document.get("error") if isinstance(document, dict) else answer.status
            raise UnauthorizedError(f"the identity provider refused the log-in: {str(why)[:200]}; begin again")
        if not answer.ok or not isinstance(document, dict):
            raise IdentityProviderError(f"the identity provider at {url} answered {answer.status} and no JSON document we can use")
        return document


def provider_of(settings: Settings) -> OidcProvider | None:
    """The provider of the settings; None when there is none."""
    if not settings.oidc_issuer:
        return None
    secret = settings.oidc_client_secret.get_secret_value() if settings.oidc_client_secret else ""
    return OidcProvider(settings.oidc_issuer, settings.oidc_client_id, client_secret=secret, groups_claim=settings.oidc_groups_claim)
