"""Routes of experiments: list, show, look, plan, start, stop, decide."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from productops.api import paging
from productops.api.access import allowed
from productops.api.analytics_experiments_schemas import (
    DecisionBody,
    ExperimentBreachOut,
    ExperimentList,
    ExperimentLookedOut,
    ExperimentLookList,
    ExperimentLookOut,
    ExperimentOut,
    ExperimentPageOut,
    ExperimentSizeOut,
    ReasonBody,
    plain,
)
from productops.api.release import BASE
from productops.api.wiring import ActorDep, ContextDep
from productops.domain.analytics_experiment import ExperimentState
from productops.domain.governance_access import Operation
from productops.errors import NotFoundError
from productops.usecases import analytics_experiment

EXPERIMENTS = f"{BASE}/experiments"
router = APIRouter(tags=["analytics"])
Name = Annotated[str, Path(max_length=63, description="Name of the experiment.")]
READ = [allowed(Operation.ANALYTICS_READ)]
CHANGE = [allowed(Operation.EXPERIMENT_CHANGE)]
PICTURE: dict[int | str, dict[str, Any]] = {200: {"description": "A picture.", "content": {"image/svg+xml": {}}}}


@router.get(EXPERIMENTS, operation_id="listExperiments", dependencies=READ, summary="List experiments")
def list_all(
    context: ContextDep, actor: ActorDep, venture: Annotated[str | None, Query(max_length=63, description="Of this venture only.")] = None,
    state: Annotated[ExperimentState | None, Query(description="In this state only.")] = None, after: paging.After = None,
    limit: paging.Limit = 50,
) -> ExperimentList:  # fmt: skip
    """By name."""
    last = paging.decode_one(after)
    found = analytics_experiment.list_experiments(context, venture=venture, state=state, after=last, limit=limit + 1, actor=actor)
    page, following = paging.cut(found, limit, lambda each: (each.name,))
    return ExperimentList(items=[ExperimentOut.of(each) for each in page], next=following)


@router.get(f"{EXPERIMENTS}/{{name}}", operation_id="getExperiment", dependencies=READ, summary="Show an experiment with its newest look")
def show(name: Name, context: ContextDep, actor: ActorDep) -> ExperimentPageOut:
    """What it asks, where it stands, and what the last look found."""
    found = analytics_experiment.show_experiment(context, name, actor=actor)
    return ExperimentPageOut.with_look(found.experiment, found.look)


@router.get(f"{EXPERIMENTS}/{{name}}/looks", operation_id="listExperimentLooks", dependencies=READ, summary="List the looks of a run")
def looks(
    name: Name, context: ContextDep, actor: ActorDep,
    run: Annotated[int | None, Query(ge=1, le=1_000_000, description="Which run; left out: the last one.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="The newest so many.")] = 100,
) -> ExperimentLookList:  # fmt: skip
    """Oldest first."""
    found = analytics_experiment.read_looks(context, name, run=run, limit=limit, actor=actor)
    return ExperimentLookList(items=[ExperimentLookOut.of(each) for each in found])


@router.get(
    f"{EXPERIMENTS}/{{name}}/picture", operation_id="drawExperiment", dependencies=READ, summary="The newest look as a picture",
    response_class=Response, responses=PICTURE,
)  # fmt: skip
def picture(name: Name, context: ContextDep, actor: ActorDep) -> Response:
    """SVG: each interval beside the line of no change. Raises: NotFoundError before the first look."""
    from productops.domain.analytics_experiment_document import look_from
    from productops.domain.analytics_experiment_picture import look_picture

    found = analytics_experiment.show_experiment(context, name, actor=actor)
    if found.look is None:
        raise NotFoundError(f"nobody has looked at experiment {name!r} yet; look with: productops experiment check {name}")
    drawn = look_picture(f"{name}, look {found.look.number}", look_from(found.look.result))
    return Response(drawn, media_type="image/svg+xml", headers={"Cache-Control": "private, no-cache"})


@router.post(
    f"{EXPERIMENTS}/{{name}}/looks", operation_id="lookAtExperiment", dependencies=CHANGE, status_code=201, summary="Look at it now"
)
def look(name: Name, context: ContextDep, actor: ActorDep) -> ExperimentLookedOut:
    """Reads events, keeps what is found, and takes the flag back when a guardrail does not hold."""
    from productops.usecases.analytics_experiment_look import look_at

    found = look_at(context, name, actor=actor)
    if found.look is None:
        raise NotFoundError(found.error)
    return ExperimentLookedOut(
        experiment=ExperimentOut.of(found.experiment), look=ExperimentLookOut.of(found.look),
        breach=ExperimentBreachOut.model_validate(found.breach) if found.breach else None,
    )  # fmt: skip


@router.get(f"{EXPERIMENTS}/{{name}}/size", operation_id="planExperimentSize", dependencies=READ, summary="How many people it takes")
def size(
    name: Name, context: ContextDep, actor: ActorDep,
    mean: Annotated[float | None, Query(ge=-1e12, le=1e12, description="Of the metric today; left out: learned from events.")] = None,
    deviation: Annotated[float | None, Query(gt=0, le=1e12, description="Standard deviation between people; not for rates.")] = None,
    people_per_day: Annotated[float | None, Query(gt=0, le=1e9, description="Who will meet it; left out: learned from events.")] = None,
    effect: Annotated[float | None, Query(gt=0, le=10, description="Relative; left out: the smallest one worth knowing.")] = None,
    learn_days: Annotated[float | None, Query(gt=0, le=365, description="Days of events to learn from; 28.")] = None,
) -> ExperimentSizeOut:  # fmt: skip
    """People and days for the effect worth knowing, tables for others, and what a number of days can show."""
    from productops.usecases.analytics_experiment_plan import Known, plan_size

    given = {"mean": mean, "deviation": deviation, "people_per_day": people_per_day, "learn_days": learn_days}
    return ExperimentSizeOut.of(plan_size(context, name, Known(**plain(given)), effect=effect, actor=actor))


@router.post(f"{EXPERIMENTS}/{{name}}/start", operation_id="startExperiment", dependencies=CHANGE, summary="Start a run")
def start(name: Name, context: ContextDep, actor: ActorDep, body: ReasonBody | None = None) -> ExperimentOut:
    """People who meet a variant from now on are counted; how many meet one is the flag's business."""
    return ExperimentOut.of(analytics_experiment.start_experiment(context, name, reason=body.reason if body else "", actor=actor))


@router.post(f"{EXPERIMENTS}/{{name}}/stop", operation_id="stopExperiment", dependencies=CHANGE, summary="Stop a run")
def stop(name: Name, context: ContextDep, actor: ActorDep, body: ReasonBody | None = None) -> ExperimentOut:
    """Nobody who comes later is counted; those who came are followed until their windows end."""
    return ExperimentOut.of(analytics_experiment.stop_experiment(context, name, reason=body.reason if body else "", actor=actor))


@router.post(f"{EXPERIMENTS}/{{name}}/decide", operation_id="decideExperiment", dependencies=CHANGE, summary="Decide an experiment")
def decide(name: Name, body: DecisionBody, context: ContextDep, actor: ActorDep) -> ExperimentOut:
    """Keeps the choice with the sentence that explains it. The flag is not touched."""
    return ExperimentOut.of(
        analytics_experiment.decide_experiment(context, name, body.choice, variant=body.variant, reason=body.reason, actor=actor)
    )
