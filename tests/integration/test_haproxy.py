"""The router port on a real HAProxy."""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from productops.adapters.haproxy import CAPABILITIES, HAProxyRouter, config
from productops.domain.capabilities import RouterNeeds, refuse_unsupported
from productops.domain.routing import Endpoint, MirrorRule, SegmentRule, ServiceRoute, second_between
from productops.errors import DependencyError, RouterError, SettingsError, UnsupportedError
from tests.integration.envoy_support import LOOPBACK, PRODUCTION, Backend, Site, canary, eventually, free_port

pytestmark = pytest.mark.skipif(
    shutil.which("haproxy", path="/usr/sbin:/usr/bin") is None, reason="no HAProxy here: apt-get install haproxy"
)
OLD, NEW = ("storefront", PRODUCTION, "1.4.2"), ("storefront", PRODUCTION, "1.5.0")


class HAProxySite(Site):
    """The helpers of Envoy's tests around a HAProxy."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.haproxy = HAProxyRouter(folder, port=self.port)
        self.log = folder.parent / "haproxy.log"

    def start(self) -> None:
        self.haproxy.write_configuration()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.haproxy.command(), stdout=log, stderr=log)
        assert eventually(self.haproxy.ready, within_s=20), self.log.read_text()[-2000:]

    def kill(self) -> None:
        """End the master; its workers follow."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            self.process = None


