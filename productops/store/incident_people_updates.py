"""What users may read about incidents, and how often services were up: rows in and out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Integer, cast, func, select, update
from sqlalchemy.orm import Session

from productops.domain.incident_status_page import UptimeDay
from productops.domain.incident_updates import Harm, PublicUpdate, Word
from productops.domain.release import Environment
from productops.errors import NotFoundError
from productops.store.identity import new_id
from productops.store.incident_people import parse_id
from productops.store.tables import IncidentUpdateRow, SecondRow, UptimeDayRow


class Updates:
    """Repository of published words and of uptime within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, made: PublicUpdate, *, key: str) -> str | None:
        """Publish; None when the same was published before (by ``key``)."""
        row = IncidentUpdateRow
        if self._session.scalar(select(row.id).where(row.key == key)) is not None:
            return None
        found = row(
            id=new_id(), key=key, incident_id=parse_id(made.incident_id, "incident"), venture=made.venture, page=made.page,
            title=made.title, word=made.word.value, harm=made.harm.value, components=list(made.components), text=made.text, by=made.by,
            at=made.at, retracted_at=None,
        )  # fmt: skip
        self._session.add(found)
        self._session.flush()
        return str(found.id)

    def get(self, update_id: str) -> PublicUpdate:
        """Raises: NotFoundError."""
        row = self._session.get(IncidentUpdateRow, parse_id(update_id, "update"), populate_existing=True)
        if row is None:
            raise NotFoundError(f"there is no update {update_id[:80]!r}")
        return _update(row)

    def retract(self, update_id: str, *, now: datetime) -> bool:
        """Take it off the page; False when somebody did."""
        row = IncidentUpdateRow
        query = update(row).where(row.id == parse_id(update_id, "update"), row.retracted_at.is_(None)).values(retracted_at=now)
        done: Any = self._session.execute(query.execution_options(synchronize_session=False))
        return bool(done.rowcount == 1)

    def of_incident(self, incident_id: str) -> list[PublicUpdate]:
        """All that was published about it, oldest first, with what was taken back."""
        row = IncidentUpdateRow
        query = select(row).where(row.incident_id == parse_id(incident_id, "incident")).order_by(row.at, row.id)
        return [_update(each) for each in self._session.scalars(query.execution_options(populate_existing=True))]

    def of_page(self, page: str, *, since: datetime, limit: int = 2000) -> list[PublicUpdate]:
        """What a page shows: newest first, since then; of incidents that are not over, all of it."""
        row = IncidentUpdateRow
        base = select(row).where(row.page == page, row.retracted_at.is_(None))
        recent = list(self._session.scalars(base.where(row.at >= since).order_by(row.at.desc(), row.id.desc()).limit(limit)))
        last = select(row.incident_id, func.max(row.at).label("at")).where(row.page == page, row.retracted_at.is_(None))
        latest = last.group_by(row.incident_id).subquery()
        unresolved = (
            select(row.incident_id)
            .join(latest, (latest.c.incident_id == row.incident_id) & (latest.c.at == row.at))
            .where(row.page == page, row.retracted_at.is_(None), row.word != Word.RESOLVED.value)
        )
        seen = {each.id for each in recent}
        older = self._session.scalars(base.where(row.at < since, row.incident_id.in_(unresolved)).order_by(row.at.desc()).limit(limit))
        return [_update(each) for each in [*recent, *(o for o in older if o.id not in seen)]]

    def minutes(
        self, service: str, environment: Environment, *, since_s: int, until_s: int, requests_min: int, failed_ratio: float
    ) -> tuple[int, int]:
        """Minutes of [since_s, until_s) that were up and down; one with fewer requests than ``requests_min`` is neither."""
        row = SecondRow
        minute = cast(row.at_s - row.at_s % 60, Integer).label("minute")
        by_minute = (
            select(minute, func.sum(row.requests).label("requests"), func.sum(row.failures).label("failures"))
            .where(
                row.service == service, row.environment == environment.value, row.at_s >= since_s, row.at_s < until_s,
                row.missed.is_(False),
            )
            .group_by(minute)
            .subquery()
        )  # fmt: skip
        counted = select(by_minute.c.requests, by_minute.c.failures).where(by_minute.c.requests >= requests_min)
        down = up = 0
        for requests, failures in self._session.execute(counted):
            bad = int(failures or 0) > failed_ratio * int(requests)
            down, up = down + bad, up + (not bad)
        return up, down

    def uptime_day(self, service: str, environment: Environment, page: str, day: date) -> UptimeDay | None:
        """What was counted of a day so far."""
        row = self._session.get(UptimeDayRow, (service, environment.value, page, day), populate_existing=True)
        return None if row is None else _day(row)

    def put_uptime(self, page: str, environment: Environment, counted: UptimeDay) -> None:
        """Replace what was counted of a day."""
        key = (counted.service, environment.value, page, counted.day)
        row = self._session.get(UptimeDayRow, key)
        if row is None:
            row = UptimeDayRow(service=counted.service, environment=environment.value, page=page, day=counted.day)
            self._session.add(row)
        row.minutes_up, row.minutes_down, row.until_minute = counted.minutes_up, counted.minutes_down, counted.until_minute
        self._session.flush()

    def uptime(self, page: str, *, since: date) -> Sequence[tuple[str, UptimeDay]]:
        """Environment and day, of all services of a page."""
        row = UptimeDayRow
        query = select(row).where(row.page == page, row.day >= since).order_by(row.day)
        return [(each.environment, _day(each)) for each in self._session.scalars(query)]

    def forget_uptime(self, *, before: date) -> None:
        """Drop days nobody is shown any more."""
        for row in self._session.scalars(select(UptimeDayRow).where(UptimeDayRow.day < before)):
            self._session.delete(row)


def _update(row: IncidentUpdateRow) -> PublicUpdate:
    return PublicUpdate(
        str(row.id), str(row.incident_id), row.venture, row.page, row.title, Word(row.word), Harm(row.harm), tuple(row.components),
        row.text, row.by, row.at, row.retracted_at,
    )  # fmt: skip


def _day(row: UptimeDayRow) -> UptimeDay:
    return UptimeDay(row.service, row.day, row.minutes_up, row.minutes_down, row.until_minute)
