"""The reading half of the DeploymentOpsAPI: history, health, metrics, incidents."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from pydantic import AwareDatetime, BaseModel, Field

from productops.api.access import allowed
from productops.api.deployment_ops import DeploymentOut
from productops.api.incident import IncidentDetailOut
from productops.api.monitoring_series_schemas import SeriesPointsOut
from productops.api.paging import After, Limit, cut, decode_id
from productops.api.release import flow_run_of
from productops.api.release_schemas import ReleaseOut
from productops.api.wiring import ActorDep, ContextDep
from productops.domain.governance_access import Operation
from productops.domain.incident_alert import StoredAlert
from productops.domain.monitoring_health import Health, PlaceHealth
from productops.domain.monitoring_slo import Budget
from productops.domain.release import Environment
from productops.usecases.incident_read import list_incidents
from productops.usecases.monitoring_health import HostHealth, VentureHealth, infrastructure_health
from productops.usecases.monitoring_history import MetricPoint, MetricQuery, read_metrics
from productops.usecases.monitoring_series_service import read_service_series
from productops.usecases.release_deployments import list_deployments

BASE = "/api/v1/deployment-ops"
DEFAULT_SPAN = timedelta(minutes=5)
router = APIRouter(prefix=BASE, tags=["deployment-ops"])
Name = Annotated[str | None, Query(max_length=63, pattern=r"^[^\x00]*$")]
Status = Literal["pending", "running", "succeeded", "failed", "rolled_back"]
IncidentStatus = Literal["open", "investigating", "mitigated", "resolved", "closed"]


class DeploymentPage(BaseModel):
    """Deployments, newest first; pass ``next`` as ``after`` for the following page."""

    items: list[DeploymentOut]
    next: str | None


class IncidentPage(BaseModel):
    """Incidents, newest first; pass ``next`` as ``after`` for the following page."""

    items: list[IncidentDetailOut]
    next: str | None


class TrafficSumOut(BaseModel):
    """Requests that were answered, as the router counted them; quantiles are upper bounds of buckets, null without requests."""

    requests: int
    failures: int
    failure_ratio: float | None
    p50_ms: float | None
    p99_ms: float | None


class PlaceHealthOut(BaseModel):
    """One service in one environment."""

    service: str
    environment: Environment
    health: Health
    reasons: list[str] = Field(description="Why it is not ok; empty when it is.")
    live_version: str | None
    instances_wanted: int
    instances_healthy: int
    router_confirmed: bool = Field(description="Whether the router serves exactly what is wanted.")
    release_id: str | None = Field(description="The release in flight.")
    open_incidents: list[str]
    traffic: TrafficSumOut = Field(description="Of the last `measured_s` seconds.")
    measured_s: int

    @classmethod
    def of(cls, place: PlaceHealth) -> PlaceHealthOut:
        """The place as callers see it."""
        facts = place.facts
        return cls(
            service=facts.service, environment=facts.environment, health=place.health, reasons=list(place.reasons),
            live_version=facts.live_version, instances_wanted=facts.instances_wanted, instances_healthy=facts.instances_healthy,
            router_confirmed=facts.confirmed, release_id=facts.release_id, open_incidents=list(facts.incidents),
            traffic=TrafficSumOut.model_validate(facts.traffic.to_dict()), measured_s=facts.measured_s,
        )  # fmt: skip


class HostHealthOut(BaseModel):
    """One machine; shown to who may see all ventures."""

    host: str
    health: Health
    figures: dict[str, float] = Field(description="Newest values by name, such as host.cpu_pct; of several file systems the fullest.")
    reasons: list[str] = Field(description="Thresholds that are crossed.")
    seen_at: datetime

    @classmethod
    def of(cls, host: HostHealth) -> HostHealthOut:
        """The machine as callers see it."""
        return cls(
            host=host.host, health=host.health, figures=host.figures, reasons=list(host.reasons),
            seen_at=datetime.fromtimestamp(host.seen_at_s, UTC),
        )  # fmt: skip


class BudgetLineOut(BaseModel):
    """An error budget in one line."""

    objective: str
    service: str
    environment: Environment
    remaining_ratio: float | None = Field(description="Below 0: more was spent than there is. Null: nothing was measured.")
    sentence: str

    @classmethod
    def of(cls, budget: Budget) -> BudgetLineOut:
        """The budget as callers see it."""
        objective = budget.objective
        return cls(
            objective=objective.name, service=objective.service, environment=objective.environment,
            remaining_ratio=budget.remaining_ratio, sentence=budget.sentence,
        )  # fmt: skip


class FiringAlertOut(BaseModel):
    """An alert that fires now."""

    alert_id: str
    name: str
    source: str
    severity: str
    service: str | None
    summary: str
    since: datetime
    incident_id: str | None

    @classmethod
    def of(cls, stored: StoredAlert) -> FiringAlertOut:
        """The alert as callers see it."""
        alert = stored.alert
        return cls(
            alert_id=stored.id, name=alert.name, source=alert.source, severity=alert.severity, service=alert.service,
            summary=alert.summary, since=alert.starts_at, incident_id=stored.incident_id,
        )  # fmt: skip


class HealthReportOut(BaseModel):
    """A venture's services; ``health`` is that of the worst of them. Hosts, error budgets and firing alerts beside them."""

    venture: str
    health: Health
    at: datetime
    places: list[PlaceHealthOut]
    hosts: list[HostHealthOut]
    budgets: list[BudgetLineOut]
    alerts: list[FiringAlertOut]

    @classmethod
    def of(cls, found: VentureHealth) -> HealthReportOut:
        """The report as callers see it."""
        return cls(
            venture=found.venture, health=found.health, at=found.at, places=[PlaceHealthOut.of(p) for p in found.places],
            hosts=[HostHealthOut.of(h) for h in found.hosts], budgets=[BudgetLineOut.of(b) for b in found.budgets],
            alerts=[FiringAlertOut.of(a) for a in found.alerts],
        )  # fmt: skip


