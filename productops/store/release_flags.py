"""Feature flags: newest states, revisions and waiting changes; every write of a flag is a compare-and-set on its revision."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select, update
from sqlalchemy.orm import Session

from productops.domain.catalog_flags import FlagSpec, FlagState
from productops.domain.release import Environment
from productops.domain.release_flags.changes import CHANGE_EDGES, OPERATION, Change, ChangeState
from productops.domain.release_flags.flag import Flag, Revision
from productops.errors import ConflictError, IllegalTransitionError, NotFoundError, RevisionMismatchError
from productops.store.identity import new_id
from productops.store.tables import FlagChangeRow, FlagRevisionRow, FlagRow, FlagVersionRow, Venture

KNOWN_SHOWN = 20


class Versions:
    """What the version rows say: a version by environment, and when the next scheduled change is due."""

    __slots__ = ("by_environment", "changed_at", "next_due_at")

    def __init__(self, rows: Sequence[FlagVersionRow]) -> None:
        self.by_environment = {Environment(row.environment): row.version for row in rows}
        self.changed_at = {Environment(row.environment): row.changed_at for row in rows}
        self.next_due_at = min((row.next_due_at for row in rows if row.next_due_at), default=None)

    def of(self, environment: Environment) -> int:
        """The version there; 0 before the first flag."""
        return self.by_environment.get(environment, 0)


class Flags:
    """Repository of flags within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def versions(self) -> Versions:
        """Cheap: at most one row per environment."""
        return Versions(self._session.scalars(select(FlagVersionRow)).all())

    def revisions(self) -> dict[str, int]:
        """Revision by key: what has changed is found without reading the flags."""
        return {row.key: row.revision for row in self._session.execute(select(FlagRow.key, FlagRow.revision))}

    def page(
        self, *, ventures: Collection[str] | None, archived: bool, after: str | None, limit: int | None
    ) -> list[Flag]:  # fmt: skip
        """Flags by key, of ``ventures`` (None: all); ``after`` is the key of the last one seen."""
        query = self._select().order_by(FlagRow.key)
        if ventures is not None:
            query = query.where(Venture.name.in_(sorted(ventures)))
        if not archived:
            query = query.where(FlagRow.state["archived"].as_boolean().is_not(True))
        if after is not None:
            query = query.where(FlagRow.key > after)
        return [_flag(row, owner) for row, owner in self._session.execute(query.limit(limit))]

    def all(self, *, venture: str | None = None, keys: Collection[str] | None = None) -> list[Flag]:
        """All flags by key, archived ones too; of one venture, or those of ``keys``."""
        query = self._select().order_by(FlagRow.key)
        if keys is not None:
            query = query.where(FlagRow.key.in_(keys))
        if venture is not None:
            query = query.where(Venture.name == venture)
        return [_flag(row, owner) for row, owner in self._session.execute(query)]

    def find(self, key: str) -> Flag | None:
        """The flag, or None."""
        query = self._select().where(FlagRow.key == key).execution_options(populate_existing=True)
        found = self._session.execute(query).first()
        return _flag(*found) if found else None

    def get(self, key: str) -> Flag:
        """Raises: NotFoundError."""
        found = self.find(key)
        if found is None:
            known = list(self._session.scalars(select(FlagRow.key).order_by(FlagRow.key).limit(KNOWN_SHOWN + 1)))
            shown = ", ".join(known[:KNOWN_SHOWN]) + (", …" if len(known) > KNOWN_SHOWN else "")
            raise NotFoundError(f"there is no flag {key[:80]!r}; known: {shown or 'none yet'}")
        return found

    def locked(self, key: str) -> Flag:
        """The flag, which nobody else changes until this transaction ends. Raises: NotFoundError."""
        self._session.execute(select(FlagRow.key).where(FlagRow.key == key).with_for_update())
        return self.get(key)

    def of_release(self, key: str, release_id: str) -> list[Revision]:
        """What a release did to a flag, oldest first."""
        query = select(FlagRevisionRow).where(FlagRevisionRow.flag_key == key, FlagRevisionRow.release_id == uuid.UUID(release_id))
        return [_revision(row) for row in self._session.scalars(query.order_by(FlagRevisionRow.revision))]

    def add(self, flag: Flag, revision: Revision, *, venture_id: uuid.UUID) -> None:
        """A new flag with its first revision. Raises: ConflictError when somebody else made it first."""
        if self._session.get(FlagRow, flag.key) is not None:
            raise ConflictError(f"flag {flag.key!r} exists already")
        self._session.add(
            FlagRow(
                key=flag.key, venture_id=venture_id, state=_json(flag.state), declared=_json(flag.declared), revision=flag.revision,
                created_at=flag.created_at, updated_at=flag.updated_at,
            )
        )  # fmt: skip
        self._session.flush()
        self._record(revision)

    def change(self, before: Flag, after: Flag, revision: Revision) -> None:
        """Put ``after`` in the place of ``before``. Raises: RevisionMismatchError when that is no longer the newest."""
        done = self._session.execute(
            update(FlagRow)
            .where(FlagRow.key == before.key, FlagRow.revision == before.revision)
            .values(state=_json(after.state), declared=_json(after.declared), revision=after.revision, updated_at=after.updated_at)
            .execution_options(synchronize_session=False)
        )
        if done.rowcount != 1:  # type: ignore[attr-defined]
            raise RevisionMismatchError(f"flag {before.key!r} is no longer at revision {before.revision}: somebody changed it meanwhile")
        self._record(revision)

    def bump(self, environments: Collection[Environment], *, now: datetime) -> None:
        """Tell every evaluator of these environments that there is news."""
        for environment in environments:
            row = self._session.get(FlagVersionRow, environment.value, with_for_update=True, populate_existing=True)
            if row is None:
                self._session.add(FlagVersionRow(environment=environment.value, version=1, changed_at=now))
            else:
                row.version, row.changed_at = row.version + 1, now
            self._session.flush()

    def _record(self, revision: Revision) -> None:
        self._session.add(
            FlagRevisionRow(
                flag_key=revision.key, revision=revision.revision, action=revision.action, summary=revision.summary,
                before=_json(revision.before), after=_json(revision.after) or {}, author=revision.author, origin=revision.origin,
                reason=revision.reason, release_id=uuid.UUID(revision.release_id) if revision.release_id else None, at=revision.at,
            )
        )  # fmt: skip
        self._session.flush()

    def history(self, key: str, *, limit: int, before: int | None = None) -> list[Revision]:
        """Revisions of a flag, newest first; ``before`` a revision for the next page."""
        query = select(FlagRevisionRow).where(FlagRevisionRow.flag_key == key).order_by(FlagRevisionRow.revision.desc()).limit(limit)
        if before is not None:
            query = query.where(FlagRevisionRow.revision < before)
        return [_revision(row) for row in self._session.scalars(query)]

    def state_at(self, key: str, revision: int) -> FlagState | None:
        """The flag after a revision; None when there is no such revision."""
        query = select(FlagRevisionRow.after).where(FlagRevisionRow.flag_key == key, FlagRevisionRow.revision == revision)
        found = self._session.scalar(query)
        return None if found is None else FlagState.model_validate(found)

    @staticmethod
    def _select() -> Select[tuple[FlagRow, str]]:
        return select(FlagRow, Venture.name).join(Venture, Venture.id == FlagRow.venture_id)


