"""The file that names routers, targets and metric sources, and what is built from it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from productops.adapters.aws import AlbRouter
from productops.adapters.connections import build_router, build_sources, build_target, load_connections, router_capabilities, secret
from productops.adapters.envoy import EnvoyRouter
from productops.adapters.haproxy import HAProxyRouter
from productops.adapters.local_process import LocalProcessTarget
from productops.adapters.metered import MeteredRouter
from productops.adapters.podman import PodmanTarget
from productops.domain.analysis import ArmSecond, LatencyHistogram
from productops.domain.capabilities import LatencyDetail, RouterNeeds, missing
from productops.domain.monitoring_sources import MetricQuery, Values, Window
from productops.domain.routing import ServiceRoute, VersionKey, second_between
from productops.errors import MetricSourceError, RouterError, SettingsError
from productops.settings import Settings
from tests.support import PRODUCTION

ALB = """
router:
  kind: aws-alb
  region: eu-central-1
  metrics: prometheus
  services: [{service: shop, rule_arn: "arn:aws:rule"}]
metric_sources:
  - kind: prometheus
    name: prometheus
    url: http://127.0.0.1:9090
    token_env: PROMETHEUS_TOKEN
    traffic: {requests: 'sum(r{version="{version}"})', failures: 'sum(f{version="{version}"})', latency_buckets: 'sum by (le) (b)'}
"""


def settings_of(folder: Path, text: str | None) -> Settings:
    path = folder / "connections.yaml"
    if text is not None:
        path.write_text(text)
    return Settings(home=folder / "home", connections=path)


def test_without_a_file_there_are_envoy_and_processes(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    connections = load_connections(settings)
    router = build_router(settings, connections)
    assert isinstance(router, EnvoyRouter)
    assert isinstance(build_target(settings, connections), LocalProcessTarget)
    assert build_sources(connections) == []
    assert router_capabilities(connections).latency is LatencyDetail.HISTOGRAM
    router.close()


def test_haproxy_and_podman_are_built_from_the_file(tmp_path: Path) -> None:
    settings = settings_of(
        tmp_path, f"router: {{kind: haproxy, folder: {tmp_path}/h}}\ntarget: {{kind: podman, socket: {tmp_path}/p.sock}}\n"
    )
    connections = load_connections(settings)
    assert isinstance(build_router(settings, connections), HAProxyRouter)
    target = build_target(settings, connections)
    assert isinstance(target, PodmanTarget)
    assert router_capabilities(connections).latency is LatencyDetail.AVERAGE
    target.close()


def test_a_router_that_counts_nothing_is_completed_by_a_metric_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("boto3")
    monkeypatch.setenv("PROMETHEUS_TOKEN", "s3cret")
    settings = settings_of(tmp_path, ALB)
    connections = load_connections(settings)
    router = build_router(settings, connections)
    assert isinstance(router, MeteredRouter)
    assert isinstance(router._router, AlbRouter)
    able = router_capabilities(connections)
    assert (able.counters, able.latency) == (True, LatencyDetail.HISTOGRAM)
    assert missing(able, RouterNeeds(weights_pct=(5,), latency_quantiles=True)) == []
    router.close()


def test_a_secret_that_is_not_set_is_named_and_never_its_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROMETHEUS_TOKEN", raising=False)
    with pytest.raises(SettingsError, match="PROMETHEUS_TOKEN is not set"):
        build_sources(load_connections(settings_of(tmp_path, ALB)))
    assert secret("") == ""
    assert secret("A", {"A": " x "}) == "x"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "cannot be read"),
        ("router: [", "is no YAML"),
        ("router: {kind: nginx}", "nginx"),
        ("router: {kind: haproxy, thread: 2}", "router.haproxy.thread: Extra inputs"),
        ("metric_sources: [{kind: prometheus, name: p, url: x}, {kind: newrelic, name: p, account: 1}]", "different names"),
        (ALB.replace("metrics: prometheus", "metrics: other"), "no metric source with traffic queries"),
        ("router: {kind: aws-alb, services: [{service: shop}]}", "either rule_arn or listener_arn"),
    ],
)
def test_what_is_wrong_in_the_file_is_named_with_its_place(text: str | None, reason: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=reason) as refused:
        load_connections(settings_of(tmp_path, text))
    assert "connections.yaml" in str(refused.value)


# ---- a metered router


class Counting:
    """A source that knows what a test tells it."""

    name, interval_s, lag_s = "counting", 5, 5

    def __init__(self) -> None:
        self.known: dict[int, ArmSecond] = {}

    def metric(self, query: MetricQuery, key: VersionKey, window: Window) -> Values:
        raise MetricSourceError("knows traffic only")

    def traffic(self, key: VersionKey, window: Window) -> dict[int, ArmSecond]:
        return {point: self.known[point] for point in window.points if point in self.known}


class Standing:
    """A router that takes everything."""

    def apply(self, routes: object) -> None:
        self.routes = routes

    def requests_in_flight(self) -> dict[tuple[VersionKey, int], int]:
        return {}

    def read(self) -> object:
        raise RouterError("counts nothing")

    def claim(self, term: int) -> None:
        self.term = term

    def latest_term(self) -> int:
        return self.term

    def ready(self) -> bool:
        return True

    def close(self) -> None:
        return


def test_intervals_of_the_source_add_up_and_a_gap_is_unknown_and_not_zero() -> None:
    source, now = Counting(), [1000.0]
    router = MeteredRouter(Standing(), source, clock=lambda: now[0])  # type: ignore[arg-type]
    route = ServiceRoute(
        service="shop", environment=PRODUCTION, hosts=(), generation=1, baseline_version="1", candidate_version=None, candidate_pct=0,
        header_only=False,
    )  # fmt: skip
    key: VersionKey = ("shop", PRODUCTION, "1")
    router.apply([route])
    before = router.read()
    source.known = {1000: ArmSecond(50, 2, LatencyHistogram((10.0,), (50,))), 1005: ArmSecond(60, 0, LatencyHistogram((20.0,), (60,)))}
    now[0] = 1011.0
    after = router.read()
    second = second_between(before, after, key)
    assert second is not None
    assert (second.requests, second.failures, second.latency.total) == (110, 2, 110)
    now[0] = 1016.0
    with pytest.raises(RouterError, match="knows nothing of 1 of 1 intervals"):
        router.read()
    source.known[1015] = ArmSecond(10, 0)
    now[0] = 1020.0
    assert router.read().arms[key].requests == 120
    router.apply([replace(route, baseline_version="2")])
    assert set(router.read().arms) == {("shop", PRODUCTION, "2")}
