"""A release: one version of one service on its way to users, and the moves it may make."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from productops.domain.strategies.names import Strategy
from productops.domain.strategies.step import Step
from productops.errors import IllegalTransitionError

__all__ = [
    "EDGES", "ENDED", "EXPOSED", "Cause", "Environment", "Phase", "Release", "ReleaseEvent", "Step", "StepRecord", "Strategy", "check_move",
]  # fmt: skip


class Environment(StrEnum):
    """Where a release goes."""

    DEVELOPMENT = "development"
    STAGING = "staging"
    PRODUCTION = "production"


class Phase(StrEnum):
    """Where a release stands. Traffic is on the candidate only in ROLLING_OUT, PAUSED, PROMOTING and VALIDATING."""

    REQUESTED = "requested"
    DEPLOYING = "deploying"
    ROLLING_OUT = "rolling_out"
    PAUSED = "paused"
    PROMOTING = "promoting"
    VALIDATING = "validating"
    PROMOTED = "promoted"
    PASSED = "passed"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"


class Cause(StrEnum):
    """Why a release left the way to its users."""

    VERDICT = "verdict"
    INCONCLUSIVE = "inconclusive"
    LEASE_LAPSED = "lease_lapsed"
    PERSON = "person"
    CANCELLED = "cancelled"
    UNHEALTHY = "unhealthy"
    VALIDATION = "validation"
    INCIDENT = "incident"
    APPROVAL = "approval"
    ERROR = "error"


# FAILED ends a release that users never saw; ROLLED_BACK one that they did. A promoted release can still be rolled back.
# PASSED ends a trial that was never meant for users, such as a dark launch: it went well, and they keep the baseline.
EDGES: dict[Phase, frozenset[Phase]] = {
    Phase.REQUESTED: frozenset({Phase.DEPLOYING, Phase.FAILED}),
    Phase.DEPLOYING: frozenset({Phase.ROLLING_OUT, Phase.PROMOTING, Phase.FAILED}),
    Phase.ROLLING_OUT: frozenset({Phase.PAUSED, Phase.PROMOTING, Phase.PASSED, Phase.ROLLING_BACK}),
    Phase.PAUSED: frozenset({Phase.ROLLING_OUT, Phase.PROMOTING, Phase.ROLLING_BACK}),
    Phase.PROMOTING: frozenset({Phase.VALIDATING, Phase.ROLLING_BACK, Phase.FAILED}),
    Phase.VALIDATING: frozenset({Phase.PROMOTED, Phase.ROLLING_BACK, Phase.FAILED}),
    Phase.PROMOTED: frozenset({Phase.ROLLING_BACK}),
    Phase.PASSED: frozenset(),
    Phase.ROLLING_BACK: frozenset({Phase.ROLLED_BACK}),
    Phase.ROLLED_BACK: frozenset(),
    Phase.FAILED: frozenset(),
}
ENDED = frozenset({Phase.PROMOTED, Phase.PASSED, Phase.ROLLED_BACK, Phase.FAILED})
EXPOSED = frozenset({Phase.ROLLING_OUT, Phase.PAUSED, Phase.PROMOTING, Phase.VALIDATING})


def check_move(release_id: str, current: Phase, target: Phase) -> None:
    """Raises: IllegalTransitionError when the state machine has no edge from ``current`` to ``target``."""
    if target not in EDGES[current]:
        raise IllegalTransitionError(f"release {release_id} is {current} and cannot become {target}")


@dataclass(frozen=True, slots=True)
class Release:
    """One release as stored. ``plan`` holds the frozen policy and steps it was requested with."""

    id: str
    venture: str
    service: str
    environment: Environment
    version: str
    baseline_version: str | None
    strategy: Strategy
    phase: Phase
    steps: tuple[Step, ...]
    plan: dict[str, Any]
    requested_by: str
    origin: str
    reason: str
    cause: Cause | None
    step_index: int
    fence: int
    flow_run_id: str | None
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    heartbeat_at: datetime | None = None

    @property
    def ended(self) -> bool:
        """Nothing moves this release any more, but a roll back of a promoted one."""
        return self.phase in ENDED

    @property
    def ends_in_report(self) -> bool:
        """Whether users keep the baseline even when every step passes."""
        return self.plan.get("ending") == "report"

    @property
    def arms(self) -> tuple[str | None, str]:
        """What (baseline, candidate) are called in the counters: the versions, unless the plan names them otherwise."""
        named = self.plan.get("arms")
        return (named[0], named[1]) if named else (self.baseline_version, self.version)

    @property
    def title(self) -> str:
        """One line that names it in lists and run names."""
        return f"{self.service} {self.baseline_version or 'nothing'} → {self.version} ({self.environment})"


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What happened in one step; counts are of the candidate and the baseline within it."""

    index: int
    weight_pct: int
    hold_s: float
    header_only: bool
    started_at: datetime
    ended_at: datetime | None = None
    verdict: str | None = None
    reason: str = ""
    summary: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReleaseEvent:
    """One line of a release's story; ``seq`` rises within the store and is what a stream resumes from."""

    seq: int
    release_id: str
    type: str
    at: datetime
    payload: dict[str, Any]
