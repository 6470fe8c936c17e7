"""Plan the work of a venture: from what is stored, or from a file; keep the plan, and let it be the one people work by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal

from productops.domain.development import Stage, WorkItem
from productops.domain.development_plan import Plan, PlanRequest
from productops.domain.development_plan_change import bottleneck, replan
from productops.domain.development_plan_facts import DrawnWork
from productops.domain.development_plan_facts_changes import AnyChange, changes_document, changes_from, kept_changes
from productops.domain.development_plan_facts_document import moves_document, plan_from
from productops.domain.development_plan_facts_draw import draw_request
from productops.domain.development_plan_facts_file import WorkFile, digest_of, request_document
from productops.domain.development_plan_facts_stored import PlanState, StoredPlan
from productops.domain.development_plan_make import make_plan
from productops.domain.development_plan_text import as_document
from productops.domain.governance_access import Operation, visible_ventures
from productops.errors import ConflictError, InvalidInputError, NotFoundError, ProductOpsError
from productops.store import Unit
from productops.store.development_plans import TRIES_MAX, CurrentPlan, PlanFilter
from productops.store.identity import new_id
from productops.usecases.context import OURSELVES, Actor, Context
from productops.usecases.development_forecast import forecasts_of, past_of, places_of, stored_documents
from productops.usecases.development_plan_facts import gather
from productops.usecases.development_plan_teams import refresh_absences
from productops.usecases.governance_access_scope import demand
from productops.usecases.release_windows_refresh import Sources

SMALL: Final = 60
"""So many open items are planned while the caller waits."""
LIMIT_SMALL_S: Final = 4.0
LIMIT_LARGE_S: Final = 20.0
LIMIT_MAX_S: Final = 120.0
RELIEF_S: Final = 1.0
AGAIN: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanWish:
    """What is to be planned. ``work``: a work file instead of what is stored. ``keep`` ``draft``: only look.

    ``keep_changes``: what the current plan was accepted with still holds. ``limit_s``: how long to search; None: by size.
    """

    venture: str
    team: str = ""
    features: tuple[str, ...] = ()
    work: Mapping[str, Any] | None = None
    starts_at: datetime | None = None
    keep: Literal["current", "draft"] = "current"
    keep_changes: bool = True
    level: bool = False
    forecast: bool = True
    limit_s: float | None = None
    note: str = ""

    def document(self) -> dict[str, Any]:
        """For a wish that waits."""
        starts_at = self.starts_at.isoformat() if self.starts_at else None
        return {
            "features": list(self.features), "work": dict(self.work) if self.work else None, "starts_at": starts_at, "keep": self.keep,
            "keep_changes": self.keep_changes, "level": self.level, "forecast": self.forecast, "limit_s": self.limit_s,
        }  # fmt: skip

    @classmethod
    def of(cls, plan: StoredPlan) -> PlanWish:
        """Of a plan that waits."""
        told = dict(plan.wish)
        starts_at = datetime.fromisoformat(told.pop("starts_at")) if told.get("starts_at") else None
        return cls(
            venture=plan.venture, team=plan.team, note=plan.note, features=tuple(told.pop("features")), starts_at=starts_at,
            **{name: value for name, value in told.items() if name != "starts_at"},
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A wish with all that is needed to carry it out, read at one moment."""

    wish: PlanWish
    work: DrawnWork
    changes: tuple[AnyChange, ...] = ()
    gone: tuple[str, ...] = ()
    current: CurrentPlan | None = None
    previous: Plan | None = None
    places: tuple[float, ...] = ()

    @property
    def is_small(self) -> bool:
        """Whether the caller may wait for it."""
        return sum(item.done_share < 1 for item in self.work.request.items) <= SMALL


def check_venture(unit: Unit, venture: str, actor: Actor, operation: Operation) -> None:
    """Raises: NotFoundError for a venture that is not there, or not there for the caller; ForbiddenError."""
    missing = f"there is no venture {venture[:80]!r}"
    demand(actor, operation, seen_by=Operation.DEVELOPMENT_READ, venture=venture, missing=missing)
    if venture not in unit.catalog.ventures():
        raise NotFoundError(missing)


