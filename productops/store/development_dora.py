"""What the delivery figures are made of: releases with their moves, deployments of tools, incidents, and the graph of commits."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from productops.domain.development import Change, Deployment
from productops.domain.release import Phase, Release
from productops.store.development_rows import record_of
from productops.store.release import release_of
from productops.store.tables import (
    DevelopmentChangeRow,
    DevelopmentCommitRow,
    DevelopmentDeploymentRow,
    IncidentRow,
    QualityRunRow,
    ReleaseRow,
    TransitionRow,
    Venture,
)

AT_ONCE = 400


@dataclass(frozen=True, slots=True)
class CommitNode:
    """A commit as the graph needs it. ``change``: the external id of the change it belongs to, where it is of its branch."""

    sha: str
    repository: str
    parents: tuple[str, ...]
    committed_at: datetime
    title: str
    change: str | None


@dataclass(frozen=True, slots=True)
class KnownIncident:
    """An incident as the figures need it. ``release_id``: what it was traced to when it was reported.

    ``duplicate_of``: the incident that it was merged into, which alone counts.
    """

    id: str
    title: str
    severity: str
    services: tuple[str, ...]
    opened_at: datetime
    resolved_at: datetime | None
    release_id: str | None
    duplicate_of: str | None
    environment: str | None
    detection: str | None = None


@dataclass(frozen=True, slots=True)
class ReleaseMoves:
    """A release, and when it first reached each phase."""

    release: Release
    reached: dict[Phase, datetime]


class DevelopmentDora:
    """Questions about delivery, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def releases(self, venture: str, *, service: str | None = None, environment: str = "production") -> list[ReleaseMoves]:
        """All that were made of a venture, oldest first, with their moves."""
        row = ReleaseRow
        query = select(row).where(row.venture == venture, row.environment == environment).order_by(row.id)
        if service is not None:
            query = query.where(row.service == service)
        found = [release_of(each) for each in self._session.scalars(query)]
        reached = self._reached([release.id for release in found])
        return [ReleaseMoves(release, reached.get(release.id, {})) for release in found]

    def _reached(self, ids: Collection[str]) -> dict[str, dict[Phase, datetime]]:
        row, wanted = TransitionRow, sorted(ids)
        found: dict[str, dict[Phase, datetime]] = defaultdict(dict)
        for start in range(0, len(wanted), AT_ONCE):
            part = [uuid.UUID(each) for each in wanted[start : start + AT_ONCE]]
            query = select(row.release_id, row.target, row.at).where(row.release_id.in_(part)).order_by(row.id)
            for release_id, target, at in self._session.execute(query):
                found[str(release_id)].setdefault(Phase(target), at)
        return found

    def deployments(self, venture: str, *, service: str | None = None) -> list[Deployment]:
        """What tools deployed to production, oldest first."""
        row = DevelopmentDeploymentRow
        query = select(row.__table__).where(row.venture == venture, row.production.is_(True), row.deleted_at.is_(None))
        if service is not None:
            query = query.where(row.service == service)
        found = [record_of(Deployment, each) for each in self._session.execute(query)]
        return sorted(found, key=lambda each: (each.finished_at or each.changed_at, each.id))

    def incidents(self, venture: str, *, service: str | None = None) -> list[KnownIncident]:
        """All of a venture, oldest first."""
        row = IncidentRow
        query = select(row).join(Venture, Venture.id == row.venture_id).where(Venture.name == venture).order_by(row.incident_id)
        found = [_incident(each) for each in self._session.scalars(query)]
        return [each for each in found if service is None or service in each.services]

    def commits_of_versions(self, venture: str) -> dict[tuple[str, str], str]:
        """(service, version) → the commit that quality runs judged it by, of the newest run that names one."""
        row = QualityRunRow
        query = select(row.service, row.version, row.commit).where(row.venture == venture, row.commit != "").order_by(row.id)
        return {(service, version): commit for service, version, commit in self._session.execute(query)}

    def graph(self, venture: str, *, since: datetime | None = None, repositories: Collection[str] | None = None) -> dict[str, CommitNode]:
        """Commits by sha, of all or some repositories. ``since``: only those that were committed from then on."""
        row = DevelopmentCommitRow
        query = select(
            row.sha, row.repository, row.parents, row.committed_at, row.authored_at, row.title, row.change, row.changed_at
        ).where(row.venture == venture, row.deleted_at.is_(None))
        if repositories is not None:
            query = query.where(row.repository.in_(sorted(repositories)))
        if since is not None:
            query = query.where(row.changed_at >= since)
        return {
            each.sha: CommitNode(
                each.sha, each.repository, tuple(each.parents), each.committed_at or each.authored_at or each.changed_at, each.title,
                each.change,
            )
            for each in self._session.execute(query)
        }  # fmt: skip

    def merged(self, venture: str) -> dict[str, Change]:
        """Merged changes by the commit they were merged as."""
        row = DevelopmentChangeRow
        query = select(row.__table__).where(row.venture == venture, row.merge_sha.is_not(None), row.deleted_at.is_(None))
        return {each.merge_sha: record_of(Change, each) for each in self._session.execute(query)}


def _incident(row: IncidentRow) -> KnownIncident:
    impact: dict[str, Any] = row.impact_assessment or {}
    return KnownIncident(
        id=str(row.incident_id), title=row.title, severity=row.severity, services=tuple(row.affected_services or ()),
        opened_at=row.detected_at, resolved_at=row.resolved_at, release_id=impact.get("release_id"),
        duplicate_of=str(row.merged_into) if row.merged_into else impact.get("duplicate_of"), environment=impact.get("environment"),
        detection=row.detection_method,
    )  # fmt: skip
