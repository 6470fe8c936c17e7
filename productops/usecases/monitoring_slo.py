"""Objectives and their error budgets: list, read with what each release burned, allow releases for a time though nothing is left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from productops.domain.governance_access import Operation, Scope, may_see, visible_places
from productops.domain.monitoring_slo import MINUTE_S, Budget, Counts, Method, Objective, ReleaseBurn, Sum, make_budget
from productops.domain.release import Environment, Phase, Release
from productops.errors import InvalidInputError, NotFoundError
from productops.store import Unit
from productops.store.monitoring_slo import Allowance, SloState
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_scope import in_places
from productops.usecases.monitoring_slo_count import SETTLE_S
from productops.usecases.monitoring_slo_evaluate import recount

AFTER_S = 1_800
"""So long after its promotion a release answers for what burns."""
BEFORE_S = 86_400
RELEASES_MAX = 50
ALLOW_MAX = timedelta(days=7)
LATE_S = 3_900
"""Reports about seconds are taken for an hour; so far back minutes are counted anew."""
REASON_MIN = 10


@dataclass(frozen=True, slots=True)
class ObjectiveView:
    """An objective with its budget and where it stands. ``firing``: names of the rules that burn too fast."""

    budget: Budget
    firing: tuple[str, ...]
    allowance: Allowance | None

    @property
    def objective(self) -> Objective:
        """The objective."""
        return self.budget.objective


def list_objectives(
    context: Context, *, venture: str | None = None, service: str | None = None, environment: Environment | None = None, actor: Actor
) -> list[ObjectiveView]:
    """Those the caller may see, by name, with their budgets as of now. Raises: StoreUnavailableError."""
    places = visible_places(actor.principal, Operation.METRIC_READ)
    now = context.clock.now()
    with context.store.read() as unit:
        found = unit.objectives.all(service=service, environment=environment)
        seen = [o for o in found if in_places(places, o.venture, o.environment) and venture in {None, o.venture}]
        states = unit.objectives.states()
        return [_view(unit, objective, states, now=now) for objective in seen]


def read_objective(context: Context, name: str, *, actor: Actor) -> ObjectiveView:
    """One with what each release burned of its budget. Raises: NotFoundError, StoreUnavailableError."""
    now = context.clock.now()
    with context.store.read() as unit:
        objective = objective_for(unit, name, actor, Operation.METRIC_READ)
        view = _view(unit, objective, unit.objectives.states(), now=now)
        return replace(view, budget=replace(view.budget, releases=burned_by_release(unit, view.budget)))


def budget_of(context: Context, name: str, *, actor: Actor, now: datetime | None = None) -> Budget:
    """The error budget of an objective with what each release burned of it. Raises: NotFoundError, StoreUnavailableError."""
    with context.store.read() as unit:
        objective = objective_for(unit, name, actor, Operation.METRIC_READ)
        budget = budget_in(unit, objective, now=now or context.clock.now())
        return replace(budget, releases=burned_by_release(unit, budget))


def objective_for(unit: Unit, name: str, actor: Actor, operation: Operation) -> Objective:
    """One by name that the caller may see. Raises: NotFoundError that names those, ForbiddenError."""
    found = unit.objectives.find(name)
    if found is None or not may_see(actor.principal, Operation.METRIC_READ, Scope(found.venture, found.environment)):
        places = visible_places(actor.principal, Operation.METRIC_READ)
        known = ", ".join(o.name for o in unit.objectives.all() if in_places(places, o.venture, o.environment))
        raise NotFoundError(f"there is no objective {name[:120]!r}; known: {known or 'none, declare one as kind: SLO in the catalog'}")
    if operation is not Operation.METRIC_READ:
        actor.check(operation, venture=found.venture, environment=found.environment)
    return found


def budget_in(unit: Unit, objective: Objective, *, now: datetime) -> Budget:
    """The budget as of ``now``, from whole minutes."""
    since, until = objective.window.bounds(now)
    found = unit.objectives.total(objective, since_s=int(since.timestamp()), until_s=int(min(until, now).timestamp()))
    return make_budget(objective, found, now=now)


def _view(unit: Unit, objective: Objective, states: Mapping[str, SloState], *, now: datetime) -> ObjectiveView:
    state = states.get(objective.name, SloState())
    return ObjectiveView(
        budget_in(unit, objective, now=now), tuple(sorted(state.firing)), unit.objectives.allowance(objective.name, now=now)
    )  # fmt: skip


def burned_by_release(unit: Unit, budget: Budget) -> tuple[ReleaseBurn, ...]:
    """What each release of the window cost: bad events beyond what its baseline (or the day before) would have had; the dearest first."""
    objective = budget.objective
    releases = unit.releases.newest(service=objective.service, environment=objective.environment, before=None, limit=RELEASES_MAX)
    found = []
    for release in releases:
        if release.created_at < budget.since:
            continue
        burn = _burned(unit, budget, release)
        if burn is not None:
            found.append(burn)
    return tuple(sorted(found, key=lambda each: -each.minutes))


def _burned(unit: Unit, budget: Budget, release: Release) -> ReleaseBurn | None:
    """None for a release that no user has seen, or of which nothing was counted."""
    ended = release.ended_at or budget.at
    until = min(ended + timedelta(seconds=AFTER_S), budget.at) if release.phase is Phase.PROMOTED else min(ended, budget.at)
    # Whole minutes: the one in which it began counts for it.
    since_s = int(release.created_at.timestamp()) // MINUTE_S * MINUTE_S
    until_s = -(-int(until.timestamp()) // MINUTE_S) * MINUTE_S
    if until_s <= since_s:
        return None
    excess = _slices(unit, budget, since_s, until_s) if budget.slices is not None else _events(unit, budget, release, since_s, until_s)
    if excess is None:
        return None
    bad, expected, minutes = excess
    return ReleaseBurn(release.id, release.version, release.created_at, until, bad, expected, minutes)


def _events(unit: Unit, budget: Budget, release: Release, since_s: int, until_s: int) -> tuple[float, float, float] | None:
    """(bad events, expected ones, minutes of the budget)."""
    name = budget.objective.name
    during = unit.objectives.by_version(name, since_s=since_s, until_s=until_s)
    own = during.get(release.version) if set(during) != {""} else during[""]
    if own is None or own.total <= 0 or budget.total <= 0:
        return None
    baseline = during.get(release.baseline_version or "", Counts())
    if baseline.total < own.total or set(during) == {""}:  # too little of it beside: what was usual the day before
        earlier = unit.objectives.by_version(name, since_s=since_s - BEFORE_S, until_s=since_s)
        baseline = Counts.of(earlier) if earlier else baseline
    expected = own.total * (baseline.ratio or 0.0)
    window_minutes = budget.budget_minutes / budget.objective.budget
    return own.bad, expected, max(0.0, own.bad - expected) / budget.total * window_minutes


def _slices(unit: Unit, budget: Budget, since_s: int, until_s: int) -> tuple[float, float, float] | None:
    objective = budget.objective
    during = unit.objectives.total(objective, since_s=since_s, until_s=until_s)
    earlier = unit.objectives.total(objective, since_s=since_s - BEFORE_S, until_s=since_s)
    if not during.slices:
        return None
    bad = _bad(objective, during)
    expected = during.slices * (_bad(objective, earlier) / earlier.slices if earlier.slices else 0.0)
    return bad, expected, max(0.0, bad - expected) * (objective.slice_s or MINUTE_S) / MINUTE_S


def _bad(objective: Objective, found: Sum) -> float:
    return float(found.bad_slices) if objective.method is Method.TIMESLICES else max(0.0, found.slices - found.shares)


def burned_of_release(context: Context, release: Release) -> list[tuple[Objective, ReleaseBurn]]:
    """What a release cost, by objective of its service. Whoever may read the release may know. Raises: StoreUnavailableError."""
    now = context.clock.now()
    with context.store.read() as unit:
        found = []
        for objective in unit.objectives.all(service=release.service, environment=release.environment):
            burn = _burned(unit, budget_in(unit, objective, now=now), release)
            if burn is not None:
                found.append((objective, burn))
        return found


def allow_spent(context: Context, name: str, *, reason: str, minutes: int, actor: Actor) -> Allowance:
    """Let releases of the service out though the budget is spent, for some time: for the one that mends it.

    Raises: NotFoundError, ForbiddenError, InvalidInputError.
    """
    if len(reason.strip()) < REASON_MIN:
        raise InvalidInputError(f"say why in at least {REASON_MIN} characters: the budget is what users were promised")
    if not 0 < minutes <= ALLOW_MAX.total_seconds() / MINUTE_S:
        raise InvalidInputError(f"{minutes} minutes: an allowance lasts from a minute to {ALLOW_MAX.days} days")
    now = context.clock.now()
    with context.store.write() as unit:
        objective = objective_for(unit, name, actor, Operation.RELEASE_FORCE)
        before = unit.objectives.allowance(name, now=now)
        until = now + timedelta(minutes=minutes)
        made = unit.objectives.add_allowance(objective, reason=reason.strip(), by=actor.name, now=now, until=until)
        unit.audit.add(
            "slo.spent_allowed", f"slo/{name}", actor=actor.name, origin=actor.origin, now=now, reason=made.reason,
            before={"until": before.until.isoformat()} if before else None,
            detail={"until": made.until.isoformat(), "budget": budget_in(unit, objective, now=now).sentence},
        )  # fmt: skip
    return made


def tidy_objectives(context: Context, *, now: datetime) -> int:
    """Count late data of the last hour, and forget minutes that no window reaches. Returns how many objectives were counted."""
    with context.store.read() as unit:
        objectives: Sequence[Objective] = unit.objectives.all()
    now_s = int(now.timestamp())
    own = [each for each in objectives if each.indicator.place in {"router", "series"}]
    for objective in own:
        recount(context, objective, since_s=now_s - LATE_S, until_s=(now_s - SETTLE_S) // MINUTE_S * MINUTE_S)
    if objectives:
        with context.store.write() as unit:
            for objective in objectives:
                unit.objectives.forget(objective.name, before_s=now_s - objective.keep_s)
    return len(own)
