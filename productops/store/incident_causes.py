"""Looks for causes, what people said about them, and what a look asks the store: the SQL."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from productops.domain.analysis import ArmSecond
from productops.domain.incident_cause import (
    CauseDecision,
    CauseKind,
    CauseRecord,
    CauseVerdict,
    Evidence,
    Hypothesis,
    Ledger,
    Onset,
)
from productops.domain.release import Environment
from productops.errors import NotFoundError
from productops.store.identity import new_id
from productops.store.monitoring import _arm
from productops.store.tables import (
    FlagRevisionRow,
    FlagRow,
    IncidentCauseDecisionRow,
    IncidentCauseLookRow,
    SecondRow,
    Venture,
)

CHANGES_MAX = 500


class Causes:
    """Repository within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, ledger: Ledger) -> str:
        """Keep a look; returns its id."""
        row = IncidentCauseLookRow(
            id=new_id(), incident_id=_parse(ledger.incident_id), at=ledger.at, by=ledger.by[:255],
            hypotheses=[_written(each) for each in ledger.hypotheses], onset=_written_onset(ledger.onset),
            sources=list(ledger.sources), missing=list(ledger.missing), took_s=ledger.took_s,
        )  # fmt: skip
        self._session.add(row)
        self._session.flush()
        return str(row.id)

    def looks(self, incident_id: str, *, before: str | None = None, limit: int = 20) -> list[Ledger]:
        """Looks at an incident, newest first; ``before`` is the id of the last one seen."""
        row = IncidentCauseLookRow
        query = select(row).where(row.incident_id == _parse(incident_id)).order_by(row.id.desc()).limit(limit)
        if before is not None:
            query = query.where(row.id < _parse(before))
        return [_ledger(each) for each in self._session.scalars(query)]

    def first(self, incident_id: str) -> Ledger | None:
        """The first look; None before any."""
        row = IncidentCauseLookRow
        found = self._session.scalar(select(row).where(row.incident_id == _parse(incident_id)).order_by(row.id).limit(1))
        return None if found is None else _ledger(found)

    def latest(self, incident_id: str) -> Ledger | None:
        """The newest look; None before any."""
        return next(iter(self.looks(incident_id, limit=1)), None)

    def decide(self, decision: CauseDecision) -> None:
        """Keep what a person said."""
        self._session.add(
            IncidentCauseDecisionRow(
                id=new_id(), incident_id=_parse(decision.incident_id), venture=decision.venture, kind=decision.kind.value,
                subject=decision.subject, verdict=decision.verdict.value, rank=decision.rank, probability=decision.probability,
                by=decision.by[:255], reason=decision.reason, at=decision.at,
            )
        )  # fmt: skip
        self._session.flush()

    def decisions(self, incident_id: str) -> list[CauseDecision]:
        """What people say now about hypotheses of an incident, one for each, in the order they said it."""
        row = IncidentCauseDecisionRow
        found = self._session.scalars(select(row).where(row.incident_id == _parse(incident_id)).order_by(row.id))
        newest = {(each.kind, each.subject): each for each in found}
        return [_decision(each) for each in sorted(newest.values(), key=lambda each: each.id)]

    def confirmed(self, ventures: Collection[str] | None, *, since: datetime, limit: int = 5_000) -> list[CauseDecision]:
        """What counts as confirmed now, of incidents whose cause a person told since then. ``ventures`` None: of all."""
        row = IncidentCauseDecisionRow
        query = select(row).where(row.at >= since).order_by(row.id.desc()).limit(limit)
        if ventures is not None:
            query = query.where(row.venture.in_(sorted(ventures)))
        newest: dict[tuple[uuid.UUID, str, str], IncidentCauseDecisionRow] = {}
        for each in self._session.scalars(query):
            newest.setdefault((each.incident_id, each.kind, each.subject), each)
        return [_decision(each) for each in newest.values() if each.verdict == CauseVerdict.CONFIRMED.value]

    def arms(self, service: str, environment: Environment, *, after_s: int, until_s: int) -> dict[str, dict[int, ArmSecond | None]]:
        """Traffic in (after_s, until_s] of every arm that had any: versions, and answers by flag variant; None: not measured."""
        row = SecondRow
        query = select(row).where(
            row.service == service, row.environment == environment.value, row.at_s > after_s, row.at_s <= until_s
        )  # fmt: skip
        found: dict[str, dict[int, ArmSecond | None]] = {}
        for each in self._session.scalars(query.order_by(row.at_s)):
            found.setdefault(each.version, {})[each.at_s] = _arm(each)
        return found

    def flags_changed(self, venture: str, *, since: datetime, until: datetime) -> dict[str, tuple[int, ...]]:
        """Revisions of a venture's flags made in [since, until], by key, newest first."""
        row = FlagRevisionRow
        query = (
            select(row.flag_key, row.revision)
            .join(FlagRow, FlagRow.key == row.flag_key)
            .join(Venture, Venture.id == FlagRow.venture_id)
            .where(Venture.name == venture, row.at >= since, row.at <= until)
            .order_by(row.at.desc(), row.revision.desc())
            .limit(CHANGES_MAX)
        )
        found: dict[str, list[int]] = {}
        for key, revision in self._session.execute(query).tuples():
            found.setdefault(key, []).append(revision)
        return {key: tuple(revisions) for key, revisions in found.items()}


