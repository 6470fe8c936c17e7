"""Feature toggle: no new version; a flag's variant reaches a rising share of users, and those who have it are compared with the others."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from pydantic import Field, field_validator

from productops.domain.exposures import ARM_CHARACTERS_MAX, flag_arm
from productops.domain.strategies.plan import FlagScene, Overrides, RolloutPlan, Scene, analysis_with, checked_hold_s
from productops.domain.strategies.section import Section
from productops.domain.strategies.step import Segment, Step
from productops.errors import InvalidInputError

if TYPE_CHECKING:
    from productops.domain.catalog import Rollout

_TARGET = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,62})@([A-Za-z0-9][A-Za-z0-9._-]{0,62})")
MARK = "@"
"""Between flag and variant; no version of a service has it."""


@dataclass(frozen=True, slots=True)
class FlagTarget:
    """What a feature-toggle release is after: ``variant`` of ``flag`` for everybody."""

    flag: str
    variant: str

    @property
    def title(self) -> str:
        """What stands in the place of a version."""
        return f"{self.flag}{MARK}{self.variant}"


def flag_target(version: str) -> FlagTarget:
    """Read ``<flag>@<variant>``. Raises: InvalidInputError."""
    match = _TARGET.fullmatch(version)
    if match is None or len(version) > ARM_CHARACTERS_MAX:
        raise InvalidInputError(f"a feature-toggle release is named <flag>@<variant>, such as new-checkout@on, not {version[:120]!r}")
    return FlagTarget(match[1], match[2])


class FlagSegment(Section):
    """Users whose evaluation context has one of these texts in an attribute; ``targetingKey`` is the user."""

    attribute: str = Field(min_length=1, max_length=100, description="Name in the evaluation context; 'targetingKey' is the user.")
    values: tuple[str, ...] = Field(min_length=1, max_length=1000, description="Any of these texts.")


class FlagStep(Section):
    """One step: a share of users, and some users whatever that share."""

    flag_pct: float = Field(ge=0, le=100, description="Share of users who get the variant, by a stable hash of their targeting key.")
    hold_s: float = Field(ge=1, le=86_400, description="Longest time in this step, in seconds.")
    segments: tuple[FlagSegment, ...] = Field(
        default=(), max_length=50, description="These users get it from this step on, whatever flag_pct."
    )


class FeatureToggle(Section):
    """How a flag's variant reaches users. The release names the flag: ``new-checkout@on``."""

    flag: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9._-]{0,63}$",
        description="Only this flag may be released with these steps; empty: any of the venture.",
    )
    steps: tuple[FlagStep, ...] = Field(
        default=(FlagStep(flag_pct=10, hold_s=60), FlagStep(flag_pct=50, hold_s=120)), min_length=1, max_length=50
    )

    @field_validator("steps")
    @classmethod
    def _rising(cls, steps: tuple[FlagStep, ...]) -> tuple[FlagStep, ...]:
        first = steps[0]
        stuck = first.flag_pct == 0 and not first.segments
        falls = any(b.flag_pct < a.flag_pct or (b.flag_pct == a.flag_pct and not b.segments) for a, b in pairwise(steps))
        if stuck or falls:
            raise ValueError(f"each step gives the flag to more users, by flag_pct or segments; got {[s.flag_pct for s in steps]}")
        return steps


def plan(rollout: Rollout, overrides: Overrides, scene: Scene) -> RolloutPlan:
    """Shares of users; those the flag has reached already are left out. ``weights_pct`` overrides them. Raises: InvalidInputError.

    Metrics that are told apart by version are not judged: both arms run the same one.
    """
    flag, declared = scene.flag, rollout.feature_toggle
    if flag is None:
        raise InvalidInputError("a feature-toggle release ramps a flag: name it as <flag>@<variant> in the place of the version")
    if declared.flag and declared.flag != flag.key:
        raise InvalidInputError(f"rollout.feature_toggle is for the flag {declared.flag!r}, not {flag.key!r}")
    if not scene.has_baseline:
        raise InvalidInputError("there is no version whose users could get the flag: release a version first")
    arms = (flag_arm(flag.key, flag.baseline_variant), flag_arm(flag.key, flag.variant))
    if any(len(arm) > ARM_CHARACTERS_MAX for arm in arms):
        raise InvalidInputError(f"the names of flag and variant are too long to be measured: {arms} have more than {ARM_CHARACTERS_MAX}")
    made = steps(declared.steps, weights_pct=overrides.weights_pct, hold_s=overrides.hold_s)
    return RolloutPlan(
        steps=_beyond(made, flag),
        analysis=analysis_with(rollout, overrides).model_copy(update={"metrics": ()}),
        validate_s=rollout.validate_s,
        arms=arms,
    )


def steps(declared: Sequence[FlagStep], *, weights_pct: tuple[int, ...] | None, hold_s: float | None) -> tuple[Step, ...]:
    """The declared steps, or shares of all users in their place; each carries the segments of those before. Raises: InvalidInputError."""
    if weights_pct is not None:
        each_s = checked_hold_s(hold_s if hold_s is not None else declared[-1].hold_s)
        _check_shares(weights_pct)
        return tuple(_step(share, each_s, ()) for share in weights_pct)
    made: list[Step] = []
    segments = dict[object, Segment]()
    for step in declared:
        for each in step.segments:
            segment = Segment("attribute", each.attribute, each.values)
            segments[segment.key] = segment
        held_s = checked_hold_s(hold_s if hold_s is not None else step.hold_s)
        made.append(_step(step.flag_pct, held_s, tuple(segments.values())))
    return tuple(made)


def _step(flag_pct: float, hold_s: float, segments: tuple[Segment, ...]) -> Step:
    users = " or ".join(segment.title for segment in segments)
    label = f"flag for {users} and {flag_pct:g} %" if users else f"flag for {flag_pct:g} %"
    return Step(weight_pct=round(flag_pct), hold_s=hold_s, segments=segments, flag_pct=flag_pct, label=label[:200])


def _beyond(made: tuple[Step, ...], flag: FlagScene) -> tuple[Step, ...]:
    """Steps that give the flag to more users than have it; the last one at least, so that something is judged."""
    return tuple(step for step in made if (step.flag_pct or 0.0) >= flag.percent) or made[-1:]


def _check_shares(shares: tuple[int, ...]) -> None:
    rising = all(a < b for a, b in pairwise(shares))
    if not 1 <= len(shares) <= 50 or any(not 1 <= share <= 100 for share in shares) or not rising:
        raise InvalidInputError(f"shares of users are 1 to 50 percentages from 1 to 100 that rise from step to step, got {list(shares)}")
