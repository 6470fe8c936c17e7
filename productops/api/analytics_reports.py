"""Routes of weekly reports, as JSON and as a page without scripts, of their mails, and of predictions of success."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from productops.api.access import allowed
from productops.api.release import BASE
from productops.api.wiring import ActorDep, ContextDep
from productops.domain.analytics_predict import SuccessPrediction
from productops.domain.analytics_report import Kind, ReportSection, WeeklyReport, recipients_for
from productops.domain.analytics_report_pages import as_html, as_markdown, as_text
from productops.domain.governance_access import Operation
from productops.errors import InvalidInputError
from productops.store.analytics_reports import ReportMail
from productops.usecases import analytics_predict, analytics_report, analytics_report_mail
from productops.usecases.analytics_predict import Predictions, without_curve

router = APIRouter(tags=["analytics"])
READ = [allowed(Operation.ANALYTICS_READ)]
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
VentureName = Annotated[str, Path(max_length=63, description="Name of the venture.")]
Week = Annotated[str, Path(max_length=10, description="Like 2026-W47; `last`: the last whole week; `current`.")]
HTML: dict[int | str, dict[str, Any]] = {200: {"content": {"text/html": {}, "text/markdown": {}, "text/plain": {}}}}


class ReportFigureOut(BaseModel):
    """One figure with its change to the week before."""

    name: str
    kind: Kind
    value: float | None = Field(description="Null: nothing was measured. Shares from 0 to 1; dates as days since 1970.")
    before: float | None = Field(description="In the week before.")
    written: str = Field(description="The value as people read it.")
    change: str
    link: str
    note: str


class ReportSectionOut(BaseModel):
    """Figures and sentences of one subject."""

    title: str
    figures: list[ReportFigureOut]
    sentences: list[str]
    gap: str = Field(description="Why there is nothing to say, where there is nothing.")

    @classmethod
    def of(cls, section: ReportSection) -> ReportSectionOut:
        """The section as callers see it."""
        figures = [
            ReportFigureOut.model_validate({name: getattr(each, name) for name in ReportFigureOut.model_fields}) for each in section.figures
        ]
        gap = (section.gap or "nothing measured") if section.empty else ""
        return cls(title=section.title, figures=figures, sentences=list(section.sentences), gap=gap)


class WeeklyReportOut(BaseModel):
    """A week of a venture on one page."""

    venture: str
    week: str
    title: str
    made_at: datetime
    whole: bool = Field(description="The week was over when it was made: it stays as it is.")
    headlines: list[str]
    sections: list[ReportSectionOut]
    text: str = Field(description="The same as plain text.")

    @classmethod
    def of(cls, report: WeeklyReport) -> WeeklyReportOut:
        """The report as callers see it."""
        return cls(
            venture=report.venture, week=report.week, title=report.title, made_at=report.made_at, whole=report.whole,
            headlines=list(report.headlines), sections=[ReportSectionOut.of(each) for each in report.sections], text=as_text(report),
        )  # fmt: skip


class ReportLineOut(BaseModel):
    """A kept report."""

    model_config = ConfigDict(from_attributes=True)

    week: str
    made_at: datetime
    whole: bool


class ReportPage(BaseModel):
    """Kept reports, newest week first; all in one page."""

    items: list[ReportLineOut]


class ReportMailsIn(BaseModel):
    """Who gets it."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"to": ["board@example.com"]}]})

    to: list[Annotated[str, Field(max_length=255)]] = Field(
        default_factory=list, max_length=100, description="In place of the configured recipients."
    )


class ReportMailOut(BaseModel):
    """What became of one mail."""

    model_config = ConfigDict(from_attributes=True)

    recipient: str
    state: str = Field(description="`waiting`, `sending`, `sent`, `failed` (tried again by the next request or flow run).")
    attempts: int
    doubtful: int = Field(description="Attempts that ended without an answer; after one, the mail may arrive twice.")
    error: str
    at: datetime


class ReportMailsOut(BaseModel):
    """Mails of a report by recipient."""

    items: list[ReportMailOut]

    @classmethod
    def of(cls, mails: Sequence[ReportMail]) -> ReportMailsOut:
        """The mails as callers see them."""
        return cls(items=[ReportMailOut.model_validate(each) for each in mails])


class SuccessPredictionOut(BaseModel):
    """With which probability a feature reaches its goal of use."""

    model_config = ConfigDict(from_attributes=True)

    feature: str
    day: date
    due_at: datetime
    target: float = Field(description="Share of active people who use it that is wanted.")
    probability: float
    base: float = Field(description="Share of the venture's past features that got there; near a half while there are few.")
    method: str = Field(description="`prior`: a general expectation; `learned`: weighed by the venture's own past.")
    days: int = Field(description="Days it was seen for.")
    signals: dict[str, Any] = Field(description="What it was said by; null where it is not measured.")
    reasons: list[str]
    outcome: str | None
    actual: float | None

    @classmethod
    def of(cls, prediction: SuccessPrediction) -> SuccessPredictionOut:
        """The prediction as callers see it."""
        shown = without_curve(prediction)
        same = {name: getattr(shown, name) for name in cls.model_fields}
        return cls.model_validate(same | {"reasons": list(shown.reasons), "signals": dict(shown.signals)})


