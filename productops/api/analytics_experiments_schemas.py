"""Experiments as callers see them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from productops.domain.analytics_experiment import Choice, Experiment, ExperimentState, KnownLook, Standing
from productops.domain.catalog_experiment import ExperimentSpec

if TYPE_CHECKING:  # it loads scipy, which a start of the API need not wait for
    from productops.usecases.analytics_experiment_plan import SizePlan


class _Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class ExperimentArmOut(_Out):
    """A variant's people and value of one metric."""

    variant: str
    people: int
    value: float | None = Field(description="Rate from 0 to 1, mean, ratio or quantile, unadjusted; null: nobody yet.")
    total: float | None
    events: int | None = Field(description="Of a quantile: what it is the quantile of.")
    did: int | None = Field(description="People whose value is above 0.")


class ExperimentContrastOut(_Out):
    """A variant against the control. Changes are relative: 0.12 is +12 %."""

    variant: str
    change: float | None
    low: float | None
    high: float | None
    difference: float | None = Field(description="In the metric's own unit.")
    p: float | None
    adjusted_p: float | None = Field(description="Corrected for the number of questions.")
    chance: float | None = Field(description="To be better than the control, by the prior.")
    loss: float | None = Field(description="Expected relative loss if it is taken and is worse.")
    log_e: float | None = Field(
        description="Natural logarithm of the evidence against no difference, won by betting on the counts of looks."
    )
    standing: Standing
    problem: str | None
    kept: float | None = Field(description="Part of the variance that is left after adjusting by the past.")


class ExperimentGroupOut(_Out):
    """A group of people: what was seen, and what to believe when all groups are drawn together."""

    dimension: str
    value: str
    variant: str
    people: int
    seen: float
    believed: float
    low: float
    high: float
    p: float = Field(description="That it is unlike the others by chance only, corrected for the number of groups.")


class ExperimentMetricOut(_Out):
    """One metric or guardrail of a look."""

    name: str
    kind: str
    better: str
    arms: list[ExperimentArmOut]
    contrasts: list[ExperimentContrastOut]
    guardrail: float | None = Field(description="Of a guardrail: how much worse is borne.")
    holds: bool | None
    segments: list[ExperimentGroupOut]


class ExperimentLookOut(_Out):
    """What one look found."""

    id: str
    run: int
    number: int
    at: datetime
    sentence: str
    standing: Standing
    complete: bool
    people: dict[str, int]
    mixed: int = Field(description="People who met more than one variant; they are left out.")
    split_p: float
    split_anytime_p: float = Field(description="The same, valid at every look.")
    split_broken: bool
    metrics: list[ExperimentMetricOut]
    guardrails: list[ExperimentMetricOut]
    notes: list[str]

    @classmethod
    def of(cls, look: KnownLook) -> ExperimentLookOut:
        """The look as callers see it."""
        return cls.model_validate(dict(look.result) | {"id": look.id, "run": look.run, "number": look.number, "at": look.at})


class ExperimentBreachOut(_Out):
    """A guardrail that did not hold, and what was done."""

    guardrail: str
    variant: str
    sentence: str
    action: str
    incident_id: str | None
    at: datetime


class ExperimentDecisionOut(_Out):
    """What was decided, by whom, and why."""

    choice: Choice
    variant: str | None
    sentence: str
    by: str
    at: datetime


class ExperimentOut(_Out):
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
    started_at: datetime | None
    stopped_at: datetime | None
    planned_end: datetime | None
    looked_at: datetime | None
    breach: ExperimentBreachOut | None
    decision: ExperimentDecisionOut | None
    revision: int

    @classmethod
    def of(cls, experiment: Experiment) -> ExperimentOut:
        """The experiment as callers see it."""
        plan = experiment.planned
        declared = {name: getattr(plan, name) for name in ("flag", "environment", "control", "hypothesis", "owner", "method")}
        own = {name: getattr(experiment, name) for name in cls.model_fields if name not in {*declared, "variants", "planned_end"}}
        return cls.model_validate(declared | own | {"variants": list(plan.variants), "planned_end": experiment.planned_end()})


class ExperimentPageOut(ExperimentOut):
    """An experiment, what it is analysed by, and its newest look."""

    spec: ExperimentSpec
    look: ExperimentLookOut | None

    @classmethod
    def with_look(cls, experiment: Experiment, look: KnownLook | None) -> ExperimentPageOut:
        """Both together."""
        head = ExperimentOut.of(experiment).model_dump()
        return cls.model_validate(head | {"spec": experiment.planned, "look": ExperimentLookOut.of(look) if look else None})


class ExperimentList(BaseModel):
    """Experiments by name; pass `next` as `after` for the following page."""

    items: list[ExperimentOut]
    next: str | None


class ExperimentLookList(BaseModel):
    """Looks of a run, oldest first."""

    items: list[ExperimentLookOut]


class ExperimentLookedOut(BaseModel):
    """What a look did."""

    experiment: ExperimentOut
    look: ExperimentLookOut
    breach: ExperimentBreachOut | None = Field(description="A guardrail that this very look acted on.")


class ReasonBody(BaseModel):
    """Why."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(default="", max_length=2000, description="Kept in the audit.")


class DecisionBody(ReasonBody):
    """What is done with it."""

    choice: Choice
    variant: str | None = Field(default=None, max_length=63, description="The one to ship; may be left out where there is only one.")


class ExperimentSizeRowOut(_Out):
    """People in all variants together that see a relative effect."""

    effect: float
    people: int | None
    days: float | None


class ExperimentReachRowOut(_Out):
    """The smallest relative effect that so many days show."""

    days: float
    people: int
    effect: float | None


class ExperimentSizeOut(_Out):
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
    extra_days: float = Field(description="For the window of the last people.")
    learned_from: int = Field(description="People whose events were read; 0: the figures were given.")
    wanted: ExperimentSizeRowOut
    tuned: ExperimentSizeRowOut | None = Field(description="The same when `planned_people` is set to just those; null: not sequential.")
    sizes: list[ExperimentSizeRowOut]
    reach: list[ExperimentReachRowOut]

    @classmethod
    def of(cls, plan: SizePlan) -> ExperimentSizeOut:
        """The plan as callers see it."""
        return cls.model_validate(plan)


def plain(values: dict[str, Any]) -> dict[str, Any]:
    """Only what was given."""
    return {name: value for name, value in values.items() if value is not None}
