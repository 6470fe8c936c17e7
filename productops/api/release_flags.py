"""Routes of flags: declare, read, ramp, kill, restore, schedule, approve."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from pydantic import AwareDatetime

from productops.api.ofrep_door import door_of
from productops.api.release import BASE
from productops.api.release_flags_schemas import (
    ChangeBody,
    ChangeList,
    ChangeOut,
    DecisionBody,
    EvaluateBody,
    EvaluationOut,
    ExposureOut,
    FlagBody,
    FlagDetailOut,
    FlagList,
    FlagOut,
    FlagPatchBody,
    HistoryPage,
    KillBody,
    NewFlagBody,
    OutcomeOut,
    RampBody,
    RestoreBody,
    RevisionOut,
    StaleList,
    StaleOut,
)
from productops.api.wiring import ActorDep, ContextDep
from productops.domain.catalog_flags import FLAG_KEY
from productops.domain.governance_access import MACHINE
from productops.domain.release import Environment
from productops.domain.release_flags.changes import Edit, Kill, RampTo, Revive
from productops.domain.release_flags.evaluate import Answer, FlagSet
from productops.errors import InvalidInputError, NotFoundError, PreconditionRequiredError, RevisionMismatchError
from productops.usecases.context import Actor, Context
from productops.usecases.release_flags import flag_changes, flag_exposure, flag_history, list_flags, read_flag, stale_report
from productops.usecases.release_flags_change import (
    Outcome,
    approve_change,
    cancel_change,
    change_flag,
    create_flag,
    put_flag,
    reject_change,
    restore_flag,
)

router = APIRouter(prefix=BASE, tags=["flags"])
Key = Annotated[str, Path(description="Key of the flag.", pattern=FLAG_KEY, examples=["new-checkout"])]
ChangeId = Annotated[str, Path(description="Id of the change.", max_length=64)]
IfMatch = Annotated[str | None, Header(description='The revision that is changed, as in the ETag: `"3"`.')]
ETAG = {"ETag": {"description": "The revision.", "schema": {"type": "string"}}}
Named = Annotated[
    str | None,
    Query(max_length=100, pattern=r"^[^\x00-\x1f]+$", description="Who acts, for history and approval; who holds the token is believed."),
]


def _acting(default: ActorDep, actor: Named = None) -> Actor:
    """Who acts: the one place to change once callers have accounts of their own."""
    return Actor(name=actor, origin=default.origin, principal=MACHINE) if actor else default


FlagActorDep = Annotated[Actor, Depends(_acting)]


@router.get("/flags", operation_id="listFlags", summary="List flags")
def show_flags(
    context: ContextDep, venture: Annotated[str | None, Query(max_length=63)] = None, *, archived: Annotated[bool, Query()] = False
) -> FlagList:
    """Flags by key, of all ventures or of one; archived ones on request."""
    return FlagList(items=[FlagOut.of(flag) for flag in list_flags(context, venture=venture, archived=archived)])


@router.post("/flags", operation_id="createFlag", status_code=201, summary="Make a flag", responses={201: {"headers": ETAG}})
def create(body: NewFlagBody, request: Request, response: Response, context: ContextDep, actor: FlagActorDep) -> OutcomeOut:
    """A new flag: everybody gets its default variant."""
    flag = create_flag(context, body.key, venture=body.venture, spec=body.spec, actor=actor, reason=body.reason)
    return _told(request, response, Outcome(flag))


@router.get("/flags/{key}", operation_id="getFlag", summary="Read a flag", responses={200: {"headers": ETAG}})
def show_flag(key: Key, context: ContextDep, response: Response) -> FlagDetailOut:
    """A flag, what is set at run time, and what waits to happen to it."""
    view = read_flag(context, key)
    response.headers["ETag"] = f'"{view.flag.revision}"'
    waiting = [ChangeOut.of(each) for each in view.waiting]
    return FlagDetailOut.model_validate(FlagOut.of(view.flag).model_dump() | {"waiting": waiting})


@router.put(
    "/flags/{key}", operation_id="putFlag", summary="Make a flag, or replace its definition",
    responses={201: {"model": OutcomeOut, "headers": ETAG}, 202: {"model": OutcomeOut, "headers": ETAG}},
)  # fmt: skip
def put(
    key: Key, body: FlagBody, request: Request, response: Response, context: ContextDep, actor: FlagActorDep, if_match: IfMatch = None
) -> OutcomeOut:
    """Without `If-Match` a new flag; with it the definition of that revision is replaced, ramps and kills stay."""
    expected = _revision(if_match)
    if expected is None and _exists(context, key):
        raise PreconditionRequiredError(f"flag {key!r} exists: send If-Match with the ETag it was read with to replace its definition")
    try:
        outcome = put_flag(context, key, venture=body.venture, spec=body.spec, expected_revision=expected, actor=actor, reason=body.reason)
    except NotFoundError as error:
        if expected is not None and not _exists(context, key):
            raise RevisionMismatchError(f"there is no flag {key!r}, so it has no revision {expected}") from error
        raise
    response.status_code = 201 if expected is None else 200
    return _told(request, response, outcome)


@router.patch(
    "/flags/{key}", operation_id="patchFlag", summary="Change fields of a flag's definition",
    responses={200: {"headers": ETAG}, 202: {"model": OutcomeOut, "headers": ETAG}},
)  # fmt: skip
def patch(
    key: Key, body: FlagPatchBody, request: Request, response: Response, context: ContextDep, actor: FlagActorDep, if_match: IfMatch = None
) -> OutcomeOut:
    """The named fields of `spec`, each replaced whole; `If-Match` must name the revision that it was made for."""
    expected = _revision(if_match)
    if expected is None:
        raise PreconditionRequiredError("send If-Match with the ETag the flag was read with")
    operation = Edit(patch=body.spec)
    return _told(
        request, response, change_flag(context, key, operation, actor=actor, reason=body.reason, expected_revision=expected)
    )  # fmt: skip


@router.post("/flags/{key}/ramp", operation_id="rampFlag", summary="Give a variant to a share of users")
def ramp(key: Key, body: RampBody, request: Request, response: Response, context: ContextDep, actor: FlagActorDep) -> OutcomeOut:
    """To everybody of the segments, then to a share of all others by a stable hash: nobody loses it while the share rises."""
    operation = RampTo(environment=body.environment, percent=body.percent, variant=body.variant, segments=body.segments)
    outcome = change_flag(
        context, key, operation, actor=actor, reason=body.reason, at=body.at, expected_revision=body.if_revision
    )  # fmt: skip
    return _told(request, response, outcome)


@router.post("/flags/{key}/kill", operation_id="killFlag", summary="Off for everybody, at once")
def kill(key: Key, body: KillBody, request: Request, response: Response, context: ContextDep, actor: FlagActorDep) -> OutcomeOut:
    """The off variant for everybody; never waits for approval."""
    return _told(request, response, change_flag(context, key, Kill(environments=body.environments), actor=actor, reason=body.reason))


@router.post("/flags/{key}/revive", operation_id="reviveFlag", summary="Undo a kill")
def revive(key: Key, body: KillBody, request: Request, response: Response, context: ContextDep, actor: FlagActorDep) -> OutcomeOut:
    """Rules and ramp hold again."""
    return _told(request, response, change_flag(context, key, Revive(environments=body.environments), actor=actor, reason=body.reason))


@router.post("/flags/{key}/restore", operation_id="restoreFlag", summary="Go back to an earlier revision")
def restore(key: Key, body: RestoreBody, request: Request, response: Response, context: ContextDep, actor: FlagActorDep) -> OutcomeOut:
    """Definition, ramps and kills as after that revision; the restoring is a revision itself."""
    return _told(request, response, restore_flag(context, key, body.revision, actor=actor, reason=body.reason))


@router.post(
    "/flags/{key}/changes", operation_id="changeFlag", summary="Change a flag, at once or at a time",
    responses={202: {"model": OutcomeOut, "headers": ETAG}},
)  # fmt: skip
def change(key: Key, body: ChangeBody, request: Request, response: Response, context: ContextDep, actor: FlagActorDep) -> OutcomeOut:
    """Any operation. 200: it took effect; 202: it waits for approval, or for its time."""
    outcome = change_flag(
        context, key, body.operation, actor=actor, reason=body.reason, at=body.at, expected_revision=body.if_revision
    )  # fmt: skip
    return _told(request, response, outcome)


@router.get("/flags/{key}/changes", operation_id="listFlagChanges", summary="Read proposed and scheduled changes")
def show_changes(key: Key, context: ContextDep, *, waiting: Annotated[bool, Query()] = False) -> ChangeList:
    """What waits for approval or for its time, and what became of the rest."""
    return ChangeList(items=[ChangeOut.of(each) for each in flag_changes(context, key, waiting=waiting)])


@router.get("/flag-changes", operation_id="listAllFlagChanges", summary="Read the changes of all flags")
def show_all_changes(context: ContextDep, *, waiting: Annotated[bool, Query()] = True) -> ChangeList:
    """What waits, of every flag: the inbox of those who approve."""
    return ChangeList(items=[ChangeOut.of(each) for each in flag_changes(context, waiting=waiting)])


@router.post("/flags/{key}/changes/{change_id}/approve", operation_id="approveFlagChange", summary="Approve a proposed change")
def approve(
    key: Key, change_id: ChangeId, request: Request, response: Response, context: ContextDep, actor: FlagActorDep,
    body: DecisionBody | None = None,  # noqa: ARG001 - callers may send a reason; an approval needs none
) -> OutcomeOut:  # fmt: skip
    """By somebody other than its author. It takes effect, or waits for its time."""
    return _told(request, response, approve_change(context, key, change_id, actor=actor))


@router.post("/flags/{key}/changes/{change_id}/reject", operation_id="rejectFlagChange", summary="Refuse a proposed change")
def reject(key: Key, change_id: ChangeId, body: DecisionBody, context: ContextDep, actor: FlagActorDep) -> ChangeOut:
    """It will not take effect."""
    return ChangeOut.of(reject_change(context, key, change_id, actor=actor, reason=body.reason))


@router.post("/flags/{key}/changes/{change_id}/cancel", operation_id="cancelFlagChange", summary="Call off a waiting change")
def cancel(key: Key, change_id: ChangeId, body: DecisionBody, context: ContextDep, actor: FlagActorDep) -> ChangeOut:
    """Proposed or scheduled: it will not take effect."""
    return ChangeOut.of(cancel_change(context, key, change_id, actor=actor, reason=body.reason))


@router.get("/flags/{key}/history", operation_id="getFlagHistory", summary="Read a flag's revisions")
def show_history(
    key: Key, context: ContextDep, limit: Annotated[int, Query(ge=1, le=200)] = 50,
    before: Annotated[int | None, Query(ge=1, description="`next` of the page before.")] = None,
) -> HistoryPage:  # fmt: skip
    """Who changed what, when and why, with the flag before and after; newest first."""
    found = flag_history(context, key, limit=limit, before=before)
    following = found[-1].revision if len(found) == limit and found[-1].revision > 1 else None
    return HistoryPage(items=[RevisionOut.of(each) for each in found], next=following)


@router.get("/flags/{key}/exposure", operation_id="getFlagExposure", summary="Read who got what")
def show_exposure(
    key: Key, context: ContextDep, environment: Environment = Environment.PRODUCTION,
    since: Annotated[AwareDatetime | None, Query(description="Default: ten minutes ago.")] = None,
) -> ExposureOut:  # fmt: skip
    """The ramp as it was asked for, and evaluations by variant as they were counted."""
    return ExposureOut.of(flag_exposure(context, key, environment, since=since))


@router.post("/flags/{key}/evaluate", operation_id="explainFlag", summary="Try a flag for a context")
def evaluate(key: Key, body: EvaluateBody, context: ContextDep) -> EvaluationOut:
    """What a context would get, and by which decision; not counted, and archived flags answer, too."""
    flag = read_flag(context, key).flag
    found = FlagSet(body.environment, [flag], version=0).evaluate(key, body.context)
    if isinstance(found, Answer):
        return EvaluationOut(
            key=key, environment=body.environment, variant=found.variant, value=found.value, reason=found.reason, decision=found.decision
        )
    return EvaluationOut(key=key, environment=body.environment, error_code=found.code, error_details=found.details)


@router.get("/stale-flags", operation_id="listStaleFlags", summary="List flags that should go")
def show_stale(
    context: ContextDep, environment: Environment = Environment.PRODUCTION, venture: Annotated[str | None, Query(max_length=63)] = None,
    unused_days: Annotated[int, Query(ge=1, le=3650, description="Not evaluated for so long.")] = 30,
    settled_days: Annotated[int, Query(ge=1, le=3650, description="Everybody has had the same variant for so long.")] = 30,
) -> StaleList:  # fmt: skip
    """Expired, settled or unused flags with their owners, oldest reason first."""
    found = stale_report(
        context, environment=environment, venture=venture, unused=timedelta(days=unused_days), settled=timedelta(days=settled_days)
    )
    return StaleList(items=[StaleOut.of(each) for each in found])


def _told(request: Request, response: Response, outcome: Outcome) -> OutcomeOut:
    """The answer to a wish; evaluations of this program know of it before the caller does."""
    if outcome.applied:
        door_of(request.app).changed()
    else:
        response.status_code = 202
    response.headers["ETag"] = f'"{outcome.flag.revision}"'
    return OutcomeOut.of(outcome)


def _exists(context: Context, key: str) -> bool:
    try:
        read_flag(context, key)
    except NotFoundError:
        return False
    return True


def _revision(if_match: str | None) -> int | None:
    """The revision in an If-Match header. Raises: InvalidInputError for one that names none."""
    if if_match is None:
        return None
    found = re.fullmatch(r'\s*(?:W/)?"(\d{1,9})"\s*', if_match)
    if found is None:
        raise InvalidInputError(f'If-Match is {if_match[:40]!r}; send the ETag that the flag was read with, like "3"')
    return int(found.group(1))
