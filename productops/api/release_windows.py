"""Routes of freezes and change windows: what applies, when a release may start, bypasses, and the feed to subscribe to."""

from __future__ import annotations

import hashlib
import hmac
from datetime import timedelta
from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Header, Path, Query, Request, Response

from productops.api.access import allowed
from productops.api.paging import After, Limit, cut, decode_id
from productops.api.release import BASE, matches
from productops.api.release_windows_schemas import (
    ApprovalBody,
    BypassBody,
    BypassList,
    BypassOut,
    FeedOut,
    OpeningOut,
    RefreshedList,
    RefreshedOut,
    WindowsOut,
)
from productops.api.wiring import ActorDep, ContextDep
from productops.domain.governance_access import Operation
from productops.domain.release import Environment
from productops.domain.release_windows_feed import PATH, feed_key, feed_path
from productops.errors import NotFoundError, UnauthorizedError
from productops.usecases import release_windows, release_windows_bypass, release_windows_feed
from productops.usecases.governance_access_scope import venture_for

WINDOWS = f"{BASE}/windows"
router = APIRouter(tags=["windows"])
Text = Query(max_length=100, pattern=r"^[^\x00]*$")
ServiceName = Annotated[str | None, Query(max_length=63, pattern=r"^[^\x00]*$", description="Name of a service.")]
VentureName = Annotated[str | None, Query(max_length=63, pattern=r"^[^\x00]*$", description="Name of a venture.")]
BypassId = Annotated[str, Path(description="Id of the bypass.", max_length=64)]


@router.get(WINDOWS, operation_id="listWindows", dependencies=[allowed(Operation.WINDOW_READ)], summary="List freezes and change windows")
def show_windows(
    context: ContextDep,
    actor: ActorDep,
    venture: VentureName = None,
    service: ServiceName = None,
    environment: Environment | None = None,
    label: Annotated[str | None, Text] = None,
    ahead_days: Annotated[int, Query(ge=1, le=400)] = 30,
) -> WindowsOut:
    """Calendars that apply to what is asked for, how fresh they are, and their events from now on."""
    view = release_windows.list_windows(
        context,
        venture=venture,
        service=service,
        environment=environment,
        label=label,
        ahead=timedelta(days=ahead_days),
        actor=actor,
    )
    return WindowsOut.of(view)


@router.get(
    f"{WINDOWS}/calendars/{{name}}", operation_id="getCalendar", dependencies=[allowed(Operation.WINDOW_READ)], summary="Read a calendar"
)
def show_calendar(
    name: Annotated[str, Path(max_length=63)], context: ContextDep, actor: ActorDep, ahead_days: Annotated[int, Query(ge=1, le=400)] = 90
) -> WindowsOut:
    """One calendar, how fresh it is, and its events from now on."""
    return WindowsOut.of(release_windows.read_calendar(context, name, ahead=timedelta(days=ahead_days), actor=actor))


@router.get(
    f"{WINDOWS}/next", operation_id="getNextOpening", dependencies=[allowed(Operation.WINDOW_READ)], summary="Ask when a release may start"
)
def show_next(
    context: ContextDep, actor: ActorDep, service: Annotated[str, Query(max_length=63)], environment: Environment = Environment.PRODUCTION
) -> OpeningOut:
    """Whether a release of the service may start there now, and when next."""
    return OpeningOut.of(release_windows.next_opening(context, service, environment, actor=actor), service, environment)


@router.post(
    f"{WINDOWS}/refresh", operation_id="refreshCalendars", dependencies=[allowed(Operation.CATALOG_APPLY)], summary="Read all calendars now"
)
def refresh(request: Request, context: ContextDep, actor: ActorDep) -> RefreshedList:
    """Every source is looked at; one that cannot be read keeps its last good copy in force."""
    from productops.adapters.calendar_sources import CalendarSources  # its libraries take 0.2 s to load
    from productops.usecases.release_windows_refresh import refresh_calendars

    sources = CalendarSources(allow_private=request.app.state.calendar_allow_private)
    found = refresh_calendars(context, sources, actor=actor, only_due=False)
    return RefreshedList(items=[RefreshedOut(name=f.name, outcome=f.outcome, error=f.error) for f in found])


