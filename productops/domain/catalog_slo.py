"""Objectives as OpenSLO v1 writes them: ``apiVersion: openslo/v1``, beside the entries of our own.

Source: OpenSLO specification v1 (https://github.com/OpenSLO/OpenSLO). What is valid there and not supported here is refused with a reason.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from productops.domain.catalog_slo_alerts import AlertConditionSpec, AlertNotificationTargetSpec, AlertPolicySpec, PolicyUse
from productops.domain.catalog_slo_parts import API_VERSION, ENVIRONMENT, ON_SPENT, Name, SloMetadata, Strict, Text, check_duration
from productops.domain.monitoring_slo import Compare, Method
from productops.domain.monitoring_slo_window import duration_s

__all__ = [
    "API_VERSION", "ENVIRONMENT", "ON_SPENT", "AlertConditionEntry", "AlertConditionSpec", "AlertNotificationTargetEntry",
    "AlertPolicyEntry", "AlertPolicySpec", "AnyOpenSlo", "DataSourceEntry", "InlineSli", "MetricHolder", "OpenSloEntry",
    "OpenSloServiceEntry", "RatioMetric", "SliEntry", "SliSpec", "SloEntry", "SloMetadata", "SloObjective",
]  # fmt: skip


class MetricSourceSpec(Strict):
    """Where a metric comes from. ``spec`` is the source's own."""

    metricSourceRef: Name | None = None  # noqa: N815
    type: str | None = Field(default=None, max_length=63)
    spec: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _either(self) -> Self:
        if self.metricSourceRef is None and self.type is None:
            raise ValueError("name a metricSourceRef (a DataSource) or a type (productops, Prometheus, Datadog, NewRelic)")
        return self


class MetricHolder(Strict):
    """A metric."""

    metricSource: MetricSourceSpec  # noqa: N815


class RatioMetric(Strict):
    """Good or bad events of all of them, or a ready share."""

    counter: bool = True
    good: MetricHolder | None = None
    bad: MetricHolder | None = None
    total: MetricHolder | None = None
    rawType: Literal["success", "failure"] | None = None  # noqa: N815
    raw: MetricHolder | None = None

    @model_validator(mode="after")
    def _shape(self) -> Self:
        if self.raw is not None:
            if self.good or self.bad or self.total:
                raise ValueError("raw is the whole ratio; leave good, bad and total out")
            if self.rawType is None:
                raise ValueError("raw needs a rawType: success or failure")
        elif self.total is None or (self.good is None) is (self.bad is None):
            raise ValueError("needs total and one of good and bad (or raw alone)")
        return self


class SliSpec(Strict):
    """How good and bad are told apart."""

    description: Text = ""
    thresholdMetric: MetricHolder | None = None  # noqa: N815
    ratioMetric: RatioMetric | None = None  # noqa: N815

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.thresholdMetric is None) is (self.ratioMetric is None):
            raise ValueError("needs either a thresholdMetric or a ratioMetric")
        return self


class InlineSli(Strict):
    """An indicator within an objective."""

    apiVersion: Literal["openslo/v1"] = "openslo/v1"  # noqa: N815
    kind: Literal["SLI"] = "SLI"
    metadata: SloMetadata
    spec: SliSpec


class CalendarStart(Strict):
    """When the first window by the calendar began."""

    startTime: str  # noqa: N815
    timeZone: str = "UTC"  # noqa: N815

    @field_validator("startTime")
    @classmethod
    def _time(cls, text: str) -> str:
        if datetime.fromisoformat(text).tzinfo is not None:
            raise ValueError("write the time without a zone; timeZone names it")
        return text

    @field_validator("timeZone")
    @classmethod
    def _zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ValueError, OSError, KeyError) as error:
            raise ValueError(f"{name!r} is no time zone that is known here; write one like Europe/Berlin or UTC") from error
        return name


class TimeWindow(Strict):
    """The last so long, or by the calendar."""

    duration: str
    isRolling: bool = True  # noqa: N815
    calendar: CalendarStart | None = None

    @field_validator("duration")
    @classmethod
    def _known(cls, text: str) -> str:
        return check_duration(text)

    @model_validator(mode="after")
    def _shape(self) -> Self:
        if self.isRolling is (self.calendar is not None):
            raise ValueError("a rolling window has no calendar, one that does not roll needs it")
        return self


