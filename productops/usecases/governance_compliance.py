"""Check the controls, keep what was found, waive it for a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from productops.domain.catalog_compliance import AuditAnchored, TokensInUse
from productops.domain.governance_access import MACHINE, Operation, Scope, decide, visible_ventures
from productops.domain.governance_compliance import (
    REASON_CHARACTERS_MIN,
    WAIVER_MAX,
    ComplianceCheck,
    Control,
    ControlResult,
    Deviation,
    Finding,
    Looked,
    Outcome,
    Waiver,
    difference,
    fingerprint,
)
from productops.domain.governance_compliance_words import FindingState
from productops.domain.release import Environment
from productops.errors import AuditBrokenError, ConflictError, InvalidInputError, NotFoundError
from productops.ports import AnchorBook, AnchorSigner
from productops.store import Unit
from productops.store.governance_compliance import FindingFilter
from productops.store.identity import new_id
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_tokens import revoke_token
from productops.usecases.governance_audit import write_anchor
from productops.usecases.governance_compliance_looks import Scene, look

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Remedies:
    """What a check may need to put things right: the installation's key, and the place where anchors of the audit log are kept."""

    signer: AnchorSigner
    book: AnchorBook


@dataclass(frozen=True, slots=True)
class ControlView:
    """A control with how it stands: the outcome of the newest check that looked at it, and its findings now."""

    control: Control
    outcome: Outcome | None
    note: str
    checked_at: datetime | None
    open: int
    waived: int


def check_controls(context: Context, *, actor: Actor, remedies: Remedies | None = None, only: str | None = None) -> ComplianceCheck:
    """Look at all controls, or at one; each in a transaction of its own. What came back from a waiver that expired is told, too.

    Raises: ForbiddenError, NotFoundError for a control that is not declared, ConflictError beside another check.
    """
    began, now = context.clock.monotonic(), context.clock.now()
    with context.store.read() as unit:
        controls, gone = _mine(unit, only, actor)
    _tell_lapsed(context, actor=actor)
    results = [_check(context, control, remedies, actor=actor) for control in controls]
    results += [_retire(context, name, actor=actor) for name in sorted(gone)]
    check = ComplianceCheck(str(new_id()), now, actor.name, actor.origin, round(context.clock.monotonic() - began, 3), tuple(results))
    with context.store.write() as unit:
        unit.findings.add_check(check)
        totals = {what: check.total(what) for what in ("opened", "still", "resolved", "waived")}
        unit.audit.add(
            "compliance.checked", f"compliance/{check.id}", actor=actor.name, origin=actor.origin, now=now,
            detail=totals | {"violated": check.controls(Outcome.VIOLATED), "unchecked": check.controls(Outcome.UNCHECKED)},
        )  # fmt: skip
    log.info("controls checked", **totals)
    return check


def _mine(unit: Unit, only: str | None, actor: Actor) -> tuple[list[Control], set[str]]:
    """Controls to look at, those that the caller may have checked; and names of controls that are gone but have findings.

    Raises: ForbiddenError when the caller may have none checked, NotFoundError.
    """
    declared = unit.controls.all()
    allowed = [c for c in declared if decide(actor.principal, Operation.COMPLIANCE_CHECK, Scope(c.venture)).allowed]
    everywhere = decide(actor.principal, Operation.COMPLIANCE_CHECK, Scope()).allowed
    if not allowed and not everywhere:
        actor.check(Operation.COMPLIANCE_CHECK)
    controls = [control for control in allowed if only in {None, control.name}]
    if only is not None and not controls:
        raise NotFoundError(f"there is no control {only[:80]!r}; list them with: productops compliance controls")
    gone = unit.findings.unresolved_controls() - {c.name for c in declared} if everywhere and only is None else set()
    return controls, gone


def _check(context: Context, control: Control, remedies: Remedies | None, *, actor: Actor) -> ControlResult:
    looked = _look(context, control, remedies)
    remedied: tuple[str, ...] = ()
    if control.spec.remediate and looked.deviations:
        remedied = _remedy(context, control, looked, remedies)
        looked = _look(context, control, remedies) if remedied else looked
    with context.store.write() as unit:
        return _keep(unit, control, looked, remedied, actor=actor, now=context.clock.now())


def _look(context: Context, control: Control, remedies: Remedies | None) -> Looked:
    with context.store.read() as unit:
        return look(Scene(context, unit, context.clock.now(), remedies.book if remedies else None), control)


