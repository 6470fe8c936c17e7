"""What metric sources share that answer counts by interval instead of running totals."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from productops.adapters.safe_http import SafeHttp
from productops.domain.analysis import ArmSecond
from productops.domain.judge.policy import MetricKind
from productops.domain.monitoring_sources import MetricQuery, Values, Window, fill, finite, ratio_counts
from productops.domain.routing import VersionKey
from productops.errors import UnsupportedError


@dataclass(frozen=True, slots=True)
class CountQueries:
    """How to ask for requests and failures of a version."""

    requests: str
    failures: str


class IntervalSource(ABC):
    """The ``MetricSource`` port over ``_intervals``. Latencies are not to be had in a form that can be judged."""

    def __init__(self, http: SafeHttp, *, name: str, interval_s: int, lag_s: int, traffic: CountQueries | None) -> None:
        self.name, self.interval_s, self.lag_s = name, interval_s, lag_s
        self._http, self._queries = http, traffic

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def metric(self, query: MetricQuery, key: VersionKey, window: Window) -> Values:
        """A metric of one version. Raises: MetricSourceError, RateLimitedError, InvalidInputError for a query it refuses."""
        events = self._read(query.query, key, window)
        if query.kind is MetricKind.SATURATION:
            return events
        return ratio_counts(events, self._read(query.query_total, key, window), query.kind)

    def traffic(self, key: VersionKey, window: Window) -> Mapping[int, ArmSecond]:
        """Requests and failures by interval. Raises: as ``metric``, and UnsupportedError without queries for traffic."""
        if self._queries is None:
            raise UnsupportedError(f"the metric source {self.name!r} was not told how to ask for traffic: give it traffic.requests")
        requests, failures = (self._read(q, key, window) for q in (self._queries.requests, self._queries.failures))
        return {
            point: ArmSecond(max(round(requests[point]), round(failures[point])), round(failures[point]))
            for point in sorted(requests.keys() & failures.keys())
        }  # fmt: skip

    def _read(self, template: str, key: VersionKey, window: Window) -> dict[int, float]:
        values = self._intervals(fill(template, key, step_s=window.step_s), window)
        return finite({point: value for point, value in values.items() if point in window.points})

    @abstractmethod
    def _intervals(self, query: str, window: Window) -> dict[int, float]:
        """Values by the end of their interval; what is not known is left out."""
