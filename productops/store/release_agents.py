"""Which agent writes a router: one term after the other, each with one holder."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from productops.domain.traffic import AgentTerm
from productops.errors import AgentDeposedError
from productops.store.tables import AgentRow


def _term(row: AgentRow) -> AgentTerm:
    return AgentTerm(router=row.router, holder=row.holder, term=row.term, beat=row.beat)


class Agents:
    """Repository of terms within one transaction. Whether a beat stands still is for the caller's monotonic clock to say."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def find(self, router: str) -> AgentTerm | None:
        """The present term; its holder is empty after a resignation."""
        row = self._session.scalar(select(AgentRow).where(AgentRow.router == router))
        return _term(row) if row else None

    def take(self, router: str, holder: str, *, seen: AgentTerm | None, later_than: int, now: datetime) -> AgentTerm | None:
        """Become the agent of a router that stood at ``seen`` (``None``: had none); ``None`` when it has moved on since.

        The new term is later than the one seen and than ``later_than``, which the router itself may know of from another database.
        """
        term = max(seen.term if seen else 0, later_than) + 1
        taken = AgentTerm(router=router, holder=holder, term=term, beat=seen.beat + 1 if seen else 1)
        values = {"holder": holder, "term": taken.term, "beat": taken.beat, "beat_at": now}
        if seen is not None:
            return taken if self._change(seen, AgentRow.beat == seen.beat, **values) else None
        try:
            with self._session.begin_nested():
                self._session.add(AgentRow(router=router, **values))
        except IntegrityError:
            return None
        return taken

    def beat(self, mine: AgentTerm, *, now: datetime) -> bool:
        """Show that the holder of a term lives; false when the term is over."""
        return self._change(mine, beat=AgentRow.beat + 1, beat_at=now)

    def resign(self, mine: AgentTerm, *, now: datetime) -> None:
        """Step down at a clean end, so that a successor need not wait."""
        self._change(mine, holder="", beat=AgentRow.beat + 1, beat_at=now)

    def check(self, mine: AgentTerm) -> None:
        """Raises: AgentDeposedError when another agent has the router. On PostgreSQL a successor waits for this transaction."""
        row = self._session.scalar(select(AgentRow).where(AgentRow.router == mine.router).with_for_update(read=True))
        if row is None or (row.term, row.holder) != (mine.term, mine.holder):
            now = f"{row.holder} has term {row.term}" if row else "nobody has it"
            raise AgentDeposedError(f"this agent no longer writes router {mine.router} (its term was {mine.term}; {now})")

    def _change(self, seen: AgentTerm, *conditions: Any, **values: Any) -> bool:
        changed = self._session.execute(
            update(AgentRow)
            .where(AgentRow.router == seen.router, AgentRow.holder == seen.holder, AgentRow.term == seen.term, *conditions)
            .values(**values)
            .execution_options(synchronize_session=False)
        )
        return changed.rowcount == 1  # type: ignore[attr-defined, no-any-return]
