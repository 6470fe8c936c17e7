"""Budgets that will be spent soon are told hours before; those that burn no faster than they may are not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from productops.domain.incident_alert import StoredAlert
from productops.store.incident_alerts import AlertFilter
from productops.usecases.context import OURSELVES, Context
from productops.usecases.incident_read import find_alerts
from productops.usecases.monitoring_slo_forecast import BudgetWatch, forecast_budget
from tests.integration.monitoring_slo_lab import AVAILABILITY, Moved, declare, make, minutes

NAME = "shop-availability"
DAYS = 28 * 1440


@pytest.fixture
def house(tmp_path: Path, database_url: str) -> Iterator[tuple[Context, Moved]]:
    made, clock = make(tmp_path, database_url)
    declare(made, tmp_path, AVAILABILITY)
    yield made, clock
    made.store.close()


def past(context: Context, clock: Moved, *, minutes_ago: int, count: int, bad: float) -> None:
    """``bad`` of a hundred requests a minute."""
    minutes(context, NAME, clock.at - timedelta(minutes=minutes_ago), count, good=100 - bad, total=100)


def firing(context: Context) -> list[StoredAlert]:
    return find_alerts(context, AlertFilter(source="forecast", status="firing"), limit=10, actor=OURSELVES)


def test_a_budget_that_burns_is_told_with_the_hours_that_are_left(house: tuple[Context, Moved]) -> None:
    context, clock = house
    watch = BudgetWatch(context)
    assert watch.turn() == 0  # nothing was measured
    past(context, clock, minutes_ago=DAYS, count=DAYS - 360, bad=0.05)
    assert watch.turn() == 0
    past(context, clock, minutes_ago=360, count=360, bad=3.0)
    with context.store.read() as unit:
        objective = unit.objectives.find(NAME)
        assert objective is not None
        found = forecast_budget(unit, objective, now=clock.now())
    # By hand: 28 days of 100 a minute allow 4032 bad ones; 1998 and 1080 were, 954 are left at 180 an hour: 5.3 hours.
    assert found.speed == pytest.approx(30.0)
    assert found.lead_s == pytest.approx(954 / 180 * 3600, rel=0.01)
    assert watch.turn() == 1
    told = firing(context)[0]
    assert (told.alert.severity, told.state.value) == ("SEV4", "listed")
    assert "will be spent in 5.3 hours" in told.alert.summary


def test_it_is_over_when_it_burns_no_more_and_worse_when_hardly_anything_is_left(house: tuple[Context, Moved]) -> None:
    context, clock = house
    past(context, clock, minutes_ago=DAYS, count=DAYS - 360, bad=0.05)
    past(context, clock, minutes_ago=360, count=360, bad=5.0)
    watch = BudgetWatch(context)
    assert watch.turn() == 1
    assert firing(context)[0].alert.severity == "SEV3"
    clock.at += timedelta(minutes=70)
    past(context, clock, minutes_ago=70, count=70, bad=0.0)
    watch.turn()
    assert firing(context) == []


def test_a_young_objective_is_judged_by_the_events_it_has_seen(house: tuple[Context, Moved]) -> None:
    context, clock = house
    past(context, clock, minutes_ago=2880, count=2520, bad=0.02)
    past(context, clock, minutes_ago=360, count=360, bad=0.4)
    with context.store.read() as unit:
        objective = unit.objectives.find(NAME)
        assert objective is not None
        found = forecast_budget(unit, objective, now=clock.now())
    # Two days of 100 a minute allow 288 bad ones, 194 were; 24 an hour: 3.9 hours.
    assert found.lead_s == pytest.approx((288 - 50.4 - 144) / 24 * 3600, rel=0.02)


def test_a_short_hiccup_and_a_handful_of_failures_forecast_nothing(house: tuple[Context, Moved]) -> None:
    context, clock = house
    past(context, clock, minutes_ago=DAYS, count=DAYS, bad=0.05)
    past(context, clock, minutes_ago=10, count=1, bad=9.0)
    assert BudgetWatch(context).turn() == 0
