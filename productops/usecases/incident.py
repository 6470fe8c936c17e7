"""Incidents that people and tools report: written down, traced to a release where the report says so, and undone."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from productops.domain.catalog import Service
from productops.domain.governance_access import Operation
from productops.domain.release import Environment, Release
from productops.errors import ConflictError
from productops.store import Unit
from productops.usecases.context import OURSELVES, Actor, Context
from productops.usecases.governance_access_scope import incident_for, release_for, service_for
from productops.usecases.incident_log import log_incident
from productops.usecases.incident_moves import weigh
from productops.usecases.incident_undo import carry_out_undo, plan_undo


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

    By the playbook that fits, which sees to what comes after, too; where the catalog has none, directly.

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
            by=actor.name,
        )  # fmt: skip
        detail = {"severity": report.severity, "service": report.service, "release": traced.id if traced else None}
        unit.audit.add("incident.reported", f"incident/{incident_id}", actor=actor.name, origin=actor.origin, now=now, detail=detail)
        if traced is not None:
            impact: dict[str, Any] = {"release_id": traced.id, "rolled_back": False}
            unit.incidents.trace(incident_id, cause=f"release {traced.id} ({traced.title})", impact=impact)
            unit.releases.tell(traced.id, "incident", {"incident_id": incident_id, "reason": report.title}, now=now)
            log_incident(
                unit, incident_id, "traced", f"traced to {traced.title}", actor=actor, detail={"release_id": traced.id}, at=now
            )  # fmt: skip
        undo = plan_undo(unit, incident_id, service, traced, actor=actor, now=now) if traced else None
    rolled_back, note = (
        carry_out_undo(context, incident_id, undo, title=report.title, actor=actor) if undo else (False, _no_trace(suspects))
    )
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
        before = unit.incidents.get(incident_id)
        unit.alerts.lock(before.venture or "")
        if not unit.incidents.resolve(incident_id, steps=steps, now=now):
            raise ConflictError(f"incident {incident_id} is resolved already")
        weigh(unit, unit.incidents.get(incident_id), actor=actor, now=now)
        log_incident(unit, incident_id, "resolved", "; ".join(steps), actor=actor, detail={"from": before.status, "steps": steps}, at=now)
        unit.audit.add(
            "incident.resolved", f"incident/{incident_id}", actor=actor.name, origin=actor.origin, now=now, detail={"steps": steps},
            before=before.status.value, after="resolved",
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
