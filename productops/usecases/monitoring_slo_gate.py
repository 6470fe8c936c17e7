"""A release while the error budget of its service is spent: refused, left to whoever has to sign it, or only told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from productops.domain.catalog import Service
from productops.domain.catalog_approvals import Action, Attribute
from productops.domain.governance_approvals_policy import Facts, needs_of
from productops.domain.monitoring_slo import Budget, OnSpent
from productops.domain.release import Environment
from productops.errors import BudgetSpentError
from productops.store import Unit
from productops.usecases.context import Context
from productops.usecases.monitoring_slo import budget_in

NOTE = "budget"


def check_budget(context: Context, service: Service, environment: Environment) -> dict[str, Any]:
    """What the plan of a release notes of spent budgets; nothing while something is left, or while somebody has allowed it.

    A budget counts as spent when so few events would hardly look like this by bad luck. Raises: BudgetSpentError with the figure and
    the way around, StoreUnavailableError.
    """
    now = context.clock.now()
    with context.store.read() as unit:
        objectives = unit.objectives.all(service=service.name, environment=environment)
        budgets = [budget_in(unit, each, now=now) for each in objectives]
        spent = [b for b in budgets if b.surely_spent and unit.objectives.allowance(b.objective.name, now=now) is None]
        mode = _mode(spent)
        signed = mode is OnSpent.APPROVAL and _somebody_signs(unit, service, environment, context)
    if not spent:
        return {}
    if mode is OnSpent.REFUSE or (mode is OnSpent.APPROVAL and not signed):
        raise _refusal(spent, signing=mode is OnSpent.APPROVAL)
    noted = [{"objective": b.objective.name, "remaining_ratio": b.remaining_ratio, "sentence": b.sentence} for b in spent]
    return {NOTE: {"mode": mode.value, "spent": noted}}


def waits_for_signature(gates: dict[str, object]) -> bool:
    """Whether what the gates noted is something that policies for approvals may ask signatures for."""
    noted = gates.get(NOTE)
    return isinstance(noted, dict) and noted.get("mode") == OnSpent.APPROVAL.value


def _mode(spent: Sequence[Budget]) -> OnSpent:
    """The strictest of them."""
    order = (OnSpent.REFUSE, OnSpent.APPROVAL, OnSpent.TELL)
    return min((budget.objective.on_spent for budget in spent), key=order.index, default=OnSpent.TELL)


def _somebody_signs(unit: Unit, service: Service, environment: Environment, context: Context) -> bool:
    """Whether a policy asks for signatures in such a case; where none does, nobody would be asked."""
    facts = Facts(
        action=Action.RELEASE, venture=service.venture, environment=environment, service=service.name,
        strategy=service.spec.rollout.strategy, attributes=frozenset({Attribute.BUDGET_SPENT}),
    )  # fmt: skip
    needs, _ = needs_of(unit.approval_policies.all(), [facts], now=context.clock.now())
    return bool(needs)


def _refusal(spent: Sequence[Budget], *, signing: bool) -> BudgetSpentError:
    worst = min(spent, key=lambda each: each.remaining_ratio or 0.0)
    name = worst.objective.name
    nobody = (
        " Its SLO leaves that to whoever signs, but no approval policy names the attribute budget-spent, so nobody would be asked."
        if signing else ""
    )  # fmt: skip
    return BudgetSpentError(
        f"no release of {worst.objective.service} while its error budget is spent: {worst.sentence}.{nobody} What mends it can be let out: "
        f"productops slo allow {name} --minutes 60 --reason '…' (release manager), or roll back the release that burned it: "
        f"productops slo show {name}",
        objective=name, remaining_ratio=worst.remaining_ratio,
    )  # fmt: skip
