"""Routes of an incident's room: find it, take it up, say how severe it is, who does what, note, link, merge, split, follow its log."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from typing import Annotated

import anyio
from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Header, Path, Query
from pydantic import AwareDatetime
from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse

from productops.api import paging
from productops.api.access import allowed
from productops.api.incident_schemas import (
    AcknowledgeIn,
    IncidentLogOut,
    IncidentLogPage,
    IncidentViewOut,
    IncidentViewPage,
    LinkIn,
    MergeIn,
    MoveIn,
    NoteIn,
    RoleIn,
    SeverityIn,
    SplitIn,
)
from productops.api.release import BASE, SECOND_MAX
from productops.api.streams import Streams
from productops.api.wiring import ActorDep, ContextDep, StreamsDep
from productops.domain.governance_access import Operation
from productops.domain.incident import IncidentFilter, IncidentLogEntry
from productops.domain.incident_state import IncidentStatus
from productops.domain.release import Environment
from productops.errors import InvalidInputError, StoreUnavailableError
from productops.usecases import incident_change
from productops.usecases.context import Actor, Context
from productops.usecases.incident_change import Wish
from productops.usecases.incident_log import note_incident, read_incident_log
from productops.usecases.incident_merge import merge_incidents, split_incident
from productops.usecases.incident_read import find_incidents, look_at_incident

INCIDENTS = f"{BASE}/incidents"
PART = 500
RETRY_MS = 1_000
router = APIRouter(tags=["incidents"])
READ = [allowed(Operation.INCIDENT_READ)]
REPORT = [allowed(Operation.INCIDENT_REPORT)]
RESPOND = [allowed(Operation.INCIDENT_RESPOND)]
RESOLVE = [allowed(Operation.INCIDENT_RESOLVE)]
IncidentId = Annotated[str, Path(max_length=64, description="Id of the incident.")]
Text = Query(max_length=255, pattern=r"^[^\x00]*$")
Seq = Annotated[int, Query(ge=0, le=SECOND_MAX, description="Lines after this number; `Last-Event-ID` goes before it.")]
LastEventId = Annotated[int | None, Header(alias="Last-Event-ID", ge=0, le=SECOND_MAX, description="Number of the last line received.")]
_READERS = CapacityLimiter(4)


@router.get(INCIDENTS, operation_id="findIncidents", dependencies=READ, summary="Find incidents, newest first")
def find(
    context: ContextDep, actor: ActorDep, *,
    venture: Annotated[str | None, Text] = None,
    service: Annotated[str | None, Text] = None,
    environment: Environment | None = None,
    status: Annotated[list[IncidentStatus] | None, Query(max_length=5, description="Any of these; nothing: all.")] = None,
    severity: Annotated[list[str] | None, Query(max_length=4, description="Any of these: SEV1 to SEV4.")] = None,
    since: AwareDatetime | None = None, until: AwareDatetime | None = None,
    text: Annotated[str | None, Query(max_length=100, pattern=r"^[^\x00]*$", description="Part of the title.")] = None,
    limit: paging.Limit = 50, after: paging.After = None,
) -> IncidentViewPage:  # fmt: skip
    """Filters can be combined."""
    wanted = IncidentFilter(
        statuses=tuple(status or ()), severities=tuple(severity or ()), service=service, environment=environment, since=since,
        until=until, text=text,
    )  # fmt: skip
    before = paging.decode_id(after)
    found = find_incidents(context, wanted, venture=venture, before=before, limit=limit + 1, actor=actor)
    page, following = paging.cut(found, limit, lambda incident: (incident.id,))
    return IncidentViewPage(items=[IncidentViewOut.of(each) for each in page], next=following)


@router.get(f"{INCIDENTS}/{{incident_id}}", operation_id="getIncident", dependencies=READ, summary="Look at an incident")
def look(incident_id: IncidentId, context: ContextDep, actor: ActorDep) -> IncidentViewOut:
    """With its impact, roles and links."""
    return IncidentViewOut.of(look_at_incident(context, incident_id, actor=actor))


@router.post(f"{INCIDENTS}/{{incident_id}}/acknowledge", operation_id="acknowledgeIncident", dependencies=RESPOND, summary="Take it up")
def acknowledge(incident_id: IncidentId, body: AcknowledgeIn, context: ContextDep, actor: ActorDep) -> IncidentViewOut:
    """Say that you deal with it: it is investigated from then on, and nobody else is woken up. A second time changes nothing."""
    return IncidentViewOut.of(incident_change.acknowledge_incident(context, Wish(incident_id, actor, body.revision)))


@router.post(
    f"{INCIDENTS}/{{incident_id}}/severity", operation_id="setIncidentSeverity", dependencies=RESPOND, summary="Say how severe it is"
)
def severity(incident_id: IncidentId, body: SeverityIn, context: ContextDep, actor: ActorDep) -> IncidentViewOut:
    """From then on no rule changes it."""
    wish = Wish(incident_id, actor, body.revision)
    return IncidentViewOut.of(incident_change.set_incident_severity(context, wish, body.severity, reason=body.reason))


@router.post(f"{INCIDENTS}/{{incident_id}}/roles", operation_id="setIncidentRole", dependencies=RESPOND, summary="Give a role")
def role(incident_id: IncidentId, body: RoleIn, context: ContextDep, actor: ActorDep) -> IncidentViewOut:
    """Commander, communications or operations: take it, hand it over, give it up."""
    wish = Wish(incident_id, actor, body.revision)
    return IncidentViewOut.of(incident_change.set_incident_role(context, wish, body.role, body.person))


@router.post(f"{INCIDENTS}/{{incident_id}}/moves", operation_id="moveIncident", dependencies=RESPOND, summary="Move it on")
def move(incident_id: IncidentId, body: MoveIn, context: ContextDep, actor: ActorDep) -> IncidentViewOut:
    """To investigating (also to open it again), mitigated, or closed. To resolve it, say what was done: resolveIncident."""
    if body.status in {IncidentStatus.RESOLVED, IncidentStatus.OPEN}:
        raise InvalidInputError("an incident is resolved with what was done (resolveIncident), and opened again as investigating")
    wish = Wish(incident_id, actor, body.revision)
    return IncidentViewOut.of(incident_change.move_incident(context, wish, body.status, reason=body.reason))


@router.post(f"{INCIDENTS}/{{incident_id}}/links", operation_id="linkIncident", dependencies=REPORT, summary="Link what it is about")
def link(incident_id: IncidentId, body: LinkIn, context: ContextDep, actor: ActorDep) -> IncidentViewOut:
    """A release, a flag, an alert or a page; or take a link away. Alerts about the same release or flag join the incident."""
    wish = Wish(incident_id, actor, body.revision)
    if body.remove:
        return IncidentViewOut.of(incident_change.unlink_incident(context, wish, body.kind, body.target))
    return IncidentViewOut.of(incident_change.link_incident(context, wish, body.kind, body.target, text=body.text))


@router.post(f"{INCIDENTS}/{{incident_id}}/merge", operation_id="mergeIncidents", dependencies=RESOLVE, summary="Others are part of it")
def merge(incident_id: IncidentId, body: MergeIn, context: ContextDep, actor: ActorDep) -> IncidentViewOut:
    """They are closed, their alerts go over, their logs stay."""
    return IncidentViewOut.of(merge_incidents(context, incident_id, body.incidents, reason=body.reason, actor=actor))


@router.post(f"{INCIDENTS}/{{incident_id}}/split", operation_id="splitIncident", dependencies=RESOLVE, status_code=201, summary="It is two")
def split(incident_id: IncidentId, body: SplitIn, context: ContextDep, actor: ActorDep) -> IncidentViewOut:
    """Some of its alerts become an incident of their own, which is the answer."""
    return IncidentViewOut.of(
        split_incident(context, incident_id, body.alerts, title=body.title, reason=body.reason, actor=actor)
    )  # fmt: skip


@router.post(
    f"{INCIDENTS}/{{incident_id}}/notes", operation_id="noteIncident", dependencies=REPORT, status_code=201, summary="Write into its log"
)
def write_note(incident_id: IncidentId, body: NoteIn, context: ContextDep, actor: ActorDep) -> IncidentLogOut:
    """It can be read at once by everybody who follows, and is never changed."""
    return IncidentLogOut.of(note_incident(context, incident_id, body.text, actor=actor))


@router.get(f"{INCIDENTS}/{{incident_id}}/log", operation_id="readIncidentLog", dependencies=READ, summary="Read its log")
def log(
    incident_id: IncidentId, context: ContextDep, actor: ActorDep, limit: paging.ManyLimit = 200, after: paging.After = None
) -> IncidentLogPage:
    """What happened, in order: alerts, moves, roles, notes, what playbooks did."""
    place = paging.decode_one(after)
    if place is not None and not place.isdecimal():
        raise InvalidInputError(paging.WRONG)
    found = read_incident_log(context, incident_id, after=int(place or 0), limit=limit + 1, actor=actor)
    page, following = paging.cut(found, limit, lambda entry: (str(entry.seq),))
    return IncidentLogPage(items=[IncidentLogOut.of(each) for each in page], next=following)


@router.get(
    f"{INCIDENTS}/{{incident_id}}/log/events", operation_id="streamIncidentLog", dependencies=READ, summary="Follow its log",
    response_class=StreamingResponse,
    responses={
        200: {
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
            "description": "`id` is the number of the line, `event` its kind, `data` JSON.",
        }
    },
)  # fmt: skip
async def follow(
    incident_id: IncidentId, context: ContextDep, actor: ActorDep, streams: StreamsDep, last_event_id: LastEventId = None, after: Seq = 0
) -> Response:
    """Each line as it is written; a comment every 10 s tells that the connection lives."""
    if streams.open >= streams.open_max:
        raise HTTPException(503, f"{streams.open_max} event streams are open; try again later")
    seen = after if last_event_id is None else last_event_id
    first = await _read(context, incident_id, seen, actor)
    story = _story(context, incident_id, first, seen, streams, actor)
    return StreamingResponse(story, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def _read(context: Context, incident_id: str, after: int, actor: Actor) -> list[IncidentLogEntry]:
    return await to_thread.run_sync(
        lambda: read_incident_log(context, incident_id, after=after, limit=PART, actor=actor), limiter=_READERS
    )  # fmt: skip


async def _story(
    context: Context, incident_id: str, part: list[IncidentLogEntry], seen: int, streams: Streams, actor: Actor
) -> AsyncIterator[bytes]:
    with streams.watching(f"incident/{incident_id}"):
        yield f"retry: {RETRY_MS}\n\n".encode()
        said = time.monotonic()
        while not streams.stopping():
            if part:
                seen, said = part[-1].seq, time.monotonic()
                yield b"".join(_encode(each) for each in part)
            if time.monotonic() - said >= streams.heartbeat_s:
                said = time.monotonic()
                yield b": still here\n\n"
            await anyio.sleep(0 if len(part) == PART else max(streams.poll_s, 0.5))
            try:
                part = await _read(context, incident_id, seen, actor)
            except StoreUnavailableError:  # callers wait for the database instead of reconnecting
                part = []
                await anyio.sleep(1.0)


def _encode(entry: IncidentLogEntry) -> bytes:
    data = IncidentLogOut.of(entry).model_dump(mode="json")
    return f"id: {entry.seq}\nevent: {entry.kind}\ndata: {json.dumps(data)}\n\n".encode()
