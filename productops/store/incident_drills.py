"""Holds of people and drills: rows in and out."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, or_, select, update
from sqlalchemy.orm import Session

from productops.domain.incident_playbook import Drill, Hold
from productops.domain.release import Environment
from productops.errors import ConflictError, NotFoundError
from productops.store.identity import new_id
from productops.store.tables import IncidentDrillRow, IncidentHoldRow


class IncidentDrills:
    """The part of the repository that people write: holds, and drills."""

    def __init__(self, session: Session) -> None:
        self._session = session

    # ---- holds

    def hold(self, hold: Hold) -> str:
        """Write a person's word; returns its id."""
        found = new_id()
        self._session.add(
            IncidentHoldRow(
                id=found, venture=hold.venture, service=hold.service, environment=hold.environment.value if hold.environment else None,
                incident_id=uuid.UUID(hold.incident_id) if hold.incident_id else None, reason=hold.reason, by=hold.by, at=hold.at,
                until=hold.until, lifted_at=None, lifted_by=None,
            )
        )  # fmt: skip
        return str(found)

    def holds(self, *, ventures: Collection[str] | None, now: datetime, limit: int = 500) -> list[Hold]:
        """Those in force, the newest first; ``ventures`` None: of all."""
        row = IncidentHoldRow
        query = select(row).where(row.lifted_at.is_(None), or_(row.until.is_(None), row.until > now))
        if ventures is not None:
            query = query.where(row.venture.in_(sorted(ventures)))
        return [_hold(each) for each in self._session.scalars(query.order_by(row.id.desc()).limit(limit))]

    def find_hold(self, hold_id: str) -> Hold:
        """Raises: NotFoundError."""
        row = self._session.get(IncidentHoldRow, _id(hold_id))
        if row is None:
            raise NotFoundError(f"there is no hold {hold_id[:80]!r}; list them with: productops playbook holds")
        return _hold(row)

    def lift(self, hold_id: str, *, by: str, now: datetime) -> None:
        """End a hold. Raises: ConflictError when it was lifted."""
        row = IncidentHoldRow
        changed = self._changed(update(row).where(row.id == _id(hold_id), row.lifted_at.is_(None)).values(lifted_at=now, lifted_by=by))
        if not changed:
            raise ConflictError(f"hold {hold_id} was lifted before")

    # ---- drills

    def add_drill(self, drill: Drill) -> None:
        """Write it down before anything is broken."""
        self._session.add(
            IncidentDrillRow(
                id=_id(drill.id), playbook=drill.playbook, fault=drill.fault, venture=drill.venture, service=drill.service,
                environment=drill.environment.value, state=drill.state, by=drill.by, begun_at=drill.begun_at,
                injected=dict(drill.injected), injected_at=drill.injected_at, undone_at=drill.undone_at, ended_at=drill.ended_at,
                incident_id=None, scores=dict(drill.scores), note=drill.note,
            )
        )  # fmt: skip

    def set_drill(self, drill_id: str, **values: Any) -> None:
        """Set ``injected``, ``injected_at``, ``undone_at``, ``incident_id``, ``state``, ``scores``, ``note`` or ``ended_at``."""
        if isinstance(values.get("incident_id"), str):
            values["incident_id"] = _id(values["incident_id"])
        row = IncidentDrillRow
        self._changed(update(row).where(row.id == _id(drill_id)).values(**values))

    def drill(self, drill_id: str) -> Drill:
        """Raises: NotFoundError."""
        row = self._session.get(IncidentDrillRow, _id(drill_id), populate_existing=True)
        if row is None:
            raise NotFoundError(f"there is no drill {drill_id[:80]!r}; list them with: productops drill list")
        return _drill(row)

    def drills(self, *, ventures: Collection[str] | None, before: str | None = None, limit: int = 50) -> list[Drill]:
        """The newest first; ``before`` is the id of the last one seen. ``ventures`` None: of all."""
        row = IncidentDrillRow
        query = select(row).order_by(row.id.desc()).limit(limit)
        if ventures is not None:
            query = query.where(row.venture.in_(sorted(ventures)))
        if before is not None:
            query = query.where(row.id < _id(before))
        return [_drill(each) for each in self._session.scalars(query)]

    def unfinished_drills(self) -> list[Drill]:
        """Those that broke something and have not made it whole."""
        row = IncidentDrillRow
        return [_drill(each) for each in self._session.scalars(select(row).where(row.undone_at.is_(None)).order_by(row.id))]

    def _changed(self, statement: Any) -> int:
        done = self._session.execute(statement.execution_options(synchronize_session=False))
        return cast("CursorResult[Any]", done).rowcount


def _id(text: str) -> uuid.UUID:
    """Raises: NotFoundError for a text that is no id."""
    try:
        return uuid.UUID(text)
    except ValueError as error:
        raise NotFoundError(f"there is no hold or drill {text[:80]!r}") from error


def _hold(row: IncidentHoldRow) -> Hold:
    return Hold(
        id=str(row.id), venture=row.venture, service=row.service, environment=Environment(row.environment) if row.environment else None,
        incident_id=str(row.incident_id) if row.incident_id else None, reason=row.reason, by=row.by, at=row.at, until=row.until,
    )  # fmt: skip


def _drill(row: IncidentDrillRow) -> Drill:
    return Drill(
        id=str(row.id), playbook=row.playbook, fault=row.fault, venture=row.venture, service=row.service,
        environment=Environment(row.environment), state=row.state, by=row.by, begun_at=row.begun_at, injected=dict(row.injected),
        injected_at=row.injected_at, undone_at=row.undone_at, ended_at=row.ended_at,
        incident_id=str(row.incident_id) if row.incident_id else None, scores=dict(row.scores), note=row.note,
    )  # fmt: skip
