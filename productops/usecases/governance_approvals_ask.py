"""Does it need signatures? Asked within the transaction that writes what somebody wants, and again before it is done."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from productops.domain.catalog_approvals import Action
from productops.domain.governance_approvals import ApprovalRequest, ApprovalState, hash_of, same_person, still_missing
from productops.domain.governance_approvals_policy import Facts, needs_of
from productops.domain.release import Environment
from productops.errors import ApprovalNeededError
from productops.store import Unit
from productops.store.identity import new_id
from productops.usecases.context import Actor


def plain(content: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON gives it back, so that it is the same before and after it was stored."""
    found: dict[str, Any] = json.loads(json.dumps(content, default=str), parse_constant=lambda _: None)
    return found


def ask(
    unit: Unit, *, subject: str, action: Action, title: str, venture: str | None, environment: Environment | None,
    content: Mapping[str, Any], facts: Sequence[Facts], reason: str, actor: Actor, now: datetime,
) -> ApprovalRequest | None:  # fmt: skip
    """Write down a request for signatures when any policy touches one of ``facts``; None: nobody has to sign.

    Raises: ConflictError when one about the same subject waits already.
    """
    needs, valid_s = needs_of(unit.approval_policies.all(), facts, now=now)
    if not needs or valid_s is None:
        return None
    shown = plain(content)
    request = ApprovalRequest(
        id=str(new_id()), subject=subject, action=action, title=title, venture=venture, environment=environment,
        requested_by=actor.name, reason=reason, content=shown, content_hash=hash_of(shown), facts=tuple(each.to_dict() for each in facts),
        needs=needs, state=ApprovalState.WAITING, created_at=now, expires_at=now + timedelta(seconds=valid_s),
    )  # fmt: skip
    unit.approvals.add(request)
    unit.audit.add(
        "approval.requested", subject, actor=actor.name, origin=actor.origin, now=now, reason=reason,
        detail={
            "approval": request.id, "policies": list(request.policies), "needs": [need.to_dict() for need in needs],
            "content_hash": request.content_hash, "expires_at": request.expires_at.isoformat(),
        },
    )  # fmt: skip
    return request


def needed(request: ApprovalRequest, *, now: datetime) -> ApprovalNeededError:
    """The refusal of what is not signed: what is missing, and what to do."""
    how = f"; sign it with: productops approve {request.id}" if request.waiting else "; ask anew"
    return ApprovalNeededError(
        f"{request.title}: {still_missing(request, now=now)}{how}", approval_id=request.id, state=request.state.value
    )


def check_granted(unit: Unit, subject: str, *, now: datetime) -> None:
    """Raises: ApprovalNeededError when somebody had to sign this and has not."""
    request = unit.approvals.of_subject(subject)
    if request is not None and not request.granted:
        raise needed(request, now=now)


def withdraw(unit: Unit, subject: str, *, reason: str, actor: Actor, now: datetime) -> None:
    """What it was about is over: nobody needs to sign any more. Nothing happens when nothing waits."""
    request = unit.approvals.of_subject(subject)
    if request is None or not request.waiting:
        return
    decided(unit, request, ApprovalState.WITHDRAWN, outcome=reason, actor=actor, now=now)


def decided(unit: Unit, request: ApprovalRequest, state: ApprovalState, *, outcome: str, actor: Actor, now: datetime) -> ApprovalRequest:
    """End the wait, with its entry in the audit. Raises: ConflictError when somebody else did."""
    by = ", ".join(sorted({s.person for s in request.signatures})) if state is ApprovalState.APPROVED else actor.name
    after = unit.approvals.decide(request, state, by=by[:255], outcome=outcome, now=now)
    unit.audit.add(
        f"approval.{state.value}", request.subject, actor=actor.name, origin=actor.origin, now=now, reason=outcome,
        detail={"approval": request.id, "title": request.title, "policies": list(request.policies), "content_hash": request.content_hash},
        before=request.state.value, after=state.value,
    )  # fmt: skip
    return after


def renewed(unit: Unit, request: ApprovalRequest, content: Mapping[str, Any], *, actor: Actor, now: datetime) -> ApprovalRequest:
    """What was asked for is another thing now: signatures for the earlier one lapse. Raises: ConflictError."""
    shown = plain(content)
    after = unit.approvals.renew(
        request, content=shown, content_hash=hash_of(shown), expires_at=now + (request.expires_at - request.created_at)
    )
    unit.audit.add(
        "approval.lapsed", request.subject, actor=actor.name, origin=actor.origin, now=now,
        reason="what was signed changed; the signatures lapse",
        detail={"approval": request.id, "signed_by": sorted({s.person for s in request.signatures})},
        before=request.content_hash, after=after.content_hash,
    )  # fmt: skip
    return after


__all__ = ["ask", "check_granted", "decided", "needed", "plain", "renewed", "same_person", "withdraw"]
