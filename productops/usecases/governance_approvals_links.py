"""Links to sign by, as a chat program may carry them: for one person, for one request, once, for a day."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from productops.domain.governance_access import Operation
from productops.errors import ForbiddenError, UnauthorizedError
from productops.store.governance_approvals_links import ApprovalLink
from productops.usecases.context import Actor, Context

LINK_VALID = timedelta(hours=24)
TOKEN_BYTES = 32
PAGE = "/approvals/link"


def make_link(context: Context, approval_id: str, *, person: str, actor: Actor) -> str:
    """The path of the page with a secret that stands for ``person``; shown once, kept as a hash.

    People make links for themselves only; the product's own programs make them for whom they tell. Raises: ForbiddenError, NotFoundError.
    """
    token = secrets.token_urlsafe(TOKEN_BYTES)
    with context.store.write() as unit:
        now = context.clock.now()
        request = unit.approvals.get(approval_id)
        actor.check(Operation.APPROVAL_SIGN, venture=request.venture, environment=request.environment)
        if actor.principal.kind != "machine" and actor.name != person:
            raise ForbiddenError(f"a link signs for its holder: {actor.name} can have one of their own, not one of {person}")
        holder = unit.principals.get(person)
        unit.approval_links.add(request.id, person=holder.name, token_hash=_hash(token), expires_at=now + LINK_VALID, now=now)
        unit.audit.add(
            "approval.link_made", request.subject, actor=actor.name, origin=actor.origin, now=now,
            detail={"approval": request.id, "person": holder.name, "expires_at": (now + LINK_VALID).isoformat()},
        )  # fmt: skip
    return f"{PAGE}/{request.id}?token={token}"


def holder_of(context: Context, approval_id: str, token: str) -> tuple[Actor, ApprovalLink]:
    """Whom a link stands for, with what they may do now. Raises: UnauthorizedError for one that is unknown, used, or expired."""
    with context.store.read() as unit:
        now = context.clock.now()
        link = unit.approval_links.find(_hash(token))
        person = unit.principals.find(link.person) if link is not None else None
    if link is None or person is None or link.approval_id != approval_id:
        raise UnauthorizedError("this link is none of ours; ask for another one with: productops approvals link")
    if link.used_at is not None or link.expires_at <= now:
        ended = "was used" if link.used_at is not None else "has expired"
        raise UnauthorizedError(f"this link {ended}; ask for another one with: productops approvals link {approval_id}")
    return Actor(name=person.name, origin="link", principal=person.principal(now)), link


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
