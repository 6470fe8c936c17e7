"""The audit log, hash-chained, and the quarantine of rolled-back versions."""

from __future__ import annotations

import hashlib
import json
import uuid
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, select, text
from sqlalchemy.orm import Session

from productops.domain.release import Environment
from productops.store.tables import AuditRow, QuarantineRow

GENESIS = "0" * 64
_CHAIN_LOCK = 7_305_001  # any constant: PostgreSQL's advisory lock that orders the writers of the chain


def entry_hash(previous: str, entry: dict[str, Any]) -> str:
    """SHA-256 over the previous hash and the entry's canonical JSON."""
    canonical = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(f"{previous}\n{canonical}".encode()).hexdigest()


def _content(row: AuditRow) -> dict[str, Any]:
    return {
        "seq": row.seq, "at": row.at.astimezone(UTC).isoformat(), "actor": row.actor, "origin": row.origin,
        "action": row.action, "subject": row.subject, "reason": row.reason, "detail": row.detail,
    }  # fmt: skip


class Audit:
    """Repository of the audit log within one transaction. Entries are only ever added."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(
        self, action: str, subject: str, *, actor: str, origin: str, now: datetime, reason: str = "", detail: dict[str, Any] | None = None
    ) -> None:
        """Append an entry to the chain."""
        self._session.flush()
        if self._session.get_bind().dialect.name == "postgresql":
            self._session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _CHAIN_LOCK})
        last = self._session.execute(select(AuditRow.seq, AuditRow.hash).order_by(AuditRow.seq.desc()).limit(1)).first()
        seq, previous = (last[0] + 1, last[1]) if last else (1, GENESIS)
        row = AuditRow(
            seq=seq, at=now, actor=actor, origin=origin, action=action, subject=subject, reason=reason, detail=detail or {},
            previous_hash=previous, hash="",
        )  # fmt: skip
        row.hash = entry_hash(previous, _content(row))
        self._session.add(row)
        self._session.flush()

    def first_broken(self) -> int | None:
        """Sequence number of the first entry that does not fit the chain; None when all do."""
        previous, expected = GENESIS, 1
        for row in self._session.scalars(select(AuditRow).order_by(AuditRow.seq)):
            if row.seq != expected or row.previous_hash != previous or entry_hash(previous, _content(row)) != row.hash:
                return row.seq
            previous, expected = row.hash, row.seq + 1
        return None

    def entries(self, *, subject: str | None = None, limit: int = 1000) -> list[dict[str, Any]]:
        """The newest entries first."""
        query = select(AuditRow).order_by(AuditRow.seq.desc()).limit(limit)
        if subject:
            query = query.where(AuditRow.subject == subject)
        return [_content(r) | {"hash": r.hash} for r in self._session.scalars(query)]


class Quarantine:
    """Repository of barred versions within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def reason(self, service: str, environment: Environment, version: str) -> str | None:
        """Why the version is barred; None when it is not."""
        row = self._session.get(QuarantineRow, (service, environment.value, version))
        return row.reason if row else None

    def add(self, service: str, environment: Environment, version: str, *, release_id: str, reason: str, now: datetime) -> None:
        """Bar a version."""
        self._session.merge(
            QuarantineRow(
                service=service, environment=environment.value, version=version, release_id=uuid.UUID(release_id), reason=reason, since=now
            )
        )

    def lift(self, service: str, environment: Environment, version: str | None = None) -> None:
        """Lift the bar of one version, or of all of a service."""
        query = delete(QuarantineRow).where(QuarantineRow.service == service, QuarantineRow.environment == environment.value)
        self._session.execute(query if version is None else query.where(QuarantineRow.version == version))
