"""What the judge reads and what it answers: seconds of traffic in, looks with a verdict out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol


class Verdict(StrEnum):
    """The answer of an analysis. An error is never a verdict: it is raised, or a reason of INCONCLUSIVE."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


QUANTILES = ("p50", "p90", "p99")
"""Latency quantiles that are always watched."""
FAILURES = "failures"


class MetricKind(StrEnum):
    """How a metric of one's own is counted."""

    RATIO = "ratio"
    COUNTER = "counter"
    SATURATION = "saturation"


class Direction(StrEnum):
    """Which way of moving is harm."""

    HIGHER_IS_WORSE = "higher_is_worse"
    LOWER_IS_WORSE = "lower_is_worse"


class Criticality(StrEnum):
    """What harm of a metric leads to: the baseline is given back, or promotion is withheld."""

    ROLL_BACK = "roll-back"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class LatencyHistogram:
    """Counts of requests by latency bucket: parallel tuples, upper bounds in milliseconds, ascending."""

    upper_ms: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Raises: ValueError when the tuples differ in length, bounds do not rise, or a count is negative."""
        if len(self.upper_ms) != len(self.counts):
            raise ValueError("upper_ms and counts differ in length")
        if any(a >= b for a, b in zip(self.upper_ms, self.upper_ms[1:], strict=False)):
            raise ValueError("upper_ms must rise")
        if any(c < 0 for c in self.counts):
            raise ValueError("counts must not be negative")

    @property
    def total(self) -> int:
        """Requests in all buckets."""
        return sum(self.counts)


@dataclass(frozen=True, slots=True)
class RatioCount:
    """Events among trials of a metric of one's own in one second, for one version (``events`` of a counter may exceed ``total``)."""

    events: int
    total: int


@dataclass(frozen=True, slots=True)
class ArmSecond:
    """One version's traffic in one second: requests answered, failures among them, and their latencies.

    The latency total may differ from ``requests`` (a failure may have no latency, a flush may lag). ``metrics`` holds values of
    metrics of one's own by name: counted events, or a level (a float) such as the CPU share.
    """

    requests: int = 0
    failures: int = 0
    latency: LatencyHistogram = field(default_factory=LatencyHistogram)
    metrics: Mapping[str, RatioCount | float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TrafficSecond:
    """Both versions in the second that began at ``at_s`` (Unix time, whole seconds).

    An arm is ``None`` when it could not be measured (scrape missed, counters reset): that is not zero requests.
    """

    at_s: int
    baseline: ArmSecond | None
    candidate: ArmSecond | None


@dataclass(frozen=True, slots=True)
class Look:
    """What the judge says after a second.

    ``log_e`` is the natural log of the strongest harm e-value (roll back at ``log(1/alpha)``), ``log_e_safe`` that of the
    weakest non-inferiority e-value (certificate at the same threshold). ``evidence`` is JSON-ready: per hypothesis its e-value,
    event, counts of both arms, and what the explanation page documents; it carries ``schema`` (an integer version).
    """

    at_s: int
    verdict: Verdict
    reason: str
    log_e: float
    log_e_safe: float
    certified: bool
    evidence: dict[str, Any]


class Judge(Protocol):
    """Anything that turns seconds into looks. Feed seconds in order; it never looks ahead."""

    def learn(self, second: TrafficSecond) -> None:
        """Take a second from before the rollout: only ``baseline`` counts, to learn quantiles and dispersion."""

    def observe(self, second: TrafficSecond) -> Look:
        """Take one second of the rollout and answer as of its end."""
