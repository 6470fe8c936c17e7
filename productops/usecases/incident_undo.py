"""Undo the release that somebody who reports an incident says did it: once, by the playbook that fits, else directly."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from productops.domain.catalog import Service
from productops.domain.governance_access import MACHINE
from productops.domain.incident import Incident
from productops.domain.incident_cause import CauseKind, Evidence, Hypothesis, Ledger
from productops.domain.incident_playbook import Playbook, Response, ResponseState
from productops.domain.incident_playbook_choose import Facts, choose
from productops.domain.release import Cause, Phase, Release
from productops.errors import ConflictError, OrchestratorError
from productops.store import Unit
from productops.usecases.context import Actor, Context
from productops.usecases.governance_audit_note import note
from productops.usecases.incident_log import log_incident
from productops.usecases.release_rollback_request import request_roll_back

log = structlog.get_logger(__name__)
SAID = 5.0
"""Natural-log odds: who reports it was there, and says so."""


@dataclass(frozen=True, slots=True)
class Undo:
    """What is done about a traced incident. ``refused``: nothing, and why. ``response``: a playbook's; neither: directly."""

    release: Release
    refused: str = ""
    response: Response | None = None


def plan_undo(unit: Unit, incident_id: str, service: Service, release: Release, *, actor: Actor, now: datetime) -> Undo:
    """Decide and write down, in the transaction that opens the incident, so that nobody else begins a second response to it.

    Nothing is done where the catalog entry or a person's hold does not want it, or where it is too late.
    """
    incident = unit.incidents.get(incident_id)
    refused = _refused(service, release, now=now) or _held(unit, incident, service, release, now=now)
    if refused:
        return Undo(release, refused)
    ledger = _ledger(incident, release, actor=actor, now=now)
    playbook = _fitting(unit, incident, release, ledger, now=now)
    if playbook is None:
        return Undo(release)
    from productops.usecases.incident_respond_plan import Wish, plan_in  # the judge's numerics, which most reports do not need

    why = f"{actor.name} traced it to {release.title}"
    wish = Wish(incident_id, playbook.name if playbook.spec.automatic else None, why=why)
    # It is the catalog that wants it, not who reports.
    return Undo(release, response=plan_in(unit, wish, ledger, actor=replace(actor, principal=MACHINE), now=now))


def carry_out_undo(context: Context, incident_id: str, undo: Undo, *, title: str, actor: Actor) -> tuple[bool, str]:
    """Begin what was decided; whether the release is being rolled back now, and a sentence. Needs no orchestrator."""
    if undo.refused:
        return False, undo.refused
    if undo.response is None:
        return _directly(context, incident_id, undo.release, title=title, actor=actor)
    from productops.usecases.incident_start import carry_out_at_once, tell_opened

    with context.store.read() as unit:
        incident = unit.incidents.get(incident_id)
    tell_opened(context, incident)
    response = carry_out_at_once(context, undo.response, context.orchestrator)
    by = f"playbook {response.playbook}"
    if response.state is ResponseState.PROPOSED:
        return False, f"{by} would roll {undo.release.title} back and waits for somebody to say go: {_go(incident_id)}"
    step = next((each for each in response.steps if each.do == "roll-back" and each.role == "step"), None)
    if step is None or step.state == "failed":
        why = step.result if step is not None else response.why
        return False, f"it could not be rolled back by {by}: {why}"
    return True, f"{undo.release.title} is being rolled back by {by}"


def _go(incident_id: str) -> str:
    return f"productops incident respond {incident_id} --go"


def _refused(service: Service, release: Release, *, now: datetime) -> str:
    rollout = service.spec.rollout
    if rollout.on_incident != "roll-back":
        return "the service's catalog entry wants incidents told, not acted on (on_incident: tell)"
    if release.ended and release.phase is not Phase.PROMOTED:
        return f"the release ended as {release.phase}: there is nothing to give back"
    if release.ended_at is not None and now - release.ended_at > timedelta(seconds=rollout.rollback_window_s):
        return f"the release ended more than {rollout.rollback_window_s:g} s ago (rollback_window_s); roll back by hand if it was that"
    return ""


def _held(unit: Unit, incident: Incident, service: Service, release: Release, *, now: datetime) -> str:
    for each in unit.responses.holds(ventures=[service.venture], now=now):
        if each.covers(service=service.name, environment=release.environment, incident_id=incident.id, now=now):
            return f"{each.by} holds it: {each.reason}; roll back by hand if it cannot wait"
    return ""


def _ledger(incident: Incident, release: Release, *, actor: Actor, now: datetime) -> Ledger:
    """A person's word is the evidence. It is no look at the incident, so it is not kept among those."""
    words = f"{actor.name} reported it with this release as the cause: {incident.title}"
    said = Evidence(words, SAID, at=now, link=f"/api/v1/deployment-ops/incidents/{incident.id}", direct=True)
    remedy = {"step": "roll-back", "release_id": release.id}
    top = Hypothesis(CauseKind.RELEASE, release.id, release.service, release.environment, 1.0, (said,), remedy=remedy)
    return Ledger(incident.id, now, (top,), by=actor.name)


def _fitting(unit: Unit, incident: Incident, release: Release, ledger: Ledger, *, now: datetime) -> Playbook | None:
    """The playbook that answers it by a roll back; the limits on what programs do by themselves do not bind a person's word."""
    facts = Facts(
        incident_id=incident.id, kind=incident.kind, severity=incident.severity, status=incident.status.value, service=release.service,
        environment=release.environment, title=incident.title,
    )  # fmt: skip
    known = [each for each in unit.responses.playbooks(venture=incident.venture) if any(step.do == "roll-back" for step in each.spec.steps)]
    return choose(known, facts, ledger, holds=(), actions=(), now=now).playbook


def _directly(context: Context, incident_id: str, release: Release, *, title: str, actor: Actor) -> tuple[bool, str]:
    machine = replace(actor, principal=MACHINE)
    try:
        begun = request_roll_back(context, release.id, reason=f"incident {incident_id}: {title}", actor=machine, cause=Cause.INCIDENT)
    except (ConflictError, OrchestratorError) as error:
        log.warning("incident not undone", incident_id=incident_id, reason=str(error))
        return False, f"it could not be rolled back: {error}"
    with context.store.write() as unit:
        unit.incidents.trace(incident_id, cause=f"release {release.id} ({release.title})", impact={"rolled_back": True})
        now, detail = context.clock.now(), {"release_id": release.id, "rolled_back": True}
        note(unit, actor, "incident.traced", f"incident/{incident_id}", now=now, before="open", after="mitigated", detail=detail)
        log_incident(unit, incident_id, "mitigated", f"{release.title} is being rolled back", actor=actor, detail=detail, at=now)
    return True, f"{release.title} is being rolled back" + (f" by flow run {begun.flow_run_id}" if begun.flow_run_id else "")
