"""Wire schemas of insights about use."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from productops.domain.analytics_insight import (
    ActionKind,
    AnalyticsInsightKind,
    AnalyticsInsightState,
    Helped,
    Insight,
    InsightNight,
    InsightTask,
    Measure,
    Outcome,
)

if TYPE_CHECKING:
    from productops.usecases.analytics_insight_find import InsightReport


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class InsightActionOut(BaseModel):
    """What accepting does."""

    kind: ActionKind
    text: str
    detail: dict[str, Any] = Field(description="Of a flag: flag, environment, percent; of a rollout: release.")


class AnalyticsInsightOut(BaseModel):
    """An insight in a list."""

    id: str
    venture: str
    kind: AnalyticsInsightKind
    state: AnalyticsInsightState
    title: str
    feature: str = Field(examples=["checkout"])
    measure: Measure
    dimension: str = Field(description="The segment that explains it; empty: everybody.", examples=["platform"])
    value: str = Field(examples=["ios"])
    first_day: date = Field(description="Since when.")
    change: float = Field(description="0.1 is +10 %.", examples=[-0.31])
    low: float = Field(description="With 95 % confidence it is above this.", examples=[-0.38])
    high: float = Field(examples=[-0.22])
    worth: float = Field(description="Value times confidence: what is surely moved a day.", examples=[412.0])
    action: InsightActionOut
    found_day: date
    seen_day: date
    over_day: date | None
    due_day: date | None = Field(description="When its effect is measured.")
    outcome: Outcome | None

    @classmethod
    def of(cls, insight: Insight) -> AnalyticsInsightOut:
        """The insight as callers see it."""
        return cls.model_validate(_flat(insight, cls))


class AnalyticsInsightDetail(AnalyticsInsightOut):
    """An insight with its evidence."""

    sentence: str = Field(description="What happened, how sure that is, and what else could explain it.")
    p: float = Field(description="How likely chance alone shows this of the feature in one night.")
    evidence: dict[str, Any] = Field(description="Rows by day, segments, and what happened about that time.")
    reason: str
    decided_by: str | None
    decided_at: datetime | None
    follow: dict[str, Any] = Field(description="What accepting made.")
    effect: dict[str, Any] = Field(description="What was measured afterwards.")

    @classmethod
    def of(cls, insight: Insight) -> AnalyticsInsightDetail:
        """The insight as callers see it."""
        return cls.model_validate(_flat(insight, cls))


def _flat(insight: Insight, model: type[BaseModel]) -> dict[str, Any]:
    finding = insight.finding
    told = {name: getattr(insight if hasattr(insight, name) else finding, name) for name in model.model_fields if name != "action"}
    action = {"kind": finding.action.kind, "text": finding.action.text, "detail": dict(finding.action.detail)}
    return told | {"action": action}


class HelpedOut(_Out):
    """How many accepted insights did what they promised."""

    measured: int
    helped: int
    worse: int
    cannot_tell: int
    waiting: int
    share: float | None = Field(description="helped of measured; null: nothing was measured yet.")
    sentence: str

    @classmethod
    def of(cls, helped: Helped) -> HelpedOut:
        """As callers see it."""
        return cls.model_validate({name: getattr(helped, name) for name in cls.model_fields})


class AnalyticsInsightPage(BaseModel):
    """Insights, newest first; pass `next` as `after` for the following page."""

    items: list[AnalyticsInsightOut]
    next: str | None
    helped: HelpedOut


class AcceptInsightIn(_Body):
    """How to accept."""

    action: ActionKind | None = Field(default=None, description="Nothing: what the insight recommends.")
    reason: str = Field(default="", max_length=2000)
    after_days: int = Field(default=14, ge=1, le=90, description="So many days afterwards its effect is measured.")


class DismissInsightIn(_Body):
    """Why it is not worth it."""

    reason: str = Field(min_length=10, max_length=2000)


class LookWish(_Body):
    """Which day, in UTC; one that is over."""

    day: date


class InsightNightOut(_Out):
    """What one day's look spent and found."""

    day: date
    series: int = Field(description="Series looked at.")
    tests: int = Field(description="Features tested; each counts once, with all its segments and spans.")
    level: float = Field(description="Of the budget of false discoveries, for this night.")
    rejected: int
    insights: list[str] = Field(description="Ids of those it opened.")
    seconds: float
    at: datetime

    @classmethod
    def of(cls, night: InsightNight) -> InsightNightOut:
        """As callers see it."""
        return cls.model_validate({name: getattr(night, name) for name in cls.model_fields} | {"insights": list(night.insights)})


class InsightNightList(BaseModel):
    """Nights, oldest first."""

    items: list[InsightNightOut]


class InsightReportOut(BaseModel):
    """What a look at a day found."""

    night: InsightNightOut
    opened: list[AnalyticsInsightOut]
    updated: int
    over: int
    repeated: bool = Field(description="It was looked at before; nothing was done or spent.")

    @classmethod
    def of(cls, report: InsightReport) -> InsightReportOut:
        """As callers see it."""
        return cls(
            night=InsightNightOut.of(report.night), opened=[AnalyticsInsightOut.of(each) for each in report.opened],
            updated=report.updated, over=report.over, repeated=report.repeated,
        )  # fmt: skip


class InsightTaskOut(_Out):
    """Something somebody has to do."""

    id: str
    venture: str
    insight_id: str
    title: str
    body: str
    state: str = Field(examples=["open"])
    by: str = Field(examples=["mia"])
    at: datetime
    done_at: datetime | None

    @classmethod
    def of(cls, found: InsightTask) -> InsightTaskOut:
        """As callers see it."""
        return cls.model_validate({name: getattr(found, name) for name in cls.model_fields})


class InsightTaskList(BaseModel):
    """Tasks, newest first."""

    items: list[InsightTaskOut]
