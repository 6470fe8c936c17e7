"""How often flags were evaluated: written in batches, read for exposure and for the stale report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from productops.domain.release import Environment
from productops.domain.release_flags.flag import FlagCount, FlagUse
from productops.store.tables import FlagCountRow, FlagUseRow


class FlagCounts:
    """Repository of evaluations within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, counts: Sequence[FlagCount]) -> None:
        """Add a batch to what is counted already; always in the same order, so that two writers never wait for each other."""
        rows = [
            {
                "flag_key": each.key, "environment": each.environment.value, "variant": each.variant, "minute": _minute(each.minute),
                "single": each.single, "bulk": each.bulk,
            }
            for each in sorted(counts, key=lambda each: (each.key, each.environment.value, each.variant, each.minute))
        ]  # fmt: skip
        insert = self._insert(FlagCountRow)
        more = {"single": FlagCountRow.single + insert.excluded.single, "bulk": FlagCountRow.bulk + insert.excluded.bulk}
        places = ["flag_key", "environment", "variant", "minute"]
        # One statement for all rows: a statement as long as the batch would be compiled anew each time, and hold up the evaluations.
        self._session.connection().execute(insert.on_conflict_do_update(index_elements=places, set_=more), rows)
        self._use(counts)

    def _use(self, counts: Iterable[FlagCount]) -> None:
        spans: dict[tuple[str, str], tuple[datetime, datetime]] = {}
        for each in counts:
            place = (each.key, each.environment.value)
            first, last = spans.get(place, (each.minute, each.minute))
            spans[place] = (min(first, each.minute), max(last, each.minute))
        rows = [
            {"flag_key": key, "environment": where, "first_at": first, "last_at": last}
            for (key, where), (first, last) in sorted(spans.items())
        ]
        insert = self._insert(FlagUseRow)
        newer = insert.excluded.last_at > FlagUseRow.last_at
        later = {"last_at": insert.excluded.last_at}
        places = ["flag_key", "environment"]
        self._session.connection().execute(insert.on_conflict_do_update(index_elements=places, set_=later, where=newer), rows)

    def uses(self, environment: Environment) -> dict[str, FlagUse]:
        """By key, when flags were evaluated there."""
        rows = self._session.scalars(select(FlagUseRow).where(FlagUseRow.environment == environment.value))
        return {row.flag_key: FlagUse(row.flag_key, environment, row.first_at, row.last_at) for row in rows}

    def by_variant(self, key: str, environment: Environment, *, since: datetime) -> dict[str, int]:
        """Evaluations since the minute of ``since``, asked for singly or in bulk."""
        query = (
            select(FlagCountRow.variant, func.sum(FlagCountRow.single + FlagCountRow.bulk))
            .where(FlagCountRow.flag_key == key, FlagCountRow.environment == environment.value, FlagCountRow.minute >= _minute(since))
            .group_by(FlagCountRow.variant)
        )
        return {variant: int(total) for variant, total in self._session.execute(query)}

    def by_minute(self, key: str, environment: Environment, *, since: datetime) -> list[FlagCount]:
        """The counts themselves, oldest first."""
        query = select(FlagCountRow).where(
            FlagCountRow.flag_key == key, FlagCountRow.environment == environment.value, FlagCountRow.minute >= _minute(since)
        )
        return [
            FlagCount(key, environment, row.variant, datetime.fromtimestamp(row.minute * 60, UTC), row.single, row.bulk)
            for row in self._session.scalars(query.order_by(FlagCountRow.minute, FlagCountRow.variant))
        ]

    def forget(self, *, before: datetime) -> None:
        """Delete counts of minutes before a time; when a flag was last used stays known."""
        self._session.execute(delete(FlagCountRow).where(FlagCountRow.minute < _minute(before)))

    def _insert(self, table: type[Any]) -> Any:
        """Both databases know ON CONFLICT, each under a name of its own."""
        dialect = self._session.get_bind().dialect.name
        return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def _minute(at: datetime) -> int:
    return int(at.timestamp() // 60)
