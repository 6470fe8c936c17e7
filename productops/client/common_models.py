"""Documents of common. Written by `make docs` from the OpenAPI document; do not edit."""
# fmt: off

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict


Cause = Literal['verdict', 'inconclusive', 'lease_lapsed', 'person', 'cancelled', 'unhealthy', 'validation', 'incident', 'approval', 'error']


Environment = Literal['development', 'staging', 'production']


class FlowRunOut(TypedDict):
    """The Prefect flow run that carries a release out."""
    id: str
    url: str


Phase = Literal['requested', 'deploying', 'rolling_out', 'paused', 'promoting', 'validating', 'promoted', 'passed', 'rolling_back', 'rolled_back', 'failed']


class ReleaseOut(TypedDict):
    """One release. ``flow_run`` is null until a flow run has taken it up."""
    id: str
    title: str
    venture: str
    service: str
    environment: Environment
    version: str
    baseline_version: str | None
    strategy: Strategy
    phase: Phase
    ended: bool
    cause: Cause | None
    reason: str
    requested_by: str
    origin: str
    note: str
    step_index: int
    steps: list[ReleaseStepOut]
    plan: dict[str, Any]
    created_at: str
    updated_at: str
    ended_at: str | None
    heartbeat_at: str | None
    flow_run: FlowRunOut | None


class ReleaseReasonBody(TypedDict):
    """Why a person intervenes."""
    reason: str


class ReleaseStepOut(TypedDict):
    """One step of a rollout: as planned, and, once it has begun, as it went."""
    index: int
    title: str
    weight_pct: int
    hold_s: float
    header_only: bool
    started_at: NotRequired[str | None]
    ended_at: NotRequired[str | None]
    verdict: NotRequired[str | None]
    reason: NotRequired[str]
    summary: NotRequired[dict[str, Any]]


RiskLevel = Literal['low', 'medium', 'high']


Role = Literal['viewer', 'developer', 'release-manager', 'incident-commander', 'director', 'admin']


class SeriesPointsOut(TypedDict):
    """A series with its points, in order of time."""
    venture: str
    component: str
    category: Literal['infrastructure', 'application', 'business']
    name: str
    tags: dict[str, str]
    points: list[list[Any]]


Strategy = Literal['canary', 'blue-green', 'rolling', 'dark-launch', 'feature-toggle']
