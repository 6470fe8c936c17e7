"""One-time links to sign, and reviews of overrides."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from productops.domain.governance_approvals import Review
from productops.errors import NotFoundError
from productops.store.governance_approvals import parse_id
from productops.store.identity import new_id
from productops.store.tables import ApprovalLinkRow, ApprovalReviewRow


@dataclass(frozen=True, slots=True)
class ApprovalLink:
    """A link as stored: for one person and one request, worth something until it is used or expires."""

    id: str
    approval_id: str
    person: str
    expires_at: datetime
    used_at: datetime | None


class ApprovalLinks:
    """Repository of links within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, approval_id: str, *, person: str, token_hash: str, expires_at: datetime, now: datetime) -> None:
        """Insert one."""
        self._session.add(
            ApprovalLinkRow(
                id=new_id(), request_id=parse_id(approval_id), person=person, token_hash=token_hash, created_at=now, expires_at=expires_at
            )
        )
        self._session.flush()

    def find(self, token_hash: str) -> ApprovalLink | None:
        """None for a hash that is none of ours."""
        row = self._session.scalar(select(ApprovalLinkRow).where(ApprovalLinkRow.token_hash == token_hash))
        return ApprovalLink(str(row.id), str(row.request_id), row.person, row.expires_at, row.used_at) if row else None

    def use(self, link: ApprovalLink, *, now: datetime) -> bool:
        """Spend it; False when it was used or expired."""
        row = ApprovalLinkRow
        changed = self._session.execute(
            update(row)
            .where(row.id == uuid.UUID(link.id), row.used_at.is_(None), row.expires_at > now)
            .values(used_at=now)
            .execution_options(synchronize_session=False)
        )
        return changed.rowcount == 1  # type: ignore[attr-defined, no-any-return]


def _review(row: ApprovalReviewRow) -> Review:
    return Review(
        id=str(row.id), approval_id=str(row.request_id), subject=row.subject, venture=row.venture, overridden_by=row.overridden_by,
        reason=row.reason, opened_at=row.opened_at, due_at=row.due_at, closed_by=row.closed_by, closed_at=row.closed_at, note=row.note,
    )  # fmt: skip


class ApprovalReviews:
    """Repository of reviews within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, review: Review) -> None:
        """Open one."""
        self._session.add(
            ApprovalReviewRow(
                id=uuid.UUID(review.id), request_id=parse_id(review.approval_id), subject=review.subject, venture=review.venture,
                overridden_by=review.overridden_by, reason=review.reason, opened_at=review.opened_at, due_at=review.due_at, note="",
            )
        )  # fmt: skip
        self._session.flush()

    def get(self, review_id: str) -> Review:
        """Raises: NotFoundError."""
        try:
            row = self._session.get(ApprovalReviewRow, uuid.UUID(review_id), populate_existing=True)
        except ValueError:
            row = None
        if row is None:
            raise NotFoundError(f"there is no review {review_id[:80]!r}; list them with: productops approvals reviews")
        return _review(row)

    def of_approval(self, approval_id: str) -> list[Review]:
        """Those of one request."""
        query = select(ApprovalReviewRow).where(ApprovalReviewRow.request_id == parse_id(approval_id)).order_by(ApprovalReviewRow.id)
        return [_review(row) for row in self._session.scalars(query)]

    def newest(
        self, *, open_only: bool, ventures: frozenset[str] | None = None, before: str | None = None, limit: int = 50
    ) -> list[Review]:
        """Newest first; ``ventures`` None: all."""
        row = ApprovalReviewRow
        query = select(row).order_by(row.id.desc()).limit(limit)
        if open_only:
            query = query.where(row.closed_at.is_(None))
        if ventures is not None:
            query = query.where(row.venture.in_(sorted(ventures)))
        if before:
            query = query.where(row.id < parse_id(before))
        return [_review(found) for found in self._session.scalars(query)]

    def close(self, review_id: str, *, by: str, note: str, now: datetime) -> bool:
        """False when somebody closed it before."""
        row: Any = ApprovalReviewRow
        changed = self._session.execute(
            update(row)
            .where(row.id == uuid.UUID(review_id), row.closed_at.is_(None))
            .values(closed_by=by, closed_at=now, note=note)
            .execution_options(synchronize_session=False)
        )
        return changed.rowcount == 1  # type: ignore[attr-defined, no-any-return]
