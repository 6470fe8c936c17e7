"""Documents of analytics. Written by `make docs` from the OpenAPI document; do not edit."""
# fmt: off

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict
from productops.client.common_models import (Environment)


class AcceptInsightIn(TypedDict):
    """How to accept."""
    action: NotRequired[ActionKindInput | None]
    reason: NotRequired[str]
    after_days: NotRequired[int]


ActionKindInput = Literal['task', 'flag', 'rollout', 'none']


class ActiveDayOut(TypedDict):
    """People active on a day, and in the 7 and 30 days up to it."""
    day: str
    daily: int
    weekly: int
    monthly: int
    stickiness: float | None


class AnalyticsExperimentsDecisionBody(TypedDict):
    """What is done with it."""
    reason: NotRequired[str]
    choice: Choice
    variant: NotRequired[str | None]


class AnalyticsExperimentsReasonBody(TypedDict):
    """Why."""
    reason: NotRequired[str]


AnalyticsInsightActionKind = Literal['task', 'flag', 'rollout', 'none']


class AnalyticsInsightDetail(TypedDict):
    """An insight with its evidence."""
    id: str
    venture: str
    kind: AnalyticsInsightKind
    state: AnalyticsInsightState
    title: str
    feature: str
    measure: AnalyticsInsightMeasure
    dimension: str
    value: str
    first_day: str
    change: float
    low: float
    high: float
    worth: float
    action: InsightActionOut
    found_day: str
    seen_day: str
    over_day: str | None
    due_day: str | None
    outcome: AnalyticsInsightOutcome | None
    sentence: str
    p: float
    evidence: dict[str, Any]
    reason: str
    decided_by: str | None
    decided_at: str | None
    follow: dict[str, Any]
    effect: dict[str, Any]


AnalyticsInsightKind = Literal['use-rose', 'use-fell', 'failures-rose', 'failures-fell', 'slower', 'faster', 'adopted-after-release', 'unused', 'harmful', 'conversion-fell', 'conversion-rose']


AnalyticsInsightMeasure = Literal['use', 'failures', 'latency']


class AnalyticsInsightOut(TypedDict):
    """An insight in a list."""
    id: str
    venture: str
    kind: AnalyticsInsightKind
    state: AnalyticsInsightState
    title: str
    feature: str
    measure: AnalyticsInsightMeasure
    dimension: str
    value: str
    first_day: str
    change: float
    low: float
    high: float
    worth: float
    action: InsightActionOut
    found_day: str
    seen_day: str
    over_day: str | None
    due_day: str | None
    outcome: AnalyticsInsightOutcome | None


AnalyticsInsightOutcome = Literal['helped', 'no effect', 'worse', 'cannot tell']


class AnalyticsInsightPage(TypedDict):
    """Insights, newest first; pass `next` as `after` for the following page."""
    items: list[AnalyticsInsightOut]
    next: str | None
    helped: HelpedOut


AnalyticsInsightState = Literal['open', 'accepted', 'done', 'dismissed', 'helped', 'no-effect', 'over']


AnalyticsOptimizeActionKind = Literal['roll-back', 'flag-off', 'more-instances', 'look', 'nothing']


AnalyticsOptimizeFindingKind = Literal['regression', 'improvement', 'knee', 'slow-hour', 'benchmark', 'segment']


class AnalyticsUsageQueryCondition(TypedDict):
    """What a column or property of an event has to be."""
    field: str
    op: NotRequired[Literal['is', 'is-not', 'contains', 'at-least', 'at-most', 'is-set', 'is-not-set']]
    values: NotRequired[list[str]]


class BasisOut(TypedDict):
    """What an answer was made of."""
    venture: str
    since: str
    until: str
    files: int
    events: int
    newest_at: str | None
    at: str
    took_ms: float
    empty: bool


class CatalogExperimentMeasure(TypedDict):
    """Which events count, and what counts of each."""
    event: NotRequired[str]
    feature: NotRequired[str]
    where: NotRequired[dict[str, bool | str | int | float]]
    value: NotRequired[str]


