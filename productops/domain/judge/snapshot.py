"""What one hypothesis says after a second."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Snapshot:
    """Logs are natural. ``log_counted`` is what of ``log_e`` may act now; ``log_e_safe`` is None when nothing certifies.

    ``counts`` are the baseline's events and requests, then the candidate's; None for a level, whose facts are in ``more``.
    A snapshot never changes: what a look says can be written out later.
    """

    name: str
    log_e: float
    log_counted: float
    log_e_safe: float | None
    measured: bool
    pending: str
    counts: tuple[int, int, int, int] | None
    tolerance: float
    promote_ratio: float | None = None
    inflation: float = 1.0
    threshold_ms: float | None = None
    more: Mapping[str, Any] | None = None

    @property
    def ratio(self) -> float | None:
        """Candidate's odds over the baseline's; None when one of them is 0 or unknown."""
        if self.counts is None:
            return None
        k_a, n_a, k_b, n_b = self.counts
        if not 0 < k_a < n_a or not 0 < k_b < n_b:
            return None
        return k_b * (n_a - k_a) / ((n_b - k_b) * k_a)

    def facts(self) -> dict[str, Any]:
        """JSON-ready: the event, both arms' counts and what the bets were weakened by."""
        if self.counts is None:
            return {"tolerance": self.tolerance, **(self.more or {})}
        k_a, n_a, k_b, n_b = self.counts
        return {
            "baseline_events": k_a,
            "baseline_total": n_a,
            "candidate_events": k_b,
            "candidate_total": n_b,
            "threshold_ms": self.threshold_ms,
            "tolerance": self.tolerance,
            "promote_ratio": self.promote_ratio,
            "inflation": self.inflation,
        }
