"""Start during a freeze all the same: one person asks with a reason, another approves, one release may use it."""

from __future__ import annotations

from datetime import timedelta

import structlog

from productops.domain.governance_access import Operation, visible_places
from productops.domain.release import Environment
from productops.domain.release_windows import Bypass, BypassState, same_person
from productops.errors import ConflictError, InvalidInputError, SelfApprovalError
from productops.store.identity import new_id
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_scope import bypass_for, service_for
from productops.usecases.governance_approvals_ask import check_granted
from productops.usecases.governance_approvals_flags import ask_for_bypass
from productops.usecases.release_toggle import check_wished

log = structlog.get_logger(__name__)
VALID_MIN = timedelta(minutes=1)
VALID_MAX = timedelta(days=7)
VALID_USUALLY = timedelta(hours=4)


def request_bypass(
    context: Context, *, service: str, environment: Environment, version: str | None, reason: str, valid_for: timedelta, actor: Actor
) -> Bypass:
    """Ask for it; worth nothing until somebody else approves it.

    Raises: NotFoundError, ForbiddenError, InvalidInputError, StoreUnavailableError.
    """
    with context.store.read() as unit:
        service_for(unit, service, actor, Operation.WINDOW_BYPASS, environment=environment)
    if not reason.strip():
        raise InvalidInputError("a bypass needs a reason")
    if not VALID_MIN <= valid_for <= VALID_MAX:
        raise InvalidInputError(f"a bypass is valid for 60 s to {int(VALID_MAX.total_seconds())} s, not {valid_for.total_seconds():g} s")
    if version is not None:
        check_wished(version)
    with context.store.write() as unit:
        now = context.clock.now()
        bypass = Bypass(
            id=str(new_id()), venture=unit.catalog.service(service).venture, service=service, environment=environment, version=version,
            reason=reason.strip(), asked_by=actor.name, asked_at=now, expires_at=now + valid_for,
        )  # fmt: skip
        unit.bypasses.add(bypass)
        ask_for_bypass(unit, bypass, actor=actor, now=now)
        detail = {
            "service": service, "environment": environment.value, "version": version, "expires_at": bypass.expires_at.isoformat()
        }  # fmt: skip
        unit.audit.add(
            "windows.bypass_asked", f"bypass/{bypass.id}", actor=actor.name, origin=actor.origin, now=now, reason=bypass.reason,
            detail=detail,
        )  # fmt: skip
    log.warning("bypass of the change windows asked for", bypass_id=bypass.id, service=service, by=actor.name, reason=bypass.reason)
    return bypass


def approve_bypass(context: Context, bypass_id: str, *, note: str, actor: Actor) -> Bypass:
    """Approve what somebody else asked for.

    Raises: SelfApprovalError for the one who asked, ConflictError when it was approved, used or expired, NotFoundError.
    """
    with context.store.write() as unit:
        now = context.clock.now()
        bypass = bypass_for(unit, bypass_id, actor, Operation.WINDOW_BYPASS)
        if same_person(bypass.asked_by, actor.name):
            raise SelfApprovalError(f"bypass {bypass_id} was asked for by {bypass.asked_by}: somebody else has to approve it")
        check_granted(unit, f"bypass/{bypass_id}", now=now)
        if not unit.bypasses.approve(bypass_id, by=actor.name, note=note, now=now):
            state = bypass.state(now)
            by = f" by {bypass.approved_by}" if state is BypassState.APPROVED else ""
            raise ConflictError(f"bypass {bypass_id} is {state}{by} already")
        detail = {"asked_by": bypass.asked_by, "reason": bypass.reason, "service": bypass.service, "environment": bypass.environment.value}
        unit.audit.add(
            "windows.bypass_approved", f"bypass/{bypass_id}", actor=actor.name, origin=actor.origin, now=now, reason=note, detail=detail
        )
        approved = unit.bypasses.get(bypass_id)
    log.warning("bypass of the change windows approved", bypass_id=bypass_id, service=bypass.service, by=actor.name)
    return approved


def read_bypass(context: Context, bypass_id: str, *, actor: Actor) -> Bypass:
    """Raises: NotFoundError, StoreUnavailableError."""
    with context.store.read() as unit:
        return bypass_for(unit, bypass_id, actor)


def list_bypasses(
    context: Context, *, service: str | None = None, limit: int = 50, before: str | None = None, actor: Actor
) -> list[Bypass]:  # fmt: skip
    """Those that the caller may see, newest first; ``before`` is the id of the last one seen. Raises: StoreUnavailableError."""
    places = visible_places(actor.principal, Operation.WINDOW_READ)
    with context.store.read() as unit:
        return unit.bypasses.newest(service=service, limit=limit, places=places, before=before)
