"""Routes of the judge's past and of metrics of one's own."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field, StrictInt

from productops.api.access import allowed
from productops.api.release import BASE
from productops.api.release_schemas import Sent
from productops.api.services import ServiceName
from productops.api.wiring import ActorDep, ContextDep
from productops.domain.analysis import Verdict
from productops.domain.catalog import Name
from productops.domain.governance_access import Operation
from productops.domain.release import Cause, Environment, Phase
from productops.usecases.context import Actor, Context
from productops.usecases.monitoring_metrics import MetricValue, take_metrics

router = APIRouter(prefix=BASE, tags=["release"])
AT_ONCE_MAX = 20


class BacktestBody(Sent):
    """Which releases, and what of their policy would have been otherwise."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"service": "storefront", "analysis": {"alpha": 0.01}}, {"analysis": {"judge": "kayenta"}}]},
    )
    service: Name | None = Field(default=None, description="Of this service only.")
    analysis: dict[str, Any] = Field(
        default_factory=dict, max_length=50, description="Fields of the catalog's `rollout.analysis`; each release keeps its own others."
    )
    before: UUID | None = Field(default=None, description="`next` of the page before.")
    limit: Annotated[StrictInt, Field(ge=1, le=AT_ONCE_MAX)] = AT_ONCE_MAX


class BacktestOut(BaseModel):
    """One release judged again. Seconds count from its first traffic; null: never."""

    release_id: str
    title: str
    created_at: datetime
    phase: Phase
    cause: Cause | None
    stopped_s: int | None = Field(description="When it was really stopped.")
    verdict: Verdict = Field(description="What the other policy says at the end.")
    reason: str
    would_stop_s: int | None
    would_pass_s: int | None
    candidate_requests: int = Field(description="Until the other policy would have stopped, or the end.")
    candidate_failures: int


class BacktestPage(BaseModel):
    """Releases, newest first; pass ``next`` as ``before`` for the following page."""

    items: list[BacktestOut]
    next: str | None


@router.post(
    "/releases/backtest", operation_id="backtestReleases", dependencies=[allowed(Operation.RELEASE_READ)],
    summary="Judge past releases with another policy",
)  # fmt: skip
def backtest(body: BacktestBody, context: ContextDep, actor: ActorDep) -> BacktestPage:
    """Which of the last releases would have stopped, and when. Nothing is written; releases keep their verdicts."""
    return _backtest(context, body, actor)


def _backtest(context: Context, body: BacktestBody, actor: Actor) -> BacktestPage:
    from productops.usecases.release_backtest import backtest_releases  # brings the judge's numerics

    before = str(body.before) if body.before else None
    rows, following = backtest_releases(context, service=body.service, changes=body.analysis, before=before, limit=body.limit, actor=actor)
    items = [
        BacktestOut(
            release_id=row.release.id, title=row.release.title, created_at=row.release.created_at, phase=row.release.phase,
            cause=row.release.cause, stopped_s=row.stopped_s, verdict=row.then.verdict, reason=row.then.reason,
            would_stop_s=row.then.stopped_s, would_pass_s=row.then.passed_s, candidate_requests=row.then.candidate_requests,
            candidate_failures=row.then.candidate_failures,
        )
        for row in rows
    ]  # fmt: skip
    return BacktestPage(items=items, next=following)


class CountedValue(Sent):
    """Events of a second: failed payments among payments, carts among visits."""

    events: Annotated[StrictInt, Field(ge=0, le=10**12)]
    total: Annotated[StrictInt, Field(ge=0, le=10**12)] = Field(default=0, description="Trials. 0: the version's requests (a counter).")


class MetricsBody(Sent):
    """Metrics of one version in one second."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"version": "1.1.0", "at_s": 1790000000, "values": {"orders": {"events": 3, "total": 41}, "cpu": 0.61}}]
        },
    )
    version: str = Field(min_length=1, max_length=100, pattern=r"^[^\x00]+$")
    at_s: Annotated[StrictInt, Field(ge=0, le=2**40)] = Field(description="The second that began then, Unix time.")
    values: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")], CountedValue | float] = Field(
        min_length=1, max_length=100, description="By name: counted events, or a level such as the CPU share."
    )


class MetricsOut(BaseModel):
    """What was kept."""

    kept: int


@router.post(
    "/services/{service}/environments/{environment}/metrics", operation_id="sendMetrics", dependencies=[allowed(Operation.METRIC_WRITE)],
    summary="Send metrics of your own",
)  # fmt: skip
def send_metrics(
    service: ServiceName,
    environment: Annotated[Environment, Path()],
    body: MetricsBody,
    context: ContextDep,
    actor: ActorDep,
) -> MetricsOut:
    """Metrics that the catalog's ``rollout.analysis.metrics`` names are judged ``metrics_lag_s`` later. Sent twice they count once."""
    values: dict[str, MetricValue] = {
        name: (value.events, value.total) if isinstance(value, CountedValue) else float(value) for name, value in body.values.items()
    }
    return MetricsOut(kept=take_metrics(context, service, environment, body.version, at_s=body.at_s, values=values, actor=actor))
