"""Change flags: at once, as a proposal that somebody else approves, or at a time. One call, one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from productops.domain.catalog_flags import FlagSpec, FlagState, Segment
from productops.domain.governance_access import MACHINE, Operation
from productops.domain.release import Environment
from productops.domain.release_flags.changes import (
    AnyOperation,
    Archive,
    Change,
    ChangeState,
    Declare,
    Edit,
    Kill,
    Put,
    RampTo,
    RestoreTo,
    Revive,
    affected,
    changed,
    describe,
    first_state,
    keeping_kills,
    named,
)
from productops.domain.release_flags.flag import Flag, Revision
from productops.errors import ConflictError, InvalidInputError, RevisionMismatchError, SelfApprovalError
from productops.store import Unit
from productops.store.release_flags import new_change_id
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_scope import flag_for, venture_for
from productops.usecases.governance_approvals_ask import check_granted, withdraw
from productops.usecases.governance_approvals_flags import ask_for_flag, flag_subject, proposed_where_signed
from productops.usecases.governance_changes_record import record_flag

TRIES = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a wish: the flag as it stands now and, where it was not applied at once, the change that waits."""

    flag: Flag
    waiting: Change | None = None

    @property
    def applied(self) -> bool:
        """Whether the wish has taken effect."""
        return self.waiting is None


def create_flag(context: Context, key: str, *, venture: str, spec: FlagSpec, actor: Actor, reason: str = "") -> Flag:
    """A new flag; everybody gets its default variant. Raises: NotFoundError for the venture, ConflictError when it exists."""
    with context.store.write() as unit:
        venture_for(unit, venture, actor, Operation.FLAG_READ)
        actor.check(Operation.FLAG_CHANGE, venture=venture)
        return made(unit, key, venture=venture, spec=spec, declared=None, actor=actor, reason=reason, now=context.clock.now())


def change_flag(
    context: Context, key: str, operation: AnyOperation, *, actor: Actor, reason: str = "", expected_revision: int | None = None,
    at: datetime | None = None, release_id: str | None = None,
) -> Outcome:  # fmt: skip
    """Apply an operation, or write it down when it needs approval or has a time.

    Raises: NotFoundError, InvalidInputError, FlagKilledError, RevisionMismatchError when the flag is not at ``expected_revision``.
    """
    now = context.clock.now()
    _check_wish(operation, reason=reason, at=at, now=now)
    for attempt in range(TRIES):
        try:
            with context.store.write() as unit:
                flag = _changeable(unit, key, operation, actor)
                check_revision(flag, expected_revision)
                change = _change(flag, operation, actor=actor, reason=reason, at=at, release_id=release_id, now=now)
                change = proposed_where_signed(unit, flag, change, now=now)
                if change.state is ChangeState.PROPOSED or at is not None:
                    return _wait(unit, flag, change, actor=actor)
                return Outcome(_write(unit, flag, change, now=now))
        except RevisionMismatchError:
            # Two writers at one moment; who named a revision must hear of it.
            if expected_revision is not None or attempt == TRIES - 1:
                raise
    raise AssertionError  # pragma: no cover - the loop returns or raises


def put_flag(
    context: Context, key: str, *, venture: str, spec: FlagSpec, expected_revision: int | None, actor: Actor, reason: str = ""
) -> Outcome:
    """Create the flag (``expected_revision`` None), or replace its definition. Raises: as ``create_flag`` and ``change_flag``."""
    if expected_revision is None:
        return Outcome(create_flag(context, key, venture=venture, spec=spec, actor=actor, reason=reason))
    with context.store.read() as unit:
        owner = flag_for(unit, key, actor, Operation.FLAG_CHANGE).venture
    if owner != venture:
        raise InvalidInputError(f"flag {key!r} belongs to venture {owner}, not {venture}; a flag cannot change hands")
    return change_flag(context, key, Put(spec=spec), actor=actor, reason=reason, expected_revision=expected_revision)


def ramp_flag(
    context: Context, key: str, environment: Environment, *, percent: float, segments: Sequence[Segment] | None = None,
    variant: str | None = None, actor: Actor, reason: str, release_id: str | None = None,
) -> Outcome:  # fmt: skip
    """Give ``variant`` to all of ``segments`` (None: those there are) and to ``percent`` (0 to 100) of everybody else.

    ``variant`` None means the one ramped already, else ``on``, else the only one besides the default. Nobody loses the variant while
    ``percent`` rises. Raises: as ``change_flag``.
    """
    wanted = None if segments is None else tuple(segments)
    operation = RampTo(environment=environment, percent=percent, variant=variant, segments=wanted)
    return change_flag(context, key, operation, actor=actor, reason=reason, release_id=release_id)