class CauseParts:
    """The repositories of this room, for the unit."""

    _session: Session

    @cached_property
    def causes(self) -> Causes:
        """Hypotheses about incidents."""
        return Causes(self._session)


def record_of(confirmed: Sequence[CauseDecision]) -> CauseRecord:
    """How often the first look was right; an incident with several confirmed causes counts once, by the best placed."""
    best: dict[str, int] = {}
    for each in confirmed:
        rank = each.rank if each.rank is not None else 1_000_000
        best[each.incident_id] = min(best.get(each.incident_id, rank), rank)
    return CauseRecord(len(best), sum(rank == 1 for rank in best.values()), sum(rank <= 3 for rank in best.values()))


def _parse(text: str) -> uuid.UUID:
    """Raises: NotFoundError."""
    try:
        return uuid.UUID(text)
    except ValueError as error:
        raise NotFoundError(f"there is no incident and no look {text[:80]!r}") from error


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


def _written_evidence(evidence: Evidence) -> dict[str, Any]:
    at = evidence.at.isoformat() if evidence.at is not None else None
    return {"text": evidence.text, "weight": round(evidence.weight, 4), "at": at, "link": evidence.link, "direct": evidence.direct}


def _written(each: Hypothesis) -> dict[str, Any]:
    return {
        "kind": each.kind.value, "subject": each.subject, "service": each.service, "environment": each.environment.value,
        "probability": round(each.probability, 6), "supporting": [_written_evidence(e) for e in each.supporting],
        "refuting": [_written_evidence(e) for e in each.refuting], "remedy": dict(each.remedy),
    }  # fmt: skip


def _written_onset(onset: Onset | None) -> dict[str, Any] | None:
    if onset is None:
        return None
    times = {"at": onset.at.isoformat(), "low": onset.low.isoformat(), "high": onset.high.isoformat()}
    return times | {"series": onset.series, "sentence": onset.sentence}


def _evidence(found: Mapping[str, Any]) -> Evidence:
    return Evidence(found["text"], float(found["weight"]), _time(found["at"]), found["link"], bool(found.get("direct")))


def _hypothesis(found: Mapping[str, Any]) -> Hypothesis:
    return Hypothesis(
        CauseKind(found["kind"]), found["subject"], found["service"], Environment(found["environment"]), float(found["probability"]),
        tuple(_evidence(e) for e in found["supporting"]), tuple(_evidence(e) for e in found["refuting"]), found["remedy"],
    )  # fmt: skip


def _ledger(row: IncidentCauseLookRow) -> Ledger:
    return Ledger(
        str(row.incident_id), row.at, tuple(_hypothesis(each) for each in row.hypotheses), _onset(row.onset), str(row.id), row.by,
        tuple(row.sources), tuple(row.missing), row.took_s,
    )  # fmt: skip


def _onset(found: Mapping[str, Any] | None) -> Onset | None:
    if found is None:
        return None
    at, low, high = (datetime.fromisoformat(found[name]).astimezone(UTC) for name in ("at", "low", "high"))
    return Onset(at, low, high, found["series"], found["sentence"])


def _decision(row: IncidentCauseDecisionRow) -> CauseDecision:
    return CauseDecision(
        str(row.incident_id), row.venture, CauseKind(row.kind), row.subject, CauseVerdict(row.verdict), row.rank, row.probability,
        row.by, row.reason, row.at,
    )  # fmt: skip
