"""Which files hold the usage events, which segments are sorted in, and who may change that now."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from productops.domain.analytics_events import EventFile, Lease
from productops.errors import LeaseLostError
from productops.store.analytics_events_people import Erasures
from productops.store.analytics_events_plans import EventImports, TrackingPlans
from productops.store.analytics_events_seen import EventsSeen
from productops.store.tables import AnalyticsFileRow, AnalyticsLeaseRow, AnalyticsSegmentRow

LEASE_NAME = "files"
AT_ONCE = 500


class AnalyticsEvents:
    """Repository of the manifest within one transaction. Paths it takes and gives are below ``folder``."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @cached_property
    def seen(self) -> EventsSeen:
        """Names and properties that were seen, and what was refused."""
        return EventsSeen(self._session)

    @cached_property
    def plans(self) -> TrackingPlans:
        """Declared tracking plans."""
        return TrackingPlans(self._session)

    @cached_property
    def erasures(self) -> Erasures:
        """People whose events are removed."""
        return Erasures(self._session)

    @cached_property
    def imports(self) -> EventImports:
        """Events fetched from elsewhere."""
        return EventImports(self._session)

    def files(
        self, venture: str, *, folder: Path, since: date | None = None, until: date | None = None, made_after: datetime | None = None
    ) -> list[EventFile]:
        """The files that count, of days from ``since`` to ``until`` inclusive, by day and age."""
        row = AnalyticsFileRow
        query = select(row).where(row.venture == venture, row.gone_at.is_(None))
        if since is not None:
            query = query.where(row.day >= since)
        if until is not None:
            query = query.where(row.day <= until)
        if made_after is not None:
            query = query.where(row.made_at > made_after)
        return [_file(found, folder) for found in self._session.scalars(query.order_by(row.day, row.id))]

    def days(self, venture: str) -> list[tuple[date, int, int, datetime]]:
        """Days that have events: files, events, and when the newest file of it was made; the newest day first."""
        row = AnalyticsFileRow
        query = (
            select(row.day, func.count(), func.sum(row.rows), func.max(row.made_at))
            .where(row.venture == venture, row.gone_at.is_(None))
            .group_by(row.day)
            .order_by(row.day.desc())
        )
        return [(day, int(files), int(rows), made) for day, files, rows, made in self._session.execute(query)]

    def totals(self, venture: str) -> tuple[int, int, int, datetime | None]:
        """Files, events, bytes, and when events of the newest file came in."""
        row = AnalyticsFileRow
        query = select(func.count(), func.sum(row.rows), func.sum(row.bytes), func.max(row.last_received_at))
        files, rows, size, newest = self._session.execute(query.where(row.venture == venture, row.gone_at.is_(None))).one()
        return int(files), int(rows or 0), int(size or 0), newest

    def ventures(self) -> list[str]:
        """Ventures that have files."""
        query = select(AnalyticsFileRow.venture).where(AnalyticsFileRow.gone_at.is_(None)).distinct()
        return sorted(self._session.scalars(query))

    def crowded(self, *, files_min: int, limit: int) -> list[tuple[str, date, int]]:
        """Days with at least so many files, those with the most first."""
        row = AnalyticsFileRow
        query = (
            select(row.venture, row.day, func.count())
            .where(row.gone_at.is_(None))
            .group_by(row.venture, row.day)
            .having(func.count() >= files_min)
            .order_by(func.count().desc(), row.venture, row.day)
            .limit(limit)
        )
        return [(venture, day, int(files)) for venture, day, files in self._session.execute(query)]

    def add(self, files: Iterable[EventFile], *, folder: Path) -> None:
        """Let files count."""
        for each in files:
            path = str(Path(each.path).relative_to(folder))
            self._session.add(
                AnalyticsFileRow(
                    id=uuid.UUID(each.id), venture=each.venture, day=each.day, path=path, rows=each.rows, bytes=each.size_bytes,
                    first_at=each.first_at, last_at=each.last_at, first_received_at=each.first_received_at,
                    last_received_at=each.last_received_at, made_at=each.made_at, gone_at=None, gone_why="",
                )
            )  # fmt: skip
        self._session.flush()

    def retire(self, ids: Sequence[str], *, why: str, now: datetime) -> None:
        """Let files count no more. Raises: LeaseLostError when somebody else did already."""
        row = AnalyticsFileRow
        changed = self._session.execute(
            update(row)
            .where(row.id.in_([uuid.UUID(each) for each in ids]), row.gone_at.is_(None))
            .values(gone_at=now, gone_why=why)
            .execution_options(synchronize_session=False)
        )
        if changed.rowcount != len(ids):  # type: ignore[attr-defined]
            raise LeaseLostError("another program has changed these files of events")

    def retired(self, *, before: datetime, limit: int = AT_ONCE) -> list[str]:
        """Paths of files that count no more since before a time."""
        row = AnalyticsFileRow
        return list(self._session.scalars(select(row.path).where(row.gone_at < before).order_by(row.gone_at).limit(limit)))

    def forget(self, paths: Collection[str]) -> None:
        """Forget files that were deleted."""
        self._session.execute(
            delete(AnalyticsFileRow)
            .where(AnalyticsFileRow.path.in_(sorted(paths)), AnalyticsFileRow.gone_at.is_not(None))
            .execution_options(synchronize_session=False)
        )

    def known_paths(self) -> set[str]:
        """Paths of all files that are known, counting or not."""
        return set(self._session.scalars(select(AnalyticsFileRow.path)))

    def sorted_in(self, names: Collection[str]) -> set[str]:
        """Those of these segments that are sorted in already."""
        found: set[str] = set()
        wanted = sorted(names)
        for start in range(0, len(wanted), AT_ONCE):
            part = wanted[start : start + AT_ONCE]
            found |= set(self._session.scalars(select(AnalyticsSegmentRow.name).where(AnalyticsSegmentRow.name.in_(part))))
        return found

    def note_sorted(self, names: Iterable[tuple[str, int]], *, now: datetime) -> None:
        """Say of segments that they are sorted in, with their events."""
        for name, events in names:
            self._session.add(AnalyticsSegmentRow(name=name, events=events, sorted_at=now))
        self._session.flush()

    def forget_sorted(self, *, before: datetime, existing: Collection[str]) -> None:
        """Forget segments that were sorted in long ago and are gone."""
        row = AnalyticsSegmentRow
        old = set(self._session.scalars(select(row.name).where(row.sorted_at < before).limit(AT_ONCE))) - set(existing)
        self._session.execute(delete(row).where(row.name.in_(sorted(old))).execution_options(synchronize_session=False))

    def take(self, owner: str, *, now: datetime, lease: timedelta) -> Lease | None:
        """The right to change the files; None while somebody else has it."""
        row = self._session.get(AnalyticsLeaseRow, LEASE_NAME, with_for_update=True, populate_existing=True)
        if row is None:
            self._session.add(AnalyticsLeaseRow(name=LEASE_NAME, owner=owner, until=now + lease, generation=1))
            self._session.flush()
            return Lease(owner, 1)
        if row.owner != owner and row.until > now:
            return None
        row.generation += row.owner != owner or row.until <= now
        row.owner, row.until = owner, now + lease
        self._session.flush()
        return Lease(owner, row.generation)

    def hold(self, held: Lease, *, now: datetime, lease: timedelta) -> None:
        """Keep it; first in each transaction that changes files. Raises: LeaseLostError."""
        row = AnalyticsLeaseRow
        changed = self._session.execute(
            update(row)
            .where(row.name == LEASE_NAME, row.owner == held.owner, row.generation == held.generation)
            .values(until=now + lease)
            .execution_options(synchronize_session=False)
        )
        if changed.rowcount != 1:  # type: ignore[attr-defined]
            raise LeaseLostError("another program sorts events in now")

    def give_back(self, held: Lease, *, now: datetime) -> None:
        """Let the next one have it at once."""
        row = AnalyticsLeaseRow
        self._session.execute(
            update(row)
            .where(row.name == LEASE_NAME, row.owner == held.owner, row.generation == held.generation)
            .values(until=now)
            .execution_options(synchronize_session=False)
        )

    def holder(self) -> tuple[str, datetime] | None:
        """Who has it, and until when."""
        row = self._session.get(AnalyticsLeaseRow, LEASE_NAME, populate_existing=True)
        return (row.owner, row.until) if row else None


def _file(row: AnalyticsFileRow, folder: Path) -> EventFile:
    return EventFile(
        path=str(folder / row.path), day=row.day, rows=row.rows, first_at=row.first_at, last_at=row.last_at, id=str(row.id),
        venture=row.venture, size_bytes=row.bytes, first_received_at=row.first_received_at, last_received_at=row.last_received_at,
        made_at=row.made_at,
    )  # fmt: skip
