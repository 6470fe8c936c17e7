"""Signs of life of the product's own processes."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from productops.store.tables.base import Base


class ProcessBeatRow(Base):
    """A process by its role and place, which stay when it is started again. It is gone after a clean end."""

    __tablename__ = "process_beats"
    name: Mapped[str] = mapped_column(String(150), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    pid: Mapped[int] = mapped_column(Integer())
    began_at: Mapped[datetime]
    at: Mapped[datetime]
