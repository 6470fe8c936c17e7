"""Before a rollout: which share of the traffic, held for how long, finds which harm, and what that costs users."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product

from productops.domain.judge.policy import FAILURES, AnalysisPolicy

MIXTURE_NATS = 1.6
"""What not knowing the harm and its beginning costs, in nats: measured on the simulator (1.3 to 1.9)."""
SHARES_PCT = (1, 2, 5, 10, 20, 30, 50)
HARMS = (2.0, 5.0, 20.0)
"""Factors on the baseline's errors that the automatic steps hedge against, equally likely."""


@dataclass(frozen=True, slots=True)
class Step:
    """A share of the traffic (per cent, 0 to 100) held for some seconds."""

    candidate_pct: int
    hold_s: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """One harm under one plan: ``detected_s`` expected seconds to roll back (None: not within the plan), failures by then."""

    harm: float
    detected_s: float | None
    harmed_requests: float
    passed_s: float | None


def growth_per_s(*, requests_per_s: float, candidate_pct: float, error_rate: float, harm: float, tolerance: float = 1.0) -> float:
    """Expected nats of evidence per second when the candidate fails ``harm`` times as often as the baseline.

    Relative entropy of "whose failure is it" (binary) times failures per second.
    Raises: ValueError when a number is out of range.
    """
    if requests_per_s < 0.0 or not 0.0 < candidate_pct < 100.0 or not 0.0 < error_rate < 1.0 or harm <= 0.0:
        raise ValueError("need requests_per_s >= 0, candidate_pct in (0, 100), error_rate in (0, 1), harm > 0")
    share = candidate_pct / 100.0
    bad = min(1.0, error_rate * harm)
    ours, theirs = requests_per_s * (1.0 - share) * error_rate, requests_per_s * share * bad
    p = theirs / (ours + theirs)
    q = share * tolerance / (share * tolerance + 1.0 - share)
    if harm <= tolerance or p <= q:
        return 0.0
    return (ours + theirs) * (p * math.log(p / q) + (1.0 - p) * math.log((1.0 - p) / (1.0 - q)))


def needed_nats(policy: AnalysisPolicy) -> float:
    """Evidence to roll back on failures, including what the mixtures and the shared alpha cost."""
    return policy.log_threshold - math.log(policy.weights()[FAILURES]) + MIXTURE_NATS


def forecast(
    policy: AnalysisPolicy, steps: Sequence[Step], *, requests_per_s: float, error_rate: float, harms: Sequence[float] = HARMS
) -> list[Forecast]:
    """Expected time and cost to find each harm under these steps, and to certify a good candidate.

    Averages: half of the rollouts take longer, the unlucky twentieth about two and a half times as long.
    Raises: ValueError when there are no steps or a number is out of range.
    """
    if not steps:
        raise ValueError("a plan needs at least one step")
    passed_s = _walk(steps, _safe_growths(policy, steps, requests_per_s, error_rate), policy.log_threshold + 0.4)[0]
    result = []
    for harm in harms:
        growths = [_harm_growth(policy, step, requests_per_s, error_rate, harm) for step in steps]
        detected_s, exposed = _walk(steps, growths, needed_nats(policy))
        extra = min(1.0, error_rate * harm) - error_rate
        result.append(Forecast(harm, detected_s, max(0.0, exposed * requests_per_s * extra), passed_s))
    return result


def auto_steps(
    policy: AnalysisPolicy, *, requests_per_s: float, error_rate: float, decision_s: int, find: float = 2.0, steps_max: int = 3
) -> list[Step]:
    """The steps that harm the fewest users on average over HARMS, among those that find ``find`` within ``decision_s``.

    When no plan can, the one that gathers most evidence: half of the traffic all the time.
    Raises: ValueError when a number is out of range.
    """
    if decision_s < 10 or steps_max < 1:
        raise ValueError("decision_s must be at least 10 and steps_max at least 1")
    best, best_cost = [Step(50, decision_s)], math.inf
    for size in range(1, steps_max + 1):
        for shares, cuts in product(combinations(SHARES_PCT, size), combinations(range(1, 10), size - 1)):
            ends = [round(decision_s * c / 10) for c in (*cuts, 10)]
            plan = [Step(pct, end - start) for pct, start, end in zip(shares, [0, *ends[:-1]], ends, strict=True)]
            cost = _cost(policy, plan, requests_per_s=requests_per_s, error_rate=error_rate, find=find)
            if cost < best_cost - 1e-9:
                best, best_cost = plan, cost
    return best


def _cost(policy: AnalysisPolicy, plan: Sequence[Step], *, requests_per_s: float, error_rate: float, find: float) -> float:
    rows = forecast(policy, plan, requests_per_s=requests_per_s, error_rate=error_rate, harms=(find, *HARMS))
    if rows[0].detected_s is None:
        return math.inf
    return sum(row.harmed_requests for row in rows[1:])


def _compared(step: Step, requests_per_s: float) -> tuple[float, float]:
    """(requests a second of both arms, candidate's per cent of them). At 100 % the baseline's own past stands in, second for second."""
    return (2.0 * requests_per_s, 50.0) if step.candidate_pct >= 100 else (requests_per_s, float(step.candidate_pct))


def _harm_growth(policy: AnalysisPolicy, step: Step, requests_per_s: float, error_rate: float, harm: float) -> float:
    if step.candidate_pct <= 0:
        return 0.0
    both, pct = _compared(step, requests_per_s)
    return growth_per_s(requests_per_s=both, candidate_pct=pct, error_rate=error_rate, harm=harm, tolerance=policy.error_tolerance)


def _safe_growths(policy: AnalysisPolicy, steps: Sequence[Step], requests_per_s: float, error_rate: float) -> list[float]:
    """Nats per second towards "not promote_error_ratio times as bad" while the candidate is as good as the baseline."""
    result = []
    for step in steps:
        if step.candidate_pct <= 0:
            result.append(0.0)
            continue
        both, pct = _compared(step, requests_per_s)
        share, bound = pct / 100.0, policy.promote_error_ratio
        q = share * bound / (share * bound + 1.0 - share)
        entropy = share * math.log(share / q) + (1.0 - share) * math.log((1.0 - share) / (1.0 - q))
        result.append(both * error_rate * entropy)
    return result


def _walk(steps: Sequence[Step], growths: Sequence[float], needed: float) -> tuple[float | None, float]:
    """(seconds until the evidence suffices or None, candidate's share-seconds until then)."""
    elapsed = exposed = gathered = 0.0
    for step, growth in zip(steps, growths, strict=True):
        share = step.candidate_pct / 100.0
        if growth > 0.0 and gathered + growth * step.hold_s >= needed:
            # A verdict comes at the end of a second.
            last = max(1.0 - elapsed, (needed - gathered) / growth)
            return elapsed + last, exposed + share * last
        elapsed += step.hold_s
        exposed += share * step.hold_s
        gathered += growth * step.hold_s
    return None, exposed
