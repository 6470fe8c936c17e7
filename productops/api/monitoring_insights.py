"""getPerformanceInsights of the DeploymentOpsAPI."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from productops.api.access import allowed
from productops.api.deployment_ops_read import BASE, BudgetLineOut, TrafficSumOut
from productops.api.wiring import ActorDep, ContextDep
from productops.domain.governance_access import Operation
from productops.domain.release import Environment
from productops.usecases.monitoring_insights import PerformanceInsights, performance_insights

router = APIRouter(prefix=BASE, tags=["deployment-ops"])


class VersionFiguresOut(BaseModel):
    """One version of a service: the last ten minutes, and the same ten minutes an hour before."""

    service: str
    environment: Environment
    version: str
    live: bool = Field(description="Whether it is what users have; otherwise it is on trial.")
    now: TrafficSumOut
    past: TrafficSumOut


class RegressionOut(BaseModel):
    """Something that got worse."""

    service: str
    environment: Environment
    version: str
    figure: str = Field(description="error_ratio, p50_ms or p99_ms.")
    before: float
    after: float
    factor: float
    compared: str = Field(description="With what: an hour ago, or the baseline.")
    release_id: str | None = Field(description="The release that brought the version.")


class HotResourceOut(BaseModel):
    """A resource that has little left."""

    component: str
    name: str
    value: float
    status: str


class PerformanceInsightsOut(BaseModel):
    """The worst first."""

    venture: str
    at: datetime
    versions: list[VersionFiguresOut]
    regressions: list[RegressionOut]
    hot: list[HotResourceOut]
    budgets: list[BudgetLineOut]
    advice: list[str] = Field(description="What to do.")

    @classmethod
    def of(cls, found: PerformanceInsights) -> PerformanceInsightsOut:
        """As callers see it."""
        versions = [
            VersionFiguresOut(
                service=v.service, environment=v.environment, version=v.version, live=v.live,
                now=TrafficSumOut.model_validate(v.now.to_dict()), past=TrafficSumOut.model_validate(v.past.to_dict()),
            )
            for v in found.versions
        ]  # fmt: skip
        return cls(
            venture=found.venture, at=found.at, versions=versions,
            regressions=[RegressionOut.model_validate(each, from_attributes=True) for each in found.regressions],
            hot=[HotResourceOut.model_validate(each, from_attributes=True) for each in found.hot],
            budgets=[BudgetLineOut.of(each) for each in found.budgets], advice=list(found.advice),
        )  # fmt: skip


@router.get(
    "/performance/{venture}/insights", operation_id="getPerformanceInsights", dependencies=[allowed(Operation.METRIC_READ)],
    summary="Ask how well a venture's services perform",
)  # fmt: skip
def show_insights(
    venture: Annotated[str, Path(max_length=63, description="Name of the venture.", examples=["apollo"])], context: ContextDep,
    actor: ActorDep,
) -> PerformanceInsightsOut:  # fmt: skip
    """Latency and failures by service and version now and an hour ago, what got worse, hot resources, error budgets, and what to do."""
    return PerformanceInsightsOut.of(performance_insights(context, venture, actor=actor))
