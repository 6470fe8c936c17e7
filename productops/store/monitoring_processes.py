"""Signs of life of the product's own processes: the SQL."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from productops.domain.monitoring_processes import ProcessBeat
from productops.store.tables import ProcessBeatRow


class Processes:
    """Repository within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def beat(self, beat: ProcessBeat) -> None:
        """Note a sign of life."""
        row = ProcessBeatRow(name=beat.name, kind=beat.kind, pid=beat.pid, began_at=beat.began_at, at=beat.at)
        self._session.merge(row)

    def end(self, name: str, *, pid: int) -> None:
        """It has ended as it should; not where another process has its place already."""
        row = ProcessBeatRow
        self._session.execute(delete(row).where(row.name == name, row.pid == pid))

    def forget(self, *, before: datetime) -> None:
        """Drop those that were heard last before."""
        self._session.execute(delete(ProcessBeatRow).where(ProcessBeatRow.at < before))

    def all(self) -> list[ProcessBeat]:
        """By name."""
        rows = self._session.scalars(select(ProcessBeatRow).order_by(ProcessBeatRow.name))
        return [ProcessBeat(row.name, row.kind, row.pid, row.began_at, row.at) for row in rows]


class ProcessParts:
    """The repository of processes of one transaction."""

    _session: Session

    @cached_property
    def processes(self) -> Processes:
        """The product's own processes."""
        return Processes(self._session)
