"""Takes a webhook to an address that somebody wrote down, and never to where it must not reach."""

from __future__ import annotations

import re
import ssl
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx

from productops.adapters.safe_address import is_forbidden, is_public, resolve
from productops.adapters.safe_http import retry_after_s
from productops.domain.governance_outbox import Posted
from productops.redaction import redact

ANSWER_BYTES_MAX = 4_096
ANSWER_SHOWN = 500
CLIENTS_MAX = 32
HOW = "set PRODUCTOPS_WEBHOOK_ALLOW_PRIVATE=true to send there"
_PRINTABLE = re.compile(r"[^\x20-\x7e\u00a0-\uffff]+")


class _RefusedError(Exception):
    """The address may not be sent to."""


class WebhookSender:
    """Posts without following redirects, without proxies, and to the very address that was checked.

    Each host has connections of its own: its certificate is checked against its own name. Many threads may use one sender.
    """

    def __init__(self, *, allow_private: bool = False) -> None:
        self._allow_private = allow_private
        self._lock = threading.Lock()
        self._clients: OrderedDict[str, httpx.Client] = OrderedDict()
        self._tls: ssl.SSLContext | None = None

    def close(self) -> None:
        """Give the connections back."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()

    def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float) -> Posted:
        """One attempt; what the other side does wrong is told, not raised. ``timeout_s`` bounds all of it."""
        deadline = time.monotonic() + timeout_s
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        try:
            if parts.scheme != "https" and not self._allow_private:
                raise _RefusedError(f"only https:// addresses are sent to; {HOW}")
            address = self._address(host, port)
            return self._exchange(url, host, address, body, headers, timeout_s=timeout_s, deadline=deadline)
        except _RefusedError as error:
            return Posted(None, problem=f"refused: {error}")
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
            return Posted(None, problem=redact(f"no answer: {error or type(error).__name__}")[:ANSWER_SHOWN])

    def _exchange(
        self, url: str, host: str, address: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float, deadline: float
    ) -> Posted:
        client = self._client(f"{host}/{address}", timeout_s)
        sent = {"host": urlsplit(url).netloc, "user-agent": "productops", "accept-encoding": "identity", **headers}
        request = client.build_request(
            "POST", httpx.URL(url).copy_with(host=address), content=body, headers=sent, extensions={"sni_hostname": host},
            timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, 5.0)),
        )  # fmt: skip
        response = client.send(request, stream=True)
        try:
            answer = _read(response, deadline)
        finally:
            response.close()
        problem = "" if response.is_success else f"answered {response.status_code}"
        if response.is_redirect:
            problem += ", a redirect; name the address it leads to, redirects are not followed"
        wanted = retry_after_s(response.headers.get("retry-after", ""), now=datetime.now(UTC))
        return Posted(response.status_code, answer, problem, wanted)

    def _address(self, host: str, port: int) -> str:
        """The address to connect to. Raises: _RefusedError when any address of the name is one that may not be sent to."""
        addresses = resolve(host, port)
        for address in addresses:
            if is_forbidden(address):
                raise _RefusedError(f"{host!r} leads to {address}: that may be a cloud's metadata service, which holds credentials")
            if not self._allow_private and not is_public(address):
                raise _RefusedError(f"{host!r} leads to {address}, which is no public address; {HOW}")
        return addresses[0]

    def _client(self, key: str, timeout_s: float) -> httpx.Client:
        with self._lock:
            client = self._clients.get(key)
            if client is None:
                self._tls = self._tls or httpx.create_ssl_context()
                client = httpx.Client(trust_env=False, follow_redirects=False, verify=self._tls, timeout=timeout_s)
                self._clients[key] = client
                if len(self._clients) > CLIENTS_MAX:
                    self._clients.popitem(last=False)  # not closed: somebody may be using it, and it goes with its last user
            self._clients.move_to_end(key)
            return client


def _read(response: httpx.Response, deadline: float) -> str:
    """The beginning of the answer on one line, without secrets; a server that sends for ever is not listened to."""
    content = bytearray()
    for piece in response.iter_raw(1_024):
        content += piece
        if len(content) >= ANSWER_BYTES_MAX or time.monotonic() > deadline:
            break
    text = _PRINTABLE.sub(" ", bytes(content[:ANSWER_BYTES_MAX]).decode("utf-8", "replace"))
    return redact(" ".join(text.split()))[:ANSWER_SHOWN]
