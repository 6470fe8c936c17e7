"""Log lines in chunks: kept, found by their words, followed, and forgotten."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy import Select, cast, delete, func, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.orm import Session

from productops.domain.monitoring_logs import LogOffset, LogQuery, LogService, unix_us
from productops.domain.monitoring_logs_chunk import Chunk, pack, unpack, wanted_words
from productops.domain.release import Environment
from productops.store.monitoring_logs_errors import LogErrors
from productops.store.monitoring_logs_templates import LogTemplates
from productops.store.tables import LogChunkRow, LogOffsetRow, LogServiceRow

FOUND = (LogChunkRow.id, LogChunkRow.venture, LogChunkRow.body)
Found = tuple[int, str, bytes]


class Logs:
    """Repository of log lines within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @cached_property
    def templates(self) -> LogTemplates:
        """Shapes of lines, and how often each came."""
        return LogTemplates(self._session)

    @cached_property
    def errors(self) -> LogErrors:
        """Errors by fingerprint, and how often each version had them."""
        return LogErrors(self._session)

    @property
    def _on_postgresql(self) -> bool:
        return self._session.get_bind().dialect.name == "postgresql"

    # ---- chunks

    def add(self, chunk: Chunk, *, now: datetime) -> int:
        """Keep a chunk; returns its id."""
        values: dict[str, Any] = {
            "venture": chunk.venture, "first_us": chunk.first_us, "last_us": chunk.last_us, "made_us": unix_us(now),
            "lines": chunk.lines, "size_bytes": len(chunk.body), "body": chunk.body,
        }  # fmt: skip
        if self._on_postgresql:
            values["words"] = func.array_to_tsvector(cast(list(chunk.words), postgresql.ARRAY(postgresql.TEXT)))
        made = self._session.execute(insert(LogChunkRow).values(**values).returning(LogChunkRow.id)).scalar_one()
        if not self._on_postgresql:
            self._session.execute(
                text("INSERT INTO log_chunk_words(rowid, words) VALUES (:id, :words)"), {"id": made, "words": " ".join(chunk.words)}
            )
        return int(made)

    def find(self, ventures: Collection[str] | None, query: LogQuery, *, before: int | None, limit: int) -> list[Found]:
        """Chunks (id, venture, body) that may have such lines, below ``before``, the newest first. ``ventures``: only of these."""
        wanted = self._within(select(LogChunkRow.id), ventures, query)
        if before is not None:
            wanted = wanted.where(LogChunkRow.id < before)
        whole, beginnings = wanted_words(query)
        if whole or beginnings:
            wanted = self._with_words(wanted, whole, beginnings, before)
        # Ids first, from indexes alone: to sort whole rows the database would read every body there is.
        ids = list(self._session.scalars(wanted.order_by(LogChunkRow.id.desc()).limit(limit)))
        bodies = select(*FOUND).where(LogChunkRow.id.in_(ids)).order_by(LogChunkRow.id.desc())
        return [(int(i), venture, body) for i, venture, body in self._session.execute(bodies)]

    def _within(self, wanted: Select[Any], ventures: Collection[str] | None, query: LogQuery) -> Select[Any]:
        if ventures is not None:
            wanted = wanted.where(LogChunkRow.venture.in_(sorted(ventures)))
        if query.venture is not None:
            wanted = wanted.where(LogChunkRow.venture == query.venture)
        if query.since is not None:
            wanted = wanted.where(LogChunkRow.last_us >= unix_us(query.since))
        if query.until is not None:
            wanted = wanted.where(LogChunkRow.first_us < unix_us(query.until))
        return wanted

    def _with_words(self, wanted: Select[Any], whole: Sequence[str], beginnings: Sequence[str], before: int | None) -> Select[Any]:
        if self._on_postgresql:
            parts = [_quoted(word) for word in whole] + [f"{_quoted(word)}:*" for word in beginnings]
            return wanted.where(LogChunkRow.words.op("@@")(cast(" & ".join(parts), TSQUERY)))
        parts = [f'"{word}"' for word in whole] + [f'"{word}"*' for word in beginnings]
        # The virtual table gives rows in the order of their ids and stops as soon as the page is full.
        below = "" if before is None else " AND rowid < :below"
        having = text(f"SELECT rowid FROM log_chunk_words WHERE log_chunk_words MATCH :words{below} ORDER BY rowid DESC")  # noqa: S608 - no input in it
        bound = having.bindparams(words=" AND ".join(parts), **({} if before is None else {"below": before}))
        found = bound.columns(rowid=LogChunkRow.id.type).subquery("found")
        return wanted.join(found, found.c.rowid == LogChunkRow.id)

    def after(self, seen: int, *, limit: int) -> list[Found]:
        """Chunks above an id, the oldest first."""
        wanted = select(*FOUND).where(LogChunkRow.id > seen).order_by(LogChunkRow.id).limit(limit)
        return [(int(i), venture, body) for i, venture, body in self._session.execute(wanted)]

    def newest(self) -> int:
        """Id of the newest chunk; 0 without any."""
        return int(self._session.scalar(select(func.max(LogChunkRow.id))) or 0)

    def totals(self) -> tuple[int, int, int]:
        """Chunks, lines and bytes of bodies."""
        chunks, lines, size = self._session.execute(
            select(func.count(), func.sum(LogChunkRow.lines), func.sum(LogChunkRow.size_bytes)).select_from(LogChunkRow)
        ).one()
        return int(chunks), int(lines or 0), int(size or 0)

    def too_old(self, *, before: datetime, bytes_max: int, limit: int) -> list[int]:
        """Ids of the oldest chunks that came in before a time, or that are more than ``bytes_max`` with all newer ones."""
        old = select(LogChunkRow.id).where(LogChunkRow.made_us < unix_us(before)).order_by(LogChunkRow.id).limit(limit)
        found = [int(each) for each in self._session.scalars(old)]
        if found:
            return found
        excess = self.totals()[2] - bytes_max
        if excess <= 0:
            return []
        for chunk, size in self._session.execute(select(LogChunkRow.id, LogChunkRow.size_bytes).order_by(LogChunkRow.id).limit(limit)):
            found.append(int(chunk))
            excess -= size
            if excess <= 0:
                break
        return found

    def forget(self, ids: Sequence[int]) -> None:
        """Delete chunks."""
        if not self._on_postgresql:
            rows = self._session.execute(select(*FOUND).where(LogChunkRow.id.in_(ids)))
            # The index has no copy of the words: they are worked out once more to be taken out of it.
            gone = [{"id": i, "words": " ".join(pack(unpack(venture, body)).words)} for i, venture, body in rows]
            if gone:
                forgetting = "INSERT INTO log_chunk_words(log_chunk_words, rowid, words) VALUES ('delete', :id, :words)"
                self._session.execute(text(forgetting), gone)
        self._session.execute(delete(LogChunkRow).where(LogChunkRow.id.in_(ids)).execution_options(synchronize_session=False))

    # ---- who logs, and how far files were read

    def note_service(self, service: LogService) -> None:
        """Add lines to what a service is known to have logged."""
        row = LogServiceRow
        made = (postgresql.insert(row) if self._on_postgresql else sqlite.insert(row)).values(
            service=service.service, environment=service.environment.value, venture=service.venture, first_at=service.first_at,
            last_at=service.last_at, lines=service.lines, dropped=service.dropped,
        )  # fmt: skip
        more = {
            "last_at": made.excluded.last_at, "lines": row.lines + made.excluded.lines, "dropped": row.dropped + made.excluded.dropped,
            "venture": made.excluded.venture,
        }  # fmt: skip
        self._session.execute(made.on_conflict_do_update(index_elements=["service", "environment"], set_=more))

    def services(self) -> list[LogService]:
        """All that log."""
        rows = self._session.scalars(select(LogServiceRow).order_by(LogServiceRow.service, LogServiceRow.environment))
        return [
            LogService(row.venture, row.service, Environment(row.environment), row.first_at, row.last_at, row.lines, row.dropped)
            for row in rows
        ]

    def offsets(self) -> dict[str, LogOffset]:
        """How far the output of each instance was read."""
        rows = self._session.scalars(select(LogOffsetRow))
        return {row.instance: LogOffset(row.path, row.device, row.inode, row.offset, row.head) for row in rows}

    def keep_offset(self, instance: str, to: LogOffset, *, now: datetime) -> None:
        """Note how far it was read: with the lines, or not at all."""
        self._session.merge(
            LogOffsetRow(
                instance=instance, path=to.path, device=to.device, inode=to.inode, offset=to.offset, head=to.head, updated_at=now
            )
        )  # fmt: skip

    def move_on(self, instance: str, *, now: datetime) -> None:
        """Note that an instance still writes."""
        self._session.execute(update(LogOffsetRow).where(LogOffsetRow.instance == instance).values(updated_at=now))

    def forget_offsets(self, *, before: datetime) -> None:
        """Forget files that nobody has written since."""
        self._session.execute(delete(LogOffsetRow).where(LogOffsetRow.updated_at < before))


def _quoted(word: str) -> str:
    """A lexeme in a ``tsquery``."""
    return "'" + word.replace("\\", "\\\\").replace("'", "''") + "'"
