"""Steps that change no traffic: run a declared command, page somebody, wait for recovery, wait for signatures."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from productops.adapters.quality_command import CommandResult
from productops.domain.catalog_approvals import Action
from productops.domain.catalog_playbook import PlaybookCommand
from productops.domain.governance_approvals_policy import Facts
from productops.errors import ConflictError
from productops.usecases.context import OURSELVES, Context
from productops.usecases.governance_approvals_ask import ask
from productops.usecases.governance_audit_note import note
from productops.usecases.incident_log import log_incident
from productops.usecases.incident_oncall_escalate import page
from productops.usecases.incident_recover import recovery_of
from productops.usecases.incident_respond_doing import RESPONDER, Doing, StepTurn, done, failed, nothing_to_do, waiting

OUTPUT_MAX = 4_000


@dataclass(frozen=True, slots=True)
class _Runnable:
    """What the runner of commands wants to know of one."""

    name: str
    argv: tuple[str, ...]
    folder: str
    timeout_s: float
    memory_mb: int
    cpu_s: float
    environment: tuple[str, ...]
    artifacts: tuple[str, ...] = ()


def run_command(context: Context, doing: Doing) -> StepTurn:  # noqa: ARG001 - all steps are called alike
    """Once; what is not ``repeatable`` and was cut short by a crash is left to a person.

    Raises: ConflictError for that, InvalidInputError, NotFoundError, DependencyError.
    """
    name = str(doing.step.spec["command"])
    command, memory = doing.response.spec.commands[name], dict(doing.memory)
    if "run_by" not in memory:
        return waiting(f"about to run {name}", memory | {"run_by": doing.response.holder})  # written down before it is run
    if memory["run_by"] != doing.response.holder and not command.repeatable:
        raise ConflictError(f"{name} was begun by {memory['run_by']} and nobody knows whether it ended; it is not declared as repeatable")
    result = run_declared(name, command, Path(doing.response.base), fill=_names(doing))
    said = f"{result.sentence}{': ' + result.output[-OUTPUT_MAX:].strip() if result.output.strip() else ''}"
    return done(said, memory) if result.succeeded else failed(said)


def run_declared(name: str, command: PlaybookCommand, base: Path, *, fill: Mapping[str, str]) -> CommandResult:
    """Run a command of a playbook; its output is bounded and has no known secrets.

    Raises: InvalidInputError, NotFoundError, DependencyError.
    """
    from productops.adapters.quality_command import run_command as run  # psutil takes 0.05 s to load

    argv = tuple(_filled(part, fill) for part in command.argv)
    wanted = _Runnable(name, argv, command.folder, command.timeout_s, command.memory_mb, command.cpu_s, command.environment)
    out = Path(tempfile.mkdtemp(prefix="playbook-"))
    try:
        return run(wanted, base, out)
    finally:
        shutil.rmtree(out, ignore_errors=True)


def _names(doing: Doing) -> dict[str, str]:
    response = doing.response
    return {
        "service": response.service, "environment": response.environment.value, "incident": response.incident_id,
        "instance": str(doing.remedy.get("instance") or ""), "version": str(doing.remedy.get("version") or ""),
    }  # fmt: skip


def _filled(part: str, fill: Mapping[str, str]) -> str:
    """The part with what its braces name; ``{python}`` is the runner's to fill. Not ``format``: an argument may have other braces."""
    for name, value in fill.items():
        part = part.replace("{" + name + "}", value)
    return part


def page_somebody(context: Context, doing: Doing) -> StepTurn:
    """Whoever is on call. Raises: what the channels raise."""
    say = str(doing.step.spec.get("say") or "")
    if say:
        with context.store.write() as unit:
            log_incident(unit, doing.response.incident_id, "response", say, actor=RESPONDER, at=doing.now)
            note(unit, RESPONDER, "response.said", f"incident/{doing.response.incident_id}", now=doing.now, detail={"text": say})
    called = page(context, doing.response.incident_id, actor=RESPONDER)
    if called is None:
        return done("nobody was called: no escalation of the venture is for this, or somebody has acknowledged it", doing.memory)
    return done("called whoever is on call" + (f": {say}" if say else ""), doing.memory)


def wait_for_recovery(context: Context, doing: Doing) -> StepTurn:
    """The service as it was before. Raises: NotFoundError, StoreUnavailableError."""
    response, began = doing.response, doing.step.started_at or doing.now
    found = recovery_of(
        context, response.harmed, response.environment, since=response.since, not_before=began, good_s=float(doing.step.spec["good_s"]),
        actor=OURSELVES,
    )  # fmt: skip
    memory = dict(doing.memory) | {"recovery": found.to_dict()}
    if found.recovered:
        return done(found.reason, memory)
    return waiting(found.reason, memory)


def approve(context: Context, doing: Doing) -> StepTurn:
    """The signatures that policies want for playbooks. Raises: ConflictError, StoreUnavailableError."""
    response, memory = doing.response, dict(doing.memory)
    with context.store.write() as unit:
        request = unit.approvals.of_subject(f"playbook/{response.id}")
        if request is None:
            facts = [Facts(Action.PLAYBOOK, response.venture, response.environment, service=response.service)]
            content = {
                "incident": response.incident_id, "playbook": response.playbook, "cause": dict(response.cause),
                "steps": [dict(step.spec) for step in response.steps],
            }  # fmt: skip
            request = ask(
                unit, subject=f"playbook/{response.id}", action=Action.PLAYBOOK, title=f"playbook {response.title}",
                venture=response.venture, environment=response.environment, content=content, facts=facts, reason=doing.reason,
                actor=RESPONDER, now=doing.now,
            )  # fmt: skip
    if request is None:
        return nothing_to_do("no policy wants a signature", memory)
    if request.granted:
        return done(f"approved by {request.decided_by or 'override'}", memory)
    if request.waiting:
        return waiting(f"waits for signatures: productops approve {request.id}", memory | {"approval": request.id})
    return failed(f"approval {request.state.value}: {request.outcome}", memory)