class EventsSumOut(BaseModel):
    """Counted events of a metric of one's own."""

    events: int
    total: int


class MetricPointOut(BaseModel):
    """One version in the ``step_s`` seconds that began at ``at``."""

    at: datetime
    version: str
    traffic: TrafficSumOut
    measured_s: int = Field(description="Seconds that were measured.")
    missed_s: int = Field(description="Seconds that could not be measured: not the same as no requests.")
    levels: dict[str, float] = Field(description="Means of levels of your own.")
    events: dict[str, EventsSumOut] = Field(description="Sums of counted metrics of your own.")

    @classmethod
    def of(cls, point: MetricPoint) -> MetricPointOut:
        """The point as callers see it."""
        return cls(
            at=datetime.fromtimestamp(point.at_s, UTC), version=point.version, measured_s=point.measured_s, missed_s=point.missed_s,
            traffic=TrafficSumOut.model_validate(point.traffic.to_dict()), levels=point.levels,
            events={name: EventsSumOut(events=counted, total=total) for name, (counted, total) in point.events.items()},
        )  # fmt: skip


class MetricSeriesOut(BaseModel):
    """Points in order of time and version; a step in which nothing was stored has none."""

    service: str
    environment: Environment
    since: datetime
    until: datetime
    step_s: int
    points: list[MetricPointOut]
    series: list[SeriesPointsOut] = Field(description="Stored series of the service that `metric` names, in means of each step.")


@router.get(
    "/deployments", operation_id="listDeployments", dependencies=[allowed(Operation.RELEASE_READ)],
    summary="Read the history of deployments",
)  # fmt: skip
def show_deployments(
    context: ContextDep, actor: ActorDep, venture: Name = None, service: Name = None, environment: Environment | None = None,
    status: Status | None = None, after: After = None, limit: Limit = 50,
) -> DeploymentPage:  # fmt: skip
    """Deployments newest first, with status, duration and measured impact; filters can be combined."""
    found = list_deployments(
        context, venture=venture, service=service, environment=environment, status=status, before=decode_id(after), limit=limit + 1,
        actor=actor,
    )  # fmt: skip
    page, following = cut(found, limit, lambda d: [d.release.id])
    items = [DeploymentOut.of(d, ReleaseOut.of(d.release, flow_run=flow_run_of(context, d.release))) for d in page]
    return DeploymentPage(items=items, next=following)


