"""What a look shows: per hypothesis the counts and e-values, the accounting of alpha, and what would change the verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from productops.domain.judge.policy import FAILURES, AnalysisPolicy, Criticality
from productops.domain.judge.snapshot import Snapshot

SCHEMA = 1
LOG_MOST = 600.0
"""Evidence beyond this many nats is not told apart."""
SUSPICIOUS = 0.5
"""Share of the decision's log evidence from which on nothing is promoted."""


class Tally(NamedTuple):
    """Several hypotheses together: weighted mean of the e-values that may act now, weakest log certificate, most suspicious one.

    The certificate is the weakest among what is measured; latency counts when it is, or when the policy asks for it. ``top`` is the
    suspicious one's weighted log e-value, whether or not it may act.
    """

    mean: float
    safe: float
    worst: Snapshot | None
    top: float

    def join(self, other: Tally) -> Tally:
        """Both together."""
        more = self if self.top >= other.top else other
        return Tally(self.mean + other.mean, min(self.safe, other.safe), more.worst, more.top)

    @property
    def log_e(self) -> float:
        """Log of the mean."""
        return math.log(self.mean) if self.mean > 0.0 else -math.inf


class Accounts:
    """The policy's share of alpha per hypothesis, in the forms the looks need."""

    def __init__(self, policy: AnalysisPolicy) -> None:
        self.policy = policy
        self.weights = policy.weights()
        self.log_weights = {name: math.log(max(weight, 1e-300)) for name, weight in self.weights.items()}
        self.threshold = policy.log_threshold
        self._holding = {rule.name for rule in policy.metrics if rule.criticality is Criticality.HOLD}

    def tally(self, snapshots: Sequence[Snapshot]) -> Tally:
        """What some of the hypotheses say together."""
        mean, safe, worst, top = 0.0, math.inf, None, -math.inf
        for s in snapshots:
            if s.name not in self._holding:
                mean += self.weights[s.name] * math.exp(min(LOG_MOST, s.log_counted))
            if s.log_e_safe is not None and s.log_e_safe < safe and self.needs(s):
                safe = s.log_e_safe
            value = self.log_weights[s.name] + s.log_e
            if value > top:
                worst, top = s, value
        return Tally(mean, safe, worst, top)

    def needs(self, snapshot: Snapshot) -> bool:
        """Whether promotion waits for this hypothesis."""
        return snapshot.measured or snapshot.name == FAILURES or (self.policy.latency_required and snapshot.log_e_safe is not None)

    def harm_reason(self, snapshots: Sequence[Snapshot]) -> str:
        """What the candidate is given up for."""
        worst = max((s for s in snapshots if s.name not in self._holding), key=lambda s: self.log_weights[s.name] + s.log_counted)
        if worst.counts is None:
            return f"{worst.name}: the candidate stands above the baseline beyond the tolerance"
        k_a, n_a, k_b, n_b = worst.counts
        times = f"{worst.ratio:.1f} times the odds of the baseline" if worst.ratio is not None else "no odds to compare"
        return f"{worst.name}: {k_b} of {n_b} requests on the candidate, {k_a} of {n_a} on the baseline ({times})"

    def waiting(self, snapshots: Sequence[Snapshot], tally: Tally, *, requests: Sequence[int], age_s: float, certified: bool) -> str:
        """Why nothing is decided, as a person would say it; empty when the candidate may be promoted."""
        needed = max(self.policy.requests_min, 1)
        for count, name in ((requests[1], "candidate"), (requests[0], "baseline")):
            if count < needed:
                return f"only {count} of {needed} requests on the {name}"
        worst = tally.worst
        if worst is not None and tally.top >= SUSPICIOUS * self.threshold:
            return f"{worst.name} looks worse than the baseline, not yet beyond doubt" + (f": {worst.pending}" if worst.pending else "")
        if age_s < self.policy.min_s:
            return f"only {age_s:.0f} of {self.policy.min_s} s watched"
        return "" if certified else self._uncertified(snapshots)

    def _uncertified(self, snapshots: Sequence[Snapshot]) -> str:
        weakest = min((s for s in snapshots if s.log_e_safe is not None and self.needs(s)), key=lambda s: s.log_e_safe or 0.0)
        value = weakest.log_e_safe
        if value is None or not math.isfinite(value):
            return f"{weakest.name} is still warming up or has no data"
        bound, share = weakest.promote_ratio, min(0.99, max(0.0, value / self.threshold))
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
            "hypotheses": {s.name: self._show(s, age_s) for s in snapshots},
            "next": self._outlook(snapshots, log_safe, age_s),
        }

    def _show(self, snapshot: Snapshot, age_s: float) -> dict[str, Any]:
        weight = self.weights[snapshot.name]
        needed = self.threshold - self.log_weights[snapshot.name]
        acts = snapshot.name not in self._holding
        return {
            "event": _event(snapshot),
            "arm": "candidate",
            "log_e_needed": _finite(needed),
            "failed_in_s": _seconds_to(needed, snapshot.log_e, age_s) if acts else None,
            "passed_in_s": _seconds_to(self.threshold, snapshot.log_e_safe, age_s),
            "log_e": _finite(snapshot.log_e),
            "log_e_counted": _finite(snapshot.log_counted),
            "log_e_safe": _finite(snapshot.log_e_safe),
            "weight": weight,
            "alpha_share": self.policy.alpha * weight if acts else 0.0,
            "criticality": (Criticality.ROLL_BACK if acts else Criticality.HOLD).value,
            "measured": snapshot.measured,
            "pending": snapshot.pending,
            "ratio": snapshot.ratio,
            **snapshot.facts(),
        }

    def _outlook(self, snapshots: Sequence[Snapshot], log_safe: float, age_s: float) -> dict[str, Any]:
        """Expected seconds to a certificate and to a roll-back if things go on as they did, and what would turn the verdict."""
        failures = snapshots[0]
        worst = self.tally(snapshots).worst or failures
        _, n_a, _, n_b = failures.counts or (0, 0, 0, 0)
        gap = self.threshold - self.log_weights[FAILURES] - failures.log_counted
        # A lone failure on the candidate is worth at most log(1 / its share of the traffic).
        per_failure = 0.8 * math.log((n_a + n_b) / n_b) if n_a and n_b else 0.0
        return {
            "passed_in_s": _seconds_to(self.threshold, log_safe, age_s),
            "failed_in_s": _seconds_to(self.threshold - self.log_weights[worst.name], worst.log_e, age_s),
            "failures_to_fail": max(0, math.ceil(gap / per_failure)) if per_failure > 0.0 and gap < math.inf else None,
            "worst": worst.name,
        }


def _event(snapshot: Snapshot) -> str:
    """What is counted against the candidate."""
    if snapshot.threshold_ms is not None:
        return f"slower than {snapshot.threshold_ms:g} ms"
    return "failed" if snapshot.name == FAILURES else snapshot.name


def _seconds_to(target: float, value: float | None, age_s: float) -> float | None:
    """Seconds until a log e-value that grew evenly so far reaches its target; None when it does not grow."""
    if value is None or not 0.3 < value < math.inf or age_s <= 0.0:
        return None
    return max(0.0, (target - value) * age_s / value)


def _finite(value: float | None) -> float | None:
    return value if value is not None and -math.inf < value < math.inf else None
