"""The first days of features with a goal of use, and what else is known of them; a missing signal is missing, never guessed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from productops.domain.analytics_usage import UsageDay
from productops.domain.catalog_feature import UsageGoal
from productops.domain.development import Feature, Stage, WorkItem
from productops.domain.release import Phase
from productops.errors import ConflictError, DependencyError, NotFoundError
from productops.store import Unit
from productops.store.development_progress import FeatureGoal
from productops.usecases.analytics_events_read import read_events
from productops.usecases.context import OURSELVES, Context
from productops.usecases.development_progress_facts import FeatureFacts, find_feature, gather

Floats = NDArray[np.float64]
BACK = timedelta(days=400)
FIRST_USERS_DAYS, RETURN_AFTER_DAYS, EARLY_DAYS = 3, 3, 14
ITEMS_MAX = 2000


@dataclass(frozen=True, slots=True)
class FeatureSeries:
    """Whole days since users had it: ``days`` count from ``begin``; ``users`` of it and active ``people``. ``first`` None: nobody used it.

    ``signals`` by the names of ``productops.domain.analytics_predict.SIGNALS``; None where it is not measured.
    """

    name: str
    goal: UsageGoal
    begin: date
    due_at: datetime
    first: date | None
    days: Floats
    users: Floats
    people: Floats
    signals: dict[str, float | None]


def gather_series(context: Context, venture: str, *, now: datetime) -> list[FeatureSeries]:
    """One for each catalog entry with a goal of use, by name. Events are read outside the view of the store."""
    with context.store.read() as unit:
        every = unit.development_goals.all([venture])
        goals = [(goal, each) for goal in every for each in goal.spec.success if isinstance(each, UsageGoal)]
        names = ["", *sorted({each.feature for _, each in goals})]
        until = now.date()
        rows = unit.analytics_usage.daily(venture, since=until - BACK, until=until, features=names) if goals else []
        usual = _usual_pace(unit, venture)
        found: dict[str, FeatureSeries] = {}
        for goal, usage in goals:
            if goal.name not in found:
                found[goal.name] = _series(unit, goal, usage, rows, usual, now)
    return [_with_retention(context, venture, each, now) for _, each in sorted(found.items())]


def _series(
    unit: Unit, goal: FeatureGoal, usage: UsageGoal, rows: Sequence[UsageDay], usual: float | None, now: datetime
) -> FeatureSeries:  # fmt: skip
    facts = _facts(unit, goal, now)
    own = {each.day: each for each in rows if each.feature == usage.feature}
    whole = {each.day: each for each in rows if not each.feature and each.people}
    live = min((moves.reached[Phase.PROMOTED].date() for moves in facts.live), default=None) if facts is not None else None
    used = min((day for day, each in own.items() if each.people), default=None)
    begin = max(live, used) if live is not None and used is not None else used or live or now.date()
    days = sorted(day for day in whole if day >= begin)
    users = np.array([min(own[day].people, whole[day].people) if day in own else 0 for day in days], dtype=np.float64)
    due = datetime(begin.year, begin.month, begin.day, tzinfo=UTC) + timedelta(days=math.ceil(goal.spec.after_days))
    early = [day for day in days if day < begin + timedelta(days=EARLY_DAYS)]
    signals: dict[str, float | None] = {
        "retention": None,
        "failure_ratio": _failures([own[d] for d in early if d in own], [whole[d] for d in early]),
        "latency_ratio": _latency([own[d] for d in early if d in own], [whole[d] for d in early]),
        "incidents": _incidents(unit, facts) if facts is not None else None,
        "overrun": _overrun(facts, usual) if facts is not None else None,
    }
    return FeatureSeries(
        goal.name, usage, begin, due, used, np.array([float((day - begin).days) for day in days]), users,
        np.array([float(whole[day].people) for day in days]), signals,
    )  # fmt: skip


def _facts(unit: Unit, goal: FeatureGoal, now: datetime) -> FeatureFacts | None:
    """What development knows of it; None where no tool told of such work."""
    for work in goal.spec.work:
        try:
            feature: Feature = find_feature(unit, work, OURSELVES)
        except (NotFoundError, ConflictError):
            continue
        if feature.venture == goal.venture:
            return gather(unit, feature, now=now)
    return None


def _failures(own: Sequence[UsageDay], whole: Sequence[UsageDay]) -> float | None:
    events, others = sum(each.events for each in own), sum(each.events for each in whole)
    if events < 50 or not others:
        return None
    ours = (sum(each.failures for each in own) + 0.5) / (events + 1)
    return ours / ((sum(each.failures for each in whole) + 0.5) / (others + 1))


def _latency(own: Sequence[UsageDay], whole: Sequence[UsageDay]) -> float | None:
    ours = [each.duration_p95_ms for each in own if each.duration_p95_ms]
    all_of_it = [each.duration_p95_ms for each in whole if each.duration_p95_ms]
    return float(np.median(ours) / np.median(all_of_it)) if ours and all_of_it else None


def _incidents(unit: Unit, facts: FeatureFacts) -> float:
    mine = {f"release/{moves.release.id}" for moves in facts.releases}
    standing = unit.attributions.standing(facts.feature.venture)
    return float(len({each.incident_id for each in standing if each.deployment in mine and (each.by_person or each.confidence >= 0.5)}))


def _pace(items: Sequence[WorkItem]) -> list[float]:
    """Hours from start to end for each estimated hour."""
    return [
        (item.done_at - item.started_at) / timedelta(hours=1) / item.estimate_h
        for item in items
        if item.done_at is not None and item.started_at is not None and item.estimate_h and item.done_at > item.started_at
    ]


def _usual_pace(unit: Unit, venture: str) -> float | None:
    paces = _pace(unit.development.of(WorkItem, ventures=[venture], stage=Stage.DONE.value, limit=ITEMS_MAX))
    return float(np.median(paces)) if len(paces) >= 10 else None


def _overrun(facts: FeatureFacts, usual: float | None) -> float | None:
    own = _pace(facts.items)
    return float(np.median(own)) / usual if len(own) >= 3 and usual else None


def _with_retention(context: Context, venture: str, series: FeatureSeries, now: datetime) -> FeatureSeries:
    """Share of those who used it in its first three days that used it again later, within two weeks; None before it can be known."""
    if series.first is None or context.analytics_folder is None:
        return series
    begin = datetime(series.begin.year, series.begin.month, series.begin.day, tzinfo=UTC)
    until = min(begin + timedelta(days=EARLY_DAYS), now)
    if until - begin < timedelta(days=FIRST_USERS_DAYS + RETURN_AFTER_DAYS):
        return series
    try:
        table = read_events(
            context, venture, since=begin, until=until, columns=["person", "at"], features=[series.goal.feature]
        )  # fmt: skip
    except DependencyError:
        return series  # events are kept by another machine, or the extra that reads them is missing here
    person = table.column("person").to_numpy()
    at = table.column("at").to_numpy().astype("datetime64[us]").astype(np.int64)
    early = at < int((begin + timedelta(days=FIRST_USERS_DAYS)).timestamp()) * 1_000_000
    first = np.unique(person[early])
    if len(first) < 20:
        return series
    back = np.isin(first, np.unique(person[~early])).mean()
    return FeatureSeries(
        series.name, series.goal, series.begin, series.due_at, series.first, series.days, series.users, series.people,
        series.signals | {"retention": float(back)},
    )  # fmt: skip
