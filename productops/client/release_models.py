"""Documents of release. Written by `make docs` from the OpenAPI document; do not edit."""
# fmt: off

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict
from productops.client.common_models import (Cause, Environment, FlowRunOut, Phase, ReleaseOut, ReleaseStepOut, Strategy)


class ActiveOut(TypedDict):
    """The release in flight."""
    id: str
    version: str
    phase: Phase


class AnalysisPage(TypedDict):
    """Looks in order of time; pass ``next`` as ``after_s`` for the following page."""
    items: list[LookOut]
    next: int | None


class BacktestBody(TypedDict):
    """Which releases, and what of their policy would have been otherwise."""
    service: NotRequired[str | None]
    analysis: NotRequired[dict[str, Any]]
    before: NotRequired[str | None]
    limit: NotRequired[int]


class BacktestOut(TypedDict):
    """One release judged again. Seconds count from its first traffic; null: never."""
    release_id: str
    title: str
    created_at: str
    phase: Phase
    cause: Cause | None
    stopped_s: int | None
    verdict: Verdict
    reason: str
    would_stop_s: int | None
    would_pass_s: int | None
    candidate_requests: int
    candidate_failures: int


class BacktestPage(TypedDict):
    """Releases, newest first; pass ``next`` as ``before`` for the following page."""
    items: list[BacktestOut]
    next: str | None


class CountedValue(TypedDict):
    """Events of a second: failed payments among payments, carts among visits."""
    events: int
    total: NotRequired[int]


class EnvironmentOut(TypedDict):
    """What users have in one environment."""
    environment: Environment
    hosts: list[str]
    live_version: str | None
    candidate_version: str | None
    candidate_pct: int
    release: ActiveOut | None
    traffic: TrafficOut | None
    instances: list[InstanceOut]


class HarmOut(TypedDict):
    """One harm under the plan, on average."""
    name: str
    factor: float
    detected_s: float | None
    failures: float


class IncidentOut(TypedDict):
    """An incident that the release caused."""
    incident_id: str
    type: str
    severity: str
    status: str
    title: str
    description: str | None
    detected_at: str


class InstanceOut(TypedDict):
    """One running copy of a version."""
    id: str
    version: str
    port: int
    state: InstanceState
    pid: int | None
    restarts: int
    updated_at: str


InstanceState = Literal['starting', 'healthy', 'unhealthy', 'draining', 'crashed', 'stopped']


class LeaseOut(TypedDict):
    """The time-limited right to keep traffic on the candidate."""
    holder: str
    ttl_s: float
    deadline: str
    beat: int
    left_s: float


class LookOut(TypedDict):
    """What the judge said after one second, with its evidence."""
    step: int
    at_s: int
    verdict: str
    reason: str
    log_e: float
    log_e_safe: float
    evidence: dict[str, Any]


class MemberBody(TypedDict):
    """One service of a train."""
    service: str
    version: str
    depends_on: NotRequired[list[str] | None]
    strategy: NotRequired[Strategy | None]


class MemberOut(TypedDict):
    """One service of a train, with its release."""
    service: str
    version: str
    depends_on: list[str]
    strategy: Strategy | None
    phase: MemberPhase
    reason: str
    release_id: str | None
    release_phase: Phase | None
    updated_at: str | None


MemberPhase = Literal['waiting', 'releasing', 'promoted', 'passed', 'unchanged', 'failed', 'skipped', 'rolling_back', 'rolled_back', 'stuck']


class MetricsBody(TypedDict):
    """Metrics of one version in one second."""
    version: str
    at_s: int
    values: dict[str, Any]


class MetricsOut(TypedDict):
    """What was kept."""
    kept: int


class OutlookOut(TypedDict):
    """Which harm the plan finds how fast."""
    traffic: UsualTrafficOut
    harms: list[HarmOut]
    certified_s: float | None


class ReleaseBody(TypedDict):
    """What to release and, where it differs from the service's catalog entry, how."""
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


class ReleaseDetailOut(TypedDict):
    """One release with its story, its traffic and its totals."""
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
    transitions: list[TransitionOut]
    summary: dict[str, Any]
    traffic: TrafficOut | None
    incidents: list[IncidentOut]
    look: LookOut | None


class ReleasePage(TypedDict):
    """Releases, newest first; pass ``next`` as ``after`` for the following page."""
    items: list[ReleaseOut]
    next: str | None


class ReleasePlanOut(TypedDict):
    """What a release would do; nothing was written."""
    service: str
    venture: str
    environment: Environment
    version: str
    baseline_version: str | None
    strategy: Strategy
    steps: list[ReleaseStepOut]
    plan: dict[str, Any]
    longest_s: float
    outlook: OutlookOut | None


class ServiceList(TypedDict):
    """Services by name; pass ``next`` as ``after`` for the following page."""
    items: list[ServiceOut]
    next: str | None


class ServiceOut(TypedDict):
    """A declared service; ``environments`` holds those in which it was released."""
    name: str
    venture: str
    description: str
    strategy: Strategy
    instances_wanted: int
    revision: int
    environments: list[EnvironmentOut]


class ServiceRollbackBody(TypedDict):
    """Where and why."""
    environment: NotRequired[Environment]
    reason: str


class TrafficOut(TypedDict):
    """What users of the service should get now, and whether the router confirmed it."""
    baseline_version: str | None
    candidate_version: str | None
    candidate_pct: int
    header_only: bool
    generation: int
    applied_generation: int
    applied_at: str | None
    confirmed: bool
    release_id: str | None
    lease: LeaseOut | None


class TrainBody(TypedDict):
    """What to release together."""
    members: list[MemberBody]
    environment: NotRequired[Environment]
    mode: NotRequired[TrainMode]
    side_by_side: NotRequired[int]
    note: NotRequired[str]
    bypasses: NotRequired[list[str]]


TrainMode = Literal['all-or-nothing', 'best-effort']


class TrainOut(TypedDict):
    """One train; its members in an order in which they may start."""
    id: str
    title: str
    venture: str
    environment: Environment
    mode: TrainMode
    side_by_side: int
    phase: TrainPhase
    ended: bool
    reason: str
    note: str
    requested_by: str
    origin: str
    members: list[MemberOut]
    created_at: str
    updated_at: str
    ended_at: str | None
    flow_run: FlowRunOut | None


class TrainPage(TypedDict):
    """Trains, newest first; pass ``next`` as ``after`` for the following page."""
    items: list[TrainOut]
    next: str | None


TrainPhase = Literal['running', 'rolling_back', 'promoted', 'partial', 'rolled_back', 'stuck']


TransitionOut = TypedDict('TransitionOut', {'from': 'str | None', 'to': 'str', 'actor': 'str', 'reason': 'str', 'evidence': 'dict[str, Any]', 'at': 'str'})


class UsualTrafficOut(TypedDict):
    """What users do now."""
    requests_per_s: float
    failure_ratio: float
    measured_s: int


Verdict = Literal['passed', 'failed', 'inconclusive']
