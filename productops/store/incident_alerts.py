"""Alerts and what became of them: the SQL."""

from __future__ import annotations

import uuid
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, bindparam, func, insert, select, text, update
from sqlalchemy.orm import Session

from productops.domain.incident_alert import AlertState, StoredAlert
from productops.domain.release import Environment
from productops.errors import NotFoundError
from productops.store.identity import new_id
from productops.store.incident_rows import alert_values, stored_of
from productops.store.tables import IncidentAlertRow

AT_ONCE = 500
BEGAN_MAX = 20
_LOCK = 7_305_026  # any constant: PostgreSQL's advisory lock that orders those who group alerts of a venture


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """Which alerts; empty or None: all. ``ventures`` None: of all ventures."""

    states: tuple[AlertState, ...] = ()
    status: str | None = None
    source: str | None = None
    severities: tuple[str, ...] = ()
    service: str | None = None
    environment: Environment | None = None
    incident_id: str | None = None
    fingerprint: str | None = None
    ventures: frozenset[str] | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class KnownAlert:
    """The newest time an alert fired, and when it began the last times (Unix seconds, oldest first)."""

    stored: StoredAlert
    began: tuple[float, ...]


class Alerts:
    """Repository within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def lock(self, venture: str) -> None:
        """Wait for others that group alerts of this venture; until the end of the transaction. SQLite has one writer at a time anyway."""
        if self._session.get_bind().dialect.name == "postgresql":
            key = zlib.crc32(venture.encode()) & 0x7FFFFFFF
            self._session.execute(text("SELECT pg_advisory_xact_lock(:room, :key)"), {"room": _LOCK, "key": key})

    def latest(self, venture: str, fingerprints: Collection[str]) -> dict[str, KnownAlert]:
        """The newest of each fingerprint."""
        row = IncidentAlertRow
        found: dict[str, KnownAlert] = {}
        for part in _parts(sorted(fingerprints)):
            query = select(row).where(row.venture == venture, row.fingerprint.in_(part), row.latest)
            for each in self._session.scalars(query):
                found[each.fingerprint] = KnownAlert(stored_of(each), tuple(each.began))
        return found

    def add(self, alerts: Sequence[StoredAlert], began: Mapping[str, tuple[float, ...]], *, newest: bool = True) -> None:
        """Keep new ones, each the newest of its fingerprint (or one that is over already); ``began`` by fingerprint."""
        row = IncidentAlertRow
        for part in _parts(alerts):
            if newest:
                self._supersede(part)
            values = [alert_values(a) | {"latest": newest, "began": list(began[a.alert.fingerprint])[-BEGAN_MAX:]} for a in part]
            self._session.execute(insert(row.__table__), values)  # type: ignore[arg-type]  # a Table, which FromClause hides

    def _supersede(self, alerts: Sequence[StoredAlert]) -> None:
        """Earlier times of these are not the newest any more."""
        row = IncidentAlertRow
        by_venture: dict[str, list[str]] = {}
        for each in alerts:
            by_venture.setdefault(each.alert.venture, []).append(each.alert.fingerprint)
        for venture, fingerprints in by_venture.items():
            older = update(row).where(row.venture == venture, row.fingerprint.in_(fingerprints), row.latest).values(latest=False)
            self._session.execute(older.execution_options(synchronize_session=False))

    def set_all(self, alerts: Iterable[StoredAlert]) -> None:
        """Write what changed of known ones: whether they hold, what was told last, what became of them."""
        table: Any = IncidentAlertRow.__table__
        changed = ("status", "severity", "summary", "evidence", "value", "ends_at", "state", "reason", "incident_id", "received",
                   "last_seen_at")  # fmt: skip
        values = [{f"new_{name}": value for name, value in alert_values(each).items() if name in {"id", *changed}} for each in alerts]
        for part in _parts(values):
            query = update(table).where(table.c.id == bindparam("new_id")).values({name: bindparam(f"new_{name}") for name in changed})
            self._session.execute(query, part)

    def of_incident(self, incident_id: str, *, firing_only: bool = False, limit: int = 2000) -> list[StoredAlert]:
        """Alerts of an incident, oldest first."""
        row = IncidentAlertRow
        query = select(row).where(row.incident_id == _parse(incident_id)).order_by(row.id).limit(limit)
        if firing_only:
            query = query.where(row.status == "firing")
        return [stored_of(each) for each in self._session.scalars(query)]

    def quiet(self, incident_id: str) -> tuple[int, datetime | None]:
        """How many alerts of an incident fire, and when the last one ended or was told to fire."""
        row = IncidentAlertRow
        firing = self._session.scalar(select(func.count()).where(row.incident_id == _parse(incident_id), row.status == "firing")) or 0
        last = self._session.scalar(select(func.max(row.last_seen_at)).where(row.incident_id == _parse(incident_id)))
        return firing, last

    def counts(self, incident_id: str) -> tuple[int, int]:
        """(alerts, times they were told) of an incident."""
        row = IncidentAlertRow
        query = select(func.count(), func.coalesce(func.sum(row.received), 0)).where(row.incident_id == _parse(incident_id))
        alerts, received = self._session.execute(query).one()
        return int(alerts), int(received)

    def waiting(self, *, limit: int = 2000) -> list[StoredAlert]:
        """Alerts that fire and are in no incident, oldest first."""
        row = IncidentAlertRow
        query = select(row).where(row.status == "firing", row.state.notin_(["grouped", "ended"]), row.latest).order_by(row.id).limit(limit)
        return [stored_of(each) for each in self._session.scalars(query)]

    def silent(self, *, before: datetime, limit: int = 500) -> list[StoredAlert]:
        """Alerts that are said to fire and were not told since ``before``."""
        row = IncidentAlertRow
        query = select(row).where(row.status == "firing", row.last_seen_at < before).order_by(row.id).limit(limit)
        return [stored_of(each) for each in self._session.scalars(query)]

    def move(self, alerts: Collection[str] | None, *, origin: str, target: str, reason: str) -> int:
        """Put alerts (None: all) of one incident into another; returns how many."""
        row = IncidentAlertRow
        query = update(row).where(row.incident_id == _parse(origin))
        if alerts is not None:
            query = query.where(row.id.in_([_parse(each) for each in alerts]))
        result: Any = self._session.execute(
            query.values(incident_id=_parse(target), reason=reason).execution_options(synchronize_session=False)
        )
        self._session.expire_all()
        return int(result.rowcount)

    def get(self, alert_id: str) -> StoredAlert:
        """Raises: NotFoundError."""
        found = self._session.get(IncidentAlertRow, _parse(alert_id))
        if found is None:
            raise NotFoundError(f"there is no alert {alert_id}; list them with: productops alerts list")
        return stored_of(found)

    def page(self, wanted: AlertFilter, *, before: str | None, limit: int) -> list[StoredAlert]:
        """Alerts that fit, newest first; ``before`` is the id of the last one seen."""
        row = IncidentAlertRow
        query = _filtered(select(row), wanted).order_by(row.id.desc()).limit(limit)
        if before is not None:
            query = query.where(row.id < _parse(before))
        return [stored_of(each) for each in self._session.scalars(query)]

    def ventures(self) -> list[str]:
        """Those whose alerts are kept, of ventures that are gone, too."""
        return list(self._session.scalars(select(IncidentAlertRow.venture).distinct().order_by(IncidentAlertRow.venture)))

    def forget(self, venture: str, *, before: datetime, limit: int = 5000) -> int:
        """Drop alerts of a venture that ended before and belong to no incident, at most ``limit``; returns how many."""
        row = IncidentAlertRow
        over = select(row.id).where(row.venture == venture, row.status == "resolved", row.incident_id.is_(None))
        old = over.where(row.last_seen_at < before).limit(limit)
        result: Any = self._session.execute(
            row.__table__.delete().where(row.id.in_(old))  # type: ignore[attr-defined]  # a Table, which FromClause hides
        )
        return int(result.rowcount)


def new_alert_id() -> str:
    """Rises with time."""
    return str(new_id())


def _filtered(query: Select[tuple[IncidentAlertRow]], wanted: AlertFilter) -> Select[tuple[IncidentAlertRow]]:
    row = IncidentAlertRow
    if wanted.states:
        query = query.where(row.state.in_([state.value for state in wanted.states]))
    if wanted.severities:
        query = query.where(row.severity.in_(wanted.severities))
    if wanted.incident_id is not None:
        query = query.where(row.incident_id == _parse(wanted.incident_id))
    if wanted.ventures is not None:
        query = query.where(row.venture.in_(sorted(wanted.ventures)))
    if wanted.since is not None:
        query = query.where(row.last_seen_at >= wanted.since)
    exact = {
        row.status: wanted.status, row.source: wanted.source, row.service: wanted.service, row.fingerprint: wanted.fingerprint,
        row.environment: wanted.environment.value if wanted.environment else None,
    }  # fmt: skip
    for column, value in exact.items():
        if value is not None:
            query = query.where(column == value)
    return query


def _parts(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), AT_ONCE):
        yield values[start : start + AT_ONCE]


def _parse(any_id: str) -> uuid.UUID:
    try:
        return uuid.UUID(any_id)
    except ValueError as error:
        raise NotFoundError(f"there is nothing with the id {any_id[:80]!r}") from error