@router.get(
    f"{WINDOWS}/bypasses", operation_id="listBypasses", dependencies=[allowed(Operation.WINDOW_READ)], summary="List bypasses, newest first"
)
def show_bypasses(context: ContextDep, actor: ActorDep, service: ServiceName = None, after: After = None, limit: Limit = 50) -> BypassList:
    """Who asked for what, who approved it, and what it was spent on."""
    now = context.clock.now()
    found = release_windows_bypass.list_bypasses(context, service=service, before=decode_id(after), limit=limit + 1, actor=actor)
    page, following = cut(found, limit, lambda bypass: [bypass.id])
    return BypassList(items=[BypassOut.of(b, now=now) for b in page], next=following)


@router.post(
    f"{WINDOWS}/bypasses", operation_id="requestBypass", dependencies=[allowed(Operation.WINDOW_BYPASS)],
    status_code=201, summary="Ask to release during a freeze",
)  # fmt: skip
def request_bypass(body: BypassBody, context: ContextDep, actor: ActorDep) -> BypassOut:
    """Worth nothing until somebody else approves it; then one release may use it until it expires."""
    bypass = release_windows_bypass.request_bypass(
        context, service=body.service, environment=body.environment, version=body.version, reason=body.reason,
        valid_for=timedelta(seconds=body.valid_s), actor=actor,
    )  # fmt: skip
    return BypassOut.of(bypass, now=context.clock.now())


@router.get(
    f"{WINDOWS}/bypasses/{{bypass_id}}", operation_id="getBypass", dependencies=[allowed(Operation.WINDOW_READ)], summary="Read a bypass"
)
def show_bypass(bypass_id: BypassId, context: ContextDep, actor: ActorDep) -> BypassOut:
    """Where it stands."""
    return BypassOut.of(release_windows_bypass.read_bypass(context, bypass_id, actor=actor), now=context.clock.now())


@router.post(
    f"{WINDOWS}/bypasses/{{bypass_id}}/approve", operation_id="approveBypass", dependencies=[allowed(Operation.WINDOW_BYPASS)],
    summary="Approve what somebody else asked for",
)  # fmt: skip
def approve_bypass(bypass_id: BypassId, body: ApprovalBody, context: ContextDep, actor: ActorDep) -> BypassOut:
    """Refused for the one who asked."""
    return BypassOut.of(release_windows_bypass.approve_bypass(context, bypass_id, note=body.note, actor=actor), now=context.clock.now())


@router.get(
    f"{WINDOWS}/feed", operation_id="getCalendarFeed", dependencies=[allowed(Operation.WINDOW_READ)],
    summary="Where to subscribe to a calendar of changes",
)  # fmt: skip
def show_feed_address(
    request: Request,
    context: ContextDep,
    actor: ActorDep,
    venture: Annotated[str, Query(max_length=63)],
    environment: Environment = Environment.PRODUCTION,
) -> FeedOut:
    """The address of the feed with its key, for Google Calendar, Outlook, Apple Calendar and others."""
    with context.store.read() as unit:
        venture_for(unit, venture, actor, Operation.WINDOW_READ, environment=environment)
    path = feed_path(request.app.state.token, venture, environment)
    return FeedOut(path=path, url=f"{str(request.base_url).rstrip('/')}{path}")


@router.get(PATH + "/{venture}/{file}", include_in_schema=False)
async def feed(request: Request, venture: str, file: str, key: str = "", if_none_match: Annotated[str | None, Header()] = None) -> Response:
    """The feed; its key goes with the address, because calendar programs send no headers of ours.

    Raises: UnauthorizedError for a key that is not this feed's, NotFoundError.
    """
    name = file.removesuffix(".ics")
    environment = next((e for e in Environment if e.value == name), None)
    if environment is None or not file.endswith(".ics"):
        raise NotFoundError(f"there is no calendar {file[:80]!r}; it is named by an environment: production.ics")
    wanted = feed_key(request.app.state.token, venture, environment)
    if not hmac.compare_digest(key.encode("utf-8", "surrogateescape"), wanted.encode()):
        raise UnauthorizedError("this address has no valid key; get it anew with: productops windows feed")
    content = await anyio.to_thread.run_sync(release_windows_feed.make_feed, request.app.state.context, venture, environment)
    headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()[:32]}"', "Cache-Control": "private, max-age=300"}
    if matches(if_none_match, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    headers["Content-Disposition"] = f'inline; filename="{environment.value}.ics"'
    return Response(content, media_type="text/calendar; charset=utf-8", headers=headers)
