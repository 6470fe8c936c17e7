"""The quarantine of rolled-back versions. The audit log, of the same room, has a file of its own and is found here, too."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from productops.domain.release import Environment
from productops.store.governance_audit import Audit
from productops.store.tables import QuarantineRow

__all__ = ["Audit", "Quarantine"]


class Quarantine:
    """Repository of barred versions within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def reason(self, service: str, environment: Environment, version: str) -> str | None:
        """Why the version is barred; None when it is not."""
        row = self._session.get(QuarantineRow, (service, environment.value, version))
        return row.reason if row else None

    def barred(self, service: str, environment: Environment) -> dict[str, str]:
        """Every barred version of a service there, and why."""
        query = select(QuarantineRow).where(QuarantineRow.service == service, QuarantineRow.environment == environment.value)
        return {row.version: row.reason for row in self._session.scalars(query)}

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
