"""Routes of what is learned from quality runs: flaky tests, their quarantine, performance over time, and findings."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from productops.api import paging
from productops.api.access import allowed
from productops.api.release import BASE
from productops.api.wiring import ActorDep, ContextDep
from productops.domain.governance_access import Operation
from productops.domain.quality_flaky import SPAN, SPAN_MAX, SURE, FlakyDecision, FlakyMove, FlakyTest
from productops.domain.quality_improve import KnownInsight
from productops.domain.quality_insight import InsightKind, InsightState
from productops.domain.quality_performance import HistoryStep
from productops.domain.quality_runs import Quarantine
from productops.store.quality_learning import InsightFilter
from productops.usecases import quality_flaky, quality_improve, quality_performance
from productops.usecases.quality_flaky import FlakyReport
from productops.usecases.quality_improve import ImproveReport
from productops.usecases.quality_performance import SeriesHistory

QUALITY = f"{BASE}/quality"
router = APIRouter(tags=["quality"])
ServiceName = Annotated[str, Path(max_length=63, description="Name of the service.")]
TestKey = Annotated[str, Path(max_length=32, pattern=r"^[0-9a-f]{32}$", description="Key of the test.")]
InsightId = Annotated[str, Path(max_length=64, description="Id of the finding.")]
Text = Query(max_length=255, pattern=r"^[^\x00]*$")
READ = [allowed(Operation.QUALITY_READ)]
HOLD = [allowed(Operation.QUALITY_QUARANTINE)]
IMPROVE = [allowed(Operation.QUALITY_IMPROVE)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class FlakyCostOut(BaseModel):
    """What chance has cost."""

    retry_minutes: float = Field(description="Of machines, by the durations that tools told.")
    blocked_runs: float = Field(description="Runs that failed by chance; shared between the tests that failed in one.")
    people_minutes: float = Field(description="Blocked runs times the stated minutes for each.")


class FlakyTestOut(BaseModel):
    """How a test stands that failed or was retried at least once."""

    model_config = ConfigDict(from_attributes=True)

    key: str = Field(examples=["6f1ed002ab5595859014ebf0951522d9"])
    name: str
    suite: str
    file: str
    probability: float = Field(description="That it answers by chance, from 0 to 1.")
    rate: float = Field(description="Share of its executions that fail, if so.")
    broken: float = Field(description="Probability that the newest code really fails it.")
    runs: int
    failed_runs: int
    retried_runs: int = Field(description="Runs in which a retry of the same code undid a failure.")
    split_codes: int = Field(description="Commits that it both passed and failed.")
    clean_streak: int = Field(description="Newest runs in a row in which it only passed.")
    failed_at: datetime | None
    sentence: str
    cost: FlakyCostOut

    @classmethod
    def of(cls, test: FlakyTest) -> FlakyTestOut:
        """The test as callers see it."""
        own = {"cost", "sentence"}
        same = {name: getattr(test, name) for name in cls.model_fields if name not in own}
        cost = {name: getattr(test.cost, name) for name in FlakyCostOut.model_fields}
        return cls.model_validate(same | {"sentence": test.sentence, "cost": cost})


class QuarantineOut(BaseModel):
    """A test that warns and does not block until a time."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    venture: str
    service: str
    test_key: str
    test_name: str
    owner: str = Field(description="Who mends it.")
    reason: str
    evidence: dict[str, Any]
    by: str
    since: datetime
    until: datetime
    ended_at: datetime | None
    end_reason: str

    @classmethod
    def of(cls, held: Quarantine) -> QuarantineOut:
        """The quarantine as callers see it."""
        return cls.model_validate({name: getattr(held, name) for name in cls.model_fields} | {"evidence": dict(held.evidence)})


class FlakyDecisionOut(BaseModel):
    """What a review does about a test."""

    move: FlakyMove = Field(description="`block`: it was in quarantine, and the newest code really fails it.")
    key: str
    name: str
    reason: str

    @classmethod
    def of(cls, decision: FlakyDecision) -> FlakyDecisionOut:
        """The move as callers see it."""
        return cls(move=decision.move, key=decision.key, name=decision.name, reason=decision.reason)


