"""Insights about use, nights, tasks: the SQL."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from productops.domain.analytics_insight import (
    Action,
    ActionKind,
    AnalyticsInsightKind,
    AnalyticsInsightState,
    Finding,
    Helped,
    Insight,
    InsightNight,
    InsightTask,
    Measure,
    Outcome,
)
from productops.domain.analytics_insight_daily import DailyFigures
from productops.errors import ConflictError, NotFoundError
from productops.store.identity import new_id
from productops.store.tables import AnalyticsDailyRow, AnalyticsInsightNightRow, AnalyticsInsightRow, AnalyticsTaskRow

_HINT = "list them with: productops insights list"
AT_ONCE = 20_000


@dataclass(frozen=True, slots=True)
class AnalyticsInsightFilter:
    """Which insights; ``ventures`` None: all, ``states`` empty: all."""

    venture: str | None = None
    feature: str | None = None
    kind: AnalyticsInsightKind | None = None
    states: tuple[AnalyticsInsightState, ...] = ()
    ventures: frozenset[str] | None = None


class AnalyticsInsights:
    """Repository within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def figures(self, venture: str, *, since: date, until: date, dimensions: Collection[str]) -> DailyFigures:
        """Daily figures in [since, until) of all features, whole and by ``dimensions``."""
        row = AnalyticsDailyRow
        query = (
            select(
                row.feature, row.dimension, row.value, row.day, row.people, row.events, row.failures, row.duration_p50_ms,
                row.duration_p95_ms,
            )
            .where(
                row.venture == venture, row.day >= since, row.day < until, row.dimension.in_(["", *sorted(dimensions)]), row.feature != ""
            )
            .execution_options(yield_per=AT_ONCE)
        )  # fmt: skip
        places: dict[tuple[str, str, str], int] = {}
        parts = []
        for found in self._session.execute(query).partitions():
            at = [places.setdefault((each[0], each[1], each[2]), len(places)) for each in found]
            numbers = np.array([(*each[4:7], each[7] or 0.0, each[8] or 0.0) for each in found], dtype=np.float64)
            parts.append((np.array(at), np.array([(each[3] - since).days for each in found]), numbers))
        return _figures(since, (until - since).days, places, parts)

    def span(self, venture: str) -> tuple[date, date] | None:
        """First and last day with figures; None without any."""
        row = AnalyticsDailyRow
        first, last = self._session.execute(select(func.min(row.day), func.max(row.day)).where(row.venture == venture)).one()
        return None if first is None else (first, last)

    def ventures(self) -> list[str]:
        """Ventures with figures."""
        row = AnalyticsDailyRow
        return [str(name) for name in self._session.scalars(select(row.venture).distinct().order_by(row.venture))]

    def nights(self, venture: str, *, before: date, limit: int = 91) -> list[InsightNight]:
        """The newest nights before a day, oldest first."""
        row = AnalyticsInsightNightRow
        query = select(row).where(row.venture == venture, row.day < before).order_by(row.day.desc()).limit(limit)
        return [_night(each) for each in reversed(list(self._session.scalars(query)))]

    def night(self, venture: str, day: date) -> InsightNight | None:
        """What was found that day; None when it was not looked at."""
        found = self._session.get(AnalyticsInsightNightRow, (venture, day))
        return None if found is None else _night(found)

    def add_night(self, night: InsightNight) -> None:
        """Write it down, once. Raises: ConflictError when the night was looked at already."""
        if self.night(night.venture, night.day) is not None:
            raise ConflictError(f"{night.venture}: {night.day.isoformat()} was looked at by another run")
        self._session.add(
            AnalyticsInsightNightRow(
                venture=night.venture, day=night.day, series=night.series, tests=night.tests, level=night.level, rejected=night.rejected,
                rejected_most=night.rejected_most, insights=list(night.insights), seconds=night.seconds, at=night.at,
            )
        )  # fmt: skip
        self._session.flush()

    def get(self, insight_id: str) -> Insight:
        """Raises: NotFoundError."""
        row = self._session.get(AnalyticsInsightRow, _parse(insight_id), populate_existing=True)
        if row is None:
            raise NotFoundError(f"there is no insight {insight_id[:80]!r}; {_HINT}")
        return _insight(row)

    def known(self, venture: str, *, since: date) -> list[Insight]:
        """All of a venture that began on or after a day, or still wait for something."""
        row = AnalyticsInsightRow
        waiting = [AnalyticsInsightState.OPEN.value, AnalyticsInsightState.ACCEPTED.value]
        query = select(row).where(row.venture == venture, (row.first_day >= since) | row.state.in_(waiting)).order_by(row.id)
        return [_insight(each) for each in self._session.scalars(query)]

    def page(self, wanted: AnalyticsInsightFilter, *, before: str | None, limit: int) -> list[Insight]:
        """Newest first; ``before`` is the id of the last one seen."""
        row = AnalyticsInsightRow
        query = select(row).order_by(row.id.desc()).limit(limit)
        for column, value in ((row.venture, wanted.venture), (row.feature, wanted.feature), (row.kind, wanted.kind)):
            query = query if value is None else query.where(column == str(value))
        if wanted.states:
            query = query.where(row.state.in_([state.value for state in wanted.states]))
        if wanted.ventures is not None:
            query = query.where(row.venture.in_(sorted(wanted.ventures)))
        if before is not None:
            query = query.where(row.id < _parse(before))
        return [_insight(each) for each in self._session.scalars(query)]

    def add(self, venture: str, finding: Finding, *, day: date) -> str:
        """An insight nobody knew; returns its id."""
        row = AnalyticsInsightRow(
            id=new_id(), venture=venture, state=AnalyticsInsightState.OPEN.value, reason="", decided_by=None, decided_at=None,
            decided_change=0.0, follow={}, due_day=None, outcome=None, effect={}, found_day=day, seen_day=day, over_day=None,
            feature=finding.feature, measure=finding.measure.value, first_day=finding.first_day, kind=finding.kind.value, **_told(finding),
        )  # fmt: skip
        self._session.add(row)
        self._session.flush()
        return str(row.id)

    def see(self, insight_id: str, finding: Finding, *, day: date) -> None:
        """It is still there, with these figures."""
        self._set(insight_id, **_told(finding), seen_day=day)

    def move(
        self, insight_id: str, before: AnalyticsInsightState, after: AnalyticsInsightState, **values: Any
    ) -> bool:  # fmt: skip
        """Compare and set; False when somebody was quicker."""
        row = AnalyticsInsightRow
        query = update(row).where(row.id == _parse(insight_id), row.state == before.value).values(state=after.value, **values)
        result: Any = self._session.execute(query.execution_options(synchronize_session="fetch"))
        return bool(result.rowcount == 1)

    def due(self, venture: str, *, day: date) -> list[Insight]:
        """Accepted ones whose effect is to be measured by now."""
        row = AnalyticsInsightRow
        query = select(row).where(
            row.venture == venture, row.state == AnalyticsInsightState.ACCEPTED.value, row.due_day.is_not(None), row.due_day <= day
        )
        return [_insight(each) for each in self._session.scalars(query.order_by(row.id))]

    def helped(self, ventures: Collection[str] | None) -> Helped:
        """What became of accepted insights."""
        row = AnalyticsInsightRow
        query = select(row.state, row.outcome, func.count()).group_by(row.state, row.outcome)
        if ventures is not None:
            query = query.where(row.venture.in_(sorted(ventures)))
        counts: dict[str, int] = {}
        for state, outcome, count in self._session.execute(query):
            name = outcome or ("waiting" if state == AnalyticsInsightState.ACCEPTED.value else "")
            counts[name] = counts.get(name, 0) + int(count)
        helped, worse = counts.get(Outcome.HELPED, 0), counts.get(Outcome.WORSE, 0)
        measured = helped + worse + counts.get(Outcome.NO_EFFECT, 0)
        return Helped(measured, helped, worse, counts.get(Outcome.CANNOT_TELL, 0), counts.get("waiting", 0))

    def add_task(self, insight: Insight, *, title: str, body: str, by: str, now: datetime) -> str:
        """The task of an insight; the same one when there is one."""
        row = AnalyticsTaskRow
        found = self._session.scalars(select(row).where(row.insight_id == _parse(insight.id))).first()
        if found is None:
            found = row(
                id=new_id(), venture=insight.venture, insight_id=_parse(insight.id), title=title, body=body, state="open", by=by, at=now,
                done_at=None,
            )  # fmt: skip
            self._session.add(found)
            self._session.flush()
        return str(found.id)

    def tasks(self, venture: str, *, state: str | None = None, limit: int = 200) -> list[InsightTask]:
        """Tasks, newest first."""
        row = AnalyticsTaskRow
        query = select(row).where(row.venture == venture, row.insight_id.is_not(None)).order_by(row.id.desc()).limit(limit)
        if state is not None:
            query = query.where(row.state == state)
        return [
            InsightTask(str(t.id), t.venture, str(t.insight_id), t.title, t.body, t.state, t.by, t.at, t.done_at)
            for t in self._session.scalars(query)
        ]

    def finish_task(self, insight_id: str, *, now: datetime) -> bool:
        """Whether there was an open one."""
        row = AnalyticsTaskRow
        query = update(row).where(row.insight_id == _parse(insight_id), row.state == "open").values(state="done", done_at=now)
        result: Any = self._session.execute(query.execution_options(synchronize_session="fetch"))
        return bool(result.rowcount == 1)

    def _set(self, insight_id: str, **values: Any) -> None:
        query = update(AnalyticsInsightRow).where(AnalyticsInsightRow.id == _parse(insight_id)).values(**values)
        self._session.execute(query.execution_options(synchronize_session="fetch"))


