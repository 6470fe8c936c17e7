"""Stored series of one service, with those of its instances, for the metrics of the DeploymentOpsAPI."""

from __future__ import annotations

from collections.abc import Sequence

from productops.domain.governance_access import Operation
from productops.domain.monitoring_series import SeriesData
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_scope import service_for
from productops.usecases.monitoring_history import MetricQuery
from productops.usecases.monitoring_series_read import read_series


def read_service_series(context: Context, query: MetricQuery, names: Sequence[str], *, actor: Actor) -> list[SeriesData]:
    """Means of each step. Raises: InvalidInputError, NotFoundError for a service that is unknown or that the caller may not see."""
    if not names:
        return []
    with context.store.read() as unit:
        venture = service_for(
            unit, query.service, actor, Operation.METRIC_READ, environment=query.environment, seen_by=Operation.METRIC_READ
        ).venture
    found: list[SeriesData] = []
    for name in dict.fromkeys(names):
        for component in (query.service, f"{query.service}/*"):
            found += read_series(
                context, venture=venture, component=component, name=name, tags={"environment": query.environment.value}, since=query.since,
                until=query.until, step_s=query.step_s, actor=actor,
            )  # fmt: skip
    return found