CatalogExperimentMethod = Literal['sequential', 'fixed', 'bayesian']


Choice = Literal['ship', 'drop', 'no-difference']


class CohortCondition(TypedDict):
    """Somebody did something so many times, or did not."""
    event: NotRequired[EventMatch]
    times_min: NotRequired[int]
    times_max: NotRequired[int | None]
    days: NotRequired[int]


class CohortOut(TypedDict):
    """Who is in a cohort at a moment."""
    basis: BasisOut
    name: str
    people: int
    keys: list[str]


class CohortQuery(TypedDict):
    """A cohort that is not saved."""
    venture: str
    cohort: CohortSpec
    at: NotRequired[str | None]


class CohortSpec(TypedDict):
    """A list of people, or conditions: who fits them is found anew each time it is asked for."""
    description: NotRequired[str]
    people: NotRequired[list[str]]
    conditions: NotRequired[list[CohortCondition]]
    join: NotRequired[Literal['all', 'any']]


Correction = Literal['holm', 'benjamini-hochberg', 'none']


class DefinitionOut(TypedDict):
    """A saved funnel or cohort."""
    id: str
    venture: str
    kind: str
    name: str
    spec: dict[str, Any]
    declared: bool
    revision: int
    updated_by: str
    updated_at: str


class DefinitionPage(TypedDict):
    """Saved funnels or cohorts; all in one page."""
    items: list[DefinitionOut]


Dimension = Literal['platform', 'country', 'version', 'service']


class DismissInsightIn(TypedDict):
    """Why it is not worth it."""
    reason: str


class DroppedOut(TypedDict):
    """People whose last step it was."""
    step: int
    people: list[str]


class DroppedQuery(TypedDict):
    """A funnel, and which step was the last of the people who are asked for."""
    venture: str
    since: str
    until: str
    cohort: NotRequired[str | None]
    funnel: FunnelSpec
    step: int
    most: NotRequired[int]


class EraseBody(TypedDict):
    """Who is removed."""
    venture: str
    person: str
    forever: NotRequired[bool]
    reason: NotRequired[str]


class ErasureOut(TypedDict):
    """The removal of a person's events."""
    id: str
    venture: str
    state: ErasureState
    forever: bool
    files: int
    events: int
    reason: str
    by: str
    asked_at: str
    ended_at: str | None


ErasureState = Literal['waiting', 'working', 'done']


class ErasuresOut(TypedDict):
    """Erasures, the newest first."""
    items: list[ErasureOut]


class EventImportOut(TypedDict):
    """Events fetched from elsewhere."""
    id: str
    venture: str
    source: str
    state: ImportState
    cursor: dict[str, Any]
    accepted: int
    duplicates: int
    refused: int
    error: str
    by: str
    started_at: str
    moved_at: str
    ended_at: str | None


class EventImportsOut(TypedDict):
    """Imports, the newest first."""
    items: list[EventImportOut]


class EventMatch(TypedDict):
    """Which events. Nothing given: any event by which a person is active (all but $exposure and $identify)."""
    name: NotRequired[str | None]
    feature: NotRequired[str | None]
    where: NotRequired[list[AnalyticsUsageQueryCondition]]


class EventRefusalsOut(TypedDict):
    """Events of one day and name that were refused for one reason."""
    day: str
    name: str
    reason: str
    events: int


class EventSchemaOut(TypedDict):
    """Names and properties of events."""
    venture: str
    plan: str | None
    unseen: list[str]
    events: list[SeenEventOut]


class EventsDayOut(TypedDict):
    """Events of one UTC day."""
    day: str
    files: int
    events: int


class EventsStatusOut(TypedDict):
    """How the taking in of events is."""
    venture: str
    files: int
    events: int
    size_bytes: int
    newest_received_at: str | None
    waiting_bytes: int
    waiting_segments: int
    lag_s: float
    sorted_by: str
    days: list[EventsDayOut]
    refusals: list[EventRefusalsOut]
    erasures: list[ErasureOut]
    imports: list[EventImportOut]