def kill_flag(
    context: Context, key: str, *, environments: Sequence[Environment] = (), actor: Actor, reason: str, release_id: str | None = None
) -> Outcome:
    """The off variant for everybody, at once and without approval; no environments means all. Raises: as ``change_flag``."""
    return change_flag(context, key, Kill(environments=tuple(environments)), actor=actor, reason=reason, release_id=release_id)


def revive_flag(context: Context, key: str, *, environments: Sequence[Environment] = (), actor: Actor, reason: str) -> Outcome:
    """Undo a kill: rules and ramp hold again. Raises: as ``change_flag``."""
    return change_flag(context, key, Revive(environments=tuple(environments)), actor=actor, reason=reason)


def restore_flag(context: Context, key: str, revision: int | None, *, actor: Actor, reason: str) -> Outcome:
    """Everything as after an earlier revision; None means the one before the newest. Raises: as ``change_flag``."""
    if revision is None:
        with context.store.read() as unit:
            revision = flag_for(unit, key, actor, Operation.FLAG_CHANGE).revision - 1
        if revision < 1:
            raise InvalidInputError(f"flag {key!r} has one revision only; there is nothing to go back to")
    return change_flag(context, key, RestoreTo(revision=revision), actor=actor, reason=reason)


def approve_change(context: Context, key: str, change_id: str, *, actor: Actor) -> Outcome:
    """Let a proposal take effect, now or at its time.

    Raises: NotFoundError, SelfApprovalError, IllegalTransitionError when it was decided, RevisionMismatchError when the flag changed
    since: what was proposed may no longer be what it would do.
    """
    now = context.clock.now()
    with context.store.write() as unit:
        flag_for(unit, key, actor)
        change = unit.flag_changes.get(key, change_id)
        flag = _changeable(unit, key, change.operation, actor)
        check_approver(change, actor)
        check_granted(unit, flag_subject(change.id), now=now)
        return _approved(unit, flag, change, approvers=actor.name, actor=actor, now=now)


def apply_approved(unit: Unit, key: str, change_id: str, *, approvers: str, actor: Actor, now: datetime) -> Outcome:
    """Within the transaction of the last signature: let a signed proposal take effect. Raises: as ``approve_change``."""
    return _approved(unit, unit.flags.get(key), unit.flag_changes.get(key, change_id), approvers=approvers, actor=actor, now=now)


def reject_waiting(unit: Unit, change: Change, *, reason: str, actor: Actor, now: datetime) -> None:
    """Within the transaction that ends its approval: the proposal ends, too. Raises: IllegalTransitionError."""
    _decide(unit, change, ChangeState.REJECTED, actor=actor, verb="rejected", now=now, outcome=reason)


def _approved(unit: Unit, flag: Flag, change: Change, *, approvers: str, actor: Actor, now: datetime) -> Outcome:
    if flag.revision != change.base_revision and change.state is ChangeState.PROPOSED:
        raise RevisionMismatchError(
            f"flag {flag.key!r} is at revision {flag.revision}, and the change was proposed at {change.base_revision}: "
            "reject it and propose it anew"
        )
    waits = change.due_at is not None and change.due_at > now
    state = ChangeState.SCHEDULED if waits else ChangeState.APPLIED
    _decide(unit, change, state, actor=actor, verb="approved", now=now)
    if waits:
        return Outcome(flag, replace(change, state=state, decided_by=actor.name, decided_at=now))
    return Outcome(_write(unit, flag, change, now=now, approver=approvers))


def _changeable(unit: Unit, key: str, operation: AnyOperation, actor: Actor) -> Flag:
    """The flag, when the caller may do this to it: a ramp in its environment, what is of the whole flag in all of them.

    Raises: NotFoundError, ForbiddenError.
    """
    asked = Operation.FLAG_KILL if isinstance(operation, Kill) else Operation.FLAG_CHANGE
    named = [operation.environment] if isinstance(operation, RampTo) else getattr(operation, "environments", ())
    return flag_for(unit, key, actor, asked, environments=named)


def check_approver(change: Change, actor: Actor) -> None:
    """The one place that says who may approve. Raises: SelfApprovalError."""
    if actor.name == change.author:
        raise SelfApprovalError(f"{actor.name} asked for this change of {change.key!r}; somebody else has to approve it")


def reject_change(context: Context, key: str, change_id: str, *, actor: Actor, reason: str) -> Change:
    """Refuse a proposal (or withdraw one's own). Raises: NotFoundError, IllegalTransitionError."""
    return _end(context, key, change_id, ChangeState.REJECTED, actor=actor, reason=reason)


