"""Who gets which version through a real Envoy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from http.cookies import SimpleCookie

import pytest

from productops.domain.routing import Endpoint
from tests.integration.envoy_support import LOOPBACK, PRODUCTION, Backend, Site, canary, free_port, running_site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("traffic")) as running:
        yield running


@pytest.fixture(scope="module")
def old(site: Site) -> Backend:
    return site.backend("old")


@pytest.fixture(scope="module")
def new(site: Site) -> Backend:
    return site.backend("new")


def spread(pct: int, count: int) -> float:
    """Five standard deviations of a share of ``count`` requests."""
    share = pct / 100
    return float(5 * (share * (1 - share) / count) ** 0.5)


def cookie_of(site: Site) -> str:
    """The cookie a new user gets."""
    return SimpleCookie(site.get().headers["set-cookie"])["po-uid"].value


def test_a_host_is_found_with_and_without_a_port_and_in_any_case(site: Site, old: Backend) -> None:
    site.router.apply([canary(old, None, 0)])
    for host in ("storefront.localhost", "storefront.localhost:8702", "STOREFRONT.localhost"):
        answer = site.get(host=host)
        assert (answer.status, answer.body, answer.version) == (200, "old", "1.4.2")


def test_an_unknown_host_gets_a_404_that_names_it(site: Site, old: Backend) -> None:
    site.router.apply([canary(old, None, 0)])
    answer = site.get(host="nobody.example:81")
    assert answer.status == 404
    assert json.loads(answer.body)["host"] == "nobody.example:81"
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_service_without_versions_answers_503_in_json(site: Site) -> None:
    site.router.apply([canary(None, None, 0)])
    answer = site.get()
    assert answer.status == 503
    assert json.loads(answer.body)["service"] == "storefront"


def test_environments_of_a_service_are_apart(site: Site, old: Backend, new: Backend) -> None:
    production, staging = canary(old, None, 0), canary(new, None, 0, hosts=("storefront.staging.localhost",))
    site.router.apply([production, replace(staging, environment=type(PRODUCTION).STAGING)])
    assert site.get().body == "old"
    assert site.get(host="storefront.staging.localhost").body == "new"


@pytest.mark.parametrize("sticky", [True, False])
def test_strangers_are_split_by_the_weight(site: Site, old: Backend, new: Backend, sticky: bool) -> None:
    site.router.apply([canary(old, new, 20, sticky=sticky)])
    tally = site.strangers(3000)
    assert tally.failed == 0
    assert tally.by_version("1.5.0") / tally.total == pytest.approx(0.2, abs=spread(20, 3000))


def test_the_test_header_overrules_the_weight(site: Site, old: Backend, new: Backend) -> None:
    site.router.apply([canary(old, new, 50)])
    assert site.strangers(40, headers={"x-productops-candidate": "always"}).by_version("1.5.0") == 40
    assert site.strangers(40, headers={"x-productops-candidate": "never"}).by_version("1.4.2") == 40


def test_header_only_shows_the_candidate_to_nobody_else(site: Site, old: Backend, new: Backend) -> None:
    site.router.apply([canary(old, new, 0, header_only=True)])
    assert site.strangers(40, headers={"x-productops-candidate": "always"}).by_version("1.5.0") == 40
    assert site.strangers(200).by_version("1.4.2") == 200
    assert "set-cookie" not in site.get().headers


def test_a_candidate_that_is_not_exposed_is_out_of_reach(site: Site, old: Backend, new: Backend) -> None:
    site.router.apply([canary(old, new, 0)])
    assert site.strangers(40, headers={"x-productops-candidate": "always"}).by_version("1.4.2") == 40
    assert "set-cookie" not in site.get().headers


def test_a_first_release_serves_its_share_and_answers_503_to_the_rest(site: Site, new: Backend) -> None:
    site.router.apply([canary(None, new, 30)])
    tally = site.strangers(1000)
    assert tally.by_version("1.5.0") / 1000 == pytest.approx(0.3, abs=spread(30, 1000))
    assert tally.failed == 1000 - tally.by_version("1.5.0")
    site.router.apply([canary(None, new, 100)])
    assert site.strangers(50).by_version("1.5.0") == 50


def test_a_user_stays_on_a_version_and_nobody_is_lost_when_the_weight_rises(site: Site, old: Backend, new: Backend) -> None:
    site.router.apply([canary(old, new, 30)])
    users: dict[str, str] = {}
    for _ in range(150):
        answer = site.get()
        users[SimpleCookie(answer.headers["set-cookie"])["po-uid"].value] = answer.version

    def versions() -> dict[str, str]:
        return {user: site.get(headers={"cookie": f"theme=dark; po-uid={user}; x=1"}).version for user in users}

    assert versions() == users
    on_candidate = {user for user, version in users.items() if version == "1.5.0"}
    for generation, pct in enumerate((60, 100), start=2):
        site.router.apply([canary(old, new, pct, generation=generation)])
        now = {user for user, version in versions().items() if version == "1.5.0"}
        assert on_candidate <= now
        assert len(now) / len(users) == pytest.approx(pct / 100, abs=spread(pct, len(users)) + 1e-9)
        on_candidate = now


def test_a_user_with_a_cookie_gets_no_second_one(site: Site, old: Backend, new: Backend) -> None:
    site.router.apply([canary(old, new, 30)])
    assert "set-cookie" not in site.get(headers={"cookie": f"po-uid={cookie_of(site)}"}).headers
    for other in ("xpo-uid=1", "po-uid=", "a=po-uid"):
        assert "po-uid" in site.get(headers={"cookie": other}).headers["set-cookie"]


def test_users_cannot_choose_their_cookie_by_a_request_id(site: Site, old: Backend, new: Backend) -> None:
    site.router.apply([canary(old, new, 30)])
    assert "evil" not in site.get(headers={"x-request-id": "evil; Domain=example.org"}).headers["set-cookie"]


def test_no_request_is_run_twice(site: Site, new: Backend) -> None:
    site.router.apply([canary(None, new, 100)])
    before = new.requests
    assert site.get("/?reset=1").status == 503
    assert site.get("/?code=503").status == 503
    assert new.requests == before + 2


def test_an_instance_that_refuses_connections_costs_no_request(site: Site, old: Backend) -> None:
    route = canary(old, None, 0)
    dead = Endpoint(LOOPBACK, free_port())
    site.router.apply([replace(route, fleets={"1.4.2": (dead, old.endpoint)})])
    tally = site.strangers(200)
    assert (tally.failed, tally.by_version("1.4.2")) == (0, 200)


@pytest.mark.parametrize("instances", [1, 2])
def test_a_candidate_that_only_fails_keeps_failing_visibly(site: Site, old: Backend, instances: int) -> None:
    broken = [site.backend("broken") for _ in range(instances)]
    for backend in broken:
        backend.code = 500
    route = canary(old, broken[0], 100)
    site.router.apply([replace(route, fleets={**route.fleets, "1.5.0": tuple(b.endpoint for b in broken)})])
    tally = site.strangers(100)
    assert tally.answers == {(500, "1.5.0"): 100}
    assert sum(backend.requests for backend in broken) == 100


def test_a_fleet_whose_health_checks_all_fail_is_tried_nevertheless(site: Site) -> None:
    unwell = site.backend("unwell")
    unwell.health = 500
    site.router.apply([canary(unwell, None, 0)])
    assert site.strangers(20).answers == {(200, "1.4.2"): 20}


def test_an_unhealthy_instance_gets_nothing_while_another_is_well(site: Site, old: Backend) -> None:
    unwell = site.backend("unwell")
    unwell.health = 503
    route = canary(old, None, 0)
    site.router.apply([replace(route, fleets={"1.4.2": (unwell.endpoint, old.endpoint)})])
    assert site.strangers(40).failed == 0
    assert unwell.requests == 0


def test_a_version_without_instances_answers_503_in_its_own_name(site: Site, old: Backend) -> None:
    route = canary(old, None, 0)
    site.router.apply([replace(route, candidate_version="9.9.9", candidate_pct=100)])
    answer = site.get()
    assert (answer.status, answer.version) == (503, "9.9.9")


def test_an_answer_that_takes_too_long_is_cut(site: Site, old: Backend) -> None:
    site.router.apply([canary(old, None, 0, timeout_s=0.2)])
    assert site.get("/?delay=2").status == 504


def test_two_services_that_claim_a_host_do_not_harm_each_other(site: Site, old: Backend, new: Backend) -> None:
    first = canary(old, None, 0, service="first", hosts=("shared.localhost", "first.localhost"))
    second = canary(new, None, 0, service="second", hosts=("SHARED.localhost:80", "second.localhost", "no host"))
    site.router.apply([second, first])
    assert [site.get(host=f"{name}.localhost").body for name in ("shared", "first", "second")] == ["old", "old", "new"]
