"""In an emergency a director goes past the signatures: at once, loudly, and somebody else looks at it afterwards."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import structlog

from productops.domain.catalog_approvals import Action, RiskLevel
from productops.domain.governance_access import Operation, visible_ventures
from productops.domain.governance_approvals import (
    REASON_CHARACTERS_MIN,
    REVIEW_WITHIN,
    ApprovalRequest,
    ApprovalState,
    Review,
    still_missing,
)
from productops.domain.governance_approvals import same_person as same
from productops.domain.governance_approvals_policy import Facts
from productops.domain.governance_approvals_risk import Risk
from productops.domain.governance_changes import ChangeKind
from productops.errors import ConflictError, ForbiddenError, InvalidInputError, SelfApprovalError
from productops.store import Unit
from productops.store.identity import new_id
from productops.usecases.context import Actor, Context
from productops.usecases.governance_approvals_ask import ask
from productops.usecases.governance_approvals_decide import decide, start_granted
from productops.usecases.governance_changes_record import NO_WINDOWS, record_change

log = structlog.get_logger(__name__)


def override(context: Context, approval_id: str, *, reason: str, actor: Actor) -> ApprovalRequest:
    """Let it go ahead now. Where a policy wants signatures for overrides, the request for those is returned instead.

    Raises: ForbiddenError, InvalidInputError for a reason of fewer than 10 characters, ConflictError when it was decided, NotFoundError.
    """
    if len(reason.strip()) < REASON_CHARACTERS_MIN:
        raise InvalidInputError(f"an override needs a reason of at least {REASON_CHARACTERS_MIN} characters: others will ask")
    with context.store.write() as unit:
        now = context.clock.now()
        request = unit.approvals.get(approval_id, lock=True)
        actor.check(Operation.APPROVAL_OVERRIDE, venture=request.venture, environment=request.environment)
        if actor.principal.kind != "person":
            raise ForbiddenError(f"{actor.name} is no person: only people override", operation=Operation.APPROVAL_OVERRIDE.value)
        if not request.waiting:
            raise ConflictError(f"{request.title} is {request.state} already: there is nothing to override")
        asked = _asked(unit, request, reason=reason.strip(), actor=actor, now=now)
        if asked is not None:
            return asked
        request = overridden(unit, request, by=actor.name, reason=reason.strip(), actor=actor, now=now)
    start_granted(context, request)
    return request


def _asked(unit: Unit, request: ApprovalRequest, *, reason: str, actor: Actor, now: datetime) -> ApprovalRequest | None:
    if request.action is Action.OVERRIDE:
        return None
    facts = [replace(Facts.from_dict(each), action=Action.OVERRIDE) for each in request.facts]
    content = {"approval": request.id, "title": request.title, "goes_past": still_missing(request, now=now), "content": request.content}
    return ask(
        unit, subject=f"override/{request.id}", action=Action.OVERRIDE, title=f"override of the approval of {request.title}",
        venture=request.venture, environment=request.environment, content=content, facts=facts, reason=reason, actor=actor, now=now,
    )  # fmt: skip


def overridden(unit: Unit, request: ApprovalRequest, *, by: str, reason: str, actor: Actor, now: datetime) -> ApprovalRequest:
    """Within a transaction: decide it, open the review, write the change, and say it loudly. Raises: ConflictError."""
    went_past = still_missing(request, now=now)
    after = decide(unit, request, ApprovalState.OVERRIDDEN, outcome=reason, actor=replace(actor, name=by), now=now)
    review = Review(
        id=str(new_id()), approval_id=request.id, subject=request.subject, venture=request.venture, overridden_by=by, reason=reason,
        opened_at=now, due_at=now + REVIEW_WITHIN,
    )  # fmt: skip
    unit.approval_reviews.add(review)
    unit.audit.add(
        "approval.override_to_review", request.subject, actor=by, origin=actor.origin, now=now, reason=reason,
        detail={"approval": request.id, "review": review.id, "went_past": went_past, "due_at": review.due_at.isoformat()},
    )  # fmt: skip
    record_change(
        unit, kind=ChangeKind.OVERRIDE, subject=f"override/{request.id}", title=f"override of the approval of {request.title}",
        venture=request.venture, environment=request.environment, actor=replace(actor, name=by), reason=reason,
        risk=Risk(RiskLevel.HIGH, ("it went past the signatures",)), windows=NO_WINDOWS,
        rollback_plan="what it let through is rolled back as any other; the override itself stays on record",
        detail={"approval": request.id, "review": review.id, "went_past": went_past}, now=now,
    )  # fmt: skip
    log.warning("approval overridden", approval_id=request.id, subject=request.subject, by=by, reason=reason, went_past=went_past)
    return after


def close_review(context: Context, review_id: str, *, note: str, actor: Actor) -> Review:
    """Somebody else has looked at an override and says what they found.

    Raises: SelfApprovalError for the one who overrode, ConflictError when it is closed, InvalidInputError without a note, NotFoundError.
    """
    if not note.strip():
        raise InvalidInputError("say what you found: a review without a word is none")
    with context.store.write() as unit:
        now = context.clock.now()
        review = unit.approval_reviews.get(review_id)
        request = unit.approvals.get(review.approval_id)
        actor.check(Operation.APPROVAL_SIGN, venture=request.venture, environment=request.environment)
        if actor.principal.kind != "person":
            raise ForbiddenError(f"{actor.name} is no person: only people review", operation=Operation.APPROVAL_SIGN.value)
        if same(review.overridden_by, actor.name):
            raise SelfApprovalError(f"{actor.name} overrode it: somebody else has to look at it")
        if not unit.approval_reviews.close(review_id, by=actor.name, note=note.strip(), now=now):
            raise ConflictError(f"review {review_id} was closed by {review.closed_by} already")
        unit.audit.add(
            "approval.override_reviewed", review.subject, actor=actor.name, origin=actor.origin, now=now, reason=note.strip(),
            detail={"approval": review.approval_id, "review": review.id, "overridden_by": review.overridden_by},
            before="open", after="closed",
        )  # fmt: skip
        return unit.approval_reviews.get(review_id)


def list_reviews(
    context: Context, *, actor: Actor, open_only: bool = True, after: str | None = None, limit: int = 50
) -> tuple[list[Review], str | None]:
    """Newest first, and the id to go on after."""
    ventures = visible_ventures(actor.principal, Operation.APPROVAL_READ)
    with context.store.read() as unit:
        found = unit.approval_reviews.newest(open_only=open_only, ventures=ventures, before=after, limit=limit + 1)
    return found[:limit], found[limit - 1].id if len(found) > limit else None
