"""Documents of flags. Written by `make docs` from the OpenAPI document; do not edit."""
# fmt: off

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict
from productops.client.common_models import (Environment)


class Archive(TypedDict):
    """Take a flag away, or bring it back; who asks for an archived one learns that there is none."""
    op: Literal['archive']
    archived: NotRequired[bool]


class ChangeBody(TypedDict):
    """Any operation, at once or at a time."""
    operation: Put | Edit | RampTo | Kill | Revive | RestoreTo | Archive
    reason: NotRequired[str]
    at: NotRequired[str | None]
    if_revision: NotRequired[int | None]


class ChangeList(TypedDict):
    """Changes, newest first; pass ``next`` as ``after`` for the following page."""
    items: list[ReleaseFlagsChangeOut]
    next: str | None


ChangeState = Literal['proposed', 'scheduled', 'applied', 'rejected', 'cancelled', 'failed']


class Edit(TypedDict):
    """Change some fields of the definition. Each is replaced whole, null means its default; `environments` is changed one by one."""
    op: Literal['edit']
    patch: dict[str, Any]


class EnvironmentRules(TypedDict):
    """What differs in one environment; what is left out is as the flag says."""
    default_variant: NotRequired[str | None]
    targeting: NotRequired[dict[str, Any] | None]


class EvaluateBody(TypedDict):
    """For whom."""
    environment: NotRequired[Environment]
    context: NotRequired[dict[str, Any]]


class EvaluationOut(TypedDict):
    """What a context would get; nothing is counted."""
    key: str
    environment: Environment
    variant: NotRequired[str | None]
    value: NotRequired[Any]
    reason: NotRequired[str | None]
    decision: NotRequired[str | None]
    error_code: NotRequired[str | None]
    error_details: NotRequired[str | None]


class ExposureOut(TypedDict):
    """How far a flag has come in an environment, and who got what."""
    key: str
    environment: Environment
    revision: int
    killed: bool
    variant: str | None
    percent: float
    segments: list[Segment]
    evaluations: dict[str, int]
    measured_pct: float | None
    since: str


class FlagBody(TypedDict):
    """A flag in full."""
    venture: str
    spec: FlagSpec
    reason: NotRequired[str]


class FlagDetailOut(TypedDict):
    """A flag and what waits to happen to it."""
    key: str
    venture: str
    revision: int
    archived: bool
    declared: bool
    spec: FlagSpec
    environments: dict[str, FlagEnvironmentOut]
    created_at: str
    updated_at: str
    waiting: NotRequired[list[ReleaseFlagsChangeOut]]


class FlagEnvironmentOut(TypedDict):
    """What is set at run time in one environment."""
    killed: bool
    ramp: Ramp | None
    everybody: str | None
    settled_since: str | None


class FlagList(TypedDict):
    """Flags by key; pass ``next`` as ``after`` for the following page."""
    items: list[FlagOut]
    next: str | None


class FlagOut(TypedDict):
    """A flag at its newest revision."""
    key: str
    venture: str
    revision: int
    archived: bool
    declared: bool
    spec: FlagSpec
    environments: dict[str, FlagEnvironmentOut]
    created_at: str
    updated_at: str


class FlagPatchBody(TypedDict):
    """Fields of the definition to change: each is replaced whole, null means its default; `environments` is changed one by one."""
    spec: dict[str, Any]
    reason: NotRequired[str]


class FlagSpec(TypedDict):
    """What somebody declares of a flag: its values, who gets which, who owns it and until when it is needed."""
    description: NotRequired[str]
    owner: str
    variants: NotRequired[dict[str, Any]]
    default_variant: NotRequired[str]
    off_variant: NotRequired[str | None]
    targeting: NotRequired[dict[str, Any]]
    environments: NotRequired[dict[str, EnvironmentRules]]
    expires_on: NotRequired[str | None]
    approval_required: NotRequired[bool]


class HistoryPage(TypedDict):
    """Revisions, newest first; ``next`` is the value of ``before`` for the page after."""
    items: list[RevisionOut]
    next: int | None


class Kill(TypedDict):
    """The off variant for everybody, at once. No environments: all."""
    op: Literal['kill']
    environments: NotRequired[list[Environment]]


class KillBody(TypedDict):
    """Where, and why."""
    environments: NotRequired[list[Environment]]
    reason: str


class NewFlagBody(TypedDict):
    """A flag in full, with its key."""
    venture: str
    spec: FlagSpec
    reason: NotRequired[str]
    key: str


class OutcomeOut(TypedDict):
    """What became of a wish. ``change`` is there when it waits for approval or for its time."""
    applied: bool
    flag: FlagOut
    change: ReleaseFlagsChangeOut | None


class Put(TypedDict):
    """Replace the definition; ramps and kills stay."""
    op: Literal['put']
    spec: FlagSpec


class Ramp(TypedDict):
    """How far a variant has come: everybody of ``segments`` (any of them), and ``percent`` (0 to 100) of all others by a stable hash."""
    variant: str
    percent: float
    segments: NotRequired[list[Segment]]


class RampBody(TypedDict):
    """How far a variant shall come."""
    environment: NotRequired[Environment]
    percent: float
    variant: NotRequired[str | None]
    segments: NotRequired[list[Segment] | None]
    reason: NotRequired[str]
    at: NotRequired[str | None]
    if_revision: NotRequired[int | None]


class RampTo(TypedDict):
    """Give a variant to all of some segments and to a share of everybody else. ``segments``: None keeps those there are."""
    op: Literal['ramp']
    environment: Environment
    percent: float
    variant: NotRequired[str | None]
    segments: NotRequired[list[Segment] | None]


class ReleaseFlagsChangeOut(TypedDict):
    """A change that waits for approval or for its time, and what became of it."""
    id: str
    key: str
    state: ChangeState
    summary: str
    operation: dict[str, Any]
    base_revision: int
    due_at: str | None
    author: str
    reason: str
    release_id: str | None
    created_at: str
    decided_by: str
    decided_at: str | None
    outcome: str


class ReleaseFlagsDecisionBody(TypedDict):
    """Why."""
    reason: NotRequired[str]


class RestoreBody(TypedDict):
    """Which revision, and why."""
    revision: NotRequired[int | None]
    reason: NotRequired[str]


class RestoreTo(TypedDict):
    """Everything as it was after an earlier revision."""
    op: Literal['restore']
    revision: int


class RevisionOut(TypedDict):
    """One change that took effect."""
    revision: int
    action: str
    summary: str
    author: str
    origin: str
    reason: str
    release_id: str | None
    at: str
    before: dict[str, Any] | None
    after: dict[str, Any]


class Revive(TypedDict):
    """Undo a kill: rules and ramp hold again. No environments: all."""
    op: Literal['revive']
    environments: NotRequired[list[Environment]]


class Segment(TypedDict):
    """Users whose context has one of ``values`` in ``attribute``; text, numbers and truth values are never equal to each other."""
    attribute: str
    values: list[bool | str | int | float]


class StaleList(TypedDict):
    """Reasons, oldest first; pass ``next`` as ``after`` for the following page."""
    items: list[StaleOut]
    next: str | None


class StaleOut(TypedDict):
    """One reason why a flag should go."""
    key: str
    venture: str
    owner: str
    reason: StaleReason
    since: str
    detail: str


StaleReason = Literal['expired', 'settled', 'unused']
