"""Totals of one version's traffic over some seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from productops.domain.analysis import ArmSecond, LatencyHistogram


@dataclass(frozen=True, slots=True)
class ArmSummary:
    """Requests, failures and latency quantiles (milliseconds, ``None`` without data) of one version."""

    requests: int
    failures: int
    p50_ms: float | None
    p99_ms: float | None

    @property
    def failure_ratio(self) -> float | None:
        """Failures per request; None without requests."""
        return self.failures / self.requests if self.requests else None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        ratio = self.failure_ratio
        return {
            "requests": self.requests,
            "failures": self.failures,
            "failure_ratio": round(ratio, 6) if ratio is not None else None,
            "p50_ms": self.p50_ms,
            "p99_ms": self.p99_ms,
        }


def quantile_ms(histogram: LatencyHistogram, q: float) -> float | None:
    """Upper bound of the bucket that holds the q-quantile (0 to 1), in milliseconds; None without data."""
    total = histogram.total
    if not total:
        return None
    seen, wanted = 0, q * total
    for upper, count in zip(histogram.upper_ms, histogram.counts, strict=True):
        seen += count
        if seen >= wanted:
            return upper
    return histogram.upper_ms[-1]


def summarise(seconds: Sequence[ArmSecond], latency: LatencyHistogram) -> ArmSummary:
    """Totals of ``seconds`` with the quantiles of their merged ``latency``."""
    return ArmSummary(
        requests=sum(s.requests for s in seconds),
        failures=sum(s.failures for s in seconds),
        p50_ms=quantile_ms(latency, 0.5),
        p99_ms=quantile_ms(latency, 0.99),
    )
