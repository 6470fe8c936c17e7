"""Alert rules of one's own: a series, a condition that has to hold for some time, and how bad that is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from productops.domain.release import Environment

Floats = NDArray[np.float64]
Severity = Literal["SEV1", "SEV2", "SEV3", "SEV4"]
Plain = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00]*$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Operator(StrEnum):
    """What is wrong: a value above or below the threshold, no value at all, or one that rises or falls too fast."""

    ABOVE = ">"
    BELOW = "<"
    ABSENT = "absent"
    RISES = "rises"
    FALLS = "falls"


class Selector(_Strict):
    """Which series: of a name, and where they are given of a component and with these tags. Each series is judged by itself."""

    name: Plain
    component: Plain | None = None
    tags: dict[str, str] = Field(default_factory=dict, max_length=20)


class Condition(_Strict):
    """``rises`` and ``falls`` compare the change within ``over_s`` with the threshold, in units of the series per second.

    ``absent``: no point for ``over_s``. Otherwise the mean of the last ``over_s`` is compared; 0 is the last point.
    """

    operator: Operator
    threshold: float = Field(default=0.0, allow_inf_nan=False)
    over_s: int = Field(default=0, ge=0, le=86_400)

    @model_validator(mode="after")
    def _shape(self) -> Self:
        if self.operator in {Operator.ABSENT, Operator.RISES, Operator.FALLS} and not self.over_s:
            raise ValueError(f"the operator {self.operator} needs over_s, the seconds it looks back")
        if self.operator in {Operator.RISES, Operator.FALLS} and self.threshold <= 0:
            raise ValueError(f"the operator {self.operator} needs a threshold above 0: units per second")
        return self

    @property
    def words(self) -> str:
        """For people."""
        match self.operator:
            case Operator.ABSENT:
                return f"has no value for {self.over_s} s"
            case Operator.RISES | Operator.FALLS:
                return f"{self.operator} by more than {self.threshold:g} per second over {self.over_s} s"
            case _:
                side = "above" if self.operator is Operator.ABOVE else "below"
                return f"is {side} {self.threshold:g}" + (f" on average of {self.over_s} s" if self.over_s else "")


class RuleSpec(_Strict):
    """What is watched. ``for_s``: the condition has to hold for so long before it counts."""

    selector: Selector
    condition: Condition
    for_s: int = Field(default=0, ge=0, le=86_400)
    summary: str = Field(default="", max_length=500)
    runbook: str = Field(default="", max_length=500)
    labels: dict[str, str] = Field(default_factory=dict, max_length=20)

    @property
    def looks_back_s(self) -> int:
        """So much of a series is read: stale points are no present ones."""
        return max(self.condition.over_s, 60) + 60


@dataclass(frozen=True, slots=True)
class AlertRule:
    """A stored rule; ``revision`` rises with every change."""

    id: str
    venture: str
    name: str
    service: str | None
    environment: Environment | None
    severity: str
    enabled: bool
    spec: RuleSpec
    revision: int
    created_by: str
    created_at: datetime
    changed_by: str
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class RuleState:
    """Where a rule stands for one series."""

    since: datetime | None = None
    fired_at: datetime | None = None
    told_at: datetime | None = None
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Firing:
    """Once that a rule would have fired for a series; ``until`` None: it still would."""

    series: str
    since: datetime
    until: datetime | None
    value: float | None


STALE_S = 60
"""A point that is older than this says nothing about now."""


def value_at(condition: Condition, at: Floats, value: Floats, *, now_s: float) -> float | None:
    """What is compared at a moment; None where nothing can be said. ``at`` rises (Unix seconds)."""
    end = int(np.searchsorted(at, now_s, side="right"))
    if condition.operator is Operator.ABSENT:
        return now_s - float(at[end - 1]) if end else math.inf
    if not end or now_s - float(at[end - 1]) > max(STALE_S, condition.over_s):
        return None
    begin = int(np.searchsorted(at, now_s - condition.over_s, side="left")) if condition.over_s else end - 1
    if condition.operator in {Operator.RISES, Operator.FALLS}:
        length = float(at[end - 1] - at[begin]) if begin < end else 0.0
        # Two points close together are no trend over the whole time.
        return float(value[end - 1] - value[begin]) / length if length >= condition.over_s / 2 and length > 0 else None
    return float(np.mean(value[begin:end])) if begin < end else None


def holds(condition: Condition, found: float | None) -> bool:
    """Whether the condition holds for what ``value_at`` found."""
    if found is None:
        return False
    match condition.operator:
        case Operator.ABSENT:
            return found >= condition.over_s
        case Operator.ABOVE:
            return found > condition.threshold
        case Operator.BELOW:
            return found < condition.threshold
        case Operator.RISES:
            return found > condition.threshold
        case Operator.FALLS:
            return found < -condition.threshold


def replay(spec: RuleSpec, series: str, at: Floats, value: Floats, *, moments: Sequence[float]) -> Iterator[Firing]:
    """When a rule would have fired, asked at ``moments`` (rising Unix seconds)."""
    from productops.domain.monitoring_slo import utc

    since: float | None = None
    fired: tuple[float, float | None] | None = None
    for now_s in moments:
        found = value_at(spec.condition, at, value, now_s=now_s)
        if not holds(spec.condition, found):
            if fired is not None:
                yield Firing(series, utc(fired[0]), utc(now_s), fired[1])
            since, fired = None, None
            continue
        since = now_s if since is None else since
        if fired is None and now_s - since >= spec.for_s:
            fired = (now_s, _finite(found))
    if fired is not None:
        yield Firing(series, utc(fired[0]), None, fired[1])


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def series_title(component: str, name: str, tags: Mapping[str, str] | Sequence[tuple[str, str]]) -> str:
    """What a series is called in alerts: ``shop host.cpu_pct{mount=/}``."""
    pairs = tags.items() if isinstance(tags, Mapping) else tags
    told = ",".join(f"{key}={value}" for key, value in sorted(pairs))
    return f"{component} {name}" + (f"{{{told}}}" if told else "")