def _figures(since: date, days: int, places: dict[tuple[str, str, str], int], parts: list[Any]) -> DailyFigures:
    out = np.full((5, len(places), days), np.nan)
    for at, day, numbers in parts:
        out[:, at, day] = numbers.T
    with np.errstate(divide="ignore", invalid="ignore"):
        p50, p95 = np.where(out[3] > 0, out[3], np.nan), np.where(out[4] > 0, out[4], np.nan)
        latency = np.where(np.isfinite(p50) & np.isfinite(p95), np.sqrt(p50 * p95), np.where(np.isfinite(p95), p95, p50))
    return DailyFigures(since, tuple(places), out[0], out[1], out[2], latency)


def _told(finding: Finding) -> dict[str, Any]:
    action = {"kind": finding.action.kind.value, "text": finding.action.text, "detail": dict(finding.action.detail)}
    return {
        "dimension": finding.dimension, "value": finding.value, "title": finding.title, "sentence": finding.sentence, "action": action,
        "quiet_until": finding.quiet_until, "change": finding.change, "low": finding.low, "high": finding.high, "p": finding.p,
        "worth": finding.worth, "evidence": dict(finding.evidence),
    }  # fmt: skip


def _insight(row: AnalyticsInsightRow) -> Insight:
    action = Action(ActionKind(row.action["kind"]), row.action["text"], row.action["detail"])
    finding = Finding(
        AnalyticsInsightKind(row.kind), row.feature, Measure(row.measure), row.dimension, row.value, row.title, row.sentence, action,
        row.first_day, row.quiet_until, row.change, row.low, row.high, row.p, row.worth, row.evidence,
    )  # fmt: skip
    return Insight(
        str(row.id), row.venture, finding, AnalyticsInsightState(row.state), row.reason, row.decided_by, row.decided_at, row.follow,
        row.due_day, Outcome(row.outcome) if row.outcome else None, row.effect, row.found_day, row.seen_day, row.over_day,
        row.decided_change,
    )  # fmt: skip


def _night(row: AnalyticsInsightNightRow) -> InsightNight:
    return InsightNight(
        row.venture, row.day, row.series, row.tests, row.level, row.rejected, row.rejected_most, tuple(row.insights), row.seconds, row.at
    )


def _parse(insight_id: str) -> uuid.UUID:
    try:
        return uuid.UUID(insight_id)
    except ValueError as error:
        raise NotFoundError(f"there is no insight {insight_id[:80]!r}; {_HINT}") from error
