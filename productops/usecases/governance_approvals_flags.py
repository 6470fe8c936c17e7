"""Signatures for changes of flags and for bypasses of freezes. A kill, and what a release takes back, waits for nobody."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from productops.domain.catalog_approvals import Action
from productops.domain.governance_approvals import ApprovalRequest
from productops.domain.governance_approvals_policy import Facts, needs_of
from productops.domain.governance_approvals_risk import RiskFacts, RiskRule
from productops.domain.release import Environment
from productops.domain.release_flags.changes import Change, ChangeState, Kill, RampTo, Revive, TakeBack
from productops.domain.release_flags.flag import Flag
from productops.domain.release_windows import Bypass
from productops.store import Unit
from productops.usecases.context import Actor
from productops.usecases.governance_approvals_ask import ask


def flag_subject(change_id: str) -> str:
    """What a change of a flag is called in approvals."""
    return f"flag-change/{change_id}"


def proposed_where_signed(unit: Unit, flag: Flag, change: Change, *, now: datetime) -> Change:
    """The change, as a proposal where a policy wants signatures for it."""
    needs, _ = needs_of(unit.approval_policies.all(), _facts(flag, change, now=now), now=now)
    return replace(change, state=ChangeState.PROPOSED) if needs else change


def ask_for_flag(unit: Unit, flag: Flag, change: Change, *, actor: Actor, now: datetime) -> ApprovalRequest | None:
    """The request for the signatures of a written proposal; None where no policy is about it."""
    facts = _facts(flag, change, now=now)
    places = {each.environment for each in facts}
    content = {
        "flag": flag.key, "change": change.summary, "operation": change.operation.model_dump(mode="json"),
        "revision": change.base_revision, "due_at": change.due_at.isoformat() if change.due_at else None,
        "before": flag.state.model_dump(mode="json"),
    }  # fmt: skip
    return ask(
        unit, subject=flag_subject(change.id), action=Action.FLAG, title=f"flag {flag.key}: {change.summary}", venture=flag.venture,
        environment=places.pop() if len(places) == 1 else None, content=content, facts=facts, reason=change.reason, actor=actor, now=now,
    )  # fmt: skip


def _facts(flag: Flag, change: Change, *, now: datetime) -> list[Facts]:
    """One for each environment in which somebody may get something else."""
    operation = change.operation
    if isinstance(operation, Kill | TakeBack):
        return []
    places: Iterable[Environment] = flag.spec.environments
    if isinstance(operation, RampTo):
        places = (operation.environment,)
    elif isinstance(operation, Revive):
        places = operation.environments or places
    return [
        Facts(
            Action.FLAG, flag.venture, place, flag=flag.key,
            risk=RiskRule().rate(RiskFacts("flag", place, now, size_lines=0)).level,
        )
        for place in places
    ]  # fmt: skip


def ask_for_bypass(unit: Unit, bypass: Bypass, *, actor: Actor, now: datetime) -> ApprovalRequest | None:
    """The request for the signatures of a bypass; None where no policy is about it: one other person approves it then."""
    content = {
        "service": bypass.service, "version": bypass.version or "any", "environment": bypass.environment.value, "reason": bypass.reason,
        "expires_at": bypass.expires_at.isoformat(),
    }  # fmt: skip
    facts = [Facts(Action.BYPASS, bypass.venture, bypass.environment, service=bypass.service)]
    return ask(
        unit, subject=f"bypass/{bypass.id}", action=Action.BYPASS,
        title=f"bypass of the change windows for {bypass.service} {bypass.version or '(any version)'} ({bypass.environment})",
        venture=bypass.venture, environment=bypass.environment, content=content, facts=facts, reason=bypass.reason, actor=actor, now=now,
    )  # fmt: skip
