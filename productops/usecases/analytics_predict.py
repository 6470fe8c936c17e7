"""Say each day with which chance features reach their goal of use, keep it, and settle it when the day has come."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np

from productops.domain.analytics_predict import (
    PAST_MIN,
    SIGNALS,
    Outlook,
    Reliability,
    SuccessPrediction,
    known_row,
    one_of_each,
    reasons_for,
    start_calibrator,
)
from productops.domain.catalog_feature import UsageGoal
from productops.domain.governance_access import Operation, visible_ventures
from productops.stats.analytics_predict import CURIOSITY, HALF, calibrated, fit_calibrator, fit_growth, future_means, learned_prior
from productops.stats.risk_scores import brier, calibration_error, calibration_error_by_chance, reliability
from productops.store import Unit
from productops.usecases.analytics_predict_facts import FeatureSeries, gather_series
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_scope import venture_for

DAYS_MIN = 4
POINTS_MAX = 30
PAST_CURVES_MAX = 60


@dataclass(frozen=True, slots=True)
class Silent:
    """A feature with a goal of use of which nothing can be said, and why."""

    feature: str
    why: str


@dataclass(frozen=True, slots=True)
class Predictions:
    """What is said of a venture's features now, of which nothing is said, and how good such words were so far."""

    venture: str
    items: tuple[SuccessPrediction, ...]
    silent: tuple[Silent, ...]
    reliability: Reliability
    settled: int = 0


def predict_success(context: Context, venture: str, *, actor: Actor) -> Predictions:
    """Predict every feature with a goal of use that is not due yet, keep one prediction a day, and settle those that are due.

    Raises: NotFoundError, ForbiddenError, StoreUnavailableError.
    """
    now = context.clock.now()
    with context.store.read() as unit:
        venture_for(unit, venture, actor, Operation.ANALYTICS_READ)
        actor.check(Operation.ANALYTICS_WRITE, venture=venture)
        known = unit.analytics_reports.predictions(venture, known=True)
    series = gather_series(context, venture, now=now)
    made, silent = _predicted(series, known, venture, now)
    with context.store.write() as unit:
        settled = sum(_settle(unit, venture, each, now=now) for each in series)
        for each in made:
            unit.analytics_reports.put_prediction(each)
        unit.audit.add(
            "predictions.made", f"venture/{venture}", actor=actor.name, origin=actor.origin, now=now,
            detail={"predicted": {each.feature: round(each.probability, 4) for each in made}, "settled": settled},
        )  # fmt: skip
        known = unit.analytics_reports.predictions(venture, known=True)
    return Predictions(venture, tuple(made), tuple(silent), reliability_of(known), settled)


def read_predictions(context: Context, venture: str, *, actor: Actor) -> Predictions:
    """What was said last of each feature that is not due, without saying anything new. Raises: NotFoundError, StoreUnavailableError."""
    with context.store.read() as unit:
        venture_for(unit, venture, actor, Operation.ANALYTICS_READ)
        return stored_predictions(unit, venture, now=context.clock.now())


def stored_predictions(unit: Unit, venture: str, *, now: datetime) -> Predictions:
    """Within a view of the store."""
    newest = {each.feature: each for each in unit.analytics_reports.predictions(venture, known=False) if each.due_at > now}
    known = unit.analytics_reports.predictions(venture, known=True)
    silent = [
        Silent(goal.name, "nothing was predicted yet; the flow analytics-predict does it each day")
        for goal in unit.development_goals.all([venture])
        if goal.name not in newest and any(isinstance(each, UsageGoal) for each in goal.spec.success)
        and not any(each.feature == goal.name for each in known)
    ]  # fmt: skip
    return Predictions(venture, tuple(newest.values()), tuple(silent), reliability_of(known))


def stored_prediction(unit: Unit, venture: str, feature: str) -> SuccessPrediction | None:
    """The newest of one feature, by the name of its catalog entry; for pages about the feature."""
    found = unit.analytics_reports.predictions(venture, feature=feature, limit=1)
    return found[-1] if found else None


def ventures_to_predict(context: Context, *, actor: Actor) -> list[str]:
    """Those with a goal of use, for the schedule."""
    seen = visible_ventures(actor.principal, Operation.ANALYTICS_READ)
    with context.store.read() as unit:
        goals = unit.development_goals.all(sorted(seen) if seen is not None else None)
    return sorted({goal.venture for goal in goals if any(isinstance(each, UsageGoal) for each in goal.spec.success)})


def reliability_of(known: Sequence[SuccessPrediction]) -> Reliability:
    """Each feature counts once; the base rate is that of the others, so that it has not seen the feature either."""
    each = one_of_each([one for one in known if one.outcome is not None])
    if len(each) < 2:
        return Reliability(len(each), None, None, None, None, ())
    label = np.array([one.outcome == "reached" for one in each], dtype=np.int64)
    said = np.array([one.probability for one in each])
    base = (label.sum() - label + 1) / (len(label) - 1 + 2)
    bins = tuple((b.count, b.said, b.broke) for b in reliability(label, said))
    return Reliability(
        len(each), brier(label, said), brier(label, base), calibration_error(label, said), calibration_error_by_chance(said), bins
    )


