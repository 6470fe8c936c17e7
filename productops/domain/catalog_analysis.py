"""How a candidate is judged, as the catalog's YAML names it."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from productops.domain.analysis import FAILURES, QUANTILES, Criticality, Direction, MetricKind

JudgeName = Literal["stratified", "kayenta", "threshold"]
TAKEN = frozenset({FAILURES, *(f"slower_{q}" for q in QUANTILES)})


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CustomMetric(_Strict):
    """A metric of one's own: carts per visit, retries per request, CPU share."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,62}$", description="Lower case letters, digits and '_'.")
    kind: MetricKind = Field(default=MetricKind.RATIO, description="Events among trials, events per request, or a level.")
    direction: Direction = Field(default=Direction.HIGHER_IS_WORSE, description="Which way of moving is harm.")
    tolerance: float = Field(default=1.1, ge=1, le=100, description="Worsening nobody minds, as a factor: 1.1 is 10 %.")
    weight: float = Field(default=0.1, gt=0, le=10, description="Share of alpha, relative to the other weights.")
    criticality: Criticality = Field(
        default=Criticality.ROLL_BACK, description="'roll-back': harm gives the baseline back. 'hold': harm only withholds promotion."
    )
    source: str = Field(default="", max_length=63, description="Metric source that is asked for it; empty: it is sent to us.")
    query: str = Field(
        default="", max_length=10_000, description="Question for events, or the level. {service}, {environment}, {version}, {interval}."
    )
    query_total: str = Field(default="", max_length=10_000, description="Question for the trials (kind ratio) or requests (kind counter).")

    @model_validator(mode="after")
    def _free(self) -> Self:
        if self.name in TAKEN:
            raise ValueError(f"the name {self.name!r} is taken: the judge watches it anyway")
        return self

    @model_validator(mode="after")
    def _asked(self) -> Self:
        if not self.source and (self.query or self.query_total):
            raise ValueError(f"metric {self.name!r} has a query but no source to ask")
        if self.source and not self.query:
            raise ValueError(f"metric {self.name!r} names the source {self.source!r} but no query")
        if self.source and (self.kind is MetricKind.SATURATION) == bool(self.query_total):
            wanted = "has no query_total: it is a level" if self.query_total else "needs query_total: what its events are counted among"
            raise ValueError(f"metric {self.name!r} of kind {self.kind} {wanted}")
        return self


class Weights(_Strict):
    """How alpha is shared among what is always watched; relative, 0 leaves one out."""

    failures: float = Field(default=0.64, gt=0, le=10)
    p50: float = Field(default=0.22, ge=0, le=10)
    p90: float = Field(default=0.04, ge=0, le=10)
    p99: float = Field(default=0.10, ge=0, le=10)


class Kayenta(_Strict):
    """``judge: kayenta``: Mann-Whitney on aggregates by the minute, under Kayenta's own names."""

    step_s: int = Field(default=60, ge=1, le=3600, description="Seconds per aggregate.")
    interval_s: int = Field(default=300, ge=1, le=86_400, description="How often it judges.")
    final_s: int = Field(default=1800, ge=1, le=604_800, description="When it ends.")
    confidence: float = Field(default=0.98, gt=0.5, lt=1)
    tolerance: float = Field(default=0.25, ge=0, le=10, description="High when the interval's low end exceeds this share of the estimate.")
    pass_score: float = Field(default=95.0, ge=0, le=100)
    marginal_score: float = Field(default=75.0, ge=0, le=100)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.step_s <= self.interval_s <= self.final_s:
            raise ValueError("step_s, interval_s and final_s must rise")
        if self.marginal_score > self.pass_score:
            raise ValueError("marginal_score must not exceed pass_score")
        return self


