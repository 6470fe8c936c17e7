"""Canary: the candidate's share rises from step to step, each step held and judged; a step may be for some users only."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from productops.domain.strategies.plan import Overrides, RolloutPlan, Scene, analysis_with, checked_hold_s
from productops.domain.strategies.section import Section
from productops.domain.strategies.step import Segment, Step
from productops.errors import InvalidInputError

if TYPE_CHECKING:
    from productops.domain.catalog import Rollout


class SegmentOf(Section):
    """Some of the users, by what their requests carry: a header, a cookie, or an attribute that ``route.attributes`` names."""

    header: str = Field(default="", pattern=r"^[A-Za-z0-9_-]{0,80}$", description="Name of a request header.")
    cookie: str = Field(default="", pattern=r"^[A-Za-z0-9_.-]{0,80}$", description="Name of a cookie.")
    attribute: str = Field(default="", max_length=63, description="Name of a user attribute, see route.attributes.")
    values: tuple[str, ...] = Field(default=(), max_length=100, description="Any of these matches; without values, its presence does.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(bool(name) for name in (self.header, self.cookie, self.attribute)) != 1:
            raise ValueError("name exactly one of header, cookie and attribute")
        return self


class CanaryStep(Section):
    """One step of a canary: a share of all requests, or of a segment's, or a region's."""

    weight_pct: int | None = Field(
        default=None, ge=1, le=100, description="Share of requests on the candidate; of a segment or a region 100 unless said."
    )
    hold_s: float | None = Field(default=None, ge=1, le=86_400, description="Longest time in this step, in seconds.")
    segment: SegmentOf | None = Field(default=None, description="Only these users; they keep the candidate in later steps.")
    region: str = Field(default="", max_length=63, description="Only this region; it keeps the candidate in later steps.")
    bake_s: float | None = Field(default=None, ge=1, le=86_400, description="Another name for hold_s, usual for regions.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.segment is not None and self.region:
            raise ValueError("a step is for a segment or for a region, not for both")
        if self.weight_pct is None and self.segment is None and not self.region:
            raise ValueError("weight_pct is missing")
        if (self.hold_s is None) == (self.bake_s is None):
            raise ValueError("say either hold_s or bake_s")
        return self

    @property
    def held_s(self) -> float:
        """Longest time in this step, in seconds, by whichever name."""
        return self.hold_s or self.bake_s or 1.0

    @property
    def chosen(self) -> Segment | None:
        """The users this step is for; ``None``: all of them."""
        pct = 100 if self.weight_pct is None else self.weight_pct
        if self.region:
            return Segment("region", "", (self.region,), pct)
        if self.segment is None:
            return None
        of = self.segment
        if of.header:
            return Segment("header", of.header.lower(), of.values, pct)
        return Segment("cookie", of.cookie, of.values, pct) if of.cookie else Segment("attribute", of.attribute, of.values, pct)


AUTO: Final = "auto"
DEFAULT_STEPS = (
    CanaryStep(weight_pct=5, hold_s=60),
    CanaryStep(weight_pct=20, hold_s=120),
    CanaryStep(weight_pct=50, hold_s=180),
)


class Canary(Section):
    """Weights and holds, or ``auto``: those that harm the fewest users and still find doubled errors within ``decision_s``."""

    steps: tuple[CanaryStep, ...] | Literal["auto"] = Field(
        default="auto", description="'auto' follows the service's traffic when a release is planned. Without any yet: 5, 20 and 50 %."
    )
    decision_s: int = Field(default=360, ge=10, le=86_400, description="With 'auto': all holds together, in seconds.")

    @field_validator("steps")
    @classmethod
    def _rising(cls, steps: tuple[CanaryStep, ...] | Literal["auto"]) -> tuple[CanaryStep, ...] | Literal["auto"]:
        if steps == AUTO:
            return steps
        if not 1 <= len(steps) <= 50:
            raise ValueError(f"a canary has 1 to 50 steps, got {len(steps)}")
        falls = falling(steps)
        if falls:
            raise ValueError(falls)
        return steps

    @property
    def declared(self) -> tuple[CanaryStep, ...]:
        """The declared steps; none with ``auto``."""
        return () if self.steps == AUTO else self.steps


def falling(steps: Sequence[CanaryStep]) -> str:
    """What is wrong with the order of weights, or an empty text: those of all users rise, and those of each segment."""
    shares: dict[object, list[int]] = {}
    for step in steps:
        chosen = step.chosen
        shares.setdefault(chosen.key if chosen else None, []).append(chosen.pct if chosen else step.weight_pct or 0)
    wrong = next((weights for weights in shares.values() if any(a >= b for a, b in pairwise(weights))), None)
    return f"weights must rise from step to step, got {wrong}" if wrong else ""


def plan(rollout: Rollout, overrides: Overrides, scene: Scene) -> RolloutPlan:  # noqa: ARG001 - every strategy is asked alike
    """Weights and holds of the catalog, or the overridden ones. Raises: InvalidInputError."""
    declared = rollout.canary.declared or DEFAULT_STEPS  # without known traffic there is nothing that auto could follow
    return RolloutPlan(
        steps=steps(declared, weights_pct=overrides.weights_pct, hold_s=overrides.hold_s),
        analysis=analysis_with(rollout, overrides),
        validate_s=rollout.validate_s,
    )


def steps(declared: Sequence[CanaryStep], *, weights_pct: tuple[int, ...] | None, hold_s: float | None) -> tuple[Step, ...]:
    """The declared steps, with ``hold_s`` each where it is given; ``weights_pct`` replaces them by shares of all users.

    Whoever has the candidate keeps it: each step carries the segments of those before it. Raises: InvalidInputError.
    """
    if weights_pct is not None:
        each_s = checked_hold_s(hold_s if hold_s is not None else declared[-1].held_s)
        _check_weights(weights_pct)
        return tuple(Step(weight_pct=weight, hold_s=each_s) for weight in weights_pct)
    made: list[Step] = []
    weight_pct, segments = 0, dict[object, Segment]()
    for step in declared:
        chosen = step.chosen
        if chosen is None:
            weight_pct = step.weight_pct or 0
        else:
            segments[chosen.key] = chosen
        label = chosen.title if chosen else ""
        held_s = checked_hold_s(hold_s if hold_s is not None else step.held_s)
        made.append(Step(weight_pct=weight_pct, hold_s=held_s, segments=tuple(segments.values()), label=label))
    return tuple(made)


def _check_weights(weights: tuple[int, ...]) -> None:
    if not 1 <= len(weights) <= 50:
        raise InvalidInputError(f"a canary has 1 to 50 steps, got {len(weights)}")
    if any(not 1 <= w <= 100 for w in weights):
        raise InvalidInputError(f"weights are percentages from 1 to 100, got {list(weights)}")
    if any(a >= b for a, b in pairwise(weights)):
        raise InvalidInputError(f"weights must rise from step to step, got {list(weights)}")
