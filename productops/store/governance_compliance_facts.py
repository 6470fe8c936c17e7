"""What the controls ask the store about releases, many at a time."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from productops.domain.release import Environment, Phase, Release
from productops.store.release import release_of
from productops.store.tables import AnalysisRow, ReleaseRow, TransitionRow

_CHUNK = 500


class ComplianceFacts:
    """Reads across rooms within one transaction; writes nothing."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def releases(self, environments: Collection[Environment], *, since: datetime) -> Iterator[list[Release]]:
        """Releases that were asked for since then, newest first, 500 at a time."""
        row, before = ReleaseRow, None
        wanted = (row.environment.in_([e.value for e in environments]), row.created_at >= since)
        while True:
            query = select(row).where(*wanted).order_by(row.id.desc()).limit(_CHUNK)
            found = self._session.scalars(query if before is None else query.where(row.id < before)).all()
            if not found:
                return
            yield [release_of(each) for each in found]
            before = found[-1].id

    def began(self, releases: Collection[Release]) -> dict[str, datetime]:
        """When each began to deploy; those that never did are left out."""
        row = TransitionRow
        query = select(row.release_id, func.min(row.at)).where(row.release_id.in_(_ids(releases)), row.target == Phase.DEPLOYING.value)
        return {str(release_id): at for release_id, at in self._session.execute(query.group_by(row.release_id))}

    def looks(self, releases: Collection[Release]) -> dict[str, int]:
        """How often the judge looked at each; those it never looked at are left out."""
        row = AnalysisRow
        query = select(row.release_id, func.count()).where(row.release_id.in_(_ids(releases))).group_by(row.release_id)
        return {str(release_id): number for release_id, number in self._session.execute(query)}

    def last_rolled_back(self, service: str, environments: Collection[Environment]) -> Release | None:
        """The newest release of a service whose users were given the baseline again."""
        row = ReleaseRow
        query = select(row).where(
            row.service == service, row.environment.in_([e.value for e in environments]), row.phase == Phase.ROLLED_BACK.value
        )
        found = self._session.scalar(query.order_by(row.ended_at.desc()).limit(1))
        return release_of(found) if found else None


def _ids(releases: Collection[Release]) -> list[uuid.UUID]:
    return [uuid.UUID(release.id) for release in releases]
