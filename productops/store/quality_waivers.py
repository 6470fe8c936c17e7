"""Waivers of what gates object to, and signed checklists: rows in and out."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from productops.domain.quality_runs import ANY, SignOff, Waiver
from productops.errors import ConflictError, NotFoundError
from productops.store.tables import QualitySignOffRow, QualityWaiverRow


class QualityWaivers:
    """Repository of waivers and sign-offs within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, waiver: Waiver) -> None:
        """Keep a new one."""
        self._session.add(
            QualityWaiverRow(
                id=uuid.UUID(waiver.id), venture=waiver.venture, service=waiver.service, gate=waiver.gate, key=waiver.key,
                owner=waiver.owner, reason=waiver.reason, given_by=waiver.given_by, given_at=waiver.given_at,
                expires_at=waiver.expires_at, ended_at=None, ended_by=None,
            )
        )  # fmt: skip
        self._session.flush()

    def get(self, waiver_id: str) -> Waiver:
        """Raises: NotFoundError."""
        missing = f"there is no quality waiver {waiver_id[:80]!r}; list them with: productops quality waivers"
        try:
            row = self._session.get(QualityWaiverRow, uuid.UUID(waiver_id), populate_existing=True)
        except ValueError as error:
            raise NotFoundError(missing) from error
        if row is None:
            raise NotFoundError(missing)
        return _waiver(row)

    def end(self, waiver_id: str, *, by: str, now: datetime) -> bool:
        """Compare and set; False when it has ended already."""
        row = QualityWaiverRow
        query = update(row).where(row.id == uuid.UUID(waiver_id), row.ended_at.is_(None)).values(ended_at=now, ended_by=by)
        changed: Any = self._session.execute(query.execution_options(synchronize_session="fetch"))
        return bool(changed.rowcount == 1)

    def for_service(self, venture: str, service: str) -> list[Waiver]:
        """Those that may hold for a service, expired ones too (a result says so), ended ones not; oldest first."""
        row = QualityWaiverRow
        query = select(row).where(
            row.venture == venture, or_(row.service == service, row.service == ANY), row.ended_at.is_(None)
        )  # fmt: skip
        return [_waiver(each) for each in self._session.scalars(query.order_by(row.id))]

    def page(
        self, *, ventures: frozenset[str] | None, service: str | None = None, holding_at: datetime | None = None,
        before: str | None = None, limit: int = 50,
    ) -> list[Waiver]:  # fmt: skip
        """Newest first. ``holding_at``: only those that count then. Raises: NotFoundError for a ``before`` that is no id."""
        row = QualityWaiverRow
        query = select(row).order_by(row.id.desc()).limit(limit)
        if ventures is not None:
            query = query.where(row.venture.in_(sorted(ventures)))
        if service is not None:
            query = query.where(or_(row.service == service, row.service == ANY))
        if holding_at is not None:
            query = query.where(row.ended_at.is_(None), row.expires_at > holding_at)
        if before is not None:
            try:
                query = query.where(row.id < uuid.UUID(before))
            except ValueError as error:
                raise NotFoundError(f"{before[:80]!r} is no id of a quality waiver") from error
        return [_waiver(each) for each in self._session.scalars(query)]

    def sign(self, signed: SignOff) -> None:
        """Keep a signature. Raises: ConflictError when the same person signed the same already."""
        self._session.add(
            QualitySignOffRow(
                id=uuid.UUID(signed.id), venture=signed.venture, service=signed.service, version=signed.version, commit=signed.commit,
                gate=signed.gate, item=signed.item, by=signed.by, roles=sorted(signed.roles), note=signed.note, at=signed.at,
            )
        )  # fmt: skip
        try:
            self._session.flush()
        except IntegrityError as error:
            raise ConflictError(f"{signed.by} has signed {signed.item!r} for {signed.service} {signed.version} already") from error

    def signatures(self, service: str, version: str) -> list[SignOff]:
        """Everything signed for a version, oldest first."""
        row = QualitySignOffRow
        query = select(row).where(row.service == service, row.version == version).order_by(row.id)
        return [
            SignOff(
                str(each.id), each.venture, each.service, each.version, each.commit, each.gate, each.item, each.by,
                frozenset(each.roles), each.note, each.at,
            )
            for each in self._session.scalars(query)
        ]  # fmt: skip


def _waiver(row: QualityWaiverRow) -> Waiver:
    return Waiver(
        str(row.id), row.venture, row.service, row.gate, row.key, row.owner, row.reason, row.given_by, row.given_at, row.expires_at,
        row.ended_at, row.ended_by,
    )  # fmt: skip
