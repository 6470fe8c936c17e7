"""Questions to GitHub, GitLab and Jira: their rate limits are kept, what may go better is tried again, what is broken says why."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx

from productops.adapters.safe_http import Answer, SafeHttp, retry_after_s
from productops.errors import DevelopmentSourceBusyError, DevelopmentSourceError

TRIES = 5
PAUSE_S = 0.5
PAUSE_MAX_S = 20.0
SECONDARY_S = 60.0
Wait = Callable[[float], None]


def refuse_to_wait(seconds: float) -> None:
    """For who cannot wait. Raises: DevelopmentSourceBusyError."""
    raise DevelopmentSourceBusyError(f"it asks for peace for {seconds:.0f} s", retry_after_s=seconds)


class DevelopmentHttp(SafeHttp):
    """One client of one source. ``wait`` sleeps until a rate limit is over, or raises DevelopmentSourceBusyError for too long a wait."""

    def __init__(
        self, base_url: str, *, what: str, headers: Mapping[str, str], secrets: tuple[str, ...], wait: Wait, timeout_s: float = 30.0,
        pause_s: float = PAUSE_S,
    ) -> None:  # fmt: skip
        super().__init__(
            base_url, what=what, headers=headers, secrets=secrets, timeout_s=timeout_s, patience_s=0.0, failure=DevelopmentSourceError
        )
        self._wait, self._pause = wait, pause_s
        self._free_at = 0.0
        self.rate_left: int | None = None

    def ask(self, method: str, path: str, *, params: Mapping[str, str] | None = None, body: Any = None, etag: str = "") -> Answer:
        """An answer that is good JSON, or 304 for ``etag``.

        Raises: DevelopmentSourceBusyError; DevelopmentSourceError when it does not answer, refuses, or answers nonsense, after some tries.
        """
        headers = {"if-none-match": etag} if etag else None
        failed = 0
        while True:  # a limit is no failure: how long it is waited for is what `wait` decides
            self._keep_limit()
            last = failed + 1 >= TRIES
            try:
                answer = self._exchange(method, path, params=params, form=None, body=body, headers=headers)
                problem = self._problem(answer, method, path, last=last)
            except (httpx.HTTPError, OSError) as error:
                if last:
                    raise self.fail(f"did not answer {method} {path}: {error or type(error).__name__}") from error
                problem = "no answer"
            if problem is None:
                return answer
            if problem:
                failed += 1
                self._rest(failed)

    def _problem(self, answer: Answer, method: str, path: str, *, last: bool) -> str | None:
        """None: it is good; empty: it was a rate limit, which is over now; else what is wrong, to be tried again.

        Raises: DevelopmentSourceError for what does not get better.
        """
        self._note_limit(answer)
        limited = self._limit_s(answer)
        if limited is not None:
            self._free_at = max(self._free_at, time.monotonic() + limited)
            return ""
        if answer.status == 304 or (answer.ok and (not answer.body or answer.document() is not None)):
            return None
        problem = f"answered {method} {path} with {answer.status}: {answer.text(200)}"
        if answer.ok:
            problem = f"answered {method} {path} with what is no JSON: {answer.text(80)!r}"
        if last or not (answer.ok or answer.status >= 500 or answer.status == 408):
            raise self.fail(problem + _advice(answer.status))
        return problem

    def _note_limit(self, answer: Answer) -> None:
        left = answer.headers.get("x-ratelimit-remaining") or answer.headers.get("ratelimit-remaining") or ""
        if not left.isdigit():
            return
        self.rate_left = int(left)
        if self.rate_left == 0:
            self._free_at = max(self._free_at, time.monotonic() + _until_reset(answer))

    def _limit_s(self, answer: Answer) -> float | None:
        """Seconds to wait when the answer is a rate limit; None when it is none. Source: GitHub's best practices for the REST API."""
        named = retry_after_s(answer.headers.get("retry-after", ""), now=datetime.now(UTC))
        if answer.status == 403:
            spent = answer.headers.get("x-ratelimit-remaining") == "0"
            secondary = b"rate limit" in answer.body[:2000].lower()
            if not (spent or secondary or "retry-after" in answer.headers):
                return None
            return named or (_until_reset(answer) if spent else SECONDARY_S)
        if answer.status == 429 or (answer.status == 503 and "retry-after" in answer.headers):
            return named or _until_reset(answer) or SECONDARY_S
        return None

    def _keep_limit(self) -> None:
        left = self._free_at - time.monotonic()
        if left > 0:
            self._wait(left)

    def _rest(self, number: int) -> None:
        self._wait(min(PAUSE_MAX_S, self._pause * 2.0 ** (number - 1)) * random.uniform(0.5, 1.5))  # noqa: S311 - spreads retries


def _until_reset(answer: Answer) -> float:
    """Seconds to the reset that is named: a time since 1970 (GitHub, GitLab) or an ISO time (Jira); 0 when none is."""
    named = answer.headers.get("x-ratelimit-reset") or answer.headers.get("ratelimit-reset") or ""
    try:
        at = float(named) if named.replace(".", "", 1).isdigit() else datetime.fromisoformat(named).timestamp()
    except (ValueError, OverflowError):
        return 0.0
    return max(0.0, at - time.time()) + 0.05 if at > 1e9 else at


def _advice(status: int) -> str:
    return {
        401: "; the token is wrong or has ended", 403: "; the token may not read this", 410: "; this is switched off there",
        404: "; there is no such project, or the token may not see it",
    }.get(status, "")  # fmt: skip


def has_next(answer: Answer) -> bool:
    """Whether a further page is linked. Source: RFC 8288."""
    return 'rel="next"' in answer.headers.get("link", "").replace("rel=next", 'rel="next"')