class FlakyOut(BaseModel):
    """The flaky tests of a service."""

    service: str
    venture: str
    at: datetime
    runs: int = Field(description="Runs looked at.")
    people_minutes_each: float = Field(description="What a run blocked by chance is taken to cost somebody, minutes.")
    cost: FlakyCostOut
    tests: list[FlakyTestOut]
    quarantined: list[QuarantineOut]
    decisions: list[FlakyDecisionOut] = Field(description="What the review did; for a look, what the next one would do.")

    @classmethod
    def of(cls, report: FlakyReport, *, sure: float, limit: int) -> FlakyOut:
        """The report as callers see it."""
        return cls(
            service=report.service, venture=report.venture, at=report.at, runs=report.runs, people_minutes_each=report.people_minutes,
            cost=FlakyCostOut(
                retry_minutes=report.cost.retry_minutes, blocked_runs=report.cost.blocked_runs, people_minutes=report.cost.people_minutes
            ),
            tests=[FlakyTestOut.of(test) for test in report.flaky(sure)[:limit]],
            quarantined=[QuarantineOut.of(held) for held in report.quarantined],
            decisions=[FlakyDecisionOut.of(decision) for decision in report.decisions],
        )  # fmt: skip


class QuarantineIn(_Body):
    """Quarantine a test by hand."""

    service: str = Field(max_length=63)
    test_key: str = Field(pattern=r"^[0-9a-f]{32}$", examples=["6f1ed002ab5595859014ebf0951522d9"])
    reason: str = Field(min_length=10, max_length=2000)
    owner: str = Field(default="", max_length=255, description="Who mends it; empty: the service's venture.")
    days: float = Field(default=SPAN.days, ge=1 / 24, le=SPAN_MAX.days, description="For how long.")


class ReleaseTestIn(_Body):
    """Let a quarantined test block again."""

    reason: str = Field(min_length=10, max_length=2000)


class InsightOut(BaseModel):
    """A finding; an accepted one is a task."""

    id: str
    venture: str
    service: str
    kind: InsightKind
    state: InsightState
    title: str
    sentence: str
    action: str = Field(description="What to do.")
    minutes: float = Field(description="What it costs in a month, as far as known; 0: not known.")
    weight: float = Field(description="What speaks for it: failures, runs or incidents.")
    evidence: dict[str, Any]
    reason: str = Field(description="Of the last decision.")
    decided_by: str | None
    decided_at: datetime | None
    found_at: datetime
    seen_at: datetime
    gone_at: datetime | None = Field(description="When a review no longer found it.")

    @classmethod
    def of(cls, known: KnownInsight) -> InsightOut:
        """The finding as callers see it."""
        outer = ("id", "venture", "service", "state", "reason", "decided_by", "decided_at", "found_at", "seen_at", "gone_at")
        inner = ("kind", "title", "sentence", "action", "minutes", "weight")
        told = {name: getattr(known, name) for name in outer} | {name: getattr(known.insight, name) for name in inner}
        return cls.model_validate(told | {"evidence": dict(known.insight.evidence)})


class InsightPage(BaseModel):
    """Findings, newest first; pass `next` as `after` for the following page."""

    items: list[InsightOut]
    next: str | None


class ReviewOut(BaseModel):
    """What a review of a service found."""

    service: str
    runs: int
    opened: int
    still: int
    back: int = Field(description="Dismissed or done before; the evidence has doubled since.")
    gone: int
    items: list[InsightOut] = Field(description="The dearest first.")

    @classmethod
    def of(cls, report: ImproveReport) -> ReviewOut:
        """The review as callers see it."""
        same = {name: getattr(report, name) for name in ("service", "runs", "opened", "still", "back", "gone")}
        return cls.model_validate(same | {"items": [InsightOut.of(each) for each in report.insights]})


class DecideIn(_Body):
    """Why; may be empty for accepting and finishing."""

    reason: str = Field(default="", max_length=2000)