class Thresholds(_Strict):
    """``judge: threshold``: limits by the interval, as Argo Rollouts and Flagger have them. No statistics, no baseline."""

    failure_ratio: float | None = Field(default=None, ge=0, le=1, description="Most failures per request.")
    latency_p50_ms: float | None = Field(default=None, gt=0)
    latency_p90_ms: float | None = Field(default=None, gt=0)
    latency_p95_ms: float | None = Field(default=None, gt=0)
    latency_p99_ms: float | None = Field(default=None, gt=0)
    interval_s: int = Field(default=60, ge=1, le=86_400)
    count: int = Field(default=30, ge=1, le=100_000, description="Measurements until it passes.")
    failure_limit: int = Field(default=3, ge=0, le=100_000, description="Failed measurements that are forgiven.")
    consecutive: bool = Field(default=False, description="Only failures in a row count.")

    def limits(self) -> dict[str, float]:
        """Limits by the value they are for; those that are not set are missing."""
        values = ("failure_ratio", "latency_p50_ms", "latency_p90_ms", "latency_p95_ms", "latency_p99_ms")
        return {name: limit for name in values if (limit := getattr(self, name)) is not None}


class Analysis(_Strict):
    """How the candidate is judged."""

    judge: JudgeName = Field(default="stratified", description="'kayenta' and 'threshold' are for those who come from there.")
    alpha: float = Field(default=0.05, gt=0, lt=0.5, description="Largest chance of rolling back a good version.")
    error_tolerance: float = Field(default=1.0, ge=1, le=100, description="Failures nobody minds, as a factor of the baseline's odds.")
    latency_tolerance_p50: float = Field(default=1.025, ge=1, le=100, description="Slower medians nobody minds: 1.025 is 2.5 %.")
    latency_tolerance_p90: float = Field(default=1.03, ge=1, le=100, description="The same for the 90th percentile.")
    latency_tolerance_p99: float = Field(default=1.05, ge=1, le=100, description="The same for the 99th percentile.")
    certificate_ratio: float = Field(default=2.0, gt=1, le=100, description="Certified when failures and slow requests stay below this.")
    requests_min: int = Field(default=50, ge=1, le=10_000_000, description="Below this many candidate requests nothing is certified.")
    watch_min_s: int = Field(default=30, ge=0, le=86_400, description="Seconds to watch before a certificate ends a step.")
    warm_up_s: int = Field(default=30, ge=0, le=3600, description="Latency of a cold candidate is not judged for so long.")
    latency_patience_s: int = Field(
        default=38, ge=0, le=3600, description="Slowness counts once it has lasted so long: cold caches and scaling end before."
    )
    weights: Weights = Weights()
    metrics: tuple[CustomMetric, ...] = Field(default=(), max_length=50, description="Metrics of your own.")
    unmeasured_max_s: float = Field(
        default=30.0, ge=2, le=600,
        description="Longest time without any measurement of the candidate; then users get the baseline. A shorter gap holds the step.",
    )  # fmt: skip
    metrics_lag_s: int = Field(default=5, ge=0, le=600, description="Metrics of your own are judged so much later: they arrive late.")
    kayenta: Kayenta = Kayenta()
    thresholds: Thresholds = Thresholds()
    promote_on: Literal["certificate", "hold"] = Field(
        default="hold", description="'certificate': a step ends as soon as it is certified. 'hold': it always takes its full time."
    )
    on_inconclusive: Literal["proceed", "extend", "pause", "roll-back"] = Field(
        default="pause",
        description="When a hold ends with too little evidence: go on; hold again, at most 3 times, then roll back; "
        "wait for a person; or roll back.",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.certificate_ratio <= self.error_tolerance:
            raise ValueError("certificate_ratio must exceed error_tolerance")
        names = [metric.name for metric in self.metrics]
        if len(set(names)) < len(names):
            raise ValueError(f"metric names must differ, got {names}")
        if self.judge == "threshold" and not self.thresholds.limits():
            raise ValueError("judge is threshold, but thresholds has no limit, e.g. failure_ratio: 0.01")
        return self
