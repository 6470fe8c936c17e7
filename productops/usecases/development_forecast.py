"""By when features and sprints are done, and how many of such forecasts held."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np

from productops.domain.development import Feature, Stage, WorkItem
from productops.domain.development_plan import Plan, PlanRequest
from productops.domain.development_plan_facts import DrawnWork, Facts, PastWork
from productops.domain.development_plan_facts_courses import METHOD, Dates, feature_dates, learn_error, place_in, run_courses, sprint_dates
from productops.domain.development_plan_facts_document import plan_from
from productops.domain.development_plan_facts_draw import draw_request
from productops.domain.development_plan_facts_file import digest_of, request_from
from productops.domain.development_plan_facts_stored import StoredForecast, StoredPlan, Subject
from productops.domain.governance_access import Operation, visible_ventures
from productops.errors import InvalidInputError, NotFoundError
from productops.stats.forecast_calibration import Held, held
from productops.stats.forecast_run import LEVELS
from productops.store import Unit
from productops.store.identity import new_id
from productops.usecases.context import Actor, Context
from productops.usecases.development_plan_facts import gather
from productops.usecases.governance_access_scope import demand

LIKELY: Final = 0.8
"""With a lower chance to keep its deadline, people are told of a feature."""
QUIET: Final = timedelta(days=3)
"""A feature that nobody closed is done when all its items have been for so long."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How many forecasts held, by level. ``sentence`` says it in words."""

    levels: tuple[Held, ...]

    @property
    def sentence(self) -> str:
        """``of our P80s, 79 % held``, or that nothing is known yet."""
        known = [each for each in self.levels if each.count]
        if not known:
            return "no forecast has come to its end yet; until some have, the levels are those of the simulation"
        told = ", ".join(f"of our P{each.level * 100:.0f}s, {each.held / each.count:.0%} held" for each in known)
        return f"{told} ({known[0].count} features)"


def places_of(unit: Unit, venture: str) -> tuple[float, ...]:
    """Where the ends of past features lay among the courses of their first forecasts."""
    return tuple(each.place for each in unit.development_forecasts.first_settled(venture=venture) if each.place is not None)


def past_of(past: Sequence[PastWork]) -> dict[str, Any]:
    """What was learned from, in short."""
    error = learn_error(past)
    return {"items": len(past), "bias": round(float(np.exp(error.bias)), 3), "spread": round(error.spread, 3)}


def forecasts_of(request: PlanRequest, plan: Plan, work: DrawnWork, *, places: Sequence[float]) -> list[dict[str, Any]]:
    """Forecasts of the plan's features and of sprints, as documents; all it takes to store them."""
    courses = run_courses(request, plan, learn_error(work.past))
    landings = {landing.feature: landing for landing in plan.landings}
    titles = {feature.id: feature.title for feature in request.features}
    found = [
        _document(
            Subject.FEATURE, feature, titles.get(feature, feature), dates, planned_at=landings[feature].lands_at,
            deadline=landings[feature].deadline,
        )
        for feature, dates in feature_dates(courses, request, plan, places=places).items()
    ]  # fmt: skip
    for sprint in work.sprints:
        dates = sprint_dates(courses, sprint)
        figures = {
            "items": len(dates.chances), "ends_at": sprint.ends_at.isoformat(), "chances": dict(dates.chances),
            "at_least": {f"p{level * 100:.0f}": count for level, count in dates.at_least},
        }  # fmt: skip
        found.append(
            _document(Subject.SPRINT, sprint.key, sprint.name, dates.dates, planned_at=None, deadline=sprint.ends_at, figures=figures)
        )
    return sorted(found, key=lambda each: (each["subject"], each["p80_at"], each["key"]))


