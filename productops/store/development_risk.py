"""Causes of incidents, models of risk and what they said, and answers about features: rows in and out."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from productops.domain.development_readiness import Answer, AnswerState, Check, checks_document, checks_of
from productops.errors import ConflictError, NotFoundError
from productops.store.identity import new_id
from productops.store.tables import (
    DevelopmentAnswerRow,
    DevelopmentAttributionRow,
    DevelopmentRiskModelRow,
    DevelopmentRiskPredictionRow,
)


@dataclass(frozen=True, slots=True)
class KnownAttribution:
    """Who says that a deployment (None: none) caused an incident, how sure, and by what. ``replaced_at``: it stands no longer."""

    id: str
    venture: str
    incident_id: str
    deployment: str | None
    confidence: float
    by_person: bool
    by: str
    reason: str
    evidence: dict[str, Any]
    at: datetime
    replaced_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A learned model with why it is trusted or not, and how far what comes in has moved since. ``state`` as in the table."""

    id: str
    venture: str
    state: str
    reason: str
    model: dict[str, Any]
    judged: dict[str, Any]
    drift: dict[str, Any]
    changes: int
    broke: int
    by: str
    at: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Prediction:
    """What was said of ``subject`` (``change/<id>``, ``release/<id>``). ``outcome``: broke, held or None while it is not known."""

    id: str
    venture: str
    subject: str
    title: str
    level: str
    probability: float | None
    model_id: str | None
    method: str
    reasons: tuple[str, ...]
    facts: dict[str, Any]
    inputs: str
    at: datetime
    outcome: str | None = None
    outcome_at: datetime | None = None
    outcome_reason: str = ""


@dataclass(frozen=True, slots=True)
class KnownAnswer:
    """A stored answer about a feature."""

    id: str
    venture: str
    feature_id: str
    kind: str
    state: AnswerState
    sentence: str
    checks: tuple[Check, ...]
    digest: str
    by: str
    at: datetime


class Attributions:
    """Repository of causes of incidents within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, attribution: KnownAttribution) -> None:
        """Write one; ``id`` is made by the caller."""
        self._session.add(
            DevelopmentAttributionRow(
                id=uuid.UUID(attribution.id), venture=attribution.venture, incident_id=uuid.UUID(attribution.incident_id),
                deployment=attribution.deployment, confidence=attribution.confidence, by_person=attribution.by_person, by=attribution.by,
                reason=attribution.reason, evidence=attribution.evidence, at=attribution.at, replaced_at=None,
            )
        )  # fmt: skip
        self._session.flush()

    def get(self, attribution_id: str) -> KnownAttribution:
        """Raises: NotFoundError."""
        row = self._session.get(DevelopmentAttributionRow, _parse(attribution_id, "attribution"), populate_existing=True)
        if row is None:
            raise NotFoundError(f"there is no attribution {attribution_id}; list them with GET /development/attributions")
        return _attribution(row)

    def replace(self, ids: Collection[str], *, now: datetime) -> int:
        """They stand no longer; returns how many still stood."""
        row = DevelopmentAttributionRow
        query = update(row).where(row.id.in_([uuid.UUID(each) for each in ids]), row.replaced_at.is_(None)).values(replaced_at=now)
        changed: Any = self._session.execute(query.execution_options(synchronize_session=False))
        return int(changed.rowcount)

    def standing(self, venture: str, *, incidents: Collection[str] | None = None) -> list[KnownAttribution]:
        """All that stand in a venture, the surest first; those of some incidents only when they are named."""
        row = DevelopmentAttributionRow
        query = select(row).where(row.venture == venture, row.replaced_at.is_(None)).order_by(row.confidence.desc(), row.id)
        found = [_attribution(each) for each in self._session.scalars(query)]
        return found if incidents is None else [each for each in found if each.incident_id in incidents]

    def page(
        self, *, ventures: Collection[str] | None, incident: str | None, replaced: bool, before: str | None, limit: int
    ) -> list[KnownAttribution]:
        """Newest first; ``before`` is the id of the last one seen."""
        row = DevelopmentAttributionRow
        query = select(row).order_by(row.id.desc()).limit(limit)
        if ventures is not None:
            query = query.where(row.venture.in_(sorted(ventures)))
        if incident is not None:
            query = query.where(row.incident_id == _parse(incident, "incident"))
        if not replaced:
            query = query.where(row.replaced_at.is_(None))
        if before is not None:
            query = query.where(row.id < uuid.UUID(before))
        return [_attribution(each) for each in self._session.scalars(query)]


class RiskModels:
    """Repository of learned models within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def current(self, venture: str) -> KnownModel | None:
        """The one in use; None: the rule rates."""
        row = self._session.scalar(select(DevelopmentRiskModelRow).where(DevelopmentRiskModelRow.current_key == venture))
        return _model(row) if row is not None else None

    def newest(self, venture: str, *, limit: int = 20) -> list[KnownModel]:
        """Newest first, trusted or not."""
        row = DevelopmentRiskModelRow
        return [
            _model(each) for each in self._session.scalars(select(row).where(row.venture == venture).order_by(row.id.desc()).limit(limit))
        ]

    def add(self, model: KnownModel) -> None:
        """Write one; a trusted one takes the place of the one in use. Raises: ConflictError when another was quicker."""
        row = DevelopmentRiskModelRow
        trusted = model.state == "trusted"
        if trusted:
            self.end(model.venture, "replaced", now=model.at)
        self._session.add(
            row(
                id=uuid.UUID(model.id), venture=model.venture, state=model.state, reason=model.reason, model=model.model,
                judged=model.judged,
                drift=model.drift, changes=model.changes, broke=model.broke, by=model.by, at=model.at, ended_at=None,
                current_key=model.venture if trusted else None,
            )
        )  # fmt: skip
        try:
            self._session.flush()
        except IntegrityError as error:
            raise ConflictError(f"somebody else put a model of {model.venture} into use at this moment; try again") from error

    def end(self, venture: str, state: str, *, now: datetime, drift: dict[str, Any] | None = None) -> bool:
        """Take the one in use out of use; False: there was none."""
        row = DevelopmentRiskModelRow
        values: dict[str, Any] = {"state": state, "ended_at": now, "current_key": None} | ({"drift": drift} if drift is not None else {})
        changed: Any = self._session.execute(
            update(row).where(row.current_key == venture).values(**values).execution_options(synchronize_session="fetch")
        )
        return bool(changed.rowcount == 1)

    def note_drift(self, model_id: str, drift: dict[str, Any]) -> None:
        """Keep what a look at drift found."""
        row = DevelopmentRiskModelRow
        self._session.execute(
            update(row).where(row.id == uuid.UUID(model_id)).values(drift=drift).execution_options(synchronize_session="fetch")
        )


