"""Canary: the candidate's share rises from step to step, each step held and judged."""

from __future__ import annotations

from itertools import pairwise

from productops.domain.catalog import Rollout
from productops.domain.release import Step
from productops.domain.strategies.plan import Overrides, RolloutPlan, analysis_with
from productops.errors import InvalidInputError


def plan(rollout: Rollout, overrides: Overrides) -> RolloutPlan:
    """Weights and holds of the catalog, or the overridden ones. Raises: InvalidInputError."""
    steps = [Step(weight_pct=s.weight_pct, hold_s=s.hold_s) for s in rollout.canary.steps]
    if overrides.weights_pct is not None:
        hold_s = overrides.hold_s if overrides.hold_s is not None else steps[-1].hold_s
        steps = [Step(weight_pct=w, hold_s=hold_s) for w in overrides.weights_pct]
    elif overrides.hold_s is not None:
        steps = [Step(weight_pct=s.weight_pct, hold_s=overrides.hold_s) for s in steps]
    _check(steps)
    return RolloutPlan(steps=tuple(steps), analysis=analysis_with(rollout, overrides), validate_s=rollout.validate_s, keep_warm_s=0.0)


def _check(steps: list[Step]) -> None:
    weights = [s.weight_pct for s in steps]
    if not 1 <= len(weights) <= 50:
        raise InvalidInputError(f"a canary has 1 to 50 steps, got {len(weights)}")
    if any(not 1 <= w <= 100 for w in weights):
        raise InvalidInputError(f"weights are percentages from 1 to 100, got {weights}")
    if any(a >= b for a, b in pairwise(weights)):
        raise InvalidInputError(f"weights must rise from step to step, got {weights}")
    if any(not 1 <= s.hold_s <= 86_400 for s in steps):
        raise InvalidInputError("a step is held for 1 to 86,400 seconds")