def _keep(unit: Unit, control: Control, looked: Looked, remedied: tuple[str, ...], *, actor: Actor, now: datetime) -> ControlResult:
    """Open what is new, renew what is still there, resolve what is gone. What was not looked at stays as it is."""
    before = unit.findings.unresolved(control.name)
    found = {fingerprint(control.name, each): each for each in looked.deviations}
    change = difference(before, before if looked.unchecked else found)
    for mark in change.opened:
        finding_id = unit.findings.open(control, found[mark], mark, now=now)
        _say(unit, "compliance.opened", finding_id, control.name, found[mark].sentence, actor=actor, now=now, after="open")
    for mark in change.still:
        if mark in found:
            unit.findings.see(control, found[mark], mark, now=now)
    for mark in change.resolved:
        unit.findings.resolve(mark, now=now)
        _say(unit, "compliance.resolved", before[mark].id, control.name, before[mark].sentence, actor=actor, now=now, after="resolved")
    waived = sum(before[mark].state(now) is FindingState.WAIVED for mark in change.still)
    return ControlResult(
        control.name, looked.outcome, looked.unchecked, looked.looked_at, len(change.opened), len(change.still), len(change.resolved),
        waived, remedied,
    )  # fmt: skip


def _retire(context: Context, name: str, *, actor: Actor) -> ControlResult:
    """Resolve the findings of a control that is no longer declared."""
    with context.store.write() as unit:
        now, before = context.clock.now(), unit.findings.unresolved(name)
        for mark, finding in before.items():
            unit.findings.resolve(mark, now=now)
            _say(unit, "compliance.resolved", finding.id, name, "the control is no longer declared", actor=actor, now=now, after="resolved")
    return ControlResult(name, Outcome.KEPT, "no longer declared", 0, 0, 0, len(before), 0)


def _say(unit: Unit, action: str, finding_id: str, control: str, reason: str, *, actor: Actor, now: datetime, after: str) -> None:
    states = {"open": None, "resolved": "open"}
    unit.audit.add(
        action, f"finding/{finding_id}", actor=actor.name, origin=actor.origin, now=now, reason=reason, detail={"control": control},
        before=states[after], after=after,
    )  # fmt: skip


def _remedy(context: Context, control: Control, looked: Looked, remedies: Remedies | None) -> tuple[str, ...]:
    """Put right what can be put right without harm; returns what was done. The product acts, by the order of the control."""
    actor = Actor(f"control {control.name}", "compliance", MACHINE)
    check = control.spec.check
    if isinstance(check, TokensInUse):
        return tuple(filter(None, (_revoke(context, each, actor) for each in looked.deviations if each.aspect == "unused")))
    old = isinstance(check, AuditAnchored) and all(each.aspect in {"never", "old"} for each in looked.deviations)
    return _anchor(context, remedies, actor) if old and remedies is not None else ()


def _anchor(context: Context, remedies: Remedies, actor: Actor) -> tuple[str, ...]:
    try:
        anchored = write_anchor(context, remedies.signer, remedies.book, actor=actor)
    except AuditBrokenError as error:
        log.error("the audit log does not fit; no anchor is written", reason=str(error))  # an incident is open by now
        return ()
    return (f"an anchor of entry {anchored.anchor.seq} was written to {anchored.place}",) if anchored.place else ()


def _revoke(context: Context, deviation: Deviation, actor: Actor) -> str:
    token = deviation.subject.partition("/")[2]
    try:
        revoke_token(context, token, reason=deviation.sentence, actor=actor)
    except ConflictError:
        return ""  # somebody was quicker
    return f"token {token} was revoked"


def _tell_lapsed(context: Context, *, actor: Actor) -> None:
    """A waiver that expired has opened its finding again: that is said once."""
    with context.store.write() as unit:
        now = context.clock.now()
        for finding in unit.findings.lapsed(now=now):
            waiver = finding.waiver
            if waiver is None or not unit.findings.end_waiver(waiver.id, now=now):
                continue
            unit.audit.add(
                "compliance.waiver_expired", f"finding/{finding.id}", actor=actor.name, origin=actor.origin, now=now,
                reason=f"the waiver of {waiver.owner} has expired: {waiver.reason}"[:2000], before="waived", after="open",
                detail={"waiver_id": waiver.id, "control": finding.control},
            )  # fmt: skip


def list_controls(context: Context, *, actor: Actor) -> list[ControlView]:
    """The controls the caller may see, with how they stand. Raises: ForbiddenError for who may see none."""
    ventures = visible_ventures(actor.principal, Operation.COMPLIANCE_READ)
    if not ventures and ventures is not None:
        actor.check(Operation.COMPLIANCE_READ)
    now = context.clock.now()
    with context.store.read() as unit:
        controls = [c for c in unit.controls.all() if ventures is None or c.venture is None or c.venture in ventures]
        counts, checks = unit.findings.counts(now=now, ventures=ventures), unit.findings.checks(limit=50)
    return [_view(control, counts.get(control.name, {}), checks) for control in controls]


def _view(control: Control, counts: Mapping[str, int], checks: list[ComplianceCheck]) -> ControlView:
    newest = next(((check, result) for check in checks for result in check.results if result.control == control.name), None)
    return ControlView(
        control, newest[1].outcome if newest else None, newest[1].note if newest else "", newest[0].at if newest else None,
        counts.get("open", 0), counts.get("waived", 0),
    )  # fmt: skip


