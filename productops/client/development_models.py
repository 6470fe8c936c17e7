"""Documents of development. Written by `make docs` from the OpenAPI document; do not edit."""
# fmt: off

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict
from productops.client.common_models import (RiskLevel)


class Absence(TypedDict):
    """Time without work: whole local days from ``first`` to ``last``, or exact times from ``starts_at`` to ``ends_at``."""
    first: NotRequired[str | None]
    last: NotRequired[str | None]
    starts_at: NotRequired[str | None]
    ends_at: NotRequired[str | None]
    title: NotRequired[str]


class AddPerson(TypedDict):
    """One more person."""
    kind: Literal['add-person']
    person: PersonIn


class AnswerOut(TypedDict):
    """The answer now. What cannot be known is `inconclusive`, never `passed`."""
    feature: FeatureOut
    at: str
    state: AnswerState
    sentence: str
    checks: list[DevelopmentProgressCheckOut]
    declared: dict[str, Any] | None
    stored: StoredAnswerOut | None


AnswerState = Literal['passed', 'failed', 'inconclusive']


class AssessmentOut(TypedDict):
    """What the model says of one change."""
    change: str
    probability: float
    usual: float
    level: RiskLevel
    reasons: list[RiskReasonOut]


class AttributionOut(TypedDict):
    """What caused an incident, as the machine or a person says."""
    id: str
    venture: str
    incident_id: str
    deployment: str | None
    confidence: float
    by_person: bool
    by: str
    reason: str
    evidence: dict[str, Any]
    at: str
    replaced_at: str | None


class AttributionPage(TypedDict):
    """Attributions, newest first; pass `next` as `after` for the following page."""
    items: list[AttributionOut]
    next: str | None


class CalibrationOut(TypedDict):
    """Whether forecasts held: of each feature that is done, its first one."""
    sentence: str
    levels: list[HeldOut]


class CaseOut(TypedDict):
    """One scenario. Hours are working hours; ``saved_h`` below 0: it takes longer."""
    name: str
    plan_id: str | None
    ends_at: str | None
    length_h: int | None
    saved_h: int | None
    late_h: int | None
    late_features: list[str]
    proven: bool
    impossible: str
    conflict: list[str]


class ChangeShare(TypedDict):
    """Somebody works more or less on what is planned."""
    kind: Literal['change-share']
    person: str
    share: float


class ComparisonOut(TypedDict):
    """The plan as it is first, then each scenario."""
    base_id: str
    cases: list[CaseOut]


class DevelopmentPlanPlanOut(TypedDict):
    """One plan, as lists show it. Hours are working hours."""
    id: str
    venture: str
    team: str
    state: PlanState
    scenario: str
    base_id: str | None
    previous_id: str | None
    asked_by: str
    origin: str
    asked_at: str
    made_at: str | None
    note: str
    proven: bool
    gap: float
    length_h: int
    starts_at: str | None
    ends_at: str | None
    changes: list[dict[str, Any]]
    error: PlanProblem | None


class DevelopmentProgressCheckOut(TypedDict):
    """One condition."""
    name: str
    state: AnswerState
    sentence: str
    missing: list[str]
    evidence: list[str]


class DevelopmentRowOut(TypedDict):
    """A stored thing behind a figure."""
    kind: str
    id: str
    key: str
    title: str
    url: str


class DevelopmentSourceList(TypedDict):
    """All sources the caller may see, by name."""
    items: list[DevelopmentSourceOut]


class DevelopmentSourceOut(TypedDict):
    """A tool that is read, and how it stands."""
    name: str
    venture: str
    system: System
    address: str
    projects: list[str]
    paused: bool
    token_set: bool
    running: bool
    wanted_at: str | None
    run_started_at: str | None
    run_ended_at: str | None
    succeeded_at: str | None
    lag_s: float | None
    last_error: str
    paused_until: str | None
    rate_left: int | None
    counts: dict[str, int]
    streams: list[StreamOut]


class DoraDeploymentOut(TypedDict):
    """A deployment of the window."""
    id: str
    service: str
    version: str
    sha: str | None
    finished_at: str
    outcome: str
    commits: int
    unplanned: bool
    incidents: list[str]
    incidents_by_machine: list[str]
    url: str


class DoraFigureOut(TypedDict):
    """One figure."""
    name: str
    how: str
    values: dict[str, Any]
    rows: list[str]
    total: int


