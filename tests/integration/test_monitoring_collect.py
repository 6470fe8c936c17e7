"""What is collected: this machine, real processes, the router's counters, pages of metrics over HTTP, sources, OTLP, use of features."""

from __future__ import annotations

import gzip
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import psutil
import pytest

from productops.adapters.monitoring_containers import ContainerMeter
from productops.adapters.monitoring_host import HostMeter
from productops.adapters.monitoring_otlp_metrics import answer, read_request
from productops.adapters.monitoring_processes import ProcessMeter
from productops.adapters.monitoring_prometheus_text import read_text
from productops.adapters.monitoring_scrape import HttpScraper
from productops.adapters.safe_http import SafeHttp
from productops.domain.analysis import ArmSecond, LatencyHistogram
from productops.domain.analytics_usage import UsageDay
from productops.domain.catalog_monitoring import ScrapeTargetEntry, ScrapeTargetSpec
from productops.domain.monitoring_series import Retention
from productops.domain.monitoring_series_sample import SampleKind
from productops.domain.traffic import Instance, InstanceState
from productops.errors import DependencyError, ForbiddenError, InvalidInputError, MetricSourceError, NotFoundError
from productops.settings import Settings
from productops.store.identity import new_id
from productops.store.monitoring_series import SeriesFilter
from productops.usecases.context import Actor, Clock, Context
from productops.usecases.monitoring_collect import FastCollector, collect_containers, collect_host, collect_instances, collect_traffic
from productops.usecases.monitoring_collect_build import build_fast, build_slow
from productops.usecases.monitoring_collect_slow import SlowCollector
from productops.usecases.monitoring_collect_traffic import TrafficProgress
from productops.usecases.monitoring_logs_places import Places
from productops.usecases.monitoring_series import list_series, read_series
from productops.usecases.monitoring_series_declared import DeclaredScrapeTarget, put_scrape_targets
from productops.usecases.monitoring_series_otlp import MetricsIntake, SentMetrics
from productops.usecases.monitoring_series_targets import list_scrape_targets
from productops.usecases.monitoring_series_tidy import tidy_series
from tests.integration.http_support import Reply, Request, answering
from tests.support import PRODUCTION, SOMEBODY, add_service

PAGE = """\
# HELP http_requests_total Requests.
# TYPE http_requests_total counter
http_requests_total{method="get",pod="a"} %d
http_requests_total{method="get",pod="b"} %d
# TYPE temperature gauge
temperature 21.5
# TYPE latency_seconds histogram
latency_seconds_bucket{le="0.1"} %d
latency_seconds_bucket{le="+Inf"} %d
latency_seconds_sum 12.5
latency_seconds_count %d
# TYPE pause summary
pause{quantile="0.5"} 0.2
pause_sum 3
pause_count 4
go_version_total 7
odd NaN
"""


def page(requests: int) -> str:
    return PAGE % (requests, requests, requests, requests * 2, requests * 2)


def last_values(context: Context, venture: str | None = None) -> dict[str, float]:
    return {str(info.key): info.last_value for info in list_series(context, SeriesFilter(venture), limit=500, actor=SOMEBODY)}


