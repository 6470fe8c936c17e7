"""Findings about the tests of a service, and what the reviews of them ask the store."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from productops.domain.quality_improve import EscapedDefect, Insight, KnownInsight
from productops.domain.quality_insight import InsightKind, InsightState
from productops.errors import NotFoundError
from productops.store.identity import new_id
from productops.store.quality_evidence import DIFF, unpacked
from productops.store.tables import (
    IncidentRow,
    QualityEvidenceRow,
    QualityGateRow,
    QualityInsightRow,
    QualityRunRow,
    QualityTestResultRow,
    ReleaseRow,
)

_HINT = "list them with: productops quality insights"


@dataclass(frozen=True, slots=True)
class InsightFilter:
    """Which findings. ``ventures`` None: all. Those that the newest review did not find are left out unless ``gone``."""

    service: str | None = None
    kind: InsightKind | None = None
    state: InsightState | None = None
    ventures: frozenset[str] | None = None
    gone: bool = False


class QualityInsights:
    """Repository of findings within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, insight_id: str) -> KnownInsight:
        """Raises: NotFoundError."""
        return _known(self._row(insight_id))

    def of_service(self, service: str) -> dict[str, KnownInsight]:
        """Every finding of a service, gone ones too, by key."""
        rows = self._session.scalars(select(QualityInsightRow).where(QualityInsightRow.service == service))
        return {row.key: _known(row) for row in rows}

    def page(self, wanted: InsightFilter, *, before: str | None, limit: int) -> list[KnownInsight]:
        """Newest first; ``before`` is the id of the last one seen. Raises: NotFoundError for a ``before`` that is no id."""
        row = QualityInsightRow
        query = select(row).order_by(row.id.desc()).limit(limit)
        for column, value in ((row.service, wanted.service), (row.kind, wanted.kind), (row.state, wanted.state)):
            query = query if value is None else query.where(column == str(value))
        if wanted.ventures is not None:
            query = query.where(row.venture.in_(sorted(wanted.ventures)))
        if not wanted.gone:
            query = query.where(row.gone_at.is_(None))
        if before is not None:
            query = query.where(row.id < _parse(before))
        return [_known(each) for each in self._session.scalars(query)]

    def add(self, insight: Insight, *, venture: str, service: str, now: datetime) -> str:
        """A finding nobody knew; returns its id."""
        row = QualityInsightRow(
            id=new_id(), venture=venture, service=service, key=insight.key, state=InsightState.OPEN.value, reason="", decided_by=None,
            decided_at=None, decided_weight=0.0, found_at=now, seen_at=now, gone_at=None, **_told(insight),
        )  # fmt: skip
        self._session.add(row)
        self._session.flush()
        return str(row.id)

    def see(self, insight_id: str, insight: Insight, *, now: datetime) -> None:
        """It is still there, with these figures."""
        self._set(insight_id, **_told(insight), seen_at=now, gone_at=None)

    def miss(self, insight_id: str, *, now: datetime) -> None:
        """The newest review did not find it."""
        self._set(insight_id, gone_at=now)

    def move(
        self, insight_id: str, before: InsightState, after: InsightState, *, reason: str, by: str, weight: float, now: datetime
    ) -> bool:
        """Compare and set; False when somebody was quicker."""
        row = QualityInsightRow
        values: dict[str, Any] = {
            "state": after.value, "reason": reason, "decided_by": by, "decided_at": now, "decided_weight": weight,
        }  # fmt: skip
        query = update(row).where(row.id == _parse(insight_id), row.state == before.value).values(**values)
        return self._rows(self._session.execute(query.execution_options(synchronize_session="fetch")))

    @staticmethod
    def _rows(result: Any) -> bool:
        return bool(result.rowcount == 1)

    def _set(self, insight_id: str, **values: Any) -> None:
        query = update(QualityInsightRow).where(QualityInsightRow.id == _parse(insight_id)).values(**values)
        self._session.execute(query.execution_options(synchronize_session="fetch"))

    def _row(self, insight_id: str) -> QualityInsightRow:
        row = self._session.get(QualityInsightRow, _parse(insight_id), populate_existing=True)
        if row is None:
            raise NotFoundError(f"there is no finding {insight_id[:80]!r}; {_HINT}")
        return row


@dataclass(frozen=True, slots=True)
class RunFacts:
    """One run as reviews see it: its figures by name, the keys of watched tests that failed for good, and the paths its diff changed."""

    id: str
    at: datetime
    figures: dict[str, float]
    failed: frozenset[str]
    changed: frozenset[str]


