"""The story of a release as Server-Sent Events; a caller that lost the connection goes on where it was."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from typing import Annotated

import anyio
import structlog
from fastapi import APIRouter, Header, Query
from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse

from productops.api.access import allowed
from productops.api.release import BASE, SECOND_MAX, ReleaseId
from productops.api.streams import PART, Streams
from productops.api.wiring import ActorDep, ContextDep, StreamsDep
from productops.domain.governance_access import Operation
from productops.domain.release import ReleaseEvent
from productops.errors import StoreUnavailableError
from productops.usecases.context import Context
from productops.usecases.release_read import StoryPart

RETRY_MS = 1_000
log = structlog.get_logger(__name__)
router = APIRouter(prefix=BASE, tags=["release"])
Seq = Annotated[int, Query(ge=0, le=SECOND_MAX, description="Events after this sequence number; `Last-Event-ID` goes before it.")]
LastEventId = Annotated[int | None, Header(alias="Last-Event-ID", ge=0, le=SECOND_MAX, description="Id of the last event received.")]


@router.get(
    "/releases/{release_id}/events", operation_id="streamReleaseEvents", dependencies=[allowed(Operation.RELEASE_READ)],
    summary="Follow a release", response_class=StreamingResponse,
    responses={
        200: {
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
            "description": "`id` is the sequence number, `event` the type, `data` JSON.",
        },
        204: {"description": "The release has ended and there is nothing after that event; do not come back."},
    },
)  # fmt: skip
async def follow(
    release_id: ReleaseId, context: ContextDep, actor: ActorDep, streams: StreamsDep, last_event_id: LastEventId = None, after: Seq = 0
) -> Response:
    """Each event as it is written: requested, phase, shift, look, step_ended, extended, incident, rollback_prepared.

    A comment every 10 s tells that the connection lives. The stream ends with the event that ends the release.
    """
    seen = after if last_event_id is None else last_event_id

    if streams.open >= streams.open_max:
        raise HTTPException(503, f"{streams.open_max} event streams are open; try again later")
    first = await streams.read(context, release_id, seen, actor=actor)
    if first.finished and not first.events:
        return Response(status_code=204)
    story = _story(context, release_id, first, seen, streams)
    return StreamingResponse(story, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def _story(context: Context, release_id: str, part: StoryPart, seen: int, streams: Streams) -> AsyncIterator[bytes]:
    with streams.watching(release_id):
        yield f"retry: {RETRY_MS}\n\n".encode()
        said = time.monotonic()
        while True:
            if part.events:
                seen, said = part.events[-1].seq, time.monotonic()
                yield b"".join(encode(event) for event in part.events)
            if part.finished or streams.stopping():
                return
            if time.monotonic() - said >= streams.heartbeat_s:
                said = time.monotonic()
                yield b": still here\n\n"
            await anyio.sleep(0 if len(part.events) == PART else streams.poll_s)
            part = await _read_on(context, release_id, seen, streams)


async def _read_on(context: Context, release_id: str, seen: int, streams: Streams) -> StoryPart:
    """The next part; an empty one while the database does not answer, so that callers wait for it instead of reconnecting."""
    try:
        return await streams.read_shared(context, release_id, seen)
    except StoreUnavailableError as error:
        log.warning("event stream waits for the database", reason=str(error))
        await anyio.sleep(1.0)
        return StoryPart(events=[], finished=False)


def encode(event: ReleaseEvent) -> bytes:
    """One event on the wire; JSON without line breaks, so that one ``data`` line holds it."""
    data = {"seq": event.seq, "release_id": event.release_id, "type": event.type, "at": event.at.isoformat(), "payload": event.payload}
    return f"id: {event.seq}\nevent: {event.type}\ndata: {json.dumps(data, default=str)}\n\n".encode()
