"""Routes of features: how far they are, whether they are ready, whether they were a success."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from productops.api import paging
from productops.api.access import allowed
from productops.api.release import BASE
from productops.api.wiring import ActorDep, ContextDep
from productops.domain.development import Stage
from productops.domain.development_progress import Row
from productops.domain.development_progress_next import NextAction
from productops.domain.development_readiness import Answer, AnswerState, Check
from productops.domain.governance_access import Operation
from productops.store.development_progress import FeatureFilter
from productops.usecases import development_progress, development_readiness
from productops.usecases.development_progress import FeatureLine, FeatureReport, ProgressFigure
from productops.usecases.development_readiness import AnswerReport

DEVELOPMENT = f"{BASE}/development"
router = APIRouter(tags=["development"])
READ = [allowed(Operation.DEVELOPMENT_READ)]
FeatureId = Annotated[str, Path(max_length=255, description="Id of the feature, or its key in its tool: APOLLO-12.")]
Name = Query(max_length=255, pattern=r"^[^\x00]*$")


class DevelopmentRowOut(BaseModel):
    """A stored thing behind a figure."""

    model_config = ConfigDict(from_attributes=True)

    kind: str = Field(examples=["work item"])
    id: str
    key: str = Field(examples=["APOLLO-13"])
    title: str
    url: str = Field(description="In its own tool, or below this API.")

    @classmethod
    def of(cls, row: Row) -> DevelopmentRowOut:
        """The row as callers see it."""
        return cls.model_validate(row)


class ProgressFigureOut(BaseModel):
    """A figure with what it was made of."""

    values: dict[str, Any] = Field(description="Units stand in the names.")
    how: str = Field(description="How it was made.")
    rows: list[DevelopmentRowOut] = Field(description="At most 200.")
    total: int = Field(description="How many rows there are.")

    @classmethod
    def of(cls, figure: ProgressFigure) -> ProgressFigureOut:
        """The figure as callers see it."""
        return cls(values=figure.values, how=figure.how, rows=[DevelopmentRowOut.of(row) for row in figure.rows], total=figure.total)


class NextActionOut(BaseModel):
    """What to do next."""

    model_config = ConfigDict(from_attributes=True)

    action: str
    why: str
    rows: list[str] = Field(description="Keys or ids of what it is about.")

    @classmethod
    def of(cls, found: NextAction) -> NextActionOut:
        """The action as callers see it."""
        return cls(action=found.action, why=found.why, rows=list(found.rows))


class FeatureOut(BaseModel):
    """A feature as its tool tells it."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    key: str
    title: str
    venture: str
    source: str
    stage: Stage
    status: str
    priority: str
    due_at: datetime | None
    done_at: datetime | None
    changed_at: datetime
    url: str


class FeatureReportOut(BaseModel):
    """How far a feature is."""

    feature: FeatureOut
    at: datetime = Field(description="When the store was read.")
    seen_at: datetime | None = Field(description="When the feature itself was last told of by its tool.")
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

    @classmethod
    def of(cls, report: FeatureReport) -> FeatureReportOut:
        """The report as callers see it."""
        figures = {name: ProgressFigureOut.of(figure) for name, figure in report.figures.items()}
        return cls(
            feature=FeatureOut.model_validate(report.feature), at=report.at, seen_at=report.feature.seen_at, ready=report.readiness.state,
            next=NextActionOut.of(report.next), **figures,
        )  # fmt: skip


class FeatureLineOut(FeatureOut):
    """A line of the list."""

    items: int
    items_done: int
    done_by_items: float | None = Field(description="In [0, 1].")
    done_by_effort: float | None
    blocked: list[str] = Field(description="Keys of items that wait.")

    @classmethod
    def of(cls, line: FeatureLine) -> FeatureLineOut:
        """The line as callers see it."""
        plain = FeatureOut.model_validate(line.feature).model_dump()
        return cls(
            **plain, items=line.items, items_done=line.items_done, done_by_items=line.by_items, done_by_effort=line.by_effort,
            blocked=list(line.blocked),
        )  # fmt: skip


