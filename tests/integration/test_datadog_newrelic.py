"""The two hosted metric sources against a server that answers as their documentation says. Neither was asked for real."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from productops.adapters.datadog import DatadogSource
from productops.adapters.interval_source import CountQueries
from productops.adapters.newrelic import NewRelicSource
from productops.domain.analysis import ArmSecond, RatioCount
from productops.domain.judge.policy import MetricKind
from productops.domain.monitoring_sources import MetricQuery, Window
from productops.domain.routing import VersionKey
from productops.errors import InvalidInputError, MetricSourceError, RateLimitedError, SettingsError, UnsupportedError
from tests.integration.http_support import Reply, Request, Server, answering
from tests.support import PRODUCTION

NEW: VersionKey = ("shop", PRODUCTION, "1.1.0")
WINDOW = Window(1000, 1030, 10)
RATIO = MetricQuery(
    MetricKind.RATIO, "errors{version:{version}}.rollup(sum, {interval_s})", "hits{version:{version}}.rollup(sum, {interval_s})"
)
LEVEL = MetricQuery(MetricKind.SATURATION, "cpu{version:{version}}.rollup(avg, {interval_s})")
NRQL = MetricQuery(
    MetricKind.RATIO,
    "SELECT filter(count(*), WHERE error) FROM Transaction WHERE v = '{version}'",
    "SELECT count(*) FROM Transaction WHERE v = '{version}'",
)


class Scripted:
    """A server whose answers a test sets."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.server: Server | None = None

    def __call__(self, _: Request) -> Reply:
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]

    @property
    def asked(self) -> list[Request]:
        assert self.server is not None
        return self.server.requests


@pytest.fixture
def script() -> Iterator[Scripted]:
    made = Scripted()
    with answering(made) as made.server:
        yield made


@pytest.fixture
def datadog(script: Scripted) -> Iterator[DatadogSource]:
    assert script.server is not None
    traffic = CountQueries("hits{version:{version}}.rollup(sum, {interval_s})", "errors{version:{version}}.rollup(sum, {interval_s})")
    source = DatadogSource(script.server.url, api_key="dd-api-secret", application_key="dd-app-secret", traffic=traffic, timeout_s=1.0)
    yield source
    source.close()


@pytest.fixture
def newrelic(script: Scripted) -> Iterator[NewRelicSource]:
    assert script.server is not None
    source = NewRelicSource(f"{script.server.url}/graphql", account=42, api_key="NRAK-secret", timeout_s=1.0)
    yield source
    source.close()


def series(*values: float | None, interval: int = 10) -> Reply:
    points = [[(1000 + 10 * i) * 1000, v] for i, v in enumerate(values)]
    return Reply(200, {"status": "ok", "series": [{"interval": interval, "pointlist": points}]})


def rows(*values: float | None, name: str = "count") -> Reply:
    results = [{"beginTimeSeconds": 1000 + 10 * i, "endTimeSeconds": 1010 + 10 * i, name: v} for i, v in enumerate(values)]
    return Reply(200, {"data": {"actor": {"account": {"nrql": {"results": results}}}}})


def test_datadog_counts_are_named_by_the_end_of_their_interval_and_gaps_stay_gaps(script: Scripted, datadog: DatadogSource) -> None:
    script.replies = [series(1, None, 3), series(10, 20, 30)]
    assert datadog.metric(RATIO, NEW, WINDOW) == {1010: RatioCount(1, 10), 1030: RatioCount(3, 30)}
    request = script.asked[0]
    assert request.query == {"from": "1000", "to": "1030", "query": "errors{version:1.1.0}.rollup(sum, 10)"}
    assert (request.headers["dd-api-key"], request.headers["dd-application-key"]) == ("dd-api-secret", "dd-app-secret")


def test_datadog_without_data_knows_nothing(script: Scripted, datadog: DatadogSource) -> None:
    script.replies = [Reply(200, {"status": "ok", "series": []})]
    assert datadog.metric(RATIO, NEW, WINDOW) == {}
    assert datadog.metric(LEVEL, NEW, WINDOW) == {}


def test_datadog_traffic_has_requests_and_failures(script: Scripted, datadog: DatadogSource) -> None:
    script.replies = [series(100, 100), series(5, 0)]
    assert datadog.traffic(NEW, WINDOW) == {1010: ArmSecond(100, 5), 1020: ArmSecond(100, 0)}


