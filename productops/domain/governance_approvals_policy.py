"""Which policies touch a request, what they need together, and whether there are enough people to give it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from productops.domain.catalog_approvals import Action, ApprovalPolicySpec, Attribute, Hours, RiskLevel, Signatures
from productops.domain.governance_access import ALLOWED, Operation, Principal, Scope
from productops.domain.governance_approvals import Need, Slot, count_roles, matching, slots_of
from productops.domain.governance_approvals_hours import within
from productops.domain.release import Environment
from productops.domain.strategies.names import Strategy


@dataclass(frozen=True, slots=True)
class ApprovalPolicy:
    """A policy as stored. ``venture`` None: those of its scope, or all."""

    name: str
    venture: str | None
    spec: ApprovalPolicySpec
    base: str
    version: int

    @property
    def ventures(self) -> frozenset[str]:
        """The ventures it is for; empty: all."""
        return frozenset({self.venture} if self.venture else self.spec.scope.ventures)


@dataclass(frozen=True, slots=True)
class Facts:
    """What policies are asked about: one thing that somebody wants to do."""

    action: Action
    venture: str | None = None
    environment: Environment | None = None
    service: str | None = None
    flag: str | None = None
    strategy: Strategy | None = None
    risk: RiskLevel | None = None
    attributes: frozenset[Attribute] = frozenset()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for the store."""
        return {
            "action": self.action.value, "venture": self.venture, "environment": self.environment and self.environment.value,
            "service": self.service, "flag": self.flag, "strategy": self.strategy and self.strategy.value,
            "risk": self.risk and self.risk.value, "attributes": sorted(a.value for a in self.attributes),
        }  # fmt: skip

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Facts:
        """What ``to_dict`` wrote."""
        return cls(
            action=Action(values["action"]), venture=values["venture"],
            environment=Environment(values["environment"]) if values["environment"] else None,
            service=values["service"], flag=values["flag"], strategy=Strategy(values["strategy"]) if values["strategy"] else None,
            risk=RiskLevel(values["risk"]) if values["risk"] else None,
            attributes=frozenset(Attribute(a) for a in values["attributes"]),
        )  # fmt: skip


def touches(policy: ApprovalPolicy, facts: Facts) -> bool:
    """Whether a policy is about this. A fact that is unknown fits only where the policy says nothing about it."""
    scope = policy.spec.scope
    named = (
        (policy.ventures, facts.venture),
        (scope.environments, facts.environment),
        (scope.services, facts.service),
        (scope.flags, facts.flag),
        (scope.strategies, facts.strategy),
        (scope.risk, facts.risk),
    )
    return (
        facts.action in policy.spec.actions
        and all(not wanted or given in wanted for wanted, given in named)
        and (not scope.attributes or bool(facts.attributes & set(scope.attributes)))
    )


def needs_of(policies: Iterable[ApprovalPolicy], facts: Iterable[Facts], *, now: datetime) -> tuple[tuple[Need, ...], int | None]:
    """What all policies that touch any of ``facts`` need together, and the shortest life of a request in seconds; None: none touches."""
    listed = list(facts)
    touching = [p for p in policies if any(touches(p, each) for each in listed)]
    needs = tuple(need for policy in touching for need in policy_needs(policy, now=now))
    return needs, min((p.spec.request_valid_s for p in touching), default=None)


def policy_needs(policy: ApprovalPolicy, *, now: datetime) -> list[Need]:
    """What one policy needs of a request that is made at ``now``."""
    spec = policy.spec
    counted_in = spec.hours if spec.hours and spec.hours.outside == "wait" else None
    plain = Hours.model_validate(counted_in.model_dump(include=set(Hours.model_fields))) if counted_in else None
    wanted: list[Signatures] = list(spec.signatures)
    if spec.hours and spec.hours.outside == "more" and not within(spec.hours, now):
        wanted = _added(wanted, spec.hours.more)
    return [Need(policy.name, policy.version, each.role, each.count, spec.signature_valid_s, plain) for each in wanted]


def _added(wanted: Sequence[Signatures], more: Sequence[Signatures]) -> list[Signatures]:
    """On top: of a role that is in both, the sum."""
    counts = {each.role: each.count for each in wanted}
    for each in more:
        counts[each.role] = counts.get(each.role, 0) + each.count
    return [Signatures.model_construct(role=role, count=count) for role, count in counts.items()]


def tightened(frozen: Sequence[Need], present: Sequence[Need]) -> tuple[Need, ...]:
    """What an open request needs once policies changed: what it was made under, and what is stricter now. Never less."""
    before = slots_of(frozen)
    added = [need for need in present if need not in frozen and slots_of([*frozen, need]) != before]
    return (*frozen, *added)


# Who may ask for what; they cannot sign then.
_ASKS = {
    Action.RELEASE: Operation.RELEASE_REQUEST,
    Action.TRAIN: Operation.RELEASE_REQUEST,
    Action.FLAG: Operation.FLAG_CHANGE,
    Action.BYPASS: Operation.WINDOW_BYPASS,
    Action.PLAYBOOK: Operation.INCIDENT_RESOLVE,
    Action.OVERRIDE: Operation.APPROVAL_OVERRIDE,
    Action.POLICY: Operation.CATALOG_APPLY,
}


def impossible(policy: ApprovalPolicy, people: Sequence[Principal], scopes: Sequence[Scope]) -> str | None:
    """Why nobody could ever give what a policy needs, with the arithmetic; None when it can be given for every one who may ask."""
    wanted = list(policy.spec.signatures)
    if policy.spec.hours and policy.spec.hours.more:
        wanted = _added(wanted, policy.spec.hours.more)
    slots = slots_of([Need(policy.name, policy.version, each.role, each.count, 1) for each in wanted])
    for scope in scopes:
        problem = _impossible_in(policy, slots, people, scope)
        if problem:
            return problem
    return None


def _impossible_in(policy: ApprovalPolicy, slots: Sequence[Slot], people: Sequence[Principal], scope: Scope) -> str | None:
    roles = {slot.role for slot in slots}
    holders = [p for p in people if p.kind == "person" and p.roles(scope) & roles]
    operations = {_ASKS[action] for action in policy.spec.actions}
    asking = [p for p in holders if any(operations & ALLOWED[role] for role in p.roles(scope))]
    for asker in (None, *asking):
        able = [p for p in holders if asker is None or p.name != asker.name]
        found = len(matching([[j for j, p in enumerate(able) if slot.role in p.roles(scope)] for slot in slots]))
        if found < len(slots):
            return _arithmetic(policy, slots, holders, scope, asker=asker, found=found)
    return None


def _arithmetic(
    policy: ApprovalPolicy, slots: Sequence[Slot], holders: Sequence[Principal], scope: Scope, *, asker: Principal | None, found: int
) -> str:
    wanted = count_roles(slot.role for slot in slots)
    held = [
        f"{role}: {len(names)} ({', '.join(names) or 'nobody'})"
        for role in dict.fromkeys(slot.role for slot in slots)
        if (names := sorted(p.name for p in holders if role in p.roles(scope))) is not None
    ]
    sentence = f"policy {policy.name} needs {wanted}, which are {len(slots)} different people; in {scope} there are {', '.join(held)}"
    whose = "nothing could ever be signed"
    if asker is not None:
        sentence += f"; {asker.name} may ask and cannot sign then"
        whose = f"nothing that {asker.name} asks for could ever be signed"
    return f"{sentence}; that gives {found} of {len(slots)} signatures: {whose}. Grant the roles to more people first"
