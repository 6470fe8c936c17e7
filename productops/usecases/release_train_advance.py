"""Move a train on. Crash-only: every step is worked out anew from the store, and two that do it at once do it once."""

from __future__ import annotations

from datetime import timedelta

import structlog

from productops.domain.release import Cause, Phase
from productops.domain.release_train import Begin, GiveBack, Member, MemberPhase, Move, Settle, Train, TrainPhase, Turn, next_moves
from productops.errors import AlreadyLiveError, ConflictError, ProductOpsError, ReleaseInFlightError
from productops.usecases.context import OURSELVES, Actor, Context
from productops.usecases.governance_approvals_release import train_waits
from productops.usecases.governance_audit_note import lift_bars, note
from productops.usecases.release_request import place_release, start_release
from productops.usecases.release_rollback import give_baseline_back, roll_back
from productops.usecases.release_train import member_wish, read_train, start_train

log = structlog.get_logger(__name__)
LOOK_EVERY_S = 1.0
SIGN_EVERY = timedelta(seconds=5)
FORSAKEN_AFTER = timedelta(seconds=30)
# Each round moves at least one member; a member moves five times at most.
ROUNDS_MAX = 500


def advance_train(context: Context, train_id: str, *, actor: Actor) -> Train:
    """Do all that can be done now; returns the train as it stands then. Safe to call by anybody, at any time, any number of times.

    Raises: NotFoundError, StoreUnavailableError.
    """
    if train_waits(context, train_id):
        return read_train(context, train_id, actor=OURSELVES).train
    for _ in range(ROUNDS_MAX):
        view = read_train(context, train_id, actor=OURSELVES)
        moves = next_moves(view.train, view.releases)
        moved = [_carry_out(context, view.train, move, actor=actor) for move in moves]
        if not any(moved):
            return view.train
    return read_train(context, train_id, actor=OURSELVES).train


def advance_trains(context: Context, *, actor: Actor) -> list[str]:
    """Move every train that has not ended: what a killed flow left is carried on, by a new flow where one can be started.

    Returns their ids. Raises: StoreUnavailableError.
    """
    with context.store.read() as unit:
        under_way = unit.trains.under_way()
    for train_id in under_way:
        train = advance_train(context, train_id, actor=actor)
        seen = train.followed_at or train.created_at
        if not train.ended and context.clock.now() - seen > FORSAKEN_AFTER:
            start_train(context, train)
    return under_way


def follow_train(context: Context, train: Train, *, actor: Actor) -> Train:
    """One look of the flow that follows it: a sign of life, and all that can be done now. Raises: as ``advance_train``."""
    now = context.clock.now()
    if train.followed_at is None or now - train.followed_at > SIGN_EVERY:
        with context.store.write() as unit:
            unit.trains.followed(train.id, now=now)
    return advance_train(context, train.id, actor=actor)


def _carry_out(context: Context, train: Train, move: Move, *, actor: Actor) -> bool:
    """Whether the train is another one now."""
    match move:
        case Turn(phase, reason):
            return _turn(context, train, phase, reason, actor=actor)
        case Settle(service, phase, reason):
            return _settle(context, train, _member(train, service), phase, reason, actor=actor)
        case Begin(service):
            return _begin(context, train, _member(train, service), actor=actor)
        case GiveBack(service):
            return _give_back(context, train, _member(train, service), actor=actor)


def _member(train: Train, service: str) -> Member:
    return next(m for m in train.members if m.service == service)


def _turn(context: Context, train: Train, phase: TrainPhase, reason: str, *, actor: Actor) -> bool:
    with context.store.write() as unit:
        now = context.clock.now()
        if not unit.trains.turn(train.id, train.phase, phase, reason=reason, now=now):
            return True  # somebody else did: look again
        before, after = train.phase.value, phase.value
        note(unit, actor, f"train.{after}", f"train/{train.id}", now=now, reason=reason, before=before, after=after)
    return True


def _settle(context: Context, train: Train, member: Member, phase: MemberPhase, reason: str, *, actor: Actor) -> bool:
    with context.store.write() as unit:
        now = context.clock.now()
        if not unit.trains.settle(train.id, member, phase, reason=reason, now=now):
            return True
        if member.phase is MemberPhase.ROLLING_BACK and phase is MemberPhase.ROLLED_BACK:
            # Its roll back was the train's doing: nothing is known against this version.
            lift_bars(unit, member.service, train.environment, member.version, actor, because=f"train {train.id} took it back", now=now)
        detail = {"service": member.service, "version": member.version, "release_id": member.release_id}
        unit.audit.add(
            f"train.member_{phase.value}", f"train/{train.id}", actor=actor.name, origin=actor.origin, now=now, reason=reason,
            detail=detail, before=member.phase.value, after=phase.value,
        )  # fmt: skip
    return True


def _begin(context: Context, train: Train, member: Member, *, actor: Actor) -> bool:
    """Request the member's release; the transaction that writes it makes it the member's, or writes nothing."""
    wish = member_wish(member, train.environment, note=train.note, train=train.id)
    try:
        release = place_release(context, wish, actor=actor).release
    except AlreadyLiveError as error:
        return _settle(context, train, member, MemberPhase.UNCHANGED, str(error), actor=actor)
    except ReleaseInFlightError as error:
        return _wait(context, train, member, str(error), actor=actor)
    except ConflictError as error:
        if _moved_meanwhile(context, train, member):
            return True
        return _settle(context, train, member, MemberPhase.FAILED, str(error), actor=actor)
    except ProductOpsError as error:
        if error.retryable:
            raise
        return _settle(context, train, member, MemberPhase.FAILED, str(error), actor=actor)
    start_release(context, release)
    return True


def _wait(context: Context, train: Train, member: Member, reason: str, *, actor: Actor) -> bool:
    """Another release of the service is on its way: this one begins after it."""
    if _moved_meanwhile(context, train, member):
        return True
    if member.reason != reason:
        with context.store.write() as unit:
            unit.trains.explain(train.id, member.service, reason)
            detail = {"service": member.service, "version": member.version}
            note(unit, actor, "train.member_waits", f"train/{train.id}", now=context.clock.now(), reason=reason, detail=detail)
        log.info("member of a train waits", train_id=train.id, service=member.service, reason=reason)
    return False


def _moved_meanwhile(context: Context, train: Train, member: Member) -> bool:
    now = read_train(context, train.id, actor=OURSELVES).train
    return now.phase is not train.phase or _member(now, member.service).phase is not member.phase


def _give_back(context: Context, train: Train, member: Member, *, actor: Actor) -> bool:
    """On its way: at once. Promoted: as soon as its earlier version is up again; asked for anew with each look until then."""
    reason = f"train {train.id}: {train.reason}"
    release_id = member.release_id or ""
    if member.phase is MemberPhase.RELEASING:
        return give_baseline_back(context, release_id, cause=Cause.CANCELLED, reason=reason, actor=actor).phase is Phase.FAILED
    try:
        roll_back(context, release_id, reason=reason, actor=actor)
    except ConflictError as error:
        with context.store.read() as unit:
            still = unit.releases.get(release_id).phase is Phase.PROMOTED
        return _settle(context, train, member, MemberPhase.STUCK, str(error), actor=actor) if still else True
    return False