class PoliteLoad:
    """Keep-alive clients that, like any HTTP client, open another connection when an answer says that this one closes."""

    def __init__(self, port: int, *, clients: int, path: str) -> None:
        self.answers: Counter[tuple[int, str]] = Counter()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._client, args=(port, path)) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def _client(self, port: int, path: str) -> None:
        connection = http.client.HTTPConnection(LOOPBACK, port, timeout=20)
        while not self._stop.is_set():
            try:
                connection.request("GET", path, headers={"host": "storefront.localhost"})
                response = connection.getresponse()
                response.read()
                self.answers[response.status, response.getheader("x-productops-version", "")] += 1
            except (OSError, http.client.HTTPException):
                connection.close()
                self.answers[0, ""] += 1
        connection.close()

    def stop(self) -> Counter[tuple[int, str]]:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
        return self.answers

    @property
    def failed(self) -> int:
        return sum(count for (status, _), count in self.answers.items() if status != 200)


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a path that leaves room for the names of sockets."""
    with tempfile.TemporaryDirectory(prefix="po-ha-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
def site(short: Path) -> Iterator[HAProxySite]:
    made = HAProxySite(short / "haproxy")
    try:
        made.start()
        yield made
    finally:
        made.close()


@pytest.fixture
def old(site: HAProxySite) -> Backend:
    return site.backend("old")


@pytest.fixture
def new(site: HAProxySite) -> Backend:
    return site.backend("new")


def worker(site: HAProxySite) -> int:
    return site.haproxy._runtime.description()[1]


def counted(site: HAProxySite, key: tuple[str, object, str]) -> tuple[int, int]:
    arm = site.haproxy.read().arms[key]  # type: ignore[index]
    return arm.requests, arm.failures


def test_the_next_request_after_a_switch_goes_where_it_should_and_no_reload_is_needed(
    site: HAProxySite, old: Backend, new: Backend
) -> None:
    site.haproxy.apply([canary(old, new, 0)])
    pid = worker(site)
    for generation in range(1, 41):
        site.haproxy.apply([canary(old, new, 100 if generation % 2 else 0, generation=generation)])
        answer = site.get()
        assert (answer.body, answer.version) == (("new", "1.5.0") if generation % 2 else ("old", "1.4.2"))
    assert worker(site) == pid


def test_weights_are_read_back_and_met(site: HAProxySite, old: Backend, new: Backend) -> None:
    site.haproxy.apply([canary(old, new, 20, sticky=False)])
    value = site.haproxy._runtime.entries(site.folder / config.ROUTES)["storefront|production"]
    assert value.split("/")[2] == "2000"
    tally = site.strangers(4000)
    assert tally.failed == 0
    assert 640 <= tally.by_version("1.5.0") <= 960


def test_a_user_stays_while_the_weight_rises(site: HAProxySite, old: Backend, new: Backend) -> None:
    site.haproxy.apply([canary(old, new, 10)])
    users = []
    for _ in range(150):
        answer = site.get()
        cookie = answer.headers["set-cookie"].split(";")[0]
        users.append((cookie, answer.version))
    had = {cookie for cookie, version in users if version == "1.5.0"}
    assert 3 <= len(had) <= 35
    for generation, pct in enumerate((10, 25, 60), start=2):
        site.haproxy.apply([canary(old, new, pct, generation=generation)])
        answers = {cookie: site.get(headers={"cookie": cookie}) for cookie, _ in users}
        now = {cookie for cookie, answer in answers.items() if answer.version == "1.5.0"}
        assert had <= now
        assert not any("set-cookie" in answer.headers for answer in answers.values())
        had = now


def test_the_header_chooses_the_version_and_a_test_is_for_nobody_else(site: HAProxySite, old: Backend, new: Backend) -> None:
    site.haproxy.apply([canary(old, new, 0, header_only=True)])
    assert site.get(headers={"x-productops-candidate": "always"}).body == "new"
    assert site.strangers(200).by_version("1.4.2") == 200
    site.haproxy.apply([canary(old, new, 100, generation=2)])
    assert site.get(headers={"x-productops-candidate": "never"}).body == "old"
    site.haproxy.apply([canary(old, new, 0, generation=3)])
    assert site.get(headers={"x-productops-candidate": "always"}).body == "old"


def test_unknown_hosts_and_services_without_versions_get_a_problem(site: HAProxySite, old: Backend) -> None:
    site.haproxy.apply([canary(None, None, 0), canary(old, None, 0, service="other")])
    nobody, stranger = site.get(), site.get(host="nowhere.localhost")
    assert (nobody.status, json.loads(nobody.body)["title"]) == (503, "No version serves")
    assert (stranger.status, json.loads(stranger.body)["title"]) == (404, "Unknown host")
    assert site.get(host="OTHER.localhost:1234").body == "old"


def test_no_request_is_lost_in_hundreds_of_weight_changes(site: HAProxySite, old: Backend, new: Backend) -> None:
    site.haproxy.apply([canary(old, new, 0)])
    load, took = site.load(connections=4), []
    for generation in range(2, 402):
        started = time.perf_counter()
        site.haproxy.apply([canary(old, new, (generation * 37) % 101, generation=generation)])
        took.append(time.perf_counter() - started)
    tally = load.stop()
    assert tally.failed == 0, tally.answers
    assert tally.total > 200
    print(f"400 switches: median {1000 * sorted(took)[200]:.1f} ms, worst {1000 * max(took):.1f} ms; {tally.total} requests, 0 failed")


def test_no_request_is_lost_when_fleets_come_and_go_with_reloads(site: HAProxySite, old: Backend) -> None:
    site.haproxy.apply([canary(old, None, 0)])
    load = PoliteLoad(site.port, clients=4, path="/?delay=0.02")
    pool = [site.backend(f"new{i}") for i in range(3)]
    workers, generation = set(), 1
    for cycle in range(8):
        version, candidate = f"2.{cycle}+b_1", pool[cycle % 3]
        fleets: dict[str, tuple[Endpoint, ...]] = {"1.4.2": (old.endpoint,), version: (candidate.endpoint,)}
        for pct in (0, 5, 50, 100, 0):
            generation += 1
            route = replace(canary(old, candidate, pct, generation=generation), candidate_version=version, fleets=fleets)
            before = candidate.requests
            site.haproxy.apply([route])
            if pct == 100:
                assert eventually(lambda seen=before, at=candidate: at.requests > seen)
        workers.add(worker(site))
        generation += 1
        site.haproxy.apply([canary(old, None, 0, generation=generation)])
    answers = load.stop()
    assert load.failed == 0, answers
    assert len(workers) == 8
    assert len({version for _, version in answers}) > 4


def test_an_instance_comes_and_goes_without_a_reload_and_drains_without_loss(site: HAProxySite, old: Backend) -> None:
    more = site.backend("more")
    site.haproxy.apply([canary(old, None, 0)])
    pid = worker(site)
    site.haproxy.apply([replace(canary(old, None, 0), fleets={"1.4.2": (old.endpoint, more.endpoint)})])
    load = site.load(connections=6, path="/?delay=0.2")
    assert eventually(lambda: site.haproxy.requests_in_flight().get((OLD, more.port), 0) >= 2)
    site.haproxy.apply([replace(canary(old, None, 0), fleets={"1.4.2": (old.endpoint, more.draining)})])
    assert eventually(lambda: site.haproxy.requests_in_flight()[(OLD, more.port)] == 0)
    seen = more.requests
    more.close()
    site.haproxy.apply([canary(old, None, 0)])
    time.sleep(0.5)
    tally = load.stop()
    assert tally.failed == 0, tally.answers
    assert more.requests == seen
    assert worker(site) == pid
    assert (OLD, more.port) not in site.haproxy.requests_in_flight() or site.haproxy.requests_in_flight()[(OLD, more.port)] == 0


def test_requests_that_an_old_worker_still_has_are_seen(site: HAProxySite, old: Backend, new: Backend) -> None:
    site.haproxy.apply([canary(old, None, 0)])
    load = site.load(connections=2, path="/?delay=1.5")
    assert eventually(lambda: site.haproxy.requests_in_flight().get((OLD, old.port)) == 2)
    pid = worker(site)
    site.haproxy.apply([canary(old, new, 0, generation=2)])
    assert worker(site) != pid
    assert site.haproxy.requests_in_flight()[(OLD, old.port)] >= 2
    assert load.stop().failed == 0


def test_a_connection_that_was_idle_at_a_reload_is_not_served_old_routes(site: HAProxySite, old: Backend, new: Backend) -> None:
    third = site.backend("third")
    site.haproxy.apply([canary(old, new, 100)])
    idle = http.client.HTTPConnection(LOOPBACK, site.port, timeout=5)
    idle.request("GET", "/", headers={"host": "storefront.localhost"})
    assert idle.getresponse().read() == b"new"
    fleets = {"1.4.2": (old.endpoint,), "1.5.0": (new.endpoint,), "1.6.0": (third.endpoint,)}
    site.haproxy.apply([replace(canary(old, new, 100, generation=2), candidate_version="1.6.0", fleets=fleets)])
    site.haproxy.apply([canary(old, new, 0, generation=3)])
    idle.request("GET", "/", headers={"host": "storefront.localhost"})
    answer = idle.getresponse()
    assert (answer.read(), answer.getheader("connection")) == (b"old", "close")
    idle.close()


def test_failures_are_counted_once_also_those_that_got_no_answer(site: HAProxySite, old: Backend) -> None:
    gone = free_port()
    site.haproxy.apply([
        canary(old, None, 0, timeout_s=0.3),
        replace(canary(None, None, 0, service="gone"), baseline_version="1", fleets={"1": (Endpoint(LOOPBACK, gone),)}),
    ])  # fmt: skip
    for path, status in {"/": 200, "/?code=404": 404, "/?code=500": 500, "/?delay=1": 504, "/?reset=1": 502}.items():
        assert site.get(path).status == status
    assert site.get(host="gone.localhost").status == 503
    assert counted(site, OLD) == (5, 3)
    assert counted(site, ("gone", PRODUCTION, "1")) == (1, 1)


def test_counters_go_on_over_reloads_and_restarts(site: HAProxySite, old: Backend, new: Backend) -> None:
    site.haproxy.apply([canary(old, None, 0)])
    site.get()
    before = site.haproxy.read()
    site.get("/?code=500")
    site.haproxy.apply([canary(old, new, 0, generation=2)])
    site.get()
    after = site.haproxy.read()
    second = second_between(before, after, OLD)
    assert second is not None
    assert (second.requests, second.failures, second.latency.total) == (2, 1, 0)
    site.kill()
    with pytest.raises(RouterError, match="does not answer"):
        site.haproxy.read()
    site.start()
    site.get()
    assert counted(site, OLD) == (4, 1)


def test_a_restart_serves_what_was_served_before(site: HAProxySite, old: Backend, new: Backend) -> None:
    site.haproxy.apply([canary(old, new, 100)])
    site.kill()
    with pytest.raises(RouterError):
        site.haproxy.apply([canary(old, new, 0, generation=2)])
    site.start()
    assert eventually(lambda: site.get().body == "old")
    site.haproxy.apply([canary(old, new, 100, generation=3)])
    assert site.get().body == "new"


def test_an_agent_that_starts_anew_changes_nothing_that_is_right(site: HAProxySite, old: Backend, new: Backend) -> None:
    site.haproxy.apply([canary(old, new, 30)])
    pid = worker(site)
    again = HAProxyRouter(site.folder, port=site.port)
    again.apply([canary(old, new, 30)])
    again.apply([canary(old, new, 40, generation=2)])
    assert worker(site) == pid


def test_an_agent_of_an_earlier_term_writes_nothing(site: HAProxySite, old: Backend, new: Backend) -> None:
    later = HAProxyRouter(site.folder, port=site.port)
    site.haproxy.claim(1)
    site.haproxy.apply([canary(old, new, 0)])
    later.claim(2)
    assert site.haproxy.latest_term() == 2
    with pytest.raises(RouterError, match="belongs to the agent of term 2"):
        site.haproxy.apply([canary(old, new, 100, generation=2)])
    assert site.get().body == "old"
    later.apply([canary(old, new, 100, generation=3)])
    assert site.get().body == "new"


def test_what_haproxy_cannot_do_is_said_and_only_that_service_falls_back_to_its_baseline(
    site: HAProxySite, old: Backend, new: Backend
) -> None:
    for odd in (
        replace(canary(old, new, 50, service="odd"), mirror=MirrorRule(pct=10.0, methods=("GET",), in_flight_max=10)),
        replace(canary(old, new, 50, service="odd"), segments=(SegmentRule(pct=100, header="x-beta"),)),
        replace(canary(old, new, 50, service="odd"), hosts=("odd.localhost", "*.example.com")),
    ):
        with pytest.raises(RouterError, match="cannot do what is asked"):
            site.haproxy.apply([odd, canary(old, new, 100)])
        assert site.get().body == "new"
        assert all(site.get(host="odd.localhost").body == "old" for _ in range(8))


def test_the_capabilities_refuse_a_rollout_before_it_starts() -> None:
    needs = RouterNeeds(weights_pct=(0.5, 25), sticky=True, test_header=True)
    refuse_unsupported(CAPABILITIES, needs)
    with pytest.raises(UnsupportedError, match=r"HAProxy cannot do .*mirrored requests.*p50, p90 and p99") as refused:
        refuse_unsupported(CAPABILITIES, replace(needs, mirror=True, latency_quantiles=True))
    assert len(refused.value.extra["missing"]) == 2


def test_a_folder_too_deep_for_a_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="too long"):
        HAProxyRouter(tmp_path / ("d" * 100), port=1)


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    with pytest.raises(DependencyError, match="no HAProxy here"):
        HAProxyRouter(tmp_path, port=1, binary=tmp_path / "haproxy").command()


def test_names_of_backends_lead_back_to_their_versions() -> None:
    for version in ("1.4.2", "2.0+b_1-rc.1", "v1~x"):
        name = config.backend_name(("shop", PRODUCTION, version))
        assert config.version_key(name) == ("shop", PRODUCTION, version)
    assert config.version_key("users") is None
    assert isinstance(canary(None, None, 0), ServiceRoute)
