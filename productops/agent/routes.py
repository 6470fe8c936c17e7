"""From desired traffic and instances to what the router is told."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from productops.agent.leases import Key
from productops.domain.catalog import Service
from productops.domain.routing import Endpoint, ServiceRoute
from productops.domain.traffic import Fleet, Instance, InstanceState, TrafficTarget

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All the agent read from the store in one transaction."""

    targets: tuple[TrafficTarget, ...] = ()
    services: tuple[Service, ...] = ()
    instances: tuple[Instance, ...] = ()
    fleets: tuple[Fleet, ...] = ()


# An unhealthy or crashed instance stays registered: the router's own health checks keep requests away from it, and it is back
# without a change of configuration. One that is starting is not there yet.
_ROUTED = frozenset({InstanceState.HEALTHY, InstanceState.UNHEALTHY, InstanceState.CRASHED, InstanceState.DRAINING})


def without_candidate(target: TrafficTarget) -> TrafficTarget:
    """The same target with everything on the baseline."""
    return replace(target, candidate_version=None, candidate_pct=0, header_only=False)


def make_routes(snapshot: Snapshot, *, lapsed: Collection[Key]) -> list[ServiceRoute]:
    """One route for each service and environment that has traffic; a lapsed lease counts as no candidate."""
    services = {s.name: s for s in snapshot.services}
    fleets = _endpoints(snapshot.instances)
    routes = []
    for target in snapshot.targets:
        service = services.get(target.service)
        if service is None:
            continue
        wanted = without_candidate(target) if target.key in lapsed else target
        routes.append(_route(service, wanted, fleets.get(target.key, {})))
    return routes


def _route(service: Service, target: TrafficTarget, fleets: Mapping[str, tuple[Endpoint, ...]]) -> ServiceRoute:
    return ServiceRoute(
        service=service.name,
        environment=target.environment,
        hosts=service.hosts(target.environment),
        generation=target.generation,
        baseline_version=target.baseline_version,
        candidate_version=target.candidate_version,
        candidate_pct=target.candidate_pct,
        header_only=target.header_only,
        fleets=dict(fleets),
        health_path=service.spec.run.health.path,
        timeout_s=service.spec.route.timeout_s,
        sticky=service.spec.route.sticky,
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
