"""Routes of logs: search, follow, templates, errors."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated

import anyio
import structlog
from anyio import to_thread
from fastapi import APIRouter, Depends, Header, Query, Request
from starlette.exceptions import HTTPException
from starlette.responses import StreamingResponse

from productops.api.access import allowed
from productops.api.monitoring_logs_intake import TelemetryDoor, telemetry_door
from productops.api.monitoring_logs_schemas import (
    LevelName,
    LogErrorOut,
    LogErrorsOut,
    LogLineOut,
    LogServiceOut,
    LogServicesOut,
    LogsOut,
    TemplateJumpOut,
    TemplateJumpsOut,
    TemplateOut,
    TemplatesOut,
)
from productops.api.paging import After, decode, encode
from productops.api.release import BASE
from productops.api.streams import Streams
from productops.api.wiring import ActorDep, ContextDep, StreamsDep
from productops.domain.governance_access import Operation
from productops.domain.monitoring_logs import LogQuery, read_terms
from productops.domain.release import Environment
from productops.errors import InvalidInputError, StoreUnavailableError
from productops.usecases import monitoring_logs
from productops.usecases.monitoring_logs import LogTail, Place

log = structlog.get_logger(__name__)
LOGS = f"{BASE}/logs"
RETRY_MS = 1_000
PAST = timedelta(hours=1)
AHEAD = timedelta(minutes=5)
"""Clocks of services may be ahead of ours: what they wrote just now is meant, too."""
POLL_S = 0.5
PAGE = 200
router = APIRouter(tags=["monitoring"])
READ = [allowed(Operation.LOG_READ)]
_TEXT = r"^[^\x00]*$"
Service = Annotated[str, Query(max_length=63, pattern=_TEXT, description="Name of the service.")]
Where = Annotated[Environment, Query(description="Environment.")]
Since = Annotated[datetime | None, Query(description="From this time on; with its zone. Default: an hour before `until`.")]
Until = Annotated[datetime | None, Query(description="Before this time. Default: now.")]
Limit = Annotated[int, Query(ge=1, le=1_000, description="Most lines of the page.")]
LastEventId = Annotated[str | None, Header(alias="Last-Event-ID", max_length=40, description="Id of the last line received.")]


async def _wanted(  # async, because others are called in a thread
    venture: Annotated[str | None, Query(max_length=63, pattern=_TEXT, description="Name of the venture.")] = None,
    service: Annotated[str | None, Query(max_length=63, pattern=_TEXT, description="Name of the service.")] = None,
    environment: Annotated[Environment | None, Query(description="Environment.")] = None,
    version: Annotated[str | None, Query(max_length=100, pattern=_TEXT, description="Version.")] = None,
    instance: Annotated[str | None, Query(max_length=64, pattern=_TEXT, description="Id of the instance.")] = None,
    level: Annotated[LevelName | None, Query(description="Lines that are at least as bad.")] = None,
    text: Annotated[
        str,
        Query(max_length=500, pattern=_TEXT, description='Words, beginnings of words, "phrases"; a minus before one leaves lines out.'),
    ] = "",
    template: Annotated[int | None, Query(ge=0, le=2**53, description="Id of the template.")] = None,
    trace_id: Annotated[str | None, Query(pattern="^[0-9a-f]{32}$", description="Lines of this trace.")] = None,
) -> LogQuery:  # fmt: skip
    return LogQuery(
        venture=venture, service=service, environment=environment, version=version, instance=instance,
        level=level.level if level is not None else None, terms=read_terms(text), template=template, trace_id=trace_id,
    )  # fmt: skip


WantedDep = Annotated[LogQuery, Depends(_wanted)]


@router.get(LOGS, operation_id="searchLogs", dependencies=READ, summary="Search logs")
def search(
    wanted: WantedDep, context: ContextDep, actor: ActorDep, since: Since = None, until: Until = None, after: After = None,
    limit: Limit = 100,
) -> LogsOut:  # fmt: skip
    """Lines of services in the order they came in, the newest first. Without times: of the last hour."""
    begin, end = window(since, until)
    found = monitoring_logs.search_logs(
        context, replace(wanted, since=begin, until=end), actor=actor, before=_place(after), limit=limit
    )  # fmt: skip
    more = encode(str(found.next[0]), str(found.next[1])) if found.next is not None else None
    return LogsOut(items=[LogLineOut.of(line) for line in found.lines], next=more)


@router.get(f"{LOGS}/services", operation_id="listLogServices", dependencies=READ, summary="Services that log")
def services(context: ContextDep, actor: ActorDep) -> LogServicesOut:
    """Since when, when last, and how much of it was kept."""
    return LogServicesOut(items=[LogServiceOut.of(each) for each in monitoring_logs.list_log_services(context, actor=actor)])


@router.get(f"{LOGS}/templates", operation_id="listLogTemplates", dependencies=READ, summary="Shapes of a service's lines")
def templates(
    service: Service, context: ContextDep, actor: ActorDep, environment: Where = Environment.PRODUCTION, since: Since = None,
    until: Until = None,
) -> TemplatesOut:  # fmt: skip
    """How often each came, by version, the most frequent first; counted by whole minutes."""
    begin, end = window(since, until)
    found = monitoring_logs.templates_of(context, service=service, environment=environment, since=begin, until=end, actor=actor)
    return TemplatesOut(items=[TemplateOut.of(each) for each in found[:PAGE]])


@router.get(f"{LOGS}/jumps", operation_id="listLogJumps", dependencies=READ, summary="Lines that come more, or less, often than before")
def jumps(
    service: Service, context: ContextDep, actor: ActorDep, environment: Where = Environment.PRODUCTION, since: Since = None,
    until: Until = None,
) -> TemplateJumpsOut:  # fmt: skip
    """Compared with the hour before `since`, the clearest first. Default: the last ten minutes."""
    begin, end = window(since, until, past=timedelta(minutes=10))
    found = monitoring_logs.jumped_templates(context, service=service, environment=environment, since=begin, until=end, actor=actor)
    return TemplateJumpsOut(items=[TemplateJumpOut.of(each) for each in found[:PAGE]])


@router.get(f"{LOGS}/errors", operation_id="listLogErrors", dependencies=READ, summary="Errors of a service")
def errors(
    service: Service, context: ContextDep, actor: ActorDep, environment: Where = Environment.PRODUCTION, since: Since = None,
    until: Until = None, new_in: Annotated[str | None, Query(max_length=100, pattern=_TEXT, description="Only what began in it.")] = None,
) -> LogErrorsOut:  # fmt: skip
    """By type and place, with counts by version and the version that had each first; the most frequent first."""
    begin, end = window(since, until)
    found = monitoring_logs.errors_of(context, service=service, environment=environment, since=begin, until=end, actor=actor)
    if new_in is not None:
        found = monitoring_logs.new_in(found, new_in)
    return LogErrorsOut(items=[LogErrorOut.of(each) for each in found[:PAGE]])


@router.get(
    f"{LOGS}/tail", operation_id="followLogs", dependencies=READ, summary="Follow logs", response_class=StreamingResponse,
    responses={
        200: {
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
            "description": "`id` is the line's id, `event` is `line`, `data` the line as a search gives it.",
        },
    },
)  # fmt: skip
async def tail(
    wanted: WantedDep, request: Request, context: ContextDep, actor: ActorDep, streams: StreamsDep, last_event_id: LastEventId = None
) -> StreamingResponse:  # fmt: skip
    """Each line soon after it was written, from now on, or from the line after `Last-Event-ID`. A comment every 10 s: still here."""
    if streams.open >= streams.open_max:
        raise HTTPException(503, f"{streams.open_max} event streams are open; try again later")
    door = telemetry_door(request.app)
    after = _line_id(last_event_id)
    following = await to_thread.run_sync(lambda: LogTail.begin(context, wanted, actor=actor, after=after), limiter=door.readers)
    return StreamingResponse(_lines(following, door, streams), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def _lines(following: LogTail, door: TelemetryDoor, streams: Streams) -> AsyncIterator[bytes]:
    streams.open += 1
    try:
        yield f"retry: {RETRY_MS}\n\n".encode()
        said = time.monotonic()
        while not streams.stopping():
            try:
                found = await to_thread.run_sync(following.read, limiter=door.readers)
            except StoreUnavailableError as error:
                log.warning("a log stream waits for the database", reason=str(error))
                found = []
            if found:
                said = time.monotonic()
                yield b"".join(_event(LogLineOut.of(line)) for line in found)
            elif time.monotonic() - said >= streams.heartbeat_s:
                said = time.monotonic()
                yield b": still here\n\n"
            await anyio.sleep(POLL_S)
    finally:
        streams.open -= 1


def _event(line: LogLineOut) -> bytes:
    """One line on the wire; JSON without line breaks, so that one ``data`` line holds it."""
    return f"id: {line.id}\nevent: line\ndata: {line.model_dump_json()}\n\n".encode()


def window(since: datetime | None, until: datetime | None, *, past: timedelta = PAST) -> tuple[datetime, datetime]:
    """The window that is meant. Raises: InvalidInputError for a time without its zone."""
    for name, at in (("since", since), ("until", until)):
        if at is not None and at.tzinfo is None:
            raise InvalidInputError(f"{name} has to name its zone, like 2026-11-21T03:00:00Z")
    end = until or datetime.now(UTC) + AHEAD
    return since or end - past, end


def _place(cursor: str | None) -> Place | None:
    place = decode(cursor, parts=2)
    return _numbers(*place) if place is not None else None


def _line_id(text: str | None) -> Place | None:
    if text is None:
        return None
    return _numbers(*(text.split("-", 1) if "-" in text else (text, "0")))


def _numbers(chunk: str, index: str) -> Place:
    if not (chunk.isascii() and chunk.isdecimal() and index.isascii() and index.isdecimal() and len(chunk) < 19 and len(index) < 10):
        raise InvalidInputError("this is no place in the logs; give the id of a line, or the `next` of a page, to the letter")
    return int(chunk), int(index)
