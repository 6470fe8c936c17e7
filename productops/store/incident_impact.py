"""Traffic of services while an incident lasts: the SQL."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from productops.domain.incident_impact import TrafficSum
from productops.domain.release import Environment
from productops.store.tables import SecondRow

SERVICES_MAX = 100


class IncidentTraffic:
    """Repository within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def total(self, services: Collection[str], environment: Environment, *, from_s: int, until_s: int) -> TrafficSum:
        """Requests and failures of all versions in seconds from ``from_s`` to before ``until_s``; of the first hundred services."""
        row = SecondRow
        query = select(func.coalesce(func.sum(row.requests), 0), func.coalesce(func.sum(row.failures), 0)).where(
            row.service.in_(sorted(services)[:SERVICES_MAX]), row.environment == environment.value, row.at_s >= from_s,
            row.at_s < until_s, row.missed.is_(False),
        )  # fmt: skip
        requests, failures = self._session.execute(query).one()
        return TrafficSum(int(requests), int(failures))