class EventsTakenOut(TypedDict):
    """What became of the events of a request. What was accepted is on the disk."""
    accepted: int
    duplicates: int
    dropped: int
    refused_total: int
    refused: list[RefusedEventOut]


class Exclusion(TypedDict):
    """What must not happen after one step and before another, counted from 1."""
    event: EventMatch
    from_step: NotRequired[int]
    to_step: NotRequired[int]


class ExperimentArmOut(TypedDict):
    """A variant's people and value of one metric."""
    variant: str
    people: int
    value: float | None
    total: float | None
    events: int | None
    did: int | None


class ExperimentBreachOut(TypedDict):
    """A guardrail that did not hold, and what was done."""
    guardrail: str
    variant: str
    sentence: str
    action: str
    incident_id: str | None
    at: str


class ExperimentContrastOut(TypedDict):
    """A variant against the control. Changes are relative: 0.12 is +12 %."""
    variant: str
    change: float | None
    low: float | None
    high: float | None
    difference: float | None
    p: float | None
    adjusted_p: float | None
    chance: float | None
    loss: float | None
    log_e: float | None
    standing: Standing
    problem: str | None
    kept: float | None


class ExperimentDecisionOut(TypedDict):
    """What was decided, by whom, and why."""
    choice: Choice
    variant: str | None
    sentence: str
    by: str
    at: str


class ExperimentGroupOut(TypedDict):
    """A group of people: what was seen, and what to believe when all groups are drawn together."""
    dimension: str
    value: str
    variant: str
    people: int
    seen: float
    believed: float
    low: float
    high: float
    p: float


class ExperimentList(TypedDict):
    """Experiments by name; pass `next` as `after` for the following page."""
    items: list[ExperimentOut]
    next: str | None


class ExperimentLookList(TypedDict):
    """Looks of a run, oldest first."""
    items: list[ExperimentLookOut]


class ExperimentLookOut(TypedDict):
    """What one look found."""
    id: str
    run: int
    number: int
    at: str
    sentence: str
    standing: Standing
    complete: bool
    people: dict[str, int]
    mixed: int
    split_p: float
    split_anytime_p: float
    split_broken: bool
    metrics: list[ExperimentMetricOut]
    guardrails: list[ExperimentMetricOut]
    notes: list[str]


class ExperimentLookedOut(TypedDict):
    """What a look did."""
    experiment: ExperimentOut
    look: ExperimentLookOut
    breach: ExperimentBreachOut | None


class ExperimentMetricOut(TypedDict):
    """One metric or guardrail of a look."""
    name: str
    kind: str
    better: str
    arms: list[ExperimentArmOut]
    contrasts: list[ExperimentContrastOut]
    guardrail: float | None
    holds: bool | None
    segments: list[ExperimentGroupOut]


class ExperimentOut(TypedDict):
    """An experiment and where it stands."""
    name: str
    venture: str
    state: ExperimentState
    flag: str
    environment: str
    control: str
    variants: list[str]
    hypothesis: str
    owner: str
    method: str
    run: int
    looks: int
    started_at: str | None
    stopped_at: str | None
    planned_end: str | None
    looked_at: str | None
    breach: ExperimentBreachOut | None
    decision: ExperimentDecisionOut | None
    revision: int


class ExperimentPageOut(TypedDict):
    """An experiment, what it is analysed by, and its newest look."""
    name: str
    venture: str
    state: ExperimentState
    flag: str
    environment: str
    control: str
    variants: list[str]
    hypothesis: str
    owner: str
    method: str
    run: int
    looks: int
    started_at: str | None
    stopped_at: str | None
    planned_end: str | None
    looked_at: str | None
    breach: ExperimentBreachOut | None
    decision: ExperimentDecisionOut | None
    revision: int
    spec: ExperimentSpec
    look: ExperimentLookOut | None


