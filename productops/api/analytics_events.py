"""Routes of usage events: send them, see what came, remove a person's."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from productops.api.access import allowed
from productops.api.analytics_events_intake import BODY_BYTES, events_door
from productops.api.analytics_events_schemas import (
    ErasureOut,
    ErasuresOut,
    EventImportOut,
    EventImportsOut,
    EventSchemaOut,
    EventsStatusOut,
    EventsTakenOut,
    TailEventOut,
    TailOut,
)
from productops.api.conventions import BYTES_MAX
from productops.api.problems import MEDIA_TYPE
from productops.api.release import BASE
from productops.api.wiring import ActorDep, ContextDep
from productops.domain.analytics_events import ImportState
from productops.domain.governance_access import Operation
from productops.usecases import analytics_events_erase, analytics_events_import, analytics_events_status

EVENTS = f"{BASE}/events"
router = APIRouter(tags=["analytics"])
READ = [allowed(Operation.ANALYTICS_READ)]
WRITE = [allowed(Operation.ANALYTICS_WRITE)]
ERASE = [allowed(Operation.ANALYTICS_ERASE)]
_TEXT = r"^[^\x00]*$"
Venture = Annotated[str, Query(max_length=63, pattern=_TEXT, description="Name of the venture.")]
Id = Annotated[str, Path(max_length=64)]
_EVENT = {"type": "track", "messageId": "7f0c…", "userId": "u-1", "event": "checkout.completed", "properties": {"total": 42.5},
          "timestamp": "2026-11-21T17:35:00.123Z"}  # fmt: skip
_ONE: dict[str, Any] = {"type": "object", "properties": {"event": {"type": "string"}, "userId": {"type": "string"}}}
_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "anyOf": [
                    {"type": "object", "properties": {"batch": {"type": "array", "items": _ONE}, "venture": {"type": "string"}}},
                    {"type": "array", "items": _ONE},
                ]
            },
            "example": {"venture": "apollo", "batch": [_EVENT]},
        },
        "application/x-ndjson": {"schema": {"type": "string"}},
    },
}


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class EraseBody(_Body):
    """Who is removed."""

    venture: str = Field(max_length=63, pattern=_TEXT)
    person: str = Field(min_length=1, max_length=255, pattern=_TEXT, description="User id or anonymous id as clients send it; not kept.")
    forever: bool = Field(default=False, description="Drop what comes later, too.")
    reason: str = Field(default="", max_length=500, pattern=_TEXT)


class ImportBody(_Body):
    """What is fetched."""

    venture: str = Field(max_length=63, pattern=_TEXT)
    source: str = Field(min_length=1, max_length=300, pattern=_TEXT, description="The same text goes on where the last one stopped.")


class ImportMoveBody(_Body):
    """How far an import is."""

    cursor: dict[str, Any] = Field(default_factory=dict, description="Where it goes on.")
    accepted: int = Field(default=0, ge=0, le=2**53, description="More since the last time, as are the others.")
    duplicates: int = Field(default=0, ge=0, le=2**53)
    refused: int = Field(default=0, ge=0, le=2**53)
    error: str = Field(default="", max_length=2000, pattern=_TEXT)
    state: ImportState = ImportState.RUNNING


BUSY: dict[str, Any] = {
    "description": "events-busy or events-disk-full: none was kept; send the same again after `Retry-After`.",
    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


@router.post(
    EVENTS, operation_id="sendEvents", status_code=202, dependencies=WRITE, summary="Send usage events",
    openapi_extra={"requestBody": _BODY, BYTES_MAX: BODY_BYTES},
    responses={503: BUSY},
)  # fmt: skip
async def send_events(
    request: Request, actor: ActorDep,
    venture: Annotated[str | None, Query(max_length=63, pattern=_TEXT, description="Whose events; else their field `venture`.")] = None,
) -> EventsTakenOut:  # fmt: skip
    """An array, `{"batch": […]}` as Segment's libraries send it, one event, or one a line (`application/x-ndjson`); gzip is understood.

    At most 1 MiB (4 MiB unpacked) and 10,000 events. What is accepted is on the disk when the answer comes. Events are known by
    `messageId`: who does not hear the answer sends them again, and they count once.
    """
    return EventsTakenOut.of(await events_door(request.app).take(request, venture, actor=actor))


@router.get(f"{EVENTS}/status", operation_id="getEventsStatus", dependencies=READ, summary="How the taking in of events is")
def status(context: ContextDep, actor: ActorDep, venture: Venture) -> EventsStatusOut:
    """How many there are, what waits to be sorted in, what was refused."""
    return EventsStatusOut.of(analytics_events_status.events_status(context, venture, actor=actor))


@router.get(f"{EVENTS}/schema", operation_id="getEventSchema", dependencies=READ, summary="Names and properties of events")
def schema(
    context: ContextDep, actor: ActorDep, venture: Venture,
    name: Annotated[str | None, Query(max_length=200, pattern=_TEXT, description="This event only.")] = None,
    days: Annotated[int, Query(ge=1, le=400, description="Counts of so many days.")] = 30,
) -> EventSchemaOut:  # fmt: skip
    """As they were seen, beside what the tracking plan says."""
    return EventSchemaOut.of(analytics_events_status.event_schema(context, venture, actor=actor, name=name, days=days))


@router.get(f"{EVENTS}/tail", operation_id="getNewestEvents", dependencies=READ, summary="The newest events")
def tail(
    context: ContextDep, actor: ActorDep, venture: Venture,
    limit: Annotated[int, Query(ge=1, le=500, description="Most events.")] = 50,
    name: Annotated[str | None, Query(max_length=200, pattern=_TEXT, description="Of this name.")] = None,
    person: Annotated[str | None, Query(max_length=255, pattern=_TEXT, description="Of this user id, as it is kept.")] = None,
) -> TailOut:  # fmt: skip
    """Of the last quarter of an hour; what came in a second ago is among them."""
    found = analytics_events_status.newest_events(context, venture, actor=actor, limit=limit, name=name, person=person)
    return TailOut(items=[TailEventOut.of(each) for each in found])


@router.post(f"{EVENTS}/erasures", operation_id="eraseEvents", status_code=202, dependencies=ERASE, summary="Remove a person's events")
def erase(context: ContextDep, actor: ActorDep, body: EraseBody, request: Request) -> ErasureOut:
    """From all files, and from the backlog; readers leave them out at once. Who it was is not kept, only that it was done."""
    made = analytics_events_erase.request_erasure(
        context, body.venture, body.person, secret=events_door(request.app).secret, actor=actor, forever=body.forever, reason=body.reason
    )  # fmt: skip
    return ErasureOut.of(made)


@router.get(f"{EVENTS}/erasures", operation_id="listErasures", dependencies=READ, summary="List erasures")
def erasures(context: ContextDep, actor: ActorDep, venture: Venture) -> ErasuresOut:
    """The newest first."""
    return ErasuresOut(items=[ErasureOut.of(each) for each in analytics_events_erase.list_erasures(context, venture, actor=actor)])


@router.get(f"{EVENTS}/erasures/{{erasure_id}}", operation_id="getErasure", dependencies=READ, summary="How far an erasure is")
def erasure(context: ContextDep, actor: ActorDep, erasure_id: Id) -> ErasureOut:
    """Done when no file holds an event of the person."""
    return ErasureOut.of(analytics_events_erase.show_erasure(context, erasure_id, actor=actor))


@router.post(f"{EVENTS}/imports", operation_id="beginEventImport", dependencies=WRITE, summary="Begin or go on with an import")
def begin_import(context: ContextDep, actor: ActorDep, body: ImportBody) -> EventImportOut:
    """The command `productops events import` calls it; the events themselves are sent as all others are."""
    return EventImportOut.of(analytics_events_import.begin_import(context, body.venture, body.source, actor=actor))


@router.post(f"{EVENTS}/imports/{{import_id}}", operation_id="moveEventImport", dependencies=WRITE, summary="Note how far an import is")
def move_import(context: ContextDep, actor: ActorDep, import_id: Id, body: ImportMoveBody) -> EventImportOut:
    """Counts are added to those before."""
    moved = analytics_events_import.move_import(
        context, import_id, cursor=body.cursor, accepted=body.accepted, duplicates=body.duplicates, refused=body.refused, error=body.error,
        state=body.state, actor=actor,
    )  # fmt: skip
    return EventImportOut.of(moved)


@router.get(f"{EVENTS}/imports", operation_id="listEventImports", dependencies=READ, summary="List imports")
def imports(context: ContextDep, actor: ActorDep, venture: Venture) -> EventImportsOut:
    """The newest first."""
    return EventImportsOut(items=[EventImportOut.of(each) for each in analytics_events_import.list_imports(context, venture, actor=actor)])
