"""Routes of plans and forecasts: who does what when, what would be if, and by when it is done."""

from __future__ import annotations

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Path, Query, Request, Response

from productops.adapters.calendar_sources import CalendarSources
from productops.api import paging
from productops.api.access import allowed
from productops.api.conventions import BYTES_MAX
from productops.api.development_plan_schemas import (
    CalibrationOut,
    ComparisonOut,
    ForecastOut,
    ForecastPage,
    PlanAcceptBody,
    PlanBody,
    PlanDetail,
    PlanOut,
    PlanPage,
    TeamOut,
    TeamPage,
    WhatIfBody,
)
from productops.api.release import BASE
from productops.api.wiring import ActorDep, ContextDep
from productops.domain.development_plan_facts_document import plan_from
from productops.domain.development_plan_facts_stored import PlanState, StoredPlan, Subject
from productops.domain.development_plan_picture import draw_gantt
from productops.domain.governance_access import Operation
from productops.errors import ConflictError
from productops.store.development_plans import PlanFilter
from productops.usecases import development_forecast, development_plan, development_plan_teams, development_plan_what_if
from productops.usecases.context import Actor, Context
from productops.usecases.development_plan_what_if import WhatIfWish

DEVELOPMENT = f"{BASE}/development"
WORK_BYTES = 4_194_304
router = APIRouter(tags=["development"])
Name = Query(max_length=63, pattern=r"^[a-z0-9-]*$")
PlanId = Annotated[str, Path(max_length=64, description="Id of the plan.")]
WithWork = Annotated[bool, Query(description="With the work, people and hours it was made of.")]
LOCATION = {"Location": {"description": "Where the plan is read.", "schema": {"type": "string"}}}
READ, PLAN = allowed(Operation.DEVELOPMENT_READ), allowed(Operation.DEVELOPMENT_PLAN)


@router.post(
    f"{DEVELOPMENT}/plans", operation_id="makeDevelopmentPlan", dependencies=[PLAN], status_code=201, summary="Plan the work of a venture",
    response_model=PlanDetail, openapi_extra={BYTES_MAX: WORK_BYTES},
    responses={
        201: {"description": "The plan.", "headers": LOCATION},
        202: {"model": PlanOut, "description": "More than 60 open items, or `later`: it is being made.", "headers": LOCATION},
    },
)  # fmt: skip
async def make_plan(
    request: Request, body: PlanBody, response: Response, context: ContextDep, actor: ActorDep
) -> PlanDetail | Response:  # fmt: skip
    """From what is stored, or from `work`. What is missing is assumed, and said in `gaps`. It becomes the current plan unless `keep` says
    otherwise; little of the current one moves, and each move says why. When nothing can keep all constraints, the answer names a
    smallest set of those that conflict (`impossible-plan`).
    """
    sources = CalendarSources(allow_private=request.app.state.calendar_allow_private)
    plan = await to_thread.run_sync(lambda: _made(context, body, sources, actor=actor))
    headers = {"Location": f"{DEVELOPMENT}/plans/{plan.id}"}
    if plan.state is PlanState.WAITING:
        request.app.state.plan_news.set()
        return Response(PlanOut.of(plan).model_dump_json(), 202, headers, media_type="application/json")
    response.headers.update(headers)
    return PlanDetail.seen(plan)


def _made(context: Context, body: PlanBody, sources: CalendarSources, *, actor: Actor) -> StoredPlan:
    wish = body.wish()
    if body.later:
        return development_plan.ask_for_plan(context, wish, actor=actor)
    ready = development_plan.prepare_plan(context, wish, actor=actor, sources=sources)
    if not ready.is_small:
        return development_plan.ask_for_plan(context, wish, actor=actor)
    return development_plan.make_development_plan(context, wish, actor=actor, prepared=ready)


@router.get(f"{DEVELOPMENT}/plans", operation_id="listDevelopmentPlans", dependencies=[READ], summary="List plans, newest first")
def list_plans(
    context: ContextDep,
    actor: ActorDep,
    venture: Annotated[str | None, Name] = None,
    team: Annotated[str | None, Name] = None,
    state: PlanState | None = None,
    limit: paging.Limit = 50,
    after: paging.After = None,
) -> PlanPage:
    """Without their tasks."""
    wanted = PlanFilter(venture=venture, team=team, state=state)
    found = development_plan.list_plans(context, wanted, before=paging.decode_id(after), limit=limit + 1, actor=actor)
    page, following = paging.cut(found, limit, lambda plan: (plan.id,))
    return PlanPage(items=[PlanOut.of(plan) for plan in page], next=following)


