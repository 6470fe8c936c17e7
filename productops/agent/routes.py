"""From desired traffic and instances to what the router is told."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from productops.agent.leases import Key
from productops.domain.catalog import Route, Service
from productops.domain.routing import Endpoint, MirrorRule, SegmentRule, ServiceRoute, VersionKey
from productops.domain.strategies.step import Mirror, Segment
from productops.domain.traffic import Fleet, Instance, InstanceState, TrafficTarget

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All the agent read from the store in one transaction. ``flag_arms`` are those of the flags that releases ramp now."""

    targets: tuple[TrafficTarget, ...] = ()
    services: tuple[Service, ...] = ()
    instances: tuple[Instance, ...] = ()
    fleets: tuple[Fleet, ...] = ()
    flag_arms: tuple[VersionKey, ...] = ()


# An unhealthy or crashed instance stays registered: the router's own health checks keep requests away from it, and it is back
# without a change of configuration. One that is starting is not there yet.
_ROUTED = frozenset({InstanceState.HEALTHY, InstanceState.UNHEALTHY, InstanceState.CRASHED, InstanceState.DRAINING})


def without_candidate(target: TrafficTarget) -> TrafficTarget:
    """The same target with everything on the baseline."""
    return replace(target, candidate_version=None, candidate_pct=0, header_only=False, segments=(), mirror=None)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the agent stands: the region all requests come from unless they say otherwise, and its comparator's port (0: none)."""

    region: str = ""
    compare_port: int = 0


def make_routes(snapshot: Snapshot, *, lapsed: Collection[Key], place: Place | None = None) -> list[ServiceRoute]:
    """One route for each service and environment that has traffic; a lapsed lease counts as no candidate."""
    services = {s.name: s for s in snapshot.services}
    fleets = _endpoints(snapshot.instances)
    routes = []
    for target in snapshot.targets:
        service = services.get(target.service)
        if service is None:
            continue
        wanted = without_candidate(target) if target.key in lapsed else target
        routes.append(_route(service, wanted, fleets.get(target.key, {}), place or Place()))
    return routes


def _route(service: Service, target: TrafficTarget, fleets: Mapping[str, tuple[Endpoint, ...]], place: Place) -> ServiceRoute:
    rules, whole_pct = _segments(target.segments, service.spec.route, place.region)
    return ServiceRoute(
        service=service.name,
        environment=target.environment,
        hosts=service.hosts(target.environment),
        generation=target.generation,
        baseline_version=target.baseline_version,
        candidate_version=target.candidate_version,
        candidate_pct=max(target.candidate_pct, whole_pct),
        header_only=target.header_only,
        fleets=dict(fleets),
        health_path=service.spec.run.health.path,
        timeout_s=service.spec.route.timeout_s,
        sticky=service.spec.route.sticky,
        segments=rules,
        mirror=_mirror(target.mirror, place) if target.mirror is not None else None,
    )


def _segments(segments: Iterable[Segment], route: Route, region: str) -> tuple[tuple[SegmentRule, ...], int]:
    """Segments as the router tells them apart, and the share of all requests that a segment covers which is this whole router.

    A region is told by the service's header for it. Without one all requests here come from the agent's region.
    """
    rules: list[SegmentRule] = []
    whole_pct = 0
    for segment in segments:
        if segment.kind == "region" and not route.region_header:
            whole_pct = max(whole_pct, segment.pct if region in segment.values else 0)
            continue
        rules += _rule(segment, route)
    return tuple(rules), whole_pct


def _rule(segment: Segment, route: Route) -> list[SegmentRule]:
    match segment.kind:
        case "header":
            return [SegmentRule(segment.pct, header=segment.name, values=segment.values)]
        case "cookie":
            return [SegmentRule(segment.pct, cookie=segment.name, values=segment.values)]
        case "region":
            return [SegmentRule(segment.pct, header=route.region_header.lower(), values=segment.values)]
        case "attribute":
            source = route.attributes.get(segment.name)
            # The catalog has changed since the release began: these users keep the baseline.
            return [] if source is None else [SegmentRule(segment.pct, source.header.lower(), source.cookie, segment.values)]


def _mirror(mirror: Mirror, place: Place) -> MirrorRule:
    """The comparator slows copies down to what it can compare, so all that are mirrored may go there."""
    compares = mirror.compare_per_s > 0 and place.compare_port > 0
    return MirrorRule(
        pct=mirror.pct,
        methods=mirror.methods,
        in_flight_max=mirror.in_flight_max,
        compare_pct=mirror.pct if compares else 0.0,
        compare_port=place.compare_port if compares else 0,
    )


def _endpoints(instances: Iterable[Instance]) -> dict[Key, dict[str, tuple[Endpoint, ...]]]:
    found: dict[Key, dict[str, tuple[Endpoint, ...]]] = {}
    for instance in instances:
        if instance.state not in _ROUTED:
            continue
        versions = found.setdefault((instance.service, instance.environment), {})
        endpoint = Endpoint(HOST, instance.port, draining=instance.state is InstanceState.DRAINING)
        versions[instance.version] = (*versions.get(instance.version, ()), endpoint)
    return found
