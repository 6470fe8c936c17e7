"""Who executes a flow run, and which agent writes the router."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from productops.store.tables import AgentRow, RunClaim


class Runs:
    """Repository of claims within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def claim(self, flow_run_id: str, attempt: int, *, owner: str, now: datetime) -> bool:
        """True for exactly one caller per flow run and attempt."""
        try:
            with self._session.begin_nested():
                self._session.add(RunClaim(flow_run_id=flow_run_id, attempt=attempt, owner=owner, claimed_at=now))
        except IntegrityError:
            return False
        return True

    def started(self, flow_run_id: str, attempt: int, *, pid: int, created: float) -> None:
        """Note the process (pid and creation time, Unix seconds) that executes a claimed run."""
        self._session.execute(
            update(RunClaim)
            .where(RunClaim.flow_run_id == flow_run_id, RunClaim.attempt == attempt)
            .values(pid=pid, created=created)
            .execution_options(synchronize_session=False)
        )

    def forget_unstarted(self, host: str, *, except_owner: str) -> None:
        """Drop claims of ``host`` that never got a process, but not those of ``except_owner``."""
        self._session.execute(
            delete(RunClaim).where(
                RunClaim.owner.startswith(f"{host}#", autoescape=True), RunClaim.owner != except_owner, RunClaim.pid.is_(None)
            )
        )

    def open_processes(self, host: str) -> list[tuple[str, int, float]]:
        """Flow run, pid and creation time of every run of ``host`` (empty: all) whose end was not looked at."""
        query = select(RunClaim.flow_run_id, RunClaim.pid, RunClaim.created).where(RunClaim.closed_at.is_(None), RunClaim.pid.is_not(None))
        if host:
            query = query.where(RunClaim.owner.startswith(f"{host}#", autoescape=True))
        return [(run, pid, created or 0.0) for run, pid, created in self._session.execute(query) if pid is not None]

    def close(self, flow_run_id: str, *, now: datetime) -> None:
        """The end of the run's processes was looked at."""
        self._session.execute(
            update(RunClaim)
            .where(RunClaim.flow_run_id == flow_run_id, RunClaim.pid.is_not(None))
            .values(closed_at=now)
            .execution_options(synchronize_session=False)
        )

    def elect(self, router: str, holder: str, *, now: datetime, patience: timedelta) -> bool:
        """Be, stay or become the one agent of a router; true when ``holder`` is it.

        Another takes over only when the present one has not beaten for ``patience``.
        """
        row = self._session.scalar(select(AgentRow).where(AgentRow.router == router))
        if row is None:
            try:
                with self._session.begin_nested():
                    self._session.add(AgentRow(router=router, holder=holder, beat=1, beat_at=now))
            except IntegrityError:
                return False
            return True
        if row.holder != holder and now - row.beat_at < patience:
            return False
        changed = self._session.execute(
            update(AgentRow)
            .where(AgentRow.router == router, AgentRow.holder == row.holder, AgentRow.beat == row.beat)
            .values(holder=holder, beat=row.beat + 1, beat_at=now)
            .execution_options(synchronize_session=False)
        )
        return changed.rowcount == 1  # type: ignore[attr-defined, no-any-return]

    def resign(self, router: str, holder: str, *, now: datetime) -> None:
        """Step down at a clean end, so that a successor need not wait."""
        self._session.execute(
            update(AgentRow)
            .where(AgentRow.router == router, AgentRow.holder == holder)
            .values(beat_at=now - timedelta(days=1))
            .execution_options(synchronize_session=False)
        )
