"""Policies as the catalog declares them; changing them, or who may do what, needs what the policy for `policy` says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from productops.domain.catalog_access import AccessEntry
from productops.domain.catalog_approvals import Action, ApprovalPolicyEntry
from productops.domain.governance_access import MACHINE, Operation, Principal, Scope
from productops.domain.governance_approvals import ApprovalRequest, hash_of, still_missing
from productops.domain.governance_approvals_policy import ApprovalPolicy, Facts, impossible, needs_of, tightened
from productops.domain.release import Environment
from productops.errors import ImpossiblePolicyError
from productops.store import Unit
from productops.store.governance_approvals import POLICY
from productops.store.quality_policies import POLICY as QUALITY
from productops.usecases.context import Actor
from productops.usecases.governance_access_catalog import DeclaredAccess, put_access
from productops.usecases.governance_approvals_ask import ask, plain, renewed
from productops.usecases.quality_policies_store import apply_proposed

ACCESS = "Access"


@dataclass(frozen=True, slots=True)
class DeclaredPolicy:
    """A policy and the folder it was read from."""

    entry: ApprovalPolicyEntry
    base: str


@dataclass(frozen=True, slots=True)
class PolicyOutcome:
    """What became of an entry; ``waits_for``: by whom it has to be signed, when it is proposed only."""

    kind: str
    name: str
    outcome: str
    waits_for: str = ""


class Signers(Protocol):
    """Who there is to sign."""

    def __call__(self, unit: Unit, now: datetime) -> Sequence[Principal]:
        """Everybody with what they hold now."""


def known_people(unit: Unit, now: datetime) -> Sequence[Principal]:
    """People of the store who are not disabled."""
    return [p.principal(now) for p in unit.principals.all() if not p.disabled and p.kind == "person"]


def put_policies(
    unit: Unit, declared: Sequence[DeclaredPolicy], *, ventures: set[str], bases: set[str], actor: Actor, now: datetime,
    signers: Signers = known_people,
) -> list[PolicyOutcome]:  # fmt: skip
    """Store what is declared and remove what no longer is, or propose it where a policy for `policy` says who has to sign.

    Open requests need what is stricter now. Raises: ImpossiblePolicyError.
    """
    present = {policy.name: policy for policy in unit.approval_policies.all()}
    names = {each.entry.metadata.name for each in declared}
    outcomes = [_put(unit, each, present.get(each.entry.metadata.name), actor=actor, now=now, signers=signers) for each in declared]
    for policy in present.values():
        ours = bool(policy.ventures & ventures) if policy.ventures else policy.base in bases
        if ours and policy.name not in names:
            outcomes.append(_remove(unit, policy, actor=actor, now=now))
    tighten_open(unit, actor=actor, now=now)
    return outcomes


def _put(
    unit: Unit, each: DeclaredPolicy, present: ApprovalPolicy | None, *, actor: Actor, now: datetime, signers: Signers
) -> PolicyOutcome:
    entry = each.entry
    name, after = entry.metadata.name, _document(entry)
    before = None if present is None else {"venture": present.venture, "spec": present.spec.model_dump(mode="json")}
    if before == after:
        unit.approval_policies.put(entry, base=each.base, author=actor.name, now=now)
        return PolicyOutcome(POLICY, name, "unchanged")
    _check_possible(unit, entry, signers, now=now)
    if present is not None:
        waiting = propose(
            unit, kind=POLICY, name=name, before=before, after=after, base=each.base, venture=present.venture, actor=actor, now=now
        )
        if waiting is not None:
            return PolicyOutcome(POLICY, name, "proposed", still_missing(waiting, now=now))
    outcome = _stored(unit, entry, base=each.base, before=before, actor=actor, now=now)
    return PolicyOutcome(POLICY, name, outcome)


def _document(entry: ApprovalPolicyEntry) -> dict[str, Any]:
    return {"venture": entry.metadata.venture, "spec": entry.spec.model_dump(mode="json")}


def _stored(unit: Unit, entry: ApprovalPolicyEntry, *, base: str, before: Mapping[str, Any] | None, actor: Actor, now: datetime) -> str:
    outcome = unit.approval_policies.put(entry, base=base, author=actor.name, now=now)
    unit.audit.add(
        f"catalog.{outcome}", f"{POLICY}/{entry.metadata.name}", actor=actor.name, origin=actor.origin, now=now,
        before=before, after=_document(entry),
    )  # fmt: skip
    return outcome


def _remove(unit: Unit, policy: ApprovalPolicy, *, actor: Actor, now: datetime) -> PolicyOutcome:
    before = {"venture": policy.venture, "spec": policy.spec.model_dump(mode="json")}
    waiting = propose(
        unit, kind=POLICY, name=policy.name, before=before, after=None, base=policy.base, venture=policy.venture, actor=actor, now=now
    )
    if waiting is not None:
        return PolicyOutcome(POLICY, policy.name, "proposed", still_missing(waiting, now=now))
    _removed(unit, policy.name, before=before, actor=actor, now=now)
    return PolicyOutcome(POLICY, policy.name, "removed")


def _removed(unit: Unit, name: str, *, before: Mapping[str, Any] | None, actor: Actor, now: datetime) -> None:
    unit.approval_policies.remove(name)
    unit.audit.add("catalog.removed", f"{POLICY}/{name}", actor=actor.name, origin=actor.origin, now=now, before=before)


def _check_possible(unit: Unit, entry: ApprovalPolicyEntry, signers: Signers, *, now: datetime) -> None:
    policy = ApprovalPolicy(entry.metadata.name, entry.metadata.venture, entry.spec, "", 0)
    problem = impossible(policy, signers(unit, now), _scopes(unit, policy))
    if problem:
        raise ImpossiblePolicyError(problem, policy=policy.name)


def _scopes(unit: Unit, policy: ApprovalPolicy) -> list[Scope]:
    """Every place where somebody may have to sign by it. Policies and access are of no environment."""
    ventures: Sequence[str | None] = sorted(policy.ventures) or unit.catalog.ventures() or [None]
    found = []
    if set(policy.spec.actions) - {Action.POLICY}:
        found += [Scope(venture, e) for venture in ventures for e in policy.spec.scope.environments or tuple(Environment)]
    if Action.POLICY in policy.spec.actions and not policy.spec.scope.environments:
        found += [Scope(venture, None) for venture in sorted(policy.ventures)] or [Scope(None, None)]
    return found


def propose(
    unit: Unit, *, kind: str, name: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None, base: str,
    venture: str | None, actor: Actor, now: datetime, reason: str = "",
) -> ApprovalRequest | None:  # fmt: skip
    """The proposal that waits for signatures; None: nobody has to sign. ``after`` None: the entry is to be removed."""
    subject = f"catalog/{kind}/{name}"
    content = {"kind": kind, "name": name, "base": base, "before": before, "after": after}
    facts = [Facts(Action.POLICY, venture)]
    needs, _ = needs_of(unit.approval_policies.all(), facts, now=now)
    if not needs:
        return None
    open_one = unit.approvals.of_subject(subject)
    if open_one is None or not open_one.waiting:
        what = "remove" if after is None else "change" if before else "add"
        return ask(
            unit, subject=subject, action=Action.POLICY, title=f"{what} {kind} {name}", venture=venture, environment=None,
            content=content, facts=facts, reason=reason, actor=actor, now=now,
        )  # fmt: skip
    if open_one.content_hash != hash_of(plain(content)):
        return renewed(unit, open_one, content, actor=actor, now=now)
    return open_one


def apply_proposal(unit: Unit, request: ApprovalRequest, *, actor: Actor, now: datetime) -> None:
    """It is signed: do it, in the name of whoever proposed it. Raises: ImpossiblePolicyError when people left meanwhile."""
    content = request.content
    author = Actor(name=request.requested_by, origin=actor.origin, principal=actor.principal)
    if content["kind"] == ACCESS:
        _apply_access(unit, content, actor=author, now=now)
        return
    if content["kind"] == QUALITY:
        apply_proposed(unit, content, actor=author, now=now)
        return
    if content["after"] is None:
        _removed(unit, content["name"], before=content["before"], actor=author, now=now)
    else:
        entry = ApprovalPolicyEntry.model_validate(
            {
                "apiVersion": "productops/v1", "kind": POLICY, "spec": content["after"]["spec"],
                "metadata": {"name": content["name"], "venture": content["after"]["venture"]},
            }
        )  # fmt: skip
        _check_possible(unit, entry, known_people, now=now)
        _stored(unit, entry, base=content["base"], before=content["before"], actor=author, now=now)
    tighten_open(unit, actor=author, now=now)


def hold_access(
    unit: Unit, declared: Sequence[DeclaredAccess], *, bases: set[str], actor: Actor, now: datetime
) -> tuple[list[DeclaredAccess], list[PolicyOutcome]]:
    """What of the declared access may be stored now, and what is proposed only: of that, what is in force stays.

    Raises: ForbiddenError for somebody who may not manage access.
    """
    present = unit.principals.entries()
    kept: list[DeclaredAccess] = []
    outcomes: list[PolicyOutcome] = []

    def waits(name: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None, base: str) -> bool:
        found = propose(unit, kind=ACCESS, name=name, before=before, after=after, base=base, venture=None, actor=actor, now=now)
        if found is not None:
            actor.check(Operation.ACCESS_MANAGE)
            outcomes.append(PolicyOutcome(ACCESS, name, "proposed", still_missing(found, now=now)))
        return found is not None

    for each in declared:
        name, spec = each.entry.metadata.name, each.entry.spec.model_dump(mode="json")
        base, before = present.get(name, (each.base, None))
        if before == spec or not waits(name, before and {"spec": before}, {"spec": spec}, each.base):
            kept.append(each)
        elif before is not None:
            kept.append(DeclaredAccess(_access(name, before), base))
    names = {each.entry.metadata.name for each in declared}
    for name, (base, before) in present.items():
        if base in bases and name not in names and waits(name, {"spec": before}, None, base):
            kept.append(DeclaredAccess(_access(name, before), base))
    return kept, outcomes


def _access(name: str, spec: Mapping[str, Any]) -> AccessEntry:
    return AccessEntry.model_validate({"apiVersion": "productops/v1", "kind": ACCESS, "metadata": {"name": name}, "spec": spec})


def _apply_access(unit: Unit, content: Mapping[str, Any], *, actor: Actor, now: datetime) -> None:
    """By what the signatures allow: whoever proposed it was asked then whether they may."""
    signed = Actor(name=actor.name, origin=actor.origin, principal=MACHINE)
    if content["after"] is not None:
        entry = _access(content["name"], content["after"]["spec"])
        put_access(unit, [DeclaredAccess(entry, content["base"])], bases=set(), actor=signed, now=now)
        return
    others = [
        DeclaredAccess(_access(name, spec), base)
        for name, (base, spec) in unit.principals.entries().items()
        if base == content["base"] and name != content["name"]
    ]
    put_access(unit, others, bases={content["base"]}, actor=signed, now=now)


def tighten_open(unit: Unit, *, actor: Actor, now: datetime) -> list[str]:
    """Requests that wait need what policies ask for now, where that is stricter than what they were made under; ids of those."""
    policies = unit.approval_policies.all()
    changed = []
    for request in unit.approvals.waiting():
        present, _ = needs_of(policies, [Facts.from_dict(each) for each in request.facts], now=request.created_at)
        after = tightened(request.needs, present)
        if after != request.needs:
            unit.approvals.tighten(request, after)
            unit.audit.add(
                "approval.tightened", request.subject, actor=actor.name, origin=actor.origin, now=now,
                reason="a policy became stricter while it waited", detail={"approval": request.id},
                before=[need.to_dict() for need in request.needs], after=[need.to_dict() for need in after],
            )  # fmt: skip
            changed.append(request.id)
    return changed
