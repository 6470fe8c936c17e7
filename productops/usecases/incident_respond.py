"""Carry a response on: one process at a time, from the journal, whoever began it. Nothing in the journal is done twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import structlog

from productops.domain.incident_playbook import PAGE_A_PERSON, Response, ResponseState, StepRecord
from productops.errors import ProductOpsError, TakenOverError
from productops.store import Unit
from productops.usecases.context import Context
from productops.usecases.governance_audit_note import note
from productops.usecases.incident_log import log_incident
from productops.usecases.incident_respond_doing import RESPONDER, Doing, StepTurn, failed
from productops.usecases.incident_respond_instances import drain, restart, scale
from productops.usecases.incident_respond_other import approve, page_somebody, run_command, wait_for_recovery
from productops.usecases.incident_respond_traffic import disable_flag, fail_over, roll_back

log = structlog.get_logger(__name__)
TTL = timedelta(seconds=10)
TURNS_MAX = 100
_PAGE = {"do": "page", "say": "", "timeout_s": 60.0, "retries": 2, "retry_wait_s": 1.0, "on_failure": "continue"}
_HANDLERS: Final[dict[str, Callable[[Context, Doing], StepTurn]]] = {
    "roll-back": roll_back, "disable-flag": disable_flag, "fail-over": fail_over, "scale": scale, "restart": restart, "drain": drain,
    "run-command": run_command, "page": page_somebody, "wait-for-recovery": wait_for_recovery, "approve": approve,
}  # fmt: skip


def advance_response(
    context: Context, response_id: str, *, holder: str, keep: bool, command_s: float = float("inf")
) -> Response:  # fmt: skip
    """Do what is due now and return how it stands; while somebody else holds it nothing is done.

    ``holder`` names this process and nobody else, ever. ``keep``: hold it until the next call, within ten seconds; else let it go.
    Commands that may take longer than ``command_s`` are left to the next one who carries it on.
    Raises: NotFoundError, StoreUnavailableError.
    """
    with context.store.write() as unit:
        held = unit.responses.take(response_id, holder=holder, now=context.clock.now(), ttl=TTL)
    if held is None:
        return _read(context, response_id)
    try:
        for _ in range(TURNS_MAX):
            if not _turn(context, held, command_s=command_s):
                break
            held = replace(_read(context, response_id), fence=held.fence)
            if held.ended:
                break
    except TakenOverError as error:
        log.info("response taken over", response_id=response_id, reason=str(error))
        return _read(context, response_id)
    if not keep:
        with context.store.write() as unit:
            unit.responses.let_go(held)
    return _read(context, response_id)


def _read(context: Context, response_id: str) -> Response:
    with context.store.read() as unit:
        return unit.responses.get(response_id)


def _turn(context: Context, response: Response, *, command_s: float) -> bool:
    """One move of one step; whether there may be more to do at once. Raises: TakenOverError, StoreUnavailableError."""
    role = "undo" if response.state is ResponseState.UNDOING else "step"
    step = next((each for each in response.steps if each.role == role and not each.ended), None)
    if step is None:
        _end(context, response)
        return True
    now = context.clock.now()
    if step.state == "pending":
        if step.not_before is not None and step.not_before > now:
            return False
        _begin(context, response, step, now)
        return True
    return False if _takes_s(response, step) > command_s else _go_on(context, response, step, now)


def _takes_s(response: Response, step: StepRecord) -> float:
    """Seconds that one turn of it may take."""
    return response.spec.commands[str(step.spec["command"])].timeout_s if step.do == "run-command" else 0.0


def _begin(context: Context, response: Response, step: StepRecord, now: datetime) -> None:
    """Claim the step in the journal before anything of it is done."""
    started = step.started_at or now
    with context.store.write() as unit:
        unit.responses.set_step(response, step, state="running", attempts=step.attempts + 1, started_at=started)
        _say(unit, response, step, f"begins {_title(step)}", now=now, after="running")


def _go_on(context: Context, response: Response, step: StepRecord, now: datetime) -> bool:
    if (now - (step.started_at or now)).total_seconds() > step.timeout_s:
        return _failed(context, response, step, f"not done within {step.timeout_s:g} s: {step.memory.get('waits_for', 'no answer')}", now)
    if takes_s := _takes_s(response, step):
        with context.store.write() as unit:
            unit.responses.renew(response, now=now, ttl=TTL + timedelta(seconds=takes_s))
    turn = _asked(context, Doing(response, step, now))
    if turn.state == "done":
        _done(context, response, step, turn)
        return True
    if turn.state == "failed":
        return _failed(context, response, replace(step, memory=turn.memory), turn.text, context.clock.now())
    memory = dict(turn.memory) | {"waits_for": turn.text}
    if memory == dict(step.memory):
        return False
    with context.store.write() as unit:
        unit.responses.set_step(response, step, memory=memory)
    return _plan_changed(step, turn)


def _plan_changed(step: StepRecord, turn: StepTurn) -> bool:
    """Whether it wrote down what it is about to do, so that it can be done at once; a mere change of words waits."""
    ignored = {"waits_for", "recovery"}
    before, after = ({k: v for k, v in each.items() if k not in ignored} for each in (step.memory, turn.memory))
    return before != after


def _asked(context: Context, doing: Doing) -> StepTurn:
    try:
        return _HANDLERS[doing.step.do](context, doing)
    except TakenOverError:
        raise
    except ProductOpsError as error:
        return failed(str(error), doing.memory)


def _done(context: Context, response: Response, step: StepRecord, turn: StepTurn) -> None:
    now = context.clock.now()
    with context.store.write() as unit:
        unit.responses.set_step(response, step, state="done", ended_at=now, memory=dict(turn.memory), result=turn.text[:8000])
        _say(unit, response, step, f"{_title(step)}: {turn.text}", now=now, before="running", after="done")


def _failed(context: Context, response: Response, step: StepRecord, text: str, now: datetime) -> bool:
    """Again where it may be, else on or back; always something to do next."""
    spent = (now - (step.started_at or now)).total_seconds()
    if step.attempts <= int(step.spec.get("retries", 0)) and spent < step.timeout_s:
        wait = timedelta(seconds=float(step.spec.get("retry_wait_s", 1.0)))
        with context.store.write() as unit:
            unit.responses.set_step(
                response, step, state="pending", not_before=now + wait, memory=dict(step.memory) | {"waits_for": text[:2000]}
            )
            _say(unit, response, step, f"{_title(step)} did not work, tries again: {text}", now=now, before="running", after="pending")
        return True
    with context.store.write() as unit:
        unit.responses.set_step(response, step, state="failed", ended_at=now, memory=dict(step.memory), result=text[:8000])
        _say(unit, response, step, f"{_title(step)} failed: {text}", now=now, before="running", after="failed")
        if step.role == "step" and step.spec.get("on_failure", "stop") == "stop":
            _turn_back(unit, response, f"{_title(step)} failed: {text}", now=now)
    return True


def _turn_back(unit: Unit, response: Response, reason: str, *, now: datetime) -> None:
    """Undo what was done, the last first, then page somebody: written down in the transaction that gives the playbook up."""
    undo = [dict(each) for step in reversed(response.steps) if step.role == "step" and _counts(step) for each in _undoing(step)]
    for index, spec in enumerate([*undo, _PAGE | {"say": f"Playbook {response.playbook} did not work: {reason}"[:1000]}]):
        unit.responses.add_step(response.id, StepRecord(index, "undo", str(spec["do"]), spec), subject=response.service)
    for step in response.steps:
        if step.role == "step" and step.state == "pending":
            unit.responses.set_step(response, step, state="skipped", ended_at=now, result="the playbook was given up before")
    unit.responses.turn(response, ResponseState.UNDOING, reason=reason[:2000])
    note(
        unit, RESPONDER, "response.undoing", f"incident/{response.incident_id}", now=now, reason=reason[:2000],
        before=response.state.value, after=ResponseState.UNDOING.value, detail={"response": response.id, "playbook": response.playbook},
    )  # fmt: skip


def _counts(step: StepRecord) -> bool:
    return step.state == "done" and not step.memory.get("nothing_to_do")


def _undoing(step: StepRecord) -> list[dict[str, object]]:
    return list(step.spec.get("compensate") or ())


def _end(context: Context, response: Response) -> None:
    """All steps of its role have ended."""
    now = context.clock.now()
    if response.state is ResponseState.UNDOING:
        state, reason = ResponseState.FAILED, response.reason
    elif response.playbook == PAGE_A_PERSON or all(step.do in {"page", "approve"} for step in response.steps):
        state, reason = ResponseState.HANDED_OVER, "somebody was paged; a person goes on"
    else:
        state, reason = ResponseState.SUCCEEDED, "; ".join(step.result for step in response.steps if step.state == "done")
    with context.store.write() as unit:
        unit.responses.turn(response, state, reason=reason[:2000], ended_at=now)
        text = f"response {response.playbook} {state.value}: {reason}"
        detail = {"response": response.id, "playbook": response.playbook, "state": state.value}
        log_incident(unit, response.incident_id, "response", text[:4000], actor=RESPONDER, detail=detail, at=now)
        note(
            unit, RESPONDER, "response.ended", f"incident/{response.incident_id}", now=now, reason=reason[:2000],
            before=response.state.value, after=state.value, detail=detail,
        )  # fmt: skip


def _title(step: StepRecord) -> str:
    return step.do.replace("-", " ") + (f" {step.spec['command']}" if step.do == "run-command" else "")


def _say(
    unit: Unit, response: Response, step: StepRecord, text: str, *, now: datetime, after: str, before: str | None = None
) -> None:  # fmt: skip
    """A line in the incident's log and one in the audit log, with the change of the journal."""
    detail = {
        "response": response.id, "playbook": response.playbook, "step": step.index, "role": step.role, "do": step.do, "state": after,
    }  # fmt: skip
    log_incident(unit, response.incident_id, "response", text[:4000], actor=RESPONDER, detail=detail, at=now)
    note(
        unit, RESPONDER, "response.step", f"incident/{response.incident_id}", now=now, reason=text[:2000], before=before or step.state,
        after=after, detail=detail,
    )  # fmt: skip
