"""Events of all releases, in the order they were committed."""

from __future__ import annotations

import uuid
from collections.abc import Collection

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from productops.domain.release import ReleaseEvent
from productops.domain.release_events import EventFilter, PlacedEvent
from productops.store.governance_access import within
from productops.store.tables import EventRow, ReleaseRow

# Any number that no other lock of this product has.
_LOCK = 0x70726F6475637473
_SCANNED = 2_000


def number_alone(session: Session, releases: Collection[uuid.UUID]) -> None:
    """Wait until no other transaction has numbered events that are not committed yet; SQLite has one writer at a time anyway.

    The rows that events refer to are locked before: a wait for one of them while holding the number could be a deadlock.
    """
    if session.get_bind().dialect.name != "postgresql":
        return
    rows = select(ReleaseRow.id).where(ReleaseRow.id.in_(releases)).order_by(ReleaseRow.id)
    session.execute(rows.with_for_update(read=True, key_share=True))
    session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


class Events:
    """Repository of events across releases within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def last(self) -> int:
        """Number of the newest event; 0 when there is none."""
        return self._session.scalar(select(func.max(EventRow.seq))) or 0

    def following(self, wanted: EventFilter, *, after: int, limit: int) -> tuple[list[PlacedEvent], int]:
        """Events after a number that fit, in order, and the number that was read up to: there may be more after it.

        At most 2,000 events are looked at, so that a filter that fits nothing costs no more than others.
        """
        last = self._session.scalar(
            select(func.max(select(EventRow.seq).where(EventRow.seq > after).order_by(EventRow.seq).limit(_SCANNED).subquery().c.seq))
        )
        if last is None:
            return [], after
        row, release = EventRow, ReleaseRow
        query = (
            select(row, release.venture, release.service, release.environment, release.version)
            .join(release, release.id == row.release_id)
            .where(row.seq > after, row.seq <= last)
            .order_by(row.seq)
            .limit(limit)
        )
        if wanted.places is not None:
            query = query.where(within(wanted.places, release.venture, release.environment))
        for column, values in (
            (row.type, wanted.types), (release.venture, wanted.ventures), (release.service, wanted.services),
            (release.environment, wanted.environments),
        ):  # fmt: skip
            if values is not None:
                query = query.where(column.in_(sorted(values)))
        found = [
            PlacedEvent(ReleaseEvent(r.seq, str(r.release_id), r.type, r.at, r.payload), venture, service, environment, version)
            for r, venture, service, environment, version in self._session.execute(query)
        ]
        return found, found[-1].event.seq if len(found) == limit else last
