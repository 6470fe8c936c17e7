"""Readings of machines and of what runs on them, and the series they become."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from productops.domain.monitoring_series import INSTALLATION, Point, series_key

INFRASTRUCTURE = "infrastructure"


@dataclass(frozen=True, slots=True)
class Disk:
    """One filesystem."""

    mount: str
    used_pct: float
    free_bytes: float


@dataclass(frozen=True, slots=True)
class Limits:
    """What a control group allows; None: no limit. ``throttled_pct``: scheduling periods in which the processor was withheld."""

    memory_pct: float | None
    cores: float | None
    throttled_pct: float


@dataclass(frozen=True, slots=True)
class HostReading:
    """A machine at one moment; rates are over the time since the reading before."""

    cpu_pct: float
    load1: float
    memory_pct: float
    memory_available_bytes: float
    swap_pct: float
    disks: tuple[Disk, ...]
    sent_bytes_per_s: float
    received_bytes_per_s: float
    open_files: float | None
    limits: Limits | None
    run_queue: float | None = None
    """Programs that run or wait for a processor, for each processor; None: the system does not tell."""


@dataclass(frozen=True, slots=True)
class Busy:
    """Programs of one name that began within the same seconds (``began``, Unix): ``count`` of them take ``cpu_pct`` of one processor."""

    name: str
    count: int
    cpu_pct: float
    began: float


@dataclass(frozen=True, slots=True)
class ProcessReading:
    """A process with its children; ``cpu_pct`` is of one core, over the time since the reading before (None: it is the first)."""

    cpu_pct: float | None
    memory_bytes: float
    threads: float
    open_files: float | None


@dataclass(frozen=True, slots=True)
class ContainerReading:
    """A container, as its engine counts it. ``memory_pct`` is of its limit; None: it has none."""

    cpu_pct: float | None
    memory_bytes: float
    memory_pct: float | None
    processes: float


def host_points(host: str, reading: HostReading, *, at: float) -> Iterator[Point]:
    """Points of ``host/<name>``, which belongs to no venture."""

    def point(name: str, value: float, **tags: str) -> Point:
        return Point(series_key(INSTALLATION, f"host/{host}", INFRASTRUCTURE, name, tags), at, value)

    for name in ("cpu_pct", "load1", "memory_pct", "memory_available_bytes", "swap_pct", "sent_bytes_per_s", "received_bytes_per_s"):
        yield point(f"host.{name}", getattr(reading, name))
    if reading.run_queue is not None:
        yield point("host.run_queue", reading.run_queue)
    if reading.open_files is not None:
        yield point("host.open_files", reading.open_files)
    for disk in reading.disks:
        yield point("host.disk_pct", disk.used_pct, mount=disk.mount)
        yield point("host.disk_free_bytes", disk.free_bytes, mount=disk.mount)
    if reading.limits is not None:
        yield point("host.cgroup_throttled_pct", reading.limits.throttled_pct)
        if reading.limits.memory_pct is not None:
            yield point("host.cgroup_memory_pct", reading.limits.memory_pct)
