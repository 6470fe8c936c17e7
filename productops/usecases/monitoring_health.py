"""How the infrastructure of a venture is, from what the agent keeps in the store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from productops.domain.catalog import Service
from productops.domain.governance_access import Operation, Scope, may_see
from productops.domain.monitoring_health import Health, PlaceFacts, PlaceHealth, judge_place, worst
from productops.domain.release import Environment
from productops.domain.routing import merge_histograms
from productops.domain.traffic import InstanceState, TrafficTarget
from productops.domain.traffic_summary import ArmSummary, summarise
from productops.errors import NotFoundError
from productops.store import Unit
from productops.usecases.context import Actor, Context

MEASURED_S = 60
_FAILING = {InstanceState.CRASHED, InstanceState.UNHEALTHY}


@dataclass(frozen=True, slots=True)
class VentureHealth:
    """All services of a venture that the caller may see."""

    venture: str
    health: Health
    places: tuple[PlaceHealth, ...]
    at: datetime


def infrastructure_health(context: Context, venture: str, *, actor: Actor) -> VentureHealth:
    """Instances, router, traffic of the last minute and open incidents of each service.

    Raises: NotFoundError for an unknown venture or one the caller may not see, StoreUnavailableError.
    """
    with context.store.read() as unit:
        unit.catalog.venture_id(venture)
        if not may_see(actor.principal, Operation.METRIC_READ, Scope(venture)):
            raise NotFoundError(f"there is no venture {venture[:80]!r}")
        services = [service for service in unit.catalog.services() if service.venture == venture]
        now = context.clock.now()
        seen = [e for e in Environment if may_see(actor.principal, Operation.METRIC_READ, Scope(venture, e))]
        places = tuple(judge_place(facts) for service in services for facts in _facts(unit, service, seen, now=now))
    return VentureHealth(venture, worst(places), places, now)


def _facts(unit: Unit, service: Service, environments: list[Environment], *, now: datetime) -> list[PlaceFacts]:
    """One for each environment in which the service has traffic or should have instances."""
    fleets = [fleet for fleet in unit.fleets.all() if fleet.service == service.name]
    instances = [instance for instance in unit.fleets.instances() if instance.service == service.name]
    found = []
    for environment in environments:
        target = unit.traffic.find(service.name, environment)
        wanted = sum(fleet.desired for fleet in fleets if fleet.environment is environment)
        if target is None and not wanted:
            continue
        here = [instance.state for instance in instances if instance.environment is environment]
        active = unit.releases.active(service.name, environment)
        found.append(
            PlaceFacts(
                service=service.name, environment=environment, live_version=target.baseline_version if target else None,
                instances_wanted=wanted, instances_healthy=here.count(InstanceState.HEALTHY),
                instances_failing=sum(state in _FAILING for state in here), confirmed=target is None or target.confirmed,
                release_id=active.id if active else None, incidents=tuple(unit.incidents.open_of(service.name, environment)),
                traffic=_traffic(unit, service.name, environment, target, now=now), measured_s=MEASURED_S,
            )
        )  # fmt: skip
    return found


def _traffic(unit: Unit, service: str, environment: Environment, target: TrafficTarget | None, *, now: datetime) -> ArmSummary:
    versions = [v for v in (target.baseline_version, target.candidate_version) if v] if target else []
    seconds = unit.seconds.between(service, environment, versions, after_s=int(now.timestamp()) - MEASURED_S)
    arms = [arm for second in seconds.values() for arm in second.values() if arm is not None]
    return summarise(arms, merge_histograms([arm.latency for arm in arms]))
