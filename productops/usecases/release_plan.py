"""Before a release: the traffic there is, the steps that suit it, and which harm they find how fast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from productops.domain.catalog import CanaryStep, Rollout
from productops.domain.catalog_analysis import Analysis
from productops.domain.judge.planning import Forecast, auto_steps, forecast
from productops.domain.judge.planning import Step as PlannedStep
from productops.domain.judge.policy import AnalysisPolicy
from productops.domain.release import Environment, Step
from productops.store import Unit
from productops.usecases.context import Context

LOOK_BACK_S = 600
MEASURED_MIN_S = 30
REQUESTS_MIN = 100
OUTAGE = 0.3
"""Besides multiples of the usual failures: this share of the candidate's requests fails."""
FACTORS = (2.0, 5.0, 20.0)


@dataclass(frozen=True, slots=True)
class UsualTraffic:
    """What users of a service do now: requests a second, failures per request, over ``measured_s`` seconds."""

    requests_per_s: float
    failure_ratio: float
    measured_s: int


@dataclass(frozen=True, slots=True)
class HarmOutlook:
    """One harm: ``name`` in words, when it would be rolled back (``None``: not within the plan), failures that users see by then."""

    name: str
    factor: float
    detected_s: float | None
    failures: float


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a plan finds, as averages; ``certified_s``: when a good version is certified (``None``: not within the plan)."""

    traffic: UsualTraffic
    harms: tuple[HarmOutlook, ...]
    certified_s: float | None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def usual_traffic(unit: Unit, service: str, environment: Environment, version: str | None, *, now_s: int) -> UsualTraffic | None:
    """Traffic of the live version over the last ten minutes; ``None`` when too little is known to plan by."""
    if version is None:
        return None
    first_s, requests, failures = unit.seconds.traffic_of(service, environment, version, after_s=now_s - LOOK_BACK_S)
    if first_s is None or now_s - first_s < MEASURED_MIN_S or requests < REQUESTS_MIN:
        return None
    measured_s = now_s - first_s
    # Half a failure more than seen: a service without a failure yet is not one that never fails.
    return UsualTraffic(requests / measured_s, (failures + 0.5) / (requests + 1.0), measured_s)


def with_steps(rollout: Rollout, traffic: UsualTraffic | None) -> Rollout:
    """The rollout with ``steps: auto`` replaced by steps that suit the traffic; unchanged when they are declared or nothing is known."""
    canary = rollout.canary
    if canary.declared or traffic is None:
        return rollout
    found = auto_steps(
        _policy(rollout.analysis), requests_per_s=traffic.requests_per_s, error_rate=traffic.failure_ratio, decision_s=canary.decision_s
    )
    steps = tuple(CanaryStep(weight_pct=s.candidate_pct, hold_s=max(1, s.hold_s)) for s in found)
    return rollout.model_copy(update={"canary": canary.model_copy(update={"steps": steps})})


def read_usual_traffic(context: Context, service: str, environment: Environment) -> UsualTraffic | None:
    """Traffic that users of the service make now. Raises: NotFoundError, StoreUnavailableError."""
    with context.store.read() as unit:
        found = unit.traffic.find(service, environment)  # not get, which would write
        live = found.baseline_version if found else None
        return usual_traffic(unit, service, environment, live, now_s=int(context.clock.now().timestamp()))


def outlook(analysis: Analysis, steps: Sequence[Step], traffic: UsualTraffic | None) -> Outlook | None:
    """What these steps find; ``None`` without steps, known traffic, or a judge whose reactions can be foretold."""
    if traffic is None or not steps or analysis.judge != "stratified" or any(_is_partial(step) for step in steps):
        return None
    rate = traffic.failure_ratio
    factors = sorted({*(f for f in FACTORS if f * rate <= 1.0), OUTAGE / rate} if rate < OUTAGE else {1.0 / rate})
    planned = [PlannedStep(step.weight_pct, step.hold_s) for step in steps]
    rows = forecast(_policy(analysis), planned, requests_per_s=traffic.requests_per_s, error_rate=rate, harms=factors)
    harms = tuple(HarmOutlook(_name(row, rate), row.harm, row.detected_s, row.harmed_requests) for row in rows)
    return Outlook(traffic=traffic, harms=harms, certified_s=rows[0].passed_s)


def _is_partial(step: Step) -> bool:
    """Whether the candidate's share of all requests does not say how much is compared: copies, flags, some users only."""
    return step.mirror is not None or step.flag_pct is not None or bool(step.segments)


def _name(row: Forecast, rate: float) -> str:
    if row.harm in FACTORS:
        return f"errors ×{row.harm:g}"
    return f"{100.0 * row.harm * rate:.0f} % fail"


def _policy(analysis: Analysis) -> AnalysisPolicy:
    weights = analysis.weights
    return AnalysisPolicy(
        alpha=analysis.alpha, error_tolerance=analysis.error_tolerance, promote_error_ratio=analysis.certificate_ratio,
        weight_failures=weights.failures, weight_p50=weights.p50, weight_p90=weights.p90, weight_p99=weights.p99,
    )  # fmt: skip
