"""The door for usage events: bodies unpacked within bounds, and what all requests of a program share."""

from __future__ import annotations

import asyncio
import zlib
from dataclasses import dataclass, field
from typing import Any, Final

from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException

from productops.adapters import token_file
from productops.settings import Settings
from productops.usecases.analytics_events import EventIntake, Taken
from productops.usecases.context import Actor, Context

BODY_BYTES: Final = 1_048_576
UNPACKED_BYTES: Final = 4 * 1_048_576
SECRET_NAME: Final = "analytics-key"  # noqa: S105 - the name of a file
_LINES: Final = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"})


def hash_secret(settings: Settings) -> bytes:
    """The key of hashes. Raises: SettingsError when its file cannot be made or trusted."""
    given = settings.analytics_secret.get_secret_value().strip() if settings.analytics_secret else ""
    return (given or token_file.read_or_create(settings.home, SECRET_NAME)).encode()


@dataclass(slots=True)
class EventDoor:
    """One for each program. Two threads read events, so that a flood of them keeps no other request waiting."""

    context: Context
    settings: Settings
    limiter: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(2))
    _intake: EventIntake | None = None
    _secret: bytes = b""

    @property
    def secret(self) -> bytes:
        """The key of hashes, read when it is first needed. Raises: SettingsError."""
        self._secret = self._secret or hash_secret(self.settings)
        return self._secret

    @property
    def intake(self) -> EventIntake:
        """Made with the first events. Raises: SettingsError, DependencyError."""
        if self._intake is None:
            self._intake = EventIntake(
                self.context, secret=self.secret, retention_days=self.settings.analytics_retention_days,
                free_mb=self.settings.analytics_free_mb, backlog_mb=self.settings.analytics_backlog_mb,
            )  # fmt: skip
        return self._intake

    @property
    def opened(self) -> EventIntake | None:
        """The intake, when there were events."""
        return self._intake

    async def take(self, request: Request, venture: str | None, *, actor: Actor) -> Taken:
        """Read a request and keep its events. Raises: HTTPException; what ``EventIntake.take`` does; EventsBusyError."""
        body = await request.body()
        lines = is_lines(request)
        encoding = request.headers.get("content-encoding", "").strip().lower()

        def read() -> Taken:
            return self.intake.take(unpacked(body, encoding), lines=lines, venture=venture, actor=actor)

        taken = await to_thread.run_sync(read, limiter=self.limiter)
        for done in taken.kept:
            await asyncio.wrap_future(done)
        self.intake.confirm(taken)
        return taken

    def close(self) -> None:
        """Put what waits on the disk."""
        if self._intake is not None:
            self._intake.writer.close()


def is_lines(request: Request) -> bool:
    """Whether the body is one JSON object a line."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() in _LINES


def unpacked(body: bytes, encoding: str) -> bytes:
    """The body without its compression. Raises: HTTPException when it is none that is known, broken, or becomes too much."""
    if encoding in {"", "identity"}:
        return body
    if encoding != "gzip":
        raise HTTPException(415, f"Content-Encoding is {encoding[:40]!r}; send gzip, or none")
    parts: list[bytes] = []
    left, rest = UNPACKED_BYTES, body
    try:
        while rest:
            member = zlib.decompressobj(31)
            part = member.decompress(rest, left + 1)
            left -= len(part)
            if left < 0:
                raise HTTPException(413, f"unpacked, a body has at most {UNPACKED_BYTES:,} bytes")
            if not member.eof:
                raise HTTPException(400, "the body is no whole gzip stream")
            parts.append(part)
            rest = member.unused_data
    except zlib.error as error:
        raise HTTPException(400, f"the body is no gzip stream: {error}") from error
    return b"".join(parts)


def install_events(app: FastAPI, context: Context, settings: Settings) -> None:
    """Give the application its door."""
    app.state.events = EventDoor(context, settings)


def events_door(app: Any) -> EventDoor:
    """The door."""
    door: EventDoor = app.state.events
    return door