class DoraOut(TypedDict):
    """The delivery figures of a window; `people` is what counts, `machine` is shown beside it."""
    venture: str
    service: str | None
    since: str
    until: str
    at: str
    people: DoraSetOut
    machine: DoraSetOut
    overruled: int
    deployments: list[DoraDeploymentOut]
    attributions: list[AttributionOut]
    notes: list[str]


class DoraSetOut(TypedDict):
    """The five keys of today and the four of 2023."""
    current: list[DoraFigureOut]
    keys_2023: list[DoraFigureOut]


class DropFeature(TypedDict):
    """Without a feature and its items."""
    kind: Literal['drop-feature']
    feature: str


class EstimateIn(TypedDict):
    """Hours of one full-time person."""
    best_h: float
    likely_h: float
    worst_h: float


class FeatureIn(TypedDict):
    """What users get when all its items are done."""
    id: str
    title: NotRequired[str]
    priority: NotRequired[int]
    deadline: NotRequired[str | None]
    binding: NotRequired[bool]


class FeatureLineOut(TypedDict):
    """A line of the list."""
    id: str
    key: str
    title: str
    venture: str
    source: str
    stage: Stage
    status: str
    priority: str
    due_at: str | None
    done_at: str | None
    changed_at: str
    url: str
    items: int
    items_done: int
    done_by_items: float | None
    done_by_effort: float | None
    blocked: list[str]


class FeatureOut(TypedDict):
    """A feature as its tool tells it."""
    id: str
    key: str
    title: str
    venture: str
    source: str
    stage: Stage
    status: str
    priority: str
    due_at: str | None
    done_at: str | None
    changed_at: str
    url: str


class FeaturePage(TypedDict):
    """Features, newest first; pass `next` as `after` for the following page."""
    items: list[FeatureLineOut]
    next: str | None


class FeatureReportOut(TypedDict):
    """How far a feature is."""
    feature: FeatureOut
    at: str
    seen_at: str | None
    done: ProgressFigureOut
    scope: ProgressFigureOut
    cycle_time: ProgressFigureOut
    blocked: ProgressFigureOut
    people: ProgressFigureOut
    forecast: ProgressFigureOut
    quality: ProgressFigureOut
    live: ProgressFigureOut
    risk: ProgressFigureOut
    ready: AnswerState
    next: NextActionOut


class FileSource(TypedDict):
    """An iCalendar file."""
    kind: Literal['file']
    path: str


class ForecastDatesOut(TypedDict):
    """By when it is done, with a chance of 50, 80 and 95 %."""
    subject: Subject
    key: str
    title: str
    planned_at: str | None
    p50_at: str
    p80_at: str
    p95_at: str
    deadline: str | None
    chance: float | None
    figures: dict[str, Any]


class ForecastOut(TypedDict):
    """One forecast, and what came true."""
    subject: Subject
    key: str
    title: str
    planned_at: str | None
    p50_at: str
    p80_at: str
    p95_at: str
    deadline: str | None
    chance: float | None
    figures: dict[str, Any]
    id: str
    venture: str
    team: str
    plan_id: str | None
    made_at: str
    method: str
    inputs_digest: str
    actual_at: str | None
    place: float | None


class ForecastPage(TypedDict):
    """Forecasts, newest first, and whether past ones held."""
    items: list[ForecastOut]
    next: str | None
    calibration: CalibrationOut


class HeldOut(TypedDict):
    """Of ``count`` forecasts at a level ``held`` were kept; ``low`` to ``high`` is the 95 % interval of the share."""
    level: float
    count: int
    held: int
    share: float | None
    low: float
    high: float


class ItemIn(TypedDict):
    """One piece of work, done by one person."""
    id: str
    title: NotRequired[str]
    skill: NotRequired[str]
    feature: NotRequired[str]
    hours: NotRequired[float | None]
    estimate: NotRequired[EstimateIn | None]
    after: NotRequired[list[str]]
    priority: NotRequired[int]
    deadline: NotRequired[str | None]
    binding: NotRequired[bool]
    done_share: NotRequired[float]
    started: NotRequired[bool]
    person: NotRequired[str]
    not_before: NotRequired[str | None]


class MoveDeadline(TypedDict):
    """Another deadline of a feature, or none."""
    kind: Literal['move-deadline']
    feature: str
    deadline: NotRequired[str | None]
    binding: NotRequired[bool]


class NextActionOut(TypedDict):
    """What to do next."""
    action: str
    why: str
    rows: list[str]


class OverruleIn(TypedDict):
    """What really caused it."""
    deployment: NotRequired[str | None]
    reason: str


