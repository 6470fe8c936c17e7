"""Dark launch: the candidate gets copies of users' requests; nobody gets its answers, they are measured and compared."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from pydantic import Field, field_validator

from productops.domain.analysis import Criticality
from productops.domain.catalog_analysis import Analysis, CustomMetric
from productops.domain.strategies import blue_green, canary
from productops.domain.strategies.plan import Overrides, RolloutPlan, Scene, analysis_with, checked_hold_s, no_weights
from productops.domain.strategies.section import Section
from productops.domain.strategies.step import Mirror, Step
from productops.errors import InvalidInputError

if TYPE_CHECKING:
    from productops.domain.catalog import Rollout

DIFFERENCES = "differences"
"""The metric: answers of the candidate that differ, among those compared."""


class DarkStep(Section):
    """One step: a share of requests is copied."""

    mirror_pct: float = Field(gt=0, le=100, description="Share of requests that are copied to the candidate.")
    hold_s: float = Field(ge=1, le=86_400, description="Longest time in this step, in seconds.")


class DarkLaunch(Section):
    """Copies of requests for the candidate, and what is done with its answers."""

    steps: tuple[DarkStep, ...] = Field(
        default=(DarkStep(mirror_pct=10, hold_s=60), DarkStep(mirror_pct=100, hold_s=120)), min_length=1, max_length=50
    )
    methods: tuple[str, ...] = Field(
        default=("GET", "HEAD"), min_length=1, max_length=10, description="Only these are copied. Others only where twice does no harm."
    )
    in_flight_max: int = Field(default=50, ge=1, le=10_000, description="Copies that may wait for an answer; more are left out.")
    compare_per_s: float = Field(default=2.0, ge=0, le=50, description="Answers compared a second: 3 more requests each. 0: none.")
    on_difference: Literal["hold", "roll-back", "report"] = Field(
        default="hold", description="'hold': a person looks before it goes on. 'report': differences are kept and not judged."
    )
    difference_tolerance: float = Field(default=1.1, ge=1, le=100, description="Differences nobody minds: a factor of the baseline's own.")
    then: Literal["nothing", "canary", "blue-green"] = Field(
        default="nothing", description="After the last step: users keep the baseline, or the candidate goes on to them this way."
    )

    @field_validator("methods")
    @classmethod
    def _tokens(cls, methods: tuple[str, ...]) -> tuple[str, ...]:
        upper = tuple(method.upper() for method in methods)
        if not all(method.isascii() and method.isalpha() for method in upper):
            raise ValueError(f"methods are names such as GET, got {list(methods)}")
        return upper

    @field_validator("steps")
    @classmethod
    def _rising(cls, steps: tuple[DarkStep, ...]) -> tuple[DarkStep, ...]:
        shares = [step.mirror_pct for step in steps]
        if any(a >= b for a, b in pairwise(shares)):
            raise ValueError(f"shares must rise from step to step, got {shares}")
        return steps


def plan(rollout: Rollout, overrides: Overrides, scene: Scene) -> RolloutPlan:
    """The copies first; then nothing, or the steps of another strategy. ``hold_s`` overrides every hold. Raises: InvalidInputError."""
    declared = rollout.dark_launch
    if declared.then != "canary":
        no_weights(overrides, "a dark launch shifts no users")
    if declared.then == "nothing" and not scene.has_baseline:
        raise InvalidInputError("there are no users whose requests could be copied: release the first version by another strategy")
    after, keep_warm_s = _then(rollout, overrides)
    return RolloutPlan(
        steps=(*_dark_steps(declared, overrides.hold_s), *after),
        analysis=_with_differences(analysis_with(rollout, overrides), declared),
        validate_s=rollout.validate_s,
        keep_warm_s=keep_warm_s,
        ending="report" if declared.then == "nothing" else "promote",
    )


def _dark_steps(declared: DarkLaunch, hold_s: float | None) -> list[Step]:
    return [
        Step(
            weight_pct=0,
            hold_s=checked_hold_s(hold_s if hold_s is not None else step.hold_s),
            mirror=Mirror(step.mirror_pct, declared.methods, declared.in_flight_max, declared.compare_per_s),
            label=f"{step.mirror_pct:g} % mirrored",
        )
        for step in declared.steps
    ]


def _then(rollout: Rollout, overrides: Overrides) -> tuple[tuple[Step, ...], float]:
    """Steps after the dark ones, and how long the old fleet is kept warm in the end."""
    match rollout.dark_launch.then:
        case "canary":
            declared = rollout.canary.declared or canary.DEFAULT_STEPS
            return canary.steps(declared, weights_pct=overrides.weights_pct, hold_s=overrides.hold_s), 0.0
        case "blue-green":
            return blue_green.steps(rollout.blue_green, hold_s=overrides.hold_s), rollout.blue_green.keep_warm_s
        case _:
            return (), 0.0


def _with_differences(analysis: Analysis, declared: DarkLaunch) -> Analysis:
    """The policy with differences as a metric of its own, unless it has one of that name or nothing is to be judged."""
    known = any(metric.name == DIFFERENCES for metric in analysis.metrics)
    if known or declared.on_difference == "report" or declared.compare_per_s <= 0:
        return analysis
    metric = CustomMetric(name=DIFFERENCES, tolerance=declared.difference_tolerance, criticality=Criticality(declared.on_difference))
    return analysis.model_copy(update={"metrics": (*analysis.metrics, metric)})
