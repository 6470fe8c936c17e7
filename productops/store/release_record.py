"""The requirements' table of deployments: one row for each release, kept in step with its phase."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from productops.domain.release import Environment, Phase, Release
from productops.store.governance_access import within
from productops.store.identity import new_id
from productops.store.release import parse_id, release_of
from productops.store.tables import DeploymentOpsEvent, ReleaseRow

_STATUS = {
    Phase.REQUESTED: "pending",
    Phase.PROMOTED: "succeeded",
    Phase.PASSED: "succeeded",
    Phase.ROLLED_BACK: "rolled_back",
    Phase.FAILED: "failed",
}


class Deployments:
    """Repository of deployment_ops_events within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def record(self, release: Release, venture_id: uuid.UUID, *, summary: dict[str, Any] | None = None) -> None:
        """Write, or bring up to date, the row of a release. ``summary`` is what its steps measured."""
        deployment = uuid.UUID(release.id)
        row = self._session.scalar(select(DeploymentOpsEvent).where(DeploymentOpsEvent.deployment_id == deployment))
        if row is None:
            row = DeploymentOpsEvent(
                ops_id=new_id(), venture_id=venture_id, deployment_id=deployment, version=release.version,
                environment=release.environment.value, deployment_type=release.strategy.value.replace("-", "_"),
                started_at=release.created_at, created_at=release.created_at, chairman_approval=False,
            )  # fmt: skip
            self._session.add(row)
        row.pipeline_status = _STATUS.get(release.phase, "running")
        row.completed_at = release.ended_at
        row.duration = _since(release.created_at, release.ended_at)
        outcome = {"cause": release.cause.value if release.cause else None, "reason": release.reason}
        row.success_metrics = summary if release.phase in {Phase.PROMOTED, Phase.PASSED} else None
        row.failure_details = outcome if release.phase is Phase.FAILED else None
        row.rollback_details = outcome if release.phase is Phase.ROLLED_BACK else None
        row.performance_impact = summary

    def find(self, release_id: str) -> dict[str, Any] | None:
        """The row as plain values."""
        row = self._session.scalar(select(DeploymentOpsEvent).where(DeploymentOpsEvent.deployment_id == uuid.UUID(release_id)))
        return None if row is None else _values(row)

    def page(
        self, *, venture: str | None, service: str | None, environment: Environment | None, status: str | None,
        places: Collection[tuple[str, str]] | None, before: str | None, limit: int,
    ) -> list[tuple[Release, dict[str, Any]]]:  # fmt: skip
        """Releases with their rows, newest first; ``before`` is the id of the last one seen, ``places`` what the reader may see."""
        release, row = ReleaseRow, DeploymentOpsEvent
        query = select(release, row).join(row, row.deployment_id == release.id)
        if places is not None:
            query = query.where(within(places, release.venture, release.environment))
        given = ((release.venture, venture), (release.service, service), (release.environment, environment), (row.pipeline_status, status))
        for column, value in given:
            if value is not None:
                query = query.where(column == str(value))
        if before is not None:
            query = query.where(release.id < parse_id(before))
        found = self._session.execute(query.order_by(release.id.desc()).limit(limit))
        return [(release_of(each), _values(values)) for each, values in found]


def _values(row: DeploymentOpsEvent) -> dict[str, Any]:
    return {
        "pipeline_status": row.pipeline_status, "deployment_type": row.deployment_type, "duration": row.duration,
        "success_metrics": row.success_metrics, "failure_details": row.failure_details, "rollback_details": row.rollback_details,
        "performance_impact": row.performance_impact, "started_at": row.started_at, "completed_at": row.completed_at,
    }  # fmt: skip


def _since(start: datetime, end: datetime | None) -> Any:
    return end - start if end else None
