"""Rolling: instances are replaced batch by batch; the candidate's share of requests is its share of the instances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from productops.domain.strategies.plan import Overrides, RolloutPlan, Scene, analysis_with, checked_hold_s, no_weights
from productops.domain.strategies.section import Section
from productops.domain.strategies.step import Batch, Step
from productops.errors import InvalidInputError

if TYPE_CHECKING:
    from productops.domain.catalog import Rollout


class Rolling(Section):
    """How many instances are replaced at a time, and how long each batch is watched."""

    surge: int = Field(default=1, ge=0, le=100, description="Instances that may run beyond the usual number.")
    unavailable: int = Field(default=0, ge=0, le=99, description="Instances that may be missing from the usual number.")
    hold_s: float = Field(default=60.0, ge=1, le=86_400, description="Longest time a batch is watched, in seconds.")

    @model_validator(mode="after")
    def _moves(self) -> Self:
        if self.surge + self.unavailable == 0:
            raise ValueError("surge and unavailable are both 0: nothing could ever be replaced")
        return self


def plan(rollout: Rollout, overrides: Overrides, scene: Scene) -> RolloutPlan:
    """Batches for the service's instances. ``hold_s`` overrides the watch of each. Raises: InvalidInputError."""
    no_weights(overrides, "a rolling release shifts traffic as it replaces instances")
    declared = rollout.rolling
    hold_s = checked_hold_s(overrides.hold_s if overrides.hold_s is not None else declared.hold_s)
    made = batches(scene.instances, surge=declared.surge, unavailable=declared.unavailable)
    return RolloutPlan(
        steps=tuple(_step(batch, scene.instances, hold_s) for batch in made),
        analysis=analysis_with(rollout, overrides),
        validate_s=rollout.validate_s,
        instances=made[0].candidate if scene.has_baseline else None,
    )


def batches(instances: int, *, surge: int, unavailable: int) -> list[Batch]:
    """Instances after each batch. Never more than ``instances + surge`` run, never fewer than ``instances - unavailable`` serve.

    One baseline instance is left to the end: until the promotion is settled, all traffic can go back at once. Where ``surge`` is 0 the
    candidate's last instance therefore starts when the promotion is settled. Raises: InvalidInputError when that cannot be kept.
    """
    lost = min(unavailable, instances - 1)
    if surge + lost == 0:
        raise InvalidInputError(f"with {instances} instance(s), {unavailable} unavailable and no surge nothing can change: set surge: 1")
    made: list[Batch] = []
    candidate, baseline = 0, instances
    last = min(instances, instances + surge - 1)
    while candidate < last:
        before = max(1, min(baseline, instances - lost - candidate))
        grown = min(last, instances + surge - before)
        baseline = max(1, min(before, instances - grown))
        made.append(Batch(candidate=grown, baseline_before=before, baseline_after=baseline))
        candidate = grown
    # What the last batch replaced stays until the promotion: it is the way back.
    made[-1] = Batch(candidate=candidate, baseline_before=made[-1].baseline_before, baseline_after=made[-1].baseline_before)
    return made


def _step(batch: Batch, instances: int, hold_s: float) -> Step:
    weight_pct = 100 if batch.candidate >= instances else max(1, round(100 * batch.candidate / instances))
    return Step(weight_pct=weight_pct, hold_s=hold_s, batch=batch, label=f"{batch.candidate} of {instances} instances")
