"""People whose usage events are removed, within one transaction."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from productops.domain.analytics_events import Erasure, ErasureState
from productops.errors import NotFoundError
from productops.store.identity import new_id
from productops.store.tables import AnalyticsErasureRow


class Erasures:
    """Repository of erasures."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, venture: str, persons: Iterable[int], *, forever: bool, reason: str, by: str, now: datetime) -> Erasure:
        """Ask for one."""
        row = AnalyticsErasureRow(
            id=new_id(), venture=venture, persons=[f"{number:016x}" for number in sorted(persons)], forever=forever,
            state=ErasureState.WAITING.value, cursor="", files=0, events=0, reason=reason, by=by, asked_at=now, ended_at=None,
        )  # fmt: skip
        self._session.add(row)
        self._session.flush()
        return _erasure(row)

    def get(self, erasure_id: str) -> Erasure:
        """Raises: NotFoundError."""
        try:
            row = self._session.get(AnalyticsErasureRow, uuid.UUID(erasure_id), populate_existing=True)
        except ValueError:
            row = None
        if row is None:
            raise NotFoundError(f"there is no erasure {erasure_id[:80]!r}")
        return _erasure(row)

    def all(self, venture: str, *, limit: int = 100) -> list[Erasure]:
        """Those of a venture, the newest first."""
        row = AnalyticsErasureRow
        return [_erasure(r) for r in self._session.scalars(select(row).where(row.venture == venture).order_by(row.id.desc()).limit(limit))]

    def open(self) -> list[Erasure]:
        """Those that are not done, the oldest first."""
        row = AnalyticsErasureRow
        return [_erasure(r) for r in self._session.scalars(select(row).where(row.state != ErasureState.DONE.value).order_by(row.id))]

    def in_force(self, venture: str | None = None) -> list[Erasure]:
        """Those by which events are left out still: open ones, and those for ever."""
        row = AnalyticsErasureRow
        query = select(row).where((row.state != ErasureState.DONE.value) | row.forever.is_(True))
        if venture is not None:
            query = query.where(row.venture == venture)
        return [_erasure(r) for r in self._session.scalars(query.order_by(row.id))]

    def move(self, erasure_id: str, *, cursor: str, files: int = 0, events: int = 0) -> None:
        """Note that a file is done."""
        row = AnalyticsErasureRow
        self._session.execute(
            update(row)
            .where(row.id == uuid.UUID(erasure_id))
            .values(state=ErasureState.WORKING.value, cursor=cursor, files=row.files + files, events=row.events + events)
            .execution_options(synchronize_session=False)
        )

    def end(self, erasure_id: str, *, now: datetime) -> None:
        """All of it is done."""
        row = AnalyticsErasureRow
        self._session.execute(
            update(row)
            .where(row.id == uuid.UUID(erasure_id))
            .values(state=ErasureState.DONE.value, ended_at=now)
            .execution_options(synchronize_session=False)
        )


def _erasure(row: AnalyticsErasureRow) -> Erasure:
    return Erasure(
        id=str(row.id), venture=row.venture, persons=frozenset(int(text, 16) for text in row.persons), forever=row.forever,
        state=ErasureState(row.state), cursor=row.cursor, files=row.files, events=row.events, reason=row.reason, by=row.by,
        asked_at=row.asked_at, ended_at=row.ended_at,
    )  # fmt: skip
