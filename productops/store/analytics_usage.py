"""Daily figures of use, people by week and month, saved funnels and cohorts: the SQL."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from productops.domain.analytics_usage import PeriodUnit, UsageDay, UsagePeriod
from productops.errors import ConflictError, NotFoundError
from productops.store.identity import new_id
from productops.store.tables import AnalyticsCountedRow, AnalyticsDailyRow, AnalyticsDefinitionRow, AnalyticsPeriodRow

AT_ONCE = 400
BY_HAND = ""


@dataclass(frozen=True, slots=True)
class Definition:
    """A saved funnel or cohort; ``spec`` as it was declared. ``declared`` by the catalog, else made by hand."""

    id: str
    venture: str
    kind: str
    name: str
    spec: dict[str, Any]
    declared: bool
    revision: int
    updated_by: str
    updated_at: datetime


class AnalyticsUsage:
    """Repository within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def daily(
        self, venture: str, *, since: date, until: date, features: Collection[str] | None = None, dimension: str = ""
    ) -> list[UsageDay]:  # fmt: skip
        """Days in [since, until), by day, feature and value. ``features`` None: each of them, and ``""`` for the whole venture."""
        row = AnalyticsDailyRow
        query = (
            select(row.__table__)
            .where(row.venture == venture, row.dimension == dimension, row.day >= _day(since), row.day < _day(until))
            .order_by(row.day, row.feature, row.value)
        )
        if features is not None:
            query = query.where(row.feature.in_(sorted(features)))
        return [UsageDay(*found) for found in self._session.execute(query)]

    def put_daily(self, rows: Iterable[UsageDay]) -> None:
        """Insert or replace, each by its key."""
        every = {(r.venture, r.day, r.feature, r.dimension, r.value): r for r in rows}
        row = AnalyticsDailyRow
        for venture, day in sorted({key[:2] for key in every}):
            kept = [r for r in every.values() if (r.venture, r.day) == (venture, day)]
            stored = self._session.execute(
                select(row.feature, row.dimension, row.value).where(row.venture == venture, row.day == day)
            ).all()
            for feature, dimension, value in stored:
                if (venture, day, feature, dimension, value) in every:
                    self._session.execute(
                        delete(row).where(
                            row.venture == venture, row.day == day, row.feature == feature, row.dimension == dimension, row.value == value
                        )
                    )
            self._insert(kept)

    def replace_day(self, venture: str, day: date, rows: Sequence[UsageDay]) -> None:
        """All figures of a day, instead of those it had."""
        row = AnalyticsDailyRow
        self._session.execute(delete(row).where(row.venture == venture, row.day == day))
        self._insert(rows)

    def _insert(self, rows: Sequence[UsageDay]) -> None:
        for start in range(0, len(rows), AT_ONCE):
            self._session.execute(insert(AnalyticsDailyRow), [asdict(each) for each in rows[start : start + AT_ONCE]])

    def features(self, venture: str, *, since: date, until: date) -> list[tuple[str, int, int]]:
        """Features in use in [since, until): name, events, sum of daily people; the most used first."""
        row = AnalyticsDailyRow
        events = func.sum(row.events)
        query = (
            select(row.feature, events, func.sum(row.people))
            .where(row.venture == venture, row.dimension == "", row.feature != "", row.day >= since, row.day < until)
            .group_by(row.feature)
            .order_by(events.desc(), row.feature)
        )
        return [(str(name), int(count), int(people)) for name, count, people in self._session.execute(query)]

    def feature_names(self, venture: str) -> list[str]:
        """Every feature that was ever counted, with ``""`` for the whole venture."""
        row = AnalyticsDailyRow
        query = select(row.feature).where(row.venture == venture, row.dimension == "").distinct().order_by(row.feature)
        return [str(name) for name in self._session.scalars(query)]

    def ventures_of(self, feature: str) -> list[str]:
        """Ventures that ever counted an event of the feature."""
        row = AnalyticsDailyRow
        query = select(row.venture).where(row.feature == feature, row.dimension == "").distinct().order_by(row.venture)
        return [str(name) for name in self._session.scalars(query)]

    def span(self, venture: str) -> tuple[date, date] | None:
        """First and last day with figures; None without any."""
        row = AnalyticsDailyRow
        first, last = self._session.execute(select(func.min(row.day), func.max(row.day)).where(row.venture == venture)).one()
        return None if first is None else (first, last)

    def periods(
        self, venture: str, unit: PeriodUnit, *, since: date, until: date, features: Collection[str] | None = None
    ) -> list[UsagePeriod]:  # fmt: skip
        """Weeks or months that begin in [since, until), by time and feature."""
        row = AnalyticsPeriodRow
        query = (
            select(row.__table__)
            .where(row.venture == venture, row.unit == unit.value, row.begin >= since, row.begin < until)
            .order_by(row.begin, row.feature)
        )
        if features is not None:
            query = query.where(row.feature.in_(sorted(features)))
        return [
            UsagePeriod(found.venture, PeriodUnit(found.unit), found.begin, found.feature, found.people, found.new_people)
            for found in self._session.execute(query)
        ]

    def replace_period(self, venture: str, unit: PeriodUnit, begin: date, rows: Sequence[UsagePeriod]) -> None:
        """The people of a week or month, instead of those it had."""
        row = AnalyticsPeriodRow
        self._session.execute(delete(row).where(row.venture == venture, row.unit == unit.value, row.begin == begin))
        for start in range(0, len(rows), AT_ONCE):
            chunk = [asdict(each) | {"unit": each.unit.value} for each in rows[start : start + AT_ONCE]]
            self._session.execute(insert(AnalyticsPeriodRow), chunk)

    def counted(self, venture: str) -> dict[date, str]:
        """By day, the state of the files that the figures were made of."""
        row = AnalyticsCountedRow
        found = self._session.execute(select(row.day, row.digest).where(row.venture == venture))
        return {day: str(digest) for day, digest in found}

    def set_counted(self, venture: str, day: date, digest: str, *, now: datetime) -> None:
        """Remember the state of a day's files."""
        row = self._session.get(AnalyticsCountedRow, (venture, day))
        if row is None:
            self._session.add(AnalyticsCountedRow(venture=venture, day=day, digest=digest, counted_at=now))
        else:
            row.digest, row.counted_at = digest, now

    def forget_counted(self, venture: str, days: Collection[date]) -> None:
        """Days that have to be counted again, whatever their files."""
        row = AnalyticsCountedRow
        self._session.execute(delete(row).where(row.venture == venture, row.day.in_(sorted(days))))

    def last_counted(self, venture: str) -> datetime | None:
        """When figures were last made anew."""
        row = AnalyticsCountedRow
        return self._session.scalar(select(func.max(row.counted_at)).where(row.venture == venture))

    def definitions(self, kind: str, ventures: Collection[str] | None = None) -> list[Definition]:
        """Saved funnels or cohorts by venture and name."""
        row = AnalyticsDefinitionRow
        query = select(row).where(row.kind == kind).order_by(row.venture, row.name)
        if ventures is not None:
            query = query.where(row.venture.in_(sorted(ventures)))
        return [_definition(found) for found in self._session.scalars(query)]

    def definition(self, kind: str, venture: str, name: str) -> Definition:
        """Raises: NotFoundError that names those there are."""
        found = self._row(kind, venture, name)
        if found is None:
            known = ", ".join(each.name for each in self.definitions(kind, [venture])[:20])
            raise NotFoundError(f"venture {venture} has no saved {kind.lower()} {name[:80]!r}; known: {known or 'none yet'}")
        return _definition(found)

    def _row(self, kind: str, venture: str, name: str) -> AnalyticsDefinitionRow | None:
        row = AnalyticsDefinitionRow
        return self._session.scalars(select(row).where(row.kind == kind, row.venture == venture, row.name == name)).one_or_none()

    def put_definition(
        self, kind: str, venture: str, name: str, spec: dict[str, Any], *, base: str, author: str, now: datetime
    ) -> tuple[str, dict[str, Any] | None]:  # fmt: skip
        """Insert or update; returns created, changed or unchanged, and the spec before. Raises: ConflictError."""
        row = self._row(kind, venture, name)
        if row is not None and row.spec == spec:
            row.base = base
            return "unchanged", None
        before = dict(row.spec) if row is not None else None
        try:
            if row is None:
                made = AnalyticsDefinitionRow(
                    id=new_id(), venture=venture, kind=kind, name=name, spec=spec, base=base, revision=1, updated_by=author, updated_at=now
                )
                self._session.add(made)
            else:
                row.spec, row.base, row.revision, row.updated_by, row.updated_at = spec, base, row.revision + 1, author, now
            self._session.flush()
        except IntegrityError as error:
            raise ConflictError(f"somebody else saved the {kind.lower()} {name} at this moment; try again") from error
        return ("created" if before is None else "changed"), before

    def declared_in(self, kind: str, bases: Collection[str]) -> list[tuple[str, str]]:
        """Venture and name of what these folders declared."""
        row = AnalyticsDefinitionRow
        query = select(row.venture, row.name).where(row.kind == kind, row.base.in_(sorted(bases))).order_by(row.venture, row.name)
        return [(str(venture), str(name)) for venture, name in self._session.execute(query)]

    def remove_definition(self, kind: str, venture: str, name: str) -> None:
        """Forget it."""
        row = AnalyticsDefinitionRow
        self._session.execute(delete(row).where(row.kind == kind, row.venture == venture, row.name == name))


def _day(moment: date) -> date:
    return moment.date() if isinstance(moment, datetime) else moment


def _definition(row: AnalyticsDefinitionRow) -> Definition:
    return Definition(
        str(row.id), row.venture, row.kind, row.name, dict(row.spec), row.base != BY_HAND, row.revision, row.updated_by, row.updated_at
    )
