"""The log of an incident: append-only, in order; what people wrote beside what the product did. The post-mortem is written from it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from productops.domain.governance_access import Operation
from productops.domain.incident import IncidentLogEntry
from productops.errors import InvalidInputError
from productops.store import Unit
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_scope import incident_for
from productops.usecases.governance_audit_note import note

NOTE_MAX = 10_000


def log_incident(
    unit: Unit, incident_id: str, kind: str, text: str, *, actor: Actor, detail: Mapping[str, Any] | None = None, at: datetime | None = None
) -> IncidentLogEntry:
    """Append a line within the caller's transaction; ``at`` None: now. Raises: NotFoundError."""
    when = at or datetime.now(UTC)
    return unit.incident_log.add(incident_id, kind, text, actor=actor.name, detail=dict(detail or {}), at=when)


def read_incident_log(context: Context, incident_id: str, *, after: int = 0, limit: int = 500, actor: Actor) -> list[IncidentLogEntry]:
    """Lines with a greater number than ``after``, in order. Raises: NotFoundError, StoreUnavailableError."""
    with context.store.read() as unit:
        incident_for(unit, incident_id, actor)
        return unit.incident_log.read(incident_id, after=after, limit=limit)


def note_incident(context: Context, incident_id: str, text: str, *, actor: Actor) -> IncidentLogEntry:
    """Write a note that everybody in the incident reads. Raises: NotFoundError, ForbiddenError, InvalidInputError."""
    written = text.strip()
    if not written or len(written) > NOTE_MAX:
        raise InvalidInputError(f"a note has 1 to {NOTE_MAX:,} characters; this one has {len(written):,}")
    with context.store.write() as unit:
        incident_for(unit, incident_id, actor, Operation.INCIDENT_REPORT)
        now = context.clock.now()
        entry = log_incident(unit, incident_id, "note", written, actor=actor, at=now)
        note(unit, actor, "incident.noted", f"incident/{incident_id}", now=now, detail={"seq": entry.seq})
    return entry
