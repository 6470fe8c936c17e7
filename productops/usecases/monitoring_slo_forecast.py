"""Every minute: which error budget will be spent soon, if it goes on as it has lately?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from productops.domain.incident_alert import Alert
from productops.domain.monitoring_detect import Findings
from productops.domain.monitoring_slo import Budget, Method, Objective, Sum
from productops.store import Unit
from productops.usecases.context import Context
from productops.usecases.monitoring_detect import AlertBook
from productops.usecases.monitoring_slo import budget_in

KIND: Final = "budgets"
LOOKS: Final = (timedelta(hours=6), timedelta(hours=1))
"""It has to burn in the longer one, so that a short hiccup is no trend, and in the shorter one, so that what is over is over."""
BAD_MIN: Final = 10.0
"""Fewer bad events or slices say nothing about the hours to come."""
BACK: Final = 1.25


@dataclass(frozen=True, slots=True)
class BudgetForecast:
    """``speed``: 1 spends the whole budget in its whole window. ``lead_s``: seconds until nothing is left; None: not in this window."""

    budget: Budget
    speed: float
    lead_s: float | None


@dataclass(slots=True)
class BudgetWatch:
    """``warn`` and ``critical``: lead times that alert."""

    context: Context
    warn: timedelta = timedelta(hours=24)
    critical: timedelta = timedelta(hours=2)
    book: AlertBook = field(init=False)

    def __post_init__(self) -> None:
        self.book = AlertBook(self.context, KIND)

    def turn(self) -> int:
        """Returns how many alerts were told. Raises: StoreUnavailableError."""
        now = self.context.clock.now()
        with self.context.store.read() as unit:
            found = [forecast_budget(unit, objective, now=now) for objective in unit.objectives.all()]
            known = {each.alert.fingerprint for each in unit.detectors.open_alerts(KIND)}
        firing, keep = self._sorted(found, now=now)
        calm = frozenset(known - {alert.fingerprint for alert in firing} - keep)
        return self.book.settle(Findings(tuple(firing), calm))

    def _sorted(self, found: Sequence[BudgetForecast], *, now: datetime) -> tuple[list[Alert], set[str]]:
        """What alerts, and fingerprints of what is just beyond the line: that stays as it was."""
        firing: list[Alert] = []
        keep: set[str] = set()
        for each in found:
            if each.lead_s is None:
                continue
            alert = self._alert(each, each.lead_s, now=now)
            if each.lead_s <= self.warn.total_seconds():
                firing.append(alert)
            elif each.lead_s <= BACK * self.warn.total_seconds():
                keep.add(alert.fingerprint)
        return firing, keep

    def _alert(self, found: BudgetForecast, lead_s: float, *, now: datetime) -> Alert:
        budget, objective = found.budget, found.budget.objective
        critical = lead_s <= self.critical.total_seconds()
        return Alert(
            source="forecast", name="error budget runs out", venture=objective.venture, service=objective.service,
            environment=objective.environment, component=objective.service, severity="SEV3" if critical else "SEV4",
            labels={"objective": objective.name}, value=round(lead_s, 0), starts_at=now,
            summary=f"the error budget of {objective.name} will be spent in {_told(lead_s)} if it goes on like this: {budget.sentence}",
            evidence={
                "objective": objective.name, "lead_s": round(lead_s, 0), "speed": round(found.speed, 2), "since": now.isoformat(),
                "remaining_ratio": round(budget.remaining_ratio or 0.0, 4), "spent_at": (now + timedelta(seconds=lead_s)).isoformat(),
            },
        )  # fmt: skip


def forecast_budget(unit: Unit, objective: Objective, *, now: datetime) -> BudgetForecast:
    """The slower of two looks at the last hours, held against what is left of the budget.

    lead = remaining share x window / speed, speed = bad share lately / (1 - target); at a speed of 1 or less no budget runs out.
    Source: Google SRE workbook, chapter 5, "Alerting on SLOs": burn rate and time to exhaustion.
    """
    budget = budget_in(unit, objective, now=now)
    looks = [(look, _lately(unit, objective, look, now=now)) for look in LOOKS]
    speed = min(_speed(objective, found) for _, found in looks)
    left = budget.remaining_ratio
    if left is None or left <= 0 or speed <= 1:
        return BudgetForecast(budget, speed, None)
    window_s = (budget.until - budget.since).total_seconds()
    if objective.method is Method.OCCURRENCES:  # the budget is a share of the events so far, which may be those of a few days only
        look, found = looks[0]
        window_s = min(window_s, budget.total * look.total_seconds() / found.total)
    lead_s = left * window_s / speed
    ends_s = (budget.until - now).total_seconds()  # a calendar's window begins anew with a whole budget; a rolling one ends now
    return BudgetForecast(budget, speed, None if 0 < ends_s < lead_s else lead_s)


def _lately(unit: Unit, objective: Objective, look: timedelta, *, now: datetime) -> Sum:
    until_s = int(now.timestamp())
    return unit.objectives.total(objective, since_s=until_s - int(look.total_seconds()), until_s=until_s)


def _speed(objective: Objective, found: Sum) -> float:
    bad, of = _bad(objective, found)
    return bad / of / objective.budget if of > 0 and bad >= BAD_MIN and objective.budget > 0 else 0.0


def _bad(objective: Objective, found: Sum) -> tuple[float, float]:
    if objective.method is Method.OCCURRENCES:
        return max(0.0, found.total - found.good), found.total
    bad = float(found.bad_slices) if objective.method is Method.TIMESLICES else max(0.0, found.slices - found.shares)
    return bad, float(found.slices)


def _told(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{max(1.0, seconds / 60):.0f} minutes"
