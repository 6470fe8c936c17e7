"""An experiment, the states it goes through, and what a look at it found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from productops.domain.catalog_experiment import ExperimentSpec
from productops.errors import IllegalTransitionError


class ExperimentState(StrEnum):
    """Where an experiment stands."""

    DRAFT = "draft"
    RUNNING = "running"
    STOPPED = "stopped"
    DECIDED = "decided"


# A decided experiment may be started anew: that is another run of it, with people and looks of its own.
EDGES: dict[ExperimentState, frozenset[ExperimentState]] = {
    ExperimentState.DRAFT: frozenset({ExperimentState.RUNNING}),
    ExperimentState.RUNNING: frozenset({ExperimentState.STOPPED, ExperimentState.DECIDED}),
    ExperimentState.STOPPED: frozenset({ExperimentState.DECIDED, ExperimentState.RUNNING}),
    ExperimentState.DECIDED: frozenset({ExperimentState.RUNNING}),
}


class Standing(StrEnum):
    """What a look says of the metric that decides."""

    BETTER = "better"
    WORSE = "worse"
    NO_DIFFERENCE = "no-difference"
    UNDECIDED = "undecided"
    UNTRUSTED = "untrusted"


class Choice(StrEnum):
    """What somebody decided."""

    SHIP = "ship"
    DROP = "drop"
    NO_DIFFERENCE = "no-difference"


@dataclass(frozen=True, slots=True)
class ExperimentDecision:
    """What was decided, of which variant, by whom, and the sentence that explains it."""

    choice: Choice
    variant: str | None
    sentence: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Breach:
    """A guardrail that did not hold, and what was done about it."""

    guardrail: str
    variant: str
    sentence: str
    action: str
    incident_id: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Experiment:
    """An experiment as declared, and its run. ``plan`` is the spec as it was when the run began: what is analysed does not change after.

    ``run`` counts from 1, 0 while there was none; ``looks`` are those of the run.
    """

    name: str
    venture: str
    spec: ExperimentSpec
    revision: int
    state: ExperimentState
    updated_at: datetime
    run: int = 0
    plan: ExperimentSpec | None = None
    started_at: datetime | None = None
    stopped_at: datetime | None = None
    looks: int = 0
    looked_at: datetime | None = None
    breach: Breach | None = None
    decision: ExperimentDecision | None = None

    @property
    def planned(self) -> ExperimentSpec:
        """What the run is analysed by; before there is one, what is declared."""
        return self.plan or self.spec

    def check_move(self, to: ExperimentState) -> None:
        """Raises: IllegalTransitionError."""
        if to not in EDGES[self.state]:
            ways = ", ".join(sorted(EDGES[self.state])) or "nothing"
            raise IllegalTransitionError(f"experiment {self.name!r} is {self.state} and cannot become {to}; it can become {ways}")

    def planned_end(self) -> datetime | None:
        """When the planned days are over; None before the start."""
        return self.started_at + timedelta(days=self.planned.planned_days) if self.started_at else None


@dataclass(frozen=True, slots=True)
class Arm:
    """A variant's people and value of one metric; ``value`` None: nobody yet.

    ``events`` is what a quantile is of; ``did``: people whose value is above 0.
    """

    variant: str
    people: int
    value: float | None
    total: float | None = None
    events: int | None = None
    did: int | None = None


@dataclass(frozen=True, slots=True)
class Contrast:
    """A variant against the control. Changes are relative (0.12 is +12 %) unless the baseline is 0, then there is none.

    ``p`` is valid as the method says and ``adjusted_p`` corrected for the number of questions; ``chance``: to be better, by the prior;
    ``loss``: expected relative loss if the variant is taken and is worse. ``log_e``: evidence against no difference.
    """

    variant: str
    change: float | None
    low: float | None
    high: float | None
    difference: float | None
    p: float | None
    adjusted_p: float | None
    chance: float | None
    loss: float | None
    log_e: float | None
    standing: Standing
    problem: str | None = None
    kept: float | None = None


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """One group of people: what was seen, and what is to be believed once all groups are drawn together."""

    dimension: str
    value: str
    variant: str
    people: int
    seen: float
    believed: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, slots=True)
class MetricResult:
    """One metric at one look. ``guardrail``: what it must not fall below; None for a metric."""

    name: str
    kind: str
    better: str
    arms: tuple[Arm, ...]
    contrasts: tuple[Contrast, ...]
    guardrail: float | None = None
    holds: bool | None = None
    segments: tuple[SegmentRow, ...] = ()


@dataclass(frozen=True, slots=True)
class LookResult:
    """All that one look found."""

    at: datetime
    people: Mapping[str, int]
    mixed: int
    split_p: float
    split_anytime_p: float
    split_broken: bool
    metrics: tuple[MetricResult, ...]
    guardrails: tuple[MetricResult, ...]
    standing: Standing
    sentence: str
    complete: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KnownLook:
    """A stored look; ``number`` counts from 1 within the run."""

    id: str
    experiment: str
    run: int
    number: int
    at: datetime
    result: Mapping[str, Any] = field(default_factory=dict)