class ExperimentReachRowOut(TypedDict):
    """The smallest relative effect that so many days show."""
    days: float
    people: int
    effect: float | None


class ExperimentSizeOut(TypedDict):
    """How many people it takes, and how long."""
    metric: str
    mean: float
    deviation: float
    people_per_day: float
    kept: float
    alpha: float
    power: float
    method: str
    variants: int
    extra_days: float
    learned_from: int
    wanted: ExperimentSizeRowOut
    tuned: ExperimentSizeRowOut | None
    sizes: list[ExperimentSizeRowOut]
    reach: list[ExperimentReachRowOut]


class ExperimentSizeRowOut(TypedDict):
    """People in all variants together that see a relative effect."""
    effect: float
    people: int | None
    days: float | None


class ExperimentSpec(TypedDict):
    """What is tried, on whom, and by which numbers it is decided."""
    hypothesis: str
    flag: str
    environment: NotRequired[Environment]
    control: NotRequired[str]
    variants: list[str]
    shares: NotRequired[dict[str, Any]]
    unit: NotRequired[Literal['person']]
    owner: str
    metrics: list[MetricSpec]
    guardrails: NotRequired[list[GuardrailSpec]]
    on_breach: NotRequired[OnBreach]
    method: NotRequired[CatalogExperimentMethod]
    alpha: NotRequired[float]
    power: NotRequired[float]
    correction: NotRequired[Correction]
    prior: NotRequired[PriorSpec]
    planned_days: NotRequired[float]
    planned_people: NotRequired[int]
    segments: NotRequired[list[Dimension]]


ExperimentState = Literal['draft', 'running', 'stopped', 'decided']


class FeatureUseOut(TypedDict):
    """A feature on one page, from daily figures."""
    venture: str
    feature: str
    since: str
    until: str
    counted_at: str | None
    empty: bool
    days: list[UsageDayOut]
    everybody: list[UsageDayOut]
    weeks: list[PeriodPeopleOut]
    months: list[PeriodPeopleOut]
    versions: list[VersionUseOut]
    releases: list[ReleaseUseOut]
    insights: list[dict[str, Any]]
    links: dict[str, str]
    prediction: UsePredictionOut | None


class FunnelOut(TypedDict):
    """How far people came."""
    basis: BasisOut
    steps: list[FunnelStepOut]
    excluded: int
    under_way: int
    median_s: int | None
    p90_s: int | None
    by_value: dict[str, list[int]]


class FunnelQuery(TypedDict):
    """A funnel of those who took its first step in [since, until); later steps may come after it, as long as the window lasts."""
    venture: str
    since: str
    until: str
    cohort: NotRequired[str | None]
    funnel: FunnelSpec


class FunnelSpec(TypedDict):
    """Steps, and what counts as having gone through them."""
    steps: list[EventMatch]
    order: NotRequired[Order]
    window_s: NotRequired[int]
    exclusions: NotRequired[list[Exclusion]]
    breakdown: NotRequired[str | None]
    touch: NotRequired[Literal['first', 'last']]
    values_max: NotRequired[int]
    cohort: NotRequired[str | None]


class FunnelStepOut(TypedDict):
    """A step of a funnel."""
    title: str
    people: int
    of_first: float | None
    of_previous: float | None
    median_s: int | None
    p90_s: int | None


class GuardrailSpec(TypedDict):
    """A number that must not get worse, whatever else gets better. It is looked at without waiting for anybody's window to end."""
    event: NotRequired[str]
    feature: NotRequired[str]
    where: NotRequired[dict[str, bool | str | int | float]]
    value: NotRequired[str]
    name: str
    kind: Literal['conversion', 'mean', 'ratio', 'quantile', 'retention']
    per: NotRequired[CatalogExperimentMeasure | None]
    quantile: NotRequired[float]
    window_days: NotRequired[float]
    from_days: NotRequired[float]
    better: NotRequired[Literal['higher', 'lower']]
    minimum_effect: NotRequired[float]
    past_days: NotRequired[float]
    cap: NotRequired[float | None]
    tolerance: NotRequired[float]