def _document(
    subject: Subject, key: str, title: str, dates: Dates, *, planned_at: datetime | None, deadline: datetime | None,
    figures: Mapping[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    by = {f"p{level * 100:.0f}_at": at.isoformat() for level, at in dates.by}
    return by | {
        "subject": subject.value, "key": key, "title": title, "planned_at": planned_at.isoformat() if planned_at else None,
        "deadline": deadline.isoformat() if deadline else None, "chance": None if dates.chance is None else round(dates.chance, 4),
        "grid": [at.isoformat() for at in dates.grid], "figures": dict(figures or {}),
    }  # fmt: skip


def stored_documents(plan: StoredPlan, *, now: datetime) -> list[StoredForecast]:
    """The forecasts that were made with a plan, to be kept."""
    return _stored(plan, plan.extra.get("forecasts", ()), now=now)


def _stored(plan: StoredPlan, documents: Iterable[Mapping[str, Any]], *, now: datetime) -> list[StoredForecast]:
    return [
        StoredForecast(
            id=str(new_id()), venture=plan.venture, team=plan.team, plan_id=plan.id, subject=Subject(each["subject"]), key=each["key"],
            title=each["title"], made_at=now, method=METHOD, inputs_digest=plan.request_digest, planned_at=_at(each["planned_at"]),
            p50_at=_must(each["p50_at"]), p80_at=_must(each["p80_at"]), p95_at=_must(each["p95_at"]),
            grid=tuple(_must(at) for at in each["grid"]), deadline=_at(each["deadline"]), chance=each["chance"], figures=each["figures"],
        )
        for each in documents
    ]  # fmt: skip


def _at(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _must(text: str) -> datetime:
    return datetime.fromisoformat(text)


def forecast_current(context: Context, venture: str, *, team: str = "", actor: Actor) -> list[StoredForecast]:
    """New forecasts of the current plan, with what is known of estimates now. Raises: NotFoundError, ForbiddenError."""
    now = context.clock.now()
    with context.store.read() as unit:
        missing = f"there is no venture {venture[:80]!r}"
        demand(actor, Operation.DEVELOPMENT_PLAN, seen_by=Operation.DEVELOPMENT_READ, venture=venture, missing=missing)
        current = unit.development_plans.current(venture, team)
        if current is None:
            raise NotFoundError(f"venture {venture} has no plan to forecast yet; make one with: productops plan --venture {venture}")
        plan = unit.development_plans.get(current.plan_id)
        facts = gather(unit, venture, team=team, now=now)
        places = places_of(unit, venture)
    request = request_from(dict(plan.request))
    documents = forecasts_of(request, plan_from(plan.plan), _known(facts, request), places=places)
    forecasts = _stored(plan, documents, now=now)
    with context.store.write() as unit:
        unit.development_forecasts.add(forecasts)
        unit.audit.add(
            "development.forecast", f"development-plan/{plan.id}", actor=actor.name, origin=actor.origin, now=now,
            detail={"venture": venture, "team": team, "forecasts": len(forecasts), "digest": digest_of({"of": documents})},
        )  # fmt: skip
    return forecasts


def tell_dates(context: Context, plan: StoredPlan, forecasts: Sequence[StoredForecast], *, actor: Actor) -> list[str]:
    """Tell whoever wants to know which features are likely to miss their deadline; returns their keys. Raises: ForbiddenError."""
    actor.check(Operation.DEVELOPMENT_PLAN, venture=plan.venture)
    risky = [each for each in forecasts if each.chance is not None and each.chance < LIKELY]
    if not risky:
        return []
    late = [
        {
            "key": each.key, "title": each.title, "subject": each.subject.value, "p80_at": each.p80_at.isoformat(), "chance": each.chance,
            "deadline": each.deadline.isoformat() if each.deadline else None,
        }
        for each in risky
    ]  # fmt: skip
    with context.store.write() as unit:
        now = context.clock.now()
        data = {"plan_id": plan.id, "venture": plan.venture, "team": plan.team, "risky": late}
        unit.outbox.add("development.at_risk", f"development-plan/{plan.id}", data, now=now, venture=plan.venture)
        unit.audit.add(
            "development.told", f"development-plan/{plan.id}", actor=actor.name, origin=actor.origin, now=now,
            detail={"venture": plan.venture, "risky": [each.key for each in risky]},
        )  # fmt: skip
    return [each.key for each in risky]


def _known(facts: Facts, request: PlanRequest) -> DrawnWork:
    """What the store says of past work and sprints; a plan that was made of a file may have neither."""
    try:
        return draw_request(facts)
    except InvalidInputError:
        return DrawnWork(request)


def settle_forecasts(context: Context, venture: str, *, actor: Actor) -> int:
    """Say of forecasts what came true, where it has; returns of how many. Raises: NotFoundError, ForbiddenError."""
    now = context.clock.now()
    with context.store.write() as unit:
        missing = f"there is no venture {venture[:80]!r}"
        demand(actor, Operation.DEVELOPMENT_PLAN, seen_by=Operation.DEVELOPMENT_READ, venture=venture, missing=missing)
        waiting = unit.development_forecasts.open(venture)
        if not waiting:
            return 0
        ends = _ends(gather(unit, venture, now=now))
        settled: list[str] = []
        for (subject, key), forecasts in waiting.items():
            actual_at = ends.get(key) if subject is Subject.FEATURE else None
            for each in forecasts if actual_at is not None else ():
                if actual_at is not None and each.made_at < actual_at:
                    unit.development_forecasts.settle(each, actual_at=actual_at, place=place_in(each.grid, actual_at))
                    settled.append(each.id)
        if settled:
            unit.audit.add(
                "development.forecasts_settled", f"venture/{venture}", actor=actor.name, origin=actor.origin, now=now,
                detail={"venture": venture, "forecasts": len(settled)},
            )  # fmt: skip
    return len(settled)


def _ends(facts: Facts) -> dict[str, datetime]:
    """By a plan's id of a feature: when it was done."""
    leads, names = facts.leads(facts.features), facts.names(facts.features)
    is_open = {_feature(item, leads) for item in facts.items}
    last: dict[tuple[str, str], datetime] = {}
    for item in facts.done:
        at = _feature(item, leads)
        if item.done_at is not None and at[1]:
            last[at] = max(last.get(at, item.done_at), item.done_at)
    found: dict[str, datetime] = {}
    for feature in facts.features:
        at = feature.source, feature.external_id
        ended = _ended(feature, last.get(at) if at not in is_open else None, now=facts.now)
        if ended is not None:
            found[names[at]] = ended
    return found


def _feature(item: WorkItem, leads: Mapping[tuple[str, str], str]) -> tuple[str, str]:
    return item.source, leads.get((item.source, item.feature), "") if item.feature else ""


def _ended(feature: Feature, last: datetime | None, *, now: datetime) -> datetime | None:
    """A forecast is about its items, so the last of them counts; the feature's own time where it has none."""
    if feature.stage is Stage.DONE:
        return last or feature.done_at
    return last if last is not None and now - last >= QUIET else None


def list_forecasts(
    context: Context, *, actor: Actor, venture: str | None = None, subject: Subject | None = None, key: str | None = None,
    before: str | None = None, limit: int = 50,
) -> list[StoredForecast]:  # fmt: skip
    """Newest first, those the caller may see."""
    seen = visible_ventures(actor.principal, Operation.DEVELOPMENT_READ)
    with context.store.read() as unit:
        return unit.development_forecasts.page(ventures=seen, venture=venture, subject=subject, key=key, before=before, limit=limit)


def calibration(context: Context, *, actor: Actor, venture: str | None = None) -> Calibration:
    """Of the first forecast of each feature that is done: how many held. Only what the caller may see."""
    seen = visible_ventures(actor.principal, Operation.DEVELOPMENT_READ)
    with context.store.read() as unit:
        found = unit.development_forecasts.first_settled(ventures=seen, venture=venture)
    dates = {0.5: "p50_at", 0.8: "p80_at", 0.95: "p95_at"}
    levels = []
    for level in LEVELS:
        kept = [0.0 if each.actual_at is not None and each.actual_at <= getattr(each, dates[level]) else 1.0 for each in found]
        levels.append(held(level, np.array(kept), at_level=0.5))
    return Calibration(tuple(levels))
