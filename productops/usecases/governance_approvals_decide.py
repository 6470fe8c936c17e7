"""What a decision means for the thing that waited: within its transaction what the store can do, after it what a flow has to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import structlog

from productops.domain.catalog_approvals import Action
from productops.domain.governance_approvals import ApprovalRequest, ApprovalState
from productops.domain.release import Cause, Phase
from productops.domain.release_flags.changes import ChangeState
from productops.domain.release_train import TrainPhase
from productops.errors import ApprovalNeededError, ConflictError
from productops.store import Unit
from productops.usecases.context import Actor, Context
from productops.usecases.governance_approvals_ask import decided
from productops.usecases.governance_approvals_policies import apply_proposal
from productops.usecases.release_flags_change import apply_approved, reject_waiting
from productops.usecases.release_request import start_release
from productops.usecases.release_train import start_train

log = structlog.get_logger(__name__)


def decide(unit: Unit, request: ApprovalRequest, state: ApprovalState, *, outcome: str, actor: Actor, now: datetime) -> ApprovalRequest:
    """Write the decision and its consequence, both or neither. Raises: ConflictError, and what the consequence raises."""
    after = decided(unit, request, state, outcome=outcome, actor=actor, now=now)
    found = _GRANTED.get(request.action) if after.granted else _DENIED.get(request.action)
    if found is not None:
        found(unit, after, actor, now)
    return after


def start_granted(context: Context, request: ApprovalRequest) -> None:
    """After the decision is committed: start what waited. What a crash here leaves un-started the listener and the reconciler start."""
    if not request.granted:
        return
    thing = request.subject.partition("/")[2]
    if request.action is Action.RELEASE:
        with context.store.read() as unit:
            release = unit.releases.get(thing)
        if release.phase is Phase.REQUESTED and release.flow_run_id is None and context.orchestrator is not None:
            start_release(context, release)
    elif request.action is Action.TRAIN and context.orchestrator is not None:
        with context.store.read() as unit:
            train = unit.trains.get(thing)
        if not train.ended:
            start_train(context, train)


def _release_granted(unit: Unit, request: ApprovalRequest, _actor: Actor, now: datetime) -> None:
    release_id = request.subject.partition("/")[2]
    payload = {"approval": request.id, "state": request.state.value, "by": request.decided_by, "reason": request.outcome}
    unit.releases.tell(release_id, "approved" if request.state is ApprovalState.APPROVED else "approval_overridden", payload, now=now)


def _release_denied(unit: Unit, request: ApprovalRequest, actor: Actor, now: datetime) -> None:
    """Users never saw it; the version is not blamed."""
    release = unit.releases.get(request.subject.partition("/")[2])
    if release.phase is not Phase.REQUESTED:
        return
    reason = (
        f"approval {request.state.value}{' by ' + request.decided_by if request.state is ApprovalState.REFUSED else ''}: {request.outcome}"
    )
    moved = unit.releases.move(release.id, Phase.FAILED, actor=actor.name, reason=reason, now=now, cause=Cause.APPROVAL)
    unit.deployments.record(moved, unit.catalog.venture_id(moved.venture))
    unit.audit.add(
        "release.failed", f"release/{release.id}", actor=actor.name, origin=actor.origin, now=now, reason=reason,
        before=release.phase.value, after=moved.phase.value,
    )  # fmt: skip


def _train_denied(unit: Unit, request: ApprovalRequest, actor: Actor, now: datetime) -> None:
    """Its members are skipped at the next look; none of them has begun."""
    train_id = request.subject.partition("/")[2]
    reason = f"approval {request.state.value}: {request.outcome}"
    if unit.trains.get(train_id).phase is TrainPhase.RUNNING:
        unit.trains.turn(train_id, TrainPhase.RUNNING, TrainPhase.ROLLING_BACK, reason=reason, now=now)
        unit.audit.add(
            "train.rolling_back", f"train/{train_id}", actor=actor.name, origin=actor.origin, now=now, reason=reason,
            before=TrainPhase.RUNNING.value, after=TrainPhase.ROLLING_BACK.value,
        )  # fmt: skip


def _flag_granted(unit: Unit, request: ApprovalRequest, actor: Actor, now: datetime) -> None:
    apply_approved(unit, request.content["flag"], request.subject.partition("/")[2], approvers=request.decided_by, actor=actor, now=now)


def _flag_denied(unit: Unit, request: ApprovalRequest, actor: Actor, now: datetime) -> None:
    change = unit.flag_changes.get(request.content["flag"], request.subject.partition("/")[2])
    if change.state is ChangeState.PROPOSED:
        reject_waiting(unit, change, reason=f"approval {request.state.value}: {request.outcome}", actor=actor, now=now)


def _bypass_granted(unit: Unit, request: ApprovalRequest, actor: Actor, now: datetime) -> None:
    bypass_id = request.subject.partition("/")[2]
    if not unit.bypasses.approve(bypass_id, by=request.decided_by, note=request.outcome, now=now):
        raise ConflictError(f"bypass {bypass_id} was approved, used or expired meanwhile")
    bypass = unit.bypasses.get(bypass_id)
    detail = {"asked_by": bypass.asked_by, "reason": bypass.reason, "service": bypass.service, "environment": bypass.environment.value}
    unit.audit.add(
        "windows.bypass_approved", request.subject, actor=actor.name, origin=actor.origin, now=now, reason=request.outcome,
        detail=detail | {"approved_by": request.decided_by},
    )  # fmt: skip


def _policy_granted(unit: Unit, request: ApprovalRequest, actor: Actor, now: datetime) -> None:
    apply_proposal(unit, request, actor=actor, now=now)


def _override_granted(unit: Unit, request: ApprovalRequest, actor: Actor, now: datetime) -> None:
    """An override that itself needed signatures: it is done now, for the one who asked for it."""
    from productops.usecases.governance_approvals_override import overridden  # which decides by this module

    original = unit.approvals.get(request.content["approval"], lock=True)
    if not original.waiting:
        raise ApprovalNeededError(f"approval {original.id} is {original.state} already: there is nothing to override")
    overridden(unit, original, by=request.requested_by, reason=request.reason, actor=actor, now=now)


_Consequence = Callable[[Unit, ApprovalRequest, Actor, datetime], None]
_GRANTED: dict[Action, _Consequence] = {
    Action.RELEASE: _release_granted,
    Action.FLAG: _flag_granted,
    Action.BYPASS: _bypass_granted,
    Action.POLICY: _policy_granted,
    Action.OVERRIDE: _override_granted,
}
_DENIED: dict[Action, _Consequence] = {Action.RELEASE: _release_denied, Action.TRAIN: _train_denied, Action.FLAG: _flag_denied}
