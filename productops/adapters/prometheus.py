"""The ``MetricSource`` port on Prometheus and what speaks its HTTP API (Thanos, Mimir, VictoriaMetrics)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from productops.adapters.safe_http import Answer, SafeHttp, check_url
from productops.domain.analysis import ArmSecond, LatencyHistogram
from productops.domain.judge.policy import MetricKind
from productops.domain.monitoring_sources import INTERVAL, MetricQuery, Values, Window, fill, finite, increments, ratio_counts
from productops.domain.routing import VersionKey
from productops.errors import InvalidInputError, MetricSourceError, UnsupportedError

_QUERY_RANGE = "/api/v1/query_range"
_OVERFLOW = 2.0
_INF = float("inf")


@dataclass(frozen=True, slots=True)
class TrafficQueries:
    """How to ask for the traffic of a version: cumulative counters, or with ``{interval}`` what was added.

    ``latency_buckets`` answers one series per ``le`` (a classic histogram); ``bucket_ms`` is its unit in milliseconds.
    """

    requests: str
    failures: str
    latency_buckets: str = ""
    bucket_ms: float = 1000.0


class PrometheusSource:
    """Reads by ``query_range``. A query is either a cumulative counter, of which differences are taken here, or has ``{interval}`` in
    it (``increase(x[{interval}])``) and says itself what was added. Must answer one series. Usable from many threads.

    ``lag_s``: scrape interval plus what a scrape takes; a sample that comes later is missed.
    """

    def __init__(
        self,
        url: str,
        *,
        name: str = "prometheus",
        token: str = "",
        headers: Mapping[str, str] | None = None,
        interval_s: int = 5,
        lag_s: int = 5,
        timeout_s: float = 3.0,
        traffic: TrafficQueries | None = None,
        plain_secret: bool = False,
    ) -> None:
        """Raises: SettingsError for a URL that cannot be used."""
        self.name, self.interval_s, self.lag_s = name, interval_s, lag_s
        self._queries = traffic
        sent = {**(headers or {}), **({"authorization": f"Bearer {token}"} if token else {})}
        self._http = SafeHttp(
            check_url(url, secret=bool(sent), plain_secret=plain_secret), what=f"Prometheus {name!r}", headers=sent,
            secrets=(token, *(headers or {}).values()), timeout_s=timeout_s, patience_s=timeout_s, failure=MetricSourceError,
        )  # fmt: skip

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def metric(self, query: MetricQuery, key: VersionKey, window: Window) -> Values:
        """A metric of one version. Raises: MetricSourceError, RateLimitedError, InvalidInputError for a query it refuses."""
        if query.kind is MetricKind.SATURATION:
            return {p: v for p, v in self._one(query.query, key, window).items() if p in window.points}
        events = self._added(query.query, key, window)
        return ratio_counts(events, self._added(query.query_total, key, window), query.kind)

    def traffic(self, key: VersionKey, window: Window) -> Mapping[int, ArmSecond]:
        """Requests, failures and latencies by interval. Raises: as ``metric``, and UnsupportedError without queries for traffic."""
        if self._queries is None:
            raise UnsupportedError(f"the metric source {self.name!r} was not told how to ask for traffic: give it traffic.requests")
        requests = self._added(self._queries.requests, key, window)
        failures = self._added(self._queries.failures, key, window)
        histograms = self._histograms(self._queries, key, window)
        seconds: dict[int, ArmSecond] = {}
        for point in sorted(requests.keys() & failures.keys()):
            failed = round(failures[point])
            seconds[point] = ArmSecond(max(round(requests[point]), failed), failed, histograms.get(point, LatencyHistogram()))
        return seconds

    def _added(self, template: str, key: VersionKey, window: Window) -> dict[int, float]:
        values = self._one(template, key, window)
        if INTERVAL in template:
            return {point: value for point, value in values.items() if point in window.points}
        return increments(values, window)

    def _one(self, template: str, key: VersionKey, window: Window) -> dict[int, float]:
        series = self._ask(fill(template, key, step_s=window.step_s), window)
        if len(series) > 1:
            raise MetricSourceError(f"{template!r} answers {len(series)} series in {self.name!r}, one is needed: put sum(…) around it")
        return finite(_points(series[0])) if series else {}

    def _histograms(self, queries: TrafficQueries, key: VersionKey, window: Window) -> dict[int, LatencyHistogram]:
        if not queries.latency_buckets:
            return {}
        series = self._ask(fill(queries.latency_buckets, key, step_s=window.step_s), window)
        by_bound: dict[float, dict[int, float]] = {}
        for one in series:
            try:
                bound = float(one["metric"]["le"])
            except (KeyError, ValueError, TypeError) as error:
                raise MetricSourceError(f"{queries.latency_buckets!r} must answer one series per le in {self.name!r}") from error
            values = finite(_points(one))
            by_bound[bound] = values if INTERVAL in queries.latency_buckets else increments(values, window)
        return {point: made for point in window.points if (made := _histogram(by_bound, point, queries.bucket_ms)) is not None}

    def _ask(self, query: str, window: Window) -> list[dict[str, Any]]:
        form = {"query": query, "start": str(window.after_s), "end": str(window.until_s), "step": str(window.step_s)}
        answer = self._http.call("POST", _QUERY_RANGE, form=form)
        return self._result(answer, query)

    def _result(self, answer: Answer, query: str) -> list[dict[str, Any]]:
        document = answer.document()
        said = document if isinstance(document, dict) else {}
        if answer.status in {400, 422} and said.get("errorType") == "bad_data":
            raise InvalidInputError(f"Prometheus {self.name!r} refuses the query {query!r}: {said.get('error')}")
        if not answer.ok or said.get("status") != "success":
            raise self._http.fail(f"answered {answer.status} to {query!r}: {said.get('error') or answer.text()}")
        if said.get("warnings"):  # a store of many parts tells that some did not answer: the sum is too small
            raise self._http.fail(f"gave a partial answer to {query!r}: {str(said['warnings'])[:300]}")
        data = said.get("data")
        result = data.get("result") if isinstance(data, dict) and data.get("resultType") == "matrix" else None
        if not isinstance(result, list):
            raise self._http.fail(f"answered {query!r} with something else than series over time")
        return result


def _points(series: Mapping[str, Any]) -> dict[int, float]:
    """Raises: MetricSourceError when the samples are no pairs of time and number, e.g. native histograms."""
    try:
        return {round(float(at)): float(value) for at, value in series["values"]}
    except (KeyError, TypeError, ValueError) as error:
        raise MetricSourceError("Prometheus answered series without plain numbers (a native histogram?): ask for numbers") from error


def _histogram(by_bound: Mapping[float, Mapping[int, float]], point: int, bucket_ms: float) -> LatencyHistogram | None:
    """Counts by bucket from Prometheus' running sums; ``None`` when a bucket is not known. What is beyond the last bound gets twice it."""
    bounds = sorted(by_bound)
    if not bounds or any(point not in by_bound[bound] for bound in bounds):
        return None
    counts: dict[float, int] = {}
    below = 0
    for bound in bounds:
        upto = max(below, round(by_bound[bound][point]))
        last = bounds[-2] * _OVERFLOW if len(bounds) > 1 else 1.0
        counts[(last if bound == _INF else bound) * bucket_ms] = upto - below
        below = upto
    kept = {upper: count for upper, count in counts.items() if count}
    return LatencyHistogram(tuple(kept), tuple(kept.values()))
