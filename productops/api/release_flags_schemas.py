"""Wire schemas of flags."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, Field

from productops.api.release_schemas import Reason, Sent
from productops.domain.catalog_flags import FlagKey, FlagSpec, Ramp, Segment
from productops.domain.release import Environment
from productops.domain.release_flags.changes import (
    Archive,
    Change,
    ChangeState,
    Edit,
    Kill,
    Put,
    RampTo,
    RestoreTo,
    Revive,
)
from productops.domain.release_flags.flag import Exposure, Flag, Revision, everybodys_variant
from productops.domain.release_flags.stale import StaleFlag, StaleReason
from productops.usecases.release_flags_change import Outcome

Why = Annotated[str, Field(max_length=1000, description="Why; kept in the history.")]
Percent = Annotated[float, Field(ge=0, le=100, description="Share of users, by a stable hash.")]
At = Annotated[AwareDatetime | None, Field(description="When it is to happen; left out: at once.")]
REVISION_MAX = 2**31 - 1
IfRevision = Annotated[int | None, Field(ge=1, le=REVISION_MAX, description="Only if the flag is at this revision.")]
SentOperation = Annotated[Put | Edit | RampTo | Kill | Revive | RestoreTo | Archive, Field(discriminator="op")]


class FlagEnvironmentOut(BaseModel):
    """What is set at run time in one environment."""

    killed: bool
    ramp: Ramp | None
    everybody: str | None = Field(description="The variant that all users have; null when users differ.")
    settled_since: datetime | None = Field(description="From when on all users have had the same variant.")


class FlagOut(BaseModel):
    """A flag at its newest revision."""

    key: str
    venture: str
    revision: int
    archived: bool
    declared: bool = Field(description="Whether the catalog declares it.")
    spec: FlagSpec
    environments: dict[Environment, FlagEnvironmentOut]
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, flag: Flag) -> FlagOut:
        """The flag as callers see it."""
        environments = {}
        for environment in flag.spec.environments:
            live = flag.state.live_in(environment)
            environments[environment] = FlagEnvironmentOut(
                killed=live.killed, ramp=live.ramp, everybody=everybodys_variant(flag.state, environment), settled_since=live.settled_since
            )
        return cls(
            key=flag.key, venture=flag.venture, revision=flag.revision, archived=flag.state.archived, declared=flag.declared is not None,
            spec=flag.spec, environments=environments, created_at=flag.created_at, updated_at=flag.updated_at,
        )  # fmt: skip


class ChangeOut(BaseModel):
    """A change that waits for approval or for its time, and what became of it."""

    id: str
    key: str
    state: ChangeState
    summary: str
    operation: dict[str, Any]
    base_revision: int
    due_at: datetime | None
    author: str
    reason: str
    release_id: str | None
    created_at: datetime
    decided_by: str
    decided_at: datetime | None
    outcome: str

    @classmethod
    def of(cls, change: Change) -> ChangeOut:
        """The change as callers see it."""
        plain = {name: getattr(change, name) for name in cls.model_fields if name != "operation"}
        return cls(operation=change.operation.model_dump(mode="json"), **plain)


class FlagDetailOut(FlagOut):
    """A flag and what waits to happen to it."""

    waiting: list[ChangeOut] = Field(default_factory=list)


class OutcomeOut(BaseModel):
    """What became of a wish. ``change`` is there when it waits for approval or for its time."""

    applied: bool
    flag: FlagOut
    change: ChangeOut | None

    @classmethod
    def of(cls, outcome: Outcome) -> OutcomeOut:
        """The outcome as callers see it."""
        waiting = ChangeOut.of(outcome.waiting) if outcome.waiting else None
        return cls(applied=outcome.applied, flag=FlagOut.of(outcome.flag), change=waiting)


class RevisionOut(BaseModel):
    """One change that took effect."""

    revision: int
    action: str
    summary: str
    author: str
    origin: str
    reason: str
    release_id: str | None
    at: datetime
    before: dict[str, Any] | None
    after: dict[str, Any]

    @classmethod
    def of(cls, revision: Revision) -> RevisionOut:
        """The revision as callers see it."""
        plain = {name: getattr(revision, name) for name in cls.model_fields if name not in {"before", "after"}}
        before = revision.before.model_dump(mode="json") if revision.before else None
        return cls(before=before, after=revision.after.model_dump(mode="json"), **plain)


class FlagList(BaseModel):
    """Flags by key; pass ``next`` as ``after`` for the following page."""

    items: list[FlagOut]
    next: str | None


class HistoryPage(BaseModel):
    """Revisions, newest first; ``next`` is the value of ``before`` for the page after."""

    items: list[RevisionOut]
    next: int | None


class ChangeList(BaseModel):
    """Changes, newest first; pass ``next`` as ``after`` for the following page."""

    items: list[ChangeOut]
    next: str | None


class StaleOut(BaseModel):
    """One reason why a flag should go."""

    key: str
    venture: str
    owner: str
    reason: StaleReason
    since: datetime
    detail: str

    @classmethod
    def of(cls, found: StaleFlag) -> StaleOut:
        """The reason as callers see it."""
        return cls.model_validate({name: getattr(found, name) for name in cls.model_fields})


class StaleList(BaseModel):
    """Reasons, oldest first; pass ``next`` as ``after`` for the following page."""

    items: list[StaleOut]
    next: str | None


class ExposureOut(BaseModel):
    """How far a flag has come in an environment, and who got what."""

    key: str
    environment: Environment
    revision: int
    killed: bool
    variant: str | None
    percent: float
    segments: list[Segment]
    evaluations: dict[str, int] = Field(description="Answers by variant; `!error` counts those that were none.")
    measured_pct: float | None
    since: datetime

    @classmethod
    def of(cls, exposure: Exposure) -> ExposureOut:
        """The exposure as callers see it."""
        return cls.model_validate({name: getattr(exposure, name) for name in cls.model_fields})


class EvaluationOut(BaseModel):
    """What a context would get; nothing is counted."""

    key: str
    environment: Environment
    variant: str | None = None
    value: Any = None
    reason: str | None = None
    decision: str | None = None
    error_code: str | None = None
    error_details: str | None = None


class FlagBody(Sent):
    """A flag in full."""

    venture: str = Field(max_length=63)
    spec: FlagSpec
    reason: Why = ""


class NewFlagBody(FlagBody):
    """A flag in full, with its key."""

    key: FlagKey


class FlagPatchBody(Sent):
    """Fields of the definition to change: each is replaced whole, null means its default; `environments` is changed one by one."""

    spec: dict[str, Any] = Field(min_length=1)
    reason: Why = ""


class RampBody(Sent):
    """How far a variant shall come."""

    environment: Environment = Environment.PRODUCTION
    percent: Percent
    variant: str | None = Field(default=None, description="Default: the one ramped already, else `on`.")
    segments: tuple[Segment, ...] | None = Field(default=None, max_length=50, description="Users who get it first; left out: as they are.")
    reason: Why = ""
    at: At = None
    if_revision: IfRevision = None


class KillBody(Sent):
    """Where, and why."""

    environments: tuple[Environment, ...] = Field(default=(), description="Default: all.")
    reason: Reason


class RestoreBody(Sent):
    """Which revision, and why."""

    revision: int | None = Field(default=None, ge=1, le=REVISION_MAX, description="Default: the one before the newest.")
    reason: Why = ""


class ChangeBody(Sent):
    """Any operation, at once or at a time."""

    operation: SentOperation
    reason: Why = ""
    at: At = None
    if_revision: IfRevision = None


class DecisionBody(Sent):
    """Why."""

    reason: Why = ""


class EvaluateBody(Sent):
    """For whom."""

    environment: Environment = Environment.PRODUCTION
    context: dict[str, Any] = Field(default_factory=dict)
