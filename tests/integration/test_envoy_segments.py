"""Segments of users and copies for a shadow, with a real Envoy."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from productops.domain.routing import MirrorRule, SegmentRule
from tests.integration.envoy_support import PRODUCTION, Backend, Site, Tally, canary, eventually, running_site

SAFE = ("GET", "HEAD")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("segments")) as made:
        yield made


@pytest.fixture
def old(site: Site) -> Backend:
    return site.backend("old")


@pytest.fixture
def new(site: Site) -> Backend:
    return site.backend("new")


def version(site: Site, **headers: str) -> str:
    return site.get(headers={name.replace("_", "-"): value for name, value in headers.items()}).version


def test_only_requests_that_carry_a_segments_header_reach_the_candidate(site: Site, old: Backend, new: Backend) -> None:
    rule = SegmentRule(100, header="x-plan", values=("gold", "a.b|c"))
    site.router.apply([replace(canary(old, new, 0), segments=(rule,))])
    assert version(site, x_plan="gold") == "1.5.0"
    assert version(site, x_plan="a.b|c") == "1.5.0"
    assert {version(site, x_plan=other) for other in ("golden", "axb|c", "silver", "")} == {"1.4.2"}
    assert site.strangers(200).by_version("1.5.0") == 0


def test_a_segment_without_values_is_all_who_carry_the_header_or_cookie(site: Site, old: Backend, new: Backend) -> None:
    rules = (SegmentRule(100, header="x-beta"), SegmentRule(100, cookie="beta"))
    site.router.apply([replace(canary(old, new, 0), segments=rules)])
    assert version(site, x_beta="anything") == "1.5.0"
    assert version(site, cookie="a=b; beta=1") == "1.5.0"
    assert version(site, cookie="a=b; alphabeta=1") == "1.4.2"


def test_a_share_of_a_segment_gets_the_candidate_and_nobody_else_does(site: Site, old: Backend, new: Backend) -> None:
    site.router.apply([replace(canary(old, new, 0), segments=(SegmentRule(50, header="x-region", values=("eu",)),))])
    inside = site.strangers(2000, headers={"x-region": "eu"})
    assert 850 < inside.by_version("1.5.0") < 1150
    assert site.strangers(500, headers={"x-region": "us"}).by_version("1.5.0") == 0


def test_users_of_a_segment_keep_the_version_they_had_while_its_share_rises(site: Site, old: Backend, new: Backend) -> None:
    cookies = []
    site.router.apply([replace(canary(old, new, 0), segments=(SegmentRule(20, header="x-region", values=("eu",)),))])
    for _ in range(150):
        answer = site.get(headers={"x-region": "eu"})
        cookies.append((answer.headers["set-cookie"].split(";")[0], answer.version))
    for pct in (20, 60):
        site.router.apply([replace(canary(old, new, 5, generation=pct), segments=(SegmentRule(pct, header="x-region", values=("eu",)),))])
        for cookie, before in cookies:
            now = version(site, x_region="eu", cookie=cookie)
            assert now == before or (pct > 20 and now == "1.5.0")


def test_the_test_header_reaches_the_baseline_even_from_within_a_segment(site: Site, old: Backend, new: Backend) -> None:
    site.router.apply([replace(canary(old, new, 0), segments=(SegmentRule(100, header="x-beta"),))])
    assert version(site, x_beta="1", x_productops_candidate="never") == "1.4.2"


def mirrored(old: Backend, new: Backend, *, pct: float = 100, in_flight_max: int = 20, generation: int = 1) -> list:
    return [replace(canary(old, new, 0, generation=generation), mirror=MirrorRule(pct, SAFE, in_flight_max))]


def test_a_shadow_gets_copies_of_safe_requests_and_users_only_the_baseline(site: Site, old: Backend, new: Backend) -> None:
    site.router.apply(mirrored(old, new))
    tally = site.strangers(400)
    assert tally.by_version("1.4.2") == tally.total == 400
    assert eventually(lambda: new.requests == 400)
    assert site.get(headers={"x-productops-candidate": "always"}).version == "1.4.2"


def test_a_share_of_the_requests_is_copied(site: Site, old: Backend, new: Backend) -> None:
    site.router.apply(mirrored(old, new, pct=25))
    site.strangers(2000)
    time.sleep(0.2)
    assert 380 < new.requests < 620


def test_the_shadows_answers_are_counted_as_the_candidates_beside_the_baselines_requests_of_the_same_kind(
    site: Site, old: Backend, new: Backend
) -> None:
    site.router.apply(mirrored(old, new))
    before = site.router.read()
    new.code = 500
    site.strangers(100)
    assert eventually(lambda: new.requests == 100)
    time.sleep(0.1)
    after = site.router.read()
    shadow, users = ("storefront", PRODUCTION, "1.5.0"), ("storefront", PRODUCTION)
    known = before.arms.get(shadow)
    assert after.arms[shadow].failures - (known.failures if known else 0) == 100
    assert after.mirrored[users].requests - (before.mirrored[users].requests if users in before.mirrored else 0) == 100
    assert after.mirrored[users].latency.total >= 100


def p99(tally: Tally) -> float:
    return sorted(tally.seconds)[int(len(tally.seconds) * 0.99)]


def loaded(site: Site, seconds: float = 2.0) -> Tally:
    load = site.load(connections=8, pause_s=0.005)
    time.sleep(seconds)
    return load.stop()


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize("trouble", ["failing", "slow", "dead", "silent"])
def test_users_do_not_notice_a_shadow_that_is(site: Site, trouble: str) -> None:
    old, new = site.backend("old"), site.backend("new")
    if trouble == "failing":
        new.code = 500
    elif trouble == "dead":
        new.close()
    else:
        new.delay_s = 60.0 if trouble == "silent" else 0.5
    added = []
    for generation in range(1, 19, 3):  # other programs may take the machine for a moment: the shadow's own share shows in the best
        site.router.apply([canary(old, new, 0, generation=generation)])
        quiet = loaded(site)
        site.router.apply(mirrored(old, new, generation=generation + 1))
        noisy = loaded(site)
        assert noisy.failed == 0
        site.router.apply([canary(old, new, 0, generation=generation + 2)])
        again = loaded(site)  # what differs between the two without a shadow is not the shadow's
        added.append(p99(noisy) - max(p99(quiet), p99(again)))
        print(
            f"shadow {trouble}: users' p99 {p99(quiet) * 1000:.1f} → {p99(noisy) * 1000:.1f} → {p99(again) * 1000:.1f} ms, "
            f"0 of {noisy.total} failed"
        )
        if added[-1] < 0.010:
            return
    raise AssertionError(f"a shadow that is {trouble} adds {added} s to users' p99")


def test_copies_beyond_what_may_wait_are_left_out_and_counted_neither_as_requests_nor_as_failures(
    site: Site, old: Backend, new: Backend
) -> None:
    site.router.apply(mirrored(old, new, in_flight_max=5))
    before = site.router.read().arms.get(("storefront", PRODUCTION, "1.5.0"))
    new.delay_s = 0.3
    loaded(site, 1.0)
    time.sleep(0.5)
    after = site.router.read().arms["storefront", PRODUCTION, "1.5.0"]
    assert after.failures == (before.failures if before else 0)
    assert new.requests < 60
