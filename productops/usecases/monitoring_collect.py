"""Collect what this machine, the instances on it and the router measure: each second, in one transaction."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import structlog

from productops.domain.monitoring_series import Point, SeriesKey, series_key
from productops.domain.monitoring_series_host import INFRASTRUCTURE, ContainerReading, HostReading, ProcessReading, host_points
from productops.domain.traffic import Instance, InstanceState
from productops.errors import ProductOpsError
from productops.ports import ContainerMeter, HostMeter, ProcessMeter
from productops.usecases.context import OURSELVES, Actor, Context
from productops.usecases.monitoring_collect_traffic import TrafficProgress, traffic_points
from productops.usecases.monitoring_series import put_points

log = structlog.get_logger(__name__)
COMPLAIN_EVERY_S: Final = 60.0


def collect_host(context: Context, meter: HostMeter, *, host: str | None = None, now: datetime, actor: Actor = OURSELVES) -> int:
    """Series ``host.*`` of component ``host/<name>``. Returns how many points were kept. Raises: as ``put_points``."""
    return put_points(context, list(host_points(host or socket.gethostname(), meter.read(), at=now.timestamp())), actor=actor)


def collect_instances(context: Context, meter: ProcessMeter, *, now: datetime, actor: Actor = OURSELVES) -> int:
    """Series ``instance.*`` of the instances on this machine. Returns how many points were kept. Raises: as ``put_points``."""
    return put_points(context, instance_points(context, meter, TrafficProgress(), now=now), actor=actor)


def collect_traffic(context: Context, progress: TrafficProgress, *, now: datetime, actor: Actor = OURSELVES) -> int:
    """Series ``service.*`` of the seconds that came since the last call with this ``progress``. Raises: as ``put_points``."""
    with context.store.read() as unit:
        points = traffic_points(unit, progress, now_s=int(now.timestamp()), monotonic=context.clock.monotonic())
    return put_points(context, points, actor=actor)


def collect_containers(context: Context, meter: ContainerMeter, *, now: datetime, actor: Actor = OURSELVES) -> int:
    """Series ``container.*`` of the instances that are containers. Raises: DependencyError; as ``put_points``."""
    readings = meter.read()
    with context.store.read() as unit:
        ventures = {service.name: service.venture for service in unit.catalog.services()} if readings else {}
        instances = [each for each in unit.fleets.instances() if each.id in readings and each.service in ventures] if readings else []
    points = [p for each in instances for p in _container(ventures[each.service], each, readings[each.id], at=now.timestamp())]
    return put_points(context, points, actor=actor)


def instance_points(context: Context, meter: ProcessMeter, progress: TrafficProgress, *, now: datetime) -> list[Point]:
    """What each instance takes; one on another machine is measured there."""
    with context.store.read() as unit:
        instances = unit.fleets.instances()
        ventures = progress.ventures or {service.name: service.venture for service in unit.catalog.services()}
    return list(_measured(instances, ventures, meter, at=now.timestamp()))


def _measured(instances: Iterable[Instance], ventures: Mapping[str, str], meter: ProcessMeter, *, at: float) -> Iterator[Point]:
    running = [each for each in instances if each.pid is not None and each.started is not None and each.state is not InstanceState.CRASHED]
    meter.keep({(each.pid or 0, each.started or 0.0) for each in running})
    for each in running:
        reading = meter.read(each.pid or 0, each.started or 0.0)
        if reading is not None and each.service in ventures:
            yield from _instance(ventures[each.service], each, reading, at=at)


def instance_key(venture: str, instance: Instance, name: str) -> SeriesKey:
    """A series of component ``<service>/<instance id>``."""
    tags = {"environment": instance.environment.value, "version": instance.version}
    return series_key(venture, f"{instance.service}/{instance.id}", INFRASTRUCTURE, name, tags)


def _instance(venture: str, instance: Instance, reading: ProcessReading, *, at: float) -> Iterator[Point]:
    values = {
        "cpu_pct": reading.cpu_pct, "memory_bytes": reading.memory_bytes, "threads": reading.threads, "open_files": reading.open_files,
        "restarts": float(instance.restarts), "healthy": float(instance.state is InstanceState.HEALTHY),
    }  # fmt: skip
    for name, value in values.items():
        if value is not None:
            yield Point(instance_key(venture, instance, f"instance.{name}"), at, value)


def _container(venture: str, instance: Instance, reading: ContainerReading, *, at: float) -> Iterator[Point]:
    values = {
        "cpu_pct": reading.cpu_pct, "memory_bytes": reading.memory_bytes, "memory_pct": reading.memory_pct, "processes": reading.processes,
    }  # fmt: skip
    for name, value in values.items():
        if value is not None:
            yield Point(instance_key(venture, instance, f"container.{name}"), at, value)


@dataclass(slots=True)
class FastCollector:
    """What is collected each second, in one transaction: host, instances, traffic. Use it from one thread.

    A part that fails is left out and told once a minute; the others go on.
    """

    context: Context
    host: HostMeter
    processes: ProcessMeter
    name: str = field(default_factory=socket.gethostname)
    traffic: TrafficProgress = field(default_factory=TrafficProgress)
    watch_host: Callable[[float, HostReading], None] | None = None
    _complained: dict[str, float] = field(default_factory=dict)

    def turn(self, now: datetime) -> int:
        """Returns how many points were kept. Raises: StoreUnavailableError, and as ``put_points``."""
        at = now.timestamp()
        points = self._part("host", lambda: self._host(at))
        points += self._part("services", lambda: self._services(at))
        return put_points(self.context, points, actor=OURSELVES)

    def _host(self, at: float) -> list[Point]:
        reading = self.host.read()
        if self.watch_host is not None:
            self.watch_host(at, reading)
        return list(host_points(self.name, reading, at=at))

    def _services(self, at: float) -> list[Point]:
        """Of traffic and of instances, in one look at the store."""
        with self.context.store.read() as unit:
            points = traffic_points(unit, self.traffic, now_s=int(at), monotonic=self.context.clock.monotonic())
            instances = unit.fleets.instances()
        return points + list(_measured(instances, self.traffic.ventures, self.processes, at=at))

    def _part(self, name: str, read: Callable[[], list[Point]]) -> list[Point]:
        try:
            return read()
        except (ProductOpsError, OSError) as error:
            now = self.context.clock.monotonic()
            if now - self._complained.get(name, -COMPLAIN_EVERY_S) >= COMPLAIN_EVERY_S:
                self._complained[name] = now
                log.warning("not collected", part=name, reason=str(error))
            return []