class FlagChanges:
    """Repository of changes that wait, or waited, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, change: Change) -> None:
        """A new proposed or scheduled change."""
        self._session.add(
            FlagChangeRow(
                id=uuid.UUID(change.id), flag_key=change.key, operation=OPERATION.dump_python(change.operation, mode="json"),
                state=change.state.value, base_revision=change.base_revision, due_at=change.due_at, author=change.author,
                origin=change.origin, reason=change.reason, release_id=uuid.UUID(change.release_id) if change.release_id else None,
                created_at=change.created_at, decided_by=change.decided_by, decided_at=change.decided_at, outcome=change.outcome,
            )
        )  # fmt: skip
        self._session.flush()
        self._refresh_due()

    def get(self, key: str, change_id: str) -> Change:
        """Raises: NotFoundError."""
        try:
            row = self._session.get(FlagChangeRow, uuid.UUID(change_id), populate_existing=True)
        except ValueError:
            row = None
        if row is None or row.flag_key != key:
            raise NotFoundError(f"flag {key[:80]!r} has no change {change_id[:80]!r}")
        return _change(row)

    def of(
        self, key: str | None = None, *, states: Collection[ChangeState] = (), limit: int = 200, before: str | None = None,
        ventures: Collection[str] | None = None,
    ) -> list[Change]:  # fmt: skip
        """Changes of one flag or of all, or of those of ``ventures``, newest first; ``before`` is the id of the last one seen."""
        query = select(FlagChangeRow).order_by(FlagChangeRow.id.desc()).limit(limit)
        if before is not None:
            query = query.where(FlagChangeRow.id < uuid.UUID(before))
        if ventures is not None:
            seen = select(FlagRow.key).join(Venture, Venture.id == FlagRow.venture_id).where(Venture.name.in_(sorted(ventures)))
            query = query.where(FlagChangeRow.flag_key.in_(seen))
        if key is not None:
            query = query.where(FlagChangeRow.flag_key == key)
        if states:
            query = query.where(FlagChangeRow.state.in_([state.value for state in states]))
        return [_change(row) for row in self._session.scalars(query)]

    def due(self, now: datetime) -> list[Change]:
        """Scheduled changes whose time has come, in the order of their times."""
        query = select(FlagChangeRow).where(FlagChangeRow.state == ChangeState.SCHEDULED.value, FlagChangeRow.due_at <= now)
        return [_change(row) for row in self._session.scalars(query.order_by(FlagChangeRow.due_at, FlagChangeRow.id))]

    def move(self, change: Change, state: ChangeState, *, by: str, outcome: str = "", now: datetime) -> None:
        """Compare-and-set of a change's state. Raises: IllegalTransitionError, ConflictError when somebody else decided first."""
        if state not in CHANGE_EDGES.get(change.state, frozenset()):
            raise IllegalTransitionError(f"change {change.id} is {change.state} and cannot become {state}")
        done = self._session.execute(
            update(FlagChangeRow)
            .where(FlagChangeRow.id == uuid.UUID(change.id), FlagChangeRow.state == change.state.value)
            .values(state=state.value, decided_by=by, decided_at=now, outcome=outcome)
            .execution_options(synchronize_session=False)
        )
        if done.rowcount != 1:  # type: ignore[attr-defined]
            raise ConflictError(f"change {change.id} is no longer {change.state}: somebody else decided first")
        self._refresh_due()

    def _refresh_due(self) -> None:
        query = select(func.min(FlagChangeRow.due_at)).where(FlagChangeRow.state == ChangeState.SCHEDULED.value)
        self._session.execute(
            update(FlagVersionRow).values(next_due_at=query.scalar_subquery()).execution_options(synchronize_session=False)
        )


