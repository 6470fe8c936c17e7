"""Start, read and abort trains."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import structlog

from productops.domain.governance_access import Operation, visible_places
from productops.domain.release import Environment, Release
from productops.domain.release_train import MEMBERS_MAX, Member, MemberWish, Train, TrainMode, TrainPhase, in_order
from productops.errors import AlreadyLiveError, ConflictError, InvalidInputError, OrchestratorError
from productops.store import Unit
from productops.store.identity import new_id
from productops.usecases.context import OURSELVES, Actor, Context
from productops.usecases.governance_access_scope import service_for, train_for
from productops.usecases.governance_approvals_ask import withdraw
from productops.usecases.governance_approvals_release import ask_for_train, train_waits
from productops.usecases.governance_audit_note import note
from productops.usecases.governance_changes_record import record_train
from productops.usecases.release_request import ReleaseWish, plan_release
from productops.usecases.release_windows import spend_bypass

log = structlog.get_logger(__name__)
SIDE_BY_SIDE_MAX = 20


@dataclass(frozen=True, slots=True)
class TrainWish:
    """What somebody wants released together. ``bypasses``: approved permissions of members that are frozen."""

    members: tuple[MemberWish, ...]
    environment: Environment = Environment.PRODUCTION
    mode: TrainMode = TrainMode.ALL_OR_NOTHING
    side_by_side: int = 4
    note: str = ""
    bypasses: tuple[str, ...] = ()

    def fingerprint(self) -> str:
        """SHA-256 of the wish: two requests with it are the same request."""
        return hashlib.sha256(json.dumps({"train": asdict(self)}, sort_keys=True, default=str).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class TrainPlaced:
    """The answer to a request: its train, and whether an earlier request with the same idempotency key made it."""

    train: Train
    replayed: bool


@dataclass(frozen=True, slots=True)
class TrainView:
    """A train with the releases of its members, by id."""

    train: Train
    releases: dict[str, Release]


def place_train(context: Context, wish: TrainWish, *, actor: Actor, idempotency_key: str | None = None) -> TrainPlaced:
    """Write the train, when every member could be released; nothing moves yet.

    Raises: DependencyCycleError, InvalidInputError, and what ``request_release`` raises for any of its members; nothing is written then.
    """
    _check_allowed(context, wish, actor)
    if idempotency_key is not None:
        with context.store.read() as unit:
            if known := unit.releases.remembered(idempotency_key, wish.fingerprint()):
                return TrainPlaced(unit.trains.get(known), replayed=True)
    train, spent = _drafted(context, wish, actor=actor)
    with context.store.write() as unit:
        now = context.clock.now()
        if idempotency_key and (known := unit.releases.remembered(idempotency_key, wish.fingerprint())):
            return TrainPlaced(unit.trains.get(known), replayed=True)
        _check_alone(unit, train)
        unit.trains.add(train)
        ask_for_train(unit, train, context, actor=actor, now=now)
        record_train(unit, train, context, actor=actor, now=now)
        for bypass in spent:
            spend_bypass(unit, bypass, f"train/{train.id}", actor=actor, now=now)
        detail = {
            "members": {m.service: m.version for m in train.members},
            "mode": train.mode.value,
            "environment": train.environment.value,
        }
        unit.audit.add(
            "train.requested", f"train/{train.id}", actor=actor.name, origin=actor.origin, now=now, reason=wish.note, detail=detail
        )
        if idempotency_key:
            unit.releases.remember(idempotency_key, wish.fingerprint(), train.id, now=now)
    return TrainPlaced(train, replayed=False)


def plan_train(context: Context, wish: TrainWish, *, actor: Actor) -> Train:
    """The train that ``place_train`` would write, with every check; nothing is written. Raises: as ``place_train``."""
    with context.store.read() as unit:
        for member in wish.members:
            service_for(unit, member.service, actor, Operation.RELEASE_READ, environment=wish.environment, seen_by=Operation.RELEASE_READ)
    train, _ = _drafted(context, wish, actor=actor)
    with context.store.read() as unit:
        _check_alone(unit, train)
    return train


def start_train(context: Context, train: Train) -> str | None:
    """Start the flow that follows it; ``None`` when the orchestrator does not answer: the reconciler moves the train, more slowly.

    The same train, at which no flow has looked since, gets the same flow run.
    """
    if train_waits(context, train.id):
        log.info("train waits for signatures", train_id=train.id)
        return None
    key = f"train-{train.id}" + (f"-{train.followed_at:%Y%m%dT%H%M%S}" if train.followed_at else "")
    try:
        run = context.need_orchestrator().start_train({"train_id": train.id, "title": train.title}, key=key)
    except OrchestratorError as error:
        log.warning("train is not followed by a flow", train_id=train.id, reason=str(error))
        return None
    with context.store.write() as unit:
        unit.trains.carried_by(train.id, run)
        before, now = {"flow_run": train.flow_run_id}, context.clock.now()
        note(unit, OURSELVES, "train.followed", f"train/{train.id}", now=now, before=before, after={"flow_run": run})
    return run


def abort_train(context: Context, train_id: str, *, reason: str, actor: Actor) -> Train:
    """Turn it around: what is on its way goes back at once; promoted members, too, unless the train is best-effort.

    Raises: NotFoundError, ConflictError when it has ended.
    """
    with context.store.write() as unit:
        train = train_for(unit, train_id, actor, Operation.RELEASE_ROLL_BACK)
        if train.phase is TrainPhase.ROLLING_BACK:
            return train
        if train.ended:
            raise ConflictError(f"train {train_id} is {train.phase} already; roll back its releases one by one")
        now = context.clock.now()
        why = f"aborted by {actor.name}: {reason}"
        if not unit.trains.turn(train_id, train.phase, TrainPhase.ROLLING_BACK, reason=why, now=now):
            raise ConflictError(f"train {train_id} moved at the same moment; look at it and repeat")
        withdraw(unit, f"train/{train_id}", reason=why, actor=actor, now=now)
        unit.audit.add("train.aborted", f"train/{train_id}", actor=actor.name, origin=actor.origin, now=now, reason=reason)
    return read_train(context, train_id, actor=OURSELVES).train


def read_train(context: Context, train_id: str, *, actor: Actor) -> TrainView:
    """Raises: NotFoundError, StoreUnavailableError."""
    with context.store.read() as unit:
        train = train_for(unit, train_id, actor)
        return TrainView(train, {m.release_id: unit.releases.get(m.release_id) for m in train.members if m.release_id})


def list_trains(context: Context, *, before: str | None = None, limit: int = 50, actor: Actor) -> list[Train]:
    """Those that the caller may see, newest first. Raises: StoreUnavailableError."""
    with context.store.read() as unit:
        return unit.trains.newest(before=before, limit=limit, places=visible_places(actor.principal, Operation.RELEASE_READ))


def _check_allowed(context: Context, wish: TrainWish, actor: Actor) -> None:
    """Raises: NotFoundError, ForbiddenError."""
    with context.store.read() as unit:
        for member in wish.members:
            found = service_for(
                unit, member.service, actor, Operation.RELEASE_REQUEST, environment=wish.environment, seen_by=Operation.RELEASE_READ
            )
            if wish.bypasses:
                actor.check(Operation.RELEASE_FORCE, venture=found.venture, environment=wish.environment)


def _drafted(context: Context, wish: TrainWish, *, actor: Actor) -> tuple[Train, list[str]]:
    """The train, and the bypasses it needs."""
    if not 1 <= len(wish.members) <= MEMBERS_MAX:
        raise InvalidInputError(f"a train has 1 to {MEMBERS_MAX} members, not {len(wish.members)}")
    if not 1 <= wish.side_by_side <= SIDE_BY_SIDE_MAX:
        raise InvalidInputError(f"side_by_side is 1 to {SIDE_BY_SIDE_MAX}, not {wish.side_by_side}")
    with context.store.read() as unit:
        services = {m.service: unit.catalog.service(m.service) for m in wish.members}
        by_service = {bypass.service: bypass.id for bypass in map(unit.bypasses.get, wish.bypasses)}
    ventures = sorted({s.venture for s in services.values()})
    if len(ventures) > 1:
        raise InvalidInputError(f"a train is of one venture; these services are of {', '.join(ventures)}")
    _check_named(wish.members)
    ordered = in_order(
        [
            Member(m.service, m.version, services[m.service].spec.depends_on if m.depends_on is None else m.depends_on, m.strategy)
            for m in wish.members
        ]
    )
    spent = [used for m in ordered if (used := _check_member(context, m, wish, bypass=by_service.get(m.service), actor=actor))]
    now = context.clock.now()
    return Train(
        id=str(new_id()), venture=ventures[0], environment=wish.environment, mode=wish.mode, side_by_side=wish.side_by_side,
        phase=TrainPhase.RUNNING, members=ordered, note=wish.note, reason="", requested_by=actor.name, origin=actor.origin,
        flow_run_id=None, created_at=now, updated_at=now, ended_at=None,
    ), spent  # fmt: skip


def _check_named(members: Sequence[MemberWish]) -> None:
    """What somebody writes into a request is meant; what the catalog says of services that stay as they are is not of concern."""
    names = {m.service for m in members}
    for member in members:
        for dependency in member.depends_on or ():
            if dependency not in names:
                raise InvalidInputError(f"{member.service} depends on {dependency}, which is not in the train; add it or leave it out")


def _check_member(context: Context, member: Member, wish: TrainWish, *, bypass: str | None, actor: Actor) -> str | None:
    """Every check of a release; returns the bypass when it needs one. A version that is live already needs nothing."""
    try:
        planned = plan_release(context, member_wish(member, wish.environment, note=wish.note, bypass=bypass), actor=actor)
    except AlreadyLiveError:
        return None
    return planned.plan.get("bypass")


def member_wish(
    member: Member, environment: Environment, *, note: str = "", bypass: str | None = None, train: str | None = None
) -> ReleaseWish:
    """The ordinary release that a member is."""
    return ReleaseWish(
        service=member.service,
        version=member.version,
        environment=environment,
        strategy=member.strategy,
        note=note,
        bypass=bypass,
        train=train,
    )


def _check_alone(unit: Unit, train: Train) -> None:
    """Raises: ConflictError when another train that runs takes one of the services there."""
    services = {m.service for m in train.members}
    for train_id in unit.trains.under_way():
        other = unit.trains.get(train_id)
        shared = sorted(services & {m.service for m in other.members})
        if shared and other.environment is train.environment:
            raise ConflictError(f"train {train_id} takes {', '.join(shared)} already; wait for it or abort it", train_id=train_id)
