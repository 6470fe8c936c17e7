"""Numbers of a run, by version."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from examples.load.model import Response

NO_VERSION = "none"
_HEADINGS = (
    f"{'version':<12}{'requests':>9}{'5xx':>7}{'4xx':>7}{'transp.':>8}{'failed %':>9}"
    f"{'p50 ms':>9}{'p90 ms':>9}{'p99 ms':>9}{'max ms':>9}  first failure (UTC)"
)


@dataclass(frozen=True, slots=True)
class VersionReport:
    """What users of one version got; ``version`` is ``"none"`` for answers without the header and for transport errors.

    ``server_errors`` are answers from 500 up, ``client_errors`` from 400 to 499. Latencies are milliseconds over answered
    requests of any status, by nearest rank, NaN when there were none. Times are unix seconds of the end of a request.
    """

    version: str
    requests: int
    server_errors: int
    client_errors: int
    transport_errors: int
    latency_ms_p50: float
    latency_ms_p90: float
    latency_ms_p99: float
    latency_ms_max: float
    first_seen_at: float
    last_seen_at: float
    first_failure_at: float | None

    @property
    def failures(self) -> int:
        """Requests that let a user down."""
        return self.server_errors + self.transport_errors

    @property
    def failure_share(self) -> float:
        """Failures over requests, 0 to 1."""
        return self.failures / self.requests


@dataclass(frozen=True, slots=True)
class LoadReport:
    """A whole run. ``unfinished`` requests had no answer when the run ended and are in no other number.

    ``lag_ms_p99`` is how late the generator itself handled arrivals (NaN in a closed loop): when it is large, distrust the latencies.
    """

    started_at: float
    duration_s: float
    requests: int
    rate: float
    server_errors: int
    client_errors: int
    transport_errors: dict[str, int]
    statuses: dict[int, int]
    unfinished: int
    lag_ms_p99: float
    versions: dict[str, VersionReport] = field(default_factory=dict)

    @property
    def failures(self) -> int:
        """Answers from 500 up and requests without an answer."""
        return self.server_errors + sum(self.transport_errors.values())

    def first_failure_at(self, version: str) -> float | None:
        """Unix time at which the first failure of a version reached a user; ``None`` when none did."""
        report = self.versions.get(version)
        return report.first_failure_at if report else None

    def to_json(self) -> dict[str, Any]:
        """Everything as JSON values; what could not be measured is null."""
        value: dict[str, Any] = _without_nan(asdict(self))
        return value

    def to_text(self) -> str:
        """A table for people."""
        errors = ", ".join(f"{count} {name}" for name, count in sorted(self.transport_errors.items())) or "none"
        lag = "closed loop" if math.isnan(self.lag_ms_p99) else f"generator lag p99 {self.lag_ms_p99:.1f} ms"
        summary = f"{self.requests} requests in {self.duration_s:.1f} s ({self.rate:.1f}/s), {self.unfinished} unfinished, {lag}"
        rows = [_row(self.versions[name]) for name in sorted(self.versions)]
        return "\n".join([summary, f"transport errors: {errors}", _HEADINGS, *rows])


def _row(v: VersionReport) -> str:
    first = "-" if v.first_failure_at is None else datetime.fromtimestamp(v.first_failure_at, UTC).isoformat("T", "milliseconds")[:-6]
    return (
        f"{v.version:<12}{v.requests:>9}{v.server_errors:>7}{v.client_errors:>7}{v.transport_errors:>8}{v.failure_share:>9.2%}"
        f"{v.latency_ms_p50:>9.1f}{v.latency_ms_p90:>9.1f}{v.latency_ms_p99:>9.1f}{v.latency_ms_max:>9.1f}  {first}"
    )


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _without_nan(item) for key, item in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value


def percentile(ascending: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` (0 to 1] of the values do not exceed; NaN of nothing.

    Source: nearest-rank definition, Hyndman and Fan 1996, definition 1.
    """
    if not ascending:
        return math.nan
    return ascending[max(0, math.ceil(share * len(ascending) - 1e-9) - 1)]


class _VersionTally:
    """Running numbers of one version; 8 bytes per answered request."""

    def __init__(self, first: Response) -> None:
        self.requests = 0
        self.server_errors = 0
        self.client_errors = 0
        self.transport_errors = 0
        self.latencies_ms = array("d")
        self.first_seen_at = first.ended_unix_s
        self.last_seen_at = first.ended_unix_s
        self.first_failure_at: float | None = None

    def add(self, response: Response) -> None:
        self.requests += 1
        self.last_seen_at = response.ended_unix_s
        if response.failed and self.first_failure_at is None:
            self.first_failure_at = response.ended_unix_s
        if response.status is None:
            self.transport_errors += 1
            return
        self.server_errors += response.status >= 500
        self.client_errors += 400 <= response.status < 500
        self.latencies_ms.append(response.latency_ms)

    def report(self, version: str) -> VersionReport:
        ascending = sorted(self.latencies_ms)
        return VersionReport(
            version=version,
            requests=self.requests,
            server_errors=self.server_errors,
            client_errors=self.client_errors,
            transport_errors=self.transport_errors,
            latency_ms_p50=percentile(ascending, 0.50),
            latency_ms_p90=percentile(ascending, 0.90),
            latency_ms_p99=percentile(ascending, 0.99),
            latency_ms_max=ascending[-1] if ascending else math.nan,
            first_seen_at=self.first_seen_at,
            last_seen_at=self.last_seen_at,
            first_failure_at=self.first_failure_at,
        )


class Tally:
    """Collects responses; :meth:`report` may be asked at any time."""

    def __init__(self, *, started_unix_s: float, started_monotonic_s: float) -> None:
        self._started_unix_s = started_unix_s
        self._started_monotonic_s = started_monotonic_s
        self._versions: dict[str, _VersionTally] = {}
        self._statuses: Counter[int] = Counter()
        self._transport_errors: Counter[str] = Counter()
        self._lags_ms = array("d")

    def add_lag(self, lag_s: float) -> None:
        """Note how late an arrival was handled."""
        self._lags_ms.append(lag_s * 1000)

    def add(self, response: Response) -> None:
        """Count one response."""
        if response.status is not None:
            self._statuses[response.status] += 1
        if response.error is not None:
            self._transport_errors[response.error.value] += 1
        version = response.version or NO_VERSION
        tally = self._versions.get(version)
        if tally is None:
            tally = self._versions[version] = _VersionTally(response)
        tally.add(response)

    def report(self, *, now_monotonic_s: float, unfinished: int) -> LoadReport:
        """The numbers so far."""
        duration_s = now_monotonic_s - self._started_monotonic_s
        requests = sum(tally.requests for tally in self._versions.values())
        return LoadReport(
            started_at=self._started_unix_s,
            duration_s=duration_s,
            requests=requests,
            rate=requests / duration_s if duration_s > 0 else 0.0,
            server_errors=sum(tally.server_errors for tally in self._versions.values()),
            client_errors=sum(tally.client_errors for tally in self._versions.values()),
            transport_errors=dict(self._transport_errors),
            statuses=dict(sorted(self._statuses.items())),
            unfinished=unfinished,
            lag_ms_p99=percentile(sorted(self._lags_ms), 0.99),
            versions={version: tally.report(version) for version, tally in sorted(self._versions.items())},
        )