class RiskPredictions:
    """Repository of what was said of changes and releases, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, prediction: Prediction) -> bool:
        """Write it; False when the same was said by the same facts before."""
        row = DevelopmentRiskPredictionRow
        known = select(row.id).where(row.subject == prediction.subject, row.inputs == prediction.inputs)
        if self._session.scalar(known) is not None:
            return False
        values = {
            name: getattr(prediction, name) for name in ("venture", "subject", "title", "level", "probability", "method", "inputs", "at")
        }
        self._session.add(
            row(
                **values, id=uuid.UUID(prediction.id), model_id=uuid.UUID(prediction.model_id) if prediction.model_id else None,
                reasons=list(prediction.reasons), facts=prediction.facts, outcome=None, outcome_at=None, outcome_reason="",
            )
        )  # fmt: skip
        self._session.flush()
        return True

    def settle(self, prediction_id: str, outcome: str, reason: str, *, now: datetime) -> bool:
        """Write what became of it, or another word where a person overruled the first; False when it stands so already."""
        row = DevelopmentRiskPredictionRow
        changed: Any = self._session.execute(
            update(row)
            .where(row.id == uuid.UUID(prediction_id), row.outcome.is_distinct_from(outcome))
            .values(outcome=outcome, outcome_reason=reason, outcome_at=now)
            .execution_options(synchronize_session="fetch")
        )
        return bool(changed.rowcount == 1)

    def of(self, venture: str, *, outcome_known: bool | None = None, limit: int = 5000) -> list[Prediction]:
        """Of a venture, oldest first of the newest ``limit``."""
        row = DevelopmentRiskPredictionRow
        query = select(row).where(row.venture == venture).order_by(row.id.desc()).limit(limit)
        if outcome_known is not None:
            query = query.where(row.outcome.is_not(None) if outcome_known else row.outcome.is_(None))
        return [_prediction(each) for each in reversed(self._session.scalars(query).all())]

    def newest_of(self, subjects: Collection[str]) -> dict[str, Prediction]:
        """The newest of each subject that has one."""
        row, wanted = DevelopmentRiskPredictionRow, sorted(subjects)
        found: dict[str, Prediction] = {}
        for start in range(0, len(wanted), 400):
            query = select(row).where(row.subject.in_(wanted[start : start + 400])).order_by(row.id)
            found |= {each.subject: _prediction(each) for each in self._session.scalars(query)}
        return found

    def newest(self, subject: str) -> Prediction | None:
        """The newest of a subject."""
        row = DevelopmentRiskPredictionRow
        found = self._session.scalar(select(row).where(row.subject == subject).order_by(row.id.desc()).limit(1))
        return _prediction(found) if found is not None else None

    def page(self, *, ventures: Collection[str] | None, venture: str | None, before: str | None, limit: int) -> list[Prediction]:
        """Newest first; ``before`` is the id of the last one seen."""
        row = DevelopmentRiskPredictionRow
        query = select(row).order_by(row.id.desc()).limit(limit)
        if venture is not None:
            query = query.where(row.venture == venture)
        if ventures is not None:
            query = query.where(row.venture.in_(sorted(ventures)))
        if before is not None:
            query = query.where(row.id < uuid.UUID(before))
        return [_prediction(each) for each in self._session.scalars(query)]


class DevelopmentAnswers:
    """Repository of answers about features within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def newest(self, feature_id: str, kind: str) -> KnownAnswer | None:
        """The last one."""
        row = DevelopmentAnswerRow
        query = select(row).where(row.feature_id == uuid.UUID(feature_id), row.kind == kind).order_by(row.id.desc()).limit(1)
        found = self._session.scalar(query)
        return _answer(found) if found is not None else None

    def add(self, answer: Answer, *, venture: str, feature_id: str, by: str, now: datetime) -> KnownAnswer | None:
        """Keep an answer; None when the last one was the same."""
        last = self.newest(feature_id, answer.kind)
        if last is not None and last.digest == answer.digest:
            return None
        row = DevelopmentAnswerRow(
            id=new_id(), venture=venture, feature_id=uuid.UUID(feature_id), kind=answer.kind, state=answer.state.value,
            sentence=answer.sentence, checks=checks_document(answer.checks), digest=answer.digest, by=by, at=now,
        )  # fmt: skip
        self._session.add(row)
        self._session.flush()
        return _answer(row)

    def facts(self, venture: str) -> list[KnownAnswer]:
        """The last answers of every feature and kind of a venture: what the next plan may rely on."""
        row = DevelopmentAnswerRow
        found: dict[tuple[str, str], KnownAnswer] = {}
        for each in self._session.scalars(select(row).where(row.venture == venture).order_by(row.id)):
            found[str(each.feature_id), each.kind] = _answer(each)
        return list(found.values())


