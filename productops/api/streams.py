"""The open event streams: how many there are, and how they read the store together."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from anyio import CapacityLimiter, Lock, to_thread

from productops.domain.release_events import EventFilter
from productops.usecases.context import OURSELVES, Actor, Context
from productops.usecases.release_events import EventPart, newest_event, read_events
from productops.usecases.release_read import StoryPart, read_story

PART = 500
READERS = 8


class Stopping(Protocol):
    """Tells whether the server is asked to end."""

    def __call__(self) -> bool:
        """True from the moment on that streams should end."""


def _never() -> bool:
    return False


@dataclass(slots=True)
class _Watched:
    """One release with its open streams, and what was read for one of them last."""

    streams: int = 0
    lock: Lock = field(default_factory=Lock)
    after: int = -1
    read_at: float = 0.0
    part: StoryPart | None = None


@dataclass(slots=True)
class Streams:
    """All open streams. Their reads have threads of their own, so that they never keep another request waiting.

    Streams of one release that wait for the same event share a read: a hundred watchers cost the store as much as one.
    """

    stopping: Stopping = _never
    open: int = 0
    open_max: int = 100
    poll_s: float = 0.2
    heartbeat_s: float = 10.0
    _readers: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(READERS))
    _watched: dict[str, _Watched] = field(default_factory=dict)
    _newest_lock: Lock = field(default_factory=Lock)
    _newest: int = 0
    _newest_at: float = float("-inf")

    @contextmanager
    def watching(self, release_id: str) -> Iterator[None]:
        """Count a stream for as long as it is open."""
        watched = self._watched.setdefault(release_id, _Watched())
        self.open += 1
        watched.streams += 1
        try:
            yield
        finally:
            self.open -= 1
            watched.streams -= 1
            if not watched.streams:
                self._watched.pop(release_id, None)

    async def read(self, context: Context, release_id: str, after: int, *, actor: Actor = OURSELVES) -> StoryPart:
        """The next part of a story, read now. ``actor`` is given where a stream begins. Raises: NotFoundError, StoreUnavailableError."""
        return await to_thread.run_sync(
            lambda: read_story(context, release_id, after=after, limit=PART, actor=actor), limiter=self._readers
        )  # fmt: skip

    async def read_all(self, context: Context, wanted: EventFilter, after: int, actor: Actor) -> EventPart:
        """The next part of the events of all releases; nothing is read while there is no newer one. Raises: StoreUnavailableError."""
        if await self.newest(context) <= after:
            return EventPart([], after, more=False)
        return await to_thread.run_sync(
            lambda: read_events(context, wanted, after=after, limit=PART, actor=actor), limiter=self._readers
        )  # fmt: skip

    async def newest(self, context: Context) -> int:
        """Number of the newest event as of less than half a poll ago: a hundred streams ask once. Raises: StoreUnavailableError."""
        async with self._newest_lock:
            if time.monotonic() - self._newest_at > self.poll_s / 2:
                self._newest = await to_thread.run_sync(newest_event, context, limiter=self._readers)
                self._newest_at = time.monotonic()
            return self._newest

    async def read_shared(self, context: Context, release_id: str, after: int) -> StoryPart:
        """Like ``read``, or what was read for another stream less than half a poll ago; within ``watching`` only."""
        watched = self._watched[release_id]
        async with watched.lock:
            fresh = time.monotonic() - watched.read_at < self.poll_s / 2
            if watched.part is None or watched.after != after or not fresh:
                watched.part = await self.read(context, release_id, after)
                watched.after, watched.read_at = after, time.monotonic()
            return watched.part
