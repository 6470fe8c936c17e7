"""What is made of the work: causes of incidents, models of risk and what they said, readiness and success, and what a feature is for."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from productops.store.tables.base import Base, one_of

MODEL_STATES = ("trusted", "distrusted", "drifted", "replaced")
ANSWERS = ("passed", "failed", "inconclusive")


class DevelopmentAttributionRow(Base):
    """An incident was caused by a deployment, as the machine or a person says; ``deployment`` NULL: by none.

    ``replaced_at``: a newer look of the machine, or a newer word of a person, stands in its place.
    """

    __tablename__ = "development_attributions"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    venture: Mapped[str] = mapped_column(String(63))
    incident_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("incident_management.incident_id"))
    deployment: Mapped[str | None] = mapped_column(String(100))
    confidence: Mapped[float]
    by_person: Mapped[bool]
    by: Mapped[str] = mapped_column(String(255))
    reason: Mapped[str] = mapped_column(Text)
    evidence: Mapped[dict[str, Any]]
    at: Mapped[datetime]
    replaced_at: Mapped[datetime | None]
    __table_args__ = (
        Index("ix_development_attributions_venture_id", "venture", "id"),
        Index("ix_development_attributions_incident_id", "incident_id"),
    )


class DevelopmentRiskModelRow(Base):
    """A learned model as plain JSON. ``current_key`` is the venture while it is the one in use and NULL after: unique, so one at a time."""

    __tablename__ = "development_risk_models"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    venture: Mapped[str] = mapped_column(String(63))
    state: Mapped[str] = mapped_column(String(12))
    reason: Mapped[str] = mapped_column(Text)
    model: Mapped[dict[str, Any]]
    judged: Mapped[dict[str, Any]]
    drift: Mapped[dict[str, Any]]
    changes: Mapped[int]
    broke: Mapped[int]
    by: Mapped[str] = mapped_column(String(255))
    at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    current_key: Mapped[str | None] = mapped_column(String(63), unique=True)
    __table_args__ = (one_of("state", *MODEL_STATES), Index("ix_development_risk_models_venture_id", "venture", "id"))


class DevelopmentRiskPredictionRow(Base):
    """What was said of a change or release before its outcome was known, and what became of it.

    ``inputs`` is the digest of what it was rated by: the same is written once. ``outcome``: broke, held; NULL: not known yet.
    """

    __tablename__ = "development_risk_predictions"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    venture: Mapped[str] = mapped_column(String(63))
    subject: Mapped[str] = mapped_column(String(100))
    title: Mapped[str] = mapped_column(Text)
    level: Mapped[str] = mapped_column(String(10))
    probability: Mapped[float | None]
    model_id: Mapped[uuid.UUID | None]
    method: Mapped[str] = mapped_column(String(20))
    reasons: Mapped[list[Any]]
    facts: Mapped[dict[str, Any]]
    inputs: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime]
    outcome: Mapped[str | None] = mapped_column(String(10))
    outcome_at: Mapped[datetime | None]
    outcome_reason: Mapped[str] = mapped_column(Text)
    __table_args__ = (
        UniqueConstraint("subject", "inputs", name="uq_development_risk_predictions_one"),
        Index("ix_development_risk_predictions_venture_id", "venture", "id"),
        Index("ix_development_risk_predictions_venture_outcome", "venture", "outcome"),
    )


class DevelopmentAnswerRow(Base):
    """Was a feature ready, did it succeed: one row each time the answer was another one. ``kind``: readiness or success."""

    __tablename__ = "development_answers"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    venture: Mapped[str] = mapped_column(String(63))
    feature_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("development_features.id"))
    kind: Mapped[str] = mapped_column(String(10))
    state: Mapped[str] = mapped_column(String(12))
    sentence: Mapped[str] = mapped_column(Text)
    checks: Mapped[list[Any]]
    digest: Mapped[str] = mapped_column(String(64))
    by: Mapped[str] = mapped_column(String(255))
    at: Mapped[datetime]
    __table_args__ = (
        one_of("state", *ANSWERS),
        one_of("kind", "readiness", "success"),
        Index("ix_development_answers_feature_id_kind_id", "feature_id", "kind", "id"),
        Index("ix_development_answers_venture_id", "venture", "id"),
    )


class DevelopmentGoalRow(Base):
    """What a feature is for, as the catalog declares it (``kind: Feature``)."""

    __tablename__ = "development_goals"
    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    venture: Mapped[str] = mapped_column(String(63), index=True)
    spec: Mapped[dict[str, Any]]
    base: Mapped[str] = mapped_column(Text)
    revision: Mapped[int]
    updated_at: Mapped[datetime]
