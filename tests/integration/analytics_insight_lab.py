"""A venture with daily figures of some features, in which one thing happens on a day that is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np

from productops.domain.analytics_usage import UsageDay
from productops.usecases.context import Clock, Context
from tests.support import add_service

FIRST = date(2026, 5, 4)
DAYS = 130
FEATURES = 14
PLATFORMS = (("ios", 0.5), ("android", 0.3), ("web", 0.2))


class DayClock(Clock):
    """A clock that stands where it is put."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        """Where it was put."""
        return self.at

    def morning_after(self, day: date) -> None:
        """The next day, at three."""
        self.at = datetime(day.year, day.month, day.day, 3, tzinfo=UTC) + timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Event:
    """What happens to ``feature`` in [begin, end): a factor for people (on one platform, or all), failures, latency."""

    feature: str
    begin: int
    end: int = 10_000
    people: float = 1.0
    platform: str = ""
    failures: float = 1.0
    latency: float = 1.0


def names() -> list[str]:
    """The features."""
    return [f"feature-{number:02}" for number in range(FEATURES)]


def add_figures(context: Context, *events: Event, days: int = DAYS, seed: int = 1, venture: str = "apollo") -> None:
    """Daily figures from FIRST on, with weekday and noise."""
    with context.store.read() as unit:
        known = venture in unit.catalog.ventures()
    if not known:
        add_service(context, "shop")
    random = np.random.default_rng(seed)
    week = np.array([0.1, 0.1, 0.05, 0.05, 0.0, -0.15, -0.15])
    base = {name: 400.0 * (1 + number) for number, name in enumerate(names())}
    for day in range(days):
        rows = [row for name in names() for row in _rows(random, venture, day, name, base[name] * np.exp(week[day % 7]), events)]
        active = sum(row.people for row in rows if not row.dimension)
        at = FIRST + timedelta(days=day)
        rows.append(UsageDay(venture, at, "", "", "", active * 2, active, 0, 0))
        with context.store.write() as unit:
            unit.analytics_usage.replace_day(venture, at, rows)


def _rows(
    random: np.random.Generator, venture: str, day: int, feature: str, usual: float, events: tuple[Event, ...]
) -> list[UsageDay]:  # fmt: skip
    now = [each for each in events if each.feature == feature and each.begin <= day < each.end]
    factor = {name: float(np.prod([e.people for e in now if e.platform in {"", name}])) for name, _ in PLATFORMS}
    people = {name: int(random.poisson(usual * share * factor[name] * np.exp(random.normal(0, 0.02)))) for name, share in PLATFORMS}
    fails = float(np.prod([e.failures for e in now]))
    slow = float(np.prod([e.latency for e in now])) * np.exp(random.normal(0, 0.03))
    parts: Mapping[tuple[str, str], int] = {("platform", name): count for name, count in people.items()} | {("", ""): sum(people.values())}
    return [
        UsageDay(
            venture, FIRST + timedelta(days=day), feature, dimension, value, count * 3, count, 0,
            int(random.poisson(max(count * 3 * 0.01 * fails, 0.0))), count, 200.0 * slow * count, 180.0 * slow, 420.0 * slow,
        )
        for (dimension, value), count in parts.items()
    ]  # fmt: skip


def day_of(number: int) -> date:
    """The day with this number."""
    return FIRST + timedelta(days=number)