class HelpedOut(TypedDict):
    """How many accepted insights did what they promised."""
    measured: int
    helped: int
    worse: int
    cannot_tell: int
    waiting: int
    share: float | None
    sentence: str


class ImportBody(TypedDict):
    """What is fetched."""
    venture: str
    source: str


class ImportMoveBody(TypedDict):
    """How far an import is."""
    cursor: NotRequired[dict[str, Any]]
    accepted: NotRequired[int]
    duplicates: NotRequired[int]
    refused: NotRequired[int]
    error: NotRequired[str]
    state: NotRequired[ImportState]


ImportState = Literal['running', 'done', 'stopped']


class InsightActionOut(TypedDict):
    """What accepting does."""
    kind: AnalyticsInsightActionKind
    text: str
    detail: dict[str, Any]


class InsightNightList(TypedDict):
    """Nights, oldest first."""
    items: list[InsightNightOut]


class InsightNightOut(TypedDict):
    """What one day's look spent and found."""
    day: str
    series: int
    tests: int
    level: float
    rejected: int
    insights: list[str]
    seconds: float
    at: str


class InsightReportOut(TypedDict):
    """What a look at a day found."""
    night: InsightNightOut
    opened: list[AnalyticsInsightOut]
    updated: int
    over: int
    repeated: bool


class InsightTaskList(TypedDict):
    """Tasks, newest first."""
    items: list[InsightTaskOut]


class InsightTaskOut(TypedDict):
    """Something somebody has to do."""
    id: str
    venture: str
    insight_id: str
    title: str
    body: str
    state: str
    by: str
    at: str
    done_at: str | None


Kind = Literal['count', 'share', 'hours', 'milliseconds', 'date']


class LookWish(TypedDict):
    """Which day, in UTC; one that is over."""
    day: str


class MetricSpec(TypedDict):
    """One number by variant."""
    event: NotRequired[str]
    feature: NotRequired[str]
    where: NotRequired[dict[str, bool | str | int | float]]
    value: NotRequired[str]
    name: str
    kind: Literal['conversion', 'mean', 'ratio', 'quantile', 'retention']
    per: NotRequired[CatalogExperimentMeasure | None]
    quantile: NotRequired[float]
    window_days: NotRequired[float]
    from_days: NotRequired[float]
    better: NotRequired[Literal['higher', 'lower']]
    minimum_effect: NotRequired[float]
    past_days: NotRequired[float]
    cap: NotRequired[float | None]


class MoveOut(TypedDict):
    """From one event to the next."""
    step: int
    before: str
    after: str
    sessions: int


OnBreach = Literal['ramp-down', 'kill', 'tell']


class OptimizeIn(TypedDict):
    """Either a service or a feature."""
    service: NotRequired[str]
    feature: NotRequired[str]
    venture: NotRequired[str]
    environment: NotRequired[Environment]
    days: NotRequired[float]
    act: NotRequired[bool]


Order = Literal['ordered', 'strict', 'any']


class PathOut(TypedDict):
    """A whole path."""
    events: list[str]
    sessions: int


class PathsOut(TypedDict):
    """What happens after something, or before."""
    basis: BasisOut
    sessions: int
    backward: bool
    moves: list[MoveOut]
    paths: list[PathOut]


class PathsQuery(TypedDict):
    """What people do in a session after something, or before something."""
    venture: str
    since: str
    until: str
    cohort: NotRequired[str | None]
    start: NotRequired[EventMatch | None]
    end: NotRequired[EventMatch | None]
    by: NotRequired[Literal['name', 'feature']]
    steps: NotRequired[int]
    session_gap_s: NotRequired[int]
    collapse: NotRequired[bool]
    most: NotRequired[int]


class PerformanceFindingOut(TypedDict):
    """Something that is so beyond chance."""
    kind: AnalyticsOptimizeFindingKind
    metric: str
    sentence: str
    effect: float | None
    low: float | None
    high: float | None
    p_value: float | None
    version: str
    against: str
    evidence: dict[str, Any]