def prepare_plan(context: Context, wish: PlanWish, *, actor: Actor, sources: Sources | None = None) -> Prepared:
    """Read what is known now. ``sources`` reads calendars of absences; None: their last copies are used.

    Raises: NotFoundError, ForbiddenError, InvalidInputError when there is nothing to plan.
    """
    with context.store.read() as unit:
        check_venture(unit, wish.venture, actor, Operation.DEVELOPMENT_PLAN)
    if wish.limit_s is not None and not 0 < wish.limit_s <= LIMIT_MAX_S:
        raise InvalidInputError(f"a plan is searched for at most {LIMIT_MAX_S:g} s, not {wish.limit_s:g}")
    refresh_absences(context, wish.venture, sources=sources, actor=OURSELVES)
    now = context.clock.now()
    with context.store.read() as unit:
        if wish.work is not None:
            work = DrawnWork(WorkFile.model_validate(wish.work).request(now=wish.starts_at or now))
        else:
            facts = gather(unit, wish.venture, team=wish.team, now=now)
            work = draw_request(facts, starts_at=wish.starts_at, features=wish.features, level=wish.level)
        current = unit.development_plans.current(wish.venture, wish.team)
        before = unit.development_plans.get(current.plan_id) if current is not None else None
        places = places_of(unit, wish.venture)
    changes: tuple[AnyChange, ...] = ()
    gone: tuple[str, ...] = ()
    if before is not None and wish.keep_changes and before.changes:
        request, kept, lost = kept_changes(work.request, changes_from([dict(each) for each in before.changes]))
        work, changes, gone = replace(work, request=request), tuple(kept), tuple(lost)
    previous = plan_from(before.plan) if before is not None else None
    return Prepared(
        wish=wish, work=work, changes=changes, gone=gone, current=current, previous=_shared(previous, work.request), places=places
    )  # fmt: skip


def _shared(previous: Plan | None, request: PlanRequest) -> Plan | None:
    """A plan of quite other work, or one that is over, is nothing to stay near to."""
    if previous is None:
        return None
    items = {item.id for item in request.items}
    return previous if any(task.item in items and task.ends_at > request.starts_at for task in previous.tasks) else None


def make_development_plan(
    context: Context, wish: PlanWish, *, actor: Actor, sources: Sources | None = None, prepared: Prepared | None = None
) -> StoredPlan:  # fmt: skip
    """Plan, keep the plan, and make it the current one (unless ``keep`` is ``draft``).

    Raises: NotFoundError, ForbiddenError, InvalidInputError, ImpossiblePlanError, ConflictError when another plan became current meanwhile.
    """
    ready = prepared or prepare_plan(context, wish, actor=actor, sources=sources)
    plan = _planned(context, ready, actor=actor, plan_id=str(new_id()), asked_at=context.clock.now())
    with context.store.write() as unit:
        check_venture(unit, wish.venture, actor, Operation.DEVELOPMENT_PLAN)
        unit.development_plans.add(plan)
        return _settled(unit, plan, ready, actor=actor, now=context.clock.now())


def _planned(context: Context, ready: Prepared, *, actor: Actor, plan_id: str, asked_at: datetime) -> StoredPlan:
    """Search, without any transaction. Raises: InvalidInputError, ImpossiblePlanError."""
    wish, request = ready.wish, ready.work.request
    limit_s = wish.limit_s or (LIMIT_SMALL_S if ready.is_small else LIMIT_LARGE_S)
    if ready.previous is not None:
        found = replan(request, ready.previous, limit_s=limit_s)
        plan, changed = found.plan, moves_document(found)
    else:
        plan, changed = make_plan(request, limit_s=limit_s), {}
    document = request_document(request)
    past = past_of(ready.work.past)
    dates = forecasts_of(request, plan, ready.work, places=ready.places) if wish.forecast else []
    extra = {"bottleneck": _bottleneck(request, plan, limit_s), "past": past, "forecasts": dates, "gone": list(ready.gone)}
    return StoredPlan(
        id=plan_id, venture=wish.venture, team=wish.team, state=PlanState.DRAFT, asked_by=actor.name, origin=actor.origin,
        asked_at=asked_at, made_at=context.clock.now(), note=wish.note, wish=wish.document() | {"work": None},
        previous_id=ready.current.plan_id if ready.current else None, request=document, request_digest=digest_of(document),
        plan=as_document(plan), changed=changed, changes=tuple(changes_document(ready.changes)),
        gaps=tuple(_gap(gap) for gap in ready.work.gaps), extra=extra, proven=plan.proven, gap=plan.gap, length_h=plan.length_h,
        starts_at=plan.starts_at, ends_at=plan.ends_at,
    )  # fmt: skip


def _gap(gap: Any) -> dict[str, Any]:
    return {
        "kind": gap.kind, "missing": gap.missing, "assumed": gap.assumed, "to_do": gap.to_do, "about": list(gap.about), "count": gap.count
    }  # fmt: skip


def _bottleneck(request: PlanRequest, plan: Plan, limit_s: float) -> dict[str, Any] | None:
    """None where the question takes too long to be answered; it is an extra."""
    try:
        found = bottleneck(request, plan, limit_s=min(RELIEF_S, limit_s))
    except InvalidInputError:
        return None
    if found is None:
        return None
    return {"skill": found.skill, "people": list(found.people), "share": round(found.share, 4), "saved_h": found.saved_h}