class PersonIn(TypedDict):
    """Who works."""
    id: str
    name: NotRequired[str]
    skills: NotRequired[dict[str, Any]]
    share: NotRequired[float]
    absences: NotRequired[list[Absence]]


class PlanAcceptBody(TypedDict):
    """Why."""
    reason: NotRequired[str]


class PlanBody(TypedDict):
    """What is to be planned."""
    venture: str
    team: NotRequired[str]
    features: NotRequired[list[str]]
    work: NotRequired[WorkFile | None]
    starts_at: NotRequired[str | None]
    keep: NotRequired[Literal['current', 'draft']]
    keep_changes: NotRequired[bool]
    level: NotRequired[bool]
    limit_s: NotRequired[float | None]
    later: NotRequired[bool]
    note: NotRequired[str]


class PlanBottleneckOut(TypedDict):
    """The skill of which one more person saves most."""
    skill: str
    people: list[str]
    share: float
    saved_h: int


class PlanChangedOut(TypedDict):
    """What changed since the plan before."""
    moves: list[PlanMoveOut]
    kept: int
    new: list[str]
    gone: list[str]


class PlanDetail(TypedDict):
    """A plan with all of it."""
    id: str
    venture: str
    team: str
    state: PlanState
    scenario: str
    base_id: str | None
    previous_id: str | None
    asked_by: str
    origin: str
    asked_at: str
    made_at: str | None
    note: str
    proven: bool
    gap: float
    length_h: int
    starts_at: str | None
    ends_at: str | None
    changes: list[dict[str, Any]]
    error: PlanProblem | None
    is_current: bool
    plan: PlanDocument | None
    changed: PlanChangedOut | None
    gaps: list[PlanGapOut]
    bottleneck: PlanBottleneckOut | None
    learned: PlanLearnedOut | None
    forecasts: list[ForecastDatesOut]
    dropped_changes: list[str]
    work: WorkFile | None


class PlanDocument(TypedDict):
    """Who does what when."""
    starts_at: str
    ends_at: str
    length_h: int
    proven: bool
    gap: float
    cost: int
    took_s: float
    critical: list[str]
    tasks: list[PlanTaskOut]
    features: list[PlanFeatureOut]
    people: list[PlanPersonOut]


class PlanFeatureOut(TypedDict):
    """When a feature has all its items done."""
    feature: str
    title: str
    lands_at: str
    deadline: str | None
    late_h: int


class PlanGapOut(TypedDict):
    """Something the plan had to assume."""
    kind: str
    missing: str
    assumed: str
    to_do: str
    about: list[str]
    count: int


class PlanLearnedOut(TypedDict):
    """How far past estimates were off: work took ``bias`` times what was estimated; ``spread`` in natural logarithms."""
    items: int
    bias: float
    spread: float


class PlanMoveOut(TypedDict):
    """An item that is elsewhere than it was."""
    item: str
    title: str
    person_before: str
    person_after: str
    starts_before: str
    starts_after: str
    why: str


class PlanPage(TypedDict):
    """Plans, newest first."""
    items: list[DevelopmentPlanPlanOut]
    next: str | None


class PlanPersonOut(TypedDict):
    """How much of a person's time is planned until the end."""
    person: str
    name: str
    busy_h: int
    available_h: int
    share: float


class PlanProblem(TypedDict):
    """Why there is no plan."""
    slug: str
    title: str
    detail: str
    extra: dict[str, Any]


PlanState = Literal['waiting', 'draft', 'current', 'superseded', 'failed']


class PlanTaskOut(TypedDict):
    """A bar of the Gantt chart. Slots are working hours since the start; ``person`` is empty for what needs no time."""
    item: str
    title: str
    feature: str
    person: str
    starts_at: str
    ends_at: str
    slack_h: int
    critical: bool
    slot_from: int
    slot_to: int


class PredictionOut(TypedDict):
    """What was said before, and what became of it."""
    id: str
    venture: str
    subject: str
    title: str
    level: RiskLevel
    probability: float | None
    model_id: str | None
    method: str
    reasons: list[str]
    at: str
    outcome: str | None
    outcome_at: str | None
    outcome_reason: str


class PredictionPage(TypedDict):
    """Predictions, newest first; pass `next` as `after` for the following page."""
    items: list[PredictionOut]
    next: str | None


class ProgressFigureOut(TypedDict):
    """A figure with what it was made of."""
    values: dict[str, Any]
    how: str
    rows: list[DevelopmentRowOut]
    total: int


class RemovePerson(TypedDict):
    """Without somebody; what that person has in work goes to others."""
    kind: Literal['remove-person']
    person: str


