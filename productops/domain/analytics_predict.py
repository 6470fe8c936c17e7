"""With which chance a feature reaches its goal, by its first days and what else is known of it, and why. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from productops.stats.analytics_predict import Calibrator, prior_calibrator

Floats = NDArray[np.float64]
SIGNALS: Final = ("retention", "failure_ratio", "latency_ratio", "incidents", "overrun")
"""Share of first users who came back; failures and 95 % latency as multiples of the venture's usual ones; incidents traced to its
releases; the time its work took over what the venture takes for such estimates. Each may be missing."""
USUAL_RETENTION: Final = 0.3
PAST_MIN: Final = 10
"""With fewer own features whose outcome is known, the prior speaks."""
_WEIGHTS = (0.0, 0.9, 0.3, -0.3, -0.1, -0.2, 0.0)
_SPREAD = (0.4, 0.25, 0.3, 0.3, 0.2, 0.3, 0.2)
_NAMES = {
    "retention": "first users coming back", "failure_ratio": "failures", "latency_ratio": "latency", "incidents": "incidents",
    "overrun": "time its work took",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class SuccessPrediction:
    """What was said on ``day``. ``base``: the share of the venture's past features that got there (a half without any); ``days``: seen.

    ``method``: ``prior`` or ``learned`` (the venture's own past decides with it). ``outcome``: reached, missed, None: not known yet;
    ``actual``: the share it came to.
    """

    venture: str
    feature: str
    day: date
    due_at: datetime
    target: float
    probability: float
    base: float
    method: str
    days: int
    signals: Mapping[str, Any]
    reasons: tuple[str, ...]
    at: datetime
    outcome: str | None = None
    actual: float | None = None
    outcome_at: datetime | None = None


def start_calibrator() -> Calibrator:
    """Before a venture has a past: growth decides, the signals nudge."""
    return prior_calibrator(np.array(_WEIGHTS), np.array(_SPREAD))


def known_row(chance: float, signals: Mapping[str, float | None]) -> Floats:
    """What the calibrator weighs: 1, the logit of the chance by growth, and how unusual each signal is (0 where it is missing)."""
    kept = min(max(chance, 0.002), 0.998)
    row = [1.0, math.log(kept / (1 - kept)), *(_unusual(name, signals.get(name)) for name in SIGNALS)]
    return np.array(row)


def _unusual(name: str, value: float | None) -> float:
    if value is None or not math.isfinite(value):
        return 0.0
    if name == "retention":
        kept = min(max(value, 0.01), 0.99)
        found = math.log(kept / (1 - kept)) - math.log(USUAL_RETENTION / (1 - USUAL_RETENTION))
    elif name == "incidents":
        found = math.log1p(max(value, 0.0))
    else:
        found = math.log(max(value, 0.05))
    return min(max(found, -2.5), 2.5)


@dataclass(frozen=True, slots=True)
class Outlook:
    """What growth alone says: the share by then with its 80 % interval, and the share now (mean of the last week)."""

    now: float
    expected: float
    low: float
    high: float
    chance: float
    half_days: float
    curiosity: float


def reasons_for(outlook: Outlook, *, target: float, row: Floats, weights: Floats, signals: Mapping[str, Any], past: int) -> tuple[str, ...]:
    """In words, what weighs most first after the growth itself."""
    ahead = f"by the due day it is {outlook.low:.1%} to {outlook.high:.1%} (8 of 10 curves that fit)"
    said = [f"{outlook.now:.1%} of active people use it now, {target:.1%} are wanted; {ahead}"]
    if outlook.curiosity > 0.3:
        said.append(f"about {outlook.curiosity / (1 + outlook.curiosity):.0%} of its first use was curiosity, which fades")
    if outlook.half_days > 14:
        said.append(f"growth is slow: half of the way took or takes about {outlook.half_days:.0f} days")
    effects = sorted(((float(weights[k + 2] * row[k + 2]), name) for k, name in enumerate(SIGNALS)), key=lambda each: -abs(each[0]))
    for effect, name in effects:
        if abs(effect) >= 0.1:
            said.append(f"{_NAMES[name]}: {_told(name, float(signals[name]))}, which {'helps' if effect > 0 else 'speaks against it'}")
    missing = [_NAMES[name] for name in SIGNALS if signals.get(name) is None]
    if missing:
        said.append(f"not measured: {', '.join(missing)}")
    said.append(
        f"weighed by {past} past features of the venture" if past >= PAST_MIN
        else f"{past} past features of the venture are known, too few to learn much from: a general expectation speaks"
    )  # fmt: skip
    return tuple(said)


def _told(name: str, value: float) -> str:
    if name == "retention":
        return f"{value:.0%} of its first users"
    if name == "incidents":
        return f"{value:.0f} traced to its releases"
    if name == "overrun":
        return f"{value:.1f} times what is usual for its estimates"
    return f"{value:.1f} times the venture's usual"


@dataclass(frozen=True, slots=True)
class Reliability:
    """How good past predictions were: one for each feature (the one nearest to half of its time), against the base rate.

    ``bins``: (count, mean said, share reached). ``brier`` None: fewer than two outcomes are known.
    """

    features: int
    brier: float | None
    brier_base: float | None
    calibration_error: float | None
    by_chance: float | None
    bins: tuple[tuple[int, float, float], ...]

    @property
    def sentence(self) -> str:
        """For people."""
        if self.brier is None or self.brier_base is None:
            return f"the outcome of {self.features} predicted features is known; nothing can be said yet of how good predictions are"
        better = "better" if self.brier < self.brier_base else "no better"
        return (
            f"on {self.features} features whose outcome is known: Brier {self.brier:.3f}, {better} than the base rate's "
            f"{self.brier_base:.3f}; said and come differ by {self.calibration_error:.3f}, {self.by_chance:.3f} would be chance"
        )


def one_of_each(predictions: Sequence[SuccessPrediction]) -> list[SuccessPrediction]:
    """Of each feature and due day the one nearest to the middle of what was said; a feature with 40 predictions counts once."""
    groups: dict[tuple[str, datetime], list[SuccessPrediction]] = {}
    for each in predictions:
        groups.setdefault((each.feature, each.due_at), []).append(each)
    return [sorted(own, key=lambda each: each.day)[(len(own) - 1) // 2] for _, own in sorted(groups.items(), key=lambda item: item[0][1])]
