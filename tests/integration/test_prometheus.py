"""The metric source on a real Prometheus, and on a server that answers what a real one does not give on demand."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from productops.adapters.prometheus import PrometheusSource, TrafficQueries
from productops.domain.analysis import RatioCount
from productops.domain.judge.policy import MetricKind
from productops.domain.monitoring_sources import MetricQuery, Window
from productops.domain.routing import VersionKey
from productops.errors import InvalidInputError, MetricSourceError, RateLimitedError, UnsupportedError
from productops.store.identity import new_id
from productops.usecases.context import Context
from productops.usecases.monitoring_sources import SourceProgress, read_custom_metrics, watch_source
from tests.integration.envoy_support import eventually, free_port
from tests.integration.http_support import Reply, Request, answering
from tests.support import PRODUCTION, add_service, make_context, service_spec, sqlite_url

OLD: VersionKey = ("shop", PRODUCTION, "1.0.0")
NEW: VersionKey = ("shop", PRODUCTION, "1.1.0")
CARTS = 'sum(carts_abandoned_total{service="{service}",version="{version}"})'
VISITS = 'sum(visits_total{service="{service}",version="{version}"})'
QUERIES = TrafficQueries(
    requests='sum(http_requests_total{version="{version}"})',
    failures='sum(http_requests_total{version="{version}",code=~"5.."}) or vector(0)',
    latency_buckets='sum by (le) (http_duration_seconds_bucket{version="{version}"})',
)


@dataclass
class Shop:
    """What the demo program exposes: one line per sample; a test turns the numbers."""

    samples: dict[str, float] = field(default_factory=dict)
    up: bool = True
    scrapes: int = 0

    def add(self, sample: str, value: float) -> None:
        self.samples[sample] = self.samples.get(sample, 0.0) + value

    def text(self) -> bytes:
        return "".join(f"{name} {value}\n" for name, value in self.samples.items()).encode()

    def visit(self, version: str, *, visits: int, abandoned: int) -> None:
        self.add(f'visits_total{{service="shop",version="{version}"}}', visits)
        self.add(f'carts_abandoned_total{{service="shop",version="{version}"}}', abandoned)

    def scraped(self, times: int = 2) -> None:
        seen = self.scrapes
        assert eventually(lambda: self.scrapes >= seen + times, within_s=15)


@dataclass
class Lab:
    shop: Shop
    url: str


@contextmanager
def prometheus(folder: Path, target_port: int) -> Iterator[str]:
    """A Prometheus that scrapes every second."""
    binary = shutil.which("prometheus")
    if binary is None:
        pytest.skip("no Prometheus here: apt-get install prometheus")
    port = free_port()
    (folder / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
        f"scrape_configs: [{{job_name: shop, static_configs: [{{targets: ['127.0.0.1:{target_port}']}}]}}]\n"
    )
    command = [
        binary, f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
    ]  # fmt: skip
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"

    def ready() -> bool:
        try:
            with urllib.request.urlopen(f"{url}/-/ready", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    try:
        assert eventually(ready, within_s=30), (folder / "prometheus.log").read_text()[-2000:]
        yield url
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    shop = Shop()

    def answer(_: Any) -> Reply:
        shop.scrapes += 1
        return Reply(200 if shop.up else 500, raw=shop.text(), headers={"content-type": "text/plain; version=0.0.4"})

    with answering(answer) as server, prometheus(tmp_path_factory.mktemp("prometheus"), server.port) as url:
        yield Lab(shop, url)


Open = Callable[..., PrometheusSource]


@pytest.fixture
def open_source() -> Iterator[Open]:
    made: list[PrometheusSource] = []

    def make(url: str, **options: Any) -> PrometheusSource:
        made.append(PrometheusSource(url, **options))
        return made[-1]

    yield make
    for source in made:
        source.close()


def now_window(seconds: int = 6, step_s: int = 1) -> Window:
    until_s = int(time.time()) // step_s * step_s
    return Window(until_s - seconds // step_s * step_s, until_s, step_s)


def totals(values: Any) -> tuple[int, int]:
    return sum(v.events for v in values.values()), sum(v.total for v in values.values())


def test_counts_of_each_version_add_up_to_what_happened(lab: Lab, open_source: Open) -> None:
    source = open_source(lab.url, interval_s=1, lag_s=2)
    lab.shop.visit("1.0.0", visits=100, abandoned=10)
    lab.shop.visit("1.1.0", visits=50, abandoned=20)
    lab.shop.scraped(2)
    started = time.time()
    for _ in range(3):
        lab.shop.visit("1.0.0", visits=40, abandoned=4)
        lab.shop.visit("1.1.0", visits=10, abandoned=5)
        time.sleep(1)
    lab.shop.scraped(2)
    window = now_window(int(time.time() - started) + 2)
    query = MetricQuery(MetricKind.RATIO, CARTS, VISITS)
    assert totals(source.metric(query, OLD, window)) == (12, 120)
    assert totals(source.metric(query, NEW, window)) == (15, 30)


def test_a_version_that_prometheus_does_not_know_has_no_values(lab: Lab, open_source: Open) -> None:
    source = open_source(lab.url)
    stranger: VersionKey = ("shop", PRODUCTION, "9.9.9")
    assert source.metric(MetricQuery(MetricKind.RATIO, CARTS, VISITS), stranger, now_window()) == {}
    assert source.metric(MetricQuery(MetricKind.SATURATION, "cpu"), stranger, now_window()) == {}


def test_levels_are_read_as_they_are(lab: Lab, open_source: Open) -> None:
    lab.shop.samples['cpu_share{version="1.0.0"}'] = 0.25
    lab.shop.scraped(2)
    source = open_source(lab.url)
    query = MetricQuery(MetricKind.SATURATION, 'max(cpu_share{version="{version}"})')
    assert set(source.metric(query, OLD, now_window(2)).values()) == {0.25}


def test_a_program_that_restarts_counts_nothing_negative(lab: Lab, open_source: Open) -> None:
    source = open_source(lab.url)
    key: VersionKey = ("shop", PRODUCTION, "2.0.0")
    lab.shop.visit("2.0.0", visits=1000, abandoned=100)
    lab.shop.scraped(2)
    lab.shop.samples['visits_total{service="shop",version="2.0.0"}'] = 5
    lab.shop.samples['carts_abandoned_total{service="shop",version="2.0.0"}'] = 1
    lab.shop.scraped(3)
    values = source.metric(MetricQuery(MetricKind.RATIO, CARTS, VISITS), key, now_window(6))
    assert all(0 <= v.events <= v.total < 1000 for v in values.values() if isinstance(v, RatioCount))


def test_increase_with_the_interval_is_taken_as_it_is(lab: Lab, open_source: Open) -> None:
    key: VersionKey = ("shop", PRODUCTION, "3.0.0")
    source = open_source(lab.url)
    for _ in range(8):
        lab.shop.visit("3.0.0", visits=20, abandoned=2)
        lab.shop.scraped(1)
    query = MetricQuery(
        MetricKind.RATIO,
        'sum(increase(carts_abandoned_total{version="{version}"}[{interval}]))',
        'sum(increase(visits_total{version="{version}"}[{interval}]))',
    )
    values = source.metric(query, key, now_window(10, step_s=5))
    counted = [v for v in values.values() if isinstance(v, RatioCount) and v.total]
    assert counted
    assert all(40 <= v.total <= 160 for v in counted)
    assert all(abs(v.events / v.total - 0.1) < 0.03 for v in counted)


def test_traffic_has_requests_failures_and_latencies(lab: Lab, open_source: Open) -> None:
    source = open_source(lab.url, traffic=QUERIES)
    samples = {
        'http_requests_total{version="1.0.0",code="200"}': 0.0,
        'http_duration_seconds_bucket{version="1.0.0",le="0.1"}': 0.0,
        'http_duration_seconds_bucket{version="1.0.0",le="0.5"}': 0.0,
        'http_duration_seconds_bucket{version="1.0.0",le="+Inf"}': 0.0,
    }
    lab.shop.samples |= samples
    lab.shop.scraped(2)
    for name, more in zip(samples, (95, 60, 90, 100), strict=True):
        lab.shop.add(name, more)
    lab.shop.add('http_requests_total{version="1.0.0",code="503"}', 5)
    lab.shop.scraped(2)
    seconds = source.traffic(OLD, now_window(8))
    assert sum(s.requests for s in seconds.values()) == 100
    assert sum(s.failures for s in seconds.values()) == 5
    histogram = next(s.latency for s in seconds.values() if s.latency.total)
    assert histogram.upper_ms == (100.0, 500.0, 1000.0)
    assert histogram.counts == (60, 30, 10)


def test_a_query_that_prometheus_does_not_understand_is_named(lab: Lab, open_source: Open) -> None:
    with pytest.raises(InvalidInputError, match="refuses the query 'sum\\(\\('"):
        open_source(lab.url).metric(MetricQuery(MetricKind.SATURATION, "sum(("), OLD, now_window())


def test_more_than_one_series_is_refused_with_the_way_out(lab: Lab, open_source: Open) -> None:
    lab.shop.visit("1.0.0", visits=1, abandoned=1)
    lab.shop.visit("1.1.0", visits=1, abandoned=1)
    lab.shop.scraped(2)
    with pytest.raises(MetricSourceError, match=r"put sum\(…\) around it"):
        open_source(lab.url).metric(MetricQuery(MetricKind.SATURATION, "visits_total"), OLD, now_window())


def test_without_queries_for_traffic_the_refusal_is_typed(lab: Lab, open_source: Open) -> None:
    with pytest.raises(UnsupportedError, match=r"traffic\.requests"):
        open_source(lab.url).traffic(OLD, now_window())


def test_a_version_that_could_end_a_text_is_refused_before_anything_is_sent(lab: Lab, open_source: Open) -> None:
    with pytest.raises(InvalidInputError, match="cannot stand in a query"):
        open_source(lab.url).metric(MetricQuery(MetricKind.RATIO, CARTS, VISITS), ("shop", PRODUCTION, '1"} or vector(1)'), now_window())


def test_a_prometheus_that_is_away_is_an_error_and_not_zero(open_source: Open) -> None:
    source = open_source(f"http://127.0.0.1:{free_port()}", timeout_s=0.5)
    with pytest.raises(MetricSourceError, match="did not answer"):
        source.metric(MetricQuery(MetricKind.SATURATION, "up"), OLD, now_window())


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"status": "success", "data": {"resultType": "matrix", "result": []}, "warnings": ["store b is away"]}, "partial"),
        ({"status": "success", "data": {"resultType": "scalar", "result": [1, "2"]}}, "something else"),
        ({"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {}, "histograms": []}]}}, "plain numbers"),
        (["nonsense"], "answered 200"),
    ],
)
def test_answers_that_mean_nothing_are_errors(document: Any, reason: str, open_source: Open) -> None:
    with answering(lambda _: Reply(200, document)) as server, pytest.raises(MetricSourceError, match=reason):
        open_source(server.url).metric(MetricQuery(MetricKind.SATURATION, "up"), OLD, now_window())


def test_not_a_number_is_missing_and_not_zero(open_source: Open) -> None:
    window = Window(100, 103, 1)
    result = {"metric": {}, "values": [[100, "0"], [101, "NaN"], [102, "5"], [103, "9"]]}
    document = {"status": "success", "data": {"resultType": "matrix", "result": [result]}}
    with answering(lambda _: Reply(200, document)) as server:
        source = open_source(server.url)
        assert source.metric(MetricQuery(MetricKind.SATURATION, "x"), OLD, window) == {102: 5.0, 103: 9.0}
        assert source.metric(MetricQuery(MetricKind.COUNTER, "x", "x"), OLD, window) == {103: RatioCount(4, 4)}


def test_the_token_goes_with_the_question_and_the_question_is_a_form(open_source: Open) -> None:
    document = {"status": "success", "data": {"resultType": "matrix", "result": []}}
    with answering(lambda _: Reply(200, document)) as server:
        open_source(server.url, token="s3cret-s3cret").metric(
            MetricQuery(MetricKind.SATURATION, 'x{version="{version}"}'), NEW, Window(0, 5, 5)
        )
        (request,) = server.requests
        assert request.headers["authorization"] == "Bearer s3cret-s3cret"
        assert request.form == {"query": 'x{version="1.1.0"}', "start": "0", "end": "5", "step": "5"}


# ---- from the catalog to the judge's table


def custom(**metric: object) -> dict[str, object]:
    return {"requests_min": 10, "metrics": [{"name": "carts", "source": "prometheus", "query": CARTS, "query_total": VISITS, **metric}]}


def put_on_trial(context: Context, analysis: dict[str, object]) -> None:
    """Version 1.1.0 of the shop gets a fifth of the traffic of 1.0.0."""
    add_service(context, spec=service_spec(analysis=analysis), live="1.0.0")
    with context.store.write() as unit:
        fence = unit.traffic.take("shop", PRODUCTION, str(new_id()))
        unit.traffic.shift(
            "shop", PRODUCTION, fence=fence, candidate_version="1.1.0", candidate_pct=20, header_only=False, holder="test", ttl_s=60,
            now=context.clock.now(),
        )  # fmt: skip


def stored(context: Context) -> dict[int, dict[str, dict[str, RatioCount | float]]]:
    with context.store.read() as unit:
        return unit.seconds.metrics_between("shop", PRODUCTION, ["1.0.0", "1.1.0"], after_s=0, until_s=2**40)


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    made = make_context(sqlite_url(tmp_path))
    yield made
    made.store.close()


def test_metrics_of_both_versions_reach_the_store_in_the_same_seconds(lab: Lab, open_source: Open, context: Context) -> None:
    put_on_trial(context, custom())
    source, stopping = open_source(lab.url, interval_s=1, lag_s=2), threading.Event()
    thread = threading.Thread(target=watch_source, args=(context, source, stopping))
    lab.shop.visit("1.0.0", visits=0, abandoned=0)
    lab.shop.visit("1.1.0", visits=0, abandoned=0)
    lab.shop.scraped(3)
    thread.start()
    time.sleep(1.5)
    for _ in range(4):
        lab.shop.visit("1.0.0", visits=80, abandoned=8)
        lab.shop.visit("1.1.0", visits=20, abandoned=6)
        time.sleep(1)

    def sums() -> list[tuple[int, int]]:
        values = stored(context).values()
        return [totals({i: s[v]["carts"] for i, s in enumerate(values) if v in s}) for v in ("1.0.0", "1.1.0")]

    assert eventually(lambda: sums() == [(32, 320), (24, 80)], within_s=10), sums()
    stopping.set()
    thread.join(5)
    assert all(set(second) == {"1.0.0", "1.1.0"} for second in stored(context).values())


def test_an_interval_that_could_not_be_read_is_asked_for_again_and_a_gap_stays_a_gap(open_source: Open, context: Context) -> None:
    put_on_trial(context, custom(query_total="", kind="saturation", query='cpu{version="{version}"}'))
    broken = True

    def answer(request: Request) -> Reply:
        if broken:
            return Reply(500, {"status": "error", "error": "query timed out"})
        start, end = int(request.form["start"]), int(request.form["end"])
        values = [[t, str(t)] for t in range(start, end + 1, 5) if t != 1010]
        return Reply(200, {"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {}, "values": values}]}})

    with answering(answer) as server:
        source, progress = open_source(server.url, interval_s=5, lag_s=0), SourceProgress()
        assert read_custom_metrics(context, source, progress, now_s=1004) == 0
        assert read_custom_metrics(context, source, progress, now_s=1009) == 0
        broken = False
        assert read_custom_metrics(context, source, progress, now_s=1015) == 6
        assert read_custom_metrics(context, source, progress, now_s=1016) == 0
    assert {at_s: second["1.1.0"] for at_s, second in stored(context).items()} == {
        999: {"carts": 1000.0}, 1004: {"carts": 1005.0}, 1014: {"carts": 1015.0},
    }  # fmt: skip


def test_a_source_that_asks_for_peace_is_left_in_peace(open_source: Open, context: Context) -> None:
    put_on_trial(context, custom())
    with answering(lambda _: Reply(429, {}, {"retry-after": "60"})) as server:
        source = open_source(server.url, interval_s=1, lag_s=0)
        for now_s in (1000, 1001):
            with pytest.raises(RateLimitedError):
                read_custom_metrics(context, source, SourceProgress(), now_s=now_s)
        assert len(server.requests) == 1
    assert stored(context) == {}


def test_only_versions_under_trial_are_asked_for(open_source: Open, context: Context) -> None:
    add_service(context, spec=service_spec(analysis=custom()), live="1.0.0")
    with answering(lambda _: Reply(500, {})) as server:
        assert read_custom_metrics(context, open_source(server.url), SourceProgress(), now_s=1000) == 0
        assert server.requests == []


@pytest.mark.parametrize(
    ("metric", "reason"),
    [
        ({"source": ""}, "has a query but no source"),
        ({"query": "", "query_total": ""}, "but no query"),
        ({"query_total": ""}, "needs query_total"),
        ({"kind": "saturation"}, "has no query_total"),
    ],
)
def test_a_metric_that_cannot_be_asked_for_is_refused_in_the_catalog(metric: dict[str, object], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        service_spec(analysis=custom(**metric))
