"""Exports of usage events over HTTP: as large as they are, on the disk instead of in memory, and as slowly as their owner wants it."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Any, Final

import httpx

from productops.adapters.safe_http import SafeHttp, check_url, retry_after_s
from productops.errors import EventSourceBusyError, EventSourceError, SettingsError

TRIES: Final = 6
PAUSE_S: Final = 1.0
# Mixpanel allows 60 questions an hour: a wait is a minute where nothing is said.
LIMITED_S: Final = 60.0
DOWNLOAD_BYTES_MAX: Final = 8 * 1024**3
TEXT_BYTES: Final = 2_000
Wait = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Part:
    """Some events as the API takes them, and where to go on once they are kept."""

    events: list[dict[str, Any]]
    cursor: Mapping[str, Any]


def basic(secret: str, *, where: str) -> str:
    """The Authorization header of ``user:password``. Raises: SettingsError when it is no such pair."""
    if ":" not in secret:
        raise SettingsError(f"{where} has to be written as name:secret")
    return "Basic " + b64encode(secret.encode()).decode()


class EventHttp(SafeHttp):
    """One client of one source. ``wait`` sleeps, or raises when it is asked for too long a sleep."""

    def __init__(self, base_url: str, *, what: str, secret: str, where: str, wait: Wait = time.sleep, patience_s: float = 3_600.0) -> None:
        """``secret``: ``name:secret``; ``where`` it came from. Raises: SettingsError."""
        url = check_url(base_url, secret=True)
        parts = tuple(secret.split(":", 1))
        super().__init__(
            url, what=what, headers={"authorization": basic(secret, where=where), "accept": "*/*"}, secrets=(secret, *parts),
            timeout_s=120.0, failure=EventSourceError,
        )  # fmt: skip
        self._wait, self._left_s = wait, patience_s

    def download(self, path: str, params: Mapping[str, str], into: IO[bytes], *, empty: frozenset[int] = frozenset()) -> int:
        """Write an answer to a file; its status, 200 or one of ``empty``.

        Raises: EventSourceBusyError when it asks for more patience than is left, EventSourceError.
        """
        pause = PAUSE_S
        for attempt in range(1, TRIES + 1):
            into.seek(0)
            into.truncate()
            limited = 0.0
            try:
                status, problem, limited = self._try(path, params, into)
                if status == 200 or status in empty:
                    return status
                if status != 429 and status < 500:
                    raise self.fail(problem)
            except (httpx.HTTPError, OSError) as error:
                problem = f"broke off: {error or type(error).__name__}"
            if attempt == TRIES:
                raise self.fail(problem)
            self._rest(max(limited, pause), problem)
            pause *= 2
        raise AssertionError  # pragma: no cover - the loop returns or raises

    def _rest(self, seconds: float, problem: str) -> None:
        if seconds > self._left_s:
            detail = f"{self._what} asks for peace for {seconds:.0f} s ({problem}); run it again later, it goes on where it was"
            raise EventSourceBusyError(detail, retry_after_s=seconds)
        self._left_s -= seconds
        self._wait(seconds)

    def _try(self, path: str, params: Mapping[str, str], into: IO[bytes]) -> tuple[int, str, float]:
        """Status, what was wrong, and how long to wait. Raises: httpx.HTTPError, OSError, EventSourceError."""
        self._check_address()
        with self._client().stream("GET", f"{self._base}{path}", params=params) as response:
            if response.status_code != 200:
                text = response.read()[:TEXT_BYTES].decode("utf-8", "replace").strip()
                wanted = retry_after_s(response.headers.get("retry-after", ""), now=datetime.now(UTC))
                limited = (wanted or LIMITED_S) if response.status_code == 429 else wanted
                return response.status_code, f"answered {response.status_code}: {text[:200]}", limited
            written = 0
            for piece in response.iter_bytes():
                written += len(piece)
                if written > DOWNLOAD_BYTES_MAX:
                    raise self.fail(f"sent more than {DOWNLOAD_BYTES_MAX // 1024**3} GiB; ask for a shorter time")
                into.write(piece)
            return 200, "", 0.0
