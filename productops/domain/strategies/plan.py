"""What a strategy answers: steps, and what happens around them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from productops.domain.catalog import Analysis, Rollout
from productops.domain.release import Step
from productops.errors import InvalidInputError

PromoteOn = Literal["certificate", "hold"]
OnInconclusive = Literal["proceed", "extend", "pause", "roll-back"]


@dataclass(frozen=True, slots=True)
class Overrides:
    """What a requester changes for one release; ``None`` keeps the catalog's value. Weights in percent, times in seconds."""

    weights_pct: tuple[int, ...] | None = None
    hold_s: float | None = None
    alpha: float | None = None
    promote_on: PromoteOn | None = None
    on_inconclusive: OnInconclusive | None = None


@dataclass(frozen=True, slots=True)
class RolloutPlan:
    """Everything a rollout was started with; later changes of the catalog do not reach it."""

    steps: tuple[Step, ...]
    analysis: Analysis
    validate_s: float
    keep_warm_s: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; the steps are stored beside it."""
        return {"analysis": self.analysis.model_dump(mode="json"), "validate_s": self.validate_s, "keep_warm_s": self.keep_warm_s}


def analysis_with(rollout: Rollout, overrides: Overrides) -> Analysis:
    """The service's analysis policy with the overrides. Raises: InvalidInputError."""
    changes = {name: value for name in ("alpha", "promote_on", "on_inconclusive") if (value := getattr(overrides, name)) is not None}
    try:
        return Analysis.model_validate(rollout.analysis.model_dump() | changes)
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidInputError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