def _predicted(
    series: Sequence[FeatureSeries], known: Sequence[SuccessPrediction], venture: str, now: datetime
) -> tuple[list[SuccessPrediction], list[Silent]]:
    past = one_of_each(known)
    curves = {each.feature: each.signals["curve"] for each in known if "curve" in each.signals}
    prior = learned_prior(np.array(list(curves.values())[-PAST_CURVES_MAX:], dtype=np.float64).reshape(-1, 7))
    rows = np.array([known_row(each.signals.get("growth", 0.5), each.signals) for each in past]).reshape(-1, len(SIGNALS) + 2)
    reached = np.array([each.outcome == "reached" for each in past], dtype=np.float64)
    calibrator = fit_calibrator(rows, reached, start_calibrator()) if len(past) >= PAST_MIN else start_calibrator()
    base = (float(reached.sum()) + 1) / (len(past) + 2)
    made, silent = [], []
    for each in series:
        why = _why_not(each, now)
        if why:
            silent.append(Silent(each.name, why))
        elif each.due_at > now:
            outlook, curve = _outlook(each, prior)
            row = known_row(outlook.chance, each.signals)
            chance = calibrated(calibrator, row)
            reasons = reasons_for(
                outlook, target=each.goal.share_min, row=row, weights=calibrator.mean, signals=each.signals, past=len(past)
            )
            kept: dict[str, Any] = dict(each.signals) | {"growth": outlook.chance, "curve": curve, "expected": outlook.expected}
            made.append(
                SuccessPrediction(
                    venture, each.name, now.date(), each.due_at, each.goal.share_min, chance, base,
                    "learned" if len(past) >= PAST_MIN else "prior", len(each.days), kept, reasons, now,
                )
            )  # fmt: skip
    return made, silent


def _why_not(series: FeatureSeries, now: datetime) -> str:
    if series.first is None:
        return f"no event of {series.goal.feature} was counted yet"
    if len(series.days) < DAYS_MIN and series.due_at > now:
        return f"it was used for {len(series.days)} whole days; {DAYS_MIN} are needed"
    if float(np.median(series.people)) < series.goal.people_min:
        return f"{float(np.median(series.people)):.0f} active people a day say too little; {series.goal.people_min} are needed"
    return ""


def _outlook(series: FeatureSeries, prior: Any) -> tuple[Outlook, list[float]]:
    """By the curves that fit the first days; long series are thinned, which changes little and saves time."""
    thin = max(math.ceil(len(series.days) / POINTS_MAX), 1)
    days, users, people = (each[::-1][::thin][::-1] for each in (series.days, series.users, series.people))
    draws = fit_growth(days, users, people, prior=prior, seed=1)
    last = (series.due_at.date() - series.begin).days - 1
    first = max(last - series.goal.window_days + 1, 0)
    means = future_means(draws, first=first, last=last, people=float(np.median(people)), seed=2)
    known = (series.days >= first) & (series.days <= last)
    if known.any():  # part of the window lies behind
        share = float((series.users[known] / series.people[known]).mean())
        part = float(known.sum()) / (last - first + 1)
        means = part * share + (1 - part) * means
    low, high = np.quantile(means, [0.1, 0.9])
    recent = slice(-min(7, len(series.days)), None)
    chance = (float((means >= series.goal.share_min).sum()) + 0.5) / (len(means) + 1)
    middle = np.median(draws, axis=0)
    outlook = Outlook(
        now=float((series.users[recent] / series.people[recent]).mean()), expected=float(np.median(means)), low=float(low),
        high=float(high), chance=chance, half_days=float(np.exp(middle[HALF])), curiosity=float(np.exp(middle[CURIOSITY])),
    )  # fmt: skip
    return outlook, [round(float(each), 4) for each in draws.mean(axis=0)]


def _settle(unit: Unit, venture: str, series: FeatureSeries, *, now: datetime) -> int:
    """The mean share of the last days before it was due, once they are all counted."""
    if series.due_at > now or series.first is None:
        return 0
    last = (series.due_at.date() - series.begin).days - 1
    inside = (series.days > last - series.goal.window_days) & (series.days <= last)
    if not inside.any() or float(np.median(series.people[inside])) < series.goal.people_min:
        return 0
    actual = float((series.users[inside] / series.people[inside]).mean())
    outcome = "reached" if actual >= series.goal.share_min else "missed"
    return unit.analytics_reports.settle_predictions(venture, series.name, outcome=outcome, actual=actual, now=now)


def due_of(begin: date, after_days: float) -> datetime:
    """When success is asked for."""
    return datetime(begin.year, begin.month, begin.day, tzinfo=UTC) + timedelta(days=math.ceil(after_days))


def without_curve(prediction: SuccessPrediction) -> SuccessPrediction:
    """As callers see it."""
    return replace(prediction, signals={name: value for name, value in prediction.signals.items() if name != "curve"})