class SloObjective(Strict):
    """A target, and for slices and limits what belongs to it."""

    displayName: str = Field(default="", max_length=255)  # noqa: N815
    op: Compare | None = None
    value: float | None = None
    target: float | None = Field(default=None, ge=0, lt=1)
    targetPercent: float | None = Field(default=None, ge=0, lt=100)  # noqa: N815
    timeSliceTarget: float | None = Field(default=None, gt=0, le=1)  # noqa: N815
    timeSliceWindow: float | str | None = None  # noqa: N815
    indicator: InlineSli | None = None
    indicatorRef: Name | None = None  # noqa: N815
    compositeWeight: float | None = None  # noqa: N815

    @model_validator(mode="after")
    def _shape(self) -> Self:
        if (self.target is None) is (self.targetPercent is None):
            raise ValueError("needs either a target (0.999) or a targetPercent (99.9)")
        if not self.share:
            raise ValueError("a target of 0 promises nothing; write one above it")
        if self.compositeWeight is not None:
            raise ValueError("compositeWeight is not supported: give each of them an SLO of its own")
        if self.slice_s is not None and (self.slice_s < 60 or self.slice_s % 60):
            raise ValueError("timeSliceWindow must be whole minutes")
        return self

    @property
    def share(self) -> float:
        """The target as a share."""
        return round(self.targetPercent / 100, 12) if self.targetPercent is not None else self.target or 0.0

    @property
    def slice_s(self) -> int | None:
        """Length of a slice; a number is minutes."""
        if self.timeSliceWindow is None:
            return None
        return duration_s(self.timeSliceWindow) if isinstance(self.timeSliceWindow, str) else round(self.timeSliceWindow * 60)


class SloSpec(Strict):
    """What is promised for a service."""

    description: Text = ""
    service: Name
    indicator: InlineSli | None = None
    indicatorRef: Name | None = None  # noqa: N815
    timeWindow: tuple[TimeWindow, ...] = Field(default=(), max_length=1)  # noqa: N815
    budgetingMethod: Method = Method.OCCURRENCES  # noqa: N815
    objectives: tuple[SloObjective, ...] = Field(min_length=1, max_length=20)
    alertPolicies: tuple[PolicyUse, ...] = Field(default=(), max_length=20)  # noqa: N815

    @model_validator(mode="after")
    def _shape(self) -> Self:
        if self.indicator is not None and self.indicatorRef is not None:
            raise ValueError("indicator and indicatorRef are two indicators; leave one out")
        common = self.indicator is not None or self.indicatorRef is not None
        for number, each in enumerate(self.objectives):
            own = each.indicator is not None or each.indicatorRef is not None
            if own is common:
                raise ValueError(f"objectives[{number}] needs exactly one indicator: its own, or that of the SLO")
            if self.budgetingMethod is not Method.OCCURRENCES and each.slice_s is None:
                raise ValueError(f"objectives[{number}] needs a timeSliceWindow, for the budget is counted by {self.budgetingMethod}")
            if self.budgetingMethod is Method.TIMESLICES and each.timeSliceTarget is None:
                raise ValueError(f"objectives[{number}] needs a timeSliceTarget, for the budget is counted by Timeslices")
        return self


class _Document(Strict):
    apiVersion: Literal["openslo/v1"]  # noqa: N815
    metadata: SloMetadata


class SloEntry(_Document):
    """``kind: SLO``."""

    kind: Literal["SLO"]
    spec: SloSpec


class SliEntry(_Document):
    """``kind: SLI``."""

    kind: Literal["SLI"]
    spec: SliSpec


class AlertPolicyEntry(_Document):
    """``kind: AlertPolicy``."""

    kind: Literal["AlertPolicy"]
    spec: AlertPolicySpec


class AlertConditionEntry(_Document):
    """``kind: AlertCondition``."""

    kind: Literal["AlertCondition"]
    spec: AlertConditionSpec


class AlertNotificationTargetEntry(_Document):
    """``kind: AlertNotificationTarget``."""

    kind: Literal["AlertNotificationTarget"]
    spec: AlertNotificationTargetSpec


class DataSourceSpec(Strict):
    """A system that is asked. ``connectionDetails.connection`` is the name of its connection here; left out, the DataSource's own."""

    description: Text = ""
    type: str = Field(max_length=63)
    connectionDetails: dict[str, Any] = Field(default_factory=dict)  # noqa: N815


class DataSourceEntry(_Document):
    """``kind: DataSource``."""

    kind: Literal["DataSource"]
    spec: DataSourceSpec


class OpenSloServiceSpec(Strict):
    """A service, in words."""

    description: Text = ""


class OpenSloServiceEntry(_Document):
    """``kind: Service`` of OpenSLO: a name for people; one of ours by that name is what is measured."""

    kind: Literal["Service"]
    spec: OpenSloServiceSpec = OpenSloServiceSpec()


OpenSloEntry = (
    SloEntry | SliEntry | AlertPolicyEntry | AlertConditionEntry | AlertNotificationTargetEntry | DataSourceEntry | OpenSloServiceEntry
)
AnyOpenSlo = Annotated[OpenSloEntry, Field(discriminator="kind")]
