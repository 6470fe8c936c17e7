"""How a flag may change: operations as data, each a pure step from one state to the next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from productops.domain.catalog_flags import FlagSpec, FlagState, Live, Ramp, Segment
from productops.domain.release import Environment
from productops.domain.release_flags.flag import default_variant, everybodys_variant
from productops.errors import FlagKilledError, InvalidInputError

Percent = Annotated[float, Field(ge=0, le=100)]


class _Operation(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Put(_Operation):
    """Replace the definition; ramps and kills stay."""

    op: Literal["put"] = "put"
    spec: FlagSpec


class Edit(_Operation):
    """Change some fields of the definition. Each is replaced whole, null means its default; `environments` is changed one by one."""

    op: Literal["edit"] = "edit"
    patch: dict[str, Any] = Field(min_length=1)


class RampTo(_Operation):
    """Give a variant to all of some segments and to a share of everybody else. ``segments``: None keeps those there are."""

    op: Literal["ramp"] = "ramp"
    environment: Environment
    percent: Percent
    variant: str | None = None
    segments: tuple[Segment, ...] | None = None


class Kill(_Operation):
    """The off variant for everybody, at once. No environments: all."""

    op: Literal["kill"] = "kill"
    environments: tuple[Environment, ...] = ()


class Revive(_Operation):
    """Undo a kill: rules and ramp hold again. No environments: all."""

    op: Literal["revive"] = "revive"
    environments: tuple[Environment, ...] = ()


class RestoreTo(_Operation):
    """Everything as it was after an earlier revision."""

    op: Literal["restore"] = "restore"
    revision: int = Field(ge=1)


class TakeBack(_Operation):
    """Undo what a release did: the ramp that was there before it (null: none). Unlike ``ramp`` it works on a killed flag, too."""

    op: Literal["take-back"] = "take-back"
    environment: Environment
    ramp: Ramp | None = None


class Archive(_Operation):
    """Take a flag away, or bring it back; who asks for an archived one learns that there is none."""

    op: Literal["archive"] = "archive"
    archived: bool = True


class Declare(_Operation):
    """What the catalog says now: fields that differ from what it said before are taken over, others stay as they are."""

    op: Literal["declare"] = "declare"
    spec: FlagSpec


Operation = Annotated[Put | Edit | RampTo | Kill | Revive | RestoreTo | TakeBack | Archive | Declare, Field(discriminator="op")]
AnyOperation = Put | Edit | RampTo | Kill | Revive | RestoreTo | TakeBack | Archive | Declare
OPERATION: TypeAdapter[AnyOperation] = TypeAdapter(Operation)


class ChangeState(StrEnum):
    """Where a change stands that does not, or did not, take effect at once."""

    PROPOSED = "proposed"
    SCHEDULED = "scheduled"
    APPLIED = "applied"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    FAILED = "failed"


CHANGE_EDGES: dict[ChangeState, frozenset[ChangeState]] = {
    ChangeState.PROPOSED: frozenset({ChangeState.SCHEDULED, ChangeState.APPLIED, ChangeState.REJECTED, ChangeState.CANCELLED}),
    ChangeState.SCHEDULED: frozenset({ChangeState.APPLIED, ChangeState.FAILED, ChangeState.CANCELLED}),
}


@dataclass(frozen=True, slots=True)
class Change:
    """A change that waits for approval or for its time, or did. ``base_revision`` is the flag's when it was asked for."""

    id: str
    key: str
    operation: AnyOperation
    state: ChangeState
    base_revision: int
    due_at: datetime | None
    author: str
    origin: str
    reason: str
    release_id: str | None
    created_at: datetime
    decided_by: str
    decided_at: datetime | None
    outcome: str

    @property
    def summary(self) -> str:
        """What it does, in a few words."""
        return describe(self.operation)


def changed(
    state: FlagState, operation: AnyOperation, *, now: datetime, earlier: FlagState | None = None, declared: FlagSpec | None = None
) -> FlagState:
    """The state after an operation. ``earlier`` is the state that a restore goes back to, ``declared`` what the catalog said before.

    Raises: InvalidInputError for a result that is no valid flag, FlagKilledError for the ramp of a killed flag.
    """
    try:
        return _settled(state, _apply(state, operation, earlier, declared), now)
    except ValidationError as error:
        raise InvalidInputError("; ".join(_reason(each) for each in error.errors(include_url=False)[:3])) from error


def keeping_kills(base: FlagState, current: FlagState, wanted: FlagState) -> FlagState:
    """``wanted``, but what was killed after ``base`` stays killed: a change made before cannot have known."""
    later = {e: wanted.live_in(e) for e in Environment if current.live_in(e).killed and not base.live_in(e).killed}
    if not any(not live.killed for live in later.values()):
        return wanted
    live = dict(wanted.live) | {e: each.model_copy(update={"killed": True}) for e, each in later.items()}
    return wanted.model_copy(update={"live": live})


def affected(before: FlagState | None, after: FlagState) -> list[Environment]:
    """Environments in which somebody may get something else now."""
    if before is None or before.spec != after.spec or before.archived != after.archived:
        return list(Environment)
    return [e for e in Environment if _seen(before.live_in(e)) != _seen(after.live_in(e))]


