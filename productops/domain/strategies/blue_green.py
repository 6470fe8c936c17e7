"""Blue-green: a full candidate fleet, one switch of all traffic, a watch, and a warm way back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from productops.domain.strategies.plan import Overrides, RolloutPlan, Scene, analysis_with, no_weights
from productops.domain.strategies.section import Section
from productops.domain.strategies.step import Step
from productops.errors import InvalidInputError

if TYPE_CHECKING:
    from productops.domain.catalog import Rollout


class BlueGreen(Section):
    """One switch of all traffic, watched, with a warm way back. Times in seconds."""

    test_s: float = Field(default=0.0, ge=0, le=86_400, description="Before the switch, serve the test header only, for so long. 0: skip.")
    watch_s: float = Field(default=120.0, ge=1, le=86_400, description="After the switch, judge for so long.")
    keep_warm_s: float = Field(default=600.0, ge=0, le=604_800, description="Keep the old fleet for so long after the promotion.")


def plan(rollout: Rollout, overrides: Overrides, scene: Scene) -> RolloutPlan:  # noqa: ARG001 - every strategy is asked alike
    """An optional test by header, then everything at once. ``hold_s`` overrides the watch. Raises: InvalidInputError."""
    no_weights(overrides, "blue-green switches all traffic at once")
    declared = rollout.blue_green
    return RolloutPlan(
        steps=steps(declared, hold_s=overrides.hold_s),
        analysis=analysis_with(rollout, overrides),
        validate_s=rollout.validate_s,
        keep_warm_s=declared.keep_warm_s,
    )


def steps(declared: BlueGreen, *, hold_s: float | None) -> tuple[Step, ...]:
    """The test by header, where there is one, and the switch. Raises: InvalidInputError."""
    watch_s = hold_s if hold_s is not None else declared.watch_s
    if not 1 <= watch_s <= 86_400:
        raise InvalidInputError("the watch takes 1 to 86,400 seconds")
    switch = Step(weight_pct=100, hold_s=watch_s)
    return (Step(weight_pct=0, hold_s=declared.test_s, header_only=True), switch) if declared.test_s > 0 else (switch,)
