"""Routes of risk: of a change or a release before it goes out, what was said before, and what rates."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from productops.api import paging
from productops.api.access import allowed
from productops.api.development_progress import DevelopmentRowOut
from productops.api.release import BASE
from productops.api.wiring import ActorDep, ContextDep
from productops.domain.catalog_approvals import RiskLevel
from productops.domain.governance_access import Operation
from productops.store.development_risk import KnownModel, Prediction
from productops.usecases import development_risk
from productops.usecases.development_risk import RiskReport

DEVELOPMENT = f"{BASE}/development"
router = APIRouter(tags=["development"])
READ = [allowed(Operation.DEVELOPMENT_READ)]
Subject = Annotated[str, Path(max_length=255, description="Id or key of a change, or id of a release.")]
OnlyVenture = Annotated[str | None, Query(max_length=63, description="Of this venture only.")]


class RiskReasonOut(BaseModel):
    """What speaks for or against a change."""

    model_config = ConfigDict(from_attributes=True)

    group: str
    text: str
    effect: float = Field(description="Log-odds against an average change; above 0: riskier.")


class AssessmentOut(BaseModel):
    """What the model says of one change."""

    change: str
    probability: float = Field(description="That it breaks something, from 0 to 1.")
    usual: float = Field(description="Share of changes that broke something in what was learned from.")
    level: RiskLevel
    reasons: list[RiskReasonOut]


class PredictionOut(BaseModel):
    """What was said before, and what became of it."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    venture: str
    subject: str
    title: str
    level: RiskLevel
    probability: float | None
    model_id: str | None
    method: str
    reasons: list[str]
    at: datetime
    outcome: str | None = Field(description="`broke` or `held`; null: nobody knows yet.")
    outcome_at: datetime | None
    outcome_reason: str

    @classmethod
    def of(cls, known: Prediction) -> PredictionOut:
        """The prediction as callers see it."""
        return cls.model_validate({name: getattr(known, name) for name in cls.model_fields} | {"reasons": list(known.reasons)})


class RiskReportOut(BaseModel):
    """How risky it is, and why."""

    subject: str = Field(examples=["change/0197c5a2-6f0e-7c3a-9b1f-2f6c1d0b7e11"])
    title: str
    venture: str
    level: RiskLevel
    probability: float | None = Field(description="Of a release: that any of its changes breaks something, as if they were independent.")
    usual: float | None
    method: str = Field(description="`learned`: the venture's own model decides with the rule; `prior`: the rule decides, the public model "
                        "is shown; `rule`: the rule alone.")  # fmt: skip
    model_id: str | None
    why_method: str
    reasons: list[str]
    assessed: list[AssessmentOut]
    rows: list[DevelopmentRowOut]
    at: datetime
    stored: PredictionOut | None = Field(description="What was said last and kept.")

    @classmethod
    def of(cls, report: RiskReport) -> RiskReportOut:
        """The report as callers see it."""
        assessed = [
            AssessmentOut(
                change=each.change, probability=each.probability, usual=each.usual, level=each.level,
                reasons=[RiskReasonOut.model_validate(reason) for reason in each.reasons],
            )
            for each in report.assessed
        ]  # fmt: skip
        same = ("subject", "title", "venture", "level", "probability", "usual", "method", "model_id", "why_method", "at")
        return cls(
            **{name: getattr(report, name) for name in same}, reasons=list(report.reasons), assessed=assessed,
            rows=[DevelopmentRowOut.of(row) for row in report.rows], stored=PredictionOut.of(report.stored) if report.stored else None,
        )  # fmt: skip


class PredictionPage(BaseModel):
    """Predictions, newest first; pass `next` as `after` for the following page."""

    items: list[PredictionOut]
    next: str | None


class RiskModelOut(BaseModel):
    """A learned model, without its numbers."""

    id: str
    venture: str
    state: str = Field(description="`trusted`: in use; `distrusted`, `drifted`, `replaced`: not.")
    reason: str
    judged: dict[str, Any] = Field(description="On the venture's own later changes.")
    drift: dict[str, Any]
    changes: int
    broke: int
    by: str
    at: datetime
    ended_at: datetime | None

    @classmethod
    def of(cls, known: KnownModel) -> RiskModelOut:
        """The model as callers see it."""
        return cls.model_validate({name: getattr(known, name) for name in cls.model_fields})


class RiskModelsOut(BaseModel):
    """What rates in a venture now, and what was learned before."""

    venture: str
    method: str
    why: str
    items: list[RiskModelOut]


@router.get(f"{DEVELOPMENT}/risk", operation_id="listRiskPredictions", dependencies=READ, summary="List what was said of changes")
def list_predictions(
    context: ContextDep, actor: ActorDep, venture: OnlyVenture = None, after: paging.After = None, limit: paging.Limit = 50
) -> PredictionPage:
    """With what became of each; newest first."""
    before = paging.decode_id(after)
    found = development_risk.list_predictions(context, venture=venture, before=before, limit=limit + 1, actor=actor)
    page, following = paging.cut(found, limit, lambda each: (each.id,))
    return PredictionPage(items=[PredictionOut.of(each) for each in page], next=following)


@router.get(f"{DEVELOPMENT}/risk-models", operation_id="listRiskModels", dependencies=READ, summary="What rates risk, and why")
def list_models(
    context: ContextDep, actor: ActorDep, venture: Annotated[str, Query(max_length=63, description="Name of the venture.")]
) -> RiskModelsOut:
    """The newest twenty models that were learned, trusted or not."""
    model, known = development_risk.models_of(context, venture, actor=actor)
    return RiskModelsOut(venture=venture, method=model.method, why=model.why, items=[RiskModelOut.of(each) for each in known])


@router.get(f"{DEVELOPMENT}/risk/{{subject}}", operation_id="getRisk", dependencies=READ, summary="How risky a change or release is")
def show(subject: Subject, context: ContextDep, actor: ActorDep) -> RiskReportOut:
    """By the rule, by what was learned, and by what is known of gates, roll backs and incidents; with reasons."""
    return RiskReportOut.of(development_risk.risk_report(context, subject, actor=actor))