@router.post(
    f"{DEVELOPMENT}/plans/what-if", operation_id="compareDevelopmentPlans", dependencies=[PLAN], summary="Compare scenarios of a plan",
)  # fmt: skip
def compare(body: WhatIfBody, context: ContextDep, actor: ActorDep) -> ComparisonOut:
    """One more person, one feature less, another date, another share. Each is kept as a draft; nothing else changes until one is
    accepted.
    """
    wish = WhatIfWish(body.scenarios, body.plan_id, body.venture, body.team, body.limit_s)
    return ComparisonOut.of(development_plan_what_if.try_scenarios(context, wish, actor=actor))


@router.get(
    f"{DEVELOPMENT}/plans/current", operation_id="getCurrentDevelopmentPlan", dependencies=[READ], summary="Read the plan people work by"
)
def show_current(
    venture: Annotated[str, Name], context: ContextDep, actor: ActorDep, team: Annotated[str, Name] = "", *, work: WithWork = False
) -> PlanDetail:
    """Of a venture, or of one of its teams."""
    return PlanDetail.seen(development_plan.current_plan(context, venture, team=team, actor=actor), with_work=work)


@router.get(f"{DEVELOPMENT}/plans/{{plan_id}}", operation_id="getDevelopmentPlan", dependencies=[READ], summary="Read a plan")
def show_plan(plan_id: PlanId, context: ContextDep, actor: ActorDep, *, work: WithWork = False) -> PlanDetail:
    """Its tasks are the bars of a Gantt chart; while it is `waiting`, it is being made."""
    return PlanDetail.seen(development_plan.show_plan(context, plan_id, actor=actor), with_work=work)


@router.get(
    f"{DEVELOPMENT}/plans/{{plan_id}}/picture.svg", operation_id="drawDevelopmentPlan", dependencies=[READ], summary="Draw a plan",
    response_class=Response, responses={200: {"description": "A Gantt chart.", "content": {"image/svg+xml": {}}}},
)  # fmt: skip
def draw_plan(plan_id: PlanId, context: ContextDep, actor: ActorDep) -> Response:
    """A line for each person, a bar for each item, a diamond where a feature lands."""
    plan = development_plan.show_plan(context, plan_id, actor=actor)
    return Response(picture_of(plan), media_type="image/svg+xml", headers={"Cache-Control": "private, no-cache"})


def picture_of(plan: StoredPlan) -> str:
    """Raises: ConflictError for a plan that is none yet."""
    if not plan.plan:
        raise ConflictError(f"plan {plan.id} is {plan.state}, so there is nothing to draw")
    whose = f"{plan.venture}, {plan.team}" if plan.team else plan.venture
    title = f"{whose}: {plan.scenario}" if plan.scenario else whose
    return draw_gantt(plan_from(plan.plan), title=title, timezone=plan.request["calendar"]["timezone"])


@router.post(
    f"{DEVELOPMENT}/plans/{{plan_id}}/accept", operation_id="acceptDevelopmentPlan", dependencies=[PLAN],
    summary="Let a draft be the plan people work by",
)  # fmt: skip
def accept(plan_id: PlanId, body: PlanAcceptBody, context: ContextDep, actor: ActorDep) -> PlanDetail:
    """What it assumes holds for the plans after it, too. Refused when the current plan changed since the draft was made."""
    return PlanDetail.seen(development_plan.accept_plan(context, plan_id, reason=body.reason, actor=actor))


@router.get(
    f"{DEVELOPMENT}/forecasts", operation_id="listDevelopmentForecasts", dependencies=[READ], summary="List forecasts, newest first"
)
def list_forecasts(
    context: ContextDep,
    actor: ActorDep,
    venture: Annotated[str | None, Name] = None,
    subject: Subject | None = None,
    key: Annotated[str | None, Query(max_length=320, pattern=r"^[^\x00]*$", description="Of this feature or sprint only.")] = None,
    limit: paging.Limit = 50,
    after: paging.After = None,
) -> ForecastPage:
    """And how many past ones held."""
    found = development_forecast.list_forecasts(
        context, venture=venture, subject=subject, key=key, before=paging.decode_id(after), limit=limit + 1, actor=actor
    )
    page, following = paging.cut(found, limit, lambda forecast: (forecast.id,))
    told = development_forecast.calibration(context, venture=venture, actor=actor)
    return ForecastPage(items=[ForecastOut.of(each) for each in page], next=following, calibration=CalibrationOut.of(told))


@router.get(f"{DEVELOPMENT}/teams", operation_id="listDevelopmentTeams", dependencies=[READ], summary="List teams")
def list_teams(context: ContextDep, actor: ActorDep, venture: Annotated[str | None, Name] = None) -> TeamPage:
    """As the catalog declares them, with what is known of their calendars."""
    return TeamPage(items=[TeamOut.of(team) for team in development_plan_teams.list_teams(context, venture=venture, actor=actor)])
