"""Look at the performance of a service or a feature, say what to do, and do it where that was asked for and is allowed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from productops.domain.analytics_optimize import ActionKind, FindingKind, Minutes, PerformanceFinding, PerformanceRun, Recommendation
from productops.domain.analytics_optimize_advice import Situation, advise
from productops.domain.analytics_optimize_feature import compare_feature_versions, slow_segments
from productops.domain.analytics_optimize_findings import compare_versions, find_knee, find_slow_hours, ordered_by_time, seen
from productops.domain.analytics_usage import Dimension
from productops.domain.catalog_flags import Live
from productops.domain.governance_access import Operation, Scope, may_see, visible_ventures
from productops.domain.release import Environment
from productops.domain.traffic import InstanceState
from productops.errors import ForbiddenError, IdempotencyError, InvalidInputError, NotFoundError
from productops.store import Unit
from productops.store.identity import new_id
from productops.usecases.analytics_optimize_act import act_on
from productops.usecases.analytics_optimize_facts import Gathered, gather_minutes, keep_minutes
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_scope import service_for, venture_for
from productops.usecases.quality_performance import read_series

VERSIONS_MAX = 6
DAYS_MAX = 60


@dataclass(frozen=True, slots=True)
class OptimizeWish:
    """What is looked at: a service, or a feature of a venture; ``days`` back. ``act``: start the first step that is possible."""

    service: str = ""
    feature: str = ""
    venture: str = ""
    environment: Environment = Environment.PRODUCTION
    days: float = 14.0
    act: bool = False

    def check(self) -> None:
        """Raises: InvalidInputError."""
        if bool(self.service) == bool(self.feature):
            raise InvalidInputError("name either a service or a feature")
        if not 0 < self.days <= DAYS_MAX:
            raise InvalidInputError(f"days must be above 0 and at most {DAYS_MAX}")

    @property
    def fingerprint(self) -> str:
        """The same for the same wish."""
        return hashlib.blake2b(json.dumps(asdict(self), default=str, sort_keys=True).encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class _Look:
    venture: str
    findings: list[PerformanceFinding]
    situation: Situation
    facts: dict[str, Any]
    silent: list[str]
    gathered: Gathered | None = None


def optimize_performance(context: Context, wish: OptimizeWish, *, actor: Actor, key: str | None = None) -> PerformanceRun:
    """Look, keep what was found, and act where that was asked for. The same ``key`` of the same caller gives the same run, and acts once.

    A step that may succeed later leaves the run ``acting``: the same request takes it up again. Raises: NotFoundError, ForbiddenError,
    InvalidInputError, IdempotencyError, StoreUnavailableError; OrchestratorError and others of what is started that are worth a repetition.
    """
    wish.check()
    now = context.clock.now()
    kept_key = hashlib.blake2b(f"{actor.name}\0{key}".encode(), digest_size=32).hexdigest() if key else None
    venture = _venture(context, wish, actor)
    known = _known(context, kept_key, wish)
    if known is not None:
        return act_on(context, known, actor=actor) if known.state == "acting" else known
    look = _service(context, wish, actor, venture, now) if wish.service else _feature(context, wish, venture, now)
    advice = advise(look.findings, look.situation)
    step = next((each for each in advice if each.possible), None) if wish.act else None
    run = PerformanceRun(
        id=str(new_id()), venture=look.venture, subject=wish.service or wish.feature, environment=wish.environment.value,
        state="acting" if step else "done", sentence=_sentence(look, advice), findings=tuple(look.findings), recommendations=tuple(advice),
        facts=look.facts | {"silent": look.silent, "kind": "service" if wish.service else "feature", "days": wish.days},
        action=_planned(step, look), effect={}, by=actor.name, at=now, request_key=kept_key, fingerprint=wish.fingerprint,
    )  # fmt: skip
    with context.store.write() as unit:
        if look.gathered is not None:
            keep_minutes(unit, wish.service, wish.environment, look.gathered, now=now)
        unit.analytics_reports.add_run(run)
        unit.audit.add(
            "performance.analysed", f"performance/{run.id}", actor=actor.name, origin=actor.origin, now=now,
            detail={"subject": run.subject, "environment": run.environment, "sentence": run.sentence[:1000], "act": wish.act},
        )  # fmt: skip
    return act_on(context, run, actor=actor) if step else run


def _venture(context: Context, wish: OptimizeWish, actor: Actor) -> str:
    with context.store.read() as unit:
        if wish.service:
            service = service_for(unit, wish.service, actor, Operation.PERFORMANCE_OPTIMIZE, environment=wish.environment)
            return service.venture
        found = [wish.venture] if wish.venture else unit.analytics_usage.ventures_of(wish.feature)
        mine = [each for each in found if may_see(actor.principal, Operation.ANALYTICS_READ, Scope(each))]
        if len(mine) > 1:
            raise InvalidInputError(f"feature {wish.feature!r} is used in {', '.join(mine)}: name the venture")
        if not mine:
            raise NotFoundError(f"no event of a feature {wish.feature[:80]!r} was counted" + (f" in {wish.venture}" * bool(wish.venture)))
        venture = venture_for(unit, mine[0], actor, Operation.ANALYTICS_READ)
        actor.check(Operation.PERFORMANCE_OPTIMIZE, venture=venture, environment=wish.environment)
        return venture


def _known(context: Context, key: str | None, wish: OptimizeWish) -> PerformanceRun | None:
    if key is None:
        return None
    with context.store.read() as unit:
        found = unit.analytics_reports.run_of_key(key)
    if found is not None and found.fingerprint != wish.fingerprint:
        raise IdempotencyError("this Idempotency-Key was used with a different request; use a new key")
    return found


def _service(context: Context, wish: OptimizeWish, actor: Actor, venture: str, now: datetime) -> _Look:
    gathered = gather_minutes(context, wish.service, wish.environment, since=now - timedelta(days=wish.days), now=now)
    with context.store.read() as unit:
        situation = _situation(unit, wish.service, wish.environment, now=now)
    order = ordered_by_time(list(gathered.versions.values()))[-VERSIONS_MAX:]
    live = next((each for each in order if each.version == situation.live), None)
    findings, silent = compare_versions(_pairs(order, live, situation.previous))
    if live is not None:
        bend = find_knee(live, instances=max(situation.instances, 1))
        findings += [bend] if bend is not None else []
        findings += find_slow_hours(live)
    findings += _benchmarks(context, wish.service, actor)
    facts = {
        "versions": [seen(each) for each in order], "live": situation.live, "previous": situation.previous,
        "instances": situation.instances,
    }  # fmt: skip
    return _Look(venture, sorted(findings, key=lambda each: -each.harm), situation, facts, silent, gathered)


def _pairs(order: list[Minutes], live: Minutes | None, previous: str | None) -> list[tuple[Minutes, Minutes]]:
    """Each with the one before it, and what users have with what a roll back would give them."""
    pairs = list(zip(order[1:], order, strict=False))
    before = next((each for each in order if each.version == previous), None)
    if live is not None and before is not None and all((new.version, old.version) != (live.version, previous) for new, old in pairs):
        pairs.append((live, before))
    if live is not None:
        pairs = [(new, old) for new, old in pairs if old.version != live.version or new.version != previous]
    return pairs


def _situation(unit: Unit, service: str, environment: Environment, *, now: datetime) -> Situation:
    spec = unit.catalog.service(service).spec
    target = unit.traffic.find(service, environment)
    live = target.baseline_version if target is not None else None
    promoted = unit.releases.last_promoted(service, environment)
    running = [i for i in unit.fleets.instances_of(service, environment, live) if i.state is InstanceState.HEALTHY] if live else []
    fleet = unit.fleets.find(service, environment, live) if live else None
    closed = "users have no release that could be rolled back"
    if promoted is not None and promoted.version == live and promoted.baseline_version:
        age = now - (promoted.ended_at or promoted.updated_at)
        window = timedelta(seconds=spec.rollout.rollback_window_s)
        closed = "" if age <= window else f"its rollback window closed {age - window} ago".split(".")[0]
        if unit.releases.active(service, environment) is not None:
            closed = "another release is on its way"
    else:
        promoted = None
    return Situation(
        service=service, live=live, previous=promoted.baseline_version if promoted else None, release_id=promoted.id if promoted else None,
        window_closed=closed, instances=fleet.desired if fleet is not None else len(running), declared=spec.run.instances,
    )  # fmt: skip


def _benchmarks(context: Context, service: str, actor: Actor) -> list[PerformanceFinding]:
    """The newest step of each benchmark that was for the worse, where the caller may read quality."""
    try:
        series = read_series(context, service, actor=actor)
    except ForbiddenError:
        return []
    found = []
    for each in series:
        step = each.steps[-1] if each.steps else None
        if step is not None and step.worse and len(each.medians) - step.index <= 20:
            commit = each.commits[step.index]
            said = (
                f"{each.title} went from {step.before:.4g} to {step.after:.4g} {each.unit} at commit {commit[:12]} "
                f"({step.change:+.1%}, surely {step.low:+.1%} to {step.high:+.1%})"
            )
            evidence = {"series": each.series, "runner": each.runner, "commit": commit}
            found.append(
                PerformanceFinding(FindingKind.BENCHMARK, each.series, said, step.change, step.low, step.high, None,
                                   abs(step.change) * 0.3, evidence=evidence)
            )  # fmt: skip
    return found


def _feature(context: Context, wish: OptimizeWish, venture: str, now: datetime) -> _Look:
    since, until = (now - timedelta(days=wish.days)).date(), (now + timedelta(days=1)).date()
    with context.store.read() as unit:

        def days(dimension: Dimension) -> list[Any]:
            return unit.analytics_usage.daily(venture, since=since, until=until, features=[wish.feature], dimension=dimension.value)

        whole, versions = days(Dimension.NONE), days(Dimension.VERSION)
        segments = [*days(Dimension.PLATFORM), *days(Dimension.COUNTRY)]
        goal = next((g for g in unit.development_goals.all([venture]) if wish.feature == g.name or wish.feature in g.spec.work), None)
        flag = unit.flags.find(goal.spec.flag) if goal is not None and goal.spec.flag else None
    findings, silent = compare_feature_versions(versions)
    findings += slow_segments(segments, whole)
    live = flag.state.live_in(wish.environment) if flag is not None else Live(killed=True)
    on = not live.killed and (live.ramp is None or live.ramp.percent > 0 or bool(live.ramp.segments))
    situation = Situation(flag=flag.key if flag is not None else None, flag_on=on, flag_ramped=live.ramp is not None)
    facts = {
        "days": len(whole), "events": sum(each.events for each in whole), "failures": sum(each.failures for each in whole),
        "p95_ms": [each.duration_p95_ms for each in whole][-1] if whole else None, "flag": situation.flag,
    }  # fmt: skip
    return _Look(venture, sorted(findings, key=lambda each: -each.harm), situation, facts, silent)


def _planned(step: Recommendation | None, look: _Look) -> dict[str, Any]:
    if step is None:
        return {}
    cause = {ActionKind.MORE_INSTANCES: FindingKind.KNEE}.get(step.action, FindingKind.REGRESSION)
    finding = next((each for each in look.findings if each.kind is cause), None)
    metric = finding.metric if finding is not None else "p99"
    return {"action": step.action.value, "target": dict(step.target), "metric": metric, "live": look.situation.live}


def _sentence(look: _Look, advice: list[Recommendation]) -> str:
    worst = next((each for each in look.findings if each.kind is not FindingKind.IMPROVEMENT), None)
    if worst is not None:
        return f"{worst.sentence}. To do: {advice[0].action.value}"
    known = look.facts.get("versions")
    if look.silent or not known:
        return "too little is known to say much: " + ("; ".join(look.silent) or "no usable minute of traffic, or day of use, is kept")
    return "nothing is worse than it was, at the same load"


def read_run(context: Context, run_id: str, *, actor: Actor) -> PerformanceRun:
    """Raises: NotFoundError."""
    with context.store.read() as unit:
        found = unit.analytics_reports.run(run_id)
    if not may_see(actor.principal, Operation.METRIC_READ, Scope(found.venture, Environment(found.environment))):
        raise NotFoundError(f"there is no look at performance {run_id[:80]!r}")
    return found


def list_runs(context: Context, *, subject: str | None, before: str | None, limit: int, actor: Actor) -> list[PerformanceRun]:
    """Newest first, of the ventures the caller may see."""
    ventures = visible_ventures(actor.principal, Operation.METRIC_READ)
    with context.store.read() as unit:
        return unit.analytics_reports.runs(ventures=ventures, subject=subject, before=before, limit=limit)


def subjects_to_look_at(context: Context) -> list[tuple[str, Environment]]:
    """Services with traffic in production, for the schedule."""
    with context.store.read() as unit:
        return [(t.service, t.environment) for t in unit.traffic.all() if t.baseline_version and t.environment is Environment.PRODUCTION]


def shortened(run: PerformanceRun) -> PerformanceRun:
    """Without what was found to be better; for messages."""
    return replace(run, findings=tuple(each for each in run.findings if each.kind is not FindingKind.IMPROVEMENT))
