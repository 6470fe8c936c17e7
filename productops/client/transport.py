"""How requests get there and back: the token, errors as exceptions, repetitions that do nothing twice, streams that go on."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

TIMEOUT_S = 20.0
# The server says something every 10 s; a stream that is silent for longer is dead.
SILENCE_S = 30.0
TRIES = 4
WAIT_S = 0.3
WAIT_S_MAX = 30.0
_TRANSIENT = frozenset({429, 502, 503, 504})


class ApiError(Exception):
    """The server refused: ``slug`` is the stable name of why, ``problem`` the whole document (RFC 9457)."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(str(problem.get("detail") or problem.get("title") or f"status {status}"))
        self.status = status
        self.problem = problem
        self.slug = str(problem.get("slug", ""))


class NoAnswerError(Exception):
    """The server could not be reached, or did not answer in time; what was asked may or may not have been done."""


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event of a stream: its place, its type, and its data."""

    id: str
    type: str
    data: Any


class Transport:
    """One connection pool to one server. Methods raise ``ApiError`` and ``NoAnswerError``; many threads may use it."""

    def __init__(self, url: str, token: str, *, http: httpx.Client | None = None, tries: int = TRIES) -> None:
        """``http``: an own client, e.g. with other certificates or a transport that stays in this process."""
        self._http = http or httpx.Client(base_url=url, timeout=TIMEOUT_S)
        self._http.headers["Authorization"] = f"Bearer {token}"
        self._tries = tries

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def each(self, pages: Callable[..., Any], *args: Any, **query: Any) -> Iterator[Any]:
        """Items of all pages of a list: ``for release in client.each(client.list_releases, service="storefront")``."""
        after = None
        while True:
            page = pages(*args, after=after, **query)
            yield from page["items"]
            after = page.get("next")
            if after is None:
                return

    def _ask(
        self, method: str, path: str, *, query: Mapping[str, Any] | None = None, body: Any = None, headers: Mapping[str, Any] | None = None
    ) -> httpx.Response:
        """The answer to a request; one that may be repeated is, while the server is away or asks for patience."""
        sent = {name: str(value) for name, value in (headers or {}).items() if value is not None}
        if method == "POST":  # so that a repetition gets the first answer
            sent.setdefault("Idempotency-Key", str(uuid.uuid4()))
        safe = method in {"GET", "POST", "PUT"}
        given = {name: value for name, value in (query or {}).items() if value is not None}
        for attempt in range(1, self._tries + 1):
            last = attempt == self._tries or not safe
            try:
                answer = self._http.request(method, path, params=given, json=body, headers=sent)
            except httpx.HTTPError as error:
                if last:
                    raise NoAnswerError(f"{method} {path}: {str(error) or type(error).__name__}") from error
                time.sleep(WAIT_S * attempt)
                continue
            if not answer.is_error:
                return answer
            if last or not _may_be_repeated(answer):
                raise ApiError(answer.status_code, _problem(answer))
            time.sleep(_patience_s(answer, attempt))
        raise AssertionError  # pragma: no cover - the loop returns or raises

    def _follow(self, path: str, *, query: Mapping[str, Any] | None = None, last_event_id: str | None = None) -> Iterator[ServerEvent]:
        """Events of a stream; a lost connection is taken up where it was. Ends when the server says that nothing more will come."""
        given = {name: value for name, value in (query or {}).items() if value is not None}
        place = [last_event_id]
        failures = 0
        while True:
            try:
                for event in self._connected(path, given, place):
                    failures = 0
                    yield event
                if place[0] is None or place[0] == "":
                    return
            except httpx.HTTPError as error:
                failures += 1
                if failures >= self._tries:
                    raise NoAnswerError(f"{path}: {str(error) or type(error).__name__}") from error
                time.sleep(WAIT_S * failures)

    def _connected(self, path: str, query: Mapping[str, Any], place: list[str | None]) -> Iterator[ServerEvent]:
        """Events of one connection. ``place[0]`` is kept up to date, and emptied when there will be no more."""
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": place[0]} if place[0] else {})
        timeout = httpx.Timeout(TIMEOUT_S, read=SILENCE_S)
        with self._http.stream("GET", path, params=query, headers=headers, timeout=timeout) as answer:
            if answer.is_error:
                answer.read()
                raise ApiError(answer.status_code, _problem(answer))
            if answer.status_code == 204:
                place[0] = ""
                return
            fields: dict[str, str] = {}
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                if name == "id":
                    place[0] = value
                if line == "":
                    if "data" in fields:
                        yield ServerEvent(fields.get("id", ""), fields.get("event", "message"), json.loads(fields["data"]))
                    fields = {}
                elif name:
                    fields[name] = value


def path_part(value: object) -> str:
    """A value as one part of a path: what has a meaning there is encoded."""
    return quote(str(value), safe="")


def _may_be_repeated(answer: httpx.Response) -> bool:
    return answer.status_code in _TRANSIENT or (answer.status_code == 409 and "Retry-After" in answer.headers)


def _patience_s(answer: httpx.Response, attempt: int) -> float:
    """How long the server asks for, within reason."""
    try:
        return min(float(answer.headers["Retry-After"]), WAIT_S_MAX)
    except (KeyError, ValueError):
        return WAIT_S * attempt


def _problem(answer: httpx.Response) -> Mapping[str, Any]:
    try:
        document = answer.json()
    except ValueError:
        document = None
    return document if isinstance(document, dict) else {"detail": f"status {answer.status_code} and nothing this client understands"}