def new_change_id() -> str:
    """Sorts by time."""
    return str(new_id())


def _json(model: FlagState | FlagSpec | None) -> dict[str, Any] | None:
    return None if model is None else model.model_dump(mode="json")


def _flag(row: FlagRow, venture: str) -> Flag:
    return Flag(
        key=row.key, venture=venture, state=FlagState.model_validate(row.state),
        declared=None if row.declared is None else FlagSpec.model_validate(row.declared), revision=row.revision,
        created_at=row.created_at, updated_at=row.updated_at,
    )  # fmt: skip


def _revision(row: FlagRevisionRow) -> Revision:
    return Revision(
        key=row.flag_key, revision=row.revision, action=row.action, summary=row.summary,
        before=None if row.before is None else FlagState.model_validate(row.before), after=FlagState.model_validate(row.after),
        author=row.author, origin=row.origin, reason=row.reason, release_id=str(row.release_id) if row.release_id else None, at=row.at,
    )  # fmt: skip


def _change(row: FlagChangeRow) -> Change:
    return Change(
        id=str(row.id), key=row.flag_key, operation=OPERATION.validate_python(row.operation), state=ChangeState(row.state),
        base_revision=row.base_revision, due_at=row.due_at, author=row.author, origin=row.origin, reason=row.reason,
        release_id=str(row.release_id) if row.release_id else None, created_at=row.created_at, decided_by=row.decided_by,
        decided_at=row.decided_at, outcome=row.outcome,
    )  # fmt: skip