def list_checks(context: Context, *, actor: Actor, limit: int = 20) -> list[ComplianceCheck]:
    """Newest first, with the controls that the caller may see. Raises: ForbiddenError for who may see none."""
    names = {view.control.name for view in list_controls(context, actor=actor)}
    everything = visible_ventures(actor.principal, Operation.COMPLIANCE_READ) is None
    with context.store.read() as unit:
        found = unit.findings.checks(limit=limit)
    return [c if everything else replace(c, results=tuple(r for r in c.results if r.control in names)) for c in found]


def list_findings(context: Context, wanted: FindingFilter, *, actor: Actor, before: str | None = None, limit: int = 50) -> list[Finding]:
    """Newest first, those of ventures that the caller may see. Raises: NotFoundError for a ``before`` that is no id."""
    ventures = visible_ventures(actor.principal, Operation.COMPLIANCE_READ)
    with context.store.read() as unit:
        return unit.findings.newest(replace(wanted, ventures=ventures), now=context.clock.now(), before=before, limit=limit)


def read_finding(context: Context, finding_id: str, *, actor: Actor) -> tuple[Finding, list[Waiver]]:
    """A finding and every waiver it ever had. Raises: NotFoundError, also for what the caller may not see."""
    with context.store.read() as unit:
        return _seen(unit, finding_id, actor), unit.findings.waivers(finding_id)


def _seen(unit: Unit, finding_id: str, actor: Actor) -> Finding:
    found, ventures = unit.findings.get(finding_id), visible_ventures(actor.principal, Operation.COMPLIANCE_READ)
    if ventures is not None and found.venture not in ventures:
        raise NotFoundError(f"there is no finding {finding_id[:80]!r}; list them with: productops compliance findings")
    return found


def waive_finding(context: Context, finding_id: str, *, owner: str, reason: str, expires_at: datetime, actor: Actor) -> Finding:
    """Bear a finding until a time; from then on it is open again. A waiver takes the place of an earlier one.

    Raises: NotFoundError, ForbiddenError, InvalidInputError, ConflictError for a finding that is resolved.
    """
    with context.store.write() as unit:
        finding, now = _seen(unit, finding_id, actor), context.clock.now()
        _may_waive(finding, actor)
        _check_waiver(owner, reason, expires_at, now=now)
        waiver = Waiver(str(new_id()), finding.fingerprint, owner.strip(), reason.strip(), actor.name, now, expires_at)
        unit.findings.waive(finding, waiver)
        unit.audit.add(
            "compliance.waived", f"finding/{finding.id}", actor=actor.name, origin=actor.origin, now=now, reason=waiver.reason,
            detail={"control": finding.control, "owner": waiver.owner, "expires_at": expires_at.isoformat(), "waiver_id": waiver.id},
            before=finding.state(now).value, after=FindingState.WAIVED.value,
        )  # fmt: skip
        return unit.findings.get(finding_id)


def end_waiver(context: Context, finding_id: str, *, reason: str, actor: Actor) -> Finding:
    """Take a waiver back: the finding is open at once. Raises: NotFoundError, ForbiddenError, ConflictError when there is none."""
    with context.store.write() as unit:
        finding, now = _seen(unit, finding_id, actor), context.clock.now()
        _may_waive(finding, actor)
        if finding.waiver is None or not unit.findings.end_waiver(finding.waiver.id, now=now):
            raise ConflictError(f"finding {finding_id} is not waived")
        unit.audit.add(
            "compliance.waiver_ended", f"finding/{finding.id}", actor=actor.name, origin=actor.origin, now=now, reason=reason,
            detail={"control": finding.control, "waiver_id": finding.waiver.id}, before=finding.state(now).value, after="open",
        )  # fmt: skip
        return unit.findings.get(finding_id)


def _may_waive(finding: Finding, actor: Actor) -> None:
    environment = Environment(finding.environment) if finding.environment else None
    actor.check(Operation.COMPLIANCE_WAIVE, venture=finding.venture, environment=environment)


def _check_waiver(owner: str, reason: str, expires_at: datetime, *, now: datetime) -> None:
    if not owner.strip() or len(owner) > 255:
        raise InvalidInputError("a waiver needs an owner: who bears the risk, in at most 255 characters")
    if len(reason.strip()) < REASON_CHARACTERS_MIN:
        raise InvalidInputError(f"a waiver needs a reason of at least {REASON_CHARACTERS_MIN} characters: why is this to be borne?")
    if not now < expires_at <= now + WAIVER_MAX:
        raise InvalidInputError(f"a waiver ends after now and within {WAIVER_MAX.days} days, not at {expires_at:%Y-%m-%d %H:%M}")
