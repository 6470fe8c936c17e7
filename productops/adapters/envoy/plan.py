"""What Envoy must hold to serve a set of routes, worked out service by service and remembered while nothing changes."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass

from productops.adapters.envoy import config, rules
from productops.domain.routing import MirrorRule, ServiceRoute

_log = logging.getLogger(__name__)
_HOST = re.compile(r"(\*|(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*)")


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """One service, encoded: its virtual host (empty without a host name), its clusters by name, and those that requests may reach."""

    route: ServiceRoute
    domains: tuple[str, ...]
    virtual_host: str
    clusters: dict[str, str]
    used: frozenset[str]


@dataclass(frozen=True, slots=True)
class Plan:
    """All services: encoded virtual hosts and clusters by name, and the clusters each virtual host uses."""

    virtual_hosts: dict[str, str]
    clusters: dict[str, str]
    used: dict[str, frozenset[str]]


class Planner:
    """Plans routes and keeps the last plan of each service: a weight change encodes one service, not all."""

    def __init__(self) -> None:
        self._services: dict[str, ServicePlan] = {}

    def plan(self, routes: Sequence[ServiceRoute]) -> Plan:
        """The order of ``routes`` changes nothing."""
        taken: dict[str, str] = {}
        services: dict[str, ServicePlan] = {}
        for route in sorted(routes, key=lambda r: (r.service, r.environment)):
            name = config.host_name(route.service, route.environment)
            known = self._services.get(name)
            unchanged = known is not None and known.route == route
            domains = _free_domains(route, taken, quiet=unchanged)
            services[name] = known if known is not None and unchanged and known.domains == domains else _plan_service(route, domains)
        self._services = services
        return Plan(
            virtual_hosts={name: service.virtual_host for name, service in services.items() if service.virtual_host},
            clusters={name: text for service in services.values() for name, text in service.clusters.items()},
            used={name: service.used for name, service in services.items()},
        )


def _plan_service(route: ServiceRoute, domains: tuple[str, ...]) -> ServicePlan:
    arms = {version for version in (route.baseline_version, route.candidate_version) if version is not None}
    names: dict[str, str] = {}
    clusters: dict[str, str] = {}
    # An arm without instances gets an empty cluster: its requests fail and are counted, and nobody else's routes are refused.
    for version in sorted(arms | route.fleets.keys()):
        key = (route.service, route.environment, version)
        name, document = config.cluster(key, route.fleets.get(version, ()), health_path=route.health_path)
        names[version], clusters[name] = name, config.typed_cluster(document)
    if route.mirror is not None and route.candidate_version is not None:
        _add_shadow(route, route.candidate_version, route.mirror, names, clusters)
    host = config.encode(config.virtual_host(route, domains, names)) if domains else ""
    used = (arms | {rules.SHADOW, rules.COMPARE}) & names.keys()
    return ServicePlan(route, domains, host, clusters, frozenset(names[arm] for arm in used))


def _add_shadow(route: ServiceRoute, version: str, mirror: MirrorRule, names: dict[str, str], clusters: dict[str, str]) -> None:
    """The cluster that copies go to counts as the candidate's, with limits; the comparator's belongs to nobody's counters."""
    key = (route.service, route.environment, version)
    fleet, limit = route.fleets.get(version, ()), mirror.in_flight_max
    made = [(rules.SHADOW, config.cluster(key, fleet, health_path=route.health_path, in_flight_max=limit))]
    if mirror.compare_pct > 0 and mirror.compare_port > 0:
        made.append((rules.COMPARE, config.compare_cluster(mirror.compare_port)))
    for arm, (name, document) in made:
        names[arm], clusters[name] = name, config.typed_cluster(document)


def _free_domains(route: ServiceRoute, taken: dict[str, str], *, quiet: bool) -> tuple[str, ...]:
    """Hosts of ``route`` nobody else has, without ports: Envoy refuses everybody's routes when one host appears twice."""
    owner = f"{route.service} ({route.environment})"
    domains: set[str] = set()
    for host in route.hosts:
        domain = re.sub(r":\d*$", "", host.lower())
        if not _HOST.fullmatch(domain):
            problem = "is no host name"
        elif taken.setdefault(domain, owner) != owner:
            problem = f"belongs to {taken[domain]} already"
        else:
            domains.add(domain)
            continue
        if not quiet:
            _log.warning("host %r of %s %s and is left out", host[:120], owner, problem)
    return tuple(sorted(domains))
