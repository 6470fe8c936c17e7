"""Blue-green: a full candidate fleet, one switch of all traffic, a watch, and a warm way back."""

from __future__ import annotations

from productops.domain.catalog import Rollout
from productops.domain.release import Step
from productops.domain.strategies.plan import Overrides, RolloutPlan, analysis_with
from productops.errors import InvalidInputError


def plan(rollout: Rollout, overrides: Overrides) -> RolloutPlan:
    """An optional test by header, then everything at once. ``hold_s`` overrides the watch. Raises: InvalidInputError."""
    if overrides.weights_pct is not None:
        raise InvalidInputError("blue-green switches all traffic at once: weights belong to a canary")
    declared = rollout.blue_green
    watch_s = overrides.hold_s if overrides.hold_s is not None else declared.watch_s
    if not 1 <= watch_s <= 86_400:
        raise InvalidInputError("the watch takes 1 to 86,400 seconds")
    steps = [Step(weight_pct=100, hold_s=watch_s)]
    if declared.test_s > 0:
        steps.insert(0, Step(weight_pct=0, hold_s=declared.test_s, header_only=True))
    return RolloutPlan(
        steps=tuple(steps),
        analysis=analysis_with(rollout, overrides),
        validate_s=rollout.validate_s,
        keep_warm_s=declared.keep_warm_s,
    )
