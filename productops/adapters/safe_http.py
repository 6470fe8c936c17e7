"""One HTTP client for outside systems: a deadline for the whole exchange, a limit on the answer, patience, and no way elsewhere."""

from __future__ import annotations

import json
import random
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from productops.adapters.safe_address import is_forbidden as forbidden_address
from productops.adapters.safe_address import resolve
from productops.errors import DependencyError, RateLimitedError, SettingsError
from productops.settings import is_loopback

ANSWER_BYTES_MAX = 16_000_000
_BUSY = frozenset({429, 502, 503, 504})
_PAUSE_S = 0.2
_PEACE_MAX_S = 3600.0
_NO_CERTIFICATES = ssl.PROTOCOL_TLS_CLIENT

Failure = Callable[[str], DependencyError]


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers (lower case) and body of an answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    def document(self) -> Any:
        """The body as JSON, or ``None`` when it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def text(self, limit: int = 300) -> str:
        """The beginning of the body on one line, for an error."""
        return re.sub(r"\s+", " ", self.body[: 4 * limit].decode("utf-8", "replace")).strip()[:limit]


def check_url(url: str, *, secret: bool, plain_secret: bool = False) -> str:
    """``url`` without a slash at its end.

    Raises: SettingsError when it is no http(s) URL, carries a user, query or fragment, or would send a secret over plain HTTP to
    another machine (``plain_secret`` allows that).
    """
    parts = urlsplit(url)
    shown = f"{parts.scheme}://{parts.hostname}"
    try:
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise SettingsError(f"the URL {shown} is not usable: write http:// or https:// and a host")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise SettingsError(f"the URL {shown} must have no user, query or fragment; a secret goes into an environment variable")
    if secret and parts.scheme == "http" and not plain_secret and not is_loopback(parts.hostname or ""):
        raise SettingsError(f"the URL {shown} would send a secret unencrypted to another machine: use https")
    return url.rstrip("/")


class SafeHttp:
    """A client of one outside system. Redirects are refused, proxies of the environment are not used, secrets are never in a text.

    ``timeout_s`` bounds one exchange, ``patience_s`` all tries together. Busy answers (429, 502, 503, 504) and broken connections are
    repeated when the call is ``repeatable``, after ``Retry-After`` if the server names it; when it asks for more than the patience,
    RateLimitedError is raised and nothing more is sent until then.
    """

    def __init__(
        self,
        base_url: str,
        *,
        what: str,
        headers: Mapping[str, str] | None = None,
        secrets: Iterable[str] = (),
        timeout_s: float = 5.0,
        patience_s: float = 5.0,
        failure: Failure = DependencyError,
        verify: ssl.SSLContext | None = None,
        socket_path: str = "",
    ) -> None:
        self._base, self._what, self._failure = base_url.rstrip("/"), what, failure
        self._headers = {"accept": "application/json", "user-agent": "productops", **(headers or {})}
        self._secrets = tuple(s for s in secrets if s)
        self._timeout_s, self._patience_s = timeout_s, patience_s
        self._verify, self._socket_path = verify, socket_path
        self._lock = threading.Lock()
        self._http: httpx.Client | None = None
        self._peace_until = 0.0

    def __repr__(self) -> str:
        return f"SafeHttp({self._base!r})"

    def close(self) -> None:
        """Give the connections back; the next call opens others."""
        with self._lock:
            if self._http is not None:
                self._http.close()
            self._http = None

    def call(
        self,
        method: str,
        path: str,
        *,
        repeatable: bool = True,
        params: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One exchange with any status but a lasting "busy".

        Raises: RateLimitedError; what ``failure`` makes when there is no answer, it is too long, or the address is forbidden.
        """
        until = time.monotonic() + self._patience_s
        self._check_peace()
        pause = _PAUSE_S
        while True:
            wait, problem, cause = pause, "", None
            try:
                answer = self._exchange(method, path, params=params, form=form, body=body, headers=headers)
                if answer.status not in _BUSY:
                    return answer
                problem = f"answered {answer.status}: {answer.text(200)}"
                wait = max(self._wanted_pause(answer, until), wait if answer.status != 429 else 0.0)
            except (httpx.HTTPError, OSError) as error:
                cause, problem = error, f"did not answer: {error or type(error).__name__}"
            if not repeatable or time.monotonic() + wait >= until:
                raise self.fail(problem) from cause
            time.sleep(wait * random.uniform(0.9, 1.1))  # noqa: S311 - spreads retries, guards nothing
            pause *= 2

    def fail(self, problem: str) -> DependencyError:
        """The error of this system, with secrets blanked that it may have repeated."""
        for secret in self._secrets:
            problem = problem.replace(secret, "***")
        return self._failure(f"{self._what} at {self._base} {problem}")

    def _check_peace(self) -> None:
        left = self._peace_until - time.monotonic()
        if left > 0:
            raise RateLimitedError(f"{self._what} at {self._base} asked for peace for another {left:.0f} s", retry_after_s=left)

    def _wanted_pause(self, answer: Answer, until: float) -> float:
        """Seconds the server asks for, 0 when it names none. Raises: RateLimitedError when that exceeds the patience."""
        named = answer.headers.get("retry-after") or answer.headers.get("x-ratelimit-reset", "")  # the second is Datadog's
        wanted = retry_after_s(named, now=datetime.now(UTC))
        wanted = min(wanted, _PEACE_MAX_S)
        if answer.status == 429 and time.monotonic() + wanted >= until:
            self._peace_until = time.monotonic() + wanted
            raise RateLimitedError(f"{self._what} at {self._base} answered 429 and asks for {wanted:.0f} s", retry_after_s=wanted)
        return wanted

    def _exchange(
        self, method: str, path: str, *, params: Mapping[str, str] | None, form: Mapping[str, str] | None, body: Any,
        headers: Mapping[str, str] | None,
    ) -> Answer:  # fmt: skip
        if not self._socket_path:
            self._check_address()
        elif not Path(self._socket_path).is_socket():
            raise FileNotFoundError(f"there is no socket {self._socket_path}")
        end = time.monotonic() + self._timeout_s
        request = self._client().build_request(
            method, f"{self._base}{path}", params=params, data=form, headers=headers,
            content=body if isinstance(body, bytes) else None, json=None if isinstance(body, bytes) else body,
        )  # fmt: skip
        response = self._client().send(request, stream=True)
        try:
            content = self._read(response, end)
        finally:
            response.close()
        if response.is_redirect and response.status_code != 304:  # which only says that nothing changed
            raise self.fail(f"answered {response.status_code}, a redirect; name the address it leads to, redirects are not followed")
        return Answer(response.status_code, {k.lower(): v for k, v in response.headers.items()}, content)

    def _read(self, response: httpx.Response, end: float) -> bytes:
        """The body. A server that sends a byte now and then must not hold the caller beyond the deadline."""
        content = bytearray()
        for piece in response.iter_bytes():
            content += piece
            if len(content) > ANSWER_BYTES_MAX:
                raise self.fail(f"sent more than {ANSWER_BYTES_MAX:,} bytes; ask for less")
            if time.monotonic() > end:
                raise httpx.ReadTimeout(f"not complete within {self._timeout_s:g} s")
        return bytes(content)

    def _check_address(self) -> None:
        parts = urlsplit(self._base)
        found = resolve(parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
        if any(forbidden_address(address) for address in found):
            raise self.fail("is refused: a link-local address may be a cloud's metadata service, which holds credentials")

    def _client(self) -> httpx.Client:
        with self._lock:
            if self._http is None:
                # Certificates take 0.1 s to load; a context without any trusts nobody, which plain HTTP does not need.
                verify = self._verify or (True if self._base.startswith("https") else ssl.SSLContext(_NO_CERTIFICATES))
                transport = httpx.HTTPTransport(uds=self._socket_path) if self._socket_path else None
                self._http = httpx.Client(
                    trust_env=False, follow_redirects=False, headers=self._headers, verify=verify, transport=transport,
                    timeout=httpx.Timeout(self._timeout_s, connect=min(self._timeout_s, 2.0)),
                )  # fmt: skip
            return self._http


def retry_after_s(value: str, *, now: datetime) -> float:
    """Seconds of a ``Retry-After`` header, which names seconds or a date; 0 when it is neither or in the past. Source: RFC 9110, 10.2.3."""
    text = value.strip()
    if re.fullmatch(r"\d{1,9}", text):
        return float(text)
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - now).total_seconds())
