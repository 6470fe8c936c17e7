"""Repositories that tell the outbox what they write: releases, incidents, and what the audit notes of flags, approvals and others."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from productops.domain.governance_outbox import AUDITED, tell_release
from productops.store.governance_audit import Audit
from productops.store.governance_outbox import Outbox
from productops.store.incident import Incidents
from productops.store.release import Releases
from productops.store.tables import FlagRow, ReleaseRow, TrainRow, Venture

TOLD_COLUMNS = frozenset({"status", "severity", "title", "roles", "acknowledged_by"})
_RELEASE_KINDS = frozenset({"requested", "waiting", "bypassed", "shift", "step_ended", "resumed", "phase"})


class ToldReleases(Releases):
    """Releases whose story is told outside, too."""

    def __init__(self, session: Session, outbox: Outbox) -> None:
        super().__init__(session)
        self._outbox = outbox

    def tell(self, release_id: str, kind: str, payload: dict[str, Any], *, now: datetime) -> None:
        """Append a line to the release's story; what concerns the outside goes into the outbox in the same transaction."""
        super().tell(release_id, kind, payload, now=now)
        if kind in _RELEASE_KINDS:
            for told in tell_release(self.get(release_id), kind, payload):
                self._outbox.add(told.type, f"release/{release_id}", told.data, now=now)


class ToldIncidents(Incidents):
    """Incidents whose beginning and end are told outside."""

    def __init__(self, session: Session, outbox: Outbox) -> None:
        super().__init__(session)
        self._outbox = outbox

    def open(
        self, *, venture_id: uuid.UUID | None, kind: str, severity: str, title: str, description: str,
        services: list[str], detection: str, impact: dict[str, Any], now: datetime, by: str = "productops", component: str = "",
        grouping: Mapping[str, Any] | None = None, detected_at: datetime | None = None,
    ) -> str:  # fmt: skip
        """Open an incident, return its id, and tell of it: a person reports one, everything else detects one."""
        incident_id = super().open(
            venture_id=venture_id, kind=kind, severity=severity, title=title, description=description, services=services,
            detection=detection, impact=impact, now=now, by=by, component=component, grouping=grouping, detected_at=detected_at,
        )  # fmt: skip
        event = "incident.reported" if detection == "person" else "incident.detected"
        self._tell(event, incident_id, venture_id, now=now)
        return incident_id

    def resolve(self, incident_id: str, *, steps: list[str], now: datetime) -> bool:
        """End an incident, and tell of it; false when it has ended before. Raises: NotFoundError."""
        ended = super().resolve(incident_id, steps=steps, now=now)
        if ended:
            self._tell("incident.resolved", incident_id, self._row(incident_id).venture_id, now=now)
        return ended

    def _changed(self, incident_id: str, values: Mapping[str, Any], *, now: datetime) -> None:
        """Tell what others act on: where it stands, how severe it is, who deals with it."""
        if not TOLD_COLUMNS.isdisjoint(values):
            ended = values.get("status") == "resolved"
            self._tell("incident.resolved" if ended else "incident.changed", incident_id, self._row(incident_id).venture_id, now=now)

    def _tell(self, event: str, incident_id: str, venture_id: uuid.UUID | None, *, now: datetime) -> None:
        self._session.flush()
        incident = self.find(incident_id) or {}
        venture = self._session.scalar(select(Venture.name).where(Venture.id == venture_id)) if venture_id else None
        impact = incident.get("impact") or {}
        data = {
            "incident_id": incident_id, "venture": venture, "title": incident.get("title"), "description": incident.get("description"),
            "severity": incident.get("severity"), "kind": incident.get("type"), "services": incident.get("services") or [],
            "environment": impact.get("environment", "production"), "status": incident.get("status"),
            "detection": incident.get("detection"),
            "detected_at": incident.get("detected_at"), "resolved_at": incident.get("resolved_at"),
            "resolution_steps": incident.get("resolution_steps") or [],
        }  # fmt: skip
        self._outbox.add(event, f"incident/{incident_id}", data, now=now, venture=venture)


class ToldAudit(Audit):
    """An audit log whose entries about flags, approvals, trains and the like are told outside."""

    def __init__(self, session: Session, outbox: Outbox) -> None:
        super().__init__(session)
        self._outbox = outbox

    def add(
        self, action: str, subject: str, *, actor: str, origin: str, now: datetime, reason: str = "",
        detail: Mapping[str, Any] | None = None, before: object = None, after: object = None,
    ) -> None:  # fmt: skip
        """Append an entry. What it says of the state before and after stays here. Raises: InvalidInputError for what none can hold."""
        super().add(action, subject, actor=actor, origin=origin, now=now, reason=reason, detail=detail, before=before, after=after)
        if action.partition(".")[0] in AUDITED:
            data = {"actor": actor, "origin": origin, "reason": reason, "detail": dict(detail or {})}
            self._outbox.add(action, subject, data, now=now, venture=self._venture(subject, detail or {}))

    def _venture(self, subject: str, detail: Mapping[str, Any]) -> str | None:
        """Whose it is, where that can be seen; an event of unknown venture goes only to those who are told of all."""
        if isinstance(detail.get("venture"), str):
            return str(detail["venture"])
        kind, _, name = subject.partition("/")
        if kind == "flag":
            query = select(Venture.name).join(FlagRow, FlagRow.venture_id == Venture.id).where(FlagRow.key == name)
        elif kind in {"train", "release"}:
            table = TrainRow if kind == "train" else ReleaseRow
            query = select(table.venture).where(table.id == _uuid(name))
        else:
            return None
        with self._session.no_autoflush:  # writers count on the order in which their rows go out
            return self._session.scalar(query)


def _uuid(text: str) -> uuid.UUID:
    """An id that no row has, for a text that is none."""
    try:
        return uuid.UUID(text)
    except ValueError:
        return uuid.UUID(int=0)
