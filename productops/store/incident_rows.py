"""Rows of incidents and alerts as values, and back."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from productops.domain.incident import Incident, IncidentLink, LinkKind
from productops.domain.incident_alert import Alert, AlertState, StoredAlert
from productops.domain.incident_state import IncidentStatus
from productops.domain.release import Environment
from productops.store.tables import IncidentAlertRow, IncidentRow


def incident_of(row: IncidentRow, venture: str | None) -> Incident:
    """The incident of a row."""
    impact = row.impact_assessment or {}
    links = tuple(link_of(each) for each in row.links or ())
    traced = impact.get("release_id")
    releases = [traced] if isinstance(traced, str) else []
    releases += [each.target for each in links if each.kind is LinkKind.RELEASE]
    return Incident(
        id=str(row.incident_id), venture=venture, services=tuple(row.affected_services or ()),
        environment=Environment(row.environment) if row.environment else None, kind=row.incident_type, severity=row.severity,
        status=IncidentStatus(row.status), title=row.title, detected_at=row.detected_at, impact=impact, roles=row.roles or {},
        releases=tuple(dict.fromkeys(releases)), flags=tuple(each.target for each in links if each.kind is LinkKind.FLAG), links=links,
        description=row.description or "", detection=row.detection_method or "", component=row.component or "", cause=row.root_cause,
        steps=tuple(row.resolution_steps or ()), acknowledged_by=row.acknowledged_by, acknowledged_at=row.acknowledged_at,
        mitigated_at=row.mitigated_at, resolved_at=row.resolved_at, closed_at=row.closed_at, mttr_minutes=row.mttr_minutes,
        last_alert_at=row.last_alert_at, reopened=row.reopened or 0, merged_into=str(row.merged_into) if row.merged_into else None,
        revision=row.revision,
    )  # fmt: skip


def link_of(document: dict[str, Any]) -> IncidentLink:
    """A link as it is kept in the row."""
    at = datetime.fromisoformat(document["at"])
    return IncidentLink(LinkKind(document["kind"]), document["target"], document["text"], document["by"], at)


def link_document(link: IncidentLink) -> dict[str, Any]:
    """What ``link_of`` reads."""
    return {"kind": link.kind.value, "target": link.target, "text": link.text, "by": link.by, "at": link.at.isoformat()}


def stored_of(row: IncidentAlertRow) -> StoredAlert:
    """The alert of a row."""
    alert = Alert(
        source=row.source, name=row.name, venture=row.venture, starts_at=row.starts_at, fingerprint=row.fingerprint, status=row.status,
        severity=row.severity, service=row.service, environment=Environment(row.environment) if row.environment else None,
        component=row.component, labels=row.labels, summary=row.summary, evidence=row.evidence, ends_at=row.ends_at, value=row.value,
    )  # fmt: skip
    incident = str(row.incident_id) if row.incident_id else None
    return StoredAlert(str(row.id), alert, AlertState(row.state), row.reason, incident, row.received, row.first_seen_at, row.last_seen_at)


def alert_values(stored: StoredAlert) -> dict[str, Any]:
    """The columns of an alert, but for ``latest`` and ``began``."""
    alert = stored.alert
    return {
        "id": uuid.UUID(stored.id), "venture": alert.venture, "fingerprint": alert.fingerprint, "source": alert.source, "name": alert.name,
        "status": alert.status, "severity": alert.severity, "service": alert.service,
        "environment": alert.environment.value if alert.environment else None, "component": alert.component[:255],
        "labels": dict(alert.labels), "summary": alert.summary, "evidence": dict(alert.evidence), "value": alert.value,
        "starts_at": alert.starts_at, "ends_at": alert.ends_at, "state": stored.state.value, "reason": stored.reason,
        "incident_id": uuid.UUID(stored.incident_id) if stored.incident_id else None, "received": stored.received,
        "first_seen_at": stored.first_seen_at, "last_seen_at": stored.last_seen_at,
    }  # fmt: skip
