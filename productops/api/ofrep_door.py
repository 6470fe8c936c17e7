"""Between the flag routes and the store: flags that are never older than they say, counts, a limit, and news for streams."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI

from productops.domain.release import Environment
from productops.domain.release_flags.evaluate import Answer, Failure, FlagSet
from productops.errors import ProductOpsError, StoreUnavailableError
from productops.settings import Settings
from productops.usecases.analytics_events_exposures import Exposures
from productops.usecases.context import Context
from productops.usecases.release_flags_serve import FlagCounter, FlagServer

log = structlog.get_logger(__name__)
# Answers rest on versions asked for at most this long ago; while requests come in, a new look begins then, behind them.
FRESH_S = 0.1
# After a pause the first request waits for the look instead, but not longer than this for a database that has gone slow.
WAIT_S = 0.3
# While streams are open: how often the versions are asked for.
POLL_S = 0.08
FLUSH_S = 5.0
SHARED_OUT: Final = frozenset({"ramp", "targeting", "segment"})


@dataclass(slots=True)
class RateLimit:
    """A token bucket that holds one second's worth."""

    per_s: int
    _tokens: float = 0.0
    _at: float = float("-inf")

    def allow(self) -> bool:
        """Take a token; false when there is none."""
        now = time.monotonic()
        self._tokens = min(float(self.per_s), self._tokens + (now - self._at) * self.per_s)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


@dataclass(slots=True)
class FlagDoor:
    """What the flag routes of one program share. Its coroutines belong to one event loop."""

    context: Context
    limit: RateLimit
    streams_max: int
    server: FlagServer = field(init=False)
    counter: FlagCounter = field(default_factory=FlagCounter)
    exposures: Exposures = field(default_factory=Exposures)
    streams: int = 0
    _limiter: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(2))
    _look: asyncio.Task[bool] | None = None
    _watcher: asyncio.Task[None] | None = None
    _slow: bool = False
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.server = FlagServer(self.context)

    async def flags(self, environment: Environment) -> FlagSet:
        """The flags of an environment. Raises: StoreUnavailableError while they could never be read."""
        age_s = self.server.age_s
        if age_s > FRESH_S:
            look = self._begin_look()
            if self.server.flag_set(environment) is None:
                await asyncio.shield(look)
            elif age_s > WAIT_S and not self._slow:
                done, _ = await asyncio.wait({look}, timeout=WAIT_S)
                self._slow = not done
        found = self.server.flag_set(environment)
        if found is None:
            raise StoreUnavailableError("the flags could not be read")
        return found

    def changed(self) -> None:
        """Take over a change that this program just made; called in a worker thread. Streams hear of it within a poll."""
        with suppress(StoreUnavailableError):  # it was written; the next look finds it
            self.server.refresh()

    def version(self, environment: Environment) -> int:
        """Version of the flags there, as of the last look."""
        found = self.server.flag_set(environment)
        return found.version if found is not None else 0

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Count a stream while it is open; while any is, the versions are polled."""
        self.streams += 1
        if self._watcher is None or self._watcher.done():
            self._watcher = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            self.streams -= 1

    async def news(self, timeout_s: float) -> None:
        """Wait until some flag changed, or for a while."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), timeout_s)

    def expose(self, flags: FlagSet, answers: Iterable[Answer | Failure], context: Mapping[str, Any], *, bulk: bool) -> None:
        """Note who was shown what. Asked for in bulk, only flags that share users out say something: the others show all the same."""
        person = context.get("targetingKey")
        if not person:
            return
        for answer in answers:
            if isinstance(answer, Answer) and (not bulk or answer.decision in SHARED_OUT):
                venture = flags.venture_of(answer.key)
                if venture is not None:
                    self.exposures.note(venture, answer.key, answer.variant, person, flags.environment, bulk=bulk)

    async def flush(self) -> None:
        """Write the counts; what cannot be written is kept for the next time."""
        try:
            await to_thread.run_sync(self.counter.flush, self.context, limiter=self._limiter)
        except ProductOpsError as error:
            log.warning("evaluations of flags are not written yet", reason=str(error))

    def _begin_look(self) -> asyncio.Task[bool]:
        """The look under way, or a new one: however many ask, the store is asked once."""
        if self._look is None or self._look.done():
            self._look = asyncio.create_task(self._look_once())
            self._look.add_done_callback(lambda look: look.cancelled() or look.exception())  # who waits gets it; else nobody needs it
        return self._look

    async def _look_once(self) -> bool:
        done = await to_thread.run_sync(self.server.refresh_or_keep, limiter=self._limiter)
        self._slow = not done
        return done

    async def _watch(self) -> None:
        seen = self._versions()
        while self.streams:
            with suppress(StoreUnavailableError):
                await asyncio.shield(self._begin_look())
            if (now := self._versions()) != seen:
                seen, heard = now, self._news
                self._news = asyncio.Event()
                heard.set()
            await asyncio.sleep(POLL_S)

    def _versions(self) -> tuple[int, ...]:
        return tuple(self.version(environment) for environment in Environment)


def install_door(app: FastAPI, context: Context, settings: Settings) -> None:
    """Give the application its door."""
    app.state.flags = FlagDoor(context, RateLimit(settings.flag_evaluations_per_s_max), settings.flag_streams_max)


def door_of(app: FastAPI) -> FlagDoor:
    """The door; a new one when the application was given another context."""
    door: FlagDoor = app.state.flags
    if door.context is not app.state.context:
        door = app.state.flags = FlagDoor(app.state.context, RateLimit(door.limit.per_s), door.streams_max)
    return door


@asynccontextmanager
async def flags_running(app: FastAPI) -> AsyncIterator[None]:
    """Write the counts every five seconds, and once more at the end.

    What was loaded until now is left out of garbage collection meanwhile: walking through it would stop all evaluations for 0.1 s.
    """
    gc.freeze()
    task = asyncio.create_task(_flush_for_ever(app))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await door_of(app).flush()
        gc.unfreeze()


async def _flush_for_ever(app: FastAPI) -> None:
    while True:
        await asyncio.sleep(FLUSH_S)
        await door_of(app).flush()