class StepOut(BaseModel):
    """The level of a series moved."""

    model_config = ConfigDict(from_attributes=True)

    index: int = Field(description="The first run on the new level, counted from 0.")
    before: float
    after: float
    change: float = Field(description="0.1 is +10 %.")
    low: float | None = Field(description="The change is surely (95 %) above this; null: it is no ratio.")
    high: float | None
    detectable: float | None = Field(description="Smaller moves could hide in the noise.")
    worse: bool

    @classmethod
    def of(cls, step: HistoryStep) -> StepOut:
        """The step as callers see it."""
        told = {name: getattr(step, name) for name in cls.model_fields}
        return cls.model_validate({name: None if value != value else value for name, value in told.items()})  # noqa: PLR0124 - NaN


class SeriesOut(BaseModel):
    """A performance series over its runs on one kind of runner, oldest first."""

    service: str
    series: str
    runner: str
    unit: str
    higher_is_better: bool | None
    medians: list[float]
    commits: list[str]
    detectable: float | None = Field(description="The smallest change of one run that would be seen with a power of 80 %.")
    steps: list[StepOut]

    @classmethod
    def of(cls, found: SeriesHistory) -> SeriesOut:
        """The series as callers see it."""
        same = {name: getattr(found, name) for name in ("service", "series", "runner", "unit", "higher_is_better", "detectable")}
        return cls.model_validate(
            same | {"medians": list(found.medians), "commits": list(found.commits), "steps": [StepOut.of(step) for step in found.steps]}
        )


class SeriesPage(BaseModel):
    """Series by name and runner; all in one page."""

    items: list[SeriesOut]


@router.get(f"{QUALITY}/flaky/{{service}}", operation_id="readFlakyTests", dependencies=READ, summary="How tests stand that failed")
def read_flaky(
    service: ServiceName, context: ContextDep, actor: ActorDep,
    sure: Annotated[float, Query(ge=0, le=1, description="Tests from this probability of chance.")] = SURE,
    limit: paging.ManyLimit = 100,
) -> FlakyOut:  # fmt: skip
    """By the stored runs; nothing is changed."""
    return FlakyOut.of(quality_flaky.read_flaky(context, service, actor), sure=sure, limit=limit)


@router.post(f"{QUALITY}/flaky/{{service}}/review", operation_id="reviewFlakyTests", dependencies=HOLD, summary="Review flaky tests now")
def review_flaky(service: ServiceName, context: ContextDep, actor: ActorDep) -> FlakyOut:
    """Quarantine, release, expire, or let block again, as the evidence asks for; the quality flow does it after each run."""
    return FlakyOut.of(quality_flaky.review_flaky(context, service, actor), sure=SURE, limit=500)


@router.post(f"{QUALITY}/quarantine", operation_id="quarantineTest", dependencies=HOLD, status_code=201, summary="Quarantine a test")
def quarantine_test(body: QuarantineIn, context: ContextDep, actor: ActorDep) -> QuarantineOut:
    """It warns and does not block until its time ends, somebody releases it, or the newest code really fails it."""
    held = quality_flaky.quarantine_test(
        context, body.service, body.test_key, reason=body.reason, actor=actor, owner=body.owner, span=timedelta(days=body.days)
    )
    return QuarantineOut.of(held)


@router.post(
    f"{QUALITY}/quarantine/{{service}}/{{test_key}}/release", operation_id="releaseTest", dependencies=HOLD,
    summary="Let a quarantined test block again",
)  # fmt: skip
def release_test(service: ServiceName, test_key: TestKey, body: ReleaseTestIn, context: ContextDep, actor: ActorDep) -> QuarantineOut:
    """At once."""
    return QuarantineOut.of(quality_flaky.release_test(context, service, test_key, reason=body.reason, actor=actor))


@router.get(f"{QUALITY}/performance/{{service}}", operation_id="readPerformance", dependencies=READ, summary="Performance over the runs")
def read_performance(
    service: ServiceName, context: ContextDep, actor: ActorDep,
    series: Annotated[str | None, Text] = None,
    runner: Annotated[str | None, Text] = None,
) -> SeriesPage:  # fmt: skip
    """Every series of the service, or the one that is named, with the steps of its level."""
    found = quality_performance.read_series(context, service, actor=actor, series=series, runner=runner)
    return SeriesPage(items=[SeriesOut.of(each) for each in found])


