"""From desired traffic to what the router is told: segments, regions, mirrors, lapsed leases."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from productops.agent.routes import Place, Snapshot, make_routes
from productops.domain.catalog import Service, ServiceSpec
from productops.domain.release import Environment
from productops.domain.routing import MirrorRule, SegmentRule, ServiceRoute
from productops.domain.strategies import Mirror, Segment
from productops.domain.traffic import Lease, TrafficTarget

LEASE = Lease("h", 15.0, datetime(2026, 1, 1, tzinfo=UTC), 1)
TARGET = TrafficTarget("shop", Environment.PRODUCTION, 1, 1, "1", "2", 0, header_only=False, release_id="r", fence=1, lease=LEASE)


def routed(target: TrafficTarget, *, route: dict[str, Any] | None = None, place: Place | None = None, lapsed: bool = False) -> ServiceRoute:
    run = {"command": ["x"], "versions": {"kind": "folder", "path": "x"}}
    spec = ServiceSpec.model_validate({"run": run, "route": route or {}})
    snapshot = Snapshot(targets=(target,), services=(Service(name="shop", venture="v", spec=spec, base="/", revision=1),))
    (made,) = make_routes(snapshot, lapsed={target.key} if lapsed else set(), place=place)
    return made


def test_attributes_and_regions_are_told_by_what_the_route_says_of_them() -> None:
    segments = (Segment("attribute", "tier", ("gold",), 50), Segment("region", "", ("eu",)), Segment("cookie", "beta"))
    route = {"attributes": {"tier": {"cookie": "tier"}}, "region_header": "X-Region"}
    assert routed(replace(TARGET, segments=segments), route=route).segments == (
        SegmentRule(50, cookie="tier", values=("gold",)), SegmentRule(100, header="x-region", values=("eu",)),
        SegmentRule(100, cookie="beta"),
    )  # fmt: skip


@pytest.mark.parametrize(("region", "pct"), [("eu", 40), ("us", 7), ("", 7)])
def test_without_a_header_for_it_a_region_is_the_agents_own(region: str, pct: int) -> None:
    target = replace(TARGET, candidate_pct=7, segments=(Segment("region", "", ("eu",), 40),))
    made = routed(target, place=Place(region=region))
    assert (made.candidate_pct, made.segments) == (pct, ())


def test_an_attribute_that_the_catalog_no_longer_has_keeps_its_users_on_the_baseline() -> None:
    made = routed(replace(TARGET, segments=(Segment("attribute", "tier"),)))
    assert (made.segments, made.candidate_pct) == ((), 0)


def test_a_mirror_goes_to_the_comparator_where_there_is_one() -> None:
    target = replace(TARGET, mirror=Mirror(20, compare_per_s=2))
    assert routed(target, place=Place(compare_port=77)).mirror == MirrorRule(20, ("GET", "HEAD"), 50, 20, 77)
    assert routed(target).mirror == MirrorRule(20, ("GET", "HEAD"), 50, 0, 0)
    assert routed(replace(target, mirror=Mirror(20)), place=Place(compare_port=77)).mirror == MirrorRule(20, ("GET", "HEAD"), 50, 0, 0)


def test_a_lapsed_lease_ends_segments_and_mirrors_as_well() -> None:
    assert replace(TARGET, mirror=Mirror(20)).exposed
    assert replace(TARGET, segments=(Segment("cookie", "a"),)).exposed
    assert not TARGET.exposed
    made = routed(replace(TARGET, mirror=Mirror(20), segments=(Segment("cookie", "a"),)), lapsed=True)
    assert (made.mirror, made.segments, made.candidate_version) == (None, (), None)
