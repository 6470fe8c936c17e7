"""What is asked across runs: tests that failed once, findings with when they were seen, and performance series."""

from __future__ import annotations

import uuid
from array import array
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from sys import byteorder
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from productops.domain.quality import CaseResult, Finding, FindingKind, Outcome, Severity
from productops.domain.quality_runs import KnownFinding, QualityRun, SeriesRun
from productops.store.identity import new_id
from productops.store.quality_evidence import thinned
from productops.store.tables import QualityFindingRow, QualitySeriesRow, QualityTestResultRow, QualityTestRow

WATCHED_MAX = 5_000
WATCHED_FOR = timedelta(days=60)
VALUES_MAX = 1_000
RUNS_MAX = 60
_MESSAGE_MAX = 500
_BADNESS = (Outcome.SKIPPED, Outcome.PASSED, Outcome.FAILED, Outcome.ERROR)


@dataclass(frozen=True, slots=True)
class TestCount:
    """What one test did in one run, over all reports that name it."""

    __test__ = False

    case: CaseResult
    outcome: Outcome
    executions: int
    failures: int

    @property
    def suspect(self) -> bool:
        """Whether it failed at least once."""
        return self.failures > 0


def counted(cases: Iterable[CaseResult]) -> dict[str, TestCount]:
    """By key. A test that stands in several reports (two systems, two browsers) counts with all of them."""
    found: dict[str, TestCount] = {}
    for case in cases:
        ran = 0 if case.outcome is Outcome.SKIPPED else case.attempts
        failed = ran if case.outcome.bad else ran - 1 if ran > 1 else 0
        before = found.get(case.key)
        if before is None:
            found[case.key] = TestCount(case, case.outcome, ran, failed)
            continue
        worse = _BADNESS.index(case.outcome) > _BADNESS.index(before.outcome)
        found[case.key] = TestCount(
            case if worse else before.case, case.outcome if worse else before.outcome, before.executions + ran, before.failures + failed
        )
    return found


class QualityTests:
    """Repository of watched tests within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def watched(self, service: str, *, now: datetime) -> set[str]:
        """Keys of tests that failed or were retried in the last ``WATCHED_FOR``."""
        row = QualityTestRow
        query = select(row.key).where(row.service == service, row.failed_at >= now - WATCHED_FOR)
        return set(self._session.scalars(query.order_by(row.failed_at.desc()).limit(WATCHED_MAX)))

    def watch(self, run: QualityRun, counts: Mapping[str, TestCount]) -> list[str]:
        """Watch the tests that failed in this run from now on; returns the keys that nobody watched before."""
        suspects = {key: count for key, count in counts.items() if count.suspect}
        kept = dict(list(suspects.items())[:WATCHED_MAX])
        rows = {row.key: row for row in self._of(run.service, kept)}
        fresh = []
        for key, count in kept.items():
            row = rows.get(key)
            if row is not None:
                row.failed_at = row.seen_at = run.at
                continue
            case = count.case
            fresh.append(key)
            self._session.add(
                QualityTestRow(
                    service=run.service, key=key, suite=case.suite, classname=case.classname, name=case.name, file=case.file,
                    watched_since=run.at, failed_at=run.at, seen_at=run.at,
                )
            )  # fmt: skip
        self._session.flush()
        return fresh

    def note(self, run: QualityRun, counts: Mapping[str, TestCount], keys: Collection[str]) -> None:
        """Keep what these tests did in a run."""
        for key in keys:
            count = counts.get(key)
            if count is not None:
                message = count.case.message[:_MESSAGE_MAX] if count.suspect else ""
                self._session.add(
                    QualityTestResultRow(
                        service=run.service, key=key, run_id=uuid.UUID(run.id), commit=run.commit, outcome=count.outcome.value,
                        executions=count.executions, failures=count.failures, duration_s=count.case.duration_s, message=message, at=run.at,
                    )
                )  # fmt: skip
        self._session.flush()

    def _of(self, service: str, keys: Collection[str]) -> list[QualityTestRow]:
        row, found, listed = QualityTestRow, [], list(keys)
        for begin in range(0, len(listed), 500):
            found += list(self._session.scalars(select(row).where(row.service == service, row.key.in_(listed[begin : begin + 500]))))
        return found


class QualityFindings:
    """Repository of findings by fingerprint within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def first_seen(self, service: str) -> dict[str, datetime]:
        """Since when each finding that is not gone is known."""
        row = QualityFindingRow
        query = select(row.fingerprint, row.first_seen_at).where(row.service == service, row.gone_at.is_(None))
        return {row_.fingerprint: row_.first_seen_at for row_ in self._session.execute(query)}

    def all(self, service: str, *, gone: bool = False) -> list[KnownFinding]:
        """Findings of a service, the worst first; with ``gone`` also those that went."""
        row = QualityFindingRow
        query = select(row).where(row.service == service)
        query = query if gone else query.where(row.gone_at.is_(None))
        found = [_finding(each) for each in self._session.scalars(query.order_by(row.fingerprint))]
        return sorted(found, key=lambda each: -each.severity.rank)

    def note(self, run: QualityRun, findings: Iterable[Finding], *, complete: bool) -> None:
        """Keep when each was seen. ``complete``: what the run lacks is gone; it looked with everything its baseline did."""
        places = Counter(finding.fingerprint for finding in findings)
        newest = {finding.fingerprint: finding for finding in findings}
        known = {
            row.fingerprint: row for row in self._session.scalars(select(QualityFindingRow).where(QualityFindingRow.service == run.service))
        }
        for fingerprint, finding in newest.items():
            row = known.get(fingerprint)
            if row is None:
                row = QualityFindingRow(service=run.service, fingerprint=fingerprint, first_run_id=uuid.UUID(run.id), first_seen_at=run.at)
                self._session.add(row)
            elif row.gone_at is not None:  # it came back: its age begins anew
                row.first_run_id, row.first_seen_at = uuid.UUID(run.id), run.at
            _update(row, finding, places[fingerprint], run)
        self._session.flush()
        missing = [fingerprint for fingerprint, row in known.items() if row.gone_at is None and fingerprint not in newest]
        if complete:
            self._gone(run, missing)

    def _gone(self, run: QualityRun, fingerprints: Sequence[str]) -> None:
        row = QualityFindingRow
        for begin in range(0, len(fingerprints), 500):
            query = update(row).where(row.service == run.service, row.fingerprint.in_(fingerprints[begin : begin + 500]))
            self._session.execute(query.values(gone_at=run.at).execution_options(synchronize_session="fetch"))