@pytest.mark.parametrize(
    ("reply", "kind", "reason"),
    [
        (series(1, interval=60), MetricSourceError, r"intervals of 60 s .*rollup"),
        (Reply(200, {"status": "ok", "series": [{}, {}]}), MetricSourceError, "answers 2 series"),
        (Reply(200, {"status": "error", "error": "Error parsing query"}), InvalidInputError, "Error parsing"),
        (Reply(400, {"errors": ["bad query"]}), InvalidInputError, "bad query"),
        (Reply(403, {"errors": ["Forbidden"]}), MetricSourceError, "answered 403 .*Forbidden"),
        (Reply(200, ["nonsense"]), MetricSourceError, "answered 200"),
    ],
)
def test_what_datadog_cannot_answer_is_an_error(
    script: Scripted, datadog: DatadogSource, reply: Reply, kind: type[Exception], reason: str
) -> None:
    script.replies = [reply]
    with pytest.raises(kind, match=reason):
        datadog.metric(LEVEL, NEW, WINDOW)


def test_datadogs_rate_limit_is_honoured_by_its_own_header(script: Scripted, datadog: DatadogSource) -> None:
    script.replies = [Reply(429, {"errors": ["Rate limit"]}, {"x-ratelimit-reset": "42"})]
    with pytest.raises(RateLimitedError) as limited:
        datadog.metric(LEVEL, NEW, WINDOW)
    assert limited.value.extra["retry_after_s"] == 42
    with pytest.raises(RateLimitedError, match="peace"):
        datadog.metric(LEVEL, NEW, WINDOW)
    assert len(script.asked) == 1


def test_new_relic_values_are_named_by_the_end_of_their_interval(script: Scripted, newrelic: NewRelicSource) -> None:
    script.replies = [rows(1, None, 3, name="filter"), rows(10, 20, 30)]
    assert newrelic.metric(NRQL, NEW, WINDOW) == {1010: RatioCount(1, 10), 1030: RatioCount(3, 30)}
    asked: Any = script.asked[0].document
    assert asked["variables"] == {
        "account": 42,
        "nrql": "SELECT filter(count(*), WHERE error) FROM Transaction WHERE v = '1.1.0' SINCE 1000000 UNTIL 1030000 TIMESERIES 10 seconds",
    }
    assert script.asked[0].headers["api-key"] == "NRAK-secret"


@pytest.mark.parametrize(
    ("reply", "kind", "reason"),
    [
        (
            Reply(200, {"errors": [{"message": "NRQL Syntax Error", "extensions": {"errorClass": "NRDB:1100001 NRQL"}}]}),
            InvalidInputError,
            "Syntax",
        ),
        (
            Reply(200, {"errors": [{"message": "slow down", "extensions": {"errorClass": "TOO_MANY_REQUESTS"}}]}),
            RateLimitedError,
            "slow down",
        ),
        (Reply(200, {"errors": [{"message": "timed out", "extensions": {"errorClass": "TIMEOUT"}}]}), MetricSourceError, "timed out"),
        (Reply(200, {"data": {"actor": {"account": None}}}), MetricSourceError, "something else"),
        (
            Reply(200, {"data": {"actor": {"account": {"nrql": {"results": [{"endTimeSeconds": 1, "a": 1, "b": 2}]}}}}}),
            MetricSourceError,
            "something else",
        ),
        (Reply(401, {"error": "Invalid API key NRAK-secret"}), MetricSourceError, r"answered 401 .*\*\*\*"),
    ],
)
def test_what_new_relic_cannot_answer_is_an_error(
    script: Scripted, newrelic: NewRelicSource, reply: Reply, kind: type[Exception], reason: str
) -> None:
    script.replies = [reply]
    with pytest.raises(kind, match=reason):
        newrelic.metric(MetricQuery(MetricKind.SATURATION, "SELECT average(cpu) FROM X"), NEW, WINDOW)


def test_without_queries_for_traffic_the_refusal_is_typed(newrelic: NewRelicSource) -> None:
    with pytest.raises(UnsupportedError, match=r"traffic\.requests"):
        newrelic.traffic(NEW, WINDOW)


def test_keys_are_sent_encrypted_only() -> None:
    with pytest.raises(SettingsError, match="https"):
        DatadogSource("http://api.datadoghq.eu", api_key="k", application_key="k")
