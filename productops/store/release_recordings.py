"""The seconds a release was judged by, kept for as long as the release."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from productops.domain.release import Phase
from productops.domain.release_recording import Recording
from productops.store.governance_access import within
from productops.store.tables import RecordingRow, ReleaseRow


class Recordings:
    """Repository of recordings within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, release_id: str, recording: Recording, *, now: datetime) -> None:
        """Keep it; one that is there already stays."""
        key = uuid.UUID(release_id)
        if self._session.get(RecordingRow, key) is None:
            self._session.add(
                RecordingRow(
                    release_id=key, schema_version=recording.schema, seconds=len(recording.rollout),
                    payload=recording.pack(), recorded_at=now,
                )
            )  # fmt: skip

    def find(self, release_id: str) -> Recording | None:
        """The recording of a release. Raises: InvalidInputError when it was written by a newer version."""
        row = self._session.get(RecordingRow, uuid.UUID(release_id))
        return Recording.unpack(row.payload, schema=row.schema_version) if row else None

    def ended_without(self, *, since: datetime, limit: int) -> list[str]:
        """Releases that ended after ``since``, had steps, and are not recorded."""
        query = (
            select(ReleaseRow.id, ReleaseRow.steps)
            .outerjoin(RecordingRow, RecordingRow.release_id == ReleaseRow.id)
            .where(
                RecordingRow.release_id.is_(None), ReleaseRow.ended_at.is_not(None), ReleaseRow.ended_at >= since,
                ReleaseRow.phase.in_([Phase.PROMOTED.value, Phase.ROLLED_BACK.value]), ReleaseRow.step_index >= 0,
            )
            .order_by(ReleaseRow.ended_at)
            .limit(limit)
        )  # fmt: skip
        return [str(found) for found, steps in self._session.execute(query) if steps]

    def newest(
        self, *, service: str | None, before: str | None, limit: int, places: Collection[tuple[str, str]] | None = None
    ) -> list[str]:  # fmt: skip
        """Recorded releases, newest first, those after ``before`` in that order (ids rise with time)."""
        query = select(ReleaseRow.id).join(RecordingRow, RecordingRow.release_id == ReleaseRow.id)
        if places is not None:
            query = query.where(within(places, ReleaseRow.venture, ReleaseRow.environment))
        if service is not None:
            query = query.where(ReleaseRow.service == service)
        if before is not None:
            query = query.where(ReleaseRow.id < uuid.UUID(before))
        return [str(found) for found in self._session.scalars(query.order_by(ReleaseRow.id.desc()).limit(limit))]
