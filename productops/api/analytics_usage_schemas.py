"""What answers about use look like to callers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from productops.domain.analytics_usage_answers import (
    CohortAnswer,
    FunnelAnswer,
    PathsAnswer,
    Performance,
    RetentionAnswer,
    SegmentAnswer,
    UsageAnswer,
)
from productops.store.analytics_usage import Definition
from productops.usecases.analytics_usage_feature import FeatureUse


class _Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class BasisOut(_Out):
    """What an answer was made of."""

    venture: str
    since: datetime
    until: datetime
    files: int
    events: int = Field(description="In the files that touch the range.")
    newest_at: datetime | None = Field(description="The newest of them.")
    at: datetime = Field(description="When it was asked.")
    took_ms: float
    empty: bool = Field(description="There are no events in the range, so that nothing can be said.")


class FunnelStepOut(_Out):
    """A step of a funnel."""

    title: str = Field(examples=["order placed"])
    people: int
    of_first: float | None = Field(description="Share of the people of the first step; null: of nobody.")
    of_previous: float | None
    median_s: int | None = Field(description="Time from the step before, seconds.")
    p90_s: int | None


class FunnelOut(_Out):
    """How far people came."""

    basis: BasisOut
    steps: list[FunnelStepOut]
    excluded: int = Field(description="People who did what must not happen on their furthest way; they are in no step.")
    under_way: int = Field(description="Not through yet, and the window is still open.")
    median_s: int | None = Field(description="From the first step to the last, of those who came through.")
    p90_s: int | None
    by_value: dict[str, list[int]] = Field(description="By value of the breakdown: people at each step.")

    @classmethod
    def of(cls, found: FunnelAnswer) -> FunnelOut:
        """The answer as callers see it."""
        return cls.model_validate(found)


class DroppedOut(BaseModel):
    """People whose last step it was."""

    step: int
    people: list[str] = Field(description="Keys of people, as events name them.")


class RetentionRowOut(_Out):
    """People who began in a period."""

    begin: datetime
    people: int
    returned: list[int] = Field(description="By column, how many came back.")
    complete: list[bool] = Field(description="By column: its time is over for all of them.")


class RetentionOut(_Out):
    """Who came back."""

    basis: BasisOut
    columns: list[tuple[int, int]] = Field(description="First and last period after the start; the first column is that of the start.")
    rows: list[RetentionRowOut]
    overall: list[float | None] = Field(description="Share over the rows whose column is complete; null: there is none.")

    @classmethod
    def of(cls, found: RetentionAnswer) -> RetentionOut:
        """The answer as callers see it."""
        return cls.model_validate(found)


class MoveOut(_Out):
    """From one event to the next."""

    step: int = Field(description="From 0.")
    before: str
    after: str
    sessions: int


class PathOut(BaseModel):
    """A whole path."""

    events: list[str]
    sessions: int


class PathsOut(BaseModel):
    """What happens after something, or before."""

    basis: BasisOut
    sessions: int
    backward: bool = Field(description="Told from the end back.")
    moves: list[MoveOut]
    paths: list[PathOut]

    @classmethod
    def of(cls, found: PathsAnswer) -> PathsOut:
        """The answer as callers see it."""
        return cls(
            basis=BasisOut.model_validate(found.basis), sessions=found.sessions, backward=found.backward,
            moves=[MoveOut.model_validate(move) for move in found.moves],
            paths=[PathOut(events=list(events), sessions=sessions) for events, sessions in found.paths],
        )  # fmt: skip


class UsagePeriodOut(_Out):
    """People in a period."""

    begin: datetime
    active: int
    new: int = Field(description="For the first time ever.")
    returning: int = Field(description="Also in the period before.")
    resurrected: int = Field(description="Earlier, but not in the period before.")
    dormant: int = Field(description="In the period before, but not in this one.")
    everybody: int = Field(description="Active in the venture, with or without it.")
    share: float | None
    complete: bool


class ActiveDayOut(_Out):
    """People active on a day, and in the 7 and 30 days up to it."""

    day: date
    daily: int
    weekly: int
    monthly: int
    stickiness: float | None = Field(description="Daily of monthly.")


class UsageOut(_Out):
    """Adoption."""

    basis: BasisOut
    feature: str | None
    periods: list[UsagePeriodOut]
    days: list[ActiveDayOut]
    newcomers: int = Field(description="People first seen in the range.")
    adopted: int = Field(description="Of them, those who used it.")
    first_use_median_s: int | None
    first_use_p90_s: int | None

    @classmethod
    def of(cls, found: UsageAnswer) -> UsageOut:
        """The answer as callers see it."""
        return cls.model_validate(found)


class SegmentOut(_Out):
    """Use with one value."""

    value: str
    events: int
    people: int


class SegmentsOut(_Out):
    """Use by value."""

    basis: BasisOut
    events: int
    people: int
    segments: list[SegmentOut]

    @classmethod
    def of(cls, found: SegmentAnswer) -> SegmentsOut:
        """The answer as callers see it."""
        return cls.model_validate(found)


class PerformanceOut(_Out):
    """How the events of a feature and version went; latencies in milliseconds, exact."""

    feature: str
    version: str
    events: int
    failures: int
    timed: int = Field(description="Events that told how long they took.")
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class PerformancePage(BaseModel):
    """All features and versions of the range."""

    items: list[PerformanceOut]

    @classmethod
    def of(cls, found: Sequence[Performance]) -> PerformancePage:
        """The answer as callers see it."""
        return cls(items=[PerformanceOut.model_validate(each) for each in found])


class CohortOut(BaseModel):
    """Who is in a cohort at a moment."""

    basis: BasisOut
    name: str
    people: int
    keys: list[str] = Field(description="Of the first of them.")

    @classmethod
    def of(cls, found: CohortAnswer) -> CohortOut:
        """The answer as callers see it."""
        return cls(basis=BasisOut.model_validate(found.basis), name=found.name, people=found.people, keys=list(found.keys))


class DefinitionOut(_Out):
    """A saved funnel or cohort."""

    id: str
    venture: str
    kind: str = Field(examples=["Funnel"])
    name: str
    spec: dict[str, Any]
    declared: bool = Field(description="By the catalog; false: made by hand.")
    revision: int
    updated_by: str
    updated_at: datetime


class DefinitionPage(BaseModel):
    """Saved funnels or cohorts; all in one page."""

    items: list[DefinitionOut]

    @classmethod
    def of(cls, found: Sequence[Definition]) -> DefinitionPage:
        """As callers see them."""
        return cls(items=[DefinitionOut.model_validate(each) for each in found])


class UsageDayOut(_Out):
    """A UTC day."""

    day: date
    events: int
    people: int
    new_people: int
    failures: int
    failure_rate: float | None
    duration_count: int
    duration_p50_ms: float | None
    duration_p95_ms: float | None
    value_sum: float


class PeriodPeopleOut(_Out):
    """People of a week (from Monday) or month, in UTC."""

    begin: date
    people: int
    new_people: int


class VersionUseOut(_Out):
    """Use of a version."""

    version: str
    first_day: date
    last_day: date
    events: int
    failures: int
    mean_ms: float | None = Field(description="Exact.")
    p95_ms: float | None = Field(description="Of the worst day; /analytics/performance has it over the whole range.")


class ReleaseUseOut(_Out):
    """Means of the 7 whole days before and after a release; null without figures for all 7."""

    release_id: str
    service: str
    version: str
    at: datetime
    people_before: float | None
    people_after: float | None
    failures_before: float | None = Field(description="Share of events that failed.")
    failures_after: float | None


class UsePredictionOut(_Out):
    """With which probability a feature reaches its goal of use, and why."""

    day: date
    due_at: datetime
    target: float = Field(description="Share of active people who use it that is wanted.")
    probability: float
    method: str = Field(description="`prior`: a general expectation; `learned`: weighed by the venture's own past.")
    reasons: list[str]


class FeatureUseOut(_Out):
    """A feature on one page, from daily figures."""

    venture: str
    feature: str
    since: date
    until: date
    counted_at: datetime | None = Field(description="When figures were last made; null: never.")
    empty: bool = Field(description="Nobody used it in the range.")
    days: list[UsageDayOut]
    everybody: list[UsageDayOut] = Field(description="Days of the whole venture.")
    weeks: list[PeriodPeopleOut]
    months: list[PeriodPeopleOut]
    versions: list[VersionUseOut]
    releases: list[ReleaseUseOut]
    insights: list[dict[str, Any]]
    links: dict[str, str]
    prediction: UsePredictionOut | None = Field(description="The newest; null without a goal of use, or before the fourth day.")

    @classmethod
    def of(cls, found: FeatureUse) -> FeatureUseOut:
        """The page as callers see it."""
        return cls.model_validate(found)
