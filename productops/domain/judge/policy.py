"""What a release engineer may set about the judge, with defaults that suit a web service."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from productops.domain.analysis import FAILURES, QUANTILES, Criticality, Direction, MetricKind

__all__ = ["FAILURES", "QUANTILES", "AnalysisPolicy", "Criticality", "Direction", "MetricKind", "MetricRule"]

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class MetricRule:
    """A metric of one's own: carts per visit, retries per request, CPU share.

    ``ratio`` counts events among trials, ``counter`` counts events per request, ``saturation`` is a level.
    ``tolerance`` is the worsening nobody minds, as a factor ≥ 1 (1.1: ten per cent). ``weight`` is relative to the others.
    With ``criticality`` "hold" harm gives nothing back: it only withholds promotion.
    """

    name: str
    kind: MetricKind
    direction: Direction = Direction.HIGHER_IS_WORSE
    tolerance: float = 1.1
    weight: float = 0.1
    criticality: Criticality = Criticality.ROLL_BACK

    def __post_init__(self) -> None:
        """Raises: ValueError when a number is out of range or the name is empty or taken."""
        if not self.name or self.name in {FAILURES, *(f"slower_{q}" for q in QUANTILES)}:
            raise ValueError(f"metric name {self.name!r} is empty or taken")
        _require(f"{self.name}: tolerance must be a factor of at least 1", holds=math.isfinite(self.tolerance) and self.tolerance >= 1.0)
        _require(f"{self.name}: weight must lie in (0, 10]", holds=0.0 < self.weight <= 10.0)


@dataclass(frozen=True, slots=True)
class AnalysisPolicy:
    """How a candidate is judged. Durations are seconds, tolerances and promotion bounds are factors, weights are relative.

    ``alpha`` bounds the chance of ever rolling back a candidate that keeps within the tolerances, over all hypotheses together.
    ``error_tolerance`` 1.5 means "never more than 1.5 times the errors" (odds); ``latency_tolerance_p99`` 1.05 means "5 % on p99".
    """

    alpha: float = 0.05
    error_tolerance: float = 1.0
    latency_tolerance_p50: float = 1.02
    latency_tolerance_p90: float = 1.02
    latency_tolerance_p99: float = 1.02
    promote_error_ratio: float = 2.0
    promote_slow_ratio: float = 2.0
    requests_min: int = 50
    min_s: int = 30
    warm_up_s: int = 30
    latency_patience_s: int = 38
    latency_required: bool = False
    weight_failures: float = 0.64
    weight_p50: float = 0.22
    weight_p90: float = 0.04
    weight_p99: float = 0.10
    start_now_share: float = 0.7
    start_later_mean_s: float = 1200.0
    second_opinion: float = 3.0
    learn_requests_min: int = 500
    dispersion: bool = True
    arm_noise_failures: float = 0.25
    arm_noise_latency: float = 0.08
    metrics: tuple[MetricRule, ...] = field(default_factory=tuple)

    def __post_init__(self) -> None:
        """Raises: ValueError naming the field that is out of range."""
        _require("alpha must lie in (0, 0.5)", holds=0.0 < self.alpha < 0.5)
        for name in ("error_tolerance", *(f"latency_tolerance_{q}" for q in QUANTILES)):
            _require(f"{name} must be a factor between 1 and 100", holds=1.0 <= getattr(self, name) <= 100.0)
        _require("promote_error_ratio must exceed error_tolerance", holds=self.promote_error_ratio > self.error_tolerance)
        _require("promote_slow_ratio must lie in (1, 100]", holds=1.0 < self.promote_slow_ratio <= 100.0)
        for name in ("requests_min", "min_s", "warm_up_s", "latency_patience_s", "arm_noise_failures", "arm_noise_latency"):
            _require(f"{name} must not be negative", holds=0 <= getattr(self, name) < 1e9)
        _require("learn_requests_min must be at least 100", holds=self.learn_requests_min >= 100)
        for name in ("weight_failures", *(f"weight_{q}" for q in QUANTILES)):
            _require(f"{name} must lie in [0, 10]", holds=0.0 <= getattr(self, name) <= 10.0)
        _require("weight_failures must be positive", holds=self.weight_failures > 0.0)
        _require("start_now_share must lie in (0, 1)", holds=0.0 < self.start_now_share < 1.0)
        _require("start_later_mean_s must lie in [1, 1e7]", holds=1.0 <= self.start_later_mean_s <= 1e7)
        _require("second_opinion must lie in [0, 1e6]", holds=0.0 <= self.second_opinion <= 1e6)
        _require("metric names must differ", holds=len({rule.name for rule in self.metrics}) == len(self.metrics))

    @property
    def log_threshold(self) -> float:
        """Natural log of 1/alpha, where an e-value decides."""
        return -math.log(self.alpha)

    def weights(self) -> dict[str, float]:
        """Share of alpha per hypothesis. Those that roll back sum to one; one that only holds costs nothing and is weighed beside them."""
        raw = {FAILURES: self.weight_failures}
        raw.update({f"slower_{q}": getattr(self, f"weight_{q}") for q in QUANTILES})
        raw.update({rule.name: rule.weight for rule in self.metrics})
        holding = {rule.name for rule in self.metrics if rule.criticality is Criticality.HOLD}
        total = sum(weight for name, weight in raw.items() if name not in holding)
        return {name: weight / total for name, weight in raw.items()}

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form; ``from_dict`` reads it back."""
        plain = asdict(self)
        plain["metrics"] = [
            {**asdict(r), "kind": r.kind.value, "direction": r.direction.value, "criticality": r.criticality.value} for r in self.metrics
        ]
        return {"schema": SCHEMA, **plain}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> AnalysisPolicy:
        """Read ``to_dict``'s form; missing fields take their defaults.

        Raises: ValueError for an unknown field, another schema, or a value out of range or of the wrong type.
        """
        values = dict(plain)
        if values.pop("schema", SCHEMA) != SCHEMA:
            raise ValueError(f"this version reads policies of schema {SCHEMA}")
        unknown = set(values) - {f.name for f in fields(cls)}
        if unknown:
            raise ValueError(f"unknown policy fields: {', '.join(sorted(unknown))}")
        try:
            rules = tuple(_rule(rule) for rule in values.pop("metrics", ()))
            return cls(**values, metrics=rules)
        except TypeError as error:
            raise ValueError(f"policy has a value of the wrong type: {error}") from error


def _rule(plain: Mapping[str, Any]) -> MetricRule:
    values = dict(plain)
    values["kind"] = MetricKind(values.get("kind", MetricKind.RATIO))
    values["direction"] = Direction(values.get("direction", Direction.HIGHER_IS_WORSE))
    values["criticality"] = Criticality(values.get("criticality", Criticality.ROLL_BACK))
    return MetricRule(**values)


def _require(message: str, *, holds: bool) -> None:
    if not holds:
        raise ValueError(message)
