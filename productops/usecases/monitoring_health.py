"""How the infrastructure of a venture is, from what the agent keeps in the store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from productops.domain.catalog import Service
from productops.domain.governance_access import Operation, Scope, may_see, visible_ventures
from productops.domain.incident_alert import StoredAlert
from productops.domain.monitoring_health import Health, PlaceFacts, PlaceHealth, judge_place, worst
from productops.domain.monitoring_series import INSTALLATION, SeriesInfo
from productops.domain.monitoring_slo import Budget
from productops.domain.release import Environment
from productops.domain.routing import merge_histograms
from productops.domain.traffic import InstanceState, TrafficTarget
from productops.domain.traffic_summary import ArmSummary, summarise
from productops.errors import NotFoundError
from productops.store import Unit
from productops.store.incident_alerts import AlertFilter
from productops.store.monitoring_series import SeriesFilter
from productops.usecases.context import Actor, Context
from productops.usecases.monitoring_slo import budget_in

MEASURED_S = 60
HOST_STALE_S = 900
ALERTS_SHOWN = 100
HOST_FIGURES = ("host.cpu_pct", "host.memory_pct", "host.disk_pct", "host.load1")
_FAILING = {InstanceState.CRASHED, InstanceState.UNHEALTHY}


@dataclass(frozen=True, slots=True)
class HostHealth:
    """One machine: the newest value of each figure (of several file systems the fullest), and whether a threshold is crossed."""

    host: str
    health: Health
    figures: dict[str, float]
    reasons: tuple[str, ...]
    seen_at_s: float


@dataclass(frozen=True, slots=True)
class VentureHealth:
    """All services of a venture that the caller may see.

    ``hosts`` are the installation's, for who may see all ventures. ``budgets`` of its objectives, ``alerts`` that fire now.
    """

    venture: str
    health: Health
    places: tuple[PlaceHealth, ...]
    at: datetime
    hosts: tuple[HostHealth, ...] = ()
    budgets: tuple[Budget, ...] = ()
    alerts: tuple[StoredAlert, ...] = ()


def infrastructure_health(context: Context, venture: str, *, actor: Actor) -> VentureHealth:
    """Instances, router, traffic of the last minute and open incidents of each service; hosts, error budgets, firing alerts.

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
        hosts = _hosts(unit, now=now) if visible_ventures(actor.principal, Operation.METRIC_READ) is None else ()
        objectives = [each for each in unit.objectives.all() if each.venture == venture and each.environment in seen]
        budgets = tuple(budget_in(unit, each, now=now) for each in objectives)
        alerts = _alerts(unit, venture, seen, actor)
    return VentureHealth(venture, worst(places), places, now, hosts, budgets, alerts)


def _alerts(unit: Unit, venture: str, seen: list[Environment], actor: Actor) -> tuple[StoredAlert, ...]:
    """Those that fire now and that the caller may see; the newest."""
    if not may_see(actor.principal, Operation.INCIDENT_READ, Scope(venture)):
        return ()
    found = unit.alerts.page(AlertFilter(status="firing", ventures=frozenset({venture})), before=None, limit=ALERTS_SHOWN)
    return tuple(each for each in found if each.alert.environment is None or each.alert.environment in seen)


def _hosts(unit: Unit, *, now: datetime) -> tuple[HostHealth, ...]:
    """Machines that told something in the last quarter of an hour."""
    by_host: dict[str, list[SeriesInfo]] = {}
    for info in unit.series.find(SeriesFilter(INSTALLATION, "host/*")):
        if info.last_at is not None and info.last_value is not None and now.timestamp() - info.last_at <= HOST_STALE_S:
            by_host.setdefault(info.key.component.removeprefix("host/"), []).append(info)
    return tuple(_host(name, infos) for name, infos in sorted(by_host.items()))


def _host(name: str, infos: list[SeriesInfo]) -> HostHealth:
    figures: dict[str, float] = {}
    for info in infos:
        if info.key.name in HOST_FIGURES and info.last_value is not None:
            figures[info.key.name] = max(info.last_value, figures.get(info.key.name, info.last_value))
    crossed = [info for info in infos if info.status.value in {"warning", "critical"}]
    reasons = tuple(f"{info.key.name} is at {info.last_value:g}: {info.status.value}" for info in crossed)
    return HostHealth(
        name, Health.DEGRADED if crossed else Health.OK, figures, reasons, max(info.last_at or 0.0 for info in infos)
    )  # fmt: skip


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