class QualityFacts:
    """What reviews ask about runs and incidents; reading only."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def runs(self, service: str, ids: Sequence[str]) -> list[RunFacts]:
        """The runs of these ids, oldest first."""
        wanted = [uuid.UUID(each) for each in ids]
        result = QualityTestResultRow
        lost: dict[uuid.UUID, set[str]] = {}
        query = select(result.run_id, result.key).where(
            result.service == service, result.run_id.in_(wanted), result.executions > 0, result.failures == result.executions
        )
        for run_id, key in self._session.execute(query):
            lost.setdefault(run_id, set()).add(key)
        part = QualityEvidenceRow
        diffs = self._session.execute(select(part.run_id, part.data).where(part.run_id.in_(wanted), part.part == DIFF))
        changed = {run_id: _paths(data) for run_id, data in diffs}
        rows = self._session.scalars(select(QualityRunRow).where(QualityRunRow.id.in_(wanted)).order_by(QualityRunRow.id))
        return [
            RunFacts(str(row.id), row.at, _numbers(row.figures), frozenset(lost.get(row.id, ())), changed.get(row.id, frozenset()))
            for row in rows
        ]

    def escapes(self, service: str, *, since: datetime) -> list[EscapedDefect]:
        """Incidents since then that were traced to a release of the service, with what the gates had said of its version.

        What was merged into another incident is that one.
        """
        own = IncidentRow.merged_into.is_(None)
        query = select(IncidentRow).where(IncidentRow.detected_at >= since, own).order_by(IncidentRow.incident_id)
        found = []
        for incident in self._session.scalars(query):
            release_id = (incident.impact_assessment or {}).get("release_id")
            release = self._session.get(ReleaseRow, _parse(str(release_id))) if release_id else None
            if release is not None and release.service == service:
                found.append(self._escaped(incident, release.version))
        return found

    def _escaped(self, incident: IncidentRow, version: str) -> EscapedDefect:
        service = (incident.affected_services or [""])[0]
        run = self._session.scalars(
            select(QualityRunRow)
            .where(QualityRunRow.service == service, QualityRunRow.version == version, QualityRunRow.at < incident.detected_at)
            .order_by(QualityRunRow.id.desc()).limit(1)
        ).first()  # fmt: skip
        gates = self._session.scalars(select(QualityGateRow).where(QualityGateRow.run_id == run.id)) if run is not None else ()
        minutes = float(incident.mttr_minutes) if incident.mttr_minutes is not None else None
        return EscapedDefect(
            str(incident.incident_id), incident.title, incident.incident_type, incident.severity, version, minutes,
            {gate.kind: gate.state for gate in gates},
        )  # fmt: skip

    def services(self, ventures: Collection[str] | None) -> list[tuple[str, str]]:
        """(venture, service) of all that have runs."""
        query = select(QualityRunRow.venture, QualityRunRow.service).distinct().order_by(QualityRunRow.service)
        if ventures is not None:
            query = query.where(QualityRunRow.venture.in_(sorted(ventures)))
        return [(venture, service) for venture, service in self._session.execute(query)]


def _numbers(figures: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in figures.items() if isinstance(value, int | float) and not isinstance(value, bool)}


def _paths(data: bytes) -> frozenset[str]:
    """The files that a run's diff changed."""
    _, diff = unpacked({DIFF: data})
    return frozenset(diff.files) if diff is not None else frozenset()


def _told(insight: Insight) -> dict[str, Any]:
    return {
        "kind": insight.kind.value, "title": insight.title, "sentence": insight.sentence, "action": insight.action,
        "minutes": insight.minutes, "weight": insight.weight, "evidence": dict(insight.evidence),
    }  # fmt: skip


def _known(row: QualityInsightRow) -> KnownInsight:
    insight = Insight(InsightKind(row.kind), row.key, row.title, row.sentence, row.action, row.minutes, row.weight, row.evidence)
    return KnownInsight(
        str(row.id), row.venture, row.service, insight, InsightState(row.state), row.reason, row.decided_by, row.decided_at,
        row.decided_weight, row.found_at, row.seen_at, row.gone_at,
    )  # fmt: skip


def _parse(insight_id: str) -> uuid.UUID:
    try:
        return uuid.UUID(insight_id)
    except ValueError as error:
        raise NotFoundError(f"there is no finding {insight_id[:80]!r}; {_HINT}") from error
