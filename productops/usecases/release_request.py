"""Ask for a release: every check, one transaction, then the flow is started."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from datetime import datetime

import structlog

from productops import telemetry
from productops.domain.catalog import Service
from productops.domain.catalog_approvals import Attribute
from productops.domain.governance_access import Operation
from productops.domain.release import Environment, Phase, Release, Strategy
from productops.domain.strategies import Overrides, Scene, plan_rollout
from productops.domain.strategies.feature_toggle import FlagTarget
from productops.domain.versions import is_older
from productops.errors import (
    AlreadyLiveError,
    ConflictError,
    DowngradeError,
    InvalidInputError,
    NotFoundError,
    OrchestratorError,
    QuarantinedError,
    ReleaseInFlightError,
    StoreUnavailableError,
)
from productops.store import Unit
from productops.store.identity import new_id
from productops.usecases.context import Actor, Context
from productops.usecases.development_risk import keep_risk, noted_risk
from productops.usecases.governance_access_scope import service_for
from productops.usecases.governance_approvals_release import first_attempt, tell_waiting, with_approval
from productops.usecases.governance_changes_record import record_release
from productops.usecases.monitoring_slo_gate import check_budget, waits_for_signature
from productops.usecases.quality_release import check_release
from productops.usecases.release_capabilities import refuse_unable
from productops.usecases.release_plan import outlook, usual_traffic, with_steps
from productops.usecases.release_toggle import check_wished, flag_scene, wishes_flag
from productops.usecases.release_windows import NOW, Start, check_start, may_start, note_start

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ReleaseWish:
    """What somebody wants released. ``venture`` may be left out where the service tells it.

    ``start``: at once, or at the next opening of the change windows. ``bypass``: an approved permission to start in a freeze.
    ``train``: the train it is a member of, whose start was checked for all its members.
    """

    service: str
    version: str
    environment: Environment = Environment.PRODUCTION
    venture: str | None = None
    strategy: Strategy | None = None
    overrides: Overrides = field(default_factory=Overrides)
    force_downgrade: bool = False
    lift_quarantine: bool = False
    note: str = ""
    start: Start = NOW
    bypass: str | None = None
    train: str | None = None

    def fingerprint(self) -> str:
        """SHA-256 of the wish: two requests with it are the same request."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True, default=str).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Placed:
    """The answer to a request: its release, and whether an earlier request with the same idempotency key made it."""

    release: Release
    replayed: bool


def request_release(context: Context, wish: ReleaseWish, *, actor: Actor, idempotency_key: str | None = None) -> Release:
    """Write the release, not yet started. The same idempotency key and wish return the first release.

    Raises: NotFoundError, InvalidInputError, DowngradeError, AlreadyLiveError, QuarantinedError, ReleaseInFlightError,
        ChangeFrozenError, IdempotencyError, StoreUnavailableError. Nothing is written then.
    """
    return place_release(context, wish, actor=actor, idempotency_key=idempotency_key).release


def place_release(context: Context, wish: ReleaseWish, *, actor: Actor, idempotency_key: str | None = None) -> Placed:
    """``request_release`` that also tells whether the request was a repetition. Raises: as ``request_release``."""
    check_wished(wish.version)
    _check_allowed(context, wish, actor)
    remembered = _remembered(context, wish, idempotency_key)
    if remembered is not None:
        return Placed(remembered, replayed=True)
    service = _find_version(context, wish)
    gates = _gates(context, service, wish)
    try:
        return _write(context, service, wish, actor=actor, idempotency_key=idempotency_key, gates=gates)
    except ConflictError:  # perhaps with this very request, sent twice at the same moment
        remembered = _remembered(context, wish, idempotency_key)
        if remembered is None:
            raise
        return Placed(remembered, replayed=True)


def plan_release(context: Context, wish: ReleaseWish, *, actor: Actor) -> Release:
    """The release that ``request_release`` would write, with every check; nothing is written. Raises: as ``request_release``."""
    check_wished(wish.version)
    with context.store.read() as unit:
        service_for(unit, wish.service, actor, Operation.RELEASE_READ, environment=wish.environment, seen_by=Operation.RELEASE_READ)
    service = _find_version(context, wish)
    gates = _gates(context, service, wish)
    with context.store.write() as unit:
        release = _draft(unit, service, wish, actor=actor, context=context, gates=gates)
        unit.undo()
    return release


def _check_allowed(context: Context, wish: ReleaseWish, actor: Actor) -> None:
    """To insist takes more than to ask. Raises: NotFoundError, ForbiddenError."""
    with context.store.read() as unit:
        found = service_for(
            unit, wish.service, actor, Operation.RELEASE_REQUEST, environment=wish.environment, seen_by=Operation.RELEASE_READ
        )
    if wish.force_downgrade or wish.lift_quarantine or wish.bypass:
        actor.check(Operation.RELEASE_FORCE, venture=found.venture, environment=wish.environment)