def _update(row: QualityFindingRow, finding: Finding, places: int, run: QualityRun) -> None:
    values: dict[str, Any] = {
        "kind": finding.kind.value, "tool": finding.tool[:255], "rule": finding.rule, "severity": finding.severity.value,
        "message": finding.message, "path": finding.path, "line": finding.line, "package": finding.package,
        "identifiers": list(finding.identifiers), "cvss": finding.cvss, "places": places, "last_run_id": uuid.UUID(run.id),
        "last_seen_at": run.at, "gone_at": None,
    }  # fmt: skip
    for name, value in values.items():
        setattr(row, name, value)


def _finding(row: QualityFindingRow) -> KnownFinding:
    return KnownFinding(
        row.service, row.fingerprint, FindingKind(row.kind), row.tool, row.rule, Severity(row.severity), row.message, row.path, row.line,
        row.package, tuple(row.identifiers), row.cvss, row.places, str(row.first_run_id), row.first_seen_at, str(row.last_run_id),
        row.last_seen_at, row.gone_at,
    )  # fmt: skip


class QualitySeries:
    """Repository of performance series within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, run: QualityRun, series: Iterable[SeriesRun]) -> None:
        """Keep the series of a run; of more than ``VALUES_MAX`` values so many ordered ones."""
        for each in series:
            self._session.add(
                QualitySeriesRow(
                    id=new_id(), run_id=uuid.UUID(run.id), service=run.service, series=each.series, runner=each.runner, unit=each.unit[:40],
                    higher_is_better=each.higher_is_better, commit=each.commit, mainline=each.mainline, accepted=each.accepted,
                    count=len(each.values), values=_bytes(thinned(each.values, VALUES_MAX)), at=each.at,
                )
            )  # fmt: skip
        self._session.flush()

    def runs(
        self, service: str, series: str, *, before: str | None = None, compared: bool = True, limit: int = RUNS_MAX
    ) -> list[SeriesRun]:  # fmt: skip
        """One series over runs, oldest first. ``compared``: only accepted ones of the main branch; ``before``: a run's id."""
        row = QualitySeriesRow
        query = select(row).where(row.service == service, row.series == series).order_by(row.id.desc()).limit(limit)
        if compared:
            query = query.where(row.mainline.is_(True), row.accepted.is_(True))
        if before is not None:
            query = query.where(row.run_id < uuid.UUID(before))
        return [_series(each) for each in self._session.scalars(query)][::-1]

    def names(self, service: str) -> list[str]:
        """Every series a service ever had."""
        row = QualitySeriesRow
        return list(self._session.scalars(select(row.series).where(row.service == service).distinct().order_by(row.series)))

    def accept(self, run_id: str, series: Collection[str]) -> None:
        """Exactly these series of a run count for later comparisons."""
        row = QualitySeriesRow
        for each in self._session.scalars(select(row).where(row.run_id == uuid.UUID(run_id))):
            each.accepted = each.series in series
        self._session.flush()


def _series(row: QualitySeriesRow) -> SeriesRun:
    return SeriesRun(
        row.series, str(row.run_id), row.commit, row.unit, row.runner, row.higher_is_better, row.mainline, row.accepted,
        _floats(row.values), row.at,
    )  # fmt: skip


def _bytes(values: Sequence[float]) -> bytes:
    found = array("d", values)
    if byteorder == "big":
        found.byteswap()
    return found.tobytes()


def _floats(data: bytes) -> tuple[float, ...]:
    found = array("d")
    found.frombytes(bytes(data))
    if byteorder == "big":
        found.byteswap()
    return tuple(found)
