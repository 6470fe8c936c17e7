"""Documents of deployment_ops. Written by `make docs` from the OpenAPI document; do not edit."""
# fmt: off

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict
from productops.client.common_models import (Environment, ReleaseOut, SeriesPointsOut, Strategy)


class BudgetLineOut(TypedDict):
    """An error budget in one line."""
    objective: str
    service: str
    environment: Environment
    remaining_ratio: float | None
    sentence: str


class DeploymentBody(TypedDict):
    """A release with its version in the body."""
    service: str
    venture: NotRequired[str | None]
    environment: NotRequired[Environment]
    strategy: NotRequired[Strategy | None]
    weights_pct: NotRequired[list[int] | None]
    hold_s: NotRequired[float | None]
    alpha: NotRequired[float | None]
    promote_on: NotRequired[Literal['certificate', 'hold'] | None]
    on_inconclusive: NotRequired[Literal['proceed', 'extend', 'pause', 'roll-back'] | None]
    force_downgrade: NotRequired[bool]
    lift_quarantine: NotRequired[bool]
    note: NotRequired[str]
    start: NotRequired[Literal['now', 'next-window']]
    bypass: NotRequired[str | None]
    version: str


class DeploymentOut(TypedDict):
    """A deployment as the table deployment_ops_events tells it."""
    deployment_id: str
    pipeline_status: str
    deployment_type: str
    venture: str
    service: str
    environment: Environment
    version: str
    started_at: str
    completed_at: str | None
    duration_s: float | None
    performance_impact: dict[str, Any]
    release: ReleaseOut


class DeploymentPage(TypedDict):
    """Deployments, newest first; pass ``next`` as ``after`` for the following page."""
    items: list[DeploymentOut]
    next: str | None


class EventsSumOut(TypedDict):
    """Counted events of a metric of one's own."""
    events: int
    total: int


class FiringAlertOut(TypedDict):
    """An alert that fires now."""
    alert_id: str
    name: str
    source: str
    severity: str
    service: str | None
    summary: str
    since: str
    incident_id: str | None


Health = Literal['ok', 'degraded', 'down', 'unknown']


class HealthReportOut(TypedDict):
    """A venture's services; ``health`` is that of the worst of them. Hosts, error budgets and firing alerts beside them."""
    venture: str
    health: Health
    at: str
    places: list[PlaceHealthOut]
    hosts: list[HostHealthOut]
    budgets: list[BudgetLineOut]
    alerts: list[FiringAlertOut]


class HostHealthOut(TypedDict):
    """One machine; shown to who may see all ventures."""
    host: str
    health: Health
    figures: dict[str, float]
    reasons: list[str]
    seen_at: str


class HotResourceOut(TypedDict):
    """A resource that has little left."""
    component: str
    name: str
    value: float
    status: str


class IncidentBody(TypedDict):
    """What somebody saw."""
    title: str
    service: str
    environment: NotRequired[Environment]
    kind: NotRequired[Literal['deployment', 'performance', 'availability', 'security', 'data', 'quality']]
    severity: NotRequired[Literal['SEV1', 'SEV2', 'SEV3', 'SEV4']]
    description: NotRequired[str]
    version: NotRequired[str | None]
    release_id: NotRequired[str | None]


class IncidentDetailOut(TypedDict):
    """One incident."""
    incident_id: str
    type: str
    severity: str
    status: str
    title: str
    description: str | None
    services: list[str] | None
    detection: str | None
    root_cause: str | None
    impact: dict[str, Any] | None
    detected_at: str
    resolved_at: str | None
    mttr_minutes: int | None
    resolution_steps: list[str]


class IncidentPage(TypedDict):
    """Incidents, newest first; pass ``next`` as ``after`` for the following page."""
    items: list[IncidentDetailOut]
    next: str | None


class MetricPointOut(TypedDict):
    """One version in the ``step_s`` seconds that began at ``at``."""
    at: str
    version: str
    traffic: TrafficSumOut
    measured_s: int
    missed_s: int
    levels: dict[str, float]
    events: dict[str, EventsSumOut]


class MetricSeriesOut(TypedDict):
    """Points in order of time and version; a step in which nothing was stored has none."""
    service: str
    environment: Environment
    since: str
    until: str
    step_s: int
    points: list[MetricPointOut]
    series: list[SeriesPointsOut]


class PerformanceInsightsOut(TypedDict):
    """The worst first."""
    venture: str
    at: str
    versions: list[VersionFiguresOut]
    regressions: list[RegressionOut]
    hot: list[HotResourceOut]
    budgets: list[BudgetLineOut]
    advice: list[str]


class PlaceHealthOut(TypedDict):
    """One service in one environment."""
    service: str
    environment: Environment
    health: Health
    reasons: list[str]
    live_version: str | None
    instances_wanted: int
    instances_healthy: int
    router_confirmed: bool
    release_id: str | None
    open_incidents: list[str]
    traffic: TrafficSumOut
    measured_s: int


class RegressionOut(TypedDict):
    """Something that got worse."""
    service: str
    environment: Environment
    version: str
    figure: str
    before: float
    after: float
    factor: float
    compared: str
    release_id: str | None


class ReportedOut(TypedDict):
    """The incident and what followed."""
    incident: IncidentDetailOut
    release_id: str | None
    rolled_back: bool
    note: str
    suspects: list[SuspectOut]


class ResolutionBody(TypedDict):
    """What was done."""
    steps: list[str]


class SuspectOut(TypedDict):
    """A release that may have done it."""
    release_id: str
    title: str


class TrafficSumOut(TypedDict):
    """Requests that were answered, as the router counted them; quantiles are upper bounds of buckets, null without requests."""
    requests: int
    failures: int
    failure_ratio: float | None
    p50_ms: float | None
    p99_ms: float | None


class VersionFiguresOut(TypedDict):
    """One version of a service: the last ten minutes, and the same ten minutes an hour before."""
    service: str
    environment: Environment
    version: str
    live: bool
    now: TrafficSumOut
    past: TrafficSumOut
