"""Incidents."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, update
from sqlalchemy.orm import Session

from productops.domain.incident import Incident, IncidentFilter
from productops.domain.incident_state import LIVE
from productops.domain.release import Environment
from productops.errors import NotFoundError, RevisionMismatchError
from productops.store.identity import new_id
from productops.store.incident_rows import incident_of
from productops.store.tables import IncidentLogRow, IncidentRow, Venture

_LIVE = tuple(sorted(status.value for status in LIVE))


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
        services: list[str], detection: str, impact: dict[str, Any], now: datetime, by: str = "productops", component: str = "",
        grouping: Mapping[str, Any] | None = None, detected_at: datetime | None = None,
    ) -> str:  # fmt: skip
        """Open an incident, begin its log, and return its id. ``by`` is written into the log."""
        named = impact.get("environment")
        row = IncidentRow(
            incident_id=new_id(), venture_id=venture_id, incident_type=kind, severity=severity, status="open", title=title[:255],
            description=description, affected_services=list(services), detection_method=detection,
            impact_assessment=impact, detected_at=detected_at or now, component=component[:255] or None,
            environment=named if named in {e.value for e in Environment} else None, grouping=dict(grouping) if grouping else None,
            revision=1, log_seq=1, reopened=0, last_alert_at=now if grouping else None,
        )  # fmt: skip
        self._session.add(row)
        self._session.flush()  # its log refers to it
        detail = {"severity": severity, "services": list(services), "detection": detection, "component": component}
        self._session.add(
            IncidentLogRow(incident_id=row.incident_id, seq=1, at=now, kind="opened", text=title[:255], actor=by, detail=detail)
        )
        return str(row.incident_id)

    def trace(self, incident_id: str, *, cause: str, impact: dict[str, Any]) -> None:
        """Write down what an incident was traced to; ``impact`` is added to what is known. Raises: NotFoundError."""
        row = self._row(incident_id)
        row.root_cause, row.status = cause, "mitigated" if impact.get("rolled_back") else "investigating"
        row.impact_assessment = (row.impact_assessment or {}) | impact
        row.revision += 1

    def resolve(self, incident_id: str, *, steps: list[str], now: datetime) -> bool:
        """End an incident; false when it has ended before. Raises: NotFoundError."""
        row = self._row(incident_id)
        if row.status in {"resolved", "closed"}:
            return False
        row.status, row.resolved_at, row.resolution_steps = "resolved", now, list(steps)
        row.mttr_minutes = round((now - row.detected_at).total_seconds() / 60)
        row.revision += 1
        return True

    def change(self, incident_id: str, *, revision: int, now: datetime, **values: Any) -> int:
        """Write columns, if nobody has changed the incident since ``revision``; returns the new one.

        Raises: RevisionMismatchError, NotFoundError.
        """
        row = IncidentRow
        self._session.flush()
        if isinstance(values.get("merged_into"), str):
            values = values | {"merged_into": _parse(values["merged_into"])}
        wanted = update(row).where(row.incident_id == _parse(incident_id), row.revision == revision)
        result: Any = self._session.execute(
            wanted.values(revision=revision + 1, **values).execution_options(synchronize_session="fetch")
        )  # fmt: skip
        if result.rowcount != 1:
            found = self._row(incident_id)
            raise RevisionMismatchError(f"incident {incident_id} is at revision {found.revision}, not {revision}; look at it again")
        self._changed(incident_id, values, now=now)
        return revision + 1

    def regroup(self, incident_id: str, grouping: Mapping[str, Any], *, services: list[str], now: datetime) -> None:
        """Keep what its alerts have in common; no change that others would have to look at again, so the revision stays."""
        self._session.flush()
        row = IncidentRow
        values = {"grouping": dict(grouping), "affected_services": services, "last_alert_at": now}
        query = update(row).where(row.incident_id == _parse(incident_id)).values(**values)
        self._session.execute(query.execution_options(synchronize_session="fetch"))

    def measure(self, incident_id: str, impact: Mapping[str, Any]) -> None:
        """Keep what its impact is now, beside what is known; the revision stays. Raises: NotFoundError."""
        row = self._row(incident_id)
        row.impact_assessment = (row.impact_assessment or {}) | dict(impact)

    def _changed(self, incident_id: str, values: Mapping[str, Any], *, now: datetime) -> None:
        """For those who tell of it."""

    def _row(self, incident_id: str) -> IncidentRow:
        row = self._session.get(IncidentRow, _parse(incident_id))
        if row is None:
            raise NotFoundError(f"there is no incident {incident_id}")
        return row

    def get(self, incident_id: str) -> Incident:
        """One incident. Raises: NotFoundError."""
        row = self._row(incident_id)
        return incident_of(row, self._venture(row.venture_id))

    def grouping(self, incident_id: str) -> dict[str, Any]:
        """What its alerts have in common, as the grouping keeps it; empty for one without alerts. Raises: NotFoundError."""
        return dict(self._row(incident_id).grouping or {})

    def live(self, venture: str, *, since: datetime | None = None, limit: int = 200) -> list[Incident]:
        """Incidents of a venture that are not over, oldest first; with ``since`` those too that were resolved after it."""
        row = IncidentRow
        wanted: ColumnElement[bool] = row.status.in_(_LIVE)
        if since is not None:
            wanted = or_(wanted, and_(row.status.in_(("resolved", "closed")), row.resolved_at >= since))
        query = select(row).join(Venture, Venture.id == row.venture_id).where(Venture.name == venture, wanted, row.merged_into.is_(None))
        return [incident_of(found, venture) for found in self._session.scalars(query.order_by(row.incident_id.desc()).limit(limit))][::-1]

    def any_live(self) -> list[Incident]:
        """The newest 200 that are not over, of whichever venture."""
        row = IncidentRow
        query = select(row, Venture.name).outerjoin(Venture, Venture.id == row.venture_id).where(row.status.in_(_LIVE))
        found = self._session.execute(query.order_by(row.incident_id.desc()).limit(200))
        return [incident_of(each, venture) for each, venture in found.tuples()]

    def search(self, wanted: IncidentFilter, *, before: str | None, limit: int) -> list[Incident]:
        """Incidents that fit, newest first; ``before`` is the id of the last one seen."""
        row = IncidentRow
        query = select(row, Venture.name).outerjoin(Venture, Venture.id == row.venture_id).order_by(row.incident_id.desc())
        query = _filtered(query, wanted)
        if before is not None:
            query = query.where(row.incident_id < _parse(before))
        if wanted.service is None:
            return [incident_of(each, venture) for each, venture in self._session.execute(query.limit(limit)).tuples()]
        found: list[Incident] = []
        # Services are a list within the row, which both databases search differently: looked at here, the newest first.
        for each, venture in self._session.execute(query.execution_options(yield_per=200)).tuples():
            if wanted.service in (each.affected_services or ()):
                found.append(incident_of(each, venture))
            if len(found) == limit:
                break
        return found

    def newest(self, limit: int = 50) -> list[dict[str, Any]]:
        """The newest incidents as plain values."""
        rows = self._session.scalars(select(IncidentRow).order_by(IncidentRow.detected_at.desc()).limit(limit))
        return [self._known(row) for row in rows]

    def page(
        self, *, statuses: Collection[str], ventures: Collection[str] | None, before: str | None, limit: int
    ) -> list[dict[str, Any]]:  # fmt: skip
        """Incidents as plain values, newest first; ``before`` is the id of the last one seen. ``ventures``: None is all."""
        query = select(IncidentRow).order_by(IncidentRow.incident_id.desc()).limit(limit)
        if statuses:
            query = query.where(IncidentRow.status.in_(sorted(statuses)))
        if ventures is not None:
            ids = select(Venture.id).where(Venture.name.in_(sorted(ventures)))
            query = query.where(IncidentRow.venture_id.in_(ids))
        if before is not None:
            query = query.where(IncidentRow.incident_id < _parse(before))
        return [self._known(row) for row in self._session.scalars(query)]

    def open_of(self, service: str, environment: Environment) -> list[str]:
        """Ids of incidents of a service there that have not ended, newest first; of the newest thousand that have not."""
        query = select(IncidentRow).where(IncidentRow.status.in_(_LIVE))
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

    def _venture(self, venture_id: uuid.UUID | None) -> str | None:
        venture = self._session.get(Venture, venture_id) if venture_id else None
        return venture.name if venture else None

    def _known(self, row: IncidentRow) -> dict[str, Any]:
        return _incident(row) | {"venture": self._venture(row.venture_id)}


def _filtered(query: Select[tuple[IncidentRow, str]], wanted: IncidentFilter) -> Select[tuple[IncidentRow, str]]:
    row = IncidentRow
    if wanted.statuses:
        query = query.where(row.status.in_([status.value for status in wanted.statuses]))
    if wanted.severities:
        query = query.where(row.severity.in_(wanted.severities))
    if wanted.environment is not None:
        query = query.where(row.environment == wanted.environment.value)
    if wanted.ventures is not None:
        query = query.where(Venture.name.in_(sorted(wanted.ventures)))
    if wanted.since is not None:
        query = query.where(row.detected_at >= wanted.since)
    if wanted.until is not None:
        query = query.where(row.detected_at < wanted.until)
    if wanted.text:
        query = query.where(func.lower(row.title).contains(wanted.text.lower(), autoescape=True))
    return query


def _incident(row: IncidentRow) -> dict[str, Any]:
    return {
        "incident_id": str(row.incident_id), "type": row.incident_type, "severity": row.severity, "status": row.status,
        "title": row.title, "description": row.description, "services": row.affected_services, "detection": row.detection_method,
        "impact": row.impact_assessment, "detected_at": row.detected_at.isoformat(), "root_cause": row.root_cause,
        "resolved_at": row.resolved_at.isoformat() if row.resolved_at else None, "mttr_minutes": row.mttr_minutes,
        "resolution_steps": row.resolution_steps or [],
    }  # fmt: skip
