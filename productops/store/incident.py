"""Incidents."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from productops.domain.release import Environment
from productops.errors import NotFoundError
from productops.store.identity import new_id
from productops.store.tables import IncidentRow, Venture


def _parse(incident_id: str) -> uuid.UUID:
    """Raises: NotFoundError for a text that is no id."""
    try:
        return uuid.UUID(incident_id)
    except ValueError as error:
        raise NotFoundError(f"there is no incident {incident_id[:80]!r}") from error


class Incidents:
    """Repository of incidents within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def open(
        self, *, venture_id: uuid.UUID | None, kind: str, severity: str, title: str, description: str,
        services: list[str], detection: str, impact: dict[str, Any], now: datetime,
    ) -> str:  # fmt: skip
        """Open an incident and return its id."""
        row = IncidentRow(
            incident_id=new_id(), venture_id=venture_id, incident_type=kind, severity=severity, status="open", title=title[:255],
            description=description, affected_services=list(services), detection_method=detection,
            impact_assessment=impact, detected_at=now,
        )  # fmt: skip
        self._session.add(row)
        return str(row.incident_id)

    def trace(self, incident_id: str, *, cause: str, impact: dict[str, Any]) -> None:
        """Write down what an incident was traced to; ``impact`` is added to what is known. Raises: NotFoundError."""
        row = self._row(incident_id)
        row.root_cause, row.status = cause, "mitigated" if impact.get("rolled_back") else "investigating"
        row.impact_assessment = (row.impact_assessment or {}) | impact

    def resolve(self, incident_id: str, *, steps: list[str], now: datetime) -> bool:
        """End an incident; false when it has ended before. Raises: NotFoundError."""
        row = self._row(incident_id)
        if row.status in {"resolved", "closed"}:
            return False
        row.status, row.resolved_at, row.resolution_steps = "resolved", now, list(steps)
        row.mttr_minutes = round((now - row.detected_at).total_seconds() / 60)
        return True

    def _row(self, incident_id: str) -> IncidentRow:
        row = self._session.get(IncidentRow, _parse(incident_id))
        if row is None:
            raise NotFoundError(f"there is no incident {incident_id}")
        return row

    def newest(self, limit: int = 50) -> list[dict[str, Any]]:
        """The newest incidents as plain values."""
        rows = self._session.scalars(select(IncidentRow).order_by(IncidentRow.detected_at.desc()).limit(limit))
        return [self._known(row) for row in rows]

    def page(
        self, *, status: str | None, ventures: Collection[str] | None, before: str | None, limit: int
    ) -> list[dict[str, Any]]:  # fmt: skip
        """Incidents as plain values, newest first; ``before`` is the id of the last one seen. ``ventures``: None is all."""
        query = select(IncidentRow).order_by(IncidentRow.incident_id.desc()).limit(limit)
        if status is not None:
            query = query.where(IncidentRow.status == status)
        if ventures is not None:
            ids = select(Venture.id).where(Venture.name.in_(sorted(ventures)))
            query = query.where(IncidentRow.venture_id.in_(ids))
        if before is not None:
            query = query.where(IncidentRow.incident_id < _parse(before))
        return [self._known(row) for row in self._session.scalars(query)]

    def open_of(self, service: str, environment: Environment) -> list[str]:
        """Ids of incidents of a service there that have not ended, newest first; of the newest thousand that have not."""
        query = select(IncidentRow).where(IncidentRow.status.in_(("open", "investigating", "mitigated")))
        rows = self._session.scalars(query.order_by(IncidentRow.incident_id.desc()).limit(1000))
        return [
            str(row.incident_id)
            for row in rows
            if service in (row.affected_services or ()) and (row.impact_assessment or {}).get("environment") in {None, environment.value}
        ]

    def find(self, incident_id: str) -> dict[str, Any] | None:
        """One incident as plain values."""
        row = self._session.get(IncidentRow, _parse(incident_id))
        return self._known(row) if row else None

    def _known(self, row: IncidentRow) -> dict[str, Any]:
        venture = self._session.get(Venture, row.venture_id) if row.venture_id else None
        return _incident(row) | {"venture": venture.name if venture else None}


def _incident(row: IncidentRow) -> dict[str, Any]:
    return {
        "incident_id": str(row.incident_id), "type": row.incident_type, "severity": row.severity, "status": row.status,
        "title": row.title, "description": row.description, "services": row.affected_services, "detection": row.detection_method,
        "impact": row.impact_assessment, "detected_at": row.detected_at.isoformat(), "root_cause": row.root_cause,
        "resolved_at": row.resolved_at.isoformat() if row.resolved_at else None, "mttr_minutes": row.mttr_minutes,
        "resolution_steps": row.resolution_steps or [],
    }  # fmt: skip
