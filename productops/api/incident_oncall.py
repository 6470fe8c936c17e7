"""Routes of on-call: who takes calls, overrides, swaps, calendars; calls, channels, and what was told."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import AwareDatetime

from productops.api import paging
from productops.api.access import allowed
from productops.api.incident_oncall_schemas import (
    CalendarIn,
    ChannelList,
    ChannelOut,
    NoticeOut,
    NoticePage,
    OnCallProblemList,
    OnCallProblemOut,
    OnDutyList,
    OnDutyOut,
    OverrideIn,
    OverrideList,
    OverrideOut,
    PagedOut,
    PageOut,
    ScheduleOut,
    SwapIn,
    TellIn,
    ToldOut,
    TriedOut,
)
from productops.api.release import BASE
from productops.api.wiring import ActorDep, ContextDep
from productops.domain.governance_access import Operation
from productops.domain.incident_updates import Moment
from productops.usecases import incident_oncall, incident_oncall_escalate, incident_tell
from productops.usecases.incident_oncall import OverrideWish

ONCALL = f"{BASE}/oncall"
router = APIRouter(tags=["oncall"])
READ = [allowed(Operation.INCIDENT_READ)]
CHANGE = [allowed(Operation.ONCALL_CHANGE)]
RESPOND = [allowed(Operation.INCIDENT_RESPOND)]
ScheduleName = Annotated[str, Path(max_length=63, description="Name of the schedule.")]
ChannelName = Annotated[str, Path(max_length=63, description="Name of the channel.")]
IncidentId = Annotated[str, Path(max_length=80, description="Id of the incident.")]
At = Annotated[AwareDatetime | None, Query(description="A time with its zone; nothing: now.")]


@router.get(ONCALL, operation_id="listOnCall", dependencies=READ, summary="Who is on call")
def list_schedules(context: ContextDep, actor: ActorDep, at: At = None) -> OnDutyList:
    """By each schedule, with the next hand-over."""
    return OnDutyList(items=[OnDutyOut.of(each) for each in incident_oncall.list_schedules(context, at=at, actor=actor)])


@router.get(f"{BASE}/oncall-problems", operation_id="listOnCallProblems", dependencies=READ, summary="What keeps people from being called")
def problems(context: ContextDep, actor: ActorDep) -> OnCallProblemList:
    """Gaps in the next four weeks, people without a channel, channels that are not set up here."""
    return OnCallProblemList(items=[OnCallProblemOut.of(each) for each in incident_oncall.check_oncall(context, actor=actor)])


@router.get(f"{ONCALL}/{{name}}", operation_id="getOnCallSchedule", dependencies=READ, summary="Read a schedule")
def show(name: ScheduleName, context: ContextDep, actor: ActorDep, since: At = None, until: At = None) -> ScheduleOut:
    """Its shifts, overrides and gaps; for four weeks from now when nothing is said, at most 400 days."""
    return ScheduleOut.of(incident_oncall.read_schedule(context, name, since=since, until=until, actor=actor))


@router.get(f"{ONCALL}/{{name}}/now", operation_id="getOnCall", dependencies=READ, summary="Who is on call by a schedule")
def who(name: ScheduleName, context: ContextDep, actor: ActorDep, at: At = None) -> OnDutyOut:
    """At a time, with since when, until when, and who is next."""
    return OnDutyOut.of(incident_oncall.who_is_on_call(context, name, at, actor=actor))


@router.get(
    f"{ONCALL}/{{name}}/calendar", operation_id="exportOnCall", dependencies=READ, summary="A schedule as a calendar",
    response_class=Response, responses={200: {"content": {"text/calendar": {}}}},
)  # fmt: skip
def export(
    name: ScheduleName, context: ContextDep, actor: ActorDep,
    person: Annotated[str | None, Query(max_length=100, pattern=r"^[^\x00]*$", description="Only this person's shifts.")] = None,
) -> Response:  # fmt: skip
    """iCalendar: the last week and the next half year."""
    content = incident_oncall.export_schedule(context, name, person=person, actor=actor)
    return Response(content, media_type="text/calendar", headers={"Content-Disposition": 'inline; filename="on-call.ics"'})


@router.post(
    f"{ONCALL}/{{name}}/overrides", operation_id="overrideOnCall", dependencies=CHANGE, status_code=201, summary="Take calls for another"
)
def override(name: ScheduleName, body: OverrideIn, context: ContextDep, actor: ActorDep) -> OverrideOut:
    """The latest override goes before all others."""
    wish = OverrideWish(body.person, body.starts_at, body.ends_at, body.reason)
    return OverrideOut.of(incident_oncall.override_schedule(context, name, wish, actor=actor))


@router.post(f"{ONCALL}/{{name}}/swaps", operation_id="swapOnCall", dependencies=CHANGE, status_code=201, summary="Swap two shifts")
def swap(name: ScheduleName, body: SwapIn, context: ContextDep, actor: ActorDep) -> OverrideList:
    """As two overrides."""
    made = incident_oncall.swap_shifts(context, name, first=body.first, second=body.second, reason=body.reason, actor=actor)
    return OverrideList(items=[OverrideOut.of(each) for each in made])


@router.post(f"{ONCALL}/{{name}}/import", operation_id="importOnCall", dependencies=CHANGE, summary="Read overrides from a calendar")
def import_calendar(name: ScheduleName, body: CalendarIn, context: ContextDep, actor: ActorDep) -> OverrideList:
    """Each event is named by a person; read again, the same event changes its override."""
    made = incident_oncall.import_overrides(context, name, body.calendar.encode(), actor=actor)
    return OverrideList(items=[OverrideOut.of(each) for each in made])


@router.post(
    f"{BASE}/oncall-overrides/{{override_id}}/remove", operation_id="removeOnCallOverride", dependencies=CHANGE, status_code=204,
    summary="Take an override back", response_class=Response,
)  # fmt: skip
def remove(
    override_id: Annotated[str, Path(max_length=64, description="Id of the override.")], context: ContextDep, actor: ActorDep
) -> Response:
    """The schedule holds again."""
    incident_oncall.remove_override(context, override_id, actor=actor)
    return Response(status_code=204)


@router.post(f"{BASE}/incidents/{{incident_id}}/page", operation_id="pageIncident", dependencies=RESPOND, summary="Call who is responsible")
def page(incident_id: IncidentId, context: ContextDep, actor: ActorDep) -> PagedOut:
    """Level after level, until somebody acknowledges. Nothing changes where that goes on already."""
    found = incident_oncall.page(context, incident_id, actor=actor)
    return PagedOut(page=None if found is None else PageOut.of(found))


@router.get(f"{BASE}/incidents/{{incident_id}}/page", operation_id="getIncidentPage", dependencies=READ, summary="Who was called")
def show_page(incident_id: IncidentId, context: ContextDep, actor: ActorDep) -> PageOut:
    """And who is next, when."""
    return PageOut.of(incident_oncall_escalate.read_page(context, incident_id, actor=actor))


@router.post(
    f"{BASE}/incidents/{{incident_id}}/page/stop", operation_id="stopIncidentPage", dependencies=RESPOND, summary="Call nobody more"
)
def stop_page(incident_id: IncidentId, context: ContextDep, actor: ActorDep) -> PageOut:
    """Without acknowledging the incident."""
    return PageOut.of(incident_oncall_escalate.stop_page(context, incident_id, actor=actor))


@router.post(f"{BASE}/incidents/{{incident_id}}/tell", operation_id="tellIncident", dependencies=RESPOND, summary="Tell everybody inside")
def tell(incident_id: IncidentId, body: TellIn, context: ContextDep, actor: ActorDep) -> ToldOut:
    """Engineers and management; customers are told by publishing."""
    return ToldOut(notices=incident_tell.tell(context, incident_id, Moment.UPDATE, text=body.text, actor=actor))


@router.get(f"{BASE}/incident-notices", operation_id="listIncidentNotices", dependencies=READ, summary="What was told, to whom, and when")
def notices(
    context: ContextDep, actor: ActorDep,
    incident: Annotated[str | None, Query(max_length=80, description="Of this incident only.")] = None,
    state: Literal["waiting", "sending", "sent", "failed", "dropped"] | None = None,
    limit: paging.Limit = 50, after: paging.After = None,
) -> NoticePage:  # fmt: skip
    """Newest first, with the error where it did not arrive."""
    found = incident_tell.list_notices(
        context, incident_id=incident, state=state, before=paging.decode_id(after), limit=limit, actor=actor
    )  # fmt: skip
    following = paging.encode(found[-1].id) if len(found) == limit else None
    return NoticePage(items=[NoticeOut.of(each) for each in found], next=following)


@router.post(
    f"{BASE}/incident-notices/{{notice_id}}/retry", operation_id="retryIncidentNotice", dependencies=RESPOND, summary="Send it after all"
)
def retry(
    notice_id: Annotated[str, Path(max_length=64, description="Id of the notice.")], context: ContextDep, actor: ActorDep
) -> NoticeOut:
    """One that was given up."""
    return NoticeOut.of(incident_tell.retry_notice(context, notice_id, actor=actor))


@router.get(f"{BASE}/channels", operation_id="listChannels", dependencies=READ, summary="Ways to reach people")
def channels(context: ContextDep, actor: ActorDep) -> ChannelList:
    """Their addresses are secrets and are not told."""
    return ChannelList(items=[ChannelOut.of(each) for each in incident_tell.list_channels(context, actor=actor)])


@router.post(f"{BASE}/channels/{{name}}/try", operation_id="tryChannel", dependencies=CHANGE, summary="Send a test message")
def try_channel(name: ChannelName, context: ContextDep, actor: ActorDep) -> TriedOut:
    """What became of it is among what was told."""
    return TriedOut(notice_id=incident_tell.try_channel(context, name, actor=actor))
