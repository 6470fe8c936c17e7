"""The API as commands see it: documents in and out, errors as the exceptions they were on the server."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx

from productops.errors import (
    DependencyError,
    InvalidInputError,
    NotFoundError,
    NotRunningError,
    ProductOpsError,
    SettingsError,
    error_classes,
)

OPS = "/api/v1/product-ops"
TIMEOUT_S = 20.0
FILES_TIMEOUT_S = 300.0
# The server says something every 10 s; a stream that is silent for longer is dead.
SILENCE_S = 30.0
TRIES = 4
_STANDARD = frozenset({"type", "title", "status", "detail", "slug"})


class ApiClient:
    """A client that many threads may use. Its methods raise the ProductOpsError the server answered with.

    Raises besides: NotRunningError when nothing listens there, DependencyError when it does not answer in time.
    """

    def __init__(self, url: str, token: str, *, trust_env: bool = False, certificate: Path | None = None) -> None:
        """``certificate``: the only one that is trusted, whatever name it is made out to; for an installation on this machine."""
        self.url = url
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        # Certificates take 0.1 s to load; a context without any trusts nobody, which plain HTTP does not need.
        verify = _pinned(certificate) if certificate else True if url.startswith("https") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._http = httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT_S, trust_env=trust_env, verify=verify)

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def get(self, path: str, *, timeout_s: float = TIMEOUT_S, **query: Any) -> dict[str, Any]:
        """Read a document; ``None`` values are left out of the query."""
        given = {name: value for name, value in query.items() if value is not None}
        return self._document(self._send("GET", path, params=given, timeout=timeout_s))

    def get_all(self, path: str, **query: Any) -> dict[str, Any]:
        """A list with the items of all its pages."""
        found = self.get(path, **query)
        page = found
        while page.get("next"):
            page = self.get(path, **query, after=page["next"])
            found["items"] += page["items"]
        return found | {"next": None}

    def post(self, path: str, body: Mapping[str, Any], *, key: str | None = None, timeout_s: float = TIMEOUT_S) -> dict[str, Any]:
        """Send a document. With an idempotency key it is repeated while the API is away, so it must be safe to repeat."""
        headers = {"Idempotency-Key": key} if key else {}
        for attempt in range(1, TRIES + 1):
            try:
                return self._document(self._send("POST", path, json=body, headers=headers, timeout=timeout_s))
            except (NotRunningError, DependencyError) as error:
                if key is None or attempt == TRIES or not _may_be_repeated(error):
                    raise
                time.sleep(0.3 * attempt)
        raise AssertionError  # pragma: no cover - the loop returns or raises

    def put(self, path: str, body: Mapping[str, Any], *, revision: int) -> dict[str, Any]:
        """Replace what is at a revision."""
        return self._document(self._send("PUT", path, json=body, headers={"If-Match": f'"{revision}"'}))

    def delete(self, path: str) -> dict[str, Any]:
        """Delete it; the answer says what it was."""
        return self._document(self._send("DELETE", path))

    def post_files(self, path: str, fields: Mapping[str, Any], files: Sequence[tuple[str, Path]], *, key: str | None) -> dict[str, Any]:
        """Send a form with files under their names; a list in ``fields`` is a field several times. Raises: NotFoundError for a file."""
        with ExitStack() as opened:
            try:
                parts = [("files", (name, opened.enter_context(file.open("rb")))) for name, file in files]
            except OSError as error:
                raise NotFoundError(f"{error.filename} cannot be read: {error.strerror}") from error
            headers = {"Idempotency-Key": key} if key else {}
            return self._document(self._send("POST", path, data=dict(fields), files=parts, headers=headers, timeout=FILES_TIMEOUT_S))

    def get_raw(self, path: str, **query: Any) -> bytes:
        """Read what is no JSON document: a file. ``None`` values are left out of the query."""
        given = {name: value for name, value in query.items() if value is not None}
        answer = self._send("GET", path, params=given, headers={"Accept": "*/*"})
        if answer.is_error:
            self._document(answer)
        return answer.content

    def post_raw(self, path: str, body: Mapping[str, Any]) -> bytes:
        """Send a document and take the answer as it is: a picture."""
        answer = self._send("POST", path, json=body, headers={"Accept": "*/*"})
        if answer.is_error:
            self._document(answer)
        return answer.content

    def events(self, release_id: str, *, after: int) -> Iterator[dict[str, Any]]:
        """Events of a release after a sequence number, until the server ends the stream. ``{}`` is a sign of life."""
        return self.follow(f"{OPS}/releases/{release_id}/events", last=str(after))

    def follow(self, path: str, *, last: str | None = None, **query: Any) -> Iterator[dict[str, Any]]:
        """Documents of an event stream, until the server ends it. ``last`` is the id of the last one received; ``{}`` is a sign of life."""
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last is not None else {})
        timeout = httpx.Timeout(TIMEOUT_S, read=SILENCE_S)
        given = {name: value for name, value in query.items() if value is not None}
        try:
            with self._http.stream("GET", path, params=given, headers=headers, timeout=timeout) as answer:
                if answer.is_error:
                    answer.read()
                    self._document(answer)
                for line in answer.iter_lines():
                    if line.startswith("data: "):
                        yield json.loads(line.removeprefix("data: "))
                    elif line.startswith(":"):
                        yield {}
        except httpx.HTTPError as error:
            raise self._away(error) from error

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            return self._http.request(method, path, **request)
        except httpx.HTTPError as error:
            raise self._away(error) from error

    def _away(self, error: httpx.HTTPError) -> ProductOpsError:
        if isinstance(error, httpx.ConnectError):
            return NotRunningError(f"no API answers at {self.url}; start it with `productops up`, or name it with --api-url")
        return DependencyError(f"the API at {self.url} did not answer ({str(error) or type(error).__name__})")

    def _document(self, answer: httpx.Response) -> dict[str, Any]:
        try:
            document = answer.json()
        except ValueError:
            document = None
        if answer.is_success and isinstance(document, dict):
            return document
        if isinstance(document, dict) and "slug" in document:
            raise from_problem(document)
        raise DependencyError(f"{self.url} answered {answer.status_code} and nothing this program understands; is it the API?")


def _pinned(certificate: Path) -> ssl.SSLContext:
    """Raises: SettingsError for a file that holds no certificate."""
    try:
        trusted = ssl.create_default_context(cafile=str(certificate))
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"PRODUCTOPS_TLS_CERTIFICATE {certificate} cannot be read: {error}") from error
    trusted.check_hostname = False
    trusted.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # it need not be an authority's
    return trusted


def _may_be_repeated(error: ProductOpsError) -> bool:
    return isinstance(error, NotRunningError) or error.retryable


def from_problem(document: Mapping[str, Any]) -> ProductOpsError:
    """The exception a problem stands for: by its slug, else by its status."""
    found = next((c for c in error_classes() if c.slug == document["slug"]), None)
    kind = found or (DependencyError if int(document.get("status", 500)) >= 500 else InvalidInputError)
    extra = {name: value for name, value in document.items() if name not in _STANDARD}
    return kind(str(document.get("detail", document.get("title", "an error without a word"))), **extra)


def to_problem(error: ProductOpsError) -> dict[str, Any]:
    """An error as ``--json`` prints it; as the API would."""
    return {"title": error.title, "status": error.status, "detail": error.detail, "slug": error.slug, **error.extra}
