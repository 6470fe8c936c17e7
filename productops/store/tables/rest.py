"""What the interface for programs keeps for itself."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from productops.store.tables.base import Base, Json


class IdempotentAnswerRow(Base):
    """A request that carried an idempotency key. Without ``answered_at`` it is under way, by whoever put ``claim`` there.

    ``body`` is encrypted under the key itself, which is not kept: answers may hold what is shown once only.
    """

    __tablename__ = "idempotent_answers"
    key_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    claim: Mapped[uuid.UUID]
    created_at: Mapped[datetime] = mapped_column(index=True)
    answered_at: Mapped[datetime | None]
    status: Mapped[int | None]
    headers: Mapped[dict[str, Any] | None] = mapped_column(Json)
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
