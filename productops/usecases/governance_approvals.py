"""Sign, refuse, read and expire requests for signatures."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import structlog

from productops.domain.catalog_approvals import Action
from productops.domain.governance_access import Operation, may_see, visible_ventures
from productops.domain.governance_approvals import (
    ApprovalRequest,
    ApprovalState,
    Review,
    Signature,
    complete,
    count_roles,
    counting,
    fits,
    missing,
    same_person,
    slots_of,
    useful,
)
from productops.domain.governance_approvals_hours import describe, next_within
from productops.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError, SelfApprovalError
from productops.store import Unit
from productops.store.governance_approvals import ApprovalFilter
from productops.store.governance_approvals_links import ApprovalLink
from productops.store.identity import new_id
from productops.usecases.context import Actor, Context
from productops.usecases.governance_approvals_decide import decide, start_granted
from productops.usecases.governance_approvals_release import refresh

log = structlog.get_logger(__name__)
SCAN = 200


@dataclass(frozen=True, slots=True)
class ApprovalView:
    """A request as it stands, with the reviews of its override."""

    request: ApprovalRequest
    reviews: tuple[Review, ...]
    read_at: datetime


def sign(
    context: Context, approval_id: str, *, actor: Actor, note: str = "", content_hash: str | None = None, link: ApprovalLink | None = None
) -> ApprovalRequest:
    """One person's word for what they were shown (``content_hash``; None: what it is now). The last one starts what waits.

    Signing again changes nothing while the earlier signature counts. ``link``: the one-time link that is spent with it.
    Raises: NotFoundError, ForbiddenError for somebody whose signature would not count, SelfApprovalError, ConflictError when it was
    decided, has expired, or is not what was shown.
    """
    _settle(context, approval_id)
    with context.store.write() as unit:
        now = context.clock.now()
        request = unit.approvals.get(approval_id, lock=True)
        actor.check(Operation.APPROVAL_SIGN, venture=request.venture, environment=request.environment)
        _check_open(request)
        _check_person(request, actor)
        _check_shown(request, content_hash)
        _spend(unit, link, now=now)
        signature = Signature(
            str(new_id()), actor.name, actor.principal.roles(request.scope), request.content_hash, note.strip(), actor.origin, now
        )
        if not _has_signed(request, actor.name, now=now):
            _check_useful(request, signature, now=now)
            unit.approvals.sign(request.id, signature)
            unit.audit.add(
                "approval.signed", request.subject, actor=actor.name, origin=actor.origin, now=now, reason=signature.note,
                detail={
                    "approval": request.id, "title": request.title, "roles": sorted(signature.roles), "content_hash": request.content_hash,
                    "by_link": link is not None,
                },
            )  # fmt: skip
            request = unit.approvals.get(approval_id)
        if complete(request, now=now):
            request = decide(unit, request, ApprovalState.APPROVED, outcome=signature.note, actor=actor, now=now)
    start_granted(context, request)
    return request


def refuse(
    context: Context, approval_id: str, *, reason: str, actor: Actor, content_hash: str | None = None, link: ApprovalLink | None = None
) -> ApprovalRequest:
    """A veto: the request ends, and what waited with it. The one who asked withdraws it so.

    Raises: NotFoundError, ForbiddenError, ConflictError when it was decided, InvalidInputError without a reason.
    """
    if not reason.strip():
        raise InvalidInputError("say why: whoever asked needs to know")
    with context.store.write() as unit:
        now = context.clock.now()
        request = unit.approvals.get(approval_id, lock=True)
        own = same_person(request.requested_by, actor.name)
        wanted = Operation.APPROVAL_READ if own else Operation.APPROVAL_SIGN
        actor.check(wanted, venture=request.venture, environment=request.environment)
        _check_open(request)
        _check_shown(request, content_hash)
        if not own:
            _check_human(actor)
        _spend(unit, link, now=now)
        state = ApprovalState.WITHDRAWN if own else ApprovalState.REFUSED
        return decide(unit, request, state, outcome=reason.strip(), actor=actor, now=now)


def read_approval(context: Context, approval_id: str, *, actor: Actor) -> ApprovalView:
    """Raises: NotFoundError, also for what the caller may not see."""
    with context.store.read() as unit:
        request = unit.approvals.get(approval_id)
        _check_seen(request, actor)
        return ApprovalView(request, tuple(unit.approval_reviews.of_approval(request.id)), context.clock.now())


def find_approval(context: Context, name: str, *, actor: Actor) -> ApprovalRequest:
    """By its id, or by the id of the release or train that waits. Raises: NotFoundError."""
    with context.store.read() as unit:
        for subject in (f"release/{name}", f"train/{name}", f"flag-change/{name}", f"bypass/{name}"):
            found = unit.approvals.of_subject(subject)
            if found is not None:
                break
        else:
            found = unit.approvals.get(name)
        _check_seen(found, actor)
        return found


def list_approvals(
    context: Context, wanted: ApprovalFilter, *, actor: Actor, mine: bool = False, after: str | None = None, limit: int = 50
) -> tuple[list[ApprovalRequest], str | None]:
    """Newest first, and the id to go on after. ``mine``: those that wait for a signature the caller could give."""
    ventures = visible_ventures(actor.principal, Operation.APPROVAL_READ)
    state = ApprovalState.WAITING if mine else wanted.state
    narrowed = ApprovalFilter(state, wanted.action, wanted.venture, wanted.subject, ventures)
    found: list[ApprovalRequest] = []
    size = max(limit + 1, SCAN) if mine else limit + 1
    with context.store.read() as unit:
        now = context.clock.now()
        while len(found) <= limit:
            page = unit.approvals.newest(narrowed, before=after, limit=size)
            found += [r for r in page if not mine or may_sign(r, actor, now=now)]
            if not mine or len(page) < size:
                break
            after = page[-1].id
    return found[:limit], found[limit - 1].id if len(found) > limit else None


def may_sign(request: ApprovalRequest, actor: Actor, *, now: datetime) -> bool:
    """Whether a signature of theirs would bring it forward now."""
    if not request.waiting or actor.principal.kind != "person" or same_person(request.requested_by, actor.name):
        return False
    mine = Signature("", actor.name, actor.principal.roles(request.scope), request.content_hash, "", "", now)
    return not _has_signed(request, actor.name, now=now) and any(fits(slot, mine, now=now) for slot in missing(request, now=now))


def expire_due(context: Context, *, actor: Actor) -> list[str]:
    """End requests whose time is over, and those about releases that ended otherwise; ids of them."""
    with context.store.read() as unit:
        now = context.clock.now()
        ended = [r.id for r in unit.approvals.waiting() if r.expires_at <= now or _is_over(unit, r)]
    for approval_id in ended:
        with context.store.write() as unit:
            request = unit.approvals.get(approval_id, lock=True)
            if request.waiting:
                _end(unit, request, actor=actor, now=now)
    return ended


def _end(unit: Unit, request: ApprovalRequest, *, actor: Actor, now: datetime) -> None:
    if _is_over(unit, request):
        decide(unit, request, ApprovalState.WITHDRAWN, outcome="what it was about has ended", actor=actor, now=now)
    elif request.expires_at <= now:
        lacking = count_roles(slot.role for slot in missing(request, now=now))
        decide(unit, request, ApprovalState.EXPIRED, outcome=f"not signed in time, lacking {lacking}", actor=actor, now=now)


def _is_over(unit: Unit, request: ApprovalRequest) -> bool:
    thing = request.subject.partition("/")[2]
    if request.action is Action.RELEASE:
        return unit.releases.get(thing).ended
    return request.action is Action.TRAIN and unit.trains.get(thing).ended


def _settle(context: Context, approval_id: str) -> None:
    """Before a signature is looked at: an expired request ends, and one whose thing changed waits anew."""
    from productops.usecases.governance_approvals_release import WATCH

    with context.store.read() as unit:
        request = unit.approvals.get(approval_id)
        due = request.waiting and request.expires_at <= context.clock.now()
    if due:
        with context.store.write() as unit:
            request = unit.approvals.get(approval_id, lock=True)
            if request.waiting:
                _end(unit, request, actor=WATCH, now=context.clock.now())
    elif request.waiting:
        refresh(context, request)


def _check_seen(request: ApprovalRequest, actor: Actor) -> None:
    if not may_see(actor.principal, Operation.APPROVAL_READ, request.scope):
        raise NotFoundError(f"there is no approval {request.id!r}")


def _check_open(request: ApprovalRequest) -> None:
    if not request.waiting:
        by = f" by {request.decided_by}" if request.decided_by else ""
        raise ConflictError(f"{request.title} is {request.state} already{by}{': ' + request.outcome if request.outcome else ''}")


def _check_human(actor: Actor) -> None:
    if actor.principal.kind != "person":
        raise ForbiddenError(f"{actor.name} is a {actor.principal.kind} account: only people sign", operation=Operation.APPROVAL_SIGN.value)


def _check_person(request: ApprovalRequest, actor: Actor) -> None:
    _check_human(actor)
    if same_person(request.requested_by, actor.name):
        raise SelfApprovalError(f"{actor.name} asked for it: somebody else has to sign {request.title}")


def _check_shown(request: ApprovalRequest, content_hash: str | None) -> None:
    if content_hash is not None and content_hash != request.content_hash:
        raise ConflictError(f"{request.title} changed since it was shown to you: read it again and decide anew")


def _spend(unit: Unit, link: ApprovalLink | None, *, now: datetime) -> None:
    if link is not None and not unit.approval_links.use(link, now=now):
        raise ConflictError("this link was used or has expired; ask for another one")


def _has_signed(request: ApprovalRequest, person: str, *, now: datetime) -> bool:
    return any(same_person(s.person, person) and useful(request, s, now=now) for s in counting(request))


def _check_useful(request: ApprovalRequest, signature: Signature, *, now: datetime) -> None:
    """Raises: ForbiddenError when no role of theirs is asked for, ConflictError outside the hours in which they may sign."""
    if useful(request, signature, now=now):
        return
    slots = slots_of(request.needs)
    theirs = [slot for slot in slots if slot.role in signature.roles]
    if not theirs:
        wanted = count_roles(slot.role for slot in slots)
        held = ", ".join(sorted(signature.roles)) or "no role"
        raise ForbiddenError(
            f"a signature of {signature.person} would not count: it needs {wanted}, and they hold {held} in {request.scope}",
            operation=Operation.APPROVAL_SIGN.value,
        )
    hours = theirs[0].hours
    opens = max(next_within(each, now) for each in hours)
    when = "; ".join(describe(each) for each in hours)
    raise ConflictError(f"signatures count only {when}; sign again from {opens:%Y-%m-%d %H:%M} UTC on", next_at=opens.isoformat())
