"""Routes of trains: several services released together."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response

from productops.api.access import allowed
from productops.api.release import BASE, REPLAYED, IdempotencyKey
from productops.api.release_schemas import FlowRunOut, ReasonBody
from productops.api.release_train_schemas import TrainBody, TrainOut, TrainPage
from productops.api.wiring import ActorDep, ContextDep
from productops.domain.governance_access import Operation
from productops.domain.release_train import Train
from productops.usecases import release_train
from productops.usecases.context import Context

TRAINS = f"{BASE}/trains"
router = APIRouter(tags=["release"])
TrainId = Annotated[str, Path(description="Id of the train.", max_length=64)]
LOCATION = {"Location": {"description": "Where the train is read.", "schema": {"type": "string"}}}


def _flow_run(context: Context, train: Train, started: str | None = None) -> FlowRunOut | None:
    run = train.flow_run_id or started
    return FlowRunOut(id=run, url=context.orchestrator.run_url(run)) if run and context.orchestrator else None


@router.post(
    TRAINS, operation_id="requestTrain", dependencies=[allowed(Operation.RELEASE_REQUEST)],
    status_code=202, summary="Ask for a train of releases",
    responses={202: {"headers": LOCATION | REPLAYED}},
)  # fmt: skip
def request_train(body: TrainBody, response: Response, context: ContextDep, actor: ActorDep, key: IdempotencyKey = None) -> TrainOut:
    """Check every member, write the train down and start the flow that follows it. Without Prefect the train moves once it is back."""
    placed = release_train.place_train(context, body.to_wish(), actor=actor, idempotency_key=key)
    started = None if placed.train.ended or placed.train.flow_run_id else release_train.start_train(context, placed.train)
    response.headers["Location"] = f"{TRAINS}/{placed.train.id}"
    if placed.replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return TrainOut.of(placed.train, flow_run=_flow_run(context, placed.train, started))


@router.post(
    f"{TRAINS}/plan", operation_id="planTrain", dependencies=[allowed(Operation.RELEASE_READ)], summary="Show what a train would do"
)
def plan_train(body: TrainBody, context: ContextDep, actor: ActorDep) -> TrainOut:
    """Make every check of a train and show the order of its members, without writing or starting anything."""
    return TrainOut.of(release_train.plan_train(context, body.to_wish(), actor=actor))


@router.get(TRAINS, operation_id="listTrains", dependencies=[allowed(Operation.RELEASE_READ)], summary="List trains, newest first")
def show_trains(
    context: ContextDep,
    actor: ActorDep,
    after: Annotated[UUID | None, Query(description="`next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> TrainPage:
    """Trains with their members."""
    found = release_train.list_trains(context, before=str(after) if after else None, limit=limit, actor=actor)
    following = found[-1].id if len(found) == limit else None
    return TrainPage(items=[TrainOut.of(t, flow_run=_flow_run(context, t)) for t in found], next=following)


@router.get(f"{TRAINS}/{{train_id}}", operation_id="getTrain", dependencies=[allowed(Operation.RELEASE_READ)], summary="Read a train")
def show_train(train_id: TrainId, context: ContextDep, actor: ActorDep) -> TrainOut:
    """Where it and each of its members stands."""
    view = release_train.read_train(context, train_id, actor=actor)
    return TrainOut.of(view.train, releases=view.releases, flow_run=_flow_run(context, view.train))


@router.post(
    f"{TRAINS}/{{train_id}}/abort", operation_id="abortTrain", dependencies=[allowed(Operation.RELEASE_ROLL_BACK)],
    status_code=202, summary="Turn a train around",
    responses={202: {"headers": LOCATION}},
)  # fmt: skip
def abort_train(train_id: TrainId, body: ReasonBody, response: Response, context: ContextDep, actor: ActorDep) -> TrainOut:
    """What is on its way goes back at once; promoted members, too, in reverse order, unless the train is best-effort."""
    from productops.usecases.release_train_advance import advance_train

    release_train.abort_train(context, train_id, reason=body.reason, actor=actor)
    advance_train(context, train_id, actor=actor)  # does not wait for a flow
    view = release_train.read_train(context, train_id, actor=actor)
    response.headers["Location"] = f"{TRAINS}/{train_id}"
    return TrainOut.of(view.train, releases=view.releases, flow_run=_flow_run(context, view.train))
