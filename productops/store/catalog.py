"""The applied catalog: ventures and services with their revisions."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from productops.domain.catalog import Service, ServiceSpec
from productops.errors import NotFoundError
from productops.store.identity import new_id
from productops.store.tables import CatalogRevision, CatalogService, Venture


class Catalog:
    """Repository of the catalog within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def ventures(self) -> list[str]:
        """Names of all ventures."""
        return list(self._session.scalars(select(Venture.name).order_by(Venture.name)))

    def venture_id(self, name: str) -> uuid.UUID:
        """Raises: NotFoundError."""
        found = self._session.scalar(select(Venture.id).where(Venture.name == name))
        if found is None:
            raise NotFoundError(f"there is no venture {name[:80]!r}; known: {', '.join(self.ventures()) or 'none, apply a catalog first'}")
        return found

    def revisions(self) -> dict[str, int]:
        """Revision by service: cheap to ask, changes whenever a service does."""
        return {row.name: row.revision for row in self._session.execute(select(CatalogService.name, CatalogService.revision))}

    def services(
        self, *, ventures: Collection[str] | None = None, after: str | None = None, limit: int | None = None
    ) -> list[Service]:  # fmt: skip
        """All services by name, or those of ``ventures``; ``after`` is the name of the last one seen."""
        query = select(CatalogService, Venture.name).join(Venture, Venture.id == CatalogService.venture_id).order_by(CatalogService.name)
        if ventures is not None:
            query = query.where(Venture.name.in_(sorted(ventures)))
        if after is not None:
            query = query.where(CatalogService.name > after)
        return [self._service(row, venture) for row, venture in self._session.execute(query.limit(limit))]

    def find_service(self, name: str) -> Service | None:
        """One service; None when there is none of that name."""
        found = self._session.execute(
            select(CatalogService, Venture.name).join(Venture, Venture.id == CatalogService.venture_id).where(CatalogService.name == name)
        ).first()
        return None if found is None else self._service(*found)

    def service(self, name: str) -> Service:
        """Raises: NotFoundError."""
        found = self.find_service(name)
        if found is None:
            known = ", ".join(s.name for s in self.services()) or "none, apply a catalog first"
            raise NotFoundError(f"there is no service {name[:80]!r}; known: {known}")
        return found

    @staticmethod
    def _service(row: CatalogService, venture: str) -> Service:
        return Service(name=row.name, venture=venture, spec=ServiceSpec.model_validate(row.spec), base=row.base, revision=row.revision)

    def put_venture(self, name: str, *, title: str, description: str, author: str, now: datetime) -> str:
        """Insert or update; returns 'created', 'changed' or 'unchanged'."""
        row = self._session.scalar(select(Venture).where(Venture.name == name))
        spec = {"title": title, "description": description}
        if row is None:
            self._session.add(Venture(id=new_id(), name=name, created_at=now, **spec))
            self._revise("Venture", name, 1, spec, author, now)
            return "created"
        if {"title": row.title, "description": row.description} == spec:
            return "unchanged"
        row.title, row.description = title, description
        self._revise("Venture", name, self._last_revision("Venture", name) + 1, spec, author, now)
        return "changed"

    def put_service(self, name: str, *, venture: str, spec: ServiceSpec, base: str, author: str, now: datetime) -> str:
        """Insert or update; returns 'created', 'changed' or 'unchanged'. Raises: NotFoundError for an unknown venture."""
        venture_id, document = self.venture_id(venture), spec.model_dump(mode="json")
        row = self._session.scalar(select(CatalogService).where(CatalogService.name == name))
        if row is None:
            self._session.add(
                CatalogService(id=new_id(), name=name, venture_id=venture_id, spec=document, base=base, revision=1, updated_at=now)
            )
            self._revise("Service", name, 1, document, author, now)
            return "created"
        if (row.spec, row.base, row.venture_id) == (document, base, venture_id):
            return "unchanged"
        row.spec, row.base, row.venture_id, row.updated_at = document, base, venture_id, now
        row.revision = self._last_revision("Service", name) + 1
        self._revise("Service", name, row.revision, document, author, now)
        return "changed"

    def last_spec(self, kind: str, name: str) -> dict[str, Any] | None:
        """What was applied last of an entry; None when it never was."""
        query = select(CatalogRevision.spec).where(CatalogRevision.kind == kind, CatalogRevision.name == name)
        return self._session.scalar(query.order_by(CatalogRevision.revision.desc()).limit(1))

    def _last_revision(self, kind: str, name: str) -> int:
        query = select(CatalogRevision.revision).where(CatalogRevision.kind == kind, CatalogRevision.name == name)
        return self._session.scalar(query.order_by(CatalogRevision.revision.desc()).limit(1)) or 0

    def _revise(self, kind: str, name: str, revision: int, spec: dict[str, Any], author: str, now: datetime) -> None:
        self._session.add(CatalogRevision(kind=kind, name=name, revision=revision, spec=spec, author=author, applied_at=now))
        self._session.flush()