def _settled(unit: Unit, plan: StoredPlan, ready: Prepared, *, actor: Actor, now: datetime) -> StoredPlan:
    """The plan as it stands now: the current one, where that was asked for. Raises: ConflictError."""
    if ready.wish.keep == "current":
        plan = _current(unit, plan, expected=ready.current, actor=actor, now=now)
    detail = {
        "venture": plan.venture, "team": plan.team, "state": plan.state.value, "items": len(plan.plan["tasks"]), "length_h": plan.length_h,
        "proven": plan.proven, "moved": len(plan.changed.get("moves", ())), "digest": plan.request_digest,
    }  # fmt: skip
    unit.audit.add(
        "development.planned", f"development-plan/{plan.id}", actor=actor.name, origin=actor.origin, now=now, reason=plan.note,
        detail=detail, before=_summary_before(ready), after={"plan": plan.id, "ends_at": str(plan.ends_at)},
    )  # fmt: skip
    return plan


def _current(unit: Unit, plan: StoredPlan, *, expected: CurrentPlan | None, actor: Actor, now: datetime) -> StoredPlan:
    """People work by it from now on, and whoever wants to know is told. Raises: ConflictError."""
    current = unit.development_plans.make_current(plan, expected=expected, now=now)
    unit.development_forecasts.add(stored_documents(current, now=now))
    data = {
        "plan_id": plan.id, "venture": plan.venture, "team": plan.team, "by": actor.name, "scenario": plan.scenario,
        "ends_at": plan.ends_at.isoformat() if plan.ends_at else None, "moved": len(plan.changed.get("moves", ())),
        "late": [each["feature"] for each in plan.plan["features"] if each["late_h"]],
    }  # fmt: skip
    unit.outbox.add("development.planned", f"development-plan/{plan.id}", data, now=now, venture=plan.venture)
    return current


def _summary_before(ready: Prepared) -> dict[str, Any] | None:
    return {"plan": ready.current.plan_id} if ready.current is not None else None


def ask_for_plan(context: Context, wish: PlanWish, *, actor: Actor) -> StoredPlan:
    """Let a plan be made later, by a program that has time; until then it is ``waiting``. Raises: NotFoundError, ForbiddenError."""
    now = context.clock.now()
    plan = StoredPlan(
        id=str(new_id()), venture=wish.venture, team=wish.team, state=PlanState.WAITING, asked_by=actor.name, origin=actor.origin,
        asked_at=now, note=wish.note, wish=wish.document(),
    )  # fmt: skip
    with context.store.write() as unit:
        check_venture(unit, wish.venture, actor, Operation.DEVELOPMENT_PLAN)
        unit.development_plans.add(plan)
        unit.audit.add(
            "development.plan_asked", f"development-plan/{plan.id}", actor=actor.name, origin=actor.origin, now=now, reason=wish.note,
            detail={"venture": wish.venture, "team": wish.team}, after="waiting",
        )  # fmt: skip
    return plan


def is_plan_waiting(context: Context) -> bool:
    """Whether a plan is to be made. Raises: StoreUnavailableError."""
    with context.store.read() as unit:
        return unit.development_plans.is_waiting(now=context.clock.now())


def make_waiting(context: Context, *, owner: str, sources: Sources | None = None) -> StoredPlan | None:
    """Make the plan that waits longest; None when none does. What is wrong with it is kept with it. Raises: StoreUnavailableError."""
    with context.store.write() as unit:
        asked = unit.development_plans.claim(owner=owner, now=context.clock.now())
        tries = unit.development_plans.tries(asked.id) if asked is not None else 0
    if asked is None:
        return None
    actor = replace(OURSELVES, name=asked.asked_by, origin=asked.origin)
    try:
        if tries > TRIES_MAX:
            raise InvalidInputError(f"its making ended {TRIES_MAX} times without a word; plan a part of it")
        return _carried_out(context, asked, actor=actor, owner=owner, sources=sources)
    except ProductOpsError as error:
        failed = replace(
            asked, state=PlanState.FAILED, made_at=context.clock.now(),
            error={"slug": error.slug, "title": error.title, "detail": str(error), "extra": _plain(error.extra)},
        )  # fmt: skip
        with context.store.write() as unit:
            unit.development_plans.made(failed, owner=owner)
            unit.audit.add(
                "development.plan_failed", f"development-plan/{asked.id}", actor=actor.name, origin=actor.origin,
                now=context.clock.now(), reason=str(error), detail={"venture": asked.venture, "slug": error.slug},
                before="waiting", after="failed",
            )  # fmt: skip
        return failed


def _plain(extra: Mapping[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, (list, tuple)) else str(value) for name, value in extra.items()}


