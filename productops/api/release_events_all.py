"""Events of all releases in one stream, for consoles and other programs that watch everything."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

import anyio
import structlog
from fastapi import APIRouter, Depends, Header, Query
from pydantic import Field
from starlette.exceptions import HTTPException
from starlette.responses import StreamingResponse

from productops.api.access import allowed
from productops.api.release import BASE, SECOND_MAX
from productops.api.release_events import RETRY_MS
from productops.api.streams import PART, Streams
from productops.api.wiring import ActorDep, ContextDep, StreamsDep
from productops.domain.governance_access import Operation
from productops.domain.release import Environment
from productops.domain.release_events import EventFilter, PlacedEvent
from productops.errors import StoreUnavailableError
from productops.usecases.context import Actor, Context
from productops.usecases.release_events import EventPart

log = structlog.get_logger(__name__)
router = APIRouter(prefix=f"{BASE}/events", tags=["release"])
Some = list[Annotated[str, Field(max_length=63, pattern=r"^[^\x00]*$")]] | None
Names = Annotated[Some, Query(max_length=50, description="Of these only; may be repeated.")]
After = Annotated[int | None, Query(ge=0, le=SECOND_MAX, description="Events after this number; default: from now on. 0: all there are.")]
LastEventId = Annotated[int | None, Header(alias="Last-Event-ID", ge=0, le=SECOND_MAX, description="Id of the last event received.")]


def _wanted(
    kind: Annotated[Some, Query(alias="type", max_length=50, description="Types of events; may be repeated.")] = None,
    venture: Names = None, service: Names = None,
    environment: Annotated[list[Environment] | None, Query()] = None,
) -> EventFilter:  # fmt: skip
    """The filter in the query."""
    return EventFilter(types=_set(kind), ventures=_set(venture), services=_set(service), environments=_set(environment))


def _set(names: list[str] | list[Environment] | None) -> frozenset[str] | None:
    return frozenset(str(name) for name in names) if names else None


WantedDep = Annotated[EventFilter, Depends(_wanted)]


@dataclass(frozen=True, slots=True)
class _Watch:
    """Who watches what."""

    context: Context
    wanted: EventFilter
    actor: Actor
    streams: Streams

    async def read(self, seen: int) -> EventPart:
        """The next part; an empty one while the database does not answer, so that callers wait for it instead of reconnecting."""
        try:
            return await self.streams.read_all(self.context, self.wanted, seen, self.actor)
        except StoreUnavailableError as error:
            log.warning("event stream waits for the database", reason=str(error))
            await anyio.sleep(1.0)
            return EventPart([], seen, more=False)


@router.get(
    "/stream", operation_id="streamEvents", dependencies=[allowed(Operation.RELEASE_READ)],
    summary="Follow everything that happens to releases", response_class=StreamingResponse,
    responses={
        200: {
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
            "description": "`id` is the sequence number, `event` the type, `data` JSON with venture, service, environment and version.",
        },
    },
)  # fmt: skip
async def follow(
    context: ContextDep, streams: StreamsDep, actor: ActorDep, wanted: WantedDep, last_event_id: LastEventId = None, after: After = None
) -> StreamingResponse:
    """Events of all releases the caller may see, in the order they were committed; none is missed and none comes twice.

    A comment every 10 s tells that the connection lives. Without `Last-Event-ID` and `after` it begins now.
    """
    if streams.open >= streams.open_max:
        raise HTTPException(503, f"{streams.open_max} event streams are open; try again later")
    seen = last_event_id if last_event_id is not None else after
    if seen is None:
        seen = await streams.newest(context)
    watch = _Watch(context, wanted, actor, streams)
    return StreamingResponse(_told(watch, seen), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def _told(watch: _Watch, seen: int) -> AsyncIterator[bytes]:
    streams = watch.streams
    with streams.watching("*"):
        # The place goes with the first line, so that who loses the connection before the first event comes back to the same place.
        yield f"retry: {RETRY_MS}\nid: {seen}\n\n".encode()
        said = time.monotonic()
        while not streams.stopping():
            part = await watch.read(seen)
            seen = part.seen
            if part.events:
                said = time.monotonic()
                yield b"".join(encode(event) for event in part.events)
            elif time.monotonic() - said >= streams.heartbeat_s:
                said = time.monotonic()
                yield f"id: {seen}\n: still here\n\n".encode()
            await anyio.sleep(0 if part.more and len(part.events) == PART else streams.poll_s)


def encode(placed: PlacedEvent) -> bytes:
    """One event on the wire."""
    event = placed.event
    data = {
        "seq": event.seq, "release_id": event.release_id, "type": event.type, "at": event.at.isoformat(), "venture": placed.venture,
        "service": placed.service, "environment": placed.environment, "version": placed.version, "payload": event.payload,
    }  # fmt: skip
    return f"id: {event.seq}\nevent: {event.type}\ndata: {json.dumps(data, default=str)}\n\n".encode()
