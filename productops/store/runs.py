"""Who executes a flow run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from productops.store.tables import RunClaim


@dataclass(frozen=True, slots=True)
class RunProcess:
    """One execution of a flow run; ``pid`` is ``None`` before it has a process. ``created`` is the process's start, Unix seconds."""

    host: str
    pid: int | None
    created: float
    closed: bool


@dataclass(frozen=True, slots=True)
class OpenRun:
    """An execution whose end nobody has looked at. ``created`` is the start of its process, Unix seconds."""

    flow_run_id: str
    attempt: int
    pid: int
    created: float


class Runs:
    """Repository of claims within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def claim(
        self, flow_run_id: str, attempt: int, *, owner: str, now: datetime, pid: int | None = None, created: float | None = None,
        stale_before: datetime | None = None,
    ) -> bool:  # fmt: skip
        """True for exactly one caller per flow run and attempt. ``pid`` when the caller itself executes it.

        A claim from before ``stale_before`` that never got a process passes to the caller.
        """
        try:
            with self._session.begin_nested():
                self._session.add(RunClaim(flow_run_id=flow_run_id, attempt=attempt, owner=owner, claimed_at=now, pid=pid, created=created))
        except IntegrityError:
            return stale_before is not None and self._inherit(
                flow_run_id, attempt, before=stale_before, values={"owner": owner, "claimed_at": now, "pid": pid, "created": created}
            )
        return True

    def _inherit(self, flow_run_id: str, attempt: int, *, before: datetime, values: dict[str, Any]) -> bool:
        changed = self._session.execute(
            update(RunClaim)
            .where(*_unstarted(flow_run_id, attempt), RunClaim.claimed_at < before)
            .values(**values)
            .execution_options(synchronize_session=False)
        )
        return bool(changed.rowcount == 1)  # type: ignore[attr-defined]

    def started(self, flow_run_id: str, attempt: int, *, pid: int, created: float, owner: str | None = None) -> bool:
        """Note the process (pid and creation time, Unix seconds) that executes a claimed run; True for the first one only.

        ``owner`` is who forked it: the claim is its own from now on, even when somebody inherited it meanwhile.
        """
        changed = self._session.execute(
            update(RunClaim)
            .where(*_unstarted(flow_run_id, attempt))
            .values(pid=pid, created=created, **({"owner": owner} if owner else {}))
            .execution_options(synchronize_session=False)
        )
        return bool(changed.rowcount == 1)  # type: ignore[attr-defined]

    def has_process(self, flow_run_id: str, attempt: int) -> bool:
        """Whether the claim of an attempt has, or had, a process."""
        row = self._session.get(RunClaim, (flow_run_id, attempt))
        return row is not None and row.pid is not None

    def forget(self, flow_run_id: str, attempt: int, *, pid: int) -> None:
        """Drop the claim of a process that ended before it did anything: the run is free to be claimed again."""
        self._session.execute(delete(RunClaim).where(RunClaim.flow_run_id == flow_run_id, RunClaim.attempt == attempt, RunClaim.pid == pid))

    def unstarted_owners(self, host: str) -> set[str]:
        """Owners on ``host`` of claims that have no process yet."""
        mine = RunClaim.owner.startswith(f"{host}#", autoescape=True)
        return set(self._session.scalars(select(RunClaim.owner).where(mine, RunClaim.pid.is_(None))))

    def forget_unstarted_of(self, owner: str) -> None:
        """Drop the claims of one owner that never got a process."""
        self._session.execute(delete(RunClaim).where(RunClaim.owner == owner, RunClaim.pid.is_(None)))

    def open_runs(self, host: str) -> list[OpenRun]:
        """Every execution on ``host`` that has a process and whose end was not looked at."""
        query = select(RunClaim.flow_run_id, RunClaim.attempt, RunClaim.pid, RunClaim.created).where(
            RunClaim.closed_at.is_(None), RunClaim.pid.is_not(None), RunClaim.owner.startswith(f"{host}#", autoescape=True)
        )
        return [OpenRun(run, attempt, pid, created or 0.0) for run, attempt, pid, created in self._session.execute(query) if pid]

    def open_processes(self, host: str) -> list[tuple[str, int, float]]:
        """Flow run, pid and creation time of every run of ``host`` (empty: all) whose end was not looked at."""
        query = select(RunClaim.flow_run_id, RunClaim.pid, RunClaim.created).where(RunClaim.closed_at.is_(None), RunClaim.pid.is_not(None))
        if host:
            query = query.where(RunClaim.owner.startswith(f"{host}#", autoescape=True))
        return [(run, pid, created or 0.0) for run, pid, created in self._session.execute(query) if pid is not None]

    def processes_of(self, flow_run_id: str) -> list[RunProcess]:
        """Every execution of a flow run, oldest first."""
        rows = self._session.scalars(select(RunClaim).where(RunClaim.flow_run_id == flow_run_id).order_by(RunClaim.attempt))
        return [
            RunProcess(host=r.owner.rsplit("#", 1)[0], pid=r.pid, created=r.created or 0.0, closed=r.closed_at is not None) for r in rows
        ]

    def close(self, flow_run_id: str, *, now: datetime, attempt: int | None = None) -> None:
        """The end of the process of an attempt, or of all attempts, was looked at."""
        which = () if attempt is None else (RunClaim.attempt == attempt,)
        self._session.execute(
            update(RunClaim)
            .where(RunClaim.flow_run_id == flow_run_id, RunClaim.pid.is_not(None), *which)
            .values(closed_at=now)
            .execution_options(synchronize_session=False)
        )


def _unstarted(flow_run_id: str, attempt: int) -> tuple[ColumnElement[bool], ...]:
    return RunClaim.flow_run_id == flow_run_id, RunClaim.attempt == attempt, RunClaim.pid.is_(None)
