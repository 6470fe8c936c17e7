"""What the catalog declares about alerts and incidents: rows in and out."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from productops.domain.catalog_incident import MaintenanceWindowEntry, MaintenanceWindowSpec, SeverityPolicyEntry, SeverityPolicySpec
from productops.domain.incident_suppress import Maintenance
from productops.store.identity import new_id
from productops.store.tables import CatalogService, IncidentPolicyRow, TraceEdgeRow, Venture

SEVERITY = "SeverityPolicy"
MAINTENANCE = "MaintenanceWindow"
CALLS_MAX = 20_000


class IncidentPolicies:
    """Repository within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def severity(self, venture: str) -> SeverityPolicySpec:
        """The venture's, or the shipped one."""
        row = IncidentPolicyRow
        query = select(row.spec).where(row.venture == venture, row.kind == SEVERITY).order_by(row.name).limit(1)
        found = self._session.scalar(query)
        return SeverityPolicySpec.model_validate(found) if found is not None else SeverityPolicySpec()

    def maintenance(self, venture: str) -> tuple[Maintenance, ...]:
        """Declared windows, by name."""
        row = IncidentPolicyRow
        found = self._session.scalars(select(row).where(row.venture == venture, row.kind == MAINTENANCE).order_by(row.name))
        return tuple(Maintenance(each.name, each.venture, MaintenanceWindowSpec.model_validate(each.spec)) for each in found)

    def depends(self, venture: str, *, since: datetime) -> dict[str, set[str]]:
        """What each service of a venture is declared to depend on, and what it was seen to call since."""
        query = select(CatalogService.name, CatalogService.spec).join(Venture, Venture.id == CatalogService.venture_id)
        found = {name: set(spec.get("depends_on") or ()) for name, spec in self._session.execute(query.where(Venture.name == venture))}
        row = TraceEdgeRow
        calls = select(row.caller, row.callee).where(row.venture == venture, row.minute >= int(since.timestamp() // 60)).distinct()
        for caller, callee in self._session.execute(calls.limit(CALLS_MAX)).tuples():
            found.setdefault(caller, set()).add(callee)
        return found

    def owners(self, services: Collection[str]) -> dict[str, str]:
        """The venture of each service there is."""
        query = select(CatalogService.name, Venture.name).join(Venture, Venture.id == CatalogService.venture_id)
        return dict(self._session.execute(query.where(CatalogService.name.in_(sorted(services)))).tuples().all())

    def names(self, venture: str, kind: str) -> list[str]:
        """Declared names."""
        row = IncidentPolicyRow
        return list(self._session.scalars(select(row.name).where(row.venture == venture, row.kind == kind).order_by(row.name)))

    def stored(self, kind: str, name: str) -> dict[str, Any] | None:
        """Venture and spec as they are kept; None for what is not declared."""
        found = self._find(kind, name)
        return {"venture": found.venture, "spec": found.spec} if found else None

    def put(self, entry: SeverityPolicyEntry | MaintenanceWindowEntry, *, base: str, now: datetime) -> str:
        """Insert or update; returns 'created', 'changed' or 'unchanged'."""
        spec, venture = entry.spec.model_dump(mode="json"), entry.metadata.venture
        found = self._find(entry.kind, entry.metadata.name)
        if found is None:
            row = IncidentPolicyRow(
                id=new_id(), kind=entry.kind, name=entry.metadata.name, venture=venture, spec=spec, base=base, revision=1, changed_at=now
            )
            self._session.add(row)
            self._session.flush()
            return "created"
        found.base = base
        if (found.venture, found.spec) == (venture, spec):
            return "unchanged"
        found.venture, found.spec, found.revision, found.changed_at = venture, spec, found.revision + 1, now
        self._session.flush()
        return "changed"

    def declared_in(self, bases: Collection[str]) -> list[tuple[str, str]]:
        """Kind and name of what these folders declared."""
        row = IncidentPolicyRow
        return list(self._session.execute(select(row.kind, row.name).where(row.base.in_(sorted(bases))).order_by(row.name)).tuples())

    def remove(self, kind: str, name: str) -> None:
        """Forget it."""
        row = IncidentPolicyRow
        self._session.execute(delete(row).where(row.kind == kind, row.name == name))

    def _find(self, kind: str, name: str) -> IncidentPolicyRow | None:
        row = IncidentPolicyRow
        return self._session.scalar(select(row).where(row.kind == kind, row.name == name).execution_options(populate_existing=True))