class RiskModelOut(TypedDict):
    """A learned model, without its numbers."""
    id: str
    venture: str
    state: str
    reason: str
    judged: dict[str, Any]
    drift: dict[str, Any]
    changes: int
    broke: int
    by: str
    at: str
    ended_at: str | None


class RiskModelsOut(TypedDict):
    """What rates in a venture now, and what was learned before."""
    venture: str
    method: str
    why: str
    items: list[RiskModelOut]


class RiskReasonOut(TypedDict):
    """What speaks for or against a change."""
    group: str
    text: str
    effect: float


class RiskReportOut(TypedDict):
    """How risky it is, and why."""
    subject: str
    title: str
    venture: str
    level: RiskLevel
    probability: float | None
    usual: float | None
    method: str
    model_id: str | None
    why_method: str
    reasons: list[str]
    assessed: list[AssessmentOut]
    rows: list[DevelopmentRowOut]
    at: str
    stored: PredictionOut | None


class Scenario(TypedDict):
    """One case that is compared."""
    name: NotRequired[str]
    changes: list[AddPerson | RemovePerson | ChangeShare | DropFeature | MoveDeadline]


Stage = Literal['backlog', 'ready', 'doing', 'review', 'testing', 'done']


class StoredAnswerOut(TypedDict):
    """What was answered last."""
    state: AnswerState
    sentence: str
    at: str
    by: str


class StreamOut(TypedDict):
    """One stream of a source: a list of one repository or project."""
    stream: str
    project: str
    filled: bool
    since: str | None
    pages: int
    items: int
    read_at: str | None
    reached_at: str | None
    combed_at: str | None
    combing_since: str | None
    error: str


Subject = Literal['feature', 'sprint']


class SyncBody(TypedDict):
    """How to read it."""
    full: NotRequired[bool]
    accept_deletions: NotRequired[bool]


System = Literal['github', 'gitlab', 'jira']


class TeamCalendarOut(TypedDict):
    """A copy of an iCalendar source."""
    name: str
    read_at: str | None
    error: str
    times: int


class TeamOut(TypedDict):
    """A declared team."""
    name: str
    venture: str
    revision: int
    spec: TeamSpec
    calendars: list[TeamCalendarOut]


class TeamPage(TypedDict):
    """Teams, by name."""
    items: list[TeamOut]


class TeamPerson(TypedDict):
    """Somebody who works."""
    id: str
    name: NotRequired[str]
    accounts: NotRequired[list[str]]
    skills: dict[str, Any]
    share: NotRequired[float]
    absences: NotRequired[list[Absence]]
    absence_calendar: NotRequired[FileSource | UrlSource | None]


class TeamSpec(TypedDict):
    """People who plan together, when they work, and on what."""
    timezone: NotRequired[str]
    weekdays: NotRequired[list[Literal['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday']]]
    hours: NotRequired[list[str]]
    holidays: NotRequired[list[Absence]]
    title: NotRequired[str]
    people: list[TeamPerson]
    holiday_calendar: NotRequired[FileSource | UrlSource | None]
    usual_h: NotRequired[dict[str, Any]]
    hours_per_point: NotRequired[float | None]
    default_skill: NotRequired[str | None]
    sources: NotRequired[list[str]]
    services: NotRequired[list[str]]
    features: NotRequired[list[str]]
    binding_labels: NotRequired[list[str]]


class UrlSource(TypedDict):
    """An iCalendar feed: what Google, Outlook and others give as the address of a calendar."""
    kind: Literal['url']
    url: str
    refresh_s: NotRequired[int]


class WhatIfBody(TypedDict):
    """Scenarios to compare; of a plan, or of the current one."""
    venture: NotRequired[str]
    team: NotRequired[str]
    plan_id: NotRequired[str | None]
    scenarios: list[Scenario]
    limit_s: NotRequired[float | None]


class WorkFile(TypedDict):
    """Work, people and hours: everything a plan needs."""
    starts_at: NotRequired[str | None]
    calendar: NotRequired[WorkHours]
    people: list[PersonIn]
    features: NotRequired[list[FeatureIn]]
    items: list[ItemIn]
    usual_h: NotRequired[dict[str, Any]]
    history: NotRequired[dict[str, Any]]
    level: NotRequired[bool]


class WorkHours(TypedDict):
    """When work is done."""
    timezone: NotRequired[str]
    weekdays: NotRequired[list[Literal['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday']]]
    hours: NotRequired[list[str]]
    holidays: NotRequired[list[Absence]]
