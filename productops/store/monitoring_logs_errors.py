"""Errors of services by fingerprint: where they are raised, since when, and how often by version."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from productops.domain.monitoring_logs import ErrorGroup
from productops.domain.monitoring_logs_errors import ErrorSeen
from productops.domain.release import Environment
from productops.store.identity import new_id
from productops.store.tables import LogErrorMinuteRow, LogErrorRow, LogErrorVersionRow

ErrorKey = tuple[str, str, Environment, str]
"""Venture, service, environment, fingerprint."""


@dataclass(frozen=True, slots=True)
class SeenErrors:
    """Errors of one fingerprint in a batch: by version and minute, with one of them as an example."""

    error: ErrorSeen
    sample: str
    first_at: datetime
    last_at: datetime
    counts: Mapping[tuple[str, int], int]


class LogErrors:
    """Repository of errors within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, seen: Mapping[ErrorKey, SeenErrors]) -> None:
        """Add a batch; always in the same order, so that two writers never wait for each other."""
        for key, each in sorted(seen.items()):
            error = self._put(key, each)
            self._add_versions(error, each)
            self._add_minutes(error, each)

    def _put(self, key: ErrorKey, each: SeenErrors) -> uuid.UUID:
        venture, service, environment, fingerprint = key
        made = self._insert(LogErrorRow).values(
            id=new_id(), venture=venture, service=service, environment=environment.value, fingerprint=fingerprint,
            language=each.error.language, type=each.error.type[:255], message=each.error.message, frames=list(each.error.frames),
            sample=each.sample, first_at=each.first_at, last_at=each.last_at, fired_at=None,
        )  # fmt: skip
        places = ["service", "environment", "fingerprint"]
        later = {"last_at": made.excluded.last_at, "sample": made.excluded.sample, "message": made.excluded.message}
        done = self._session.execute(made.on_conflict_do_update(index_elements=places, set_=later).returning(LogErrorRow.id))
        found: uuid.UUID = done.scalar_one()
        return found

    def _add_versions(self, error: uuid.UUID, each: SeenErrors) -> None:
        lines: dict[str, int] = {}
        for (version, _), count in each.counts.items():
            lines[version] = lines.get(version, 0) + count
        rows = [
            {"error_id": error, "version": version, "first_at": each.first_at, "last_at": each.last_at, "lines": count}
            for version, count in sorted(lines.items())
        ]
        made = self._insert(LogErrorVersionRow)
        more = {"last_at": made.excluded.last_at, "lines": LogErrorVersionRow.lines + made.excluded.lines}
        self._session.connection().execute(made.on_conflict_do_update(index_elements=["error_id", "version"], set_=more), rows)

    def _add_minutes(self, error: uuid.UUID, each: SeenErrors) -> None:
        rows = [
            {"error_id": error, "version": version, "minute": minute, "lines": count}
            for (version, minute), count in sorted(each.counts.items())
        ]
        made = self._insert(LogErrorMinuteRow)
        more = {"lines": LogErrorMinuteRow.lines + made.excluded.lines}
        places = ["error_id", "version", "minute"]
        self._session.connection().execute(made.on_conflict_do_update(index_elements=places, set_=more), rows)

    def of(self, service: str, environment: Environment, *, since: datetime, until: datetime) -> list[ErrorGroup]:
        """Errors of a window of whole minutes, the most frequent first."""
        row = LogErrorRow
        return self._groups(
            select(row).where(row.service == service, row.environment == environment.value, row.last_at >= since, row.first_at < until),
            since=since, until=until,
        )  # fmt: skip

    def begun(self, *, since: datetime, now: datetime, counted_since: datetime) -> list[ErrorGroup]:
        """Errors that were first seen since a time, or that an alert is about, with how often they came lately."""
        row = LogErrorRow
        return self._groups(
            select(row).where((row.first_at >= since) | row.fired_at.is_not(None)),
            since=counted_since, until=now + timedelta(minutes=1), silent=True,
        )  # fmt: skip

    def _groups(self, query: Any, *, since: datetime, until: datetime, silent: bool = False) -> list[ErrorGroup]:
        rows = {row.id: row for row in self._session.scalars(query.execution_options(populate_existing=True))}
        counts: dict[uuid.UUID, dict[str, int]] = {}
        minute = LogErrorMinuteRow
        last = int(until.timestamp() // 60) + (until.timestamp() % 60 > 0)
        counted = (
            select(minute.error_id, minute.version, func.sum(minute.lines))
            .where(minute.error_id.in_(list(rows)), minute.minute >= int(since.timestamp() // 60), minute.minute < last)
            .group_by(minute.error_id, minute.version)
        )
        for error, version, lines in self._session.execute(counted):
            counts.setdefault(error, {})[version] = int(lines)
        versions: dict[uuid.UUID, dict[str, datetime]] = {}
        for each in self._session.scalars(select(LogErrorVersionRow).where(LogErrorVersionRow.error_id.in_(list(rows)))):
            versions.setdefault(each.error_id, {})[each.version] = each.first_at
        groups = [
            _group(row, counts.get(key, {}), versions.get(key, {})) for key, row in rows.items() if silent or key in counts
        ]  # fmt: skip
        return sorted(groups, key=lambda group: (-group.count, group.first_seen, group.id))

    def fired(self) -> dict[str, datetime]:
        """Errors that an alert is about, by id, and since when."""
        rows = self._session.execute(select(LogErrorRow.id, LogErrorRow.fired_at).where(LogErrorRow.fired_at.is_not(None)))
        return {str(error): at for error, at in rows if at is not None}

    def fire(self, ids: Sequence[str], *, at: datetime | None) -> None:
        """Note that an alert about them began, or with ``None`` that it is over."""
        row = LogErrorRow
        self._session.execute(update(row).where(row.id.in_([uuid.UUID(each) for each in ids])).values(fired_at=at))

    def minutes(self, error_id: str, *, since: datetime) -> list[tuple[datetime, str, int]]:
        """How often an error came: minute, version, lines; the oldest first."""
        row = LogErrorMinuteRow
        wanted = select(row.minute, row.version, row.lines).where(
            row.error_id == uuid.UUID(error_id), row.minute >= int(since.timestamp() // 60)
        )
        found = self._session.execute(wanted.order_by(row.minute, row.version))
        return [(datetime.fromtimestamp(minute * 60, UTC), version, int(lines)) for minute, version, lines in found]

    def forget(self, *, minutes_before: datetime, errors_before: datetime) -> None:
        """Delete counts of minutes before a time, and errors that nobody had since another."""
        self._session.execute(delete(LogErrorMinuteRow).where(LogErrorMinuteRow.minute < int(minutes_before.timestamp() // 60)))
        old = select(LogErrorRow.id).where(LogErrorRow.last_at < errors_before)
        for table in (LogErrorMinuteRow, LogErrorVersionRow):
            self._session.execute(delete(table).where(table.error_id.in_(old)).execution_options(synchronize_session=False))
        self._session.execute(delete(LogErrorRow).where(LogErrorRow.last_at < errors_before))

    def _insert(self, table: type[Any]) -> Any:
        dialect = self._session.get_bind().dialect.name
        return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def _group(row: LogErrorRow, counts: Mapping[str, int], versions: Mapping[str, datetime]) -> ErrorGroup:
    return ErrorGroup(
        id=str(row.id), fingerprint=row.fingerprint, venture=row.venture, service=row.service, environment=Environment(row.environment),
        language=row.language, type=row.type, message=row.message, frames=tuple(row.frames), sample=row.sample, first_seen=row.first_at,
        last_seen=row.last_at, count=sum(counts.values()), by_version=dict(counts), versions=dict(versions),
    )  # fmt: skip
