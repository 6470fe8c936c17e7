"""Templates of log lines, and how often each came by minute, environment and version."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from productops.domain.monitoring_logs import LogLevel, TemplateCount
from productops.domain.release import Environment
from productops.store.tables import LogTemplateMinuteRow, LogTemplateRow

MinuteKey = tuple[int, Environment, str, int]
"""Template, environment, version, minute (Unix minutes)."""


Shape = tuple[LogLevel, str]
"""Level and text: what is an error is no line of the same words that is none."""


@dataclass(frozen=True, slots=True)
class KnownTemplate:
    """A template as it is stored."""

    id: int
    text: str
    level: LogLevel


class LogTemplates:
    """Repository of templates within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def known(self, service: str, *, limit: int) -> list[KnownTemplate]:
        """Templates of a service, those seen last first."""
        query = select(LogTemplateRow).where(LogTemplateRow.service == service)
        rows = self._session.scalars(query.order_by(LogTemplateRow.last_at.desc(), LogTemplateRow.id.desc()).limit(limit))
        return [KnownTemplate(row.id, row.text, LogLevel(row.level)) for row in rows]

    def put(self, venture: str, service: str, new: Collection[Shape], *, now: datetime) -> dict[Shape, int]:
        """Ids of templates by level and text, made where nobody has yet."""
        keys = {_key(shape): shape for shape in new}
        rows = [
            {
                "venture": venture, "service": service, "key": key, "text": shape[1], "level": int(shape[0]), "first_at": now,
                "last_at": now,
            }
            for key, shape in sorted(keys.items())
        ]  # fmt: skip
        self._session.execute(self._insert(LogTemplateRow).on_conflict_do_nothing(index_elements=["service", "key"]), rows)
        query = select(LogTemplateRow.key, LogTemplateRow.id)
        found = self._session.execute(query.where(LogTemplateRow.service == service, LogTemplateRow.key.in_(keys)))
        return {keys[key]: int(made) for key, made in found}

    def widen(self, texts: Mapping[int, str]) -> None:
        """Let templates be more general than they were."""
        for template, text in sorted(texts.items()):
            self._session.execute(update(LogTemplateRow).where(LogTemplateRow.id == template).values(text=text))

    def count(self, counts: Mapping[MinuteKey, int], *, now: datetime) -> None:
        """Add lines; always in the same order, so that two writers never wait for each other."""
        if not counts:
            return
        rows = [
            {"template_id": template, "environment": where.value, "version": version, "minute": minute, "lines": lines}
            for (template, where, version, minute), lines in sorted(counts.items(), key=lambda item: item[0])
        ]
        made = self._insert(LogTemplateMinuteRow)
        more = {"lines": LogTemplateMinuteRow.lines + made.excluded.lines}
        places = ["template_id", "environment", "version", "minute"]
        self._session.connection().execute(made.on_conflict_do_update(index_elements=places, set_=more), rows)
        seen = sorted({template for template, *_ in counts})
        self._session.execute(update(LogTemplateRow).where(LogTemplateRow.id.in_(seen)).values(last_at=now))

    def counted(self, service: str, environment: Environment, *, since: datetime, until: datetime) -> list[TemplateCount]:
        """What came in a window of whole minutes, the most frequent first."""
        minute, row = LogTemplateMinuteRow, LogTemplateRow
        query = (
            select(row.id, row.text, row.level, minute.version, func.sum(minute.lines), func.min(minute.minute), func.max(minute.minute))
            .join(row, row.id == minute.template_id)
            .where(
                row.service == service, minute.environment == environment.value, minute.minute >= _minute(since),
                minute.minute < _minute(until) + (until.timestamp() % 60 > 0),
            )
            .group_by(row.id, row.text, row.level, minute.version)
        )  # fmt: skip
        found: dict[int, list[Any]] = {}
        for each in self._session.execute(query):
            found.setdefault(each[0], []).append(each)
        counts = [_count(service, parts) for parts in found.values()]
        return sorted(counts, key=lambda count: (-count.count, count.id))

    def texts(self, ids: Collection[int]) -> dict[int, str]:
        """Texts by id."""
        query = select(LogTemplateRow.id, LogTemplateRow.text).where(LogTemplateRow.id.in_(sorted(ids)))
        return {int(template): text for template, text in self._session.execute(query)}

    def forget(self, *, before: datetime) -> None:
        """Delete counts of minutes before a time, and templates that were not seen since."""
        minute, row = LogTemplateMinuteRow, LogTemplateRow
        self._session.execute(delete(minute).where(minute.minute < _minute(before)))
        self._session.execute(delete(row).where(row.last_at < before).execution_options(synchronize_session=False))

    def _insert(self, table: type[Any]) -> Any:
        """Both databases know ON CONFLICT, each under a name of its own."""
        dialect = self._session.get_bind().dialect.name
        return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def _count(service: str, parts: Sequence[Any]) -> TemplateCount:
    first = parts[0]
    return TemplateCount(
        id=int(first[0]), service=service, text=first[1], level=LogLevel(first[2]), count=sum(int(part[4]) for part in parts),
        by_version={part[3]: int(part[4]) for part in parts}, first_seen=_at(min(part[5] for part in parts)),
        last_seen=_at(max(part[6] for part in parts)),
    )  # fmt: skip


def _key(shape: Shape) -> str:
    return hashlib.sha256(f"{int(shape[0])} {shape[1]}".encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _minute(at: datetime) -> int:
    return int(at.timestamp() // 60)


def _at(minute: int) -> datetime:
    return datetime.fromtimestamp(minute * 60, UTC)
