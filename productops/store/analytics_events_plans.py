"""Declared tracking plans, and events fetched from elsewhere: rows in and out."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from productops.domain.analytics_events import EventImport, ImportState
from productops.domain.catalog_analytics_events import TrackingPlanEntry, TrackingPlanSpec
from productops.errors import ConflictError, NotFoundError
from productops.store.identity import new_id
from productops.store.tables import AnalyticsImportRow, AnalyticsPlanRow, CatalogRevision

PLAN = "TrackingPlan"
ERROR_CHARACTERS_MAX = 2_000


class TrackingPlans:
    """Repository of plans within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def all(self) -> dict[str, tuple[TrackingPlanSpec, int]]:
        """By venture, the plan and its revision."""
        rows = self._session.scalars(select(AnalyticsPlanRow))
        return {row.venture: (TrackingPlanSpec.model_validate(row.spec), row.revision) for row in rows}

    def revisions(self) -> dict[str, int]:
        """By venture, the revision of its plan."""
        row = AnalyticsPlanRow
        return {found.venture: found.revision for found in self._session.execute(select(row.venture, row.revision))}

    def find(self, venture: str) -> tuple[str, TrackingPlanSpec, int] | None:
        """Name, plan and revision of a venture; None when it has none."""
        row = self._session.scalars(select(AnalyticsPlanRow).where(AnalyticsPlanRow.venture == venture)).first()
        return (row.name, TrackingPlanSpec.model_validate(row.spec), row.revision) if row else None

    def declared_in(self, bases: Collection[str]) -> list[str]:
        """Names of those that catalog files of these folders declared."""
        return list(self._session.scalars(select(AnalyticsPlanRow.name).where(AnalyticsPlanRow.base.in_(sorted(bases)))))

    def put(self, entry: TrackingPlanEntry, *, base: str, author: str, now: datetime) -> tuple[str, dict[str, Any] | None]:
        """Insert or update; returns 'created', 'changed' or 'unchanged', and what it was. Raises: ConflictError for a venture's second."""
        name, venture, spec = entry.metadata.name, entry.metadata.venture, entry.spec.model_dump(mode="json")
        others = select(AnalyticsPlanRow.name).where(AnalyticsPlanRow.venture == venture, AnalyticsPlanRow.name != name)
        other = self._session.scalar(others)
        if other is not None:
            raise ConflictError(f"venture {venture} has the TrackingPlan {other!r} already; add the events of {name!r} there")
        row = self._session.get(AnalyticsPlanRow, name)
        if row is not None and (row.venture, row.spec) == (venture, spec):
            row.base = base
            return "unchanged", None
        before = dict(row.spec) if row is not None else None
        revision = self._revise(name, spec, author=author, now=now)
        if row is None:
            self._session.add(AnalyticsPlanRow(name=name, venture=venture, spec=spec, base=base, revision=revision, updated_at=now))
        else:
            row.venture, row.spec, row.base, row.revision, row.updated_at = venture, spec, base, revision, now
        self._session.flush()
        return "created" if before is None else "changed", before

    def remove(self, name: str) -> None:
        """From now on its venture has none; its revisions stay."""
        self._session.execute(delete(AnalyticsPlanRow).where(AnalyticsPlanRow.name == name))

    def _revise(self, name: str, spec: dict[str, Any], *, author: str, now: datetime) -> int:
        known = select(func.max(CatalogRevision.revision)).where(CatalogRevision.kind == PLAN, CatalogRevision.name == name)
        revision = (self._session.scalar(known) or 0) + 1
        self._session.add(CatalogRevision(kind=PLAN, name=name, revision=revision, spec=spec, author=author, applied_at=now))
        return revision


class EventImports:
    """Repository of imports within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def begin(self, venture: str, source: str, *, key: str, by: str, now: datetime) -> tuple[EventImport, bool]:
        """Go on with the import of this key that has not ended, or begin one; True when it is new."""
        row = self._session.scalars(select(AnalyticsImportRow).where(AnalyticsImportRow.current_key == key).with_for_update()).first()
        if row is not None:
            return _import(row), False
        row = AnalyticsImportRow(
            id=new_id(), venture=venture, source=source, state=ImportState.RUNNING.value, cursor={}, accepted=0, duplicates=0, refused=0,
            error="", by=by, started_at=now, moved_at=now, ended_at=None, current_key=key,
        )  # fmt: skip
        self._session.add(row)
        self._session.flush()
        return _import(row), True

    def get(self, import_id: str) -> EventImport:
        """Raises: NotFoundError."""
        try:
            row = self._session.get(AnalyticsImportRow, uuid.UUID(import_id), populate_existing=True)
        except ValueError:
            row = None
        if row is None:
            raise NotFoundError(f"there is no import {import_id[:80]!r}")
        return _import(row)

    def all(self, venture: str, *, limit: int = 50) -> list[EventImport]:
        """Those of a venture, the newest first."""
        row = AnalyticsImportRow
        return [_import(r) for r in self._session.scalars(select(row).where(row.venture == venture).order_by(row.id.desc()).limit(limit))]

    def move(
        self, found: EventImport, *, cursor: Mapping[str, Any], accepted: int, duplicates: int, refused: int, error: str,
        state: ImportState, now: datetime,
    ) -> None:  # fmt: skip
        """Note how far it is; the counts are added. Raises: ConflictError when another run has moved it."""
        row = AnalyticsImportRow
        over = state is not ImportState.RUNNING
        changed = self._session.execute(
            update(row)
            .where(row.id == uuid.UUID(found.id), row.state == ImportState.RUNNING.value, row.moved_at == found.moved_at)
            .values(
                cursor=dict(cursor), accepted=row.accepted + accepted, duplicates=row.duplicates + duplicates,
                refused=row.refused + refused,
                error=error[:ERROR_CHARACTERS_MAX], state=state.value, moved_at=now, ended_at=now if over else None,
                current_key=None if over else row.current_key,
            )
            .execution_options(synchronize_session=False)
        )  # fmt: skip
        if changed.rowcount != 1:  # type: ignore[attr-defined]
            raise ConflictError("another run of this import has moved on; look at it and start again")


def _import(row: AnalyticsImportRow) -> EventImport:
    return EventImport(
        id=str(row.id), venture=row.venture, source=row.source, state=ImportState(row.state), cursor=row.cursor, accepted=row.accepted,
        duplicates=row.duplicates, refused=row.refused, error=row.error, by=row.by, started_at=row.started_at, moved_at=row.moved_at,
        ended_at=row.ended_at,
    )  # fmt: skip
