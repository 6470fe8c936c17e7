"""Idempotency keys of requests, with their answers."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import delete, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from productops.domain.rest_idempotency import CLAIM_HELD, KEPT, KeyUse, StoredAnswer
from productops.store.tables import IdempotentAnswerRow


class IdempotentAnswers:
    """Repository of idempotency keys within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def find(self, key_hash: str) -> KeyUse | None:
        """What is known of a key."""
        row = self._session.get(IdempotentAnswerRow, key_hash, populate_existing=True)
        if row is None:
            return None
        answer = None if row.status is None else StoredAnswer(row.status, row.headers or {}, row.body or b"")
        return KeyUse(fingerprint=row.fingerprint, claim=str(row.claim), created_at=row.created_at, answer=answer)

    def claim(self, key_hash: str, fingerprint: str, claim: str, *, now: datetime) -> bool:
        """Take a free key; False when another request took it at the same moment."""
        try:
            with self._session.begin_nested():
                self._session.add(IdempotentAnswerRow(key_hash=key_hash, fingerprint=fingerprint, claim=uuid.UUID(claim), created_at=now))
        except IntegrityError:
            return False
        return True

    def take_over(self, key_hash: str, seen: KeyUse, fingerprint: str, claim: str, *, now: datetime) -> bool:
        """Take a key that is over, as it was seen; False when another request was quicker."""
        row = IdempotentAnswerRow
        changed = self._session.execute(
            update(row)
            .where(row.key_hash == key_hash, row.claim == uuid.UUID(seen.claim))
            .values(fingerprint=fingerprint, claim=uuid.UUID(claim), created_at=now, answered_at=None, status=None, headers=None, body=None)
            .execution_options(synchronize_session=False)
        )
        return changed.rowcount == 1  # type: ignore[attr-defined, no-any-return]  # an UPDATE has one

    def answer(self, key_hash: str, claim: str, answer: StoredAnswer, *, now: datetime) -> bool:
        """Keep the answer of a claim; False when the claim is no longer ours."""
        row = IdempotentAnswerRow
        changed = self._session.execute(
            update(row)
            .where(row.key_hash == key_hash, row.claim == uuid.UUID(claim), row.answered_at.is_(None))
            .values(answered_at=now, status=answer.status, headers=dict(answer.headers), body=answer.body)
            .execution_options(synchronize_session=False)
        )
        return changed.rowcount == 1  # type: ignore[attr-defined, no-any-return]  # an UPDATE has one

    def release(self, key_hash: str, claim: str) -> None:
        """Give a claim back: the request changed nothing, so its key is free."""
        row = IdempotentAnswerRow
        self._session.execute(
            delete(row).where(row.key_hash == key_hash, row.claim == uuid.UUID(claim), row.answered_at.is_(None))
        )  # fmt: skip

    def forget(self, *, now: datetime) -> int:
        """Drop keys whose time is over; returns how many."""
        row = IdempotentAnswerRow
        old = delete(row).where(row.created_at < now - KEPT)
        lapsed = delete(row).where(row.answered_at.is_(None), row.created_at < now - max(CLAIM_HELD, KEPT / 24))
        return sum(self._session.execute(query).rowcount for query in (old, lapsed))  # type: ignore[attr-defined]  # a DELETE has one
