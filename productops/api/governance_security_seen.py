"""Counts at the door: who was refused and from where. In memory for some seconds, then by minute in the store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import structlog
from anyio import to_thread
from fastapi import FastAPI
from starlette.datastructures import Headers

from productops.api.governance_access_ways import bearer
from productops.domain.governance_access import Principal
from productops.domain.governance_access_tokens import hash_of, public_id_of
from productops.domain.governance_security import Seen
from productops.errors import ProductOpsError
from productops.usecases.context import Context
from productops.usecases.governance_security_sightings import Knock, keep_sightings

log = structlog.get_logger(__name__)
FLUSH_S: Final = 5.0
KNOCKS_MAX: Final = 5_000
"""Different things that are counted between two writings; of more only the number is kept, with the address ``*``."""
HOUR_S: Final = 3600


class Sightings:
    """Counts. Used by one event loop; costs a look into a dictionary for each request."""

    def __init__(self) -> None:
        self._knocks: dict[Knock, int] = {}

    def failed(self, address: str, headers: Headers) -> None:
        """Credentials nobody knows, or that hold no more."""
        presented = bearer(headers)
        token_id = public_id_of(presented) or ""
        self._count(Knock(_minute(), Seen.UNKNOWN, address, token_id=token_id, token_hash=hash_of(presented) if token_id else ""))

    def throttled(self, address: str) -> None:
        """Not looked at, after too many failures."""
        self._count(Knock(_minute(), Seen.THROTTLED, address))

    def used(self, principal: Principal, address: str) -> None:
        """Let in with a token of a person or a program."""
        if principal.token_id is not None and principal.token_id != "installation":  # noqa: S105 - a name
            hour = int(time.time() // HOUR_S) * HOUR_S
            self._count(Knock(hour, Seen.USED, address, token_id=principal.token_id))

    def refused(self, principal: Principal, address: str) -> None:
        """Somebody known who may not do that."""
        self._count(Knock(_minute(), Seen.REFUSED, address, subject=principal.name))

    def _count(self, knock: Knock) -> None:
        if knock not in self._knocks and len(self._knocks) >= KNOCKS_MAX:
            knock = Knock(knock.minute_s, knock.kind, "*")
        self._knocks[knock] = self._knocks.get(knock, 0) + 1

    def take(self) -> dict[Knock, int]:
        """What was counted; from here on it begins anew."""
        taken, self._knocks = self._knocks, {}
        return taken

    def put_back(self, knocks: dict[Knock, int]) -> None:
        """What could not be written, as far as there is room."""
        for knock, times in knocks.items():
            if knock in self._knocks or len(self._knocks) < KNOCKS_MAX:
                self._knocks[knock] = self._knocks.get(knock, 0) + times


def _minute() -> int:
    return int(time.time() // 60) * 60


@asynccontextmanager
async def sightings_written(app: FastAPI, sightings: Sightings) -> AsyncIterator[None]:
    """Write counts beside the requests, every five seconds, and once more at the end."""
    task = asyncio.create_task(_for_ever(app, sightings))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await _flush(app.state.context, sightings)


async def _for_ever(app: FastAPI, sightings: Sightings) -> None:
    while True:
        await asyncio.sleep(FLUSH_S)
        await _flush(app.state.context, sightings)


async def _flush(context: Context, sightings: Sightings) -> None:
    knocks = sightings.take()
    if not knocks:
        return
    try:
        await to_thread.run_sync(keep_sightings, context, knocks)
    except ProductOpsError as error:
        sightings.put_back(knocks)
        log.warning("what the door saw is not written yet", reason=str(error))
