"""Which tools are read, and how far: claims of runs and cursors of streams, moved by compare-and-set."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from productops.domain.catalog_development import DevelopmentSourceSpec
from productops.domain.development import System
from productops.domain.development_sync import DevelopmentSource, SourceState, StreamState
from productops.errors import LeaseLostError, NotFoundError
from productops.store.tables import DevelopmentSourceRow, DevelopmentStreamRow


def _source(row: DevelopmentSourceRow) -> DevelopmentSource:
    return DevelopmentSource(row.name, row.venture, DevelopmentSourceSpec.model_validate(row.spec))


def _stream(row: DevelopmentStreamRow) -> StreamState:
    return StreamState(
        stream=row.stream, cursor=row.cursor, position=row.position, filled=row.filled, comb=row.comb, combing_since=row.combing_since,
        combed_at=row.combed_at, items=row.items, read_at=row.read_at, reached_at=row.reached_at, error=row.error,
    )  # fmt: skip


class DevelopmentSources:
    """Repository of tools that are read, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def all(self, *, ventures: Collection[str] | None = None, system: System | None = None) -> list[DevelopmentSource]:
        """By name; ``ventures`` None: of all."""
        row = DevelopmentSourceRow
        query = select(row).order_by(row.name)
        if ventures is not None:
            query = query.where(row.venture.in_(sorted(ventures)))
        found = [_source(each) for each in self._session.scalars(query)]
        return [each for each in found if system is None or each.system is system]

    def find(self, name: str) -> DevelopmentSource | None:
        """``None`` when there is none of that name."""
        row = self._session.get(DevelopmentSourceRow, name)
        return _source(row) if row else None

    def get(self, name: str) -> DevelopmentSource:
        """Raises: NotFoundError."""
        found = self.find(name)
        if found is None:
            raise NotFoundError(f"there is no development source {name[:80]!r}; declare it in the catalog (kind: DevelopmentSource)")
        return found

    def declared_in(self, bases: Collection[str]) -> list[str]:
        """Names of those that catalog files of these folders declared."""
        return list(self._session.scalars(select(DevelopmentSourceRow.name).where(DevelopmentSourceRow.base.in_(sorted(bases)))))

    def put(self, name: str, *, venture: str, spec: DevelopmentSourceSpec, base: str, now: datetime) -> str:
        """Insert or update; returns 'created', 'changed' or 'unchanged'. Another mapping is applied by a full look, which is asked for."""
        document = spec.model_dump(mode="json")
        row = self._session.get(DevelopmentSourceRow, name)
        if row is None:
            self._session.add(
                DevelopmentSourceRow(name=name, venture=venture, spec=document, base=base, updated_at=now, last_error="", full_wanted=False)
            )
            self._session.flush()
            return "created"
        if (row.venture, row.spec, row.base) == (venture, document, base):
            return "unchanged"
        if row.spec.get("mapping") != document["mapping"]:
            row.full_wanted = True
        row.venture, row.spec, row.base, row.updated_at = venture, document, base, now
        return "changed"

    def remove(self, name: str) -> None:
        """It is read no more; what was read of it stays."""
        self._session.execute(delete(DevelopmentStreamRow).where(DevelopmentStreamRow.source == name))
        self._session.execute(delete(DevelopmentSourceRow).where(DevelopmentSourceRow.name == name))

    def state(self, name: str) -> SourceState:
        """Raises: NotFoundError."""
        self.get(name)
        row = self._session.get_one(DevelopmentSourceRow, name, populate_existing=True)
        return SourceState(
            source=_source(row), run=row.claimed_by, claimed_until=row.claimed_until, run_started_at=row.run_started_at,
            run_ended_at=row.run_ended_at, succeeded_at=row.succeeded_at, last_error=row.last_error, paused_until=row.paused_until,
            rate_left=row.rate_left, full_wanted=row.full_wanted, wanted_at=row.wanted_at, deletions_accepted=row.deletions_accepted,
            streams=tuple(self.streams(name)),
        )  # fmt: skip

    def streams(self, name: str) -> list[StreamState]:
        """Streams of a source that were begun, by name."""
        row = DevelopmentStreamRow
        return [_stream(each) for each in self._session.scalars(select(row).where(row.source == name).order_by(row.stream))]

    def claim(self, name: str, *, owner: str, now: datetime, until: datetime) -> bool:
        """Make its run this owner's. False while another has it."""
        row = DevelopmentSourceRow
        free = or_(row.claimed_by.is_(None), row.claimed_until <= now, row.claimed_by == owner)
        return self._changed(name, free, claimed_by=owner, claimed_until=until, run_started_at=now, run_ended_at=None, wanted_at=None)

    def renew(self, name: str, *, owner: str, until: datetime, rate_left: int | None = None) -> bool:
        """Keep the run. False when another has it."""
        more = {} if rate_left is None else {"rate_left": rate_left}
        return self._changed(name, DevelopmentSourceRow.claimed_by == owner, claimed_until=until, **more)

    def end(self, name: str, *, owner: str, now: datetime, error: str, paused_until: datetime | None, whole: bool) -> bool:
        """The run ended. ``whole``: every stream was read to its end. False when another has it by now."""
        more: dict[str, Any] = {"succeeded_at": now, "full_wanted": False, "deletions_accepted": False} if whole else {}
        mine = DevelopmentSourceRow.claimed_by == owner
        return self._changed(
            name,
            mine,
            claimed_by=None,
            claimed_until=None,
            run_ended_at=now,
            last_error=error[:2000],
            paused_until=paused_until,
            **more,
        )

    def want(self, name: str, *, now: datetime, full: bool, accept_deletions: bool = False) -> None:
        """Somebody wants it to be read at once; ``full``: all of it."""
        more = ({"full_wanted": True} if full else {}) | ({"deletions_accepted": True} if accept_deletions else {})
        self._changed(name, DevelopmentSourceRow.name == name, wanted_at=now, **more)

    def wanted(self) -> list[str]:
        """Names of those that somebody wants to be read at once, the longest waiting first."""
        row = DevelopmentSourceRow
        return list(self._session.scalars(select(row.name).where(row.wanted_at.is_not(None)).order_by(row.wanted_at)))

    def free(self, name: str, *, owner: str) -> bool:
        """Give back the claim of a program that is known to be dead."""
        return self._changed(name, DevelopmentSourceRow.claimed_by == owner, claimed_by=None, claimed_until=None)

    def _changed(self, name: str, condition: Any, **values: Any) -> bool:
        row = DevelopmentSourceRow
        changed = self._session.execute(
            update(row).where(row.name == name, condition).values(**values).execution_options(synchronize_session=False)
        )
        return changed.rowcount == 1  # type: ignore[attr-defined, no-any-return]

    def begin(self, name: str, stream: str) -> StreamState:
        """The state of a stream; a new one stands at its beginning."""
        row = self._session.get(DevelopmentStreamRow, (name, stream), populate_existing=True)
        if row is None:
            row = DevelopmentStreamRow(source=name, stream=stream, cursor={}, position=0, filled=False, comb={}, items=0, error="")
            self._session.add(row)
            self._session.flush()
        return _stream(row)

    def move(self, name: str, state: StreamState, *, items: int = 0, **values: Any) -> StreamState:
        """Move a stream from where ``state`` says that it is. Raises: LeaseLostError when another moved it."""
        row = DevelopmentStreamRow
        changed = self._session.execute(
            update(row)
            .where(row.source == name, row.stream == state.stream, row.position == state.position)
            .values(position=state.position + 1, items=row.items + items, **values)
            .execution_options(synchronize_session=False)
        )
        if changed.rowcount != 1:  # type: ignore[attr-defined]
            raise LeaseLostError(f"stream {state.stream} of {name} was moved by another run at this moment")
        return self.begin(name, state.stream)

    def fail(self, name: str, stream: str, reason: str) -> None:
        """Say why a stream was not read; its cursor stays."""
        row = DevelopmentStreamRow
        self._session.execute(update(row).where(row.source == name, row.stream == stream).values(error=reason[:2000]))

    def forget_streams(self, name: str, kept: Mapping[str, Any] | Collection[str]) -> None:
        """Streams that are no longer read."""
        row = DevelopmentStreamRow
        self._session.execute(delete(row).where(row.source == name, row.stream.not_in(sorted(kept))))
