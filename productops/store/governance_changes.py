"""Change records: rows in and out."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session

from productops.domain.catalog_approvals import RiskLevel
from productops.domain.governance_approvals_risk import Risk
from productops.domain.governance_changes import ChangeFilter, ChangeKind, ChangeRecord
from productops.domain.release import Environment
from productops.errors import NotFoundError
from productops.store.tables import ChangeRecordRow


def _parse(change_id: str) -> uuid.UUID:
    try:
        return uuid.UUID(change_id)
    except ValueError as error:
        raise NotFoundError(f"there is no change {change_id[:80]!r}") from error


def _record(row: ChangeRecordRow) -> ChangeRecord:
    return ChangeRecord(
        id=str(row.id), kind=ChangeKind(row.kind), subject=row.subject, title=row.title, venture=row.venture,
        environment=Environment(row.environment) if row.environment else None, requested_by=row.requested_by, origin=row.origin,
        reason=row.reason, risk=Risk(RiskLevel(row.risk_level), tuple(row.risk_reasons)), windows=row.windows,
        rollback_plan=row.rollback_plan, at=row.at, detail=row.detail, number=row.number,
    )  # fmt: skip


class Changes:
    """Repository of change records within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, change: ChangeRecord) -> None:
        """Write one down."""
        self._session.add(
            ChangeRecordRow(
                id=uuid.UUID(change.id), kind=change.kind.value, subject=change.subject[:200], title=change.title, venture=change.venture,
                environment=change.environment.value if change.environment else None, requested_by=change.requested_by,
                origin=change.origin, reason=change.reason, risk_level=change.risk.level.value, risk_reasons=list(change.risk.reasons),
                windows=change.windows, rollback_plan=change.rollback_plan, at=change.at, detail=change.detail, number="", report_error="",
            )
        )  # fmt: skip

    def get(self, change_id: str) -> ChangeRecord:
        """Raises: NotFoundError."""
        row = self._session.get(ChangeRecordRow, _parse(change_id), populate_existing=True)
        if row is None:
            raise NotFoundError(f"there is no change {change_id[:80]!r}")
        return _record(row)

    def newest(self, wanted: ChangeFilter, *, before: str | None = None, limit: int = 50) -> list[ChangeRecord]:
        """Newest first; ``before`` is the id of the last one seen."""
        query = _filtered(wanted).order_by(ChangeRecordRow.id.desc()).limit(limit)
        if before:
            query = query.where(ChangeRecordRow.id < _parse(before))
        return [_record(row) for row in self._session.scalars(query)]

    def unreported(self, *, limit: int = 100) -> list[ChangeRecord]:
        """Those that an outside system has not taken yet, oldest first."""
        query = select(ChangeRecordRow).where(ChangeRecordRow.number == "").order_by(ChangeRecordRow.id).limit(limit)
        return [_record(row) for row in self._session.scalars(query)]

    def reported(self, change_id: str, *, number: str) -> bool:
        """Keep the outside number; the first one stays. False when there was one."""
        return self._set(change_id, number=number[:100], report_error="")

    def not_reported(self, change_id: str, *, why: str) -> bool:
        """Note why the outside system did not take it."""
        return self._set(change_id, report_error=why)

    def _set(self, change_id: str, **values: Any) -> bool:
        row = ChangeRecordRow
        changed = self._session.execute(
            update(row).where(row.id == _parse(change_id), row.number == "").values(**values).execution_options(synchronize_session=False)
        )
        return changed.rowcount == 1  # type: ignore[attr-defined, no-any-return]


def _filtered(wanted: ChangeFilter) -> Select[tuple[ChangeRecordRow]]:
    row = ChangeRecordRow
    query = select(row)
    for condition in (
        row.at >= wanted.since if isinstance(wanted.since, datetime) else None,
        row.at < wanted.until if isinstance(wanted.until, datetime) else None,
        row.venture == wanted.venture if wanted.venture is not None else None,
        row.kind == wanted.kind.value if wanted.kind is not None else None,
        row.venture.in_(sorted(wanted.ventures)) if wanted.ventures is not None else None,
    ):
        query = query.where(condition) if condition is not None else query
    return query
