"""Where metrics are fetched: what the catalog declares, and how the last try went."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from productops.domain.catalog_monitoring import ScrapeTargetSpec
from productops.store.identity import new_id
from productops.store.tables import ScrapeTargetRow


@dataclass(frozen=True, slots=True)
class ScrapeTarget:
    """A declared place that tells metrics. ``problem`` is empty when the last try went well, or there was none."""

    id: str
    venture: str
    name: str
    spec: ScrapeTargetSpec
    base: str
    revision: int
    tried_at: datetime | None
    samples: int
    problem: str


def _target(row: ScrapeTargetRow) -> ScrapeTarget:
    spec = ScrapeTargetSpec.model_validate(row.spec)
    return ScrapeTarget(str(row.id), row.venture, row.name, spec, row.base, row.revision, row.tried_at, row.samples, row.problem)


class ScrapeTargets:
    """Repository of scrape targets within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def all(self, ventures: Collection[str] | None = None) -> list[ScrapeTarget]:
        """By venture and name; None: of every venture."""
        query = select(ScrapeTargetRow).order_by(ScrapeTargetRow.venture, ScrapeTargetRow.name)
        if ventures is not None:
            query = query.where(ScrapeTargetRow.venture.in_(sorted(ventures)))
        return [_target(row) for row in self._session.scalars(query)]

    def put(self, venture: str, name: str, spec: ScrapeTargetSpec, *, base: str, now: datetime) -> tuple[str, dict[str, Any] | None]:
        """Insert or update: ('created', 'changed' or 'unchanged', what it was before)."""
        document = spec.model_dump(mode="json")
        row = self._session.scalar(select(ScrapeTargetRow).where(ScrapeTargetRow.venture == venture, ScrapeTargetRow.name == name))
        if row is None:
            self._session.add(
                ScrapeTargetRow(id=new_id(), venture=venture, name=name, spec=document, base=base, samples=0, problem="", updated_at=now)
            )
            return "created", None
        if (row.spec, row.base) == (document, base):
            return "unchanged", row.spec
        before, row.spec, row.base, row.updated_at = row.spec, document, base, now
        row.revision += 1
        return "changed", before

    def remove(self, venture: str, name: str) -> None:
        """No error when it is not there."""
        self._session.execute(delete(ScrapeTargetRow).where(ScrapeTargetRow.venture == venture, ScrapeTargetRow.name == name))

    def note(self, target_id: str, *, samples: int, problem: str, now: datetime) -> None:
        """How a try went."""
        row = ScrapeTargetRow
        change = update(row).where(row.id == uuid.UUID(target_id)).values(samples=samples, problem=problem, tried_at=now)
        self._session.execute(change)
