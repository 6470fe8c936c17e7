"""Documents of quality. Written by `make docs` from the OpenAPI document; do not edit."""
# fmt: off

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict


class DecideIn(TypedDict):
    """Why; may be empty for accepting and finishing."""
    reason: NotRequired[str]


Difference = Literal['stopped', 'let-pass', 'same']


class FlakyCostOut(TypedDict):
    """What chance has cost."""
    retry_minutes: float
    blocked_runs: float
    people_minutes: float


class FlakyDecisionOut(TypedDict):
    """What a review does about a test."""
    move: FlakyMove
    key: str
    name: str
    reason: str


FlakyMove = Literal['quarantine', 'release', 'expire', 'block']


class FlakyOut(TypedDict):
    """The flaky tests of a service."""
    service: str
    venture: str
    at: str
    runs: int
    people_minutes_each: float
    cost: FlakyCostOut
    tests: list[FlakyTestOut]
    quarantined: list[QuarantineOut]
    decisions: list[FlakyDecisionOut]


class FlakyTestOut(TypedDict):
    """How a test stands that failed or was retried at least once."""
    key: str
    name: str
    suite: str
    file: str
    probability: float
    rate: float
    broken: float
    runs: int
    failed_runs: int
    retried_runs: int
    split_codes: int
    clean_streak: int
    failed_at: str | None
    sentence: str
    cost: FlakyCostOut


class GateItemOut(TypedDict):
    """One thing a gate objects to, or would without a waiver or a quarantine."""
    key: str
    text: str
    where: str
    link: str
    excused: str


GateKind = Literal['unit', 'integration', 'end-to-end', 'performance', 'security', 'coverage', 'standards', 'sign-off', 'expression']


class GateOut(TypedDict):
    """One gate of a run."""
    gate: str
    kind: GateKind
    required: bool
    state: GateState
    sentence: str
    reasons: list[str]
    items: list[GateItemOut]
    items_total: int
    to_pass: str
    figures: dict[str, float]
    links: list[str]


class GatePolicyOut(TypedDict):
    """One gate of a policy."""
    name: str
    kind: GateKind
    required: bool
    settings: dict[str, Any]


GateState = Literal['passed', 'failed', 'inconclusive', 'error']


InsightKind = Literal['flaky-test', 'failing-test', 'slow-test', 'trend', 'escaped-defect', 'test-impact']


class InsightOut(TypedDict):
    """A finding; an accepted one is a task."""
    id: str
    venture: str
    service: str
    kind: InsightKind
    state: InsightState
    title: str
    sentence: str
    action: str
    minutes: float
    weight: float
    evidence: dict[str, Any]
    reason: str
    decided_by: str | None
    decided_at: str | None
    found_at: str
    seen_at: str
    gone_at: str | None


class InsightPage(TypedDict):
    """Findings, newest first; pass `next` as `after` for the following page."""
    items: list[InsightOut]
    next: str | None


InsightState = Literal['open', 'accepted', 'done', 'dismissed']


OutcomeInput = Literal['passed', 'failed', 'error', 'skipped']


class QualityBacktestBody(TypedDict):
    """Which policy is tried: a text, or the one that waits in an approval."""
    policy: NotRequired[str | None]
    approval_id: NotRequired[str | None]
    service: NotRequired[str | None]
    last: NotRequired[int]


class QualityBacktestOut(TypedDict):
    """What another policy would have changed."""
    policy: str
    sentence: str
    stopped: int
    let_pass: int
    releases_stopped: list[str]
    runs: list[RejudgedOut]


class QualityFindingOut(TypedDict):
    """One finding of a run."""
    fingerprint: str
    kind: QualityFindingsFindingKind
    tool: str
    rule: str
    severity: QualityFindingsSeverity
    message: str
    path: str
    line: int | None
    package: str
    identifiers: list[str]
    cvss: float | None


class QualityFindingPage(TypedDict):
    """Findings of a run, the worst first."""
    items: list[QualityFindingOut]
    next: str | None


QualityFindingsFindingKind = Literal['code', 'vulnerability', 'secret', 'licence']


QualityFindingsSeverity = Literal['critical', 'high', 'medium', 'low', 'info']


class QualityLearningReviewOut(TypedDict):
    """What a review of a service found."""
    service: str
    runs: int
    opened: int
    still: int
    back: int
    gone: int
    items: list[InsightOut]