def _parse(text: str, noun: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise NotFoundError(f"there is no {noun} {text[:80]!r}") from None


def _attribution(row: DevelopmentAttributionRow) -> KnownAttribution:
    return KnownAttribution(
        id=str(row.id), venture=row.venture, incident_id=str(row.incident_id), deployment=row.deployment, confidence=row.confidence,
        by_person=row.by_person, by=row.by, reason=row.reason, evidence=row.evidence, at=row.at, replaced_at=row.replaced_at,
    )  # fmt: skip


def _model(row: DevelopmentRiskModelRow) -> KnownModel:
    return KnownModel(
        id=str(row.id), venture=row.venture, state=row.state, reason=row.reason, model=row.model, judged=row.judged, drift=row.drift,
        changes=row.changes, broke=row.broke, by=row.by, at=row.at, ended_at=row.ended_at,
    )  # fmt: skip


def _prediction(row: DevelopmentRiskPredictionRow) -> Prediction:
    reasons: Sequence[str] = row.reasons
    return Prediction(
        id=str(row.id), venture=row.venture, subject=row.subject, title=row.title, level=row.level, probability=row.probability,
        model_id=str(row.model_id) if row.model_id else None, method=row.method, reasons=tuple(reasons), facts=row.facts,
        inputs=row.inputs, at=row.at, outcome=row.outcome, outcome_at=row.outcome_at, outcome_reason=row.outcome_reason,
    )  # fmt: skip


def _answer(row: DevelopmentAnswerRow) -> KnownAnswer:
    return KnownAnswer(
        id=str(row.id), venture=row.venture, feature_id=str(row.feature_id), kind=row.kind, state=AnswerState(row.state),
        sentence=row.sentence, checks=checks_of(row.checks), digest=row.digest, by=row.by, at=row.at,
    )  # fmt: skip
