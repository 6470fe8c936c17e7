"""Documents of the routes of plans and forecasts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from productops.domain.catalog_team import At, TeamSpec
from productops.domain.development_plan_facts import Team
from productops.domain.development_plan_facts_changes import SCENARIOS_MAX, Scenario
from productops.domain.development_plan_facts_file import WorkFile
from productops.domain.development_plan_facts_stored import PlanState, StoredForecast, StoredPlan, Subject
from productops.stats.forecast_calibration import Held
from productops.usecases.development_forecast import Calibration
from productops.usecases.development_plan import LIMIT_MAX_S, PlanWish
from productops.usecases.development_plan_what_if import Case, Comparison

Name = Annotated[str, Field(max_length=63, pattern=r"^[a-z0-9-]*$")]
Text = Annotated[str, Field(max_length=2000, pattern=r"^[^\x00]*$")]
Key = Annotated[str, Field(max_length=320, pattern=r"^[^\x00]*$")]


class PlanBody(BaseModel):
    """What is to be planned."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"venture": "apollo", "note": "after the stand-up"}]})
    venture: Name
    team: Name = Field(default="", description="Only its work. Empty: that of all teams.")
    features: tuple[Key, ...] = Field(default=(), max_length=500, description="Keys of features. Empty: all open work.")
    work: WorkFile | None = Field(default=None, description="Plan this instead of what is stored.")
    starts_at: At | None = Field(default=None, description="From when on. Left out: now.")
    keep: Literal["current", "draft"] = Field(default="current", description="draft: only look; it can be accepted later.")
    keep_changes: bool = Field(default=True, description="What the current plan was accepted with still holds.")
    level: bool = Field(default=False, description="Spread the work evenly where it costs nothing.")
    limit_s: float | None = Field(
        default=None, gt=0, le=LIMIT_MAX_S, description="How long to search. Left out: 4 s, or 20 s for much work."
    )
    later: bool = Field(default=False, description="Answer 202 at once, however little there is to plan.")
    note: Text = ""

    def wish(self) -> PlanWish:
        """The same for the use case."""
        work = self.work.model_dump(mode="json") if self.work is not None else None
        return PlanWish(
            venture=self.venture, team=self.team, features=self.features, work=work, starts_at=self.starts_at, keep=self.keep,
            keep_changes=self.keep_changes, level=self.level, limit_s=self.limit_s, note=self.note,
        )  # fmt: skip


class PlanProblem(BaseModel):
    """Why there is no plan."""

    slug: str
    title: str
    detail: str
    extra: dict[str, Any]


class PlanOut(BaseModel):
    """One plan, as lists show it. Hours are working hours."""

    id: str
    venture: str
    team: str
    state: PlanState
    scenario: str = Field(description="What was tried; empty: nothing but what is known.")
    base_id: str | None = Field(description="The plan that a scenario was tried on.")
    previous_id: str | None = Field(description="The plan that was current when it was made.")
    asked_by: str
    origin: str
    asked_at: datetime
    made_at: datetime | None
    note: str
    proven: bool = Field(description="No plan is shorter.")
    gap: float = Field(description="Else none is more than this share of the length shorter.")
    length_h: int
    starts_at: datetime | None
    ends_at: datetime | None
    changes: list[dict[str, Any]] = Field(description="What it assumes that no source says: accepted or tried.")
    error: PlanProblem | None

    @classmethod
    def of(cls, plan: StoredPlan) -> PlanOut:
        """As lists show it."""
        return cls.model_validate(_plain(plan))


class PlanTaskOut(BaseModel):
    """A bar of the Gantt chart. Slots are working hours since the start; ``person`` is empty for what needs no time."""

    item: str
    title: str
    feature: str
    person: str
    starts_at: datetime
    ends_at: datetime
    slack_h: int = Field(description="Working hours it can slip before the end of all work does.")
    critical: bool
    slot_from: int
    slot_to: int


class PlanFeatureOut(BaseModel):
    """When a feature has all its items done."""

    feature: str
    title: str
    lands_at: datetime
    deadline: datetime | None
    late_h: int = Field(description="Working hours after the deadline.")


class PlanPersonOut(BaseModel):
    """How much of a person's time is planned until the end."""

    person: str
    name: str
    busy_h: int
    available_h: int
    share: float


