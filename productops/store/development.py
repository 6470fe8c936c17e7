"""The work as tools tell it: written so that an older word never replaces a newer one, and nothing is there twice."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from productops.domain.development import (
    KINDS,
    NAMES,
    RUN_ENDED,
    Change,
    Deployment,
    Feature,
    Gone,
    Move,
    Read,
    Told,
    WorkItem,
    Written,
    digest,
)
from productops.domain.development_merge import merged, observed_moves
from productops.domain.development_sync import DevelopmentSource
from productops.errors import ConflictError, NotFoundError
from productops.store.development_rows import TABLES, Row, columns_of, record_of
from productops.store.identity import new_id
from productops.store.tables import DevelopmentKeyRow

R = TypeVar("R", bound=Read)
AT_ONCE = 400  # of names in one question; SQLite takes no more than some thousand


class Development:
    """Repository of what was read, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def put(
        self, source: DevelopmentSource, told: Iterable[Told], *, now: datetime, read_at: datetime | None = None, observe: bool = False
    ) -> dict[str, Written]:
        """Store what a source tells; returns what became of it by kind.

        ``read_at``: asked of the source itself, not before then; left out for what was sent to us, which may be old.
        ``observe``: make moves of the difference, for tools that tell no history. Raises: ConflictError when somebody else stored the
        same thing at this moment (try again).
        """
        found: dict[type[Read], dict[str, Read]] = defaultdict(dict)
        gone: list[Gone] = []
        for each in told:
            if isinstance(each, Gone):
                gone.append(each)
                continue
            before = found[type(each)].get(each.external_id)
            if before is None or before.changed_at <= each.changed_at:
                found[type(each)][each.external_id] = merged(each, before)
        written: dict[str, Written] = defaultdict(Written)
        for kind in (each for each in KINDS if each in found):
            done, moves = self._put_kind(source, kind, list(found[kind].values()), now=now, read_at=read_at, observe=observe)
            written[NAMES[kind]] += done
            if moves:
                written[NAMES[Move]] += self._put_kind(source, Move, moves, now=now, read_at=read_at, observe=False)[0]
        for each in gone:
            written[NAMES[each.kind]] += self._bury(source, each, now=now)
        return dict(written)

    def _put_kind(
        self, source: DevelopmentSource, kind: type[Read], records: Sequence[Read], *, now: datetime, read_at: datetime | None,
        observe: bool,
    ) -> tuple[Written, list[Read]]:  # fmt: skip
        known = self._known(source, kind, [r.external_id for r in records])
        created: list[dict[str, Any]] = []
        changed: list[dict[str, Any]] = []
        same: list[uuid.UUID] = []
        moves: list[Read] = []
        stale = 0
        for told in records:
            row = known.get(told.external_id)
            old = record_of(kind, row) if row is not None else None
            if row is not None and _is_stale(told, row, read_at=read_at):
                stale += 1
                continue
            record = merged(told, old)
            mark = digest(record)
            if row is not None and row.digest == mark and row.deleted_at is None and row.changed_at == record.changed_at:
                same.append(row.id)
                continue
            values = columns_of(record) | {"seen_at": now, "deleted_at": None, "digest": mark}
            if row is None:
                created.append(values | {"id": new_id(), "venture": source.venture, "source": source.name, "revision": 1})
            else:
                changed.append(values | {"id": row.id, "revision": row.revision + 1})
            if observe and isinstance(record, WorkItem):
                moves += observed_moves(record, old if isinstance(old, WorkItem) else None)
        self._write(kind, created, changed, same if read_at is not None else [], now=now)
        if kind in {Feature, WorkItem, Change}:
            self._name(source, kind, {str(v["key"]): str(v["external_id"]) for v in (*created, *changed)})
        return Written(created=len(created), changed=len(changed), unchanged=len(same), stale=stale), moves

    def _known(self, source: DevelopmentSource, kind: type[Read], ids: Sequence[str]) -> dict[str, Row]:
        table = TABLES[kind]
        found: dict[str, Row] = {}
        for start in range(0, len(ids), AT_ONCE):
            part = sorted(ids[start : start + AT_ONCE])
            query = select(table.__table__).where(table.source == source.name, table.external_id.in_(part)).with_for_update()
            found |= {row.external_id: row for row in self._session.execute(query)}
        return found

    def _write(
        self, kind: type[Read], created: list[dict[str, Any]], changed: list[dict[str, Any]], same: list[uuid.UUID], *, now: datetime
    ) -> None:
        table = TABLES[kind]
        try:
            if created:
                self._session.execute(insert(table), created)
        except IntegrityError as error:
            raise ConflictError(f"somebody else stored the same {NAMES[kind]} at this moment; try again") from error
        if changed:
            self._session.execute(update(table), changed)
        for start in range(0, len(same), AT_ONCE):
            part = same[start : start + AT_ONCE]
            self._session.execute(update(table).where(table.id.in_(part)).values(seen_at=now).execution_options(synchronize_session=False))

    def _name(self, source: DevelopmentSource, kind: type[Read], keys: Mapping[str, str]) -> None:
        row = DevelopmentKeyRow
        wanted = sorted(keys)
        known: dict[str, str] = {}
        for start in range(0, len(wanted), AT_ONCE):
            query = select(row.key, row.external_id).where(row.source == source.name, row.key.in_(wanted[start : start + AT_ONCE]))
            known |= {found.key: found.external_id for found in self._session.execute(query)}
        added = [
            {"source": source.name, "key": key, "venture": source.venture, "kind": NAMES[kind], "external_id": keys[key]}
            for key in wanted if key not in known
        ]  # fmt: skip
        if added:
            self._session.execute(insert(row), added)
        for key in (key for key in wanted if key in known and known[key] != keys[key]):
            self._session.execute(
                update(row).where(row.source == source.name, row.key == key).values(external_id=keys[key], kind=NAMES[kind])
            )

    def _bury(self, source: DevelopmentSource, gone: Gone, *, now: datetime) -> Written:
        """Mark as deleted what is not newer than its deletion. What never came is not made: its older news are dropped by their time."""
        table = TABLES[gone.kind]
        changed = self._session.execute(
            update(table)
            .where(
                table.source == source.name, table.external_id == gone.external_id, table.deleted_at.is_(None), table.changed_at <= gone.at
            )
            .values(deleted_at=gone.at, changed_at=gone.at, seen_at=now, revision=table.revision + 1)
            .execution_options(synchronize_session=False)
        )
        return Written(deleted=int(changed.rowcount))  # type: ignore[attr-defined]

    def unseen(self, source: str, kinds: Collection[type[Read]], scope: str, *, since: datetime) -> tuple[int, int]:
        """How many of a scope were not seen since, and how many there are."""
        missing = total = 0
        for kind in kinds:
            table = TABLES[kind]
            mine = (table.source == source, table.scope == scope, table.deleted_at.is_(None))
            total += self._session.scalar(select(func.count()).select_from(table).where(*mine)) or 0
            missing += self._session.scalar(select(func.count()).select_from(table).where(*mine, table.seen_at < since)) or 0
        return missing, total

    def bury_unseen(self, source: str, kinds: Collection[type[Read]], scope: str, *, since: datetime, now: datetime) -> int:
        """What a full look did not see is deleted; returns how many."""
        count = 0
        for kind in kinds:
            table = TABLES[kind]
            changed = self._session.execute(
                update(table)
                .where(table.source == source, table.scope == scope, table.deleted_at.is_(None), table.seen_at < since)
                .values(deleted_at=now, revision=table.revision + 1)
                .execution_options(synchronize_session=False)
            )
            count += int(changed.rowcount)  # type: ignore[attr-defined]
        return count

    def without_details(self, source: str, scope: str, *, after: str = "", limit: int = 25) -> list[Change | Deployment]:
        """Changes that are newer than what is known of their page, then deployments whose end is not known; by id, to go through once."""
        found: list[Any] = []
        for kind, lacking in ((Change, _lacks_page()), (Deployment, _lacks_end())):
            table = TABLES[kind]
            query = select(table.__table__).where(table.source == source, table.scope == scope, table.deleted_at.is_(None), lacking)
            mark, _, last = after.partition(":")
            if mark == NAMES[kind]:
                query = query.where(table.id > uuid.UUID(last))
            elif mark == NAMES[Deployment]:
                continue
            rows = self._session.execute(query.order_by(table.id).limit(limit - len(found)))
            found += [record_of(kind, row) for row in rows]
            if len(found) >= limit:
                break
        return found

    def of(
        self, kind: type[R], *, ventures: Collection[str] | None = None, changed_since: datetime | None = None, deleted: bool = False,
        after: str | None = None, limit: int = 1000, **equal: Any,
    ) -> list[R]:  # fmt: skip
        """Things of a kind by id (in the order they came in). ``after``: id of the last one seen. ``equal``: fields with their value, or a
        collection of values: ``source="github"``, ``stage=[Stage.DOING]``, ``feature=…``. ``ventures`` None: all.
        """
        table = TABLES[kind]
        query = select(table.__table__).order_by(table.id).limit(limit)
        if ventures is not None:
            query = query.where(table.venture.in_(sorted(ventures)))
        if not deleted:
            query = query.where(table.deleted_at.is_(None))
        if changed_since is not None:
            query = query.where(table.changed_at >= changed_since)
        if after:
            query = query.where(table.id > uuid.UUID(after))
        for name, value in equal.items():
            column = getattr(table, name)
            many = isinstance(value, (list, tuple, set, frozenset))
            query = query.where(column.in_(list(value)) if many else column == value)
        return [record_of(kind, row) for row in self._session.execute(query)]

    def get(self, kind: type[R], thing_id: str) -> R:
        """By our id, deleted ones too. Raises: NotFoundError."""
        table = TABLES[kind]
        try:
            row = self._session.execute(select(table.__table__).where(table.id == uuid.UUID(thing_id))).one_or_none()
        except ValueError:
            row = None
        if row is None:
            raise NotFoundError(f"there is none of {NAMES[kind]} with the id {thing_id[:80]!r}")
        return record_of(kind, row)

    def referred(self, kind: type[R], source: str, references: Iterable[str]) -> dict[str, R]:
        """What references (external ids, or keys of now or earlier) of a source lead to, by reference; unknown ones are left out."""
        wanted = sorted({each for each in references if each})
        keys = DevelopmentKeyRow
        found: dict[str, R] = {}
        for start in range(0, len(wanted), AT_ONCE):
            part = wanted[start : start + AT_ONCE]
            named = select(keys.key, keys.external_id).where(keys.source == source, keys.key.in_(part))
            leads: dict[str, str] = {each.key: each.external_id for each in self._session.execute(named)}
            table = TABLES[kind]
            ids = {*part, *leads.values()}
            rows = self._session.execute(select(table.__table__).where(table.source == source, table.external_id.in_(sorted(ids))))
            by_id = {row.external_id: record_of(kind, row) for row in rows}
            found |= {ref: by_id[at] for ref in part if (at := ref if ref in by_id else leads.get(ref, "")) in by_id}
        return found

    def items_of(self, feature: Feature, *, deleted: bool = False, limit: int = 10_000) -> list[WorkItem]:
        """The work items of a feature, named by its id or by any key it ever had."""
        keys = DevelopmentKeyRow
        query = select(keys.key).where(keys.source == feature.source, keys.external_id == feature.external_id)
        names = {feature.external_id, feature.key, *self._session.scalars(query)}
        return self.of(WorkItem, source=feature.source, feature=sorted(names), deleted=deleted, limit=limit)

    def changes_on(self, venture: str, keys: Collection[str], *, limit: int = 1000) -> list[Change]:
        """Changes of a venture that name one of these keys, whichever tool either is of; newest first."""
        wanted, found, table = set(keys), [], TABLES[Change]
        query = select(table.__table__).where(table.venture == venture, table.deleted_at.is_(None)).order_by(table.changed_at.desc())
        for row in self._session.execute(query.execution_options(yield_per=500)):
            if wanted.intersection(row.works_on):
                found.append(record_of(Change, row))
                if len(found) >= limit:
                    break
        return found

    def counts(self, source: str) -> dict[str, int]:
        """How many of each kind a source has, deleted ones not counted."""
        return {
            NAMES[kind]: self._session.scalar(
                select(func.count()).select_from(table).where(table.source == source, table.deleted_at.is_(None))
            ) or 0
            for kind, table in TABLES.items()
        }  # fmt: skip


def _is_stale(record: Read, row: Row, *, read_at: datetime | None) -> bool:
    """Whether more is known already. What was deleted comes back only by news from after that."""
    if row.deleted_at is not None:
        return record.changed_at <= row.deleted_at and (read_at is None or read_at <= row.deleted_at)
    return bool(record.changed_at < row.changed_at)


def _lacks_page() -> Any:
    table = TABLES[Change]
    return or_(table.details_at.is_(None), table.details_at < table.changed_at)


def _lacks_end() -> Any:
    table = TABLES[Deployment]
    return or_(table.status.is_(None), table.status.not_in([state.value for state in RUN_ENDED]))