class Ticks(Clock):
    """Now, and a monotonic clock that is moved."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.ahead)


@pytest.fixture
def scraper() -> Iterator[HttpScraper]:
    made = HttpScraper()
    yield made
    made.close()


@pytest.fixture
def ticking(context: Context) -> tuple[Context, Ticks]:
    clock = Ticks()
    return replace(context, clock=clock), clock


def test_this_machine_is_measured_and_its_series_belong_to_no_venture(context):
    assert collect_host(context, HostMeter(), host="here", now=datetime.now(UTC)) >= 9
    found = last_values(context, "")
    assert 0 <= found["host/here host.cpu_pct"] <= 100
    assert 0 < found["host/here host.memory_pct"] <= 100
    assert found["host/here host.disk_free_bytes {mount=/}"] > 0
    assert found["host/here host.load1"] >= 0
    assert found["host/here host.open_files"] > 0


def test_limits_of_a_control_group_are_measured_where_there_are_some(tmp_path):
    files = {"memory.max": "1000", "memory.current": "250", "cpu.max": "50000 100000", "cpu.stat": "nr_periods 10\nnr_throttled 2"}
    for name, value in files.items():
        (tmp_path / name).write_text(value)
    meter = HostMeter(tmp_path)
    (tmp_path / "cpu.stat").write_text("nr_periods 20\nnr_throttled 7")
    limits = meter.read().limits
    assert limits is not None
    assert (limits.memory_pct, limits.cores, limits.throttled_pct) == (25.0, 0.5, 50.0)
    (tmp_path / "memory.max").write_text("max")
    (tmp_path / "cpu.max").write_text("max 100000")
    assert meter.read().limits is None


def add_instance(context: Context, pid: int | None, started: float | None, *, restarts: int = 2) -> Instance:
    instance = Instance(
        str(new_id()), "shop", PRODUCTION, "1.0", 9000, InstanceState.HEALTHY, pid, started, restarts, "", "", context.clock.now()
    )
    with context.store.write() as unit:
        unit.fleets.add_instance(instance)
    return instance


def test_an_instance_is_measured_with_its_children_and_never_mistaken_for_another_process(context):
    add_service(context)
    program = (
        "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'while True: pass']); print(1, flush=True); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, start_new_session=True)
    assert child.stdout is not None
    try:
        child.stdout.readline()
        instance = add_instance(context, child.pid, psutil.Process(child.pid).create_time())
        add_instance(context, os.getpid(), 1.0)
        meter = ProcessMeter()
        collect_instances(context, meter, now=context.clock.now())
        meter._family_at = -100.0
        collect_instances(context, meter, now=context.clock.now())
        time.sleep(0.4)
        collect_instances(context, meter, now=context.clock.now())
    finally:
        os.killpg(child.pid, 9)
        child.wait()
        child.stdout.close()
    tags = "{environment=production, version=1.0}"
    found = last_values(context)
    assert found[f"shop/{instance.id} instance.cpu_pct {tags}"] > 5
    assert found[f"shop/{instance.id} instance.memory_bytes {tags}"] > 1e6
    assert (found[f"shop/{instance.id} instance.restarts {tags}"], found[f"shop/{instance.id} instance.healthy {tags}"]) == (2, 1)
    assert {name.split()[0] for name in found} == {f"shop/{instance.id}"}
    assert ProcessMeter().read(child.pid, 5.0) is None


def test_the_routers_seconds_become_series_in_all_and_by_version_and_silence_becomes_zero(context):
    add_service(context, live="1.0")
    now_s = int(time.time())
    fast, slow = LatencyHistogram((10.0, 20.0), (90, 10)), LatencyHistogram((10.0, 400.0), (10, 10))
    with context.store.write() as unit:
        arms = {("shop", PRODUCTION, "1.0"): ArmSecond(100, 1, fast), ("shop", PRODUCTION, "1.1"): ArmSecond(20, 9, slow)}
        unit.seconds.add(now_s - 4, {**arms, ("shop", PRODUCTION, "flag:new=on"): ArmSecond(50, 50, slow)})
        unit.agents.take("router", "me", seen=None, later_than=0, now=datetime.fromtimestamp(now_s, UTC))
    progress = TrafficProgress()
    now = datetime.fromtimestamp(now_s, UTC)
    assert collect_traffic(context, progress, now=now) > 10
    assert collect_traffic(context, progress, now=now) == 0
    found = last_values(context)
    whole, new = "{environment=production}", "{environment=production, version=1.1}"
    assert found[f"shop service.requests_per_s {new}"] == 20
    assert found[f"shop service.error_ratio {whole}"] == pytest.approx(10 / 120)
    assert found[f"shop service.p99_ms {whole}"] == 400
    assert not any("flag:" in name for name in found)
    since = datetime.fromtimestamp(now_s - 10, UTC)
    collect_traffic(context, progress, now=now + timedelta(seconds=3))
    (series,) = read_series(
        context, venture="apollo", component="shop", name="service.requests_per_s", tags={"environment": "production"}, since=since,
        until=now, actor=SOMEBODY,
    )[:1]  # fmt: skip
    by_second = {
        int(at): value
        for each in read_series(context, venture="apollo", name="service.requests_per_s", since=since, until=now, actor=SOMEBODY)
        if each.key.tags == (("environment", "production"),)
        for at, value in zip(each.at, each.value, strict=True)
    }
    assert by_second[now_s - 4] == 120
    assert set(by_second.values()) == {120, 0}
    assert len(series.at)


class Broken:
    def read(self):
        raise OSError("no /proc here")


def test_a_part_that_fails_holds_up_no_other(context):
    assert FastCollector(context, Broken(), ProcessMeter()).turn(datetime.now(UTC)) == 0
    collector = build_fast(context)
    assert collector.turn(datetime.now(UTC)) >= 9
    began = time.process_time()
    for _ in range(10):
        collector.turn(datetime.now(UTC))
    assert (time.process_time() - began) / 10 < 0.1


def declare(context: Context, **spec) -> None:
    entry = ScrapeTargetEntry.model_validate(
        {"apiVersion": "productops/v1", "kind": "ScrapeTarget", "metadata": {"name": "node", "venture": "apollo"}, "spec": spec}
    )
    with context.store.write() as unit:
        put_scrape_targets(unit, [DeclaredScrapeTarget(entry, "/catalog")], bases={"/catalog"}, actor=SOMEBODY, now=context.clock.now())


def test_a_page_of_metrics_is_fetched_at_its_interval_and_counters_become_rates(ticking, scraper):
    context, clock = ticking
    add_service(context)
    count = iter((100, 160))

    def said(request: Request) -> Reply:
        assert request.path == "/metrics"
        return Reply(raw=page(next(count)).encode(), headers={"content-type": "text/plain; version=0.0.4"})

    with answering(said) as server:
        declare(
            context,
            url=f"{server.url}/metrics",
            service="shop",
            environment="production",
            interval_s=10,
            drop=["go_.*"],
            drop_labels=["pod"],
        )
        collector = SlowCollector(context, scraper)
        collector.turn(clock.now())
        collector.turn(clock.now())
        assert len(server.requests) == 1
        clock.ahead = 10.0
        collector.turn(clock.now())
        assert len(server.requests) == 2
    found = last_values(context)
    mine = "{environment=production, target=node}"
    assert found[f"shop temperature {mine}"] == 21.5
    assert found["shop http_requests_per_s {environment=production, method=get, target=node}"] == pytest.approx(12.0, rel=0.1)
    assert found[f"shop latency_seconds_p95 {mine}"] == pytest.approx(0.1)
    assert found["shop pause {environment=production, quantile=0.5, target=node}"] == 0.2
    assert found[f"shop scrape.up {mine}"] == 1.0
    assert not any("go_version" in name or "odd" in name for name in found)
    (target,) = list_scrape_targets(context, actor=SOMEBODY)
    assert (target.problem, target.tried_at is not None) == ("", True)


def test_a_target_that_does_not_answer_says_why_and_is_down(ticking, scraper):
    context, clock = ticking
    with answering(lambda _: Reply(status=500, raw=b"out of order")) as server:
        declare(context, url=f"{server.url}/metrics", timeout_s=1)
        collector = SlowCollector(context, scraper)
        collector.turn(clock.now())
        declare(context, url=f"{server.url}/other")
    assert "out of order" in list_scrape_targets(context, actor=SOMEBODY)[0].problem
    assert last_values(context)["node scrape.up"] == 0.0
    with context.store.write() as unit:
        gone = put_scrape_targets(unit, [], bases={"/catalog"}, actor=SOMEBODY, now=context.clock.now())
    assert gone == [("ScrapeTarget", "node", "removed")]
    assert list_scrape_targets(context, actor=SOMEBODY) == []


def test_pages_that_are_no_metrics_or_too_long_are_refused():
    assert {each.kind for each in read_text(page(1), openmetrics=False, at=1.0, samples_max=100)} == set(SampleKind)
    text = "# TYPE a counter\na_total 3\n# EOF\n"
    assert [each.kind for each in read_text(text, openmetrics=True, at=1.0, samples_max=10)] == [SampleKind.COUNTER]
    for wrong, most in (("<html>no</html>", 10), ('a{b="c} 1\n', 10), (page(1), 3)):
        with pytest.raises(MetricSourceError):
            read_text(wrong, openmetrics=False, at=1.0, samples_max=most)


class Source:
    name, interval_s, lag_s = "datadog", 10, 0

    def metric(self, query, key, window):
        assert (query.query, key) == ("avg:cpu{service}", ("shop", PRODUCTION, "1.0"))
        return dict.fromkeys(window.points, 42.0)


def test_metric_sources_are_asked_for_whole_intervals_and_an_unknown_one_is_named(ticking, scraper):
    context, clock = ticking
    add_service(context, live="1.0")
    queries = [{"name": "cpu", "query": "avg:cpu{service}"}]
    declare(context, source="datadog", queries=queries, service="shop", environment="production", interval_s=10)
    SlowCollector(context, scraper).turn(clock.now())
    assert "it has: none" in list_scrape_targets(context, actor=SOMEBODY)[0].problem
    SlowCollector(context, scraper, {"datadog": Source()}).turn(clock.now())
    assert last_values(context)["shop cpu {environment=production, target=node}"] == 42.0


def test_use_of_features_becomes_business_series_once(context, scraper):
    day = datetime.now(UTC).date()
    figures = {"failures": 1, "duration_count": 1, "duration_sum_ms": 5.0, "duration_p50_ms": 5.0, "duration_p95_ms": 9.0, "value_sum": 3.0}

    def used(feature: str, people: int, on: date) -> UsageDay:
        return UsageDay(
            venture="apollo", day=on, feature=feature, dimension="", value="", events=people * 2, people=people, new_people=1, **figures
        )  # fmt: skip

    with context.store.write() as unit:
        unit.analytics_usage.put_daily([used("", 40, day), used("checkout", 10, day), used("", 1, day - timedelta(days=30))])
    collector = SlowCollector(context, scraper)
    assert collector.turn(context.clock.now()) == 13
    assert collector.collect_business(context.clock.now()) == 0
    tidy_series(context, Retention(), now=context.clock.now() + timedelta(minutes=2))
    found = last_values(context)
    assert found["feature/checkout business.adoption_ratio"] == 0.25
    assert found["usage business.people"] == 40
    assert found["usage business.failure_ratio"] == pytest.approx(1 / 80)


def test_containers_are_measured_as_their_engine_counts_them(context, tmp_path):
    add_service(context)
    instance = add_instance(context, None, None)
    used = iter((1_000_000_000, 1_500_000_000))

    def said(request: Request) -> Reply:
        if request.path.endswith("/stats"):
            return Reply(
                document={
                    "memory_stats": {"usage": 2_000_000, "limit": 8_000_000}, "pids_stats": {"current": 3},
                    "cpu_stats": {"cpu_usage": {"total_usage": next(used)}},
                }
            )  # fmt: skip
        assert str(tmp_path) in request.query["filters"]
        return Reply(document=[{"Id": "c1", "Labels": {"productops.instance": instance.id}}])

    with answering(said) as server:
        meter = ContainerMeter(tmp_path, socket=tmp_path / "none.sock")
        meter.close()
        meter._http = SafeHttp(server.url, what="the container engine")
        collect_containers(context, meter, now=context.clock.now())
        time.sleep(0.2)
        assert collect_containers(context, meter, now=context.clock.now()) == 4
        meter.close()
    found = {name.split()[1]: value for name, value in last_values(context).items()}
    assert (found["container.memory_pct"], found["container.processes"]) == (25.0, 3.0)
    assert 10 < found["container.cpu_pct"] <= 250
    with pytest.raises(DependencyError):
        ContainerMeter(tmp_path, socket=tmp_path / "none.sock", timeout_s=0.2).read()


def otlp(at_s: float, count: int, *, service: str = "shop", delta: bool = False) -> dict:
    nano, begin = str(int(at_s * 1e9)), str(int((at_s - 10) * 1e9))
    time_of = {"timeUnixNano": nano, "startTimeUnixNano": begin}
    labels = [{"key": "queue", "value": {"stringValue": "mail"}}, {"key": "list", "value": {"arrayValue": {}}}]
    resource = [
        {"key": "service.name", "value": {"stringValue": service}}, {"key": "service.version", "value": {"stringValue": "1.0"}},
        {"key": "deployment.environment.name", "value": {"stringValue": "prod"}},
    ]  # fmt: skip
    exponential = {
        "scale": 0,
        "zeroCount": "1",
        "count": str(count),
        "sum": 3.0 * count,
        "positive": {"offset": 0, "bucketCounts": [count - 1]},
    }
    jobs = {"aggregationTemporality": 1 if delta else 2, "isMonotonic": True, "dataPoints": [{**time_of, "asInt": str(count)}]}
    pause = {**time_of, "count": "3", "sum": 1.0, "quantileValues": [{"quantile": 0.5, "value": 0.2}]}
    metrics = [
        {"name": "queue.length", "gauge": {"dataPoints": [{**time_of, "asInt": "7", "attributes": labels}, {**time_of, "flags": 1}]}},
        {"name": "jobs", "sum": jobs},
        {"name": "open", "sum": {"aggregationTemporality": 2, "dataPoints": [{**time_of, "asDouble": 3.5}]}},
        {"name": "took", "unit": "s", "histogram": {"aggregationTemporality": 2, "dataPoints": [
            {**time_of, "count": str(count), "sum": 0.5 * count, "explicitBounds": [1.0], "bucketCounts": [str(count), "0"]}]}},
        {"name": "size", "exponentialHistogram": {"aggregationTemporality": 1, "dataPoints": [{**time_of, **exponential}]}},
        {"name": "pause", "summary": {"dataPoints": [pause]}},
    ]  # fmt: skip
    return {"resourceMetrics": [{"resource": {"attributes": resource}, "scopeMetrics": [{"metrics": metrics}]}]}


def take(intake: MetricsIntake, document: dict, actor: Actor = SOMEBODY):
    found = read_request(json.dumps(document).encode(), as_json=True, now=time.time())
    return intake.take([SentMetrics(each.attributes, each.samples) for each in found], actor=actor)


def test_otlp_metrics_of_a_service_become_its_series(context):
    add_service(context)
    intake = MetricsIntake(context, Places(context))
    now = time.time()
    take(intake, otlp(now - 10, 100))
    taken = take(intake, otlp(now, 200))
    assert (taken.refused, taken.message) == (0, "")
    found = last_values(context)
    tags = "{environment=production, version=1.0}"
    assert found["shop queue.length {environment=production, queue=mail, version=1.0}"] == 7
    assert found[f"shop jobs_per_s {tags}"] == pytest.approx(10.0)
    assert found[f"shop open {tags}"] == 3.5
    assert found[f"shop took_mean {tags}"] == pytest.approx(0.5)
    assert found[f"shop took_p95 {tags}"] == pytest.approx(0.95)
    assert found[f"shop size_per_s {tags}"] == pytest.approx(20.0)
    assert 1 < found[f"shop size_p50 {tags}"] < 2
    assert found["shop pause {environment=production, quantile=0.5, version=1.0}"] == 0.2
    assert not any(math.isnan(value) for value in found.values())


def test_otlp_metrics_of_nobody_and_of_another_time_are_refused_and_the_rest_is_kept(context):
    add_service(context)
    intake = MetricsIntake(context, Places(context))
    with pytest.raises(NotFoundError, match=r"no service of the catalog"):
        take(intake, otlp(time.time(), 5, service="ghost"))
    with pytest.raises(ForbiddenError):
        take(intake, otlp(time.time(), 5), Actor("mia", "api", replace(SOMEBODY.principal, grants=())))
    both = otlp(time.time(), 5)
    both["resourceMetrics"] += otlp(time.time(), 5, service="ghost")["resourceMetrics"] + otlp(time.time() - 9e5, 5)["resourceMetrics"]
    taken = take(intake, both)
    assert taken.kept > 0
    assert taken.refused > 5
    assert "ghost" in taken.message
    told = json.loads(answer(rejected=taken.refused, reason=taken.message, as_json=True))
    assert int(told["partialSuccess"]["rejectedDataPoints"]) == taken.refused
    for wrong, as_json in ((b"{", True), (b"\xff\xff\xff", False), (gzip.compress(b"x"), False)):
        with pytest.raises(InvalidInputError, match="no OTLP request"):
            read_request(wrong, as_json=as_json, now=1.0)


def test_the_slow_collector_is_built_from_the_settings(context, tmp_path):
    collector = build_slow(context, Settings(home=tmp_path))
    assert (collector.containers, dict(collector.sources)) == (None, {})
    assert ScrapeTargetSpec(url="http://node/metrics").category == "application"
