"""Insights about use: kinds, states, actions, and how they move. No numbers are loaded, so a command's help may name them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any


class Measure(StrEnum):
    """What a series measures."""

    USE = "use"
    FAILURES = "failures"
    LATENCY = "latency"

    def good(self, change: float) -> bool:
        """Whether a change is what one would wish."""
        return change > 0 if self is Measure.USE else change < 0


class AnalyticsInsightKind(StrEnum):
    """What an insight is about."""

    USE_ROSE = "use-rose"
    USE_FELL = "use-fell"
    FAILURES_ROSE = "failures-rose"
    FAILURES_FELL = "failures-fell"
    SLOWER = "slower"
    FASTER = "faster"
    ADOPTED = "adopted-after-release"
    UNUSED = "unused"
    HARMFUL = "harmful"
    CONVERSION_FELL = "conversion-fell"
    CONVERSION_ROSE = "conversion-rose"

    @property
    def of_series(self) -> bool:
        """Whether it is about the course of a daily series, which is followed from night to night."""
        return self not in {self.UNUSED, self.HARMFUL, self.CONVERSION_FELL, self.CONVERSION_ROSE}


def kind_of(measure: Measure, change: float) -> AnalyticsInsightKind:
    """The kind of a change of a series."""
    kinds = {
        Measure.USE: (AnalyticsInsightKind.USE_FELL, AnalyticsInsightKind.USE_ROSE),
        Measure.FAILURES: (AnalyticsInsightKind.FAILURES_FELL, AnalyticsInsightKind.FAILURES_ROSE),
        Measure.LATENCY: (AnalyticsInsightKind.FASTER, AnalyticsInsightKind.SLOWER),
    }
    return kinds[measure][change > 0]


class AnalyticsInsightState(StrEnum):
    """Open until somebody decides, or until it is over by itself. An accepted one is measured after some days."""

    OPEN = "open"
    ACCEPTED = "accepted"
    DONE = "done"
    DISMISSED = "dismissed"
    HELPED = "helped"
    NO_EFFECT = "no-effect"
    OVER = "over"


EDGES: Mapping[AnalyticsInsightState, frozenset[AnalyticsInsightState]] = {
    AnalyticsInsightState.OPEN: frozenset({AnalyticsInsightState.ACCEPTED, AnalyticsInsightState.DISMISSED, AnalyticsInsightState.OVER}),
    AnalyticsInsightState.ACCEPTED: frozenset({
        AnalyticsInsightState.DONE, AnalyticsInsightState.HELPED, AnalyticsInsightState.NO_EFFECT, AnalyticsInsightState.DISMISSED,
    }),
    AnalyticsInsightState.DISMISSED: frozenset({AnalyticsInsightState.OPEN}),
    AnalyticsInsightState.OVER: frozenset({AnalyticsInsightState.OPEN}),
    AnalyticsInsightState.DONE: frozenset(),
    AnalyticsInsightState.HELPED: frozenset(),
    AnalyticsInsightState.NO_EFFECT: frozenset(),
}  # fmt: skip


class ActionKind(StrEnum):
    """What accepting does. ``rollout``: the release that came with it is rolled back. ``none``: somebody looks at it."""

    TASK = "task"
    FLAG = "flag"
    ROLLOUT = "rollout"
    NONE = "none"


class Outcome(StrEnum):
    """What became of what was done about it."""

    HELPED = "helped"
    NO_EFFECT = "no effect"
    WORSE = "worse"
    CANNOT_TELL = "cannot tell"


STATE_AFTER: Mapping[Outcome, AnalyticsInsightState] = {
    Outcome.HELPED: AnalyticsInsightState.HELPED,
    Outcome.NO_EFFECT: AnalyticsInsightState.NO_EFFECT,
    Outcome.WORSE: AnalyticsInsightState.NO_EFFECT,
    Outcome.CANNOT_TELL: AnalyticsInsightState.DONE,
}


@dataclass(frozen=True, slots=True)
class Action:
    """What to do. ``detail`` of a flag: ``flag``, ``environment``, ``percent``; of a rollout: ``release``."""

    kind: ActionKind
    text: str
    detail: Mapping[str, str | float]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a night says. ``change``: 0.1 is +10 %, between ``low`` and ``high`` with 95 % confidence, since ``first_day``.

    ``dimension`` and ``value``: the segment that explains it, empty for everybody. ``p``: of the whole feature, spans and segments
    counted in. ``worth``: what is surely moved a day, in people (failures, people who wait). ``evidence`` has every figure with its rows.
    """

    kind: AnalyticsInsightKind
    feature: str
    measure: Measure
    dimension: str
    value: str
    title: str
    sentence: str
    action: Action
    first_day: date
    quiet_until: date
    change: float
    low: float
    high: float
    p: float
    worth: float
    evidence: Mapping[str, Any]

    @property
    def subject(self) -> str:
        """The feature, and the segment if it is one."""
        return f"{self.feature} ({self.dimension} {self.value})" if self.dimension else self.feature


@dataclass(frozen=True, slots=True)
class Insight:
    """A finding as it is kept, and what became of it. ``follow``: what accepting made. ``effect``: what was measured afterwards."""

    id: str
    venture: str
    finding: Finding
    state: AnalyticsInsightState
    reason: str
    decided_by: str | None
    decided_at: datetime | None
    follow: Mapping[str, Any]
    due_day: date | None
    outcome: Outcome | None
    effect: Mapping[str, Any]
    found_day: date
    seen_day: date
    over_day: date | None
    decided_change: float


@dataclass(frozen=True, slots=True)
class InsightNight:
    """What a night spent and found; ``series`` were looked at. ``insights``: ids of those it opened."""

    venture: str
    day: date
    series: int
    tests: int
    level: float
    rejected: int
    rejected_most: int
    insights: tuple[str, ...]
    seconds: float
    at: datetime


@dataclass(frozen=True, slots=True)
class InsightTask:
    """Something somebody has to do, made by accepting an insight."""

    id: str
    venture: str
    insight_id: str
    title: str
    body: str
    state: str
    by: str
    at: datetime
    done_at: datetime | None


@dataclass(frozen=True, slots=True)
class Helped:
    """The measure of this process itself: of accepted insights whose effect could be told, how many helped."""

    measured: int
    helped: int
    worse: int
    cannot_tell: int
    waiting: int

    @property
    def share(self) -> float | None:
        """None while nothing could be told."""
        return self.helped / self.measured if self.measured else None

    @property
    def sentence(self) -> str:
        """In words."""
        if self.share is None:
            return f"no effect was measured yet; {self.waiting} accepted insights wait for their day"
        told = f"{self.helped} of {self.measured} accepted insights helped ({self.share:.0%})"
        more = [f"{self.worse} made it worse"] * bool(self.worse) + [f"of {self.cannot_tell} nothing can be told"] * bool(self.cannot_tell)
        return "; ".join([told, *more, f"{self.waiting} wait for their day"])
