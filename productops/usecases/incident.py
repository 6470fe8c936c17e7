"""Incidents that people and tools report: written down, traced to a release where the report says so, and undone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import structlog

from productops.domain.catalog import Service
from productops.domain.governance_access import MACHINE, Operation
from productops.domain.release import Cause, Environment, Phase, Release
from productops.errors import ConflictError, OrchestratorError
from productops.store import Unit
from productops.usecases.context import OURSELVES, Actor, Context
from productops.usecases.governance_access_scope import incident_for, release_for, service_for
from productops.usecases.governance_audit_note import note
from productops.usecases.release_rollback_request import request_roll_back

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class IncidentReport:
    """What somebody saw. ``release_id`` or ``version`` say which release did it, where that is known."""

    title: str
    service: str
    environment: Environment = Environment.PRODUCTION
    kind: str = "availability"
    severity: str = "SEV2"
    description: str = ""
    version: str | None = None
    release_id: str | None = None
    detection: str = "person"
    evidence: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reported:
    """The incident and what followed. ``suspects`` are releases that may have done it, newest first, when none was named."""

    incident: dict[str, Any]
    traced_to: Release | None
    rolled_back: bool
    note: str
    suspects: tuple[Release, ...] = ()


def report_incident(context: Context, report: IncidentReport, *, actor: Actor) -> Reported:
    """Open an incident; if it is traced to a release of late, give the baseline back where the service's catalog entry wants that.

    Raises: NotFoundError for an unknown service or release, ConflictError when the named release is of another service.
    """
    with context.store.write() as unit:
        now = context.clock.now()
        service = service_for(unit, report.service, actor, Operation.INCIDENT_REPORT, environment=report.environment)
        suspects = _suspects(unit, service, report, context)
        traced = _trace(unit, report, suspects, actor)
        incident_id = unit.incidents.open(
            venture_id=unit.catalog.venture_id(service.venture), kind=report.kind, severity=report.severity, title=report.title,
            description=report.description, services=[report.service], detection=report.detection,
            impact={"environment": report.environment.value, "suspects": [r.id for r in suspects], "evidence": report.evidence}, now=now,
        )  # fmt: skip
        detail = {"severity": report.severity, "service": report.service, "release": traced.id if traced else None}
        unit.audit.add("incident.reported", f"incident/{incident_id}", actor=actor.name, origin=actor.origin, now=now, detail=detail)
        if traced is not None:
            impact: dict[str, Any] = {"release_id": traced.id, "rolled_back": False}
            unit.incidents.trace(incident_id, cause=f"release {traced.id} ({traced.title})", impact=impact)
            unit.releases.tell(traced.id, "incident", {"incident_id": incident_id, "reason": report.title}, now=now)
    rolled_back, note = _undo(context, service, traced, incident_id, report, actor=actor) if traced else (False, _no_trace(suspects))
    with context.store.read() as unit:
        found = unit.incidents.find(incident_id) or {}
    return Reported(found, traced, rolled_back, note, suspects)


def read_incident(context: Context, incident_id: str, *, actor: Actor) -> dict[str, Any]:
    """One incident. Raises: NotFoundError."""
    with context.store.read() as unit:
        return incident_for(unit, incident_id, actor)


def resolve_incident(context: Context, incident_id: str, *, steps: list[str], actor: Actor) -> dict[str, Any]:
    """End an incident and say what was done. Raises: NotFoundError, ConflictError when it has ended before."""
    with context.store.write() as unit:
        now = context.clock.now()
        incident_for(unit, incident_id, actor, Operation.INCIDENT_RESOLVE)
        if not unit.incidents.resolve(incident_id, steps=steps, now=now):
            raise ConflictError(f"incident {incident_id} is resolved already")
        unit.audit.add(
            "incident.resolved", f"incident/{incident_id}", actor=actor.name, origin=actor.origin, now=now, detail={"steps": steps},
            after="resolved",
        )  # fmt: skip
    return read_incident(context, incident_id, actor=OURSELVES)


def _suspects(unit: Unit, service: Service, report: IncidentReport, context: Context) -> tuple[Release, ...]:
    """What is in flight, and what was promoted within the service's rollback window."""
    active = unit.releases.active(report.service, report.environment)
    promoted = unit.releases.last_promoted(report.service, report.environment)
    window = timedelta(seconds=service.spec.rollout.rollback_window_s)
    recent = promoted is not None and promoted.ended_at is not None and context.clock.now() - promoted.ended_at <= window
    return tuple(r for r in (active, promoted if recent else None) if r is not None)


def _trace(unit: Unit, report: IncidentReport, suspects: tuple[Release, ...], actor: Actor) -> Release | None:
    if report.release_id is not None:
        named = release_for(unit, report.release_id, actor)
        if (named.service, named.environment) != (report.service, report.environment):
            raise ConflictError(f"release {named.id} is of {named.service} in {named.environment}, the incident of {report.service}")
        return named
    return next((r for r in suspects if report.version is not None and r.version == report.version), None)


def _no_trace(suspects: tuple[Release, ...]) -> str:
    if not suspects:
        return "no release of this service is recent enough to be suspected"
    return f"not traced: {', '.join(r.title for r in suspects)} may have done it; report it with its version to have it rolled back"


def _undo(
    context: Context, service: Service, release: Release, incident_id: str, report: IncidentReport, *, actor: Actor
) -> tuple[bool, str]:
    """Give the baseline back, when the catalog wants that and it is not too late; says what was done."""
    rollout = service.spec.rollout
    if rollout.on_incident != "roll-back":
        return False, "the service's catalog entry wants incidents told, not acted on (on_incident: tell)"
    if release.ended and release.phase is not Phase.PROMOTED:
        return False, f"the release ended as {release.phase}: there is nothing to give back"
    too_late = release.ended_at is not None and context.clock.now() - release.ended_at > timedelta(seconds=rollout.rollback_window_s)
    if too_late:
        return (
            False,
            f"the release ended more than {rollout.rollback_window_s:g} s ago (rollback_window_s); roll back by hand if it was that",
        )
    machine = replace(actor, principal=MACHINE)  # it is the catalog that wants it, not who reports
    try:
        begun = request_roll_back(
            context, release.id, reason=f"incident {incident_id}: {report.title}", actor=machine, cause=Cause.INCIDENT
        )
    except (ConflictError, OrchestratorError) as error:
        log.warning("incident not undone", incident_id=incident_id, reason=str(error))
        return False, f"it could not be rolled back: {error}"
    with context.store.write() as unit:
        unit.incidents.trace(incident_id, cause=f"release {release.id} ({release.title})", impact={"rolled_back": True})
        now, detail = context.clock.now(), {"release_id": release.id, "rolled_back": True}
        note(unit, actor, "incident.traced", f"incident/{incident_id}", now=now, before="open", after="mitigated", detail=detail)
    return True, f"{release.title} is being rolled back" + (f" by flow run {begun.flow_run_id}" if begun.flow_run_id else "")
