"""What is told about incidents, over which channel, and whether it arrived; and when the next word is due: rows in and out."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from productops.domain.incident_updates import Audience, Cadence, Message, Moment, Notice
from productops.errors import NotFoundError
from productops.store.identity import new_id
from productops.store.incident_people import parse_id
from productops.store.tables import IncidentCadenceRow, IncidentNoticeRow

_KEY_MAX = 255
_ERROR_MAX = 1000


class Notices:
    """Repository of what is told within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(
        self, key: str, message: Message, *, venture: str, incident_id: str | None, moment: Moment, audience: Audience, channel: str,
        recipient: str, now: datetime,
    ) -> str | None:  # fmt: skip
        """Put it down to be sent; None when the same was put down before (by ``key``)."""
        row = IncidentNoticeRow
        known = self._session.scalar(select(row.id).where(row.key == key[:_KEY_MAX]))
        if known is not None:
            return None
        made = row(
            id=new_id(), key=key[:_KEY_MAX], venture=venture, incident_id=parse_id(incident_id, "incident") if incident_id else None,
            moment=moment.value, audience=audience.value, channel=channel, recipient=recipient[:255], subject=message.subject[:255],
            text=message.text, state="waiting", attempts=0, doubtful=0, next_at=now, fence=0, created_at=now, sent_at=None, error="",
        )  # fmt: skip
        self._session.add(made)
        self._session.flush()
        return str(made.id)

    def get(self, notice_id: str) -> Notice:
        """Raises: NotFoundError."""
        row = self._session.get(IncidentNoticeRow, parse_id(notice_id, "notice"), populate_existing=True)
        if row is None:
            raise NotFoundError(f"there is no notice {notice_id[:80]!r}")
        return _notice(row)

    def page(
        self, *, incident_id: str | None, ventures: Collection[str] | None, state: str | None, before: str | None, limit: int
    ) -> list[Notice]:
        """Newest first; ``ventures`` None: of all; ``before``: the id of the last one seen."""
        row = IncidentNoticeRow
        query = select(row).order_by(row.id.desc()).limit(limit)
        if incident_id is not None:
            query = query.where(row.incident_id == parse_id(incident_id, "incident"))
        if ventures is not None:
            query = query.where(row.venture.in_(sorted(ventures)))
        if state is not None:
            query = query.where(row.state == state)
        if before is not None:
            query = query.where(row.id < parse_id(before, "notice"))
        return [_notice(each) for each in self._session.scalars(query.execution_options(populate_existing=True))]

    def due(self, *, now: datetime, limit: int) -> list[Notice]:
        """Those that wait and whose time has come, and those whose sender fell silent (``next_at`` is its deadline), oldest first."""
        row = IncidentNoticeRow
        query = (
            select(row).where(or_(row.state == "waiting", row.state == "sending"), row.next_at <= now).order_by(row.next_at, row.id)
        )  # fmt: skip
        return [_notice(each) for each in self._session.scalars(query.limit(limit).execution_options(populate_existing=True))]

    def waiting(self) -> int:
        """How many are not sent and not given up."""
        row = IncidentNoticeRow
        return int(self._session.scalar(select(func.count()).where(row.state.in_(("waiting", "sending")))) or 0)

    def claim(self, notice: Notice, *, until: datetime) -> Notice | None:
        """Take it for sending up to ``until``; None when another sender was quicker."""
        doubtful = notice.doubtful + (1 if notice.state == "sending" else 0)
        values = {"state": "sending", "attempts": notice.attempts + 1, "doubtful": doubtful, "next_at": until, "fence": notice.fence + 1}
        return self.get(notice.id) if self._set(notice, values) else None

    def end(self, notice: Notice, state: str, *, now: datetime, error: str = "") -> bool:
        """It was sent, given up or dropped; False for who was overtaken."""
        values = {"state": state, "sent_at": now if state == "sent" else None, "error": error[:_ERROR_MAX]}
        return self._set(notice, values)

    def postpone(self, notice: Notice, *, next_at: datetime, error: str) -> bool:
        """Try it again later; False for who was overtaken."""
        return self._set(notice, {"state": "waiting", "next_at": next_at, "error": error[:_ERROR_MAX]})

    def revive(self, notice: Notice, *, now: datetime) -> bool:
        """Send a given up one after all; False when another did."""
        return self._set(notice, {"state": "waiting", "next_at": now, "attempts": 0, "doubtful": 0})

    def drop_of(self, incident_id: str, moments: Sequence[Moment], *, why: str) -> int:
        """Do not send what waits and means nothing any more; returns how many."""
        row = IncidentNoticeRow
        same = (row.incident_id == uuid.UUID(incident_id), row.state == "waiting", row.moment.in_([m.value for m in moments]))
        done: Any = self._session.execute(
            update(row).where(*same).values(state="dropped", error=why[:_ERROR_MAX]).execution_options(synchronize_session=False)
        )
        return int(done.rowcount)

    def _set(self, notice: Notice, values: Mapping[str, Any]) -> bool:
        row = IncidentNoticeRow
        same = (row.id == uuid.UUID(notice.id), row.state == notice.state, row.fence == notice.fence)
        done: Any = self._session.execute(update(row).where(*same).values(**values).execution_options(synchronize_session=False))
        return bool(done.rowcount == 1)

    def cadence(self, incident_id: str) -> Cadence | None:
        """When the next word is due; None when nothing was told yet."""
        row = self._session.get(IncidentCadenceRow, parse_id(incident_id, "incident"), populate_existing=True)
        return None if row is None else _cadence(row)

    def keep_cadence(self, incident_id: str, *, venture: str, told_at: datetime, due_at: datetime | None) -> None:
        """Something was told; the next word is due then."""
        row = self._session.get(IncidentCadenceRow, parse_id(incident_id, "incident"), populate_existing=True)
        if row is None:
            row = IncidentCadenceRow(incident_id=uuid.UUID(incident_id), venture=venture)
            self._session.add(row)
        row.told_at, row.due_at, row.reminded = told_at, due_at, 0
        self._session.flush()

    def cadences_due(self, *, now: datetime, limit: int = 200) -> list[Cadence]:
        """Incidents whose next word is due."""
        row = IncidentCadenceRow
        query = select(row).where(row.due_at <= now).order_by(row.due_at).limit(limit)
        return [_cadence(each) for each in self._session.scalars(query.execution_options(populate_existing=True))]

    def remind(self, cadence: Cadence, *, next_at: datetime | None) -> bool:
        """Somebody is reminded, and again at ``next_at``; False when another process did it."""
        row = IncidentCadenceRow
        same = (row.incident_id == uuid.UUID(cadence.incident_id), row.due_at == cadence.due_at, row.reminded == cadence.reminded)
        values = {"due_at": next_at, "reminded": cadence.reminded + 1}
        done: Any = self._session.execute(update(row).where(*same).values(**values).execution_options(synchronize_session=False))
        return bool(done.rowcount == 1)


def _notice(row: IncidentNoticeRow) -> Notice:
    return Notice(
        str(row.id), row.key, row.venture, str(row.incident_id) if row.incident_id else None, Moment(row.moment), Audience(row.audience),
        row.channel, row.recipient, row.subject, row.text, row.state, row.attempts, row.doubtful, row.next_at, row.created_at, row.sent_at,
        row.error, row.fence,
    )  # fmt: skip


def _cadence(row: IncidentCadenceRow) -> Cadence:
    return Cadence(str(row.incident_id), row.venture, row.told_at, row.due_at, row.reminded)
