"""The audit log: entries are chained at the end of the transaction that made them, and never changed but by an erasure."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, Select, and_, insert, or_, select, text, update
from sqlalchemy.orm import Session

from productops.domain.governance_audit import (
    GENESIS,
    SALT_BYTES,
    TOMBSTONE,
    AuditEntry,
    AuditFilter,
    AuditPage,
    actor_ref,
    canonical,
    chained,
    checked,
    clean,
    erased_copy,
)
from productops.domain.governance_audit_proof import Verifier
from productops.errors import ConflictError, NotFoundError
from productops.store.governance_audit_read import read_entries
from productops.store.tables import AuditPersonRow, AuditRow

_CHAIN_LOCK = 7_305_001  # any constant: PostgreSQL's advisory lock that orders the writers of the chain
# Writers of flags count on being alone from their first entry on: they change several rows of one table, in no fixed order.
# Writers of access count what is left after them: admins.
_ALONE = {"flag": 7_305_002, "access": 7_305_003}
_CHUNK = 10_000
_NO_END = 2**62


class Audit:
    """Repository of the audit log within one transaction. Entries are only ever added."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._pending: list[AuditEntry] = []
        self._at: list[datetime] = []

    def add(
        self, action: str, subject: str, *, actor: str, origin: str, now: datetime, reason: str = "",
        detail: Mapping[str, Any] | None = None, before: object = None, after: object = None,
    ) -> None:  # fmt: skip
        """Append an entry. ``before`` and ``after`` are the state around a change; they become members of the detail.

        The entry gets its number and hash at the end of the transaction, so that writers wait for each other only there.
        Raises: InvalidInputError for what no entry can hold.
        """
        content = dict(detail or {})
        content |= {name: state for name, state in (("before", before), ("after", after)) if state is not None}
        actor, subject, origin, action = clean(actor), clean(subject), clean(origin), clean(action)
        checked(actor=actor, origin=origin, action=action, subject=subject)
        self._lock(_ALONE.get(action.partition(".")[0]))
        self._pending.append(
            AuditEntry(
                seq=0, at=now.astimezone(UTC).isoformat(), actor=actor, actor_ref="", actor_salt="", origin=origin, action=action,
                subject=subject, reason=clean(reason), detail=canonical(content), salt=secrets.token_hex(SALT_BYTES), erased="",
                previous_hash="", hash="",
            )
        )  # fmt: skip
        self._at.append(now)

    def forget(self) -> None:
        """Drop what was added and not chained yet."""
        self._pending.clear()
        self._at.clear()

    def seal(self) -> None:
        """Give what was added its place in the chain. From here to the end of the transaction no other writer can."""
        if not self._pending:
            return
        self._session.flush()
        self._lock(_CHAIN_LOCK)
        seq, previous = self.head()
        refs = self._refs({entry.actor for entry in self._pending}, now=self._at[-1])
        rows = []
        for entry, at in zip(self._pending, self._at, strict=True):
            placed = chained(entry._replace(actor_ref=refs[entry.actor]), seq=seq + 1, previous_hash=previous)
            seq, previous = placed.seq, placed.hash
            values = placed._asdict() | {"at": at}
            rows.append({name: value for name, value in values.items() if name not in {"actor", "actor_salt"}})
        self._session.execute(insert(AuditRow.__table__), rows)  # type: ignore[arg-type]  # a Table, which FromClause hides
        self.forget()

    def _lock(self, key: int | None) -> None:
        """Wait for others that hold the lock; it is given back with the end of the transaction. SQLite has one writer at a time anyway."""
        if key is not None and self._session.get_bind().dialect.name == "postgresql":
            self._session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})

    def _refs(self, names: set[str], *, now: datetime) -> dict[str, str]:
        """The present ``actor_ref`` of each name; made for a new one."""
        people = select(AuditPersonRow.name, AuditPersonRow.ref).where(AuditPersonRow.name.in_(names), AuditPersonRow.salt != "")
        known = dict(self._session.execute(people).tuples().all())
        for name in sorted(names - known.keys()):
            salt = secrets.token_hex(SALT_BYTES)
            known[name] = actor_ref(salt, name)
            self._session.execute(insert(AuditPersonRow).values(ref=known[name], name=name, salt=salt, since=now))
        return known

    def head(self) -> tuple[int, str]:
        """Number and hash of the newest entry; 0 and sixty-four zeros when there is none."""
        last = self._session.execute(select(AuditRow.seq, AuditRow.hash).order_by(AuditRow.seq.desc()).limit(1)).first()
        return (last[0], last[1]) if last else (0, GENESIS)

    def following(self, seq: int, *, limit: int = _CHUNK, until: int = _NO_END) -> list[AuditEntry]:
        """The entries after a number, up to ``until``, oldest first."""
        self.seal()
        return read_entries(self._session, after=seq, until=until, limit=limit)

    def first_broken(self) -> int | None:
        """Number of the first entry that does not fit the chain; None when all do."""
        verifier, seq = Verifier(), 0
        while entries := self.following(seq):
            seq = entries[-1].seq
            if not verifier.take(entries):
                break
        broken = verifier.finish().broken
        return broken.seq if broken else None

    def entries(self, *, subject: str | None = None, limit: int = 1000) -> list[dict[str, Any]]:
        """The newest entries first, as plain values."""
        self.seal()
        query = _entries().order_by(AuditRow.seq.desc()).limit(limit)
        if subject:
            query = query.where(AuditRow.subject == subject)
        shown = ("seq", "at", "actor", "origin", "action", "subject", "reason", "hash")
        found = [_entry(row) for row in self._session.execute(query)]
        return [{name: getattr(entry, name) for name in shown} | {"detail": entry.content} for entry in found]

    def get(self, seq: int) -> AuditEntry:
        """One entry. Raises: NotFoundError."""
        self.seal()
        row = self._session.execute(_entries().where(AuditRow.seq == seq)).first()
        if row is None:
            raise NotFoundError(f"the audit log has no entry {seq}; its newest is {self.head()[0]}")
        return _entry(row)

    def page(self, wanted: AuditFilter, *, limit: int, after: tuple[datetime, int] | None = None) -> AuditPage:
        """Newest first by time; ``after`` is where an earlier page ended. Each filter has an index in this order, so no page is slow."""
        self.seal()
        query = _entries().order_by(AuditRow.at.desc(), AuditRow.seq.desc()).limit(limit + 1)
        conditions = self._conditions(wanted)
        if after is not None:
            at, seq = after
            conditions += [AuditRow.at <= at, or_(AuditRow.at < at, and_(AuditRow.at == at, AuditRow.seq < seq))]
        hint = _index(wanted)
        if hint:
            query = query.with_hint(AuditRow, f"INDEXED BY {hint}", "sqlite")
        rows = self._session.execute(query.where(*conditions)).all()
        more = len(rows) > limit
        rows = rows[:limit]
        return AuditPage([_entry(row) for row in rows], (rows[-1].at, rows[-1].seq) if more else None)

    def _conditions(self, wanted: AuditFilter) -> list[Any]:
        conditions: list[Any] = []
        if wanted.subject is not None:
            conditions.append(AuditRow.subject == wanted.subject)
        if wanted.actor is not None:
            # Looked up first: the name is usually one ref, and one ref keeps the order of the index.
            people = select(AuditPersonRow.ref).where(AuditPersonRow.name == wanted.actor)
            refs = list(self._session.scalars(people.limit(500)))
            conditions.append(AuditRow.actor_ref == refs[0] if len(refs) == 1 else AuditRow.actor_ref.in_(refs))
        if wanted.action is not None:
            conditions.append(AuditRow.action == wanted.action)
        if wanted.since is not None:
            conditions.append(AuditRow.at >= wanted.since)
        if wanted.until is not None:
            conditions.append(AuditRow.at < wanted.until)
        return conditions

    def people(self) -> Iterator[tuple[str, str]]:
        """``actor_ref`` and name of everybody whose name was not erased."""
        query = select(AuditPersonRow.ref, AuditPersonRow.name).where(AuditPersonRow.salt != "").execution_options(yield_per=_CHUNK)
        yield from self._session.execute(query).tuples()

    def erase_person(self, ref: str) -> bool:
        """Put a tombstone in the place of a name; false when there is one already."""
        self.seal()
        changed = self._session.execute(
            update(AuditPersonRow).where(AuditPersonRow.ref == ref, AuditPersonRow.salt != "").values(name=TOMBSTONE, salt="")
        )
        return bool(changed.rowcount)  # type: ignore[attr-defined]  # an UPDATE has one

    def erase_texts(self, entry: AuditEntry, texts: Mapping[str, str]) -> AuditEntry:
        """Replace texts of an entry as ``entry`` was read. Raises: ConflictError when another erasure was first."""
        self.seal()
        after = erased_copy(entry, texts)
        changed = self._session.execute(
            update(AuditRow)
            .where(AuditRow.seq == entry.seq, AuditRow.salt == entry.salt, AuditRow.erased == entry.erased)
            .where(AuditRow.subject == entry.subject, AuditRow.reason == entry.reason, AuditRow.detail == entry.detail)
            .values(subject=after.subject, reason=after.reason, detail=after.detail, salt="", erased=after.erased)
        )
        if changed.rowcount != 1:  # type: ignore[attr-defined]  # an UPDATE has one
            raise ConflictError(f"entry {entry.seq} was changed by another erasure at the same moment; repeat this one")
        return after


def _entries() -> Select[Any]:
    row, person = AuditRow, AuditPersonRow
    return select(
        row.seq, row.at, person.name, row.actor_ref, person.salt, row.origin, row.action, row.subject, row.reason, row.detail,
        row.salt.label("row_salt"), row.erased, row.previous_hash, row.hash,
    ).outerjoin(person, person.ref == row.actor_ref)  # fmt: skip


def _entry(row: Row[Any]) -> AuditEntry:
    seq, at, name, ref, salt, *rest = row
    return AuditEntry(seq, at.isoformat(), name or "", ref, salt or "", *rest)


def _index(wanted: AuditFilter) -> str:
    """The index for SQLite, which keeps no statistics of its own: of what was asked for, a subject leaves the fewest."""
    if wanted.subject is not None:
        return "ix_audit_entries_subject_at_seq"
    if wanted.actor is not None and wanted.action is not None:
        return "ix_audit_entries_actor_ref_action_at_seq"
    if wanted.actor is not None:
        return "ix_audit_entries_actor_ref_at_seq"
    return "ix_audit_entries_action_at_seq" if wanted.action is not None else "ix_audit_entries_at_seq"
