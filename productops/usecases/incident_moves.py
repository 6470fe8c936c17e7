"""Moves of incidents within somebody's transaction: each is compare-and-set, in the log of the incident and in the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from productops.domain.incident import Incident
from productops.domain.incident_impact import Impact, impact_of, severity_of
from productops.domain.incident_state import IncidentStatus, check_move, is_reopening
from productops.domain.release import Environment
from productops.store import Unit
from productops.usecases.context import Actor
from productops.usecases.governance_audit_note import note
from productops.usecases.incident_log import log_incident

BEFORE_S = 1800
LATELY_S = 60
ONSET_S = 60


def move(
    unit: Unit, incident: Incident, status: IncidentStatus, *, reason: str, actor: Actor, now: datetime, **values: Any
) -> Incident:  # fmt: skip
    """Bring an incident to another state. ``values`` are further columns of the same change.

    Raises: IllegalTransitionError, RevisionMismatchError when somebody changed it in between.
    """
    check_move(incident.id, incident.status, status)
    columns: dict[str, Any] = {"status": status.value} | _times(incident, status, now) | values
    unit.incidents.change(incident.id, revision=incident.revision, now=now, **columns)
    reopened = is_reopening(incident.status, status)
    kind = "reopened" if reopened else status.value
    detail = {"from": incident.status.value, "to": status.value}
    log_incident(unit, incident.id, kind, reason, actor=actor, detail=detail, at=now)
    note(
        unit, actor, f"incident.{kind}", f"incident/{incident.id}", now=now, reason=reason, before={"status": incident.status.value},
        after={"status": status.value}, detail=_about(incident),
    )  # fmt: skip
    return unit.incidents.get(incident.id)


def _times(incident: Incident, status: IncidentStatus, now: datetime) -> dict[str, Any]:
    if status is IncidentStatus.MITIGATED:
        return {"mitigated_at": now}
    if status in {IncidentStatus.RESOLVED, IncidentStatus.CLOSED}:
        over = {"closed_at": now} if status is IncidentStatus.CLOSED else {}
        if incident.resolved_at is None:
            over |= {"resolved_at": now, "mttr_minutes": round((now - incident.detected_at).total_seconds() / 60)}  # type: ignore[dict-item]
        return over
    if is_reopening(incident.status, status):
        fresh = {"mitigated_at": None, "resolved_at": None, "closed_at": None, "mttr_minutes": None}
        return fresh | {"reopened": incident.reopened + 1}
    return {}


def set_severity_of(unit: Unit, incident: Incident, severity: str, *, reason: str, actor: Actor, now: datetime) -> Incident:
    """Make it more or less severe. Raises: RevisionMismatchError."""
    unit.incidents.change(incident.id, revision=incident.revision, now=now, severity=severity)
    detail = {"from": incident.severity, "to": severity}
    log_incident(unit, incident.id, "severity", f"{incident.severity} -> {severity}: {reason}", actor=actor, detail=detail, at=now)
    note(
        unit, actor, "incident.severity", f"incident/{incident.id}", now=now, reason=reason, before={"severity": incident.severity},
        after={"severity": severity}, detail=_about(incident),
    )  # fmt: skip
    return unit.incidents.get(incident.id)


def weigh(unit: Unit, incident: Incident, *, actor: Actor, now: datetime) -> Incident:
    """Measure its impact, and follow the severity policy where no person has said how severe it is."""
    grouping = unit.incidents.grouping(incident.id)
    impact = measure_impact(unit, incident.services, incident.environment, detected_at=incident.detected_at, now=now)
    if impact is not None:
        alerts, told = unit.alerts.counts(incident.id)
        unit.incidents.measure(incident.id, impact.document() | {"alerts": alerts, "alerts_told": told, "measured_at": now.isoformat()})
    if incident.impact.get("severity_by") or incident.venture is None or not grouping:
        return unit.incidents.get(incident.id)
    policy = unit.incident_policies.severity(incident.venture)
    wanted, why = severity_of(
        policy, alerts=grouping.get("severity", incident.severity), environment=incident.environment, services=incident.services,
        sources=grouping.get("sources", ()), impact=impact,
    )  # fmt: skip
    if wanted < incident.severity:  # it gets less severe by a person's word only
        return set_severity_of(unit, unit.incidents.get(incident.id), wanted, reason=why, actor=actor, now=now)
    return unit.incidents.get(incident.id)


def measure_impact(
    unit: Unit, services: tuple[str, ...], environment: Environment | None, *, detected_at: datetime, now: datetime
) -> Impact | None:
    """What the router counted since a minute before it was detected; None where it counted nothing."""
    if not services:
        return None
    place = environment or Environment.PRODUCTION
    onset_s, until_s = int(detected_at.timestamp()) - ONSET_S, int(now.timestamp()) + 1
    during = unit.incident_traffic.total(services, place, from_s=onset_s, until_s=until_s)
    lately = unit.incident_traffic.total(services, place, from_s=until_s - 1 - LATELY_S, until_s=until_s)
    before = unit.incident_traffic.total(services, place, from_s=onset_s - BEFORE_S, until_s=onset_s)
    if during.requests == 0 and before.requests == 0:
        return None
    minutes = max(timedelta(0), now - detected_at).total_seconds() / 60
    return impact_of(services=len(services), minutes=minutes, during=during, lately=lately, before=before)


def _about(incident: Incident) -> Mapping[str, Any]:
    return {"venture": incident.venture, "services": list(incident.services)[:20]}
