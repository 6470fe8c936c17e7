"""Documents of incidents. Written by `make docs` from the OpenAPI document; do not edit."""
# fmt: off

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict
from productops.client.common_models import (Environment)


class AcknowledgeIn(TypedDict):
    """Somebody deals with it."""
    revision: NotRequired[int | None]


class AlertBatch(TypedDict):
    """Alerts, each on its own: a bad one does not keep others out."""
    alerts: list[dict[str, Any]]


class AlertOut(TypedDict):
    """An alert, and what became of it."""
    id: str
    fingerprint: str
    source: str
    name: str
    status: str
    severity: Literal['SEV1', 'SEV2', 'SEV3', 'SEV4']
    venture: str
    service: str | None
    environment: Environment | None
    component: str
    labels: dict[str, str]
    summary: str
    evidence: dict[str, Any]
    value: float | None
    starts_at: str
    ends_at: str | None
    state: AlertState
    reason: str
    incident_id: str | None
    received: int
    first_seen_at: str
    last_seen_at: str


class AlertPage(TypedDict):
    """Alerts, newest first; pass `next` as `after` for the following page."""
    items: list[AlertOut]
    next: str | None


AlertState = Literal['grouped', 'listed', 'silenced', 'maintenance', 'damped', 'low-traffic', 'ended']


class AlertsTakenOut(TypedDict):
    """What became of what was sent."""
    stored: int
    duplicates: int
    suppressed: int
    ended: int
    opened: list[str]
    touched: list[str]
    refused: list[RefusedAlertOut]


class CauseDecisionIn(TypedDict):
    """What a person says about a hypothesis."""
    hypothesis: str
    verdict: CauseVerdict
    reason: NotRequired[str]


class CauseDecisionOut(TypedDict):
    """What was kept."""
    incident_id: str
    hypothesis: str
    verdict: CauseVerdict
    rank: int | None
    probability: float | None
    by: str
    reason: str
    at: str


CauseKind = Literal['release', 'flag', 'config', 'scaling', 'dependency', 'instance', 'host', 'traffic', 'unknown']


class CauseLookPage(TypedDict):
    """Looks, newest first."""
    items: list[LedgerOut]
    next: str | None


class CauseRecordOut(TypedDict):
    """How often the first look was right, over a year of causes that people confirmed."""
    confirmed: int
    first: int
    among_three: int
    sentence: str


CauseVerdict = Literal['confirmed', 'refuted']


class DrillBegunOut(TypedDict):
    """A drill that is written down, with what is there; ``mend``: earlier ones that left something broken."""
    drill: DrillOut
    dependencies: list[str]
    instances: list[DrillInstanceOut]
    mend: list[DrillOut]


class DrillBody(TypedDict):
    """What is rehearsed where."""
    playbook: str
    service: str
    environment: NotRequired[Environment]
    fault: NotRequired[str]
    even_production: NotRequired[bool]


class DrillInstanceOut(TypedDict):
    """A living instance there."""
    id: str
    service: str
    version: str
    pid: int | None
    started: float | None
    port: int
    state: str


class DrillInstances(TypedDict):
    """Living instances there, now."""
    items: list[DrillInstanceOut]


class DrillList(TypedDict):
    """The newest first."""
    items: list[DrillOut]
    next: NotRequired[str | None]


class DrillOut(TypedDict):
    """A rehearsal. ``scores``: seconds since it was broken, and answers, by name."""
    drill_id: str
    playbook: str
    fault: str
    venture: str
    service: str
    environment: Environment
    state: Literal['running', 'passed', 'failed', 'aborted']
    by: str
    begun_at: str
    injected_at: str | None
    undone_at: str | None
    ended_at: str | None
    incident_id: str | None
    injected: dict[str, Any]
    scores: dict[str, Any]
    note: str


class HoldBody(TypedDict):
    """Where programs are to keep their hands off: an incident, a service, or a whole venture."""
    reason: str
    venture: NotRequired[str | None]
    service: NotRequired[str | None]
    environment: NotRequired[Environment | None]
    incident_id: NotRequired[str | None]
    for_s: NotRequired[float | None]


class HoldList(TypedDict):
    """Those in force, the newest first."""
    items: list[HoldOut]


class HoldOut(TypedDict):
    """A person's word."""
    hold_id: str
    venture: str
    service: str
    environment: Environment | None
    incident_id: str | None
    reason: str
    by: str
    at: str
    until: str | None


class HypothesisOut(TypedDict):
    """Something that may have done it."""
    key: str
    kind: CauseKind
    subject: str
    service: str
    environment: Environment
    probability: float
    supporting: list[IncidentCausesEvidenceOut]
    refuting: list[IncidentCausesEvidenceOut]
    remedy: dict[str, Any]
    verdict: CauseVerdict | None


class IncidentCausesEvidenceOut(TypedDict):
    """One observation with its figures."""
    text: str
    weight: float
    at: str | None
    link: str | None


class IncidentLinkOut(TypedDict):
    """Something that an incident is about."""
    kind: LinkKind
    target: str
    text: str
    by: str
    at: str


class IncidentLogOut(TypedDict):
    """A line of the log."""
    seq: int
    at: str
    kind: str
    text: str
    actor: str
    detail: dict[str, Any]


class IncidentLogPage(TypedDict):
    """Lines in order; pass `next` as `after` for the following page."""
    items: list[IncidentLogOut]
    next: str | None


class IncidentPlaybooksWhyBody(TypedDict):
    """Why."""
    reason: NotRequired[str]


