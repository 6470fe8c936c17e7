"""What Envoy counts, against a known truth."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from productops.domain.routing import ArmCounters, Endpoint, RouterReading, ServiceRoute, VersionKey, second_between
from productops.errors import RouterError
from tests.integration.envoy_support import LOOPBACK, PRODUCTION, Backend, Site, canary, eventually, free_port, running_site

_numbers = itertools.count()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("counters")) as running:
        yield running


@dataclass
class Shop:
    """A service nobody has asked before, so that its counters begin at zero."""

    site: Site
    name: str
    backend: Backend

    @property
    def key(self) -> VersionKey:
        return (self.name, PRODUCTION, "1.4.2")

    @property
    def route(self) -> ServiceRoute:
        return canary(self.backend, None, 0, service=self.name, timeout_s=1.0)

    def get(self, path: str = "/") -> int:
        return self.site.get(path, host=f"{self.name}.localhost").status

    def counters(self, requests: int) -> ArmCounters:
        """Its counters once so many requests are counted."""
        return counters(self.site, requests, self.key)

    def reading(self, requests: int) -> RouterReading:
        """A reading in which so many requests have both counters and latencies."""
        readings: list[RouterReading] = []

        def settled() -> bool:
            readings.append(self.site.router.read())
            arm = readings[-1].arms.get(self.key)
            return arm is not None and arm.requests == requests == arm.latency.total

        assert eventually(settled), readings[-1]
        return readings[-1]


def open_shop(site: Site) -> Shop:
    """A fresh service with one instance."""
    shop = Shop(site, f"shop{next(_numbers)}", site.backend("old"))
    site.router.apply([shop.route])
    return shop


@pytest.fixture
def shop(site: Site) -> Shop:
    return open_shop(site)


def counters(site: Site, requests: int, key: VersionKey) -> ArmCounters:
    """Counters of ``key`` once ``requests`` are counted."""

    def counted() -> bool:
        arm = site.router.read().arms.get(key)
        return arm is not None and arm.requests >= requests

    assert eventually(counted), f"{requests} requests were never counted: {site.router.read()}"
    return site.router.read().arms[key]


def test_every_kind_of_failure_is_counted_once_and_nothing_else_is_one(site: Site, shop: Shop) -> None:
    for path, status in {
        "/": 200,
        "/?code=301": 301,
        "/?code=404": 404,
        "/?code=500": 500,
        "/?code=503": 503,
        "/?code=504": 504,
        "/?delay=5": 504,
        "/?reset=1": 503,
    }.items():
        assert shop.get(path) == status
    arm = shop.counters(8)
    assert (arm.requests, arm.failures) == (8, 5)
    # The two that got no answer from the instance have no latency.
    assert eventually(lambda: shop.counters(8).latency.total == 6)


def test_a_version_whose_instance_is_gone_counts_failures_once_despite_retries(site: Site) -> None:
    route = canary(None, None, 0, service="gone")
    site.router.apply([replace(route, baseline_version="1", fleets={"1": (Endpoint(LOOPBACK, free_port()),)})])
    for _ in range(3):
        assert site.get(host="gone.localhost").status == 503
    arm = counters(site, 3, ("gone", PRODUCTION, "1"))
    assert (arm.requests, arm.failures) == (3, 3)


def test_a_version_without_any_instance_counts_failures(site: Site) -> None:
    route = canary(None, None, 0, service="empty")
    site.router.apply([replace(route, baseline_version="1.0+build_2")])
    for _ in range(3):
        assert site.get(host="empty.localhost").status == 503
    arm = counters(site, 3, ("empty", PRODUCTION, "1.0+build_2"))
    assert (arm.requests, arm.failures) == (3, 3)


def test_health_checks_are_not_counted(site: Site, shop: Shop) -> None:
    shop.get()
    seen = shop.backend.health_checks
    assert eventually(lambda: shop.backend.health_checks >= seen + 2)
    assert shop.counters(1).requests == 1


def test_a_client_that_hangs_up_is_no_failure_of_the_version(site: Site, shop: Shop) -> None:
    with socket.create_connection((LOOPBACK, site.port)) as client:
        client.sendall(b"GET /?delay=0.2 HTTP/1.1\r\nhost: " + shop.name.encode() + b".localhost\r\n\r\n")
        assert eventually(lambda: shop.backend.requests == 1)
    shop.get()
    assert shop.counters(1).failures == 0


def test_latencies_lie_below_the_upper_bound_of_their_bucket(site: Site, shop: Shop) -> None:
    for _ in range(5):
        shop.get("/?delay=0.12")
    for _ in range(20):
        shop.get()
    assert eventually(lambda: shop.counters(25).latency.total == 25)
    latency = shop.counters(25).latency
    slow = [(upper, count) for upper, count in zip(latency.upper_ms, latency.counts, strict=True) if upper > 120]
    assert sum(count for _, count in slow) >= 5
    assert min(upper for upper, _ in slow) <= 300
    assert latency.upper_ms[0] >= 1


def test_readings_tell_what_happened_in_between(site: Site, shop: Shop) -> None:
    shop.get()
    before = shop.reading(1)
    for path in ("/", "/", "/?code=500"):
        shop.get(path)
    after = shop.reading(4)
    second = second_between(before, after, shop.key)
    assert second is not None
    assert (second.requests, second.failures, second.latency.total) == (3, 1, 3)


def test_counters_go_on_when_instances_come_and_go(site: Site, shop: Shop) -> None:
    shop.get()
    before = shop.reading(1)
    more = [shop.backend]
    for _ in range(3):
        more.append(site.backend("more"))
        site.router.apply([replace(shop.route, fleets={"1.4.2": tuple(b.endpoint for b in more)})])
        shop.get()
    after = shop.reading(4)
    second = second_between(before, after, shop.key)
    assert second is not None
    assert (second.requests, second.latency.total) == (3, 3)


def test_requests_in_flight_are_seen_by_instance(site: Site, shop: Shop) -> None:
    new = site.backend("new")
    site.router.apply([canary(shop.backend, new, 100, service=shop.name)])
    key = (shop.name, PRODUCTION, "1.5.0")
    load = site.load(host=f"{shop.name}.localhost", connections=3, path="/?delay=0.3")
    assert eventually(lambda: site.router.requests_in_flight().get((key, new.port)) == 3)
    assert site.router.requests_in_flight()[(shop.key, shop.backend.port)] == 0
    load.stop()
    assert eventually(lambda: site.router.requests_in_flight()[(key, new.port)] == 0)


def test_a_restart_shows_even_when_the_new_process_has_run_for_longer(tmp_path_factory: pytest.TempPathFactory) -> None:
    with running_site(tmp_path_factory.mktemp("restart")) as site:
        shop = open_shop(site)
        shop.get()
        before = shop.reading(1)
        site.kill()
        with pytest.raises(RouterError, match="does not answer"):
            site.router.read()
        site.start()
        shop.get()
        after = shop.reading(1)
        assert after.life != before.life
        assert second_between(before, replace(after, uptime_s=before.uptime_s + 100), shop.key) is None
