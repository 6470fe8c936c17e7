"""Looks at performance with the minutes they are made of, predictions of success, weekly reports and their mails: rows in and out."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from productops.domain.analysis import ArmSecond, LatencyHistogram
from productops.domain.analytics_optimize import Minutes, PerformanceRun, findings_of, recommendations_of, result_document
from productops.domain.analytics_predict import SuccessPrediction
from productops.errors import ConflictError, NotFoundError
from productops.store.identity import new_id
from productops.store.tables import (
    PerformanceDayRow,
    PerformanceRunRow,
    ReportMailRow,
    SecondRow,
    SuccessPredictionRow,
    WeeklyReportRow,
)


@dataclass(frozen=True, slots=True)
class StoredReport:
    """A report with its id. ``whole``: it was made after the week was over, so that nothing can be added."""

    id: str
    venture: str
    week: str
    document: dict[str, Any]
    by: str
    made_at: datetime
    whole: bool


@dataclass(frozen=True, slots=True)
class ReportMail:
    """One mail of a report. ``doubtful``: attempts of which nobody knows whether the mail went out."""

    report_id: str
    recipient: str
    state: str
    attempts: int
    doubtful: int
    error: str
    at: datetime


class AnalyticsReports:
    """Repository of all of it within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    # Performance

    def span_of_seconds(self, service: str, environment: str, *, after_s: int) -> tuple[int, int] | None:
        """First and last stored second after ``after_s``."""
        row = SecondRow
        query = select(func.min(row.at_s), func.max(row.at_s)).where(
            row.service == service, row.environment == environment, row.at_s > after_s
        )
        first, last = self._session.execute(query).one()
        return (int(first), int(last)) if first is not None else None

    def versions_seen(self, service: str, environment: str) -> list[str]:
        """Those with stored seconds."""
        row = SecondRow
        query = select(row.version).where(row.service == service, row.environment == environment).distinct()
        return sorted(self._session.scalars(query))

    def seconds_of(self, service: str, environment: str, version: str, *, since_s: int, until_s: int) -> Iterator[tuple[int, ArmSecond]]:
        """Measured seconds of one version in [since_s, until_s), in order; plain columns, since there are many."""
        row = SecondRow
        query = (
            select(row.at_s, row.requests, row.failures, row.upper_ms, row.counts)
            .where(
                row.service == service, row.environment == environment, row.version == version, row.at_s >= since_s, row.at_s < until_s,
                row.missed.is_(False),
            )
            .order_by(row.at_s)
        )  # fmt: skip
        for at_s, requests, failures, upper_ms, counts in self._session.execute(query):
            yield at_s, ArmSecond(requests, failures, LatencyHistogram(tuple(upper_ms), tuple(counts)))

    def put_minutes(self, service: str, environment: str, day: date, minutes: Minutes) -> None:
        """Keep one day of a version; what was there is replaced."""
        row = PerformanceDayRow(
            service=service, environment=environment, version=minutes.version, day=day, minutes=len(minutes.rows), payload=minutes.pack()
        )
        self._session.merge(row)

    def minutes_of(self, service: str, environment: str, *, since: date) -> list[tuple[date, Minutes]]:
        """Kept days of all versions, oldest first."""
        row = PerformanceDayRow
        query = select(row.version, row.day, row.payload).where(row.service == service, row.environment == environment, row.day >= since)
        return [(day, Minutes.unpack(version, payload)) for version, day, payload in self._session.execute(query.order_by(row.day))]

    def forget_minutes(self, *, before: date) -> None:
        """Drop days before ``before``."""
        self._session.execute(delete(PerformanceDayRow).where(PerformanceDayRow.day < before))

    def add_run(self, run: PerformanceRun) -> None:
        """Raises: ConflictError when its key was used at the same moment."""
        row = PerformanceRunRow(
            id=uuid.UUID(run.id), venture=run.venture, subject=run.subject, environment=run.environment, state=run.state,
            sentence=run.sentence, result=result_document(run), action=dict(run.action), effect=dict(run.effect),
            request_key=run.request_key, fingerprint=run.fingerprint, by=run.by, at=run.at, acted_at=run.acted_at,
            measured_at=run.measured_at,
        )  # fmt: skip
        self._session.add(row)
        try:
            self._session.flush()
        except IntegrityError as error:
            raise ConflictError("the same request is carried out at this moment; ask again") from error

    def change_run(self, run_id: str, *, expected: str, **values: Any) -> None:
        """Raises: ConflictError when it is no longer in the ``expected`` state."""
        row = PerformanceRunRow
        query = update(row).where(row.id == uuid.UUID(run_id), row.state == expected).values(**values)
        changed: Any = self._session.execute(query.execution_options(synchronize_session="fetch"))
        if changed.rowcount != 1:
            raise ConflictError(f"look {run_id} at performance is no longer {expected}")

    def run(self, run_id: str) -> PerformanceRun:
        """Raises: NotFoundError."""
        found = self._session.get(PerformanceRunRow, _parse(run_id), populate_existing=True)
        if found is None:
            raise NotFoundError(f"there is no look at performance {run_id[:80]!r}; list them with GET …/performance/optimize")
        return _run(found)

    def run_of_key(self, key: str) -> PerformanceRun | None:
        """What a request with this key made."""
        found = self._session.scalar(select(PerformanceRunRow).where(PerformanceRunRow.request_key == key))
        return _run(found) if found is not None else None

    def runs(
        self, *, ventures: Collection[str] | None = None, subject: str | None = None, state: str | None = None,
        since: datetime | None = None, until: datetime | None = None, before: str | None = None, limit: int = 50,
    ) -> list[PerformanceRun]:  # fmt: skip
        """Newest first; ``before``: id of the last one seen."""
        row = PerformanceRunRow
        query = select(row).order_by(row.id.desc()).limit(limit)
        if ventures is not None:
            query = query.where(row.venture.in_(sorted(ventures)))
        for column, value in ((row.subject, subject), (row.state, state)):
            query = query if value is None else query.where(column == value)
        query = query if since is None else query.where(row.at >= since)
        query = query if until is None else query.where(row.at < until)
        query = query if before is None else query.where(row.id < _parse(before))
        return [_run(each) for each in self._session.scalars(query)]

    # Predictions

    def put_prediction(self, prediction: SuccessPrediction) -> None:
        """Keep what is said on a day; what was said earlier that day is replaced unless its outcome is known."""
        row = SuccessPredictionRow
        known = self._session.scalar(
            select(row).where(row.venture == prediction.venture, row.feature == prediction.feature, row.day == prediction.day)
        )
        if known is not None and known.outcome is not None:
            return
        made = known or row(id=new_id(), venture=prediction.venture, feature=prediction.feature, day=prediction.day)
        for name in ("due_at", "target", "probability", "base", "method", "days", "at"):
            setattr(made, name, getattr(prediction, name))
        made.signals, made.reasons = dict(prediction.signals), list(prediction.reasons)
        if known is None:
            self._session.add(made)
        self._session.flush()

    def predictions(
        self, venture: str, *, feature: str | None = None, known: bool | None = None, since: date | None = None, limit: int = 5000
    ) -> list[SuccessPrediction]:
        """Oldest first of the newest ``limit``. ``known``: whether the outcome is."""
        row = SuccessPredictionRow
        query = select(row).where(row.venture == venture).order_by(row.day.desc(), row.id.desc()).limit(limit)
        query = query if feature is None else query.where(row.feature == feature)
        query = query if since is None else query.where(row.day >= since)
        if known is not None:
            query = query.where(row.outcome.is_not(None) if known else row.outcome.is_(None))
        return [_prediction(each) for each in reversed(self._session.scalars(query).all())]

    def settle_predictions(self, venture: str, feature: str, *, outcome: str, actual: float, now: datetime) -> int:
        """What became of all predictions that were due; returns how many had none yet."""
        row = SuccessPredictionRow
        query = update(row).where(row.venture == venture, row.feature == feature, row.outcome.is_(None), row.due_at <= now)
        values = {"outcome": outcome, "actual": actual, "outcome_at": now}
        changed: Any = self._session.execute(query.values(**values).execution_options(synchronize_session="fetch"))
        return int(changed.rowcount)

    # Reports

    def report(self, venture: str, week: str) -> StoredReport | None:
        """The stored report of a week."""
        row = WeeklyReportRow
        found = self._session.scalar(select(row).where(row.venture == venture, row.week == week).execution_options(populate_existing=True))
        return _report(found) if found is not None else None

    def reports(self, venture: str, *, limit: int = 60) -> list[StoredReport]:
        """Newest week first."""
        row = WeeklyReportRow
        return [_report(r) for r in self._session.scalars(select(row).where(row.venture == venture).order_by(row.week.desc()).limit(limit))]

    def put_report(self, venture: str, week: str, document: dict[str, Any], *, by: str, whole: bool, now: datetime) -> StoredReport:
        """Keep it; one that is whole stays as it is. Raises: ConflictError when two make the first one at the same moment."""
        row = WeeklyReportRow
        found = self._session.scalar(select(row).where(row.venture == venture, row.week == week))
        if found is not None and found.whole:
            return _report(found)
        made = found or row(id=new_id(), venture=venture, week=week)
        made.document, made.by, made.whole, made.made_at = document, by, whole, now
        if found is None:
            self._session.add(made)
        try:
            self._session.flush()
        except IntegrityError as error:
            raise ConflictError(f"the report of {venture} for {week} is made at this moment; ask again") from error
        return _report(made)

    def mails(self, report_id: str) -> list[ReportMail]:
        """By recipient."""
        row = ReportMailRow
        query = select(row).where(row.report_id == uuid.UUID(report_id)).order_by(row.recipient)
        return [_mail(each) for each in self._session.scalars(query.execution_options(populate_existing=True))]

    def plan_mails(self, report_id: str, recipients: Sequence[str], *, now: datetime) -> None:
        """One row for each recipient that has none."""
        known = {each.recipient for each in self.mails(report_id)}
        for recipient in dict.fromkeys(recipients):
            if recipient not in known:
                row = ReportMailRow(
                    report_id=uuid.UUID(report_id), recipient=recipient, state="waiting", attempts=0, doubtful=0, error="", at=now
                )
                self._session.add(row)
        self._session.flush()

    def move_mail(self, mail: ReportMail, state: str, *, now: datetime, attempts: int = 0, doubtful: int = 0, error: str = "") -> bool:
        """Compare-and-set on state and attempts; ``attempts`` and ``doubtful`` are added. False: somebody else was quicker."""
        row = ReportMailRow
        query = update(row).where(
            row.report_id == uuid.UUID(mail.report_id), row.recipient == mail.recipient, row.state == mail.state,
            row.attempts == mail.attempts,
        )  # fmt: skip
        values = {
            "state": state, "attempts": mail.attempts + attempts, "doubtful": mail.doubtful + doubtful, "error": error[:500], "at": now,
        }  # fmt: skip
        changed: Any = self._session.execute(query.values(**values).execution_options(synchronize_session="fetch"))
        return bool(changed.rowcount == 1)


