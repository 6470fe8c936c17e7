"""Envoys that fetch their configuration from the real API over REST, as they would on other machines."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest

from productops.adapters.envoy.router import find_envoy
from productops.adapters.envoy_remote import Discovery, RemoteEnvoyRouter, RemoteNode, bootstrap
from productops.domain.routing import MirrorRule, second_between
from productops.errors import InvalidInputError, RouterError, SettingsError
from productops.settings import Settings
from tests.integration.envoy_support import LOOPBACK, PRODUCTION, Backend, Site, canary, eventually, free_port
from tests.integration.test_api.support import NO_TLS, serving
from tests.support import make_context, sqlite_url

XDS, STATS, API = "xds-token-xds-token", "stats-token-stats-token", "api-token-api-token"
OLD = ("storefront", PRODUCTION, "1.4.2")


class RemoteSite(Site):
    """The helpers of the embedded router's tests around an Envoy that knows its API and nothing else."""

    def __init__(self, folder: Path, node: str, router: RemoteEnvoyRouter, port: int, stats_port: int, api_url: str) -> None:
        super().__init__(folder)
        self.router.close()
        self.router, self.port = router, port
        self._file = folder.parent / f"{node}.json"
        self._file.write_text(
            bootstrap(node=node, api_url=api_url, xds_token=XDS, stats_token=STATS, stats_port=stats_port, stats_host=LOOPBACK,
                      admin_port=free_port())
        )  # fmt: skip
        self.log = folder.parent / f"{node}.log"

    def start(self) -> None:
        with self.log.open("ab") as log:
            command = [str(find_envoy()), "-c", str(self._file), "--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)


@dataclass
class World:
    settings: Settings
    router: RemoteEnvoyRouter
    sites: list[RemoteSite]

    @property
    def site(self) -> RemoteSite:
        return self.sites[0]


def make_world(folder: Path, *, nodes: int) -> Iterator[World]:
    settings = Settings(home=folder / "home", port_base=free_port(), api_token=API, xds_token=XDS)  # type: ignore[arg-type]
    folder.joinpath("home").mkdir()
    context = make_context(sqlite_url(folder))
    ports = [(free_port(), free_port()) for _ in range(nodes)]
    known = [RemoteNode(f"edge-{i}", LOOPBACK, stats) for i, (_, stats) in enumerate(ports)]
    # All Envoys of the tests share this machine, and one listener port; the second takes its requests on another address.
    router = RemoteEnvoyRouter(settings.home / "xds", nodes=known, stats_token=STATS, port=ports[0][0], host=LOOPBACK, confirm_s=5.0)
    router.write_bootstrap()
    sites = [
        RemoteSite(folder / f"site{i}", f"edge-{i}", router, ports[0][0], stats, settings.api_url) for i, (_, stats) in enumerate(ports)
    ]
    with serving(context, settings):
        try:
            for site in sites:
                site.start()
            assert eventually(router.ready, within_s=20), sites[0].log.read_text()[-3000:]
            yield World(settings, router, sites)
        finally:
            for site in sites:
                site.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    yield from make_world(tmp_path_factory.mktemp("remote"), nodes=1)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    yield from make_world(tmp_path_factory.mktemp("pair"), nodes=2)


@pytest.fixture(scope="module")
def old(world: World) -> Backend:
    return world.site.backend("old")


@pytest.fixture(scope="module")
def new(world: World) -> Backend:
    return world.site.backend("new")


def discover(world: World, kind: str, document: object, *, token: str = XDS, method: str = "POST") -> httpx.Response:
    with httpx.Client(trust_env=False, verify=NO_TLS, timeout=10) as client:
        url = f"{world.settings.api_url}/v3/discovery:{kind}"
        return client.request(method, url, json=document, headers={"authorization": f"Bearer {token}"})


def test_the_next_request_after_a_switch_goes_where_it_should(world: World, old: Backend, new: Backend) -> None:
    world.router.apply([canary(old, new, 0)])
    took = []
    for generation in range(1, 21):
        started = time.perf_counter()
        world.router.apply([canary(old, new, 100 if generation % 2 else 0, generation=generation)])
        took.append(time.perf_counter() - started)
        assert world.site.get().body == ("new" if generation % 2 else "old")
    print(f"20 confirmed switches: median {1000 * sorted(took)[10]:.0f} ms, worst {1000 * max(took):.0f} ms")


def test_no_request_is_lost_when_weights_and_fleets_change(world: World, old: Backend) -> None:
    world.router.apply([canary(old, None, 0)])
    load, generation = world.site.load(connections=4), 1
    for cycle in range(4):
        version, candidate = f"2.{cycle}", world.site.backend(f"new{cycle}")
        fleets = {"1.4.2": (old.endpoint,), version: (candidate.endpoint,)}
        for pct in (0, 5, 50, 100, 0):
            generation += 1
            world.router.apply([replace(canary(old, candidate, pct, generation=generation), candidate_version=version, fleets=fleets)])
        generation += 1
        world.router.apply([canary(old, None, 0, generation=generation)])
    tally = load.stop()
    assert tally.failed == 0, tally.answers
    assert len({version for _, version in tally.answers}) == 5


def test_counters_and_requests_in_flight_come_over_the_listener_with_the_token(world: World, old: Backend) -> None:
    world.router.apply([canary(old, None, 0)])
    before = world.router.read()
    for path in ("/", "/", "/?code=500"):
        world.site.get(path)
    assert eventually(lambda: (s := second_between(before, world.router.read(), OLD)) is not None and s.requests == 3 == s.latency.total)
    second = second_between(before, world.router.read(), OLD)
    assert second is not None
    assert second.failures == 1
    load = world.site.load(connections=2, path="/?delay=0.3")
    assert eventually(lambda: world.router.requests_in_flight().get((OLD, old.port)) == 2)
    load.stop()


def test_the_listener_for_counters_answers_nothing_without_the_token_and_changes_nothing(world: World) -> None:
    node = world.router._fleet._clients[0]._place
    url = f"http://{LOOPBACK}:{node.stats_port}"
    with httpx.Client(trust_env=False, verify=NO_TLS) as client:
        assert client.get(f"{url}/stats").status_code == 401
        headers = {"authorization": f"Bearer {STATS}"}
        assert client.get(f"{url}/server_info", headers=headers).status_code == 200
        assert client.get(f"{url}/config_dump", headers=headers).status_code == 401
        assert client.post(f"{url}/quitquitquit", headers=headers).status_code == 401
        assert client.post(f"{url}/stats/../quitquitquit", headers=headers).status_code == 401


def test_discovery_has_a_token_of_its_own(world: World) -> None:
    asked = {"node": {"id": "stranger"}, "version_info": "", "response_nonce": ""}
    assert discover(world, "routes", asked, token=API).status_code == 401
    assert discover(world, "routes", asked).status_code == 200
    assert discover(world, "secrets", asked).status_code == 404
    assert discover(world, "routes", asked, method="GET").status_code == 404
    assert discover(world, "routes", {"node": {"id": "../../etc"}}).status_code == 422
    assert discover(world, "routes", ["nonsense"]).status_code == 422
    with httpx.Client(trust_env=False, verify=NO_TLS) as client:
        opened = client.get(f"{world.settings.api_url}/api/v1/product-ops/services", headers={"authorization": f"Bearer {XDS}"})
        assert opened.status_code == 401


def test_an_answer_names_type_version_and_nonce_and_a_question_for_the_same_is_kept_open(world: World) -> None:
    first = discover(world, "clusters", {"node": {"id": "stranger"}}).json()
    assert first["type_url"] == "type.googleapis.com/envoy.config.cluster.v3.Cluster"
    assert first["nonce"] == first["version_info"]
    started = time.monotonic()
    again = discover(
        world, "clusters", {"node": {"id": "stranger"}, "version_info": first["version_info"], "response_nonce": first["nonce"]}
    )
    assert again.status_code == 304
    assert time.monotonic() - started > 3


def test_a_refused_configuration_is_an_error_with_the_reason_and_is_taken_back(world: World, old: Backend, new: Backend) -> None:
    world.router.apply([canary(old, None, 0)])
    files = world.router._files
    good = files.hosts().parts
    broken = json.loads(good["storefront|production"]) | {"domains": []}
    files.put_hosts({**good, "storefront|production": json.dumps(broken)})
    state = Discovery(world.settings.home / "xds")
    refused = files.hosts().version
    assert eventually(lambda: refused in state.node("edge-0").reason)
    assert world.site.get().body == "old"
    with pytest.raises(RouterError, match="refused"):
        world.router._confirm(clusters=False)
    files.put_hosts(good)
    world.router.apply([canary(old, new, 100, generation=2)])
    assert world.site.get().body == "new"


def test_an_envoy_that_restarts_fetches_everything_and_counts_as_another_life(world: World, old: Backend) -> None:
    world.router.apply([canary(old, None, 0)])
    life = world.router.read().life
    world.site.kill()
    with pytest.raises(RouterError, match="edge-0 does not answer"):
        world.router.read()
    world.site.start()
    assert eventually(world.router.ready, within_s=20)
    assert eventually(lambda: world.site.get().body == "old")
    assert world.router.read().life != life


def test_mirrored_requests_reach_the_shadow(world: World, old: Backend, new: Backend) -> None:
    route = replace(
        canary(old, new, 0, generation=7),
        mirror=MirrorRule(pct=100.0, methods=("GET",), in_flight_max=10, compare_pct=100.0, compare_port=9),
    )
    world.router.apply([route])
    seen = new.requests
    assert world.site.get().body == "old"
    assert eventually(lambda: new.requests == seen + 1)


def test_nothing_is_confirmed_while_one_of_two_is_silent(pair: World) -> None:
    old, new = pair.site.backend("old"), pair.site.backend("new")
    pair.router.apply([canary(old, None, 0)])
    pair.router.apply([canary(old, new, 50, generation=2)])
    # Both listen on one port, so users' requests reach either: the counters of both add up.
    before = pair.router.read()
    assert pair.site.strangers(200).failed == 0
    assert eventually(
        lambda: sum(a.requests for a in pair.router.read().arms.values()) - sum(a.requests for a in before.arms.values()) == 200
    )
    pair.sites[1].kill()
    with pytest.raises(RouterError, match="edge-1"):
        pair.router.apply([canary(old, new, 0, generation=3)])
    assert eventually(lambda: pair.site.strangers(50).by_version("1.4.2") == 50)
    pair.sites[1].start()
    assert eventually(pair.router.ready, within_s=20)
    pair.router.apply([canary(old, new, 0, generation=3)])


def test_loopback_instances_are_told_under_the_advertised_address(tmp_path: Path, old: Backend) -> None:
    router = RemoteEnvoyRouter(tmp_path, nodes=[RemoteNode("a", LOOPBACK, 9)], stats_token=STATS, advertise="10.0.0.5")
    route = router._reachable(canary(old, None, 0))
    assert [e.host for e in route.fleets["1.4.2"]] == ["10.0.0.5"]
    router.close()


def test_settings_that_cannot_work_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="nodes"):
        RemoteEnvoyRouter(tmp_path, nodes=[], stats_token=STATS)
    with pytest.raises(InvalidInputError, match=r"node\.id"):
        RemoteEnvoyRouter(tmp_path, nodes=[RemoteNode("a/b", LOOPBACK, 1)], stats_token=STATS)
    with pytest.raises(SettingsError, match="usable"):
        bootstrap(node="a", api_url="api.example", xds_token=XDS, stats_token=STATS, stats_port=1)