class SilentOut(BaseModel):
    """A feature of which nothing is said."""

    model_config = ConfigDict(from_attributes=True)

    feature: str
    why: str


class ReliabilityBinOut(BaseModel):
    """Features of which about the same was said."""

    count: int
    said: float
    reached: float


class ReliabilityOut(BaseModel):
    """How good predictions were so far; each feature counts once."""

    sentence: str
    features: int
    brier: float | None = Field(description="Mean squared error, 0 is best.")
    brier_base: float | None = Field(description="Of the base rate.")
    calibration_error: float | None
    by_chance: float | None = Field(description="What perfect probabilities would show on so few features.")
    bins: list[ReliabilityBinOut]


class PredictionsOut(BaseModel):
    """What is said of the features of a venture."""

    venture: str
    items: list[SuccessPredictionOut]
    silent: list[SilentOut]
    reliability: ReliabilityOut

    @classmethod
    def of(cls, found: Predictions) -> PredictionsOut:
        """As callers see it."""
        kept = found.reliability
        bins = [ReliabilityBinOut(count=count, said=said, reached=reached) for count, said, reached in kept.bins]
        same = {name: getattr(kept, name) for name in ("sentence", "features", "brier", "brier_base", "calibration_error", "by_chance")}
        return cls(
            venture=found.venture, items=[SuccessPredictionOut.of(each) for each in found.items],
            silent=[SilentOut.model_validate(each) for each in found.silent], reliability=ReliabilityOut(**same, bins=bins),
        )  # fmt: skip


@router.get(f"{BASE}/reports/{{venture}}", operation_id="listReports", dependencies=READ, summary="List kept reports")
def list_reports(venture: VentureName, context: ContextDep, actor: ActorDep) -> ReportPage:
    """The newest sixty weeks."""
    found = analytics_report.list_reports(context, venture, actor=actor)
    return ReportPage(items=[ReportLineOut.model_validate(each) for each in found])


@router.get(
    f"{BASE}/reports/{{venture}}/{{week}}", operation_id="getReport", dependencies=READ, summary="Read the report of a week",
    response_model=WeeklyReportOut, responses=HTML,
)  # fmt: skip
def show_report(
    venture: VentureName, week: Week, context: ContextDep, actor: ActorDep,
    format_: Annotated[Literal["json", "html", "markdown", "text"], Query(alias="format", description="How it is written.")] = "json",
) -> WeeklyReportOut | Response:  # fmt: skip
    """The kept one; while the week is not over, as it would be now. It takes the right to read every room it shows."""
    report = analytics_report.read_report(context, venture, week, actor=actor)
    if format_ == "html":
        return Response(as_html(report), media_type="text/html", headers={"Content-Security-Policy": POLICY})
    if format_ != "json":
        return Response(as_markdown(report) if format_ == "markdown" else as_text(report), media_type=(
            "text/markdown; charset=utf-8" if format_ == "markdown" else "text/plain; charset=utf-8"
        ))  # fmt: skip
    return WeeklyReportOut.of(report)


@router.post(
    f"{BASE}/reports/{{venture}}/{{week}}/mails", operation_id="sendReport", dependencies=[allowed(Operation.REPORT_SEND)],
    summary="Send a report by mail",
)  # fmt: skip
def send_report(
    venture: VentureName, week: Week, body: ReportMailsIn, request: Request, context: ContextDep, actor: ActorDep
) -> ReportMailsOut:  # fmt: skip
    """To those who have not got it; nobody gets it twice."""
    settings = request.app.state.settings
    to = body.to or recipients_for(settings.report_to, venture)
    if not to:
        raise InvalidInputError("nobody is named to send it to: name somebody in `to`, or set PRODUCTOPS_REPORT_TO")
    return ReportMailsOut.of(analytics_report_mail.send_report(context, venture, week, to, base=settings.public_url, actor=actor))


@router.get(
    f"{BASE}/reports/{{venture}}/{{week}}/mails", operation_id="listReportMails", dependencies=[allowed(Operation.REPORT_SEND)],
    summary="List to whom a report went",
)  # fmt: skip
def list_mails(venture: VentureName, week: Week, context: ContextDep, actor: ActorDep) -> ReportMailsOut:
    """By recipient."""
    return ReportMailsOut.of(analytics_report_mail.read_mails(context, venture, week, actor=actor))


@router.get(
    f"{BASE}/predictions/{{venture}}", operation_id="getPredictions", dependencies=READ, summary="Read predictions of success"
)  # fmt: skip
def show_predictions(venture: VentureName, context: ContextDep, actor: ActorDep) -> PredictionsOut:
    """What was said last of each feature with a goal of use, with reasons, and how good such words were so far."""
    return PredictionsOut.of(analytics_predict.read_predictions(context, venture, actor=actor))


@router.post(
    f"{BASE}/predictions/{{venture}}", operation_id="makePredictions", dependencies=[allowed(Operation.ANALYTICS_WRITE)],
    summary="Predict now",
)  # fmt: skip
def make_predictions(venture: VentureName, context: ContextDep, actor: ActorDep) -> PredictionsOut:
    """The flow `analytics-predict` does it each day; of one day the last word is kept."""
    return PredictionsOut.of(analytics_predict.predict_success(context, venture, actor=actor))
