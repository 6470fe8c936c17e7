"""Forecasts and what came true: rows in and out."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from productops.domain.development_plan_facts_stored import StoredForecast, Subject
from productops.errors import NotFoundError
from productops.store.tables import DevelopmentForecastRow

PLACES_MAX = 2000


class DevelopmentForecasts:
    """Repository of forecasts within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, forecasts: Sequence[StoredForecast]) -> None:
        """Keep new ones."""
        if forecasts:
            self._session.execute(insert(DevelopmentForecastRow), [_values(each) for each in forecasts])

    def get(self, forecast_id: str) -> StoredForecast:
        """Raises: NotFoundError."""
        try:
            row = self._session.get(DevelopmentForecastRow, uuid.UUID(forecast_id), populate_existing=True)
        except ValueError:
            row = None
        if row is None:
            raise NotFoundError(f"there is no forecast {forecast_id[:80]!r}")
        return _forecast(row)

    def page(
        self, *, ventures: Collection[str] | None = None, venture: str | None = None, subject: Subject | None = None,
        key: str | None = None, before: str | None = None, limit: int = 50,
    ) -> list[StoredForecast]:  # fmt: skip
        """Newest first; ``before``: id of the last one seen."""
        row = DevelopmentForecastRow
        query = select(row).order_by(row.id.desc()).limit(limit)
        for column, value in ((row.venture, venture), (row.subject, subject), (row.key, key)):
            query = query if value is None else query.where(column == value)
        if ventures is not None:
            query = query.where(row.venture.in_(sorted(ventures)))
        if before is not None:
            query = query.where(row.id < uuid.UUID(before))
        return [_forecast(each) for each in self._session.scalars(query.execution_options(populate_existing=True))]

    def newest(self, venture: str, key: str, *, subject: Subject = Subject.FEATURE) -> StoredForecast | None:
        """The newest forecast of one feature, by its key; None when there is none."""
        found = self.page(venture=venture, key=key, subject=subject, limit=1)
        return found[0] if found else None

    def of_plan(self, plan_id: str) -> list[StoredForecast]:
        """Those made of one plan, in the order they were made."""
        row = DevelopmentForecastRow
        query = select(row).where(row.plan_id == uuid.UUID(plan_id)).order_by(row.id)
        return [_forecast(each) for each in self._session.scalars(query)]

    def open(self, venture: str) -> dict[tuple[Subject, str], list[StoredForecast]]:
        """Those of which nobody knows yet what came true, by what they are about."""
        row = DevelopmentForecastRow
        query = select(row).where(row.venture == venture, row.actual_at.is_(None)).order_by(row.id)
        found: dict[tuple[Subject, str], list[StoredForecast]] = {}
        for each in self._session.scalars(query):
            found.setdefault((Subject(each.subject), each.key), []).append(_forecast(each))
        return found

    def settle(self, forecast: StoredForecast, *, actual_at: datetime, place: float) -> bool:
        """Say what came true. False when somebody did already."""
        row = DevelopmentForecastRow
        mine = (row.id == uuid.UUID(forecast.id), row.actual_at.is_(None))
        done: Any = self._session.execute(
            update(row).where(*mine).values(actual_at=actual_at, place=place).execution_options(synchronize_session=False)
        )
        return bool(done.rowcount == 1)

    def first_settled(
        self, *, ventures: Collection[str] | None = None, venture: str | None = None, subject: Subject = Subject.FEATURE
    ) -> list[StoredForecast]:  # fmt: skip
        """Of each thing that came true the first forecast, oldest first: a hundred forecasts of one feature are one experience."""
        row = DevelopmentForecastRow
        query = select(row).where(row.subject == subject.value, row.place.is_not(None)).order_by(row.id)
        if venture is not None:
            query = query.where(row.venture == venture)
        if ventures is not None:
            query = query.where(row.venture.in_(sorted(ventures)))
        found: dict[tuple[str, str], StoredForecast] = {}
        for each in self._session.scalars(query.execution_options(yield_per=500)):
            found.setdefault((each.venture, each.key), _forecast(each))
        return list(found.values())[-PLACES_MAX:]


def _values(forecast: StoredForecast) -> dict[str, Any]:
    return {
        "id": uuid.UUID(forecast.id), "venture": forecast.venture, "team": forecast.team,
        "plan_id": uuid.UUID(forecast.plan_id) if forecast.plan_id else None, "subject": forecast.subject.value, "key": forecast.key,
        "title": forecast.title, "made_at": forecast.made_at, "method": forecast.method, "inputs_digest": forecast.inputs_digest,
        "planned_at": forecast.planned_at, "p50_at": forecast.p50_at, "p80_at": forecast.p80_at, "p95_at": forecast.p95_at,
        "grid": [at.isoformat() for at in forecast.grid], "deadline": forecast.deadline, "chance": forecast.chance,
        "figures": dict(forecast.figures), "actual_at": forecast.actual_at, "place": forecast.place,
    }  # fmt: skip


def _forecast(row: DevelopmentForecastRow) -> StoredForecast:
    return StoredForecast(
        id=str(row.id), venture=row.venture, team=row.team, plan_id=str(row.plan_id) if row.plan_id else None,
        subject=Subject(row.subject), key=row.key, title=row.title, made_at=row.made_at, method=row.method,
        inputs_digest=row.inputs_digest, planned_at=row.planned_at, p50_at=row.p50_at, p80_at=row.p80_at, p95_at=row.p95_at,
        grid=tuple(datetime.fromisoformat(at) for at in row.grid), deadline=row.deadline, chance=row.chance, figures=row.figures,
        actual_at=row.actual_at, place=row.place,
    )  # fmt: skip
