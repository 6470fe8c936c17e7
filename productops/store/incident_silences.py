"""Silences: rows in and out."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from productops.domain.catalog_incident import Matcher
from productops.domain.incident_suppress import Silence
from productops.errors import NotFoundError
from productops.store.identity import new_id
from productops.store.tables import IncidentSilenceRow


class Silences:
    """Repository within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(
        self, venture: str, matchers: tuple[Matcher, ...], *, reason: str, author: str, starts_at: datetime, ends_at: datetime,
        now: datetime,
    ) -> Silence:  # fmt: skip
        """Keep one."""
        row = IncidentSilenceRow(
            id=new_id(), venture=venture, matchers=[each.model_dump(mode="json") for each in matchers], reason=reason, author=author,
            starts_at=starts_at, ends_at=ends_at, created_at=now,
        )  # fmt: skip
        self._session.add(row)
        self._session.flush()
        return _silence(row)

    def active(self, venture: str, *, now: datetime) -> tuple[Silence, ...]:
        """Those that hold now."""
        row = IncidentSilenceRow
        query = select(row).where(row.venture == venture, row.ends_at > now, row.starts_at <= now).order_by(row.id)
        return tuple(_silence(each) for each in self._session.scalars(query))

    def get(self, silence_id: str) -> Silence:
        """Raises: NotFoundError."""
        try:
            found = self._session.get(IncidentSilenceRow, uuid.UUID(silence_id))
        except ValueError:
            found = None
        if found is None:
            raise NotFoundError(f"there is no silence {silence_id[:80]!r}; list them with: productops alerts silences")
        return _silence(found)

    def end(self, silence_id: str, *, by: str, now: datetime) -> bool:
        """Let it hold no longer; false when it has ended before."""
        row = IncidentSilenceRow
        query = update(row).where(row.id == uuid.UUID(silence_id), row.ends_at > now).values(ends_at=now, ended_by=by)
        result: Any = self._session.execute(query.execution_options(synchronize_session="fetch"))
        return bool(result.rowcount == 1)

    def page(self, ventures: frozenset[str] | None, *, current: datetime | None, before: str | None, limit: int) -> list[Silence]:
        """Newest first; ``current``: only those that have not ended by then. ``before`` is the id of the last one seen."""
        row = IncidentSilenceRow
        query = select(row).order_by(row.id.desc()).limit(limit)
        if ventures is not None:
            query = query.where(row.venture.in_(sorted(ventures)))
        if current is not None:
            query = query.where(row.ends_at > current)
        if before is not None:
            query = query.where(row.id < uuid.UUID(before))
        return [_silence(each) for each in self._session.scalars(query)]


def _silence(row: IncidentSilenceRow) -> Silence:
    matchers = tuple(Matcher.model_validate(each) for each in row.matchers)
    return Silence(
        str(row.id), row.venture, matchers, row.reason, row.author, row.starts_at, row.ends_at, row.created_at, row.ended_by
    )  # fmt: skip
