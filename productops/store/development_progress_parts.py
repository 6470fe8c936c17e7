"""The repositories of what is made of the work: reports about features, delivery, risk."""

from __future__ import annotations

from functools import cached_property

from sqlalchemy.orm import Session

from productops.store.development_dora import DevelopmentDora
from productops.store.development_progress import DevelopmentGoals, DevelopmentProgress
from productops.store.development_risk import Attributions, DevelopmentAnswers, RiskModels, RiskPredictions


class DevelopmentParts:
    """Those of one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @cached_property
    def development_progress(self) -> DevelopmentProgress:
        """Questions about features."""
        return DevelopmentProgress(self._session)

    @cached_property
    def development_goals(self) -> DevelopmentGoals:
        """What features are for."""
        return DevelopmentGoals(self._session)

    @cached_property
    def development_dora(self) -> DevelopmentDora:
        """Questions about delivery."""
        return DevelopmentDora(self._session)

    @cached_property
    def attributions(self) -> Attributions:
        """Causes of incidents."""
        return Attributions(self._session)

    @cached_property
    def risk_models(self) -> RiskModels:
        """Learned models of risk."""
        return RiskModels(self._session)

    @cached_property
    def risk_predictions(self) -> RiskPredictions:
        """What was said of changes, and what became of it."""
        return RiskPredictions(self._session)

    @cached_property
    def development_answers(self) -> DevelopmentAnswers:
        """Answers about features."""
        return DevelopmentAnswers(self._session)
