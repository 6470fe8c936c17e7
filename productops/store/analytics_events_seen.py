"""Names and properties of usage events that were seen, and what was refused: added to in batches."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from productops.domain.analytics_events import Refusals, SeenName, SeenProperty
from productops.domain.analytics_events_seen import Sighting, Sightings
from productops.store.tables import AnalyticsNameDayRow, AnalyticsNameRow, AnalyticsPropertyRow, AnalyticsRefusalRow

NAMES_MAX = 2_000
PROPERTIES_MAX = 20_000
TOO_MANY = "(others)"


class EventsSeen:
    """Repository of the schema within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, venture: str, sightings: Sightings) -> None:
        """Add what was seen to what is known; always in the same order. What is new beyond the limits is counted as ``(others)``."""
        sightings = self._limited(venture, sightings)
        names = [{"venture": venture, "name": name} | _values(seen) for name, seen in sorted(sightings.names.items())]
        self._upsert(AnalyticsNameRow, ["venture", "name"], names, spans=True)
        days = [{"venture": venture, "name": name, "day": day, "events": n} for (name, day), n in sorted(sightings.days.items())]
        self._upsert(AnalyticsNameDayRow, ["venture", "name", "day"], days)
        properties = [
            {"venture": venture, "name": name, "property": key, "type": kind} | _values(seen)
            for (name, key, kind), seen in sorted(sightings.properties.items())
        ]
        self._upsert(AnalyticsPropertyRow, ["venture", "name", "property", "type"], properties, spans=True)

    def refuse(self, counts: Mapping[tuple[str, date, str, str], int]) -> None:
        """Add counts of refused events, by venture, day, name and reason."""
        keys = ["venture", "day", "name", "reason"]
        rows = [dict(zip(keys, place, strict=True)) | {"events": number} for place, number in sorted(counts.items())]
        self._upsert(AnalyticsRefusalRow, keys, rows)

    def names(self, venture: str, *, name: str | None = None, since: date | None = None, limit: int = NAMES_MAX) -> list[SeenName]:
        """What was seen, the most frequent first; with counts by day since a day, and properties where one name is asked for."""
        row = AnalyticsNameRow
        query = select(row).where(row.venture == venture)
        if name is not None:
            query = query.where(row.name == name)
        found = list(self._session.scalars(query.order_by(row.events.desc(), row.name).limit(limit)))
        days = self._by_day(venture, name, since) if since is not None else {}
        properties = self._properties(venture, name)
        return [
            SeenName(venture, r.name, r.events, r.first_at, r.last_at, days.get(r.name, {}), tuple(properties.get(r.name, ())))
            for r in found
        ]

    def refusals(self, venture: str, *, since: date) -> list[Refusals]:
        """What was refused, the newest day and the most first."""
        row = AnalyticsRefusalRow
        query = select(row).where(row.venture == venture, row.day >= since).order_by(row.day.desc(), row.events.desc()).limit(200)
        return [Refusals(r.venture, r.day, r.name, r.reason, r.events) for r in self._session.scalars(query)]

    def forget(self, *, before: date) -> None:
        """Forget counts of days before a day."""
        for table in (AnalyticsNameDayRow, AnalyticsRefusalRow):
            self._session.execute(delete(table).where(table.day < before).execution_options(synchronize_session=False))

    def _by_day(self, venture: str, name: str | None, since: date) -> dict[str, dict[date, int]]:
        row = AnalyticsNameDayRow
        query = select(row.name, row.day, row.events).where(row.venture == venture, row.day >= since).order_by(row.day)
        found: dict[str, dict[date, int]] = defaultdict(dict)
        for each, day, events in self._session.execute(query.where(row.name == name) if name is not None else query):
            found[each][day] = events
        return found

    def _properties(self, venture: str, name: str | None) -> dict[str, list[SeenProperty]]:
        row = AnalyticsPropertyRow
        query = select(row).where(row.venture == venture).order_by(row.name, row.property, row.type)
        kinds: dict[tuple[str, str], list[AnalyticsPropertyRow]] = defaultdict(list)
        for each in self._session.scalars(query.where(row.name == name) if name is not None else query):
            kinds[each.name, each.property].append(each)
        found: dict[str, list[SeenProperty]] = defaultdict(list)
        for (event, key), rows in kinds.items():
            types = {r.type: r.events for r in rows}
            found[event].append(SeenProperty(key, types, min(r.first_at for r in rows), max(r.last_at for r in rows)))
        return found

    def _limited(self, venture: str, sightings: Sightings) -> Sightings:
        """A program that makes up a name for each event must not fill the database."""
        row, parts = AnalyticsNameRow, AnalyticsPropertyRow
        if self._session.scalar(select(func.count()).where(row.venture == venture)) + len(sightings.names) > NAMES_MAX:  # type: ignore[operator]
            known = set(self._session.scalars(select(row.name).where(row.venture == venture)))
            sightings = sightings.renamed(known, TOO_MANY, NAMES_MAX)
        if self._session.scalar(select(func.count()).where(parts.venture == venture)) + len(sightings.properties) > PROPERTIES_MAX:  # type: ignore[operator]
            query = select(parts.name, parts.property, parts.type).where(parts.venture == venture)
            there = {(name, key, kind) for name, key, kind in self._session.execute(query)}
            sightings = sightings.with_properties(there, PROPERTIES_MAX)
        return sightings

    def _upsert(self, table: type[Any], keys: list[str], rows: Sequence[Mapping[str, Any]], *, spans: bool = False) -> None:
        if not rows:
            return
        on_postgres = self._session.get_bind().dialect.name == "postgresql"
        insert: Any = postgresql.insert(table) if on_postgres else sqlite.insert(table)
        least, most = (func.least, func.greatest) if on_postgres else (func.min, func.max)
        change: dict[str, Any] = {"events": table.events + insert.excluded.events}
        if spans:
            change |= {
                "first_at": least(table.first_at, insert.excluded.first_at),
                "last_at": most(table.last_at, insert.excluded.last_at),
            }
        statement = insert.on_conflict_do_update(index_elements=keys, set_=change)
        self._session.connection().execute(statement, [dict(row) for row in rows])


def _values(seen: Sighting) -> dict[str, Any]:
    return {"first_at": seen.first_at, "last_at": seen.last_at, "events": seen.events}