class PerformanceOut(TypedDict):
    """How the events of a feature and version went; latencies in milliseconds, exact."""
    feature: str
    version: str
    events: int
    failures: int
    timed: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class PerformancePage(TypedDict):
    """All features and versions of the range."""
    items: list[PerformanceOut]


class PerformanceQuery(TypedDict):
    """Latency and failures by feature and version."""
    venture: str
    since: str
    until: str
    cohort: NotRequired[str | None]
    feature: NotRequired[str | None]


class PerformanceRunOut(TypedDict):
    """One look at performance."""
    id: str
    venture: str
    subject: str
    environment: Environment
    state: str
    sentence: str
    findings: list[PerformanceFindingOut]
    recommendations: list[RecommendationOut]
    facts: dict[str, Any]
    action: dict[str, Any]
    effect: dict[str, Any]
    by: str
    at: str
    acted_at: str | None
    measured_at: str | None


class PerformanceRunPage(TypedDict):
    """Looks, newest first; pass `next` as `after` for the following page."""
    items: list[PerformanceRunOut]
    next: str | None


class PeriodPeopleOut(TypedDict):
    """People of a week (from Monday) or month, in UTC."""
    begin: str
    people: int
    new_people: int


class PredictionsOut(TypedDict):
    """What is said of the features of a venture."""
    venture: str
    items: list[SuccessPredictionOut]
    silent: list[SilentOut]
    reliability: ReliabilityOut


class PriorSpec(TypedDict):
    """What is believed of the relative change before anybody looks."""
    mean: NotRequired[float]
    deviation: NotRequired[float]


class RecommendationOut(TypedDict):
    """What to do."""
    action: AnalyticsOptimizeActionKind
    sentence: str
    target: dict[str, Any]
    possible: bool
    why: str


class RefusedEventOut(TypedDict):
    """An event that was not taken."""
    index: int
    reason: str


class ReleaseUseOut(TypedDict):
    """Means of the 7 whole days before and after a release; null without figures for all 7."""
    release_id: str
    service: str
    version: str
    at: str
    people_before: float | None
    people_after: float | None
    failures_before: float | None
    failures_after: float | None


class ReliabilityBinOut(TypedDict):
    """Features of which about the same was said."""
    count: int
    said: float
    reached: float


class ReliabilityOut(TypedDict):
    """How good predictions were so far; each feature counts once."""
    sentence: str
    features: int
    brier: float | None
    brier_base: float | None
    calibration_error: float | None
    by_chance: float | None
    bins: list[ReliabilityBinOut]


class ReportFigureOut(TypedDict):
    """One figure with its change to the week before."""
    name: str
    kind: Kind
    value: float | None
    before: float | None
    written: str
    change: str
    link: str
    note: str


class ReportLineOut(TypedDict):
    """A kept report."""
    week: str
    made_at: str
    whole: bool


class ReportMailOut(TypedDict):
    """What became of one mail."""
    recipient: str
    state: str
    attempts: int
    doubtful: int
    error: str
    at: str


class ReportMailsIn(TypedDict):
    """Who gets it."""
    to: NotRequired[list[str]]


class ReportMailsOut(TypedDict):
    """Mails of a report by recipient."""
    items: list[ReportMailOut]


class ReportPage(TypedDict):
    """Kept reports, newest week first; all in one page."""
    items: list[ReportLineOut]


class ReportSectionOut(TypedDict):
    """Figures and sentences of one subject."""
    title: str
    figures: list[ReportFigureOut]
    sentences: list[str]
    gap: str


class RetentionOut(TypedDict):
    """Who came back."""
    basis: BasisOut
    columns: list[list[Any]]
    rows: list[RetentionRowOut]
    overall: list[float | None]