def cancel_change(context: Context, key: str, change_id: str, *, actor: Actor, reason: str) -> Change:
    """Call off what waits. Raises: NotFoundError, IllegalTransitionError."""
    return _end(context, key, change_id, ChangeState.CANCELLED, actor=actor, reason=reason)


def apply_due_changes(context: Context) -> list[str]:
    """Apply every scheduled change whose time has come; returns their ids. What cannot be applied any more fails, with the reason."""
    now = context.clock.now()
    with context.store.read() as unit:
        due = unit.flag_changes.due(now)
    return [change.id for change in due if _apply_due(context, change, now)]


def _apply_due(context: Context, change: Change, now: datetime) -> bool:
    scheduler = Actor(name=change.author, origin="schedule", principal=MACHINE)
    try:
        with context.store.write() as unit:
            flag = unit.flags.get(change.key)
            base = unit.flags.state_at(change.key, change.base_revision)
            _decide(unit, change, ChangeState.APPLIED, actor=scheduler, verb="applied", now=now)
            _write(unit, flag, change, now=now, base=base)
        return True
    except RevisionMismatchError:
        return False  # somebody changed it this very moment: the next look applies it
    except (InvalidInputError, ConflictError) as error:
        return _fail(context, change, str(error), actor=scheduler, now=now)


def _fail(context: Context, change: Change, why: str, *, actor: Actor, now: datetime) -> bool:
    """False, always: the change was not applied. Another process may have decided it first; then there is nothing to fail."""
    with context.store.write() as unit:
        if unit.flag_changes.get(change.key, change.id).state is ChangeState.SCHEDULED:
            _decide(unit, change, ChangeState.FAILED, actor=actor, verb="failed", now=now, outcome=why)
    return False


def made(
    unit: Unit, key: str, *, venture: str, spec: FlagSpec, declared: FlagSpec | None, actor: Actor, reason: str, now: datetime
) -> Flag:
    """Insert a flag within a transaction. Raises: NotFoundError, ConflictError."""
    flag = Flag(key, venture, first_state(spec, now=now), declared, 1, now, now)
    detail = {"venture": venture}
    unit.audit.add("flag.created", f"flag/{key}", actor=actor.name, origin=actor.origin, now=now, reason=reason, detail=detail)
    revision = Revision(key, 1, "create", "made", None, flag.state, actor.name, actor.origin, reason, None, now)
    unit.flags.add(flag, revision, venture_id=unit.catalog.venture_id(venture))
    unit.flags.bump(affected(None, flag.state), now=now)
    return flag


def declared(unit: Unit, flag: Flag, spec: FlagSpec, *, actor: Actor, now: datetime) -> str:
    """Take over what the catalog says within a transaction: 'unchanged', 'changed' or, where approval is required, 'proposed'."""
    if flag.declared == spec:
        return "unchanged"
    operation = Declare(spec=spec)
    change = _change(flag, operation, actor=actor, reason="applied from the catalog", at=None, release_id=None, now=now)
    change = proposed_where_signed(unit, flag, change, now=now)
    if change.state is not ChangeState.PROPOSED:
        _write(unit, flag, change, now=now)
        return "changed"
    if not any(each.operation == operation for each in unit.flag_changes.of(flag.key, states=[ChangeState.PROPOSED])):
        _wait(unit, flag, change, actor=actor)
    return "proposed"


def written(unit: Unit, flag: Flag, operation: AnyOperation, *, actor: Actor, reason: str, release_id: str | None, now: datetime) -> Flag:
    """Apply what a release or an experiment does to a flag within its own transaction, without waiting for anybody.

    Raises: as ``change_flag``.
    """
    return _write(unit, flag, _change(flag, operation, actor=actor, reason=reason, at=None, release_id=release_id, now=now), now=now)


def check_revision(flag: Flag, expected: int | None) -> None:
    """Raises: RevisionMismatchError."""
    if expected is not None and flag.revision != expected:
        raise RevisionMismatchError(
            f"flag {flag.key!r} is at revision {flag.revision}, not {expected}: read it again and decide anew", revision=flag.revision
        )


def _check_wish(operation: AnyOperation, *, reason: str, at: datetime | None, now: datetime) -> None:
    if isinstance(operation, Kill) and not reason.strip():
        raise InvalidInputError("say why the flag is killed: whoever finds it off needs to know")
    if at is None:
        return
    if at.tzinfo is None:
        raise InvalidInputError(f"the time {at.isoformat()} has no zone; write it like 2026-01-31T09:00:00Z")
    if at <= now:
        raise InvalidInputError(f"the time {at.isoformat()} is over; leave it out to change the flag at once")


def _needs_approval(flag: Flag, operation: AnyOperation) -> bool:
    return flag.spec.approval_required and not isinstance(operation, Kill)