def _carried_out(context: Context, asked: StoredPlan, *, actor: Actor, owner: str, sources: Sources | None) -> StoredPlan:
    """Once more when another plan became current meanwhile. Raises: ProductOpsError."""
    wish = PlanWish.of(asked)
    for attempt in range(1, AGAIN + 1):
        ready = prepare_plan(context, wish, actor=actor, sources=sources)
        plan = _planned(context, ready, actor=actor, plan_id=asked.id, asked_at=asked.asked_at)
        try:
            with context.store.write() as unit:
                unit.development_plans.made(plan, owner=owner)
                return _settled(unit, plan, ready, actor=actor, now=context.clock.now())
        except ConflictError:
            if attempt == AGAIN:
                raise
    raise AssertionError  # pragma: no cover - the loop returns or raises


def show_plan(context: Context, plan_id: str, *, actor: Actor) -> StoredPlan:
    """One plan with all of it. Raises: NotFoundError."""
    with context.store.read() as unit:
        return plan_for(unit, plan_id, actor, Operation.DEVELOPMENT_READ)


def plan_for(unit: Unit, plan_id: str, actor: Actor, operation: Operation) -> StoredPlan:
    """A plan by id. Raises: NotFoundError where the caller may not see it, ForbiddenError."""
    plan = unit.development_plans.get(plan_id)
    missing = f"there is no plan {plan_id[:80]!r}; list them with: productops plan list"
    demand(actor, operation, seen_by=Operation.DEVELOPMENT_READ, venture=plan.venture, missing=missing)
    return plan


def current_plan(context: Context, venture: str, *, team: str = "", actor: Actor) -> StoredPlan:
    """The plan people work by. Raises: NotFoundError."""
    with context.store.read() as unit:
        check_venture(unit, venture, actor, Operation.DEVELOPMENT_READ)
        current = unit.development_plans.current(venture, team)
        if current is None:
            whose = f"team {team[:63]} of venture {venture}" if team else f"venture {venture}"
            raise NotFoundError(f"{whose} has no plan yet; make one with: productops plan --venture {venture}")
        return unit.development_plans.get(current.plan_id)


def list_plans(context: Context, wanted: PlanFilter, *, actor: Actor, before: str | None = None, limit: int = 50) -> list[StoredPlan]:
    """Newest first, those the caller may see, without their documents."""
    seen = visible_ventures(actor.principal, Operation.DEVELOPMENT_READ)
    with context.store.read() as unit:
        return unit.development_plans.page(replace(wanted, ventures=seen), before=before, limit=limit)


def planned_places(context: Context, *, actor: Actor) -> list[tuple[str, str]]:
    """(venture, team) of all plans the caller may make of stored work: of ventures with open work, and of their teams with a plan."""
    seen = visible_ventures(actor.principal, Operation.DEVELOPMENT_PLAN)
    with context.store.read() as unit:
        ventures = [name for name in unit.catalog.ventures() if seen is None or name in seen]
        stages = [stage for stage in Stage if stage is not Stage.DONE]
        busy = [name for name in ventures if unit.development.of(WorkItem, ventures=[name], stage=stages, limit=1)]
        return sorted({(name, "") for name in busy} | set(unit.development_plans.currents(busy)))


def accept_plan(context: Context, plan_id: str, *, reason: str = "", actor: Actor) -> StoredPlan:
    """Let a draft, as a rule a scenario, be the plan people work by. What it assumes holds for the plans after it, too.

    Raises: NotFoundError, ForbiddenError, ConflictError when it is no draft, or was made beside another plan than the current one.
    """
    with context.store.write() as unit:
        plan = plan_for(unit, plan_id, actor, Operation.DEVELOPMENT_PLAN)
        now = context.clock.now()
        if plan.state is not PlanState.DRAFT:
            raise ConflictError(f"plan {plan.id} is {plan.state}, and only a draft can be accepted")
        current = unit.development_plans.current(plan.venture, plan.team)
        if (current.plan_id if current else None) != plan.previous_id:
            raise ConflictError(f"plan {plan.id} was made beside a plan that is no longer the current one; ask what-if again")
        before = unit.development_plans.get(current.plan_id) if current is not None else None
        accepted = _current(unit, plan, expected=current, actor=actor, now=now)
        unit.audit.add(
            "development.plan_accepted", f"development-plan/{plan.id}", actor=actor.name, origin=actor.origin, now=now, reason=reason,
            detail={"venture": plan.venture, "team": plan.team, "scenario": plan.scenario, "changes": [dict(c) for c in plan.changes]},
            before={"plan": before.id, "ends_at": str(before.ends_at)} if before is not None else None,
            after={"plan": plan.id, "ends_at": str(plan.ends_at)},
        )  # fmt: skip
    return accepted
