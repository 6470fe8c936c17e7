"""A person's word about responses: begin one, let a proposed one begin, stop one."""

from __future__ import annotations

from productops.domain.governance_access import Operation
from productops.domain.incident_playbook import Response, ResponseState
from productops.errors import ConflictError
from productops.store import Unit
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_scope import incident_for
from productops.usecases.governance_audit_note import note
from productops.usecases.incident_log import log_incident
from productops.usecases.incident_respond import advance_response
from productops.usecases.incident_respond_plan import Wish, plan_response
from productops.usecases.incident_start import cause_of, follow, holder


def respond_now(context: Context, wish: Wish, *, actor: Actor) -> Response:
    """A person's word: begin the named playbook, or the one that fits, and do what is due. Dry runs do nothing.

    Raises: NotFoundError, ForbiddenError, ConflictError, InvalidInputError.
    """
    with context.store.read() as unit:
        incident_for(unit, wish.incident_id, actor, Operation.INCIDENT_RESPOND)
    response = plan_response(context, wish, cause_of(context, wish.incident_id), actor=actor)
    if response.state is not ResponseState.RUNNING:
        return response
    advance_response(context, response.id, holder=holder(), keep=False)
    follow(context, response, context.orchestrator)
    return _read(context, response.id)


def _read(context: Context, response_id: str) -> Response:
    with context.store.read() as unit:
        return unit.responses.get(response_id)


def go_on(context: Context, response_id: str, *, actor: Actor) -> Response:
    """Let a proposed response begin. Raises: NotFoundError, ForbiddenError, ConflictError when it is not proposed any more."""
    with context.store.write() as unit:
        response = _for(unit, response_id, actor)
        if response.state is not ResponseState.PROPOSED:
            raise ConflictError(f"response {response_id} is {response.state.value}; only a proposed one can be begun")
        _decide(context, unit, response, ResponseState.RUNNING, reason="", actor=actor)
    advance_response(context, response_id, holder=holder(), keep=False)
    found = _read(context, response_id)
    follow(context, found, context.orchestrator)
    return found


def stop_response(context: Context, response_id: str, *, reason: str, actor: Actor) -> Response:
    """Do nothing more: what was done stays done. Raises: NotFoundError, ForbiddenError, ConflictError when it has ended."""
    with context.store.write() as unit:
        response = _for(unit, response_id, actor)
        if response.ended:
            raise ConflictError(f"response {response_id} is {response.state.value} already")
        _decide(context, unit, response, ResponseState.STOPPED, reason=reason or f"stopped by {actor.name}", actor=actor)
    return _read(context, response_id)


def _for(unit: Unit, response_id: str, actor: Actor) -> Response:
    response = unit.responses.get(response_id)
    incident_for(unit, response.incident_id, actor, Operation.INCIDENT_RESPOND)
    return response


def _decide(context: Context, unit: Unit, response: Response, state: ResponseState, *, reason: str, actor: Actor) -> None:
    now = context.clock.now()
    ended = now if state is ResponseState.STOPPED else None
    unit.responses.decide(response, state, reason=reason, ended_at=ended)
    text = f"response {response.playbook}: {state.value}" + (f" ({reason})" if reason else "")
    log_incident(unit, response.incident_id, "response", text, actor=actor, detail={"response": response.id}, at=now)
    note(
        unit, actor, f"response.{state.value}", f"incident/{response.incident_id}", now=now, reason=reason, before=response.state.value,
        after=state.value, detail={"response": response.id},
    )  # fmt: skip
