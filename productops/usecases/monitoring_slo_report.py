"""What a round over all objectives shows: budgets, what was held back of alerts and why, and what nobody measures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from productops.domain.incident_alert import AlertState
from productops.ports import MetricSource
from productops.store.incident_alerts import AlertFilter
from productops.usecases.context import Actor, Context
from productops.usecases.monitoring_slo import ObjectiveView, list_objectives, tidy_objectives
from productops.usecases.monitoring_slo_count import count_from_sources

DAY = timedelta(days=1)
ALERTS_MAX = 5_000


@dataclass(frozen=True, slots=True)
class HeldBack:
    """Alerts of the last day that were not told, by reason, and how many were."""

    told: int
    held: tuple[tuple[str, str, int], ...]


@dataclass(frozen=True, slots=True)
class ObjectivesRound:
    """One round. ``failed``: objectives whose source did not answer, with why."""

    at: datetime
    views: tuple[ObjectiveView, ...]
    counted: int
    failed: Mapping[str, str]
    silence: HeldBack

    @property
    def sentence(self) -> str:
        """In one line."""
        spent = [view.objective.name for view in self.views if view.budget.spent]
        firing = [view.objective.name for view in self.views if view.firing]
        said = f"{len(self.views)} objectives, {len(firing)} burn too fast, {len(spent)} budgets are spent"
        told = f" ({', '.join(spent[:5])})" if spent else ""
        return said + told + (f"; {len(self.failed)} could not be measured" if self.failed else "")


def round_of_objectives(context: Context, sources: Mapping[str, MetricSource], *, actor: Actor) -> ObjectivesRound:
    """Ask systems outside, count late data, forget old minutes, and say how things stand.

    Raises: ForbiddenError, StoreUnavailableError.
    """
    now = context.clock.now()
    failed = count_from_sources(context, sources, now=now)
    counted = tidy_objectives(context, now=now)
    return ObjectivesRound(now, tuple(list_objectives(context, actor=actor)), counted, failed, held_back(context, now=now))


def held_back(context: Context, *, now: datetime) -> HeldBack:
    """Alerts of the last day by what became of them. Raises: StoreUnavailableError."""
    with context.store.read() as unit:
        found = unit.alerts.page(AlertFilter(since=now - DAY), before=None, limit=ALERTS_MAX)
    held = Counter((each.state.value, each.reason) for each in found if each.state.suppressed)
    told = sum(each.state is AlertState.GROUPED for each in found)
    return HeldBack(told, tuple((state, reason, count) for (state, reason), count in held.most_common(50)))