def describe(operation: AnyOperation) -> str:
    """What an operation does, in a few words."""
    match operation:
        case RampTo():
            among = f", first where {' or '.join(each.attribute for each in operation.segments)} fits" if operation.segments else ""
            text = f"ramp {operation.variant or 'the variant'} to {operation.percent:g} % in {operation.environment}{among}"
        case Kill() | Revive():
            text = f"{operation.op} in {', '.join(operation.environments) or 'all environments'}"
        case RestoreTo():
            text = f"restore revision {operation.revision}"
        case TakeBack():
            text = f"take back what a release ramped in {operation.environment}, to {operation.ramp.percent if operation.ramp else 0:g} %"
        case Edit():
            text = f"edit {', '.join(operation.patch)}"
        case Archive():
            text = "archive" if operation.archived else "bring back from the archive"
        case Declare() | Put():
            text = "as the catalog declares" if operation.op == "declare" else "replace the definition"
    return text


def named(operation: AnyOperation, after: FlagState) -> AnyOperation:
    """A ramp with the variant it turned out to mean."""
    ramp = after.live_in(operation.environment).ramp if isinstance(operation, RampTo) else None
    return operation.model_copy(update={"variant": ramp.variant}) if ramp else operation


def _apply(state: FlagState, operation: AnyOperation, earlier: FlagState | None, declared: FlagSpec | None) -> FlagState:
    match operation:
        case RampTo():
            return _ramp(state, operation)
        case Kill() | Revive():
            wanted = operation.environments or tuple(Environment)
            live = {e: state.live_in(e).model_copy(update={"killed": operation.op == "kill"}) for e in wanted}
            return state.model_copy(update={"live": dict(state.live) | live})
        case Archive():
            return state.model_copy(update={"archived": operation.archived})
        case RestoreTo():
            if earlier is None:
                raise InvalidInputError(f"there is no revision {operation.revision} of this flag; its history lists them")
            return earlier
        case TakeBack():
            return _take_back(state, operation)
        case Put() | Declare() | Edit():
            return _with_spec(state, _spec(state.spec, operation, declared))


def _spec(current: FlagSpec, operation: Put | Declare | Edit, declared: FlagSpec | None) -> FlagSpec:
    if isinstance(operation, Put) or (isinstance(operation, Declare) and declared is None):
        return operation.spec
    live = current.model_dump(mode="json")
    if isinstance(operation, Edit):
        return FlagSpec.model_validate(_edited(live, operation.patch))
    assert declared is not None  # noqa: S101 - the branch above took it
    old, new = declared.model_dump(mode="json"), operation.spec.model_dump(mode="json")
    return FlagSpec.model_validate({name: value if value != old[name] else live[name] for name, value in new.items()})


def _with_spec(state: FlagState, spec: FlagSpec) -> FlagState:
    """Validated anew: what is being ramped must still be there."""
    return FlagState(spec=spec, live=state.live, archived=state.archived)


def _ramp(state: FlagState, operation: RampTo) -> FlagState:
    environment = operation.environment
    if environment not in state.spec.environments:
        raise InvalidInputError(f"the flag is not in {environment}; it is in {', '.join(state.spec.environments)}")
    live = state.live_in(environment)
    if live.killed:
        raise FlagKilledError(f"the flag is killed in {environment}, so nobody would get anything of it; revive it first")
    current = live.ramp
    variant = operation.variant or (current.variant if current else _other_variant(state.spec, environment))
    if variant == default_variant(state.spec, environment):
        raise InvalidInputError(f"{variant!r} is what everybody in {environment} gets by default; ramp another variant")
    segments = operation.segments if operation.segments is not None else (current.segments if current else ())
    ramp = Ramp(variant=variant, percent=operation.percent, segments=segments)
    ramped = dict(state.live) | {environment: live.model_copy(update={"ramp": ramp})}
    return FlagState(spec=state.spec, live=ramped, archived=state.archived)


def _take_back(state: FlagState, operation: TakeBack) -> FlagState:
    """A ramp whose variant has gone meanwhile cannot come back: everybody gets the default then."""
    ramp = operation.ramp if operation.ramp is not None and operation.ramp.variant in state.spec.variants else None
    live = state.live_in(operation.environment).model_copy(update={"ramp": ramp})
    return state.model_copy(update={"live": dict(state.live) | {operation.environment: live}})


def _other_variant(spec: FlagSpec, environment: Environment) -> str:
    """The variant a ramp means when it names none."""
    others = [name for name in spec.variants if name != default_variant(spec, environment)]
    if "on" in others:
        return "on"
    if len(others) != 1:
        raise InvalidInputError(f"name the variant to ramp: {', '.join(others) or 'the flag has only one'}")
    return others[0]


def _settled(before: FlagState, after: FlagState, now: datetime) -> FlagState:
    """``after`` with the time from which on everybody has had the same variant, in each environment where that is so."""
    live = {}
    for environment in after.spec.environments:
        here, variant = after.live_in(environment), everybodys_variant(after, environment)
        since = None
        if variant is not None:
            same = variant == everybodys_variant(before, environment)
            since = (before.live_in(environment).settled_since if same else None) or now
        live[environment] = here.model_copy(update={"settled_since": since})
    return after.model_copy(update={"live": {e: each for e, each in (dict(after.live) | live).items() if each != Live()}})


def first_state(spec: FlagSpec, *, now: datetime) -> FlagState:
    """A flag as it begins."""
    state = FlagState(spec=spec)
    return _settled(state, state, now)


def _seen(live: Live) -> Live:
    return live.model_copy(update={"settled_since": None})


def _edited(spec: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """Rules and variants are never merged: half of an old rule in a new one would say what nobody meant."""
    changed_fields = dict(patch)
    if isinstance(patch.get("environments"), dict):
        places = spec["environments"] | patch["environments"]
        changed_fields["environments"] = {name: rules for name, rules in places.items() if rules is not None}
    return {name: value for name, value in (spec | changed_fields).items() if value is not None}


def _reason(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"])
    return ": ".join(filter(None, (where, str(error["msg"]).removeprefix("Value error, "))))
