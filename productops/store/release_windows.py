"""Calendars, their events and bypasses: rows in and out, changes by compare-and-set."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session, defer

from productops.domain.catalog_windows import CalendarEntry, ChangeWindowEntry, Effect
from productops.domain.release import Environment
from productops.domain.release_windows import Bypass, CalendarState, ChangeCalendar, Occurrence
from productops.errors import NotFoundError
from productops.store.governance_access import within
from productops.store.tables import CatalogRevision, ChangeBypassRow, ChangeCalendarRow, ChangeOccurrenceRow


def _calendar(row: ChangeCalendarRow, *, with_content: bool) -> ChangeCalendar:
    state = CalendarState(
        read_at=row.read_at, checked_at=row.checked_at, changed_at=row.changed_at,
        known_until=row.known_until, etag=row.etag, digest=row.digest,
        error=row.error, failing_since=row.failing_since, content=row.content if with_content else None,
    )  # fmt: skip
    return ChangeCalendar(
        name=row.name, kind=row.kind, venture=row.venture, effect=Effect(row.effect), services=tuple(row.services),
        environments=tuple(Environment(e) for e in row.environments), timezone=row.timezone, labels=dict(row.labels), spec=row.spec,
        base=row.base, revision=row.revision, state=state,
    )  # fmt: skip


def _occurrence(row: ChangeOccurrenceRow) -> Occurrence:
    return Occurrence(row.calendar, Effect(row.effect), row.uid, row.title, row.starts_at, row.ends_at, tuple(row.labels))


class Calendars:
    """Repository of calendars within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def all(self) -> list[ChangeCalendar]:
        """Every declared calendar, by name, without its copy."""
        query = select(ChangeCalendarRow).options(defer(ChangeCalendarRow.content)).order_by(ChangeCalendarRow.name)
        return [_calendar(row, with_content=False) for row in self._session.scalars(query.execution_options(populate_existing=True))]

    def get(self, name: str) -> ChangeCalendar:
        """With its copy. Raises: NotFoundError."""
        row = self._session.get(ChangeCalendarRow, name, populate_existing=True)
        if row is None:
            known = ", ".join(self._session.scalars(select(ChangeCalendarRow.name).order_by(ChangeCalendarRow.name))) or "none"
            raise NotFoundError(f"there is no calendar {name[:80]!r}; known: {known}")
        return _calendar(row, with_content=True)

    def covering(self, venture: str, service: str | None, environment: Environment) -> list[ChangeCalendar]:
        """Those that are for this service there."""
        return [c for c in self.all() if c.covers(venture, service, environment)]

    def put(self, entry: CalendarEntry | ChangeWindowEntry, *, base: str, author: str, now: datetime) -> str:
        """Insert or update; returns 'created', 'changed' or 'unchanged'. Where the events come from changed, they are read anew."""
        spec = entry.spec.model_dump(mode="json")
        values: dict[str, Any] = {
            "kind": entry.kind, "venture": entry.metadata.venture, "effect": entry.spec.effect.value, "services": spec["services"],
            "environments": spec["environments"], "timezone": entry.spec.timezone, "labels": dict(entry.metadata.labels), "spec": spec,
            "base": base,
        }  # fmt: skip
        row = self._session.get(ChangeCalendarRow, entry.metadata.name)
        if row is None:
            revision = self._last_revision(entry.metadata.name) + 1
            self._session.add(ChangeCalendarRow(name=entry.metadata.name, revision=revision, digest="", etag="", error="", **values))
            self._revise(entry, revision, values, author=author, now=now)
            return "created"
        before = {name: getattr(row, name) for name in values}
        if before == values:
            return "unchanged"
        if _origin(before) != _origin(values):
            self._forget(row)
        for name, value in values.items():
            setattr(row, name, value)
        row.revision = self._last_revision(row.name) + 1
        self._session.execute(update(ChangeOccurrenceRow).where(ChangeOccurrenceRow.calendar == row.name).values(effect=values["effect"]))
        self._revise(entry, row.revision, values, author=author, now=now)
        return "changed"

    def _forget(self, row: ChangeCalendarRow) -> None:
        row.content, row.digest, row.etag, row.error = None, "", "", ""
        row.read_at = row.checked_at = row.changed_at = row.known_until = row.failing_since = None
        self._session.execute(delete(ChangeOccurrenceRow).where(ChangeOccurrenceRow.calendar == row.name))

    def remove(self, name: str) -> None:
        """Forget a calendar and its events."""
        self._session.execute(delete(ChangeOccurrenceRow).where(ChangeOccurrenceRow.calendar == name))
        self._session.execute(delete(ChangeCalendarRow).where(ChangeCalendarRow.name == name))

    def _last_revision(self, name: str) -> int:
        query = select(CatalogRevision.revision).where(CatalogRevision.kind == "Calendar", CatalogRevision.name == name)
        return self._session.scalar(query.order_by(CatalogRevision.revision.desc()).limit(1)) or 0

    def _revise(self, entry: CalendarEntry | ChangeWindowEntry, revision: int, spec: dict[str, Any], *, author: str, now: datetime) -> None:
        self._session.add(
            CatalogRevision(kind="Calendar", name=entry.metadata.name, revision=revision, spec=spec, author=author, applied_at=now)
        )
        self._session.flush()

    def record(self, seen: ChangeCalendar, **values: Any) -> bool:
        """Write what a look at the source found; False when the calendar was changed, or looked at by another, since ``seen``."""
        row = ChangeCalendarRow
        same_look = row.checked_at.is_(None) if seen.state.checked_at is None else row.checked_at == seen.state.checked_at
        changed = self._session.execute(
            update(row)
            .where(row.name == seen.name, row.revision == seen.revision, same_look)
            .values(**values)
            .execution_options(synchronize_session=False)
        )
        return changed.rowcount == 1  # type: ignore[attr-defined, no-any-return]

    def replace(self, name: str, occurrences: Iterable[Occurrence]) -> None:
        """Make these the events of a calendar."""
        self._session.execute(delete(ChangeOccurrenceRow).where(ChangeOccurrenceRow.calendar == name))
        self._session.add_all(
            ChangeOccurrenceRow(
                calendar=name,
                effect=o.effect.value,
                uid=o.uid,
                title=o.title,
                labels=list(o.labels),
                starts_at=o.starts_at,
                ends_at=o.ends_at,
            )
            for o in occurrences
        )
        self._session.flush()

    def occurrences(
        self, names: Collection[str], *, after: datetime, before: datetime | None = None, limit: int = 20_000
    ) -> list[Occurrence]:
        """Events of these calendars that end after ``after`` and start before ``before``, in order."""
        row = ChangeOccurrenceRow
        query = select(row).where(row.calendar.in_(list(names)), row.ends_at > after).order_by(row.starts_at, row.id).limit(limit)
        if before is not None:
            query = query.where(row.starts_at < before)
        return [_occurrence(found) for found in self._session.scalars(query)]