class FeaturePage(BaseModel):
    """Features, newest first; pass `next` as `after` for the following page."""

    items: list[FeatureLineOut]
    next: str | None


class CheckOut(BaseModel):
    """One condition."""

    name: str = Field(examples=["gates of storefront"])
    state: AnswerState
    sentence: str
    missing: list[str] = Field(description="What there has to be for it to pass.")
    evidence: list[str] = Field(description="Keys or ids of what was looked at.")

    @classmethod
    def of(cls, check: Check) -> CheckOut:
        """The check as callers see it."""
        return cls(name=check.name, state=check.state, sentence=check.sentence, missing=list(check.missing), evidence=list(check.evidence))


class StoredAnswerOut(BaseModel):
    """What was answered last."""

    state: AnswerState
    sentence: str
    at: datetime
    by: str


class AnswerOut(BaseModel):
    """The answer now. What cannot be known is `inconclusive`, never `passed`."""

    feature: FeatureOut
    at: datetime
    state: AnswerState
    sentence: str
    checks: list[CheckOut]
    declared: dict[str, Any] | None = Field(description="What its catalog entry (`kind: Feature`) says; null: there is none.")
    stored: StoredAnswerOut | None = Field(description="The last answer that was kept; the review keeps one whenever it is another.")

    @classmethod
    def of(cls, report: AnswerReport) -> AnswerOut:
        """The answer as callers see it."""
        answer: Answer = report.answer
        kept = report.stored
        return cls(
            feature=FeatureOut.model_validate(report.feature), at=report.at, state=answer.state, sentence=answer.sentence,
            checks=[CheckOut.of(check) for check in answer.checks],
            declared=report.goal.model_dump(mode="json") if report.goal is not None else None,
            stored=StoredAnswerOut(state=kept.state, sentence=kept.sentence, at=kept.at, by=kept.by) if kept is not None else None,
        )  # fmt: skip


@router.get(f"{DEVELOPMENT}/features", operation_id="listFeatures", dependencies=READ, summary="List features, newest first")
def list_features(
    context: ContextDep,
    actor: ActorDep,
    venture: Annotated[str | None, Name] = None,
    source: Annotated[str | None, Name] = None,
    stage: Annotated[Stage | None, Query(description="How far they are.")] = None,
    text: Annotated[str | None, Name] = None,
    after: paging.After = None,
    limit: paging.Limit = 50,
) -> FeaturePage:
    """With how much of each is done. `text` is part of key or title."""
    wanted = FeatureFilter(venture=venture, source=source, stage=stage, text=text)
    before = paging.decode_id(after)
    found = development_progress.list_features(context, wanted, before=before, limit=limit + 1, actor=actor)
    page, following = paging.cut(found, limit, lambda line: (line.feature.id,))
    return FeaturePage(items=[FeatureLineOut.of(line) for line in page], next=following)


@router.get(f"{DEVELOPMENT}/{{feature_id}}", operation_id="getFeature", dependencies=READ, summary="How far a feature is")
def show(feature_id: FeatureId, context: ContextDep, actor: ActorDep) -> FeatureReportOut:
    """Done, scope, time in each stage, blocked, forecast, quality, what is live, risk, and what to do next; each with its rows."""
    return FeatureReportOut.of(development_progress.feature_report(context, feature_id, actor=actor))


@router.get(f"{DEVELOPMENT}/{{feature_id}}/readiness", operation_id="getFeatureReadiness", dependencies=READ, summary="Is a feature ready?")
def ready(feature_id: FeatureId, context: ContextDep, actor: ActorDep) -> AnswerOut:
    """A checklist with evidence, and what is missing for its release."""
    return AnswerOut.of(development_readiness.answer_report(context, feature_id, "readiness", actor=actor))


@router.get(
    f"{DEVELOPMENT}/{{feature_id}}/success", operation_id="getFeatureSuccess", dependencies=READ, summary="Was a feature a success?"
)
def succeeded(feature_id: FeatureId, context: ContextDep, actor: ActorDep) -> AnswerOut:
    """By the criteria of its catalog entry, measured since users got it."""
    return AnswerOut.of(development_readiness.answer_report(context, feature_id, "success", actor=actor))