IncidentRole = Literal['commander', 'communications', 'operations']


IncidentStatus = Literal['open', 'investigating', 'mitigated', 'resolved', 'closed']


class IncidentViewOut(TypedDict):
    """An incident with who deals with it and what it did to users."""
    id: str
    venture: str | None
    services: list[str]
    environment: Environment | None
    kind: str
    severity: Literal['SEV1', 'SEV2', 'SEV3', 'SEV4']
    status: IncidentStatus
    title: str
    description: str
    detection: str
    component: str
    cause: str | None
    impact: dict[str, Any]
    roles: dict[str, str]
    releases: list[str]
    flags: list[str]
    links: list[IncidentLinkOut]
    acknowledged_by: str | None
    acknowledged_at: str | None
    detected_at: str
    mitigated_at: str | None
    resolved_at: str | None
    closed_at: str | None
    mttr_minutes: int | None
    resolution_steps: list[str]
    last_alert_at: str | None
    reopened: int
    merged_into: str | None
    revision: int


class IncidentViewPage(TypedDict):
    """Incidents, newest first; pass `next` as `after` for the following page."""
    items: list[IncidentViewOut]
    next: str | None


class InjectionBody(TypedDict):
    """What will be broken, before it is; with ``done`` once it is."""
    injected: dict[str, Any]
    done: NotRequired[bool]


class LedgerOut(TypedDict):
    """One look at an incident."""
    id: str
    incident_id: str
    at: str
    by: str
    took_s: float
    onset: OnsetOut | None
    hypotheses: list[HypothesisOut]
    sources: list[str]
    missing: list[str]


class LinkIn(TypedDict):
    """What it is about."""
    revision: NotRequired[int | None]
    kind: LinkKind
    target: str
    text: NotRequired[str]
    remove: NotRequired[bool]


LinkKind = Literal['release', 'flag', 'alert', 'page']


class Matcher(TypedDict):
    """One condition on an alert. All matchers of a list have to fit."""
    field: str
    value: str
    how: NotRequired[Literal['is', 'is-not', 'like']]


class MendedBody(TypedDict):
    """All is whole again."""
    note: NotRequired[str]


class MergeIn(TypedDict):
    """Which incidents are part of this one."""
    incidents: list[str]
    reason: str


class MoveIn(TypedDict):
    """Where it stands."""
    revision: NotRequired[int | None]
    status: IncidentStatus
    reason: str


class NoteIn(TypedDict):
    """What everybody in the incident should know."""
    text: str


class OnsetOut(TypedDict):
    """When it began."""
    at: str
    low: str
    high: str
    series: str
    sentence: str


class PlaybookList(TypedDict):
    """In the order in which they are tried."""
    items: list[PlaybookOut]


class PlaybookOut(TypedDict):
    """What is done about an incident. ``spec`` is the entry as it was declared."""
    name: str
    venture: str | None
    title: str
    description: str
    rank: int
    automatic: bool
    drill: str
    steps: list[str]
    revision: int
    spec: dict[str, Any]


class RefusedAlertOut(TypedDict):
    """One that was not taken."""
    index: int
    reason: str


class RespondBody(TypedDict):
    """Which playbook; none: the one that fits the likeliest cause within its guard rails."""
    playbook: NotRequired[str | None]
    dry_run: NotRequired[bool]


class ResponseList(TypedDict):
    """The first response first."""
    items: list[ResponseOut]


class ResponseOut(TypedDict):
    """A playbook at work on an incident. ``why``: how it came to this playbook; ``reason``: how it ended."""
    response_id: str
    incident_id: str
    number: int
    playbook: str
    service: str
    environment: Environment
    mode: Literal['act', 'dry-run']
    state: ResponseState
    why: list[str]
    reason: str
    by: str
    cause: dict[str, Any]
    created_at: str
    ended_at: str | None
    flow_run_id: str | None
    steps: list[ResponseStepOut]


ResponseState = Literal['proposed', 'running', 'undoing', 'succeeded', 'failed', 'handed-over', 'stopped']


class ResponseStepOut(TypedDict):
    """A line of the journal."""
    index: int
    role: Literal['step', 'undo']
    do: str
    state: Literal['pending', 'running', 'done', 'failed', 'skipped']
    attempts: int
    started_at: str | None
    ended_at: str | None
    result: str
    waits_for: str | None


class RoleIn(TypedDict):
    """Who does what."""
    revision: NotRequired[int | None]
    role: IncidentRole
    person: str | None


class ScoreBody(TypedDict):
    """Whether the drill is over."""
    last: NotRequired[bool]


class SeverityIn(TypedDict):
    """How severe it is, by your word."""
    revision: NotRequired[int | None]
    severity: Literal['SEV1', 'SEV2', 'SEV3', 'SEV4']
    reason: str


class SilenceIn(TypedDict):
    """What is not to be heard of, until when, and why."""
    venture: str
    matchers: list[Matcher]
    reason: str
    starts_at: NotRequired[str | None]
    ends_at: NotRequired[str | None]
    minutes: NotRequired[int | None]


class SilenceOut(TypedDict):
    """A silence."""
    id: str
    venture: str
    matchers: list[Matcher]
    reason: str
    author: str
    starts_at: str
    ends_at: str
    ended_by: str | None
    active: bool


class SilencePage(TypedDict):
    """Silences, newest first; pass `next` as `after` for the following page."""
    items: list[SilenceOut]
    next: str | None


class SplitIn(TypedDict):
    """Which alerts are an incident of their own."""
    alerts: list[str]
    title: NotRequired[str]
    reason: str