class PlanDocument(BaseModel):
    """Who does what when."""

    starts_at: datetime
    ends_at: datetime
    length_h: int
    proven: bool
    gap: float
    cost: int
    took_s: float
    critical: list[str] = Field(description="Items of the chain that makes the plan as long as it is.")
    tasks: list[PlanTaskOut]
    features: list[PlanFeatureOut]
    people: list[PlanPersonOut]


class PlanMoveOut(BaseModel):
    """An item that is elsewhere than it was."""

    item: str
    title: str
    person_before: str
    person_after: str
    starts_before: datetime
    starts_after: datetime
    why: str


class PlanChangedOut(BaseModel):
    """What changed since the plan before."""

    moves: list[PlanMoveOut]
    kept: int
    new: list[str]
    gone: list[str]


class PlanGapOut(BaseModel):
    """Something the plan had to assume."""

    kind: str = Field(examples=["estimate"])
    missing: str = Field(examples=["it has no estimate, and no like work is known"])
    assumed: str = Field(examples=["8 h"])
    to_do: str = Field(examples=["estimate it"])
    about: list[str] = Field(description="Items, people or teams; the first hundred.")
    count: int


class PlanBottleneckOut(BaseModel):
    """The skill of which one more person saves most."""

    skill: str
    people: list[str]
    share: float
    saved_h: int


class PlanLearnedOut(BaseModel):
    """How far past estimates were off: work took ``bias`` times what was estimated; ``spread`` in natural logarithms."""

    items: int
    bias: float
    spread: float


class ForecastDatesOut(BaseModel):
    """By when it is done, with a chance of 50, 80 and 95 %."""

    subject: Subject
    key: str
    title: str
    planned_at: datetime | None
    p50_at: datetime
    p80_at: datetime
    p95_at: datetime
    deadline: datetime | None
    chance: float | None = Field(description="To be done by the deadline, where there is one.")
    figures: dict[str, Any] = Field(description="Of a sprint: at_least items with a chance of 50, 80 and 95 %, and each item's chance.")


class PlanDetail(PlanOut):
    """A plan with all of it."""

    is_current: bool
    plan: PlanDocument | None = Field(description="Null until it is made.")
    changed: PlanChangedOut | None = Field(description="Null for a first plan, and for a scenario.")
    gaps: list[PlanGapOut]
    bottleneck: PlanBottleneckOut | None
    learned: PlanLearnedOut | None
    forecasts: list[ForecastDatesOut] = Field(description="As they were when the plan was made.")
    dropped_changes: list[str] = Field(description="Accepted changes that no longer apply, and why.")
    work: WorkFile | None = Field(description="What it was made of, where that was asked for.")

    @classmethod
    def seen(cls, plan: StoredPlan, *, with_work: bool = False) -> PlanDetail:
        """All of it."""
        extra: Mapping[str, Any] = plan.extra
        return cls.model_validate(
            _plain(plan)
            | {
                "is_current": plan.state is PlanState.CURRENT, "plan": plan.plan or None,
                "changed": plan.changed or None, "gaps": list(plan.gaps), "bottleneck": extra.get("bottleneck"),
                "learned": extra.get("past") or None, "forecasts": list(extra.get("forecasts", ())),
                "dropped_changes": list(extra.get("gone", ())), "work": plan.request if with_work and plan.request else None,
            }
        )  # fmt: skip


def _plain(plan: StoredPlan) -> dict[str, Any]:
    listed = PlanOut.model_fields
    told = {name: getattr(plan, name) for name in listed}
    return told | {"changes": [dict(each) for each in plan.changes], "error": plan.error or None}


class PlanPage(BaseModel):
    """Plans, newest first."""

    items: list[PlanOut]
    next: str | None


class PlanAcceptBody(BaseModel):
    """Why."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reason": "the director hires one more"}]})
    reason: Text = ""


class WhatIfBody(BaseModel):
    """Scenarios to compare; of a plan, or of the current one."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"venture": "apollo", "scenarios": [{"changes": [{"kind": "drop-feature", "feature": "SHOP-2"}]}]}]
        },
    )
    venture: Name = Field(default="", description="Whose current plan. Not needed with plan_id.")
    team: Name = ""
    plan_id: str | None = Field(default=None, max_length=64)
    scenarios: tuple[Scenario, ...] = Field(min_length=1, max_length=SCENARIOS_MAX)
    limit_s: float | None = Field(default=None, gt=0, le=LIMIT_MAX_S, description="How long to search for each; all share 8 s.")


