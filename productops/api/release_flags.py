"""Routes of flags: declare, read, ramp, kill, restore, schedule, approve."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Request, Response
from pydantic import AwareDatetime

from productops.api.access import allowed
from productops.api.ofrep_door import door_of
from productops.api.paging import After, Limit, ManyLimit, cut, decode_id, decode_one
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
from productops.domain.governance_access import Operation
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


@router.get("/flags", operation_id="listFlags", dependencies=[allowed(Operation.FLAG_READ)], summary="List flags")
def show_flags(
    context: ContextDep,
    actor: ActorDep,
    venture: Annotated[str | None, Query(max_length=63)] = None,
    *,
    archived: Annotated[bool, Query()] = False,
    after: After = None,
    limit: ManyLimit = 200,
) -> FlagList:
    """Flags by key, of all ventures or of one; archived ones on request."""
    found = list_flags(context, venture=venture, archived=archived, after=decode_one(after), limit=limit + 1, actor=actor)
    page, following = cut(found, limit, lambda flag: [flag.key])
    return FlagList(items=[FlagOut.of(flag) for flag in page], next=following)


@router.post(
    "/flags", operation_id="createFlag", dependencies=[allowed(Operation.FLAG_CHANGE)],
    status_code=201, summary="Make a flag", responses={201: {"headers": ETAG}},
)  # fmt: skip
def create(body: NewFlagBody, request: Request, response: Response, context: ContextDep, actor: ActorDep) -> OutcomeOut:
    """A new flag: everybody gets its default variant."""
    flag = create_flag(context, body.key, venture=body.venture, spec=body.spec, actor=actor, reason=body.reason)
    return _told(request, response, Outcome(flag))


@router.get(
    "/flags/{key}", operation_id="getFlag", dependencies=[allowed(Operation.FLAG_READ)],
    summary="Read a flag", responses={200: {"headers": ETAG}},
)  # fmt: skip
def show_flag(key: Key, context: ContextDep, actor: ActorDep, response: Response) -> FlagDetailOut:
    """A flag, what is set at run time, and what waits to happen to it."""
    view = read_flag(context, key, actor=actor)
    response.headers["ETag"] = f'"{view.flag.revision}"'
    waiting = [ChangeOut.of(each) for each in view.waiting]
    return FlagDetailOut.model_validate(FlagOut.of(view.flag).model_dump() | {"waiting": waiting})


@router.put(
    "/flags/{key}", operation_id="putFlag", dependencies=[allowed(Operation.FLAG_CHANGE)], summary="Make a flag, or replace its definition",
    responses={201: {"model": OutcomeOut, "headers": ETAG}, 202: {"model": OutcomeOut, "headers": ETAG}},
)  # fmt: skip
def put(
    key: Key, body: FlagBody, request: Request, response: Response, context: ContextDep, actor: ActorDep, if_match: IfMatch = None
) -> OutcomeOut:
    """Without `If-Match` a new flag; with it the definition of that revision is replaced, ramps and kills stay."""
    expected = _revision(if_match)
    if expected is None and _exists(context, key, actor):
        raise PreconditionRequiredError(f"flag {key!r} exists: send If-Match with the ETag it was read with to replace its definition")
    try:
        outcome = put_flag(context, key, venture=body.venture, spec=body.spec, expected_revision=expected, actor=actor, reason=body.reason)
    except NotFoundError as error:
        if expected is not None and not _exists(context, key, actor):
            raise RevisionMismatchError(f"there is no flag {key!r}, so it has no revision {expected}") from error
        raise
    response.status_code = 201 if expected is None else 200
    return _told(request, response, outcome)


@router.patch(
    "/flags/{key}", operation_id="patchFlag", dependencies=[allowed(Operation.FLAG_CHANGE)], summary="Change fields of a flag's definition",
    responses={200: {"headers": ETAG}, 202: {"model": OutcomeOut, "headers": ETAG}},
)  # fmt: skip
def patch(
    key: Key, body: FlagPatchBody, request: Request, response: Response, context: ContextDep, actor: ActorDep, if_match: IfMatch = None
) -> OutcomeOut:
    """The named fields of `spec`, each replaced whole; `If-Match` must name the revision that it was made for."""
    expected = _revision(if_match)
    if expected is None:
        raise PreconditionRequiredError("send If-Match with the ETag the flag was read with")
    operation = Edit(patch=body.spec)
    return _told(
        request, response, change_flag(context, key, operation, actor=actor, reason=body.reason, expected_revision=expected)
    )  # fmt: skip


@router.post(
    "/flags/{key}/ramp", operation_id="rampFlag", dependencies=[allowed(Operation.FLAG_CHANGE)],
    summary="Give a variant to a share of users",
)  # fmt: skip
def ramp(key: Key, body: RampBody, request: Request, response: Response, context: ContextDep, actor: ActorDep) -> OutcomeOut:
    """To everybody of the segments, then to a share of all others by a stable hash: nobody loses it while the share rises."""
    operation = RampTo(environment=body.environment, percent=body.percent, variant=body.variant, segments=body.segments)
    outcome = change_flag(
        context, key, operation, actor=actor, reason=body.reason, at=body.at, expected_revision=body.if_revision
    )  # fmt: skip
    return _told(request, response, outcome)


@router.post(
    "/flags/{key}/kill", operation_id="killFlag", dependencies=[allowed(Operation.FLAG_KILL)], summary="Off for everybody, at once"
)
def kill(key: Key, body: KillBody, request: Request, response: Response, context: ContextDep, actor: ActorDep) -> OutcomeOut:
    """The off variant for everybody; never waits for approval."""
    return _told(request, response, change_flag(context, key, Kill(environments=body.environments), actor=actor, reason=body.reason))


@router.post("/flags/{key}/revive", operation_id="reviveFlag", dependencies=[allowed(Operation.FLAG_CHANGE)], summary="Undo a kill")
def revive(key: Key, body: KillBody, request: Request, response: Response, context: ContextDep, actor: ActorDep) -> OutcomeOut:
    """Rules and ramp hold again."""
    return _told(request, response, change_flag(context, key, Revive(environments=body.environments), actor=actor, reason=body.reason))


@router.post(
    "/flags/{key}/restore", operation_id="restoreFlag", dependencies=[allowed(Operation.FLAG_CHANGE)],
    summary="Go back to an earlier revision",
)  # fmt: skip
def restore(key: Key, body: RestoreBody, request: Request, response: Response, context: ContextDep, actor: ActorDep) -> OutcomeOut:
    """Definition, ramps and kills as after that revision; the restoring is a revision itself."""
    return _told(request, response, restore_flag(context, key, body.revision, actor=actor, reason=body.reason))


@router.post(
    "/flags/{key}/changes", operation_id="changeFlag", dependencies=[allowed(Operation.FLAG_CHANGE)],
    summary="Change a flag, at once or at a time",
    responses={202: {"model": OutcomeOut, "headers": ETAG}},
)  # fmt: skip
def change(key: Key, body: ChangeBody, request: Request, response: Response, context: ContextDep, actor: ActorDep) -> OutcomeOut:
    """Any operation. 200: it took effect; 202: it waits for approval, or for its time."""
    outcome = change_flag(
        context, key, body.operation, actor=actor, reason=body.reason, at=body.at, expected_revision=body.if_revision
    )  # fmt: skip
    return _told(request, response, outcome)


@router.get(
    "/flags/{key}/changes", operation_id="listFlagChanges", dependencies=[allowed(Operation.FLAG_READ)],
    summary="Read proposed and scheduled changes",
)  # fmt: skip
def show_changes(
    key: Key, context: ContextDep, actor: ActorDep, *, waiting: Annotated[bool, Query()] = False, after: After = None, limit: Limit = 200
) -> ChangeList:
    """What waits for approval or for its time, and what became of the rest."""
    found = flag_changes(context, key, waiting=waiting, before=decode_id(after), limit=limit + 1, actor=actor)
    page, following = cut(found, limit, lambda change: [change.id])
    return ChangeList(items=[ChangeOut.of(each) for each in page], next=following)


@router.get(
    "/flag-changes", operation_id="listAllFlagChanges", dependencies=[allowed(Operation.FLAG_READ)], summary="Read the changes of all flags"
)
def show_all_changes(
    context: ContextDep, actor: ActorDep, *, waiting: Annotated[bool, Query()] = True, after: After = None, limit: Limit = 200
) -> ChangeList:
    """What waits, of every flag: the inbox of those who approve."""
    found = flag_changes(context, waiting=waiting, before=decode_id(after), limit=limit + 1, actor=actor)
    page, following = cut(found, limit, lambda change: [change.id])
    return ChangeList(items=[ChangeOut.of(each) for each in page], next=following)


@router.post(
    "/flags/{key}/changes/{change_id}/approve", operation_id="approveFlagChange", dependencies=[allowed(Operation.FLAG_CHANGE)],
    summary="Approve a proposed change",
)  # fmt: skip
def approve(
    key: Key, change_id: ChangeId, request: Request, response: Response, context: ContextDep, actor: ActorDep,
    body: DecisionBody | None = None,  # noqa: ARG001 - callers may send a reason; an approval needs none
) -> OutcomeOut:  # fmt: skip
    """By somebody other than its author. It takes effect, or waits for its time."""
    return _told(request, response, approve_change(context, key, change_id, actor=actor))


@router.post(
    "/flags/{key}/changes/{change_id}/reject", operation_id="rejectFlagChange", dependencies=[allowed(Operation.FLAG_CHANGE)],
    summary="Refuse a proposed change",
)  # fmt: skip
def reject(key: Key, change_id: ChangeId, body: DecisionBody, context: ContextDep, actor: ActorDep) -> ChangeOut:
    """It will not take effect."""
    return ChangeOut.of(reject_change(context, key, change_id, actor=actor, reason=body.reason))


@router.post(
    "/flags/{key}/changes/{change_id}/cancel", operation_id="cancelFlagChange", dependencies=[allowed(Operation.FLAG_CHANGE)],
    summary="Call off a waiting change",
)  # fmt: skip
def cancel(key: Key, change_id: ChangeId, body: DecisionBody, context: ContextDep, actor: ActorDep) -> ChangeOut:
    """Proposed or scheduled: it will not take effect."""
    return ChangeOut.of(cancel_change(context, key, change_id, actor=actor, reason=body.reason))


@router.get(
    "/flags/{key}/history", operation_id="getFlagHistory", dependencies=[allowed(Operation.FLAG_READ)], summary="Read a flag's revisions"
)
def show_history(
    key: Key, context: ContextDep, actor: ActorDep, limit: Annotated[int, Query(ge=1, le=200)] = 50,
    before: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="`next` of the page before.")] = None,
) -> HistoryPage:  # fmt: skip
    """Who changed what, when and why, with the flag before and after; newest first."""
    found = flag_history(context, key, limit=limit, before=before, actor=actor)
    following = found[-1].revision if len(found) == limit and found[-1].revision > 1 else None
    return HistoryPage(items=[RevisionOut.of(each) for each in found], next=following)


@router.get(
    "/flags/{key}/exposure", operation_id="getFlagExposure", dependencies=[allowed(Operation.FLAG_READ)], summary="Read who got what"
)
def show_exposure(
    key: Key, context: ContextDep, actor: ActorDep, environment: Environment = Environment.PRODUCTION,
    since: Annotated[AwareDatetime | None, Query(description="Default: ten minutes ago.")] = None,
) -> ExposureOut:  # fmt: skip
    """The ramp as it was asked for, and evaluations by variant as they were counted."""
    return ExposureOut.of(flag_exposure(context, key, environment, since=since, actor=actor))


@router.post(
    "/flags/{key}/evaluate", operation_id="explainFlag", dependencies=[allowed(Operation.FLAG_READ)], summary="Try a flag for a context"
)
def evaluate(key: Key, body: EvaluateBody, context: ContextDep, actor: ActorDep) -> EvaluationOut:
    """What a context would get, and by which decision; not counted, and archived flags answer, too."""
    flag = read_flag(context, key, actor=actor).flag
    found = FlagSet(body.environment, [flag], version=0).evaluate(key, body.context)
    if isinstance(found, Answer):
        return EvaluationOut(
            key=key, environment=body.environment, variant=found.variant, value=found.value, reason=found.reason, decision=found.decision
        )
    return EvaluationOut(key=key, environment=body.environment, error_code=found.code, error_details=found.details)


@router.get("/stale-flags", operation_id="listStaleFlags", dependencies=[allowed(Operation.FLAG_READ)], summary="List flags that should go")
def show_stale(
    context: ContextDep, actor: ActorDep, environment: Environment = Environment.PRODUCTION,
    venture: Annotated[str | None, Query(max_length=63)] = None,
    unused_days: Annotated[int, Query(ge=1, le=3650, description="Not evaluated for so long.")] = 30,
    settled_days: Annotated[int, Query(ge=1, le=3650, description="Everybody has had the same variant for so long.")] = 30,
    after: After = None, limit: ManyLimit = 200,
) -> StaleList:  # fmt: skip
    """Expired, settled or unused flags with their owners, oldest reason first."""
    found = stale_report(
        context,
        environment=environment,
        venture=venture,
        unused=timedelta(days=unused_days),
        settled=timedelta(days=settled_days),
        actor=actor,
    )
    seen = decode_one(after)  # the report is made anew for each page: its order does not change from one to the next
    begin = next((place + 1 for place, each in enumerate(found) if f"{each.key} {each.reason}" == seen), 0)
    page, following = cut(found[begin : begin + limit + 1], limit, lambda each: [f"{each.key} {each.reason}"])
    return StaleList(items=[StaleOut.of(each) for each in page], next=following)


def _told(request: Request, response: Response, outcome: Outcome) -> OutcomeOut:
    """The answer to a wish; evaluations of this program know of it before the caller does."""
    if outcome.applied:
        door_of(request.app).changed()
    else:
        response.status_code = 202
    response.headers["ETag"] = f'"{outcome.flag.revision}"'
    return OutcomeOut.of(outcome)


def _exists(context: Context, key: str, actor: Actor) -> bool:
    try:
        read_flag(context, key, actor=actor)
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
