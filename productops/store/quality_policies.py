"""Quality policies: rows in and out."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from productops.domain.catalog_quality import QualityPolicy
from productops.domain.quality_runs import AppliedPolicy
from productops.store.tables import CatalogRevision, QualityPolicyRow

POLICY = "QualityPolicy"


class QualityPolicies:
    """Repository of policies within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def all(self) -> list[AppliedPolicy]:
        """Every declared policy, by name."""
        rows = self._session.scalars(select(QualityPolicyRow).order_by(QualityPolicyRow.name).execution_options(populate_existing=True))
        return [_policy(row) for row in rows]

    def find(self, name: str) -> AppliedPolicy | None:
        """One by name; None when nobody declared it."""
        row = self._session.get(QualityPolicyRow, name, populate_existing=True)
        return _policy(row) if row else None

    def revision(self, name: str, revision: int) -> QualityPolicy | None:
        """As it was in an earlier revision."""
        query = select(CatalogRevision.spec).where(
            CatalogRevision.kind == POLICY, CatalogRevision.name == name, CatalogRevision.revision == revision
        )
        found = self._session.scalar(query)
        return _entry(name, found["venture"], found["spec"]) if found else None

    def put(self, entry: QualityPolicy, *, base: str, author: str, now: datetime) -> str:
        """Insert or update; returns 'created', 'changed' or 'unchanged'."""
        name, venture, spec = entry.metadata.name, entry.metadata.venture, entry.spec.model_dump(mode="json")
        row = self._session.get(QualityPolicyRow, name)
        if row is None:
            revision = self._revise(name, {"venture": venture, "spec": spec}, author=author, now=now)
            self._session.add(QualityPolicyRow(name=name, venture=venture, spec=spec, base=base, revision=revision))
            self._session.flush()
            return "created"
        if (row.venture, row.spec) == (venture, spec):
            row.base = base
            return "unchanged"
        row.revision = self._revise(name, {"venture": venture, "spec": spec}, author=author, now=now)
        row.spec, row.venture, row.base = spec, venture, base
        self._session.flush()
        return "changed"

    def remove(self, name: str) -> None:
        """Forget a policy; its revisions and the runs judged by it stay."""
        self._session.execute(delete(QualityPolicyRow).where(QualityPolicyRow.name == name))

    def _revise(self, name: str, spec: dict[str, Any], *, author: str, now: datetime) -> int:
        query = select(func.max(CatalogRevision.revision)).where(CatalogRevision.kind == POLICY, CatalogRevision.name == name)
        revision = (self._session.scalar(query) or 0) + 1
        self._session.add(CatalogRevision(kind=POLICY, name=name, revision=revision, spec=spec, author=author, applied_at=now))
        return revision


def _policy(row: QualityPolicyRow) -> AppliedPolicy:
    return AppliedPolicy(_entry(row.name, row.venture, row.spec), row.base, row.revision)


def _entry(name: str, venture: str | None, spec: dict[str, Any]) -> QualityPolicy:
    return QualityPolicy.model_validate(
        {"apiVersion": "productops/v1", "kind": POLICY, "metadata": {"name": name, "venture": venture}, "spec": spec}
    )
