"""What reviews of flaky tests ask the store, and the quarantine they keep."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from productops.domain.quality_runs import Quarantine, RunMark, TestHistory, WatchedTest
from productops.errors import ConflictError, NotFoundError
from productops.store.quality_evidence import TESTS
from productops.store.tables import QualityEvidenceRow, QualityQuarantineRow, QualityRunRow, QualityTestResultRow, QualityTestRow


class QualityHistories:
    """Repository of watched tests over runs, and of their quarantine, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def history(self, service: str, *, runs: int) -> TestHistory:
        """The newest ``runs`` runs of a service with every test watched in them, oldest first."""
        marks = self._marks(service, runs)
        places = {mark.run_id: i for i, mark in enumerate(marks)}
        result = QualityTestResultRow
        query = select(result.key, result.run_id, result.executions, result.failures).where(
            result.service == service, result.run_id.in_([uuid.UUID(each) for each in places])
        )
        executions: dict[str, list[int]] = {}
        failures: dict[str, list[int]] = {}
        for key, run_id, ran, failed in self._session.execute(query):
            executions.setdefault(key, [0] * len(marks))[places[str(run_id)]] = ran
            failures.setdefault(key, [0] * len(marks))[places[str(run_id)]] = failed
        rows = self._session.scalars(select(QualityTestRow).where(QualityTestRow.service == service).order_by(QualityTestRow.key))
        tests = [_watched(row) for row in rows if row.key in executions]
        return TestHistory(tuple(tests), tuple(marks), [executions[t.key] for t in tests], [failures[t.key] for t in tests])

    def _marks(self, service: str, runs: int) -> list[RunMark]:
        run, evidence = QualityRunRow, QualityEvidenceRow
        joined = (evidence.run_id == run.id) & (evidence.part == TESTS)
        query = select(run, evidence.count).outerjoin(evidence, joined).where(run.service == service).order_by(run.id.desc()).limit(runs)
        found = [RunMark(str(row.id), row.commit, row.branch, row.at, int(count or 0)) for row, count in self._session.execute(query)]
        return found[::-1]

    def seconds(self, service: str, runs: Sequence[str]) -> dict[str, float]:
        """Mean duration of each watched test over the runs, where a tool told one; by key."""
        row = QualityTestResultRow
        query = (
            select(row.key, func.avg(row.duration_s))
            .where(row.service == service, row.run_id.in_([uuid.UUID(each) for each in runs]), row.duration_s.is_not(None))
            .group_by(row.key)
        )
        return {key: float(value) for key, value in self._session.execute(query)}

    def watched(self, service: str, key: str) -> WatchedTest:
        """Raises: NotFoundError for a test that never failed."""
        row = self._session.get(QualityTestRow, (service, key))
        if row is None:
            raise NotFoundError(
                f"{service} has no test {key[:80]!r} that ever failed or was retried; list them with: productops quality flaky {service}"
            )
        return _watched(row)

    def held(self, service: str) -> list[Quarantine]:
        """The quarantines of a service that were not ended, also those whose time is over; oldest first."""
        row = QualityQuarantineRow
        query = select(row).where(row.service == service, row.ended_at.is_(None)).order_by(row.id)
        return [_quarantine(each) for each in self._session.scalars(query.execution_options(populate_existing=True))]

    def ended(self, service: str) -> dict[str, datetime]:
        """When the last quarantine of each test ended, of those that ended; by test key."""
        row = QualityQuarantineRow
        query = select(row.test_key, row.ended_at).where(row.service == service, row.ended_at.is_not(None)).order_by(row.id)
        return {key: at for key, at in self._session.execute(query) if at is not None}

    def hold(self, quarantine: Quarantine) -> None:
        """Keep a new one. Raises: ConflictError when the test is in quarantine already."""
        row = QualityQuarantineRow(
            id=uuid.UUID(quarantine.id), venture=quarantine.venture, service=quarantine.service, test_key=quarantine.test_key,
            test_name=quarantine.test_name, owner=quarantine.owner, reason=quarantine.reason, evidence=dict(quarantine.evidence),
            by=quarantine.by, since=quarantine.since, until=quarantine.until, ended_at=None, end_reason="",
            open_key=f"{quarantine.service}/{quarantine.test_key}",
        )  # fmt: skip
        self._session.add(row)
        try:
            self._session.flush()
        except IntegrityError as error:
            raise ConflictError(f"the test {quarantine.test_name} of {quarantine.service} is in quarantine already") from error

    def end(self, quarantine_id: str, *, reason: str, now: datetime) -> bool:
        """Compare and set; False when it has ended already."""
        row = QualityQuarantineRow
        query = (
            update(row)
            .where(row.id == uuid.UUID(quarantine_id), row.ended_at.is_(None))
            .values(ended_at=now, end_reason=reason, open_key=None)
            .execution_options(synchronize_session="fetch")
        )
        changed: Any = self._session.execute(query)
        return bool(changed.rowcount == 1)


def _watched(row: QualityTestRow) -> WatchedTest:
    return WatchedTest(
        row.service, row.key, row.suite, row.classname, row.name, row.file, row.watched_since, row.failed_at, row.seen_at,
    )  # fmt: skip


def _quarantine(row: QualityQuarantineRow) -> Quarantine:
    return Quarantine(
        str(row.id), row.venture, row.service, row.test_key, row.test_name, row.owner, row.reason, row.evidence, row.by, row.since,
        row.until, row.ended_at, row.end_reason,
    )  # fmt: skip
