"""Tells providers to ask again, as Server-Sent Events. Source: OFREP 0.3.0, service/event-streams.yaml and ADR 0008."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from starlette.exceptions import HTTPException
from starlette.responses import StreamingResponse

from productops.api.access import allowed
from productops.api.ofrep_access import EVENTS_PATH
from productops.api.ofrep_door import FlagDoor, door_of
from productops.api.streams import Streams
from productops.api.wiring import StreamsDep
from productops.domain.governance_access import Operation
from productops.domain.release import Environment

router = APIRouter(tags=["flags"])
RETRY_MS = 1_000
# How soon a stream notices that the server is asked to end.
LOOK_UP_S = 0.5
Since = Annotated[int | None, Query(ge=0, description="Version that the caller's flags have; it hears at once when there is a newer one.")]
Key = Annotated[
    str | None, Query(max_length=64, description="Stands for the token, for this stream only; part of the URL in `eventStreams`.")
]
LastEventId = Annotated[str | None, Header(alias="Last-Event-ID", max_length=40, description="Id of the last event received.")]


@router.get(
    EVENTS_PATH, operation_id="streamFlagEvents", dependencies=[allowed(Operation.FLAG_EVALUATE)],
    summary="Hear of changed flags", response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "`data` is JSON with a `type`."}},
)  # fmt: skip
async def follow(
    request: Request, streams: StreamsDep, environment: Environment = Environment.PRODUCTION, since: Since = None,
    last_event_id: LastEventId = None, key: Key = None,  # noqa: ARG001 - checked before the request came here
) -> StreamingResponse:  # fmt: skip
    """`refetchEvaluation` within a quarter of a second after flags of the environment changed, whoever changed them.

    A comment every 10 s tells that the connection lives.
    """
    door = door_of(request.app)
    if door.streams >= door.streams_max:
        raise HTTPException(503, f"{door.streams_max} event streams of flags are open; try again later")
    current = (await door.flags(environment)).version
    return StreamingResponse(
        _events(door, environment, _seen(last_event_id, since, current), streams), media_type="text/event-stream",
        headers={"X-Accel-Buffering": "no"},
    )  # fmt: skip


def _seen(last_event_id: str | None, since: int | None, current: int) -> int:
    """The version that the caller has; one that never was when its last event is none of ours, so that it asks again."""
    if last_event_id:
        return int(last_event_id) if last_event_id.isdecimal() else -1
    return current if since is None else since


async def _events(door: FlagDoor, environment: Environment, seen: int, streams: Streams) -> AsyncIterator[bytes]:
    with door.watching():
        yield f"retry: {RETRY_MS}\n\n".encode()
        said = time.monotonic()
        while not streams.stopping():
            version = door.version(environment)
            if version != seen:
                seen, said = version, time.monotonic()
                yield encode(version, int(door.server.changed_at(environment).timestamp()), environment)
            elif time.monotonic() - said >= streams.heartbeat_s:
                said = time.monotonic()
                yield b": still here\n\n"
            await door.news(LOOK_UP_S)


def encode(version: int, changed_s: int, environment: Environment) -> bytes:
    """One event on the wire; ``changed_s`` is Unix seconds."""
    data = {"type": "refetchEvaluation", "etag": f"{environment.value}-{version}", "lastModified": changed_s}
    return f"id: {version}\nevent: message\ndata: {json.dumps(data)}\n\n".encode()
