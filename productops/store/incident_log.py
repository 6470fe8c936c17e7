"""The log of an incident: the SQL. Lines are added and read, never changed."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from productops.domain.incident import IncidentLogEntry
from productops.errors import NotFoundError
from productops.store.tables import IncidentLogRow, IncidentRow

KIND_MAX = 40


class IncidentLog:
    """Repository within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, incident_id: str, kind: str, text: str, *, actor: str, detail: Mapping[str, Any], at: datetime) -> IncidentLogEntry:
        """Append a line; others that write to this incident wait for this transaction, so that numbers have no gaps.

        Raises: NotFoundError.
        """
        row = IncidentRow
        self._session.flush()
        at_id = _parse(incident_id)
        numbered = update(row).where(row.incident_id == at_id).values(log_seq=row.log_seq + 1).returning(row.log_seq)
        seq = self._session.scalar(numbered.execution_options(synchronize_session=False))
        if seq is None:
            raise NotFoundError(f"there is no incident {incident_id}")
        values = {"seq": seq, "at": at, "kind": kind[:KIND_MAX], "text": text, "actor": actor, "detail": dict(detail)}
        self._session.execute(insert(IncidentLogRow).values(incident_id=at_id, **values))
        return IncidentLogEntry(seq, incident_id, at, kind[:KIND_MAX], text, actor, dict(detail))

    def read(self, incident_id: str, *, after: int = 0, limit: int = 500) -> list[IncidentLogEntry]:
        """Lines after a number, in order."""
        row = IncidentLogRow
        query = select(row).where(row.incident_id == _parse(incident_id), row.seq > after).order_by(row.seq).limit(limit)
        return [_entry(found) for found in self._session.scalars(query)]

    def reopenings(self, incident_id: str) -> list[tuple[datetime, str]]:
        """When it was opened again, and from which state; in order."""
        row = IncidentLogRow
        query = select(row.at, row.detail).where(row.incident_id == _parse(incident_id), row.kind == "reopened").order_by(row.seq)
        return [(at, str((detail or {}).get("from", ""))) for at, detail in self._session.execute(query)]

    def beginnings(self, incident_id: str) -> list[datetime]:
        """When an alert fired after none had for a while; in order."""
        row = IncidentLogRow
        query = select(row.at).where(row.incident_id == _parse(incident_id), row.kind == "again").order_by(row.seq)
        return list(self._session.scalars(query))

    def mitigations(self, incident_id: str) -> list[datetime]:
        """When users were well again; in order."""
        row = IncidentLogRow
        query = select(row.at).where(row.incident_id == _parse(incident_id), row.kind == "mitigated").order_by(row.seq)
        return list(self._session.scalars(query))

    def last(self, incident_id: str) -> int:
        """Number of the newest line; 0 when there is none."""
        query = select(IncidentRow.log_seq).where(IncidentRow.incident_id == _parse(incident_id))
        return self._session.scalar(query) or 0


def _entry(row: IncidentLogRow) -> IncidentLogEntry:
    return IncidentLogEntry(row.seq, str(row.incident_id), row.at, row.kind, row.text, row.actor, row.detail)


def _parse(incident_id: str) -> uuid.UUID:
    try:
        return uuid.UUID(incident_id)
    except ValueError as error:
        raise NotFoundError(f"there is no incident {incident_id[:80]!r}") from error