def _find_version(context: Context, wish: ReleaseWish) -> Service:
    """The service, when it has the wished version. Raises: NotFoundError, InvalidInputError."""
    with context.store.read() as unit:
        service = unit.catalog.service(wish.service)
    _check_owner(service, wish)
    if wishes_flag(service, wish.strategy, wish.version):
        return service
    if context.target is not None and not context.target.exists(service, wish.version):
        raise NotFoundError(f"version {wish.version} of {wish.service} does not exist: {_where(service, wish.version)} was not found")
    return service


def _gates(context: Context, service: Service, wish: ReleaseWish) -> dict[str, object]:
    """What the plan notes of the quality gates, spent error budgets and the risk; before the transaction, for reports are read.

    Raises: QualityGateError, BudgetSpentError.
    """
    if wishes_flag(service, wish.strategy, wish.version):
        return {}
    noted = check_release(context, service, wish.version, wish.environment) | check_budget(context, service, wish.environment)
    return noted | _risk(context, service, wish)


def _risk(context: Context, service: Service, wish: ReleaseWish) -> dict[str, object]:
    try:
        return noted_risk(context, venture=service.venture, service=service.name, version=wish.version, environment=wish.environment)
    except StoreUnavailableError:
        raise
    except Exception:  # odd data from a tracker must not keep a release from going out: without a note the plain rule rates it
        log.exception("risk.not_noted", service=service.name, version=wish.version)
        return {}


def _write(
    context: Context, service: Service, wish: ReleaseWish, *, actor: Actor, idempotency_key: str | None, gates: dict[str, object]
) -> Placed:  # fmt: skip
    now = context.clock.now()
    with context.store.write() as unit:
        if idempotency_key and (known := unit.releases.remembered(idempotency_key, wish.fingerprint())):
            return Placed(unit.releases.get(known), replayed=True)
        release = _draft(unit, service, wish, actor=actor, context=context, gates=gates)
        release = with_approval(unit, release, context, actor=actor, now=now)
        unit.releases.add(release)
        keep_risk(unit, release, now=now)
        unit.releases.tell(release.id, "requested", {"title": release.title, "by": actor.name, "origin": actor.origin}, now=now)
        unit.deployments.record(release, unit.catalog.venture_id(release.venture))
        insisted = [name for name in ("force_downgrade", "lift_quarantine") if getattr(wish, name)]
        detail = {
            "service": wish.service, "version": wish.version, "environment": wish.environment.value, "insisted_on": insisted,
            "baseline": release.baseline_version, "strategy": release.strategy.value,
        }  # fmt: skip
        unit.audit.add(
            "release.requested", f"release/{release.id}", actor=actor.name, origin=actor.origin, now=now, reason=wish.note, detail=detail
        )
        note_start(unit, release, actor=actor, now=now)
        tell_waiting(unit, release, now=now)
        record_release(unit, release, context, actor=actor, now=now)
        if idempotency_key:
            unit.releases.remember(idempotency_key, wish.fingerprint(), release.id, now=now)
    telemetry.follow(f"release/{release.id}", venture=release.venture, environment=release.environment)
    return Placed(release, replayed=False)


def start_release(context: Context, release: Release) -> str | None:
    """Start the flow of a stored release; returns the flow run's id.

    ``None`` when the orchestrator does not answer or no change window is open: the release stays requested and the reconciler starts it.
    """
    if not may_start(context, release):
        log.info("release waits for a change window", release_id=release.id)
        return None
    return start_run(context, release, attempt=first_attempt(context, release))


def start_run(context: Context, release: Release, *, attempt: int) -> str | None:
    """Start a flow run for a release, the one after ``attempt`` others that died; ``None`` when the orchestrator does not answer."""
    parameters = {
        "release_id": release.id, "venture": release.venture, "service": release.service, "version": release.version,
        "environment": release.environment.value, "strategy": release.strategy.value,
    }  # fmt: skip
    try:
        return context.need_orchestrator().start_release(release.id, parameters, attempt=attempt)
    except OrchestratorError as error:
        log.warning("release not started yet", release_id=release.id, attempt=attempt, reason=str(error))
        return None


def _remembered(context: Context, wish: ReleaseWish, key: str | None) -> Release | None:
    if key is None:
        return None
    with context.store.read() as unit:
        known = unit.releases.remembered(key, wish.fingerprint())
        return unit.releases.get(known) if known else None


def _check_owner(service: Service, wish: ReleaseWish) -> None:
    if wish.venture and wish.venture != service.venture:
        raise InvalidInputError(f"service {service.name} belongs to venture {service.venture}, not {wish.venture}")