def _change(
    flag: Flag, operation: AnyOperation, *, actor: Actor, reason: str, at: datetime | None, release_id: str | None, now: datetime
) -> Change:
    state = ChangeState.PROPOSED if _needs_approval(flag, operation) else ChangeState.SCHEDULED
    return Change(
        new_change_id(), flag.key, operation, state, flag.revision, at, actor.name, actor.origin, reason, release_id, now, "", None, ""
    )


def _wait(unit: Unit, flag: Flag, change: Change, *, actor: Actor) -> Outcome:
    """Write a change down, once it is known that it could be applied as things stand; it means the variant that it means now."""
    after = _after(unit, flag, change, now=change.created_at)
    change = replace(change, operation=named(change.operation, after))
    detail = {"change": change.id, "what": change.summary} | ({"due_at": change.due_at.isoformat()} if change.due_at else {})
    unit.audit.add(
        f"flag.{change.state}", f"flag/{flag.key}", actor=change.author, origin=change.origin, now=change.created_at,
        reason=change.reason, detail=detail,
    )  # fmt: skip
    unit.flag_changes.add(change)
    if change.state is ChangeState.PROPOSED:
        ask_for_flag(unit, flag, change, actor=actor, now=change.created_at)
    return Outcome(flag, change)


def _after(unit: Unit, flag: Flag, change: Change, *, now: datetime) -> FlagState:
    operation = change.operation
    earlier = unit.flags.state_at(flag.key, operation.revision) if isinstance(operation, RestoreTo) else None
    return changed(flag.state, operation, now=now, earlier=earlier, declared=flag.declared)


def _write(unit: Unit, flag: Flag, change: Change, *, now: datetime, base: FlagState | None = None, approver: str = "") -> Flag:
    """The flag after the change, stored with its revision. The audit comes first: all writers take its lock in that order."""
    operation = change.operation
    after = _after(unit, flag, change, now=now)
    if base is not None:
        after = keeping_kills(base, flag.state, after)
    spec = operation.spec if isinstance(operation, Declare) else flag.declared
    environments = affected(flag.state, after)
    if not environments and spec == flag.declared:
        return flag
    new = replace(flag, state=after, declared=spec, revision=flag.revision + 1, updated_at=now)
    detail = {"revision": new.revision, "what": change.summary} | ({"release_id": change.release_id} if change.release_id else {})
    detail |= {"approved_by": approver} if approver else {}
    unit.audit.add(
        f"flag.{operation.op}", f"flag/{flag.key}", actor=change.author, origin=change.origin, now=now, reason=change.reason, detail=detail
    )
    summary = describe(named(operation, after))
    revision = Revision(
        flag.key,
        new.revision,
        operation.op,
        summary,
        flag.state,
        after,
        change.author,
        change.origin,
        change.reason,
        change.release_id,
        now,
    )
    unit.flags.change(flag, new, revision)
    if change.release_id is None:
        author = Actor(name=change.author, origin=change.origin, principal=MACHINE)
        record_flag(
            unit, key=flag.key, venture=flag.venture, revision=new.revision, summary=summary, change_id=change.id,
            environments=environments, actor=author, reason=change.reason, now=now,
        )  # fmt: skip
    unit.flags.bump(environments, now=now)
    return new


def _decide(unit: Unit, change: Change, state: ChangeState, *, actor: Actor, verb: str, now: datetime, outcome: str = "") -> None:
    unit.audit.add(
        f"flag.change_{verb}", f"flag/{change.key}", actor=actor.name, origin=actor.origin, now=now, reason=outcome,
        detail={"change": change.id, "what": change.summary},
    )  # fmt: skip
    unit.flag_changes.move(change, state, by=actor.name, outcome=outcome, now=now)


def _end(context: Context, key: str, change_id: str, state: ChangeState, *, actor: Actor, reason: str) -> Change:
    now = context.clock.now()
    with context.store.write() as unit:
        flag_for(unit, key, actor)
        change = unit.flag_changes.get(key, change_id)
        _changeable(unit, key, change.operation, actor)
        _decide(unit, change, state, actor=actor, verb=state.value, now=now, outcome=reason)
        withdraw(unit, flag_subject(change.id), reason=reason, actor=actor, now=now)
    return replace(change, state=state, decided_by=actor.name, decided_at=now, outcome=reason)


__all__ = [
    "Archive", "Edit", "Outcome", "apply_due_changes", "approve_change", "cancel_change", "change_flag", "check_approver", "create_flag",
    "declared", "kill_flag", "made", "put_flag", "ramp_flag", "reject_change", "restore_flag", "revive_flag",
    "written",
]  # fmt: skip