def _origin(values: dict[str, Any]) -> tuple[Any, ...]:
    """What decides which events there are."""
    spec = values["spec"]
    return (values["kind"], values["timezone"], spec.get("source"), spec.get("times"), spec.get("title"), values["base"])


def _bypass(row: ChangeBypassRow) -> Bypass:
    return Bypass(
        id=str(row.id), venture=row.venture, service=row.service, environment=Environment(row.environment), version=row.version,
        reason=row.reason, asked_by=row.asked_by, asked_at=row.asked_at, expires_at=row.expires_at, approved_by=row.approved_by,
        approved_at=row.approved_at, approval_note=row.approval_note, used_by=row.used_by, used_at=row.used_at,
    )  # fmt: skip


class Bypasses:
    """Repository of bypasses within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, bypass: Bypass) -> None:
        """Insert one that was asked for."""
        self._session.add(
            ChangeBypassRow(
                id=uuid.UUID(bypass.id), venture=bypass.venture, service=bypass.service, environment=bypass.environment.value,
                version=bypass.version, reason=bypass.reason, asked_by=bypass.asked_by, asked_at=bypass.asked_at,
                expires_at=bypass.expires_at, approval_note="",
            )
        )  # fmt: skip
        self._session.flush()

    def get(self, bypass_id: str) -> Bypass:
        """Raises: NotFoundError."""
        try:
            row = self._session.get(ChangeBypassRow, uuid.UUID(bypass_id), populate_existing=True)
        except ValueError:
            row = None
        if row is None:
            raise NotFoundError(f"there is no bypass {bypass_id[:80]!r}")
        return _bypass(row)

    def newest(
        self, *, service: str | None = None, limit: int = 50, places: Collection[tuple[str, str]] | None = None, before: str | None = None
    ) -> list[Bypass]:  # fmt: skip
        """Newest first; ``before`` is the id of the last one seen. ``places``: only what lies there."""
        query = select(ChangeBypassRow).order_by(ChangeBypassRow.id.desc()).limit(limit)
        if before is not None:
            query = query.where(ChangeBypassRow.id < uuid.UUID(before))
        if places is not None:
            query = query.where(within(places, ChangeBypassRow.venture, ChangeBypassRow.environment))
        if service:
            query = query.where(ChangeBypassRow.service == service)
        return [_bypass(row) for row in self._session.scalars(query)]

    def approve(self, bypass_id: str, *, by: str, note: str, now: datetime) -> bool:
        """False when it was approved, used or expired meanwhile."""
        row = ChangeBypassRow
        return self._set(bypass_id, row.approved_by.is_(None), now, approved_by=by, approved_at=now, approval_note=note)

    def use(self, bypass_id: str, *, by: str, now: datetime) -> bool:
        """Spend it; False when somebody else did, or it expired."""
        return self._set(bypass_id, ChangeBypassRow.approved_by.is_not(None), now, used_by=by, used_at=now)

    def _set(self, bypass_id: str, condition: Any, now: datetime, **values: Any) -> bool:
        row = ChangeBypassRow
        changed = self._session.execute(
            update(row)
            .where(row.id == uuid.UUID(bypass_id), row.used_by.is_(None), row.expires_at > now, condition)
            .values(**values)
            .execution_options(synchronize_session=False)
        )
        return changed.rowcount == 1  # type: ignore[attr-defined, no-any-return]
