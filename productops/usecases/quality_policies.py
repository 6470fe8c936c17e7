"""The quality policies of a catalog, applied with the rest of it; a policy for approvals may ask for signatures first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from productops.domain.catalog_quality import BUILT_IN, QualityPolicy
from productops.domain.governance_approvals import still_missing
from productops.domain.quality_runs import AppliedPolicy
from productops.errors import CatalogError
from productops.store import Unit
from productops.store.quality_policies import POLICY
from productops.usecases.context import Actor
from productops.usecases.governance_approvals_policies import PolicyOutcome, propose
from productops.usecases.quality_policies_store import document, remove_policy, store_policy

BACKTEST_HINT = "what it would have changed: productops quality backtest --approval ID, or POST /api/v1/product-ops/quality/backtest"


@dataclass(frozen=True, slots=True)
class DeclaredQualityPolicy:
    """A policy and the folder it was read from."""

    entry: QualityPolicy
    base: str


def put_quality_policies(
    unit: Unit, declared: Sequence[DeclaredQualityPolicy], *, ventures: set[str], bases: set[str], actor: Actor, now: datetime
) -> list[PolicyOutcome]:  # fmt: skip
    """Store what is declared and remove what no longer is, or propose it where somebody has to sign.

    Removed are those of ``ventures`` (all that this catalog declares), and those for all ventures that came from one of its folders.
    Raises: CatalogError for a service that is not declared, or the name of the built-in policy.
    """
    known = {service.name for service in unit.catalog.services()}
    present = {policy.name: policy for policy in unit.quality_policies.all()}
    outcomes = [_put(unit, each, present.get(each.entry.metadata.name), known, actor=actor, now=now) for each in declared]
    names = {each.entry.metadata.name for each in declared}
    for policy in present.values():
        venture = policy.policy.metadata.venture
        ours = venture in ventures if venture else policy.base in bases
        if ours and policy.name not in names:
            outcomes.append(_remove(unit, policy, actor=actor, now=now))
    return outcomes


def _put(
    unit: Unit, each: DeclaredQualityPolicy, present: AppliedPolicy | None, known: set[str], *, actor: Actor, now: datetime
) -> PolicyOutcome:  # fmt: skip
    entry, name = each.entry, each.entry.metadata.name
    if name == BUILT_IN.metadata.name:
        raise CatalogError(f"{POLICY} {name!r} is the one that holds without any; give yours another name")
    missing = next((service for service in entry.spec.services if service not in known), None)
    if missing:
        raise CatalogError(f"{POLICY} {name!r} is for service {missing!r}, which is not declared")
    after, before = document(entry), document(present.policy) if present else None
    if after == before:
        unit.quality_policies.put(entry, base=each.base, author=actor.name, now=now)
        return PolicyOutcome(POLICY, name, "unchanged")
    venture = present.policy.metadata.venture if present else entry.metadata.venture
    if present is not None:
        waiting = propose(
            unit, kind=POLICY, name=name, before=before, after=after, base=each.base, venture=venture, actor=actor, now=now,
            reason=BACKTEST_HINT,
        )  # fmt: skip
        if waiting is not None:
            return PolicyOutcome(POLICY, name, "proposed", still_missing(waiting, now=now))
    return PolicyOutcome(POLICY, name, store_policy(unit, entry, base=each.base, before=before, actor=actor, now=now))


def _remove(unit: Unit, policy: AppliedPolicy, *, actor: Actor, now: datetime) -> PolicyOutcome:
    before = document(policy.policy)
    waiting = propose(
        unit, kind=POLICY, name=policy.name, before=before, after=None, base=policy.base, venture=policy.policy.metadata.venture,
        actor=actor, now=now, reason=BACKTEST_HINT,
    )  # fmt: skip
    if waiting is not None:
        return PolicyOutcome(POLICY, policy.name, "proposed", still_missing(waiting, now=now))
    remove_policy(unit, policy.name, before=before, actor=actor, now=now)
    return PolicyOutcome(POLICY, policy.name, "removed")
