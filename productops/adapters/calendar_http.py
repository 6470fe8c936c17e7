"""Fetches a calendar from an address that somebody wrote into the catalog, and never from where it must not reach."""

from __future__ import annotations

import time
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import httpx

from productops.adapters.calendar_files import BYTES_MAX
from productops.adapters.safe_address import not_public, resolve
from productops.errors import CalendarSourceError

TIMEOUT_S = 5.0
WHOLE_S = 10.0
REDIRECTS_MAX = 3
_MOVED = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Fetched:
    """``content`` None: nothing changed since ``etag``."""

    content: bytes | None
    etag: str


def fetch_calendar(url: str, *, etag: str = "", allow_private: bool = False) -> Fetched:
    """Get a calendar with time-outs, a size limit and its ETag.

    Without ``allow_private`` it speaks TLS to public addresses only. The name is resolved once and that very address is connected to, so
    that a name cannot lead elsewhere between check and use; each redirection is checked like the first address.
    Raises: CalendarSourceError.
    """
    deadline = time.monotonic() + WHOLE_S
    for _ in range(REDIRECTS_MAX + 1):
        answer = _get(url, etag=etag, allow_private=allow_private, deadline=deadline)
        if isinstance(answer, Fetched):
            return answer
        url = urljoin(url, answer)
    raise CalendarSourceError(f"{_shown(url)} leads on and on; {REDIRECTS_MAX} redirections are followed")


def _get(url: str, *, etag: str, allow_private: bool, deadline: float) -> Fetched | str:
    """The calendar, or where it has moved."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "https" and not (allow_private and parts.scheme == "http"):
        raise CalendarSourceError(f"{_shown(url)}: only https:// addresses are fetched")
    address = _address(host, parts.port or (443 if parts.scheme == "https" else 80), allow_private=allow_private)
    headers = {
        "Host": parts.netloc.rpartition("@")[2], "Accept": "text/calendar, */*;q=0.1", "Accept-Encoding": "identity",
        "User-Agent": "productops",
    }  # fmt: skip
    if etag:
        headers["If-None-Match"] = etag
    pinned = httpx.URL(url).copy_with(host=address)
    try:
        with (
            httpx.Client(trust_env=False, timeout=TIMEOUT_S, follow_redirects=False) as client,
            client.stream("GET", pinned, headers=headers, extensions={"sni_hostname": host}) as answer,
        ):
            return _answer(answer, url, etag=etag, deadline=deadline)
    except httpx.HTTPError as error:
        raise CalendarSourceError(f"{_shown(url)} did not answer ({error or type(error).__name__})") from error


def _answer(answer: httpx.Response, url: str, *, etag: str, deadline: float) -> Fetched | str:
    if answer.status_code in _MOVED and "location" in answer.headers:
        return answer.headers["location"]
    if answer.status_code == 304 and etag:
        return Fetched(None, etag)
    if answer.status_code != 200:
        raise CalendarSourceError(f"{_shown(url)} answered {answer.status_code} instead of a calendar")
    if answer.headers.get("content-encoding", "identity").lower() != "identity":
        raise CalendarSourceError(f"{_shown(url)} sent compressed content, which was not asked for")
    content = bytearray()
    for chunk in answer.iter_raw(65_536):
        content += chunk
        if len(content) > BYTES_MAX:
            raise CalendarSourceError(f"{_shown(url)} sent more than {BYTES_MAX // 1024} KiB")
        if time.monotonic() > deadline:
            raise CalendarSourceError(f"{_shown(url)} did not send its calendar within {WHOLE_S:g} s")
    return Fetched(bytes(content), answer.headers.get("etag", "")[:200])


def _address(host: str, port: int, *, allow_private: bool) -> str:
    """The address to connect to. Raises: CalendarSourceError when any address of the name is not public."""
    try:
        addresses = resolve(host, port)
    except OSError as error:
        raise CalendarSourceError(f"the name {host!r} of the calendar's address is not known: {error}") from error
    if not allow_private and (address := not_public(addresses)):
        raise CalendarSourceError(
            f"{host!r} leads to {address}, which is no public address; set PRODUCTOPS_CALENDAR_ALLOW_PRIVATE=true to fetch from there"
        )
    return addresses[0]


def _shown(url: str) -> str:
    """The address without its query, which often is a secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}{parts.path}"[:300]
