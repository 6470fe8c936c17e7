"""Routes of approvals: what waits for whom, signing, refusing, overriding, reviews."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request

from productops.api import paging
from productops.api.access import allowed
from productops.api.governance_approvals_schemas import (
    ApprovalOut,
    ApprovalPage,
    CloseBody,
    LinkOut,
    OverrideBody,
    RefusalBody,
    ReviewOut,
    ReviewPage,
    SignatureBody,
)
from productops.api.release import BASE
from productops.api.wiring import ActorDep, ContextDep
from productops.domain.catalog_approvals import Action
from productops.domain.governance_access import Operation
from productops.domain.governance_approvals import ApprovalState
from productops.store.governance_approvals import ApprovalFilter
from productops.usecases import governance_approvals, governance_approvals_links, governance_approvals_override

APPROVALS = f"{BASE}/approvals"
router = APIRouter(tags=["approvals"])
ApprovalId = Annotated[str, Path(max_length=64, description="Id of the request; also of the release, train, flag change or bypass.")]
VentureName = Annotated[str | None, Query(max_length=63, pattern=r"^[^\x00]*$", description="Name of a venture.")]


@router.get(
    APPROVALS, operation_id="listApprovals", summary="List requests for signatures", dependencies=[allowed(Operation.APPROVAL_READ)]
)
def show_approvals(
    context: ContextDep,
    actor: ActorDep,
    state: ApprovalState | None = None,
    action: Action | None = None,
    venture: VentureName = None,
    subject: Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00]*$", description="What it is about: release/….")] = None,
    *,
    mine: Annotated[bool, Query(description="Those that wait for a signature you could give.")] = False,
    after: paging.After = None,
    limit: paging.Limit = 50,
) -> ApprovalPage:
    """Newest first."""
    wanted = ApprovalFilter(state=state, action=action, venture=venture, subject=subject)
    found, following = governance_approvals.list_approvals(
        context, wanted, actor=actor, mine=mine, after=paging.decode_one(after), limit=limit
    )
    now = context.clock.now()
    return ApprovalPage(items=[ApprovalOut.of(r, now=now) for r in found], next=paging.encode(following) if following else None)


@router.get(
    f"{APPROVALS}/reviews", operation_id="listApprovalReviews", summary="List overrides to be looked at",
    dependencies=[allowed(Operation.APPROVAL_READ)],
)  # fmt: skip
def show_reviews(
    context: ContextDep,
    actor: ActorDep,
    *,
    closed: Annotated[bool, Query(description="Also those that somebody closed.")] = False,
    after: paging.After = None,
    limit: paging.Limit = 50,
) -> ReviewPage:
    """Newest first; `overdue` are those that nobody closed within 72 hours."""
    found, following = governance_approvals_override.list_reviews(
        context, actor=actor, open_only=not closed, after=paging.decode_one(after), limit=limit
    )
    now = context.clock.now()
    return ReviewPage(items=[ReviewOut.of(r, now=now) for r in found], next=paging.encode(following) if following else None)


@router.post(
    f"{APPROVALS}/reviews/{{review_id}}/close", operation_id="closeApprovalReview", summary="Say what you found of an override",
    dependencies=[allowed(Operation.APPROVAL_SIGN)],
)  # fmt: skip
def close_review(review_id: Annotated[str, Path(max_length=64)], body: CloseBody, context: ContextDep, actor: ActorDep) -> ReviewOut:
    """Refused for the one who overrode."""
    closed = governance_approvals_override.close_review(context, review_id, note=body.note, actor=actor)
    return ReviewOut.of(closed, now=context.clock.now())


@router.get(
    f"{APPROVALS}/{{approval_id}}", operation_id="getApproval", summary="Read a request for signatures",
    dependencies=[allowed(Operation.APPROVAL_READ)],
)  # fmt: skip
def show_approval(approval_id: ApprovalId, context: ContextDep, actor: ActorDep) -> ApprovalOut:
    """What is asked, who has signed, and what is still missing."""
    found = governance_approvals.find_approval(context, approval_id, actor=actor)
    view = governance_approvals.read_approval(context, found.id, actor=actor)
    return ApprovalOut.of(view.request, now=view.read_at, reviews=view.reviews)


@router.post(
    f"{APPROVALS}/{{approval_id}}/signatures", operation_id="signApproval", status_code=201, summary="Sign",
    dependencies=[allowed(Operation.APPROVAL_SIGN)],
)  # fmt: skip
def sign(approval_id: ApprovalId, body: SignatureBody, context: ContextDep, actor: ActorDep) -> ApprovalOut:
    """The last signature starts what waits. Refused for the one who asked, and for who holds none of the roles."""
    found = governance_approvals.find_approval(context, approval_id, actor=actor)
    signed = governance_approvals.sign(context, found.id, actor=actor, note=body.note, content_hash=body.content_hash)
    return ApprovalOut.of(signed, now=context.clock.now())


@router.post(
    f"{APPROVALS}/{{approval_id}}/refusals", operation_id="refuseApproval", status_code=201, summary="Refuse, or withdraw your own",
    dependencies=[allowed(Operation.APPROVAL_READ)],
)  # fmt: skip
def refuse(approval_id: ApprovalId, body: RefusalBody, context: ContextDep, actor: ActorDep) -> ApprovalOut:
    """One refusal ends it, and what waits with it."""
    found = governance_approvals.find_approval(context, approval_id, actor=actor)
    refused = governance_approvals.refuse(context, found.id, reason=body.reason, actor=actor, content_hash=body.content_hash)
    return ApprovalOut.of(refused, now=context.clock.now())


@router.post(
    f"{APPROVALS}/{{approval_id}}/override", operation_id="overrideApproval", status_code=201, summary="Go past the signatures",
    dependencies=[allowed(Operation.APPROVAL_OVERRIDE)],
)  # fmt: skip
def override(approval_id: ApprovalId, body: OverrideBody, context: ContextDep, actor: ActorDep) -> ApprovalOut:
    """For emergencies: at once, loudly, and somebody else has to look at it afterwards."""
    found = governance_approvals.find_approval(context, approval_id, actor=actor)
    done = governance_approvals_override.override(context, found.id, reason=body.reason, actor=actor)
    return ApprovalOut.of(done, now=context.clock.now())


@router.post(
    f"{APPROVALS}/{{approval_id}}/links", operation_id="makeApprovalLink", status_code=201, summary="Make a link of your own to sign by",
    dependencies=[allowed(Operation.APPROVAL_SIGN)],
)  # fmt: skip
def make_link(request: Request, approval_id: ApprovalId, context: ContextDep, actor: ActorDep) -> LinkOut:
    """For a phone or a chat: it stands for you, for this one request, once, within a day."""
    found = governance_approvals.find_approval(context, approval_id, actor=actor)
    path = governance_approvals_links.make_link(context, found.id, person=actor.name, actor=actor)
    return LinkOut(path=path, url=f"{str(request.base_url).rstrip('/')}{path}")