def _parse(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise NotFoundError(f"there is no look at performance {text[:80]!r}") from None


def _run(row: PerformanceRunRow) -> PerformanceRun:
    return PerformanceRun(
        id=str(row.id), venture=row.venture, subject=row.subject, environment=row.environment, state=row.state, sentence=row.sentence,
        findings=findings_of(row.result), recommendations=recommendations_of(row.result), facts=row.result["facts"], action=row.action,
        effect=row.effect, by=row.by, at=row.at, request_key=row.request_key, fingerprint=row.fingerprint, acted_at=row.acted_at,
        measured_at=row.measured_at,
    )  # fmt: skip


def _prediction(row: SuccessPredictionRow) -> SuccessPrediction:
    return SuccessPrediction(
        venture=row.venture, feature=row.feature, day=row.day, due_at=row.due_at, target=row.target, probability=row.probability,
        base=row.base, method=row.method, days=row.days, signals=row.signals, reasons=tuple(row.reasons), at=row.at, outcome=row.outcome,
        actual=row.actual, outcome_at=row.outcome_at,
    )  # fmt: skip


def _report(row: WeeklyReportRow) -> StoredReport:
    return StoredReport(str(row.id), row.venture, row.week, row.document, row.by, row.made_at, row.whole)


def _mail(row: ReportMailRow) -> ReportMail:
    return ReportMail(str(row.report_id), row.recipient, row.state, row.attempts, row.doubtful, row.error, row.at)
