"""Routes of performance: look at a service or feature, say what to do, and do it where that is asked for."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from productops.api import paging
from productops.api.access import allowed
from productops.api.release import BASE
from productops.api.wiring import ActorDep, ContextDep
from productops.domain.analytics_optimize import ActionKind, FindingKind, PerformanceRun
from productops.domain.governance_access import Operation
from productops.domain.release import Environment
from productops.usecases import analytics_optimize
from productops.usecases.analytics_optimize import DAYS_MAX, OptimizeWish

OPTIMIZE = f"{BASE}/performance/optimize"
router = APIRouter(tags=["analytics"])
READ = [allowed(Operation.METRIC_READ)]
_TEXT = r"^[^\x00-\x1f\x7f]*$"
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key", min_length=1, max_length=255, pattern=r"^[\x20-\x7e]+$",
        description="1 to 255 printable characters: the same request with it gives the same look, and acts once only.",
    ),
]  # fmt: skip
LOCATION = {"Location": {"description": "Where the look is read.", "schema": {"type": "string"}}}


class OptimizeIn(BaseModel):
    """Either a service or a feature."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"service": "storefront"}]})

    service: str = Field(default="", max_length=63, pattern=_TEXT, examples=["storefront"], description="Name of the service.")
    feature: str = Field(default="", max_length=255, pattern=_TEXT, description="Key of a feature in usage events.")
    venture: str = Field(default="", max_length=63, pattern=_TEXT, description="Venture of the feature, where several use it.")
    environment: Environment = Environment.PRODUCTION
    days: float = Field(default=14, gt=0, le=DAYS_MAX, description="How far back is looked.")
    act: bool = Field(default=False, description="Start the first step that is possible: a roll back, a flag, instances.")


class PerformanceFindingOut(BaseModel):
    """Something that is so beyond chance."""

    model_config = ConfigDict(from_attributes=True)

    kind: FindingKind
    metric: str
    sentence: str
    effect: float | None = Field(description="Share by which latency is higher, points of the failure ratio, or the load of a bend.")
    low: float | None = Field(description="95 % interval.")
    high: float | None
    p_value: float | None = Field(description="Holds for all comparisons of the look together.")
    version: str
    against: str
    evidence: dict[str, Any]


class RecommendationOut(BaseModel):
    """What to do."""

    model_config = ConfigDict(from_attributes=True)

    action: ActionKind
    sentence: str
    target: dict[str, Any]
    possible: bool = Field(description="Whether `act` would start it.")
    why: str = Field(description="Why not.")


class PerformanceRunOut(BaseModel):
    """One look at performance."""

    id: str
    venture: str
    subject: str = Field(description="Name of the service or key of the feature.")
    environment: Environment
    state: str = Field(description="`done`: nothing was started; `acting`: repeat the request; `acted`; `refused`.")
    sentence: str
    findings: list[PerformanceFindingOut]
    recommendations: list[RecommendationOut]
    facts: dict[str, Any] = Field(description="What it was made of: versions with their minutes, and what could not be compared.")
    action: dict[str, Any] = Field(description="What was started, or why it was refused.")
    effect: dict[str, Any] = Field(description="What it brought at the same load, measured 10 minutes to a day after.")
    by: str
    at: datetime
    acted_at: datetime | None
    measured_at: datetime | None

    @classmethod
    def of(cls, run: PerformanceRun) -> PerformanceRunOut:
        """The run as callers see it."""
        lists = {
            "findings": [PerformanceFindingOut.model_validate(each) for each in run.findings],
            "recommendations": [RecommendationOut.model_validate(each) for each in run.recommendations],
        }
        same = {name: getattr(run, name) for name in cls.model_fields if name not in lists}
        return cls.model_validate(same | lists)


class PerformanceRunPage(BaseModel):
    """Looks, newest first; pass `next` as `after` for the following page."""

    items: list[PerformanceRunOut]
    next: str | None


@router.post(
    OPTIMIZE, operation_id="optimizePerformance", dependencies=[allowed(Operation.PERFORMANCE_OPTIMIZE)],
    summary="Look at performance, and act where asked", responses={200: {"headers": LOCATION}},
)  # fmt: skip
def optimize(
    body: OptimizeIn, context: ContextDep, actor: ActorDep, response: Response, idempotency_key: Key = None
) -> PerformanceRunOut:  # fmt: skip
    """Versions are compared at the same load, with intervals that hold for all comparisons together. What is started is what a person
    could start, with the caller's rights and the approvals that hold; where too little is known, nothing is claimed.
    """
    wish = OptimizeWish(body.service, body.feature, body.venture, body.environment, body.days, act=body.act)
    run = analytics_optimize.optimize_performance(context, wish, actor=actor, key=idempotency_key)
    response.headers["Location"] = f"{OPTIMIZE}/{run.id}"
    return PerformanceRunOut.of(run)


@router.get(OPTIMIZE, operation_id="listPerformanceRuns", dependencies=READ, summary="List looks at performance")
def list_runs(
    context: ContextDep, actor: ActorDep,
    subject: Annotated[str | None, Query(max_length=255, pattern=_TEXT, description="Service or feature.")] = None,
    limit: paging.Limit = 50, after: paging.After = None,
) -> PerformanceRunPage:  # fmt: skip
    """Newest first."""
    before = paging.decode_id(after)
    found = analytics_optimize.list_runs(context, subject=subject, before=before, limit=limit + 1, actor=actor)
    page, following = paging.cut(found, limit, lambda each: (each.id,))
    return PerformanceRunPage(items=[PerformanceRunOut.of(each) for each in page], next=following)


@router.get(f"{OPTIMIZE}/{{run_id}}", operation_id="getPerformanceRun", dependencies=READ, summary="Read a look at performance")
def show(
    run_id: Annotated[str, Path(max_length=64, description="Id of the look.")], context: ContextDep, actor: ActorDep
) -> PerformanceRunOut:  # fmt: skip
    """With what was started and what it brought."""
    return PerformanceRunOut.of(analytics_optimize.read_run(context, run_id, actor=actor))
