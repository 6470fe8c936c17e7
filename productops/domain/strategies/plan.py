"""What a strategy is told and what it answers: steps, and what happens around them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError

from productops.domain.catalog_analysis import Analysis
from productops.domain.strategies.step import Step
from productops.errors import InvalidInputError

if TYPE_CHECKING:  # the catalog is made of the strategies' sections
    from productops.domain.catalog import Rollout

PromoteOn = Literal["certificate", "hold"]
OnInconclusive = Literal["proceed", "extend", "pause", "roll-back"]
Ending = Literal["promote", "report"]


@dataclass(frozen=True, slots=True)
class Overrides:
    """What a requester changes for one release; ``None`` keeps the catalog's value. Weights in percent, times in seconds."""

    weights_pct: tuple[int, ...] | None = None
    hold_s: float | None = None
    alpha: float | None = None
    promote_on: PromoteOn | None = None
    on_inconclusive: OnInconclusive | None = None


@dataclass(frozen=True, slots=True)
class FlagScene:
    """A flag before a release ramps ``variant`` of it: ``percent`` of users have that already, the others ``baseline_variant``."""

    key: str
    variant: str
    baseline_variant: str
    percent: float = 0.0


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a rollout takes place: how many instances a version has, whether users have a version already, and the flag it ramps."""

    instances: int = 1
    has_baseline: bool = True
    flag: FlagScene | None = None


@dataclass(frozen=True, slots=True)
class RolloutPlan:
    """Everything a rollout was started with; later changes of the catalog do not reach it.

    ``ending`` "report": after the last step users keep the baseline. ``instances`` of the candidate run from the start; ``None``: as many
    as the catalog says. ``arms`` are the names of (baseline, candidate) in the counters where they are not the versions.
    """

    steps: tuple[Step, ...]
    analysis: Analysis
    validate_s: float
    keep_warm_s: float = 0.0
    ending: Ending = "promote"
    instances: int | None = None
    arms: tuple[str, str] | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; the steps are stored beside it, and what has its default is left out."""
        plain: dict[str, Any] = {
            "analysis": self.analysis.model_dump(mode="json"),
            "validate_s": self.validate_s,
            "keep_warm_s": self.keep_warm_s,
        }
        if self.ending != "promote":
            plain["ending"] = self.ending
        if self.instances is not None:
            plain["instances"] = self.instances
        if self.arms is not None:
            plain["arms"] = list(self.arms)
        return plain


def analysis_with(rollout: Rollout, overrides: Overrides) -> Analysis:
    """The service's analysis policy with the overrides. Raises: InvalidInputError."""
    changes = {name: value for name in ("alpha", "promote_on", "on_inconclusive") if (value := getattr(overrides, name)) is not None}
    try:
        return Analysis.model_validate(rollout.analysis.model_dump() | changes)
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidInputError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def checked_hold_s(hold_s: float, *, what: str = "a step") -> float:
    """``hold_s`` when it lies between a second and a day. Raises: InvalidInputError naming ``what`` is held."""
    if not 1 <= hold_s <= 86_400:
        raise InvalidInputError(f"{what} is held for 1 to 86,400 seconds, got {hold_s:g}")
    return hold_s


def no_weights(overrides: Overrides, why: str) -> None:
    """Raises: InvalidInputError when weights were asked for of a strategy that has none."""
    if overrides.weights_pct is not None:
        raise InvalidInputError(f"{why}: weights belong to a canary")