class RetentionQuery(TypedDict):
    """Who did something, and came back to do something."""
    venture: str
    since: str
    until: str
    cohort: NotRequired[str | None]
    start: NotRequired[EventMatch]
    back: NotRequired[EventMatch]
    unit: NotRequired[Unit]
    zone: NotRequired[str]
    kind: NotRequired[Literal['on', 'on-or-after']]
    first: NotRequired[Literal['first-time', 'recurring']]
    since_start: NotRequired[bool]
    periods: NotRequired[int]
    brackets: NotRequired[list[int]]


class RetentionRowOut(TypedDict):
    """People who began in a period."""
    begin: str
    people: int
    returned: list[int]
    complete: list[bool]


class SeenEventOut(TypedDict):
    """A name of events as it was seen."""
    name: str
    planned: bool
    events: int
    first_at: str
    last_at: str
    by_day: dict[str, int]
    properties: list[SeenPropertyOut]


class SeenPropertyOut(TypedDict):
    """A property as it was seen."""
    name: str
    types: dict[str, int]
    first_at: str
    last_at: str


class SegmentOut(TypedDict):
    """Use with one value."""
    value: str
    events: int
    people: int


class SegmentQuery(TypedDict):
    """Use split by a column or property."""
    venture: str
    since: str
    until: str
    cohort: NotRequired[str | None]
    event: NotRequired[EventMatch]
    by: str
    values_max: NotRequired[int]


class SegmentsOut(TypedDict):
    """Use by value."""
    basis: BasisOut
    events: int
    people: int
    segments: list[SegmentOut]


class SilentOut(TypedDict):
    """A feature of which nothing is said."""
    feature: str
    why: str


Standing = Literal['better', 'worse', 'no-difference', 'undecided', 'untrusted']


class SuccessPredictionOut(TypedDict):
    """With which probability a feature reaches its goal of use."""
    feature: str
    day: str
    due_at: str
    target: float
    probability: float
    base: float
    method: str
    days: int
    signals: dict[str, Any]
    reasons: list[str]
    outcome: str | None
    actual: float | None


class TailEventOut(TypedDict):
    """One event."""
    event_id: str
    person: str
    name: str
    at: str
    received_at: str
    columns: dict[str, Any]
    properties: dict[str, Any]


class TailOut(TypedDict):
    """The newest events, the oldest of them first."""
    items: list[TailEventOut]


Unit = Literal['day', 'week', 'month']


class UsageDayOut(TypedDict):
    """A UTC day."""
    day: str
    events: int
    people: int
    new_people: int
    failures: int
    failure_rate: float | None
    duration_count: int
    duration_p50_ms: float | None
    duration_p95_ms: float | None
    value_sum: float


class UsageOut(TypedDict):
    """Adoption."""
    basis: BasisOut
    feature: str | None
    periods: list[UsagePeriodOut]
    days: list[ActiveDayOut]
    newcomers: int
    adopted: int
    first_use_median_s: int | None
    first_use_p90_s: int | None


class UsagePeriodOut(TypedDict):
    """People in a period."""
    begin: str
    active: int
    new: int
    returning: int
    resurrected: int
    dormant: int
    everybody: int
    share: float | None
    complete: bool


class UsageQuery(TypedDict):
    """Adoption of a feature or of the whole venture."""
    venture: str
    since: str
    until: str
    cohort: NotRequired[str | None]
    feature: NotRequired[str | None]
    unit: NotRequired[Unit]
    zone: NotRequired[str]


class UsePredictionOut(TypedDict):
    """With which probability a feature reaches its goal of use, and why."""
    day: str
    due_at: str
    target: float
    probability: float
    method: str
    reasons: list[str]


class VersionUseOut(TypedDict):
    """Use of a version."""
    version: str
    first_day: str
    last_day: str
    events: int
    failures: int
    mean_ms: float | None
    p95_ms: float | None


class WeeklyReportOut(TypedDict):
    """A week of a venture on one page."""
    venture: str
    week: str
    title: str
    made_at: str
    whole: bool
    headlines: list[str]
    sections: list[ReportSectionOut]
    text: str