@router.get(
    f"{QUALITY}/performance/{{service}}/picture", operation_id="drawPerformance", dependencies=READ, summary="A series as a picture",
    response_class=Response, responses={200: {"content": {"image/svg+xml": {}}}},
)  # fmt: skip
def draw_performance(
    service: ServiceName, context: ContextDep, actor: ActorDep, series: Annotated[str, Text] = "", runner: Annotated[str, Text] = ""
) -> Response:  # fmt: skip
    """SVG: the medians of the runs, the level between steps, and the steps. No series named: the first by name."""
    from productops.adapters.quality_performance_picture import draw

    found = quality_performance.one_series(context, service, series=series, runner=runner, actor=actor)
    return Response(draw(found.title, found.unit, found.medians, found.steps), media_type="image/svg+xml")


@router.get(f"{QUALITY}/insights", operation_id="listInsights", dependencies=READ, summary="List findings, newest first")
def list_insights(
    context: ContextDep, actor: ActorDep,
    service: Annotated[str | None, Text] = None,
    kind: InsightKind | None = None,
    state: InsightState | None = None,
    gone: Annotated[bool, Query(description="Also those that the newest review did not find.")] = False,  # noqa: FBT002
    limit: paging.Limit = 50, after: paging.After = None,
) -> InsightPage:  # fmt: skip
    """Filters are exact and can be combined."""
    wanted = InsightFilter(service=service, kind=kind, state=state, gone=gone)
    found = quality_improve.list_insights(context, wanted, actor=actor, before=paging.decode_one(after), limit=limit + 1)
    page, following = paging.cut(found, limit, lambda each: (each.id,))
    return InsightPage(items=[InsightOut.of(each) for each in page], next=following)


@router.get(f"{QUALITY}/insights/{{insight_id}}", operation_id="getInsight", dependencies=READ, summary="Read a finding")
def read_insight(insight_id: InsightId, context: ContextDep, actor: ActorDep) -> InsightOut:
    """With its evidence."""
    return InsightOut.of(quality_improve.read_insight(context, insight_id, actor=actor))


@router.post(f"{QUALITY}/insights/review/{{service}}", operation_id="reviewQuality", dependencies=IMPROVE, summary="Look for findings now")
def review_quality(service: ServiceName, context: ContextDep, actor: ActorDep) -> ReviewOut:
    """Each matter is found once and keeps its state; the quality flow does it after each run."""
    return ReviewOut.of(quality_improve.review_quality(context, service, actor))


@router.post(f"{QUALITY}/insights/{{insight_id}}/accept", operation_id="acceptInsight", dependencies=IMPROVE, summary="Make it a task")
def accept_insight(insight_id: InsightId, body: DecideIn, context: ContextDep, actor: ActorDep) -> InsightOut:
    """The development process reads it."""
    return InsightOut.of(quality_improve.accept_insight(context, insight_id, reason=body.reason, actor=actor))


@router.post(f"{QUALITY}/insights/{{insight_id}}/finish", operation_id="finishInsight", dependencies=IMPROVE, summary="The task is done")
def finish_insight(insight_id: InsightId, body: DecideIn, context: ContextDep, actor: ActorDep) -> InsightOut:
    """It comes back when the evidence doubles."""
    return InsightOut.of(quality_improve.finish_insight(context, insight_id, reason=body.reason, actor=actor))


@router.post(f"{QUALITY}/insights/{{insight_id}}/dismiss", operation_id="dismissInsight", dependencies=IMPROVE, summary="Not worth it")
def dismiss_insight(insight_id: InsightId, body: ReleaseTestIn, context: ContextDep, actor: ActorDep) -> InsightOut:
    """With a reason; it comes back when the evidence doubles."""
    return InsightOut.of(quality_improve.dismiss_insight(context, insight_id, reason=body.reason, actor=actor))