@router.get(
    "/infrastructure/{venture}/health", operation_id="getInfrastructureHealth", dependencies=[allowed(Operation.METRIC_READ)],
    summary="Ask how a venture's services are",
)  # fmt: skip
def show_health(
    venture: Annotated[str, Path(max_length=63, description="Name of the venture.", examples=["apollo"])], context: ContextDep,
    actor: ActorDep,
) -> HealthReportOut:  # fmt: skip
    """Instances, the router's confirmation, traffic of the last minute and open incidents of each service, and what is wrong."""
    return HealthReportOut.of(infrastructure_health(context, venture, actor=actor))


@router.get(
    "/metrics", operation_id="getMetrics", dependencies=[allowed(Operation.METRIC_READ)],
    summary="Read measured traffic and metrics",
)  # fmt: skip
def show_metrics(
    context: ContextDep, actor: ActorDep,
    service: Annotated[str, Query(max_length=63, pattern=r"^[^\x00]*$", examples=["storefront"])],
    environment: Environment = Environment.PRODUCTION,
    version: Annotated[
        list[Annotated[str, Field(max_length=100, pattern=r"^[^\x00]*$")]] | None,
        Query(max_length=20, description="Versions; default: what users have now, and the candidate."),
    ] = None,
    since: Annotated[AwareDatetime | None, Query(description="Default: five minutes before `until`.")] = None,
    until: Annotated[AwareDatetime | None, Query(description="Default: now.")] = None,
    step_s: Annotated[int, Query(ge=1, le=3600, description="Seconds that a point sums up.")] = 10,
    metric: Annotated[
        list[Annotated[str, Field(max_length=255, pattern=r"^[^\x00]*$")]] | None,
        Query(max_length=20, description="Also stored series of these names, e.g. `service.p95_ms` or `instance.cpu_pct`."),
    ] = None,
) -> MetricSeriesOut:  # fmt: skip
    """Requests, failures and latency as the router counted them each second, and metrics of your own; at most 6 hours at once."""
    end = until or context.clock.now()
    query = MetricQuery(service, environment, since or _before(end, DEFAULT_SPAN), end, step_s, tuple(version or ()))
    points = [MetricPointOut.of(point) for point in read_metrics(context, query, actor=actor)]
    stored = read_service_series(context, query, metric or (), actor=actor)
    return MetricSeriesOut(
        service=service, environment=environment, since=query.since, until=query.until, step_s=step_s, points=points,
        series=[SeriesPointsOut.of(each) for each in stored],
    )  # fmt: skip


def _before(end: datetime, span: timedelta) -> datetime:
    """The beginning of time for an end that is nearer to it than the span."""
    earliest = datetime.min.replace(tzinfo=UTC)
    return end - span if end - earliest > span else earliest


@router.get(
    "/incidents", operation_id="listIncidents", dependencies=[allowed(Operation.INCIDENT_READ)],
    summary="List incidents, newest first",
)  # fmt: skip
def show_incidents(
    context: ContextDep, actor: ActorDep, *,
    status: Annotated[list[IncidentStatus] | None, Query(max_length=5, description="Any of these; nothing: all.")] = None,
    venture: Name = None, after: After = None, limit: Limit = 50,
) -> IncidentPage:  # fmt: skip
    """What harmed users, how it was detected and what was done about it."""
    found = list_incidents(context, statuses=tuple(status or ()), venture=venture, before=decode_id(after), limit=limit + 1, actor=actor)
    page, following = cut(found, limit, lambda i: [i["incident_id"]])
    return IncidentPage(items=[IncidentDetailOut.model_validate(each) for each in page], next=following)
