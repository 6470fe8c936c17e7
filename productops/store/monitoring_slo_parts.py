"""The repositories of objectives and alert rules."""

from __future__ import annotations

from functools import cached_property

from productops.store.development_progress_parts import DevelopmentParts
from productops.store.monitoring_slo import Objectives
from productops.store.monitoring_slo_rules import AlertRules


class SloParts(DevelopmentParts):
    """Those of one transaction."""

    @cached_property
    def objectives(self) -> Objectives:
        """What is promised to users, and what was counted of it."""
        return Objectives(self._session)

    @cached_property
    def alert_rules(self) -> AlertRules:
        """Rules about series."""
        return AlertRules(self._session)
