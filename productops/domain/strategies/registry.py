"""From a strategy's name to its plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from productops.domain.strategies.names import Strategy
from productops.domain.strategies.plan import Overrides, RolloutPlan, Scene
from productops.domain.strategies.sections import PLANNERS

if TYPE_CHECKING:
    from productops.domain.catalog import Rollout


def plan_rollout(strategy: Strategy, rollout: Rollout, overrides: Overrides, scene: Scene | None = None) -> RolloutPlan:
    """The frozen plan of a rollout. Raises: InvalidInputError for overrides the strategy cannot follow."""
    return PLANNERS[strategy](rollout, overrides, scene or Scene())
