"""Routes of access: who one is, who may do what, tokens."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from productops.api.access import allowed
from productops.api.governance_access_schemas import (
    CallerOut,
    CheckOut,
    GrantBody,
    GroupOut,
    GroupsOut,
    HeldGrantOut,
    NewTokenOut,
    PeopleOut,
    PersonOut,
    PersonStateBody,
    RevocationBody,
    RotationBody,
    TokenBody,
    TokenList,
    TokenOut,
)
from productops.api.release_schemas import ReasonBody
from productops.api.wiring import ActorDep, ContextDep
from productops.domain.governance_access import Operation
from productops.domain.release import Environment
from productops.usecases import governance_access
from productops.usecases.governance_access import Holder
from productops.usecases.governance_access_tokens import TokenWish, create_token, list_tokens, revoke_token, rotate_token

BASE = "/api/v1/access"
router = APIRouter(prefix=BASE, tags=["access"])
TokenId = Annotated[str, Path(description="Id of the token, as in `po_<id>_…`.", max_length=20, examples=["3f9a61c2d0b7"])]
Text = Query(max_length=100, pattern=r"^[^\x00]*$")


@router.get("/me", operation_id="getCaller", dependencies=[allowed(Operation.TOKEN_OWN, any_token=True)], summary="Who am I?")
def show_caller(actor: ActorDep) -> CallerOut:
    """The caller, with what the presented token may do."""
    return CallerOut.of(actor.principal)


@router.get("/check", operation_id="checkAccess", dependencies=[allowed(Operation.TOKEN_OWN, any_token=True)], summary="Explain a decision")
def check(
    context: ContextDep,
    actor: ActorDep,
    operation: Operation,
    name: Annotated[str | None, Text] = None,
    venture: Annotated[str | None, Text] = None,
    environment: Environment | None = None,
) -> CheckOut:
    """Whether somebody (default: you) may do something somewhere (default: everywhere), and why. Others' takes `access.read`."""
    found = governance_access.explain(
        context, name or actor.principal.name, operation, venture=venture, environment=environment, actor=actor
    )  # fmt: skip
    return CheckOut(allowed=found.allowed, sentence=found.sentence)


@router.get("/people", operation_id="listPeople", dependencies=[allowed(Operation.ACCESS_READ)], summary="List people and accounts")
def show_people(context: ContextDep, actor: ActorDep) -> PeopleOut:
    """Everybody with their groups and grants, by name."""
    return PeopleOut(items=[PersonOut.of(person) for person in governance_access.list_people(context, actor=actor)])


@router.get("/groups", operation_id="listGroups", dependencies=[allowed(Operation.ACCESS_READ)], summary="List groups")
def show_groups(context: ContextDep, actor: ActorDep) -> GroupsOut:
    """What everybody in a group may do; an identity provider says who is in which."""
    found = governance_access.list_groups(context, actor=actor)
    return GroupsOut(items=[GroupOut(name=name, grants=[HeldGrantOut.of_held(h) for h in held]) for name, held in found.items()])


@router.post("/grants", operation_id="giveGrant", dependencies=[allowed(Operation.ACCESS_MANAGE)], status_code=201, summary="Give a role")
def give(body: GrantBody, context: ContextDep, actor: ActorDep) -> HeldGrantOut:
    """To a person, a service account or a group. Nobody gives more than they have; what the catalog declares is changed there."""
    holder = Holder(body.name, body.kind, body.email)
    held = governance_access.give(context, holder, body.grant, expires_at=body.expires_at, reason=body.reason, actor=actor)
    return HeldGrantOut.of_held(held)


@router.post(
    "/revocations", operation_id="takeGrant", dependencies=[allowed(Operation.ACCESS_MANAGE)], status_code=204, summary="Take a role away"
)
def take(body: RevocationBody, context: ContextDep, actor: ActorDep) -> Response:
    """It holds nowhere any more within 5 s. The last admin cannot be taken the role."""
    governance_access.take(context, Holder(body.name, body.kind), body.grant, reason=body.reason, actor=actor)
    return Response(status_code=204)


@router.post(
    "/people/state", operation_id="setPersonState", dependencies=[allowed(Operation.ACCESS_MANAGE)], summary="Shut somebody out, or let in"
)
def set_state(body: PersonStateBody, context: ContextDep, actor: ActorDep) -> PersonOut:
    """Log-ins and all tokens of theirs end within 5 s; the name stays in the audit log."""
    return PersonOut.of(governance_access.set_disabled(context, body.name, disabled=body.disabled, reason=body.reason, actor=actor))


@router.get("/tokens", operation_id="listTokens", dependencies=[allowed(Operation.TOKEN_OWN)], summary="List tokens, newest first")
def show_tokens(context: ContextDep, actor: ActorDep, owner: Annotated[str | None, Text] = None) -> TokenList:
    """Yours; those of another, or with `*` of everybody, take `access.read`."""
    now = context.clock.now()
    return TokenList(items=[TokenOut.of(token, now=now) for token in list_tokens(context, actor=actor, owner=owner)])


@router.post("/tokens", operation_id="createToken", dependencies=[allowed(Operation.TOKEN_OWN)], status_code=201, summary="Make a token")
def create(body: TokenBody, response: Response, context: ContextDep, actor: ActorDep) -> NewTokenOut:
    """The secret is in this answer only. A token can never do more than its owner, nor more than whoever makes it."""
    operations = None if body.operations is None else frozenset(body.operations)
    wish = TokenWish(body.name, body.owner, operations, body.venture, body.environment, timedelta(seconds=body.life_s))
    made = create_token(context, wish, actor=actor)
    response.headers["Location"] = f"{BASE}/tokens"
    return NewTokenOut(token=TokenOut.of(made.token, now=context.clock.now()), secret=made.secret)


@router.post(
    "/tokens/{token_id}/rotate",
    operation_id="rotateToken",
    dependencies=[allowed(Operation.TOKEN_OWN)],
    summary="Give a token a new secret",
)
def rotate(token_id: TokenId, body: RotationBody, context: ContextDep, actor: ActorDep) -> NewTokenOut:
    """The secret before holds for the overlap, so that programs can be changed one after the other."""
    overlap, life = timedelta(seconds=body.overlap_s), timedelta(seconds=body.life_s)
    made = rotate_token(context, token_id, overlap=overlap, life=life, actor=actor)
    return NewTokenOut(token=TokenOut.of(made.token, now=context.clock.now()), secret=made.secret)


@router.post("/tokens/{token_id}/revoke", operation_id="revokeToken", dependencies=[allowed(Operation.TOKEN_OWN)], summary="End a token")
def revoke(token_id: TokenId, body: ReasonBody, context: ContextDep, actor: ActorDep) -> TokenOut:
    """It opens nothing any more, in every process within 5 s."""
    return TokenOut.of(revoke_token(context, token_id, reason=body.reason, actor=actor), now=context.clock.now())
