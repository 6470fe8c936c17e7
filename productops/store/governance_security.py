"""Security operations: policies, what the door saw, findings, and how far was looked. Rows in and out."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from productops.domain.catalog_security import Policies, SecurityPolicyEntry, SecurityPolicySpec
from productops.domain.governance_security import FindingFilter, Mark, RuleId, SecurityFinding, Seen, Sighting, StoredFinding
from productops.domain.release import Environment
from productops.errors import NotFoundError
from productops.store.identity import new_id
from productops.store.tables import SecurityFindingRow, SecurityMarkRow, SecurityPolicyRow, SecuritySightingRow

SIGHTINGS_MAX = 50_000
KIND = "SecurityPolicy"


class Security:
    """Repository within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def policies(self) -> Policies:
        """All that are declared; of two for one place the first by name."""
        rows = self._session.scalars(select(SecurityPolicyRow).order_by(SecurityPolicyRow.name.desc()))
        return Policies({row.venture: SecurityPolicySpec.model_validate(row.spec) for row in rows})

    def policy_names(self, venture: str | None) -> list[str]:
        """Declared for a venture; None: for the installation."""
        row = SecurityPolicyRow
        return list(self._session.scalars(select(row.name).where(_is(row.venture, venture)).order_by(row.name)))

    def stored_policy(self, name: str) -> dict[str, Any] | None:
        """Venture and spec; None for what is not declared."""
        row = self._session.get(SecurityPolicyRow, name, populate_existing=True)
        return {"venture": row.venture, "spec": row.spec} if row else None

    def put_policy(self, entry: SecurityPolicyEntry, *, base: str, now: datetime) -> str:
        """Insert or update; returns 'created', 'changed' or 'unchanged'."""
        spec, venture, name = entry.spec.plain(), entry.metadata.venture, entry.metadata.name
        row = self._session.get(SecurityPolicyRow, name)
        if row is None:
            self._session.add(SecurityPolicyRow(name=name, venture=venture, spec=spec, base=base, revision=1, changed_at=now))
            self._session.flush()
            return "created"
        row.base = base
        if (row.venture, row.spec) == (venture, spec):
            return "unchanged"
        row.venture, row.spec, row.revision, row.changed_at = venture, spec, row.revision + 1, now
        self._session.flush()
        return "changed"

    def declared_in(self, bases: Collection[str]) -> list[str]:
        """Names of what these folders declared."""
        row = SecurityPolicyRow
        return list(self._session.scalars(select(row.name).where(row.base.in_(sorted(bases))).order_by(row.name)))

    def remove_policy(self, name: str) -> None:
        """Forget it."""
        self._session.execute(delete(SecurityPolicyRow).where(SecurityPolicyRow.name == name))

    def add_sightings(self, sightings: Iterable[Sighting]) -> None:
        """Add to what is counted; always in the same order, so that two writers never wait for each other."""
        rows = [
            {
                "minute_s": each.minute_s, "kind": each.kind.value, "subject": each.subject[:255], "address": each.address[:64],
                "principal": each.principal[:255], "times": each.times,
            }
            for each in sorted(sightings, key=lambda e: (e.minute_s, e.kind.value, e.subject, e.address))
        ]  # fmt: skip
        if not rows:
            return
        dialect = self._session.get_bind().dialect.name
        insert = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(SecuritySightingRow)
        more = {"times": SecuritySightingRow.times + insert.excluded.times}
        places = ["minute_s", "kind", "subject", "address"]
        self._session.connection().execute(insert.on_conflict_do_update(index_elements=places, set_=more), rows)

    def sightings(self, *, since_s: float, limit: int = SIGHTINGS_MAX) -> list[Sighting]:
        """The newest first, back to a time in Unix seconds."""
        row = SecuritySightingRow
        query = select(row).where(row.minute_s >= int(since_s)).order_by(row.minute_s.desc()).limit(limit)
        return [Sighting(r.minute_s, Seen(r.kind), r.subject, r.address, r.times, r.principal) for r in self._session.scalars(query)]

    def forget_sightings(self, *, before_s: float) -> None:
        """Addresses are personal data: they go after their time."""
        self._session.execute(delete(SecuritySightingRow).where(SecuritySightingRow.minute_s < int(before_s)))

    def has_sightings(self, *, before_s: float) -> bool:
        """Whether any are as old."""
        row = SecuritySightingRow
        return self._session.scalar(select(row.minute_s).where(row.minute_s < int(before_s)).limit(1)) is not None

    def open_findings(self) -> dict[str, StoredFinding]:
        """What holds, by fingerprint."""
        row = SecurityFindingRow
        return {r.fingerprint: _stored(r) for r in self._session.scalars(select(row).where(row.ended_at.is_(None)))}

    def ended_since(self, since: datetime) -> list[StoredFinding]:
        """What ended lately."""
        row = SecurityFindingRow
        return [_stored(r) for r in self._session.scalars(select(row).where(row.ended_at >= since).order_by(row.ended_at))]

    def begin_finding(self, finding: SecurityFinding, *, now: datetime) -> StoredFinding:
        """A new one."""
        row = SecurityFindingRow(
            id=new_id(), fingerprint=finding.fingerprint, rule=finding.rule.value, subject=finding.subject, venture=finding.venture,
            severity=finding.severity, data=finding.document(), began_at=min(finding.at, now), seen_at=now, ended_at=None,
        )  # fmt: skip
        self._session.add(row)
        self._session.flush()
        return _stored(row)

    def renew_finding(self, finding_id: str, finding: SecurityFinding, *, now: datetime) -> None:
        """It was seen again; the newest evidence counts."""
        row = SecurityFindingRow
        values = {"severity": finding.severity, "data": finding.document(), "seen_at": now}
        self._session.execute(update(row).where(row.id == uuid.UUID(finding_id), row.ended_at.is_(None)).values(**values))

    def end_findings(self, ids: Sequence[str], *, now: datetime) -> None:
        """They hold no more."""
        row = SecurityFindingRow
        self._session.execute(update(row).where(row.id.in_([uuid.UUID(i) for i in ids]), row.ended_at.is_(None)).values(ended_at=now))

    def findings(self, wanted: FindingFilter, *, before: str | None = None, limit: int = 50) -> list[StoredFinding]:
        """Newest first. Raises: NotFoundError for what is no id."""
        row = SecurityFindingRow
        query = select(row).order_by(row.id.desc()).limit(limit)
        if wanted.rule is not None:
            query = query.where(row.rule == wanted.rule.value)
        if wanted.open_only:
            query = query.where(row.ended_at.is_(None))
        if wanted.ventures is not None:
            query = query.where(row.venture.in_(sorted(wanted.ventures)))
        if before is not None:
            query = query.where(row.id < parse_id(before, "finding"))
        return [_stored(each) for each in self._session.scalars(query)]

    def mark(self, name: str) -> Mark:
        """How far was looked; empty before the first look."""
        row = self._session.get(SecurityMarkRow, name)
        return Mark(row.data, row.at) if row else Mark()

    def set_mark(self, name: str, data: Mapping[str, Any], *, now: datetime) -> None:
        """It was looked so far."""
        self._session.merge(SecurityMarkRow(name=name, data=dict(data), at=now))


def parse_id(text: str, what: str) -> uuid.UUID:
    """Raises: NotFoundError for what is no id."""
    try:
        return uuid.UUID(text)
    except ValueError:
        raise NotFoundError(f"there is no {what} {text[:80]!r}") from None


def _is(column: Any, value: str | None) -> ColumnElement[bool]:
    found: ColumnElement[bool] = column.is_(None) if value is None else column == value
    return found


def _stored(row: SecurityFindingRow) -> StoredFinding:
    data = row.data
    finding = SecurityFinding(
        rule=RuleId(row.rule), subject=row.subject, severity=row.severity, summary=data["summary"], at=datetime.fromisoformat(data["at"]),
        venture=row.venture, service=data["service"], environment=Environment(data["environment"]) if data["environment"] else None,
        names=tuple(data["names"]), people=tuple(data["people"]), evidence=tuple(data["evidence"]), value=data["value"],
    )  # fmt: skip
    return StoredFinding(str(row.id), finding, row.began_at, row.seen_at, row.ended_at)
