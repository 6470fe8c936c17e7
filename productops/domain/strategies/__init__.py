"""How each strategy turns a service's catalog entry into steps; one file per strategy."""

from __future__ import annotations

from productops.domain.catalog import Rollout
from productops.domain.release import Step, Strategy
from productops.domain.strategies import blue_green, canary
from productops.domain.strategies.plan import Overrides, RolloutPlan

_PLANS = {Strategy.CANARY: canary.plan, Strategy.BLUE_GREEN: blue_green.plan}


def plan_rollout(strategy: Strategy, rollout: Rollout, overrides: Overrides) -> RolloutPlan:
    """The frozen plan of a rollout. Raises: InvalidInputError for overrides the strategy cannot follow."""
    return _PLANS[strategy](rollout, overrides)


__all__ = ["Overrides", "RolloutPlan", "Step", "plan_rollout"]
