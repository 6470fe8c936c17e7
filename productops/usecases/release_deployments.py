"""The history of deployments, as the requirements' table tells it."""

from __future__ import annotations

from typing import Any

from productops.domain.governance_access import Operation, visible_places
from productops.domain.release import Environment, Release
from productops.usecases.context import Actor, Context
from productops.usecases.release_read import Deployment


def list_deployments(
    context: Context, *, venture: str | None, service: str | None, environment: Environment | None, status: str | None,
    before: str | None, limit: int, actor: Actor,
) -> list[Deployment]:  # fmt: skip
    """Deployments that the caller may see, newest first; ``before`` is the id of the last one seen.

    Raises: NotFoundError for an unknown venture or service, StoreUnavailableError.
    """
    places = visible_places(actor.principal, Operation.RELEASE_READ)
    with context.store.read() as unit:
        found = unit.deployments.page(
            venture=venture, service=service, environment=environment, status=status, places=places, before=before, limit=limit
        )
    return [deployment_of(release, row) for release, row in found]


def deployment_of(release: Release, row: dict[str, Any]) -> Deployment:
    """A release with its row, as values."""
    duration = row.get("duration")
    return Deployment(
        release=release,
        status=row.get("pipeline_status", "pending"),
        kind=row.get("deployment_type", release.strategy.value),
        duration_s=duration.total_seconds() if duration else None,
        impact=row.get("performance_impact") or {},
    )
