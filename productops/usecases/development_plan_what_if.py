"""What would be if: scenarios of a plan side by side, kept as drafts that can be accepted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from productops.domain.development_plan import Plan, PlanRequest
from productops.domain.development_plan_change import Outcome
from productops.domain.development_plan_facts import DrawnWork
from productops.domain.development_plan_facts_changes import SCENARIOS_MAX, Scenario, changed, changes_document
from productops.domain.development_plan_facts_document import plan_from
from productops.domain.development_plan_facts_file import digest_of, request_document, request_from
from productops.domain.development_plan_facts_stored import PlanState, StoredPlan
from productops.domain.development_plan_make import make_plan
from productops.domain.development_plan_text import as_document
from productops.domain.governance_access import Operation
from productops.errors import ConflictError, ImpossiblePlanError, InvalidInputError
from productops.store.identity import new_id
from productops.usecases.context import Actor, Context
from productops.usecases.development_forecast import forecasts_of, places_of
from productops.usecases.development_plan import check_venture, current_plan, plan_for

AS_IS: Final = "as it is"
TOGETHER_S: Final = 8.0
"""All scenarios together are searched for so long, so that the caller can wait."""
EACH_S: Final = 4.0


@dataclass(frozen=True, slots=True)
class WhatIfWish:
    """``plan_id``: of the plan to change; None: the current one of ``venture`` and ``team``."""

    scenarios: tuple[Scenario, ...]
    plan_id: str | None = None
    venture: str = ""
    team: str = ""
    limit_s: float | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One scenario. ``outcome`` None: nothing can keep all constraints, and ``conflict`` says which. ``plan_id``: the draft to accept."""

    name: str
    outcome: Outcome | None
    plan_id: str | None = None
    conflict: tuple[str, ...] = ()
    impossible: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The plan ``base`` as it is, and each case against it."""

    base: StoredPlan
    cases: tuple[Case, ...]


def try_scenarios(context: Context, wish: WhatIfWish, *, actor: Actor) -> Comparison:
    """Plan each scenario and keep it as a draft. The plan people work by stays what it is.

    Raises: NotFoundError, ForbiddenError, InvalidInputError for a scenario that names what the plan has not, ConflictError for a base
    that is no plan yet.
    """
    if not 0 < len(wish.scenarios) <= SCENARIOS_MAX:
        raise InvalidInputError(f"1 to {SCENARIOS_MAX} scenarios are compared at once, not {len(wish.scenarios)}")
    base = _base(context, wish, actor=actor)
    if not base.plan:
        raise ConflictError(f"plan {base.id} is {base.state}, so there is nothing to compare with")
    request, first = request_from(dict(base.request)), plan_from(base.plan)
    wanted = [(each, changed(request, each.changes)) for each in wish.scenarios]
    limit_s = min(wish.limit_s or EACH_S, TOGETHER_S / len(wanted))
    found = [_tried(scenario, case, first, limit_s) for scenario, case in wanted]
    cases = _kept(context, base, list(zip(wish.scenarios, wanted, found, strict=True)), actor=actor)
    as_is = Case(AS_IS, outcome_of(AS_IS, first, first), base.id)
    return Comparison(base, (as_is, *cases))


def _base(context: Context, wish: WhatIfWish, *, actor: Actor) -> StoredPlan:
    if wish.plan_id is None:
        found = current_plan(context, wish.venture, team=wish.team, actor=actor)
        actor.check(Operation.DEVELOPMENT_PLAN, venture=found.venture)
        return found
    with context.store.read() as unit:
        return plan_for(unit, wish.plan_id, actor, Operation.DEVELOPMENT_PLAN)


def _tried(scenario: Scenario, request: PlanRequest, first: Plan, limit_s: float) -> Case:
    try:
        plan = make_plan(request, limit_s=limit_s)
    except ImpossiblePlanError as error:
        return Case(scenario.title(), None, conflict=tuple(error.extra.get("conflict", ())), impossible=str(error))
    return Case(scenario.title(), outcome_of(scenario.title(), plan, first))


def outcome_of(name: str, plan: Plan, first: Plan) -> Outcome:
    """A plan against the one it is compared with. Hours are working hours."""
    late = [landing for landing in plan.landings if landing.late_h]
    return Outcome(name, plan, first.length_h - plan.length_h, sum(each.late_h for each in late), tuple(each.feature for each in late))


def _kept(
    context: Context, base: StoredPlan, found: Sequence[tuple[Scenario, tuple[Scenario, PlanRequest], Case]], *, actor: Actor
) -> list[Case]:  # fmt: skip
    now = context.clock.now()
    with context.store.read() as unit:
        places = places_of(unit, base.venture)
    drafts = [
        _draft(base, scenario, request, case.outcome.plan, places=places) if case.outcome is not None else None
        for scenario, (_, request), case in found
    ]
    kept: list[Case] = []
    with context.store.write() as unit:
        check_venture(unit, base.venture, actor, Operation.DEVELOPMENT_PLAN)
        current = unit.development_plans.current(base.venture, base.team)
        for (_, _, case), made in zip(found, drafts, strict=True):
            if made is None:
                kept.append(case)
                continue
            draft = replace(
                made, asked_by=actor.name, origin=actor.origin, asked_at=now, made_at=now, previous_id=current.plan_id if current else None
            )
            unit.development_plans.add(draft)
            kept.append(replace(case, plan_id=draft.id))
        unit.audit.add(
            "development.what_if", f"development-plan/{base.id}", actor=actor.name, origin=actor.origin, now=now,
            detail={"venture": base.venture, "scenarios": {case.name: case.plan_id for case in kept}},
        )  # fmt: skip
    return kept


def _draft(base: StoredPlan, scenario: Scenario, request: PlanRequest, plan: Plan, *, places: Sequence[float]) -> StoredPlan:
    document = request_document(request)
    extra: dict[str, Any] = {"forecasts": forecasts_of(request, plan, DrawnWork(request), places=places), "bottleneck": None, "gone": []}
    return replace(
        base, id=str(new_id()), state=PlanState.DRAFT, scenario=scenario.title(), base_id=base.id, note="", request=document,
        request_digest=digest_of(document), plan=as_document(plan), changed={}, extra=extra | {"past": base.extra.get("past", {})},
        changes=(*base.changes, *changes_document(scenario.changes)), proven=plan.proven, gap=plan.gap, length_h=plan.length_h,
        starts_at=plan.starts_at, ends_at=plan.ends_at,
    )  # fmt: skip
