"""Who executes flow runs."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from productops.store.tables.base import Base


class RunClaim(Base):
    """Who executes an attempt of a flow run: the unique row makes it exactly one."""

    __tablename__ = "run_claims"
    flow_run_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(String(120))
    pid: Mapped[int | None]
    created: Mapped[float | None]
    claimed_at: Mapped[datetime]
    closed_at: Mapped[datetime | None] = mapped_column(index=True)
