"""Start what a look at performance recommends, through the use cases people use, and measure afterwards what it brought."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from productops.domain.analytics_optimize import ActionKind, Minutes, PerformanceRun, joined
from productops.domain.analytics_optimize_findings import difference_of
from productops.domain.governance_access import Operation
from productops.domain.release import Environment, Phase
from productops.errors import ConflictError, InvalidInputError, ProductOpsError
from productops.usecases.analytics_optimize_facts import gather_minutes
from productops.usecases.context import OURSELVES, Actor, Context
from productops.usecases.governance_access_scope import service_for
from productops.usecases.release_flags_change import kill_flag, ramp_flag
from productops.usecases.release_rollback_request import request_roll_back

SETTLE = timedelta(minutes=1)
FIRST_LOOK, LAST_LOOK = timedelta(minutes=10), timedelta(hours=24)
SAME = math.log1p(0.03)


def act_on(context: Context, run: PerformanceRun, *, actor: Actor) -> PerformanceRun:
    """Carry out the step of a run that is ``acting``; safe to repeat.

    What is refused (rights, approvals, a state that does not allow it) ends it as ``refused``, with the reason. Raises: errors that are
    worth a repetition; the run stays ``acting`` then.
    """
    starts: dict[str, Callable[[Context, PerformanceRun, Actor], dict[str, Any]]] = {
        ActionKind.ROLL_BACK: _roll_back, ActionKind.FLAG_OFF: _flag_off, ActionKind.MORE_INSTANCES: _more_instances,
    }  # fmt: skip
    try:
        outcome, state = starts[run.action["action"]](context, run, actor), "acted"
    except ProductOpsError as error:
        if error.retryable:
            raise
        outcome, state = {"refused": error.detail, "slug": error.slug}, "refused"
    now = context.clock.now()
    done = replace(run, state=state, action={**run.action, **outcome}, acted_at=now)
    with context.store.write() as unit:
        unit.analytics_reports.change_run(run.id, expected="acting", state=state, action=dict(done.action), acted_at=now)
        unit.audit.add(
            f"performance.{state}", f"performance/{run.id}", actor=actor.name, origin=actor.origin, now=now, before="acting", after=state,
            detail={"subject": run.subject, **done.action},
        )  # fmt: skip
    return done


def _reason(run: PerformanceRun) -> str:
    return f"performance look {run.id}: {run.sentence}"[:480]


def _roll_back(context: Context, run: PerformanceRun, actor: Actor) -> dict[str, Any]:
    release_id = str(run.action["target"]["release_id"])
    with context.store.read() as unit:
        phase = unit.releases.get(release_id).phase
    if phase in {Phase.ROLLING_BACK, Phase.ROLLED_BACK}:
        return {"started": f"release {release_id} is {phase} already"}
    begun = request_roll_back(context, release_id, reason=_reason(run), actor=actor)
    return {"started": f"roll back of release {release_id}: {begun.release.phase}", "flow_run_id": begun.flow_run_id}


def _flag_off(context: Context, run: PerformanceRun, actor: Actor) -> dict[str, Any]:
    key = str(run.action["target"]["flag"])
    environment, reason = Environment(run.environment), _reason(run)
    if run.action["target"]["by"] == "ramp":
        outcome = ramp_flag(context, key, environment, percent=0, segments=(), actor=actor, reason=reason)
    else:
        outcome = kill_flag(context, key, environments=(environment,), actor=actor, reason=reason)
    if outcome.waiting is not None:
        return {"started": f"change of {key} waits for approval", "change_id": outcome.waiting.id}
    return {"started": f"{key} gives nobody the feature any more (revision {outcome.flag.revision})"}


def _more_instances(context: Context, run: PerformanceRun, actor: Actor) -> dict[str, Any]:
    target = run.action["target"]
    version, wanted = str(target["version"]), int(target["instances"])
    before = scale_fleet(context, run.subject, Environment(run.environment), version, wanted, reason=_reason(run), actor=actor)
    return {"started": f"{run.subject} {version}: {wanted} instances in place of {before}"}


def scale_fleet(
    context: Context, service: str, environment: Environment, version: str, instances: int, *, reason: str, actor: Actor
) -> int:
    """Run so many instances of what users have, until the next release; returns how many were wanted before.

    Raises: NotFoundError, ForbiddenError, ConflictError when users have another version, InvalidInputError for a number that is 0 or more
    than twice what the catalog declares, StoreUnavailableError.
    """
    with context.store.write() as unit:
        known = service_for(unit, service, actor, Operation.CAPACITY_SCALE, environment=environment)
        most = known.spec.run.instances * 2
        if not 1 <= instances <= most:
            raise InvalidInputError(f"{instances} instances of {service}: 1 to {most} are allowed, twice what the catalog declares")
        target = unit.traffic.find(service, environment)
        if target is None or target.baseline_version != version or target.release_id is not None:
            raise ConflictError(f"{version} is not what users of {service} have undisturbed; its fleet is left alone")
        fleet = unit.fleets.find(service, environment, version)
        before, now = fleet.desired if fleet is not None else 0, context.clock.now()
        if before != instances:
            unit.fleets.want(service, environment, version, instances, now=now)
            unit.audit.add(
                "fleet.scaled", f"fleet/{service}/{environment.value}/{version}", actor=actor.name, origin=actor.origin, now=now,
                reason=reason, before={"desired": before}, after={"desired": instances},
            )  # fmt: skip
    context.doorbell.ring()
    return before


def measure_effects(context: Context, *, actor: Actor = OURSELVES) -> list[PerformanceRun]:
    """What acted runs brought, at the same load, ten minutes after and until a day is over; returns those that are settled now."""
    now = context.clock.now()
    with context.store.read() as unit:
        waiting = unit.analytics_reports.runs(state="acted", since=now - 3 * LAST_LOOK, limit=500)
    due = [run for run in waiting if run.measured_at is None and run.acted_at is not None and now - run.acted_at >= FIRST_LOOK]
    return [done for run in due if (done := _measure(context, run, now, actor)) is not None]


def _measure(context: Context, run: PerformanceRun, now: datetime, actor: Actor) -> PerformanceRun | None:
    acted_at = run.acted_at
    if acted_at is None:
        return None
    if run.facts.get("kind") != "service":
        effect: dict[str, Any] | None = None
    else:
        effect = _effect(context, run, acted_at, now)
    if effect is None and now - acted_at < LAST_LOOK:
        return None
    effect = effect or {"state": "unknown", "sentence": "too little was measured at the same load before and after"}
    if effect["state"] == "unclear" and now - acted_at < LAST_LOOK:
        return None
    with context.store.write() as unit:
        unit.analytics_reports.change_run(run.id, expected="acted", effect=effect, measured_at=now)
        unit.audit.add(
            "performance.measured", f"performance/{run.id}", actor=actor.name, origin=actor.origin, now=now, after=effect["state"],
            detail={"subject": run.subject, **effect},
        )  # fmt: skip
    return replace(run, effect=effect, measured_at=now)


def _effect(context: Context, run: PerformanceRun, acted_at: datetime, now: datetime) -> dict[str, Any] | None:
    """None: too little is known yet."""
    environment = Environment(run.environment)
    gathered = gather_minutes(context, run.subject, environment, since=acted_at - timedelta(days=3), now=now)
    target = run.action["target"]
    was, is_now = str(run.action.get("live")), str(target.get("to") or target.get("version") or run.action.get("live"))
    before, after = _part(gathered.versions.get(was), until=acted_at), _part(gathered.versions.get(is_now), since=acted_at + SETTLE)
    metric = str(run.action["metric"])
    found = difference_of(metric, after, before) if len(before.rows) and len(after.rows) else None
    if found is None:
        return None
    ratio = metric == "failures"
    same = 0.001 if ratio else SAME
    state = "helped" if found.high < 0 else "harmed" if found.low > 0 else "unclear"
    if state == "unclear" and max(abs(found.low), abs(found.high)) <= same:
        state = "no effect"
    effect, low, high = (each if ratio else math.expm1(each) for each in (found.effect, found.low, found.high))
    said = f"{metric} {state}: {effect:+.1%} at the same load after it, 95 % interval {low:+.1%} to {high:+.1%}"
    return {"state": state, "metric": metric, "effect": effect, "low": low, "high": high, "sentence": said}


def _part(minutes: Minutes | None, *, since: datetime | None = None, until: datetime | None = None) -> Minutes:
    if minutes is None:
        return joined("", [])
    first = since.timestamp() / 60 if since is not None else -np.inf
    last = until.timestamp() / 60 - 1 if until is not None else np.inf
    return Minutes(minutes.version, minutes.rows[(minutes.rows[:, 0] >= first) & (minutes.rows[:, 0] <= last)])
