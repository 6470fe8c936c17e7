"""Documents of monitoring. Written by `make docs` from the OpenAPI document; do not edit."""
# fmt: off

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict
from productops.client.common_models import (Environment, SeriesPointsOut)


class AlertRuleList(TypedDict):
    """By venture and name."""
    items: list[AlertRuleOut]


class AlertRuleOut(TypedDict):
    """A rule, and the series it fires for."""
    rule_id: str
    name: str
    venture: str
    service: str | None
    environment: Environment | None
    severity: Literal['SEV1', 'SEV2', 'SEV3', 'SEV4']
    enabled: bool
    selector: Selector
    condition: ConditionOutput
    words: str
    for_s: int
    summary: str
    runbook: str
    labels: dict[str, str]
    firing: list[str]
    revision: int
    created_by: str
    created_at: str
    changed_by: str
    changed_at: str


class AllowanceBody(TypedDict):
    """Why releases may go out, and for how long."""
    reason: str
    minutes: NotRequired[int]


class AllowanceOut(TypedDict):
    """Releases may go out until then though the budget is spent."""
    id: str
    objective: str
    reason: str
    given_by: str
    given_at: str
    until: str


class CallEdgeOut(TypedDict):
    """Calls of one service to another, as the caller saw them."""
    venture: str
    environment: Environment
    caller: str
    callee: str
    kind: Literal['service', 'database', 'messaging', 'external']
    calls: int
    errors: int
    calls_per_s: float
    error_ratio: float
    mean_ms: float
    p50_ms: float
    p95_ms: float
    max_ms: float


class CallGraphOut(TypedDict):
    """Who calls whom, the busiest first."""
    items: list[CallEdgeOut]


class ConditionOutput(TypedDict):
    """``rises`` and ``falls`` compare the change within ``over_s`` with the threshold, in units of the series per second."""
    operator: Operator
    threshold: NotRequired[float]
    over_s: NotRequired[int]


class FiringOut(TypedDict):
    """Once that it would have fired."""
    series: str
    since: str
    until: str | None
    value: float | None


class HealthOut(TypedDict):
    """The process runs and its database answers."""
    status: NotRequired[Literal['ok']]


class HeartbeatList(TypedDict):
    """All that the caller may see."""
    items: list[HeartbeatOut]


class HeartbeatOut(TypedDict):
    """Something that has to report."""
    name: str
    venture: str
    service: str | None
    environment: Environment | None
    interval_s: int
    grace_s: int
    severity: str
    last_at: str | None
    due_at: str
    silent: bool
    beats: int


LevelName = Literal['trace', 'debug', 'info', 'warning', 'error', 'fatal']


class LogErrorOut(TypedDict):
    """Errors of one type, raised in one place."""
    id: str
    fingerprint: str
    service: str
    environment: Environment
    language: str
    type: str
    message: str
    frames: list[str]
    sample: str
    first_seen: str
    last_seen: str
    first_version: str
    count: int
    by_version: dict[str, int]


class LogErrorsOut(TypedDict):
    """Errors, the most frequent first."""
    items: list[LogErrorOut]


class LogLineOut(TypedDict):
    """One line, or the lines of one trace of an exception."""
    id: str
    at: str
    level: LevelName
    venture: str
    service: str
    environment: Environment
    version: str
    instance: str
    text: str
    trace_id: str
    template: int


class LogServiceOut(TypedDict):
    """A service that logs."""
    venture: str
    service: str
    environment: Environment
    first_at: str
    last_at: str
    lines: int
    dropped: int


class LogServicesOut(TypedDict):
    """Services that log."""
    items: list[LogServiceOut]


class LogsOut(TypedDict):
    """Lines, the newest first."""
    items: list[LogLineOut]
    next: str | None


class MonitoringSeriesSeriesOut(TypedDict):
    """A series without its points."""
    number: int
    venture: str
    component: str
    category: Literal['infrastructure', 'application', 'business']
    name: str
    tags: dict[str, str]
    status: SeriesStatus
    warning: float | None
    critical: float | None
    below: bool
    last_at: str | None
    last_value: float | None


class MonitoringSeriesSeriesPage(TypedDict):
    """Series in the order they became known; pass `next` as `after` for the following page."""
    items: list[MonitoringSeriesSeriesOut]
    next: str | None


MonitoringSloMethod = Literal['Occurrences', 'Timeslices', 'RatioTimeslices']


class MonitoringSloRuleCondition(TypedDict):
    """``rises`` and ``falls`` compare the change within ``over_s`` with the threshold, in units of the series per second."""
    operator: Operator
    threshold: NotRequired[float]
    over_s: NotRequired[int]


class ObjectiveDetail(TypedDict):
    """With its rules, and with what releases burned, the dearest first."""
    name: str
    slo: str
    title: str
    venture: str
    service: str
    environment: Environment
    target: float
    method: MonitoringSloMethod
    window: str
    window_start: str
    window_end: str
    on_spent: OnSpent
    good: float
    total: float
    sli: float | None
    slices: int | None
    bad_slices: float | None
    remaining_ratio: float | None
    budget_minutes: float
    burned_minutes: float
    spent: bool
    surely_spent: bool
    firing: list[str]
    allowance: AllowanceOut | None
    sentence: str
    rules: list[RuleOut]
    releases: list[ReleaseBurnOut]


class ObjectiveList(TypedDict):
    """By name."""
    items: list[ObjectiveOut]


