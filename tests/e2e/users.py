"""The shop's users: the load generator in a thread, every answer kept with the version that gave it."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from dataclasses import dataclass, field

from examples.load import LoadConfig, Response, Spacing, run_load
from tests.e2e.real_stack import GRACE_S, LEASE_S, until

VERSION_HEADER = "x-productops-version"
# With a fifth of the users on a candidate, so many answers in a row from elsewhere happen by chance once in ten million times.
NEWEST = 75


@dataclass
class Users:
    """Users who shop from ``start`` to ``stop``; ``rate`` is requests per second, ``header`` tells which version answered."""

    url: str
    host: str
    rate: float = 60.0
    header: str = VERSION_HEADER
    responses: list[Response] = field(default_factory=list)
    _loop: asyncio.AbstractEventLoop | None = None
    _stop: asyncio.Event | None = None
    _thread: threading.Thread | None = None
    _ready: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=lambda: asyncio.run(self._shop()), name="users", daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    async def _shop(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        config = LoadConfig(
            url=self.url, host=self.host, rate=self.rate, duration_s=None, users=400, spacing=Spacing.POISSON, timeout_s=30.0, drain_s=1.0,
            version_header=self.header,
        )  # fmt: skip
        await run_load(config, self.responses.append, stop=self._stop)

    def stop(self) -> None:
        """End."""
        if self._loop is not None and self._stop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(timeout=20)

    def since(self, monotonic_s: float) -> list[Response]:
        """Answers to requests that were sent after a moment."""
        return [r for r in list(self.responses) if r.arrived_monotonic_s >= monotonic_s]

    def versions_since(self, monotonic_s: float) -> Counter[str]:
        """Answers by version."""
        return Counter(r.version or "none" for r in self.since(monotonic_s))

    def errors_since(self, monotonic_s: float) -> list[Response]:
        """Requests that got no answer at all."""
        return [r for r in self.since(monotonic_s) if r.error is not None]

    def await_on(self, version: str, *, since: float, answers: int = 5, within_s: float = 15.0) -> None:
        """Until users have had so many answers from a version."""
        until(lambda: self.versions_since(since)[version] >= answers, within_s=within_s, what=f"users on {version}")

    def assert_off(self, candidate: str, *, killed_at: float, within_s: float = LEASE_S + GRACE_S) -> float:
        """Until the newest answers are all from elsewhere; the last meeting must be at most ``within_s`` late. Returns it (s)."""

        def over() -> bool:
            newest = [r for r in self.since(killed_at) if r.version is not None][-NEWEST:]
            return len(newest) == NEWEST and all(r.version != candidate for r in newest)

        until(over, within_s=within_s + 15, what=f"nobody on {candidate}")
        met = [r.arrived_monotonic_s - killed_at for r in self.since(killed_at) if r.version == candidate]
        last = max(met, default=0.0)
        assert last <= within_s, f"users met {candidate} for {last:.1f} s, {within_s:g} s were promised"
        return last