def _where(service: Service, version: str) -> str:
    source = service.spec.run.versions
    if source.kind == "git":
        return f"reference {source.ref.replace('{version}', version)} in {source.repository}"
    if source.kind == "image":
        return f"image {source.image.replace('{version}', version)}"
    return f"{source.kind} {source.path.replace('{version}', version)}"


def _draft(
    unit: Unit, service: Service, wish: ReleaseWish, *, actor: Actor, context: Context, gates: dict[str, object]
) -> Release:  # fmt: skip
    active = unit.releases.active(service.name, wish.environment)
    if active is not None:
        raise ReleaseInFlightError(
            f"release {active.id} ({active.title}) is {active.phase}; wait for it or roll it back first", release_id=active.id
        )
    baseline = unit.traffic.get(service.name, wish.environment).baseline_version
    flag = flag_scene(unit, service, wish.version, wish.environment) if wishes_flag(service, wish.strategy, wish.version) else None
    if flag is None:
        _check_version_order(wish, baseline)
    _check_quarantine(unit, wish, actor=actor, now=context.clock.now())
    starting = _unusual(wish, _starting(unit, service, wish, context=context), gates)
    strategy = wish.strategy or service.spec.rollout.strategy
    now = context.clock.now()
    traffic = usual_traffic(unit, service.name, wish.environment, baseline, now_s=int(now.timestamp()))
    scene = Scene(instances=service.spec.run.instances, has_baseline=baseline is not None, flag=flag)
    plan = plan_rollout(strategy, with_steps(service.spec.rollout, traffic), wish.overrides, scene)
    if baseline:
        refuse_unable(context, service, plan)
    expected = outlook(plan.analysis, plan.steps, traffic) if baseline else None
    return Release(
        id=str(new_id()),
        venture=service.venture,
        service=service.name,
        environment=wish.environment,
        version=wish.version,
        baseline_version=FlagTarget(flag.key, flag.baseline_variant).title if flag else baseline,
        strategy=strategy,
        phase=Phase.REQUESTED,
        steps=plan.steps if baseline else (),
        plan=plan.to_dict()
        | {
            "note": wish.note,
            "quarantine": service.spec.rollout.quarantine,
            "revision": service.revision,
            "outlook": expected.to_dict() if expected else None,
            **starting,
            **gates,
        },
        requested_by=actor.name,
        origin=actor.origin,
        reason="",
        cause=None,
        step_index=-1,
        fence=0,
        flow_run_id=None,
        created_at=now,
        updated_at=now,
        ended_at=None,
    )


def _starting(unit: Unit, service: Service, wish: ReleaseWish, *, context: Context) -> dict[str, str]:
    """What the plan notes about the start. Raises: ChangeFrozenError."""
    if wish.train is not None:
        return {"train": wish.train}
    return check_start(
        unit, venture=service.venture, service=service.name, version=wish.version, environment=wish.environment, start=wish.start,
        bypass=wish.bypass, now=context.clock.now(),
    )  # fmt: skip


def _unusual(wish: ReleaseWish, starting: dict[str, str], gates: dict[str, object]) -> dict[str, object]:
    """What the plan notes about the start, with what a policy for approvals may name."""
    marks = {
        Attribute.FORCE_DOWNGRADE: wish.force_downgrade, Attribute.LIFT_QUARANTINE: wish.lift_quarantine,
        Attribute.BYPASS: "bypass" in starting, Attribute.BUDGET_SPENT: waits_for_signature(gates),
    }  # fmt: skip
    found = [name.value for name, holds in marks.items() if holds]
    return {**starting, "attributes": found} if found else dict(starting)


def _check_version_order(wish: ReleaseWish, baseline: str | None) -> None:
    if baseline is None:
        return
    if baseline == wish.version:
        raise AlreadyLiveError(f"{wish.service} {wish.version} is what users in {wish.environment} have already")
    if is_older(wish.version, baseline) and not wish.force_downgrade:
        raise DowngradeError(
            f"{wish.version} is older than {baseline}, which is live in {wish.environment}; "
            "insist with --force-downgrade (force_downgrade: true), or roll back the release that brought it"
        )


def _check_quarantine(unit: Unit, wish: ReleaseWish, *, actor: Actor, now: datetime) -> None:
    barred = unit.quarantine.reason(wish.service, wish.environment, wish.version)
    if barred is None:
        return
    if not wish.lift_quarantine:
        raise QuarantinedError(
            f"{wish.service} {wish.version} was rolled back in {wish.environment}: {barred}. "
            "Release a newer version, or insist with --lift-quarantine (lift_quarantine: true)"
        )
    unit.quarantine.lift(wish.service, wish.environment, wish.version)
    unit.audit.add(
        "quarantine.lifted", f"quarantine/{wish.service}/{wish.environment}", actor=actor.name, origin=actor.origin, now=now,
        reason=wish.note, before={"barred": barred},
        detail={"service": wish.service, "environment": wish.environment.value, "version": wish.version},
    )  # fmt: skip