class ObjectiveOut(TypedDict):
    """An objective with its error budget. Ratios are null where nothing was measured."""
    name: str
    slo: str
    title: str
    venture: str
    service: str
    environment: Environment
    target: float
    method: MonitoringSloMethod
    window: str
    window_start: str
    window_end: str
    on_spent: OnSpent
    good: float
    total: float
    sli: float | None
    slices: int | None
    bad_slices: float | None
    remaining_ratio: float | None
    budget_minutes: float
    burned_minutes: float
    spent: bool
    surely_spent: bool
    firing: list[str]
    allowance: AllowanceOut | None
    sentence: str


OnSpent = Literal['refuse', 'approval', 'tell']


Operator = Literal['>', '<', 'absent', 'rises', 'falls']


class PointsBody(TypedDict):
    """Points of some series."""
    series: list[SeriesIn]


class PointsOut(TypedDict):
    """What was kept."""
    kept: int


class PreviewOut(TypedDict):
    """What a rule would have done."""
    since: str
    until: str
    series: int
    points: int
    count: int
    firings: list[FiringOut]
    sentence: str


class ReleaseBudget(TypedDict):
    """What a release burned; ``minutes`` of the objective that it cost most."""
    release_id: str
    service: str
    version: str
    minutes: float
    items: list[ReleaseBudgetLine]


class ReleaseBudgetLine(TypedDict):
    """What a release burned of one objective's budget."""
    objective: str
    target: float
    burn: ReleaseBurnOut


class ReleaseBurnOut(TypedDict):
    """What a release cost of an error budget."""
    release_id: str
    version: str
    since: str
    until: str
    bad: float
    expected: float
    minutes: float


class RuleBody(TypedDict):
    """A series, a condition that has to hold for some time, and how bad that is."""
    name: str
    venture: str
    selector: Selector
    condition: MonitoringSloRuleCondition
    for_s: NotRequired[int]
    severity: NotRequired[Literal['SEV1', 'SEV2', 'SEV3', 'SEV4']]
    service: NotRequired[str | None]
    environment: NotRequired[Environment | None]
    enabled: NotRequired[bool]
    summary: NotRequired[str]
    runbook: NotRequired[str]
    labels: NotRequired[dict[str, str]]


class RuleOut(TypedDict):
    """A burn rate rule: the share of bad events is above the limit in the long and in the short window."""
    name: str
    long_s: int
    short_s: int
    burn: float
    severity: str
    limit_ratio: float


class ScrapeTargetList(TypedDict):
    """Scrape targets of the ventures that the caller may see."""
    items: list[ScrapeTargetOut]


class ScrapeTargetOut(TypedDict):
    """Where metrics are fetched, and how the last try went."""
    venture: str
    name: str
    url: str
    source: str
    service: str | None
    environment: str | None
    interval_s: int
    tried_at: str | None
    points: int
    problem: str


class Selector(TypedDict):
    """Which series: of a name, and where they are given of a component and with these tags. Each series is judged by itself."""
    name: str
    component: NotRequired[str | None]
    tags: NotRequired[dict[str, str]]


class SeriesAnswer(TypedDict):
    """Every series that fits and has points in that time."""
    since: str
    until: str
    step_s: int | None
    statistic: str
    series: list[SeriesPointsOut]


class SeriesIn(TypedDict):
    """A series with points."""
    venture: str
    component: str
    category: NotRequired[Literal['infrastructure', 'application', 'business']]
    name: str
    tags: NotRequired[dict[str, str]]
    points: list[list[Any]]


SeriesStatus = Literal['normal', 'warning', 'critical', 'unknown']


class SpanOut(TypedDict):
    """One piece of work."""
    trace_id: str
    span_id: str
    parent_id: str
    venture: str
    service: str
    environment: Environment
    version: str
    name: str
    kind: Literal['internal', 'server', 'client', 'producer', 'consumer']
    error: bool
    message: str
    started_at: str
    duration_ms: float
    attributes: dict[str, Any]
    events: list[dict[str, Any]]


Statistic = Literal['mean', 'min', 'max', 'sum', 'last', 'count']


class TemplateJumpOut(TypedDict):
    """A template that came much more, or less, often than before."""
    template: TemplateOut
    before_per_min: float
    now_per_min: float
    score: float


class TemplateJumpsOut(TypedDict):
    """Jumps, the clearest first."""
    items: list[TemplateJumpOut]


class TemplateOut(TypedDict):
    """Lines of one shape."""
    id: int
    text: str
    level: LevelName
    count: int
    by_version: dict[str, int]
    first_seen: str
    last_seen: str


class TemplatesOut(TypedDict):
    """Templates, the most frequent first."""
    items: list[TemplateOut]


class ThresholdsBody(TypedDict):
    """From which value on a series is worth a warning, and from which it is critical; null: none."""
    warning: NotRequired[float | None]
    critical: NotRequired[float | None]
    below: NotRequired[bool]


class TraceOut(TypedDict):
    """A trace."""
    trace_id: str
    services: list[str]
    error: bool
    started_at: str
    duration_ms: float
    spans: list[SpanOut]


class TracesOut(TypedDict):
    """Entries into services, the newest first."""
    items: list[SpanOut]
    next: str | None


class WatchList(TypedDict):
    """The newest first."""
    items: list[WatchOut]


class WatchOut(TypedDict):
    """A watch process by its own word."""
    holder: str
    at: str
    fresh: bool
    elected: bool
    healthy: bool
    parts: list[WatchPartOut]


class WatchPartOut(TypedDict):
    """One thing the watch does."""
    name: str
    state: str
    every_s: float
    turns: int
    failures: int
    took_ms: float
    longest_ms: float
    problem: str
