"""Routes of playbooks, responses to incidents and holds of people."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from productops.api.access import allowed
from productops.api.incident import BASE as INCIDENTS
from productops.api.incident import IncidentId
from productops.api.incident_playbooks_schemas import (
    HoldBody,
    HoldList,
    HoldOut,
    PlaybookList,
    PlaybookOut,
    RespondBody,
    ResponseList,
    ResponseOut,
    WhyBody,
)
from productops.api.release import BASE
from productops.api.wiring import ActorDep, ContextDep
from productops.domain.governance_access import Operation
from productops.usecases import incident_playbooks
from productops.usecases.incident_playbooks import HoldWish

router = APIRouter(tags=["incidents"])
READ = [allowed(Operation.INCIDENT_READ)]
RESPOND = [allowed(Operation.INCIDENT_RESPOND)]
PlaybookName = Annotated[str, Path(max_length=63, description="Name of the playbook.")]
ResponseId = Annotated[str, Path(max_length=80, description="Id of the response.")]
HoldId = Annotated[str, Path(max_length=80, description="Id of the hold.")]


@router.get(f"{BASE}/playbooks", operation_id="listPlaybooks", dependencies=READ, summary="List playbooks")
def playbooks(context: ContextDep, actor: ActorDep) -> PlaybookList:
    """In the order in which they are tried."""
    return PlaybookList(items=[PlaybookOut.of(each) for each in incident_playbooks.list_playbooks(context, actor=actor)])


@router.get(f"{BASE}/playbooks/{{name}}", operation_id="getPlaybook", dependencies=READ, summary="Read a playbook")
def playbook(name: PlaybookName, context: ContextDep, actor: ActorDep) -> PlaybookOut:
    """As it was declared."""
    return PlaybookOut.of(incident_playbooks.read_playbook(context, name, actor=actor))


@router.get(f"{INCIDENTS}/{{incident_id}}/responses", operation_id="listResponses", dependencies=READ, summary="What is done about it")
def responses(
    incident_id: IncidentId, context: ContextDep, actor: ActorDep,
    dry_runs: Annotated[bool, Query(description="What would have been done, instead.")] = False,  # noqa: FBT002 - a query
) -> ResponseList:  # fmt: skip
    """The first response first, each with its journal."""
    found = incident_playbooks.list_responses(context, incident_id, actor=actor, dry_runs=dry_runs)
    return ResponseList(items=[ResponseOut.of(each) for each in found])


@router.post(
    f"{INCIDENTS}/{{incident_id}}/responses", operation_id="respondToIncident", dependencies=RESPOND, status_code=201,
    summary="Begin a playbook",
)  # fmt: skip
def respond(
    incident_id: IncidentId, context: ContextDep, actor: ActorDep, response: Response, body: RespondBody | None = None
) -> ResponseOut:
    """The named one, or the one that fits the likeliest cause; with `dry_run` only what would be done."""
    from productops.usecases.incident_respond_people import respond_now
    from productops.usecases.incident_respond_plan import ACT, DRY_RUN, Wish

    wanted = body or RespondBody()
    wish = Wish(incident_id, wanted.playbook or None, DRY_RUN if wanted.dry_run else ACT)
    begun = respond_now(context, wish, actor=actor)
    response.headers["Location"] = f"{INCIDENTS}/{begun.incident_id}/responses"
    return ResponseOut.of(begun)


@router.post(f"{BASE}/responses/{{response_id}}/go", operation_id="letResponseBegin", dependencies=RESPOND, summary="Let it begin")
def go(response_id: ResponseId, context: ContextDep, actor: ActorDep) -> ResponseOut:
    """A playbook that is not automatic waits for this."""
    from productops.usecases.incident_respond_people import go_on

    return ResponseOut.of(go_on(context, response_id, actor=actor))


@router.post(f"{BASE}/responses/{{response_id}}/stop", operation_id="stopResponse", dependencies=RESPOND, summary="Do nothing more")
def stop(response_id: ResponseId, context: ContextDep, actor: ActorDep, body: WhyBody | None = None) -> ResponseOut:
    """What was done stays done."""
    from productops.usecases.incident_respond_people import stop_response

    return ResponseOut.of(stop_response(context, response_id, reason=body.reason if body else "", actor=actor))


@router.get(f"{BASE}/response-holds", operation_id="listResponseHolds", dependencies=READ, summary="List holds")
def holds(context: ContextDep, actor: ActorDep) -> HoldList:
    """Where programs keep their hands off, the newest first."""
    return HoldList(items=[HoldOut.of(each) for each in incident_playbooks.list_holds(context, actor=actor)])


@router.post(f"{BASE}/response-holds", operation_id="holdResponses", dependencies=RESPOND, status_code=201, summary="Hands off")
def hold(body: HoldBody, context: ContextDep, actor: ActorDep, response: Response) -> HoldOut:
    """Nothing new is begun there by itself; what is under way goes on."""
    wish = HoldWish(body.reason, body.venture or "", body.service or "", body.environment, body.incident_id, body.for_s)
    response.headers["Location"] = f"{BASE}/response-holds"
    return HoldOut.of(incident_playbooks.hold_responses(context, wish, actor=actor))


@router.post(f"{BASE}/response-holds/{{hold_id}}/lift", operation_id="liftResponseHold", dependencies=RESPOND, summary="Lift a hold")
def lift(hold_id: HoldId, context: ContextDep, actor: ActorDep, body: WhyBody | None = None) -> HoldOut:
    """Programs may act there again."""
    return HoldOut.of(incident_playbooks.lift_hold(context, hold_id, reason=body.reason if body else "", actor=actor))