class QualityLearningSeriesOut(TypedDict):
    """A performance series over its runs on one kind of runner, oldest first."""
    service: str
    series: str
    runner: str
    unit: str
    higher_is_better: bool | None
    medians: list[float]
    commits: list[str]
    detectable: float | None
    steps: list[QualityLearningStepOut]


class QualityLearningSeriesPage(TypedDict):
    """Series by name and runner; all in one page."""
    items: list[QualityLearningSeriesOut]


class QualityLearningStepOut(TypedDict):
    """The level of a series moved."""
    index: int
    before: float
    after: float
    change: float
    low: float | None
    high: float | None
    detectable: float | None
    worse: bool


QualityOutcome = Literal['passed', 'failed', 'error', 'skipped']


class QualityPolicyOut(TypedDict):
    """What has to hold before a version goes out."""
    name: str
    venture: str | None
    revision: int
    description: str
    gates: list[GatePolicyOut]
    commands: list[str]


class QualityRunDetail(TypedDict):
    """A run with its gates."""
    id: str
    venture: str
    service: str
    version: str
    commit: str
    branch: str
    source: QualitySource
    by: str
    origin: str
    at: str
    state: GateState
    sentence: str
    policy: str
    policy_revision: int
    mainline: bool
    baseline_id: str | None
    links: list[str]
    gates: list[GateOut]
    figures: dict[str, float]
    inputs: dict[str, Any]


class QualityRunOut(TypedDict):
    """One judgement of one version."""
    id: str
    venture: str
    service: str
    version: str
    commit: str
    branch: str
    source: QualitySource
    by: str
    origin: str
    at: str
    state: GateState
    sentence: str
    policy: str
    policy_revision: int
    mainline: bool
    baseline_id: str | None
    links: list[str]


class QualityRunPage(TypedDict):
    """Runs, newest first; pass `next` as `after` for the following page."""
    items: list[QualityRunOut]
    next: str | None


QualitySource = Literal['ci', 'flow', 'release']


class QualityTestOut(TypedDict):
    """One test of a run."""
    key: str
    suite: str
    classname: str
    name: str
    outcome: QualityOutcome
    duration_s: float | None
    message: str
    file: str
    line: int | None
    attempts: int
    flaky: bool


class QualityTestPage(TypedDict):
    """Tests of a run: those that failed first."""
    items: list[QualityTestOut]
    next: str | None


class QualityWaiverBody(TypedDict):
    """What is borne, by whom, why and until when."""
    service: str
    gate: NotRequired[str]
    key: str
    owner: str
    reason: str
    expires_at: str


class QualityWaiverOut(TypedDict):
    """Somebody's word that an objection is borne for a time."""
    id: str
    venture: str
    service: str
    gate: str
    key: str
    owner: str
    reason: str
    given_by: str
    given_at: str
    expires_at: str
    ended_at: str | None
    ended_by: str | None


class QualityWaiverPage(TypedDict):
    """Waivers, newest first."""
    items: list[QualityWaiverOut]
    next: str | None


class QuarantineIn(TypedDict):
    """Quarantine a test by hand."""
    service: str
    test_key: str
    reason: str
    owner: NotRequired[str]
    days: NotRequired[float]


class QuarantineOut(TypedDict):
    """A test that warns and does not block until a time."""
    id: str
    venture: str
    service: str
    test_key: str
    test_name: str
    owner: str
    reason: str
    evidence: dict[str, Any]
    by: str
    since: str
    until: str
    ended_at: str | None
    end_reason: str


class RejudgedOut(TypedDict):
    """One run by the other policy."""
    run: QualityRunOut
    state: GateState
    sentence: str
    difference: Difference
    gates: list[str]
    releases: list[str]


class ReleaseTestIn(TypedDict):
    """Let a quarantined test block again."""
    reason: str


class SignOffBody(TypedDict):
    """Which item of which checklist is vouched for, for which version."""
    service: str
    version: str
    commit: NotRequired[str]
    gate: str
    item: str
    note: NotRequired[str]


class SignOffOut(TypedDict):
    """A signed item."""
    id: str
    venture: str
    service: str
    version: str
    commit: str
    gate: str
    item: str
    by: str
    roles: list[str]
    note: str
    at: str


class UploadOut(TypedDict):
    """Reports that are judged later."""
    id: str
    service: str
    state: UploadState
    files: int
    size_bytes: int
    by: str
    at: str
    ended_at: str | None
    run_id: str | None
    reason: str


UploadState = Literal['waiting', 'working', 'judged', 'failed']


class WaiverEndBody(TypedDict):
    """Why a waiver is taken back."""
    reason: NotRequired[str]
