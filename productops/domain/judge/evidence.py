"""What a look shows: per hypothesis the counts and e-values, the accounting of alpha, and what would change the verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from productops.domain.judge.policy import FAILURES, AnalysisPolicy
from productops.domain.judge.snapshot import Snapshot

SCHEMA = 1
SUSPICIOUS = 0.5
"""Share of the decision's log evidence from which on nothing is promoted."""


class Accounts:
    """The policy's share of alpha per hypothesis, in the forms the looks need."""

    def __init__(self, policy: AnalysisPolicy) -> None:
        self.policy = policy
        self.weights = policy.weights()
        self.log_weights = {name: math.log(max(weight, 1e-300)) for name, weight in self.weights.items()}
        self.threshold = policy.log_threshold

    def total(self, snapshots: Sequence[Snapshot]) -> float:
        """Log of the weighted mean of the e-values that may act now."""
        values = [self.log_weights[s.name] + s.log_counted for s in snapshots]
        top = max(values)
        return top + math.log(sum([math.exp(v - top) for v in values])) if top > -math.inf else top

    def certificate(self, snapshots: Sequence[Snapshot]) -> float:
        """Weakest non-inferiority e-value among what is measured; latency counts when it is, or when the policy asks for it."""
        return min([s.log_e_safe for s in snapshots if s.log_e_safe is not None and self.needs(s)], default=-math.inf)

    def needs(self, snapshot: Snapshot) -> bool:
        """Whether promotion waits for this hypothesis."""
        return snapshot.measured or snapshot.name == FAILURES or (self.policy.latency_required and snapshot.log_e_safe is not None)

    def worst(self, snapshots: Sequence[Snapshot]) -> Snapshot:
        """The hypothesis with the most evidence of harm, whether or not it may act."""
        best, top = snapshots[0], -math.inf
        for snapshot in snapshots:
            value = self.log_weights[snapshot.name] + snapshot.log_e
            if value > top:
                best, top = snapshot, value
        return best

    def waiting(self, snapshots: Sequence[Snapshot], *, requests: Sequence[int], age_s: float, certified: bool) -> str:
        """Why nothing is decided, as a person would say it; empty when the candidate may be promoted."""
        needed = max(self.policy.requests_min, 1)
        for count, name in ((requests[1], "candidate"), (requests[0], "baseline")):
            if count < needed:
                return f"only {count} of {needed} requests on the {name}"
        worst = self.worst(snapshots)
        if self.log_weights[worst.name] + worst.log_e >= SUSPICIOUS * self.threshold:
            return f"{worst.name} looks worse than the baseline, not yet beyond doubt" + (f": {worst.pending}" if worst.pending else "")
        if age_s < self.policy.min_s:
            return f"only {age_s:.0f} of {self.policy.min_s} s watched"
        return "" if certified else self._uncertified(snapshots)

    def _uncertified(self, snapshots: Sequence[Snapshot]) -> str:
        weakest = min((s for s in snapshots if s.log_e_safe is not None and self.needs(s)), key=lambda s: s.log_e_safe or 0.0)
        value = weakest.log_e_safe
        if value is None or not math.isfinite(value):
            return f"{weakest.name} is still warming up or has no data"
        bound, share = weakest.facts["promote_ratio"], min(0.99, max(0.0, value / self.threshold))
        return f"not yet sure that {weakest.name} stays below {bound:g} times the baseline ({share:.0%} of the evidence needed)"

    def evidence(
        self, snapshots: Sequence[Snapshot], *, log_e: float, log_safe: float, requests: Sequence[int], age_s: float
    ) -> dict[str, Any]:
        """JSON-ready: floats are finite (None for "nothing yet")."""
        return {
            "schema": SCHEMA,
            "judge": "stratified",
            "threshold": self.threshold,
            "log_e": _finite(log_e),
            "log_e_safe": _finite(log_safe),
            "age_s": age_s,
            "baseline_requests": requests[0],
            "candidate_requests": requests[1],
            "hypotheses": {s.name: s.shown or self._show(s) for s in snapshots},
            "next": self._outlook(snapshots, log_safe, age_s),
        }

    def _show(self, snapshot: Snapshot) -> dict[str, Any]:
        weight = self.weights[snapshot.name]
        snapshot.shown = {
            "log_e": _finite(snapshot.log_e),
            "log_e_counted": _finite(snapshot.log_counted),
            "log_e_safe": _finite(snapshot.log_e_safe),
            "weight": weight,
            "alpha_share": self.policy.alpha * weight,
            "measured": snapshot.measured,
            "pending": snapshot.pending,
            "ratio": odds_ratio(snapshot.facts),
            **snapshot.facts,
        }
        return snapshot.shown

    def _outlook(self, snapshots: Sequence[Snapshot], log_safe: float, age_s: float) -> dict[str, Any]:
        """Expected seconds to a certificate and to a roll-back if things go on as they did, and what would turn the verdict."""
        failures = snapshots[0]
        facts = failures.facts
        gap = self.threshold - self.log_weights[FAILURES] - failures.log_counted
        n_a, n_b = facts["baseline_total"], facts["candidate_total"]
        worst = self.worst(snapshots)
        # A lone failure on the candidate is worth at most log(1 / its share of the traffic).
        per_failure = 0.8 * math.log((n_a + n_b) / n_b) if n_a and n_b else 0.0
        return {
            "passed_in_s": _seconds_to(self.threshold, log_safe, age_s),
            "failed_in_s": _seconds_to(self.threshold - self.log_weights[worst.name], worst.log_e, age_s),
            "failures_to_fail": max(0, math.ceil(gap / per_failure)) if per_failure > 0.0 and gap < math.inf else None,
        }


def odds_ratio(facts: Mapping[str, Any]) -> float | None:
    """Candidate's odds over the baseline's; None when one of them is 0 or unknown."""
    k_b = facts.get("candidate_events")
    if not k_b:
        return None
    k_a, n_a, n_b = facts["baseline_events"], facts["baseline_total"], facts["candidate_total"]
    if not 0 < k_a < n_a or k_b >= n_b:
        return None
    return float(k_b * (n_a - k_a) / ((n_b - k_b) * k_a))


def _seconds_to(target: float, value: float | None, age_s: float) -> float | None:
    """Seconds until a log e-value that grew evenly so far reaches its target; None when it does not grow."""
    if value is None or not 0.3 < value < math.inf or age_s <= 0.0:
        return None
    return max(0.0, (target - value) * age_s / value)


def _finite(value: float | None) -> float | None:
    return value if value is not None and -math.inf < value < math.inf else None
