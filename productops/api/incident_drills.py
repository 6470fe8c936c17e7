"""Routes of drills: whoever breaks something says so first, and what the product then did is scored from its records."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from productops.api import paging
from productops.api.access import allowed
from productops.api.incident_playbooks_schemas import (
    DrillBegunOut,
    DrillBody,
    DrillInstanceOut,
    DrillInstances,
    DrillList,
    DrillOut,
    InjectionBody,
    MendedBody,
    ScoreBody,
)
from productops.api.release import BASE
from productops.api.wiring import ActorDep, ContextDep
from productops.domain.governance_access import Operation
from productops.usecases import incident_drill
from productops.usecases.incident_drill import DrillWish

DRILLS = f"{BASE}/drills"
router = APIRouter(tags=["incidents"])
READ = [allowed(Operation.INCIDENT_READ)]
DRILL = [allowed(Operation.INCIDENT_DRILL)]
DrillId = Annotated[str, Path(max_length=80, description="Id of the drill.")]


@router.post(DRILLS, operation_id="beginDrill", dependencies=DRILL, status_code=201, summary="Write a drill down")
def begin(body: DrillBody, context: ContextDep, actor: ActorDep, response: Response) -> DrillBegunOut:
    """Nothing is broken yet; production takes a word that it is meant."""
    wish = DrillWish(body.playbook, body.service, body.environment, body.fault, even_production=body.even_production)
    found = incident_drill.begin_drill(context, wish, actor=actor)
    response.headers["Location"] = f"{DRILLS}/{found.drill.id}"
    return DrillBegunOut(
        drill=DrillOut.of(found.drill), dependencies=list(found.dependencies),
        instances=[DrillInstanceOut.model_validate(each) for each in found.instances], mend=[DrillOut.of(each) for each in found.mend],
    )  # fmt: skip


@router.get(DRILLS, operation_id="listDrills", dependencies=READ, summary="List drills")
def list_all(context: ContextDep, actor: ActorDep, after: paging.After = None, limit: paging.Limit = 50) -> DrillList:
    """The newest first."""
    found = incident_drill.list_drills(context, before=paging.decode_one(after), limit=limit + 1, actor=actor)
    page, following = paging.cut(found, limit, lambda each: (each.id,))
    return DrillList(items=[DrillOut.of(each) for each in page], next=following)


@router.get(f"{DRILLS}/{{drill_id}}", operation_id="getDrill", dependencies=READ, summary="Read a drill")
def show(drill_id: DrillId, context: ContextDep, actor: ActorDep) -> DrillOut:
    """With its scores."""
    return DrillOut.of(incident_drill.read_drill(context, drill_id, actor=actor))


@router.get(f"{DRILLS}/{{drill_id}}/instances", operation_id="listDrillInstances", dependencies=DRILL, summary="Living instances there")
def instances(drill_id: DrillId, context: ContextDep, actor: ActorDep) -> DrillInstances:
    """Of what users have of the service, and of what it depends on."""
    found = incident_drill.drill_instances(context, drill_id, actor=actor)
    return DrillInstances(items=[DrillInstanceOut.model_validate(each) for each in found])


@router.post(f"{DRILLS}/{{drill_id}}/injection", operation_id="noteInjection", dependencies=DRILL, summary="What is broken")
def injection(drill_id: DrillId, body: InjectionBody, context: ContextDep, actor: ActorDep) -> DrillOut:
    """Once before, with all it takes to mend it, and once when it is done: then the clock begins."""
    return DrillOut.of(incident_drill.plan_injection(context, drill_id, body.injected, actor=actor, done=body.done))


@router.post(f"{DRILLS}/{{drill_id}}/mended", operation_id="noteMended", dependencies=DRILL, summary="All is whole again")
def mended(drill_id: DrillId, context: ContextDep, actor: ActorDep, body: MendedBody | None = None) -> DrillOut:
    """A drill that still ran was cut short."""
    return DrillOut.of(incident_drill.mended(context, drill_id, actor=actor, note_text=body.note if body else ""))


@router.post(f"{DRILLS}/{{drill_id}}/score", operation_id="scoreDrill", dependencies=DRILL, summary="Score a drill")
def score(drill_id: DrillId, context: ContextDep, actor: ActorDep, body: ScoreBody | None = None) -> DrillOut:
    """As far as it has come; with `last` it is over."""
    return DrillOut.of(incident_drill.score_drill(context, drill_id, actor=actor, last=bool(body and body.last)))