class CaseOut(BaseModel):
    """One scenario. Hours are working hours; ``saved_h`` below 0: it takes longer."""

    name: str
    plan_id: str | None = Field(description="The draft that can be accepted.")
    ends_at: datetime | None
    length_h: int | None
    saved_h: int | None
    late_h: int | None
    late_features: list[str]
    proven: bool
    impossible: str = Field(description="Why no plan can be; empty where there is one.")
    conflict: list[str] = Field(description="A smallest set of constraints that cannot hold together.")

    @classmethod
    def of(cls, case: Case) -> CaseOut:
        """The same in JSON's types."""
        told = case.outcome
        return cls(
            name=case.name, plan_id=case.plan_id, ends_at=told.plan.ends_at if told else None,
            length_h=told.plan.length_h if told else None, saved_h=told.saved_h if told else None, late_h=told.late_h if told else None,
            late_features=list(told.late_features) if told else [], proven=bool(told and told.plan.proven), impossible=case.impossible,
            conflict=list(case.conflict),
        )  # fmt: skip


class ComparisonOut(BaseModel):
    """The plan as it is first, then each scenario."""

    base_id: str
    cases: list[CaseOut]

    @classmethod
    def of(cls, found: Comparison) -> ComparisonOut:
        """The same in JSON's types."""
        return cls(base_id=found.base.id, cases=[CaseOut.of(case) for case in found.cases])


class ForecastOut(ForecastDatesOut):
    """One forecast, and what came true."""

    id: str
    venture: str
    team: str
    plan_id: str | None
    made_at: datetime
    method: str
    inputs_digest: str = Field(description="Equal for forecasts of the same work, people and hours.")
    actual_at: datetime | None = Field(description="When it was done; null: not yet.")
    place: float | None = Field(description="The level at which that was: 0.8 when it was done just at its P80.")

    @classmethod
    def of(cls, forecast: StoredForecast) -> ForecastOut:
        """The same in JSON's types."""
        return cls.model_validate(forecast, from_attributes=True)


class HeldOut(BaseModel):
    """Of ``count`` forecasts at a level ``held`` were kept; ``low`` to ``high`` is the 95 % interval of the share."""

    level: float
    count: int
    held: int
    share: float | None
    low: float
    high: float

    @classmethod
    def of(cls, each: Held) -> HeldOut:
        """The same in JSON's types."""
        return cls(level=each.level, count=each.count, held=each.held, share=each.share, low=each.low, high=each.high)


class CalibrationOut(BaseModel):
    """Whether forecasts held: of each feature that is done, its first one."""

    sentence: str = Field(examples=["of our P50s, 52 % held, of our P80s, 79 % held, of our P95s, 96 % held (42 features)"])
    levels: list[HeldOut]

    @classmethod
    def of(cls, found: Calibration) -> CalibrationOut:
        """The same in JSON's types."""
        return cls(sentence=found.sentence, levels=[HeldOut.of(each) for each in found.levels])


class ForecastPage(BaseModel):
    """Forecasts, newest first, and whether past ones held."""

    items: list[ForecastOut]
    next: str | None
    calibration: CalibrationOut


class TeamCalendarOut(BaseModel):
    """A copy of an iCalendar source."""

    name: str
    read_at: datetime | None
    error: str
    times: int


class TeamOut(BaseModel):
    """A declared team."""

    name: str
    venture: str
    revision: int
    spec: TeamSpec
    calendars: list[TeamCalendarOut]

    @classmethod
    def of(cls, team: Team) -> TeamOut:
        """The same in JSON's types."""
        copies = [TeamCalendarOut(name=n, read_at=c.read_at, error=c.error, times=len(c.times)) for n, c in sorted(team.calendars.items())]
        return cls(name=team.name, venture=team.venture, revision=team.revision, spec=team.spec, calendars=copies)


class TeamPage(BaseModel):
    """Teams, by name."""

    items: list[TeamOut]
