"""What this machine is doing: processor, load, memory, disks, network, open files; and the limits of the container we may be in."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

import psutil

from productops.domain.monitoring_series_host import Disk, HostReading, Limits

_DISKS_S: Final = 30.0
_REMOTE: Final = frozenset({"nfs", "nfs4", "cifs", "smbfs", "smb3", "fuse.sshfs", "9p", "ceph", "glusterfs"})
_CGROUP: Final = Path("/sys/fs/cgroup")
_STAT: Final = Path("/proc/stat")
_DISKS_MAX: Final = 64


class HostMeter:
    """Reads counters; rates are over the time since the last reading. Use it from one thread."""

    def __init__(self, cgroup: Path = _CGROUP) -> None:
        self._cgroup = cgroup
        self._mounts: list[str] = []
        self._mounts_at = -_DISKS_S
        self._before_at = time.monotonic()
        self._network = psutil.net_io_counters()
        self._throttled = self._cpu_stat()
        psutil.cpu_percent(None)

    def read(self) -> HostReading:
        """Now."""
        now = time.monotonic()
        seconds, self._before_at = max(1e-3, now - self._before_at), now
        memory = psutil.virtual_memory()
        sent, received = self._traffic(seconds)
        return HostReading(
            cpu_pct=psutil.cpu_percent(None), load1=os.getloadavg()[0], memory_pct=memory.percent,
            memory_available_bytes=float(memory.available), swap_pct=psutil.swap_memory().percent, disks=self._disks(now),
            sent_bytes_per_s=sent, received_bytes_per_s=received, open_files=_open_files(), limits=self._limits(),
            run_queue=_run_queue(),
        )  # fmt: skip

    def _disks(self, now: float) -> tuple[Disk, ...]:
        """Filesystems of this machine; those on others may hang, and are not asked."""
        if now - self._mounts_at >= _DISKS_S:
            self._mounts_at = now
            parts = [part for part in psutil.disk_partitions(all=False) if part.fstype not in _REMOTE and Path(part.mountpoint).is_dir()]
            by_device = {part.device: part.mountpoint for part in sorted(parts, key=lambda part: -len(part.mountpoint))}
            self._mounts = sorted({"/", *by_device.values()})[:_DISKS_MAX]
        found = []
        for mount in self._mounts:
            try:
                usage = psutil.disk_usage(mount)
            except OSError:
                continue
            if usage.total:
                found.append(Disk(mount, usage.percent, float(usage.free)))
        return tuple(found)

    def _traffic(self, seconds: float) -> tuple[float, float]:
        before, self._network = self._network, psutil.net_io_counters()
        if before is None or self._network is None:
            return 0.0, 0.0
        sent, received = self._network.bytes_sent - before.bytes_sent, self._network.bytes_recv - before.bytes_recv
        return max(0.0, sent / seconds), max(0.0, received / seconds)

    def _limits(self) -> Limits | None:
        """Of the control group (version 2) that this process is the root of; None where it has no limits."""
        memory, used = _number(self._cgroup / "memory.max"), _number(self._cgroup / "memory.current")
        quota = _text(self._cgroup / "cpu.max").split()
        cores = float(quota[0]) / float(quota[1]) if len(quota) == 2 and quota[0].isdigit() else None
        before, self._throttled = self._throttled, self._cpu_stat()
        if memory is None and cores is None:
            return None
        periods, throttled = self._throttled[0] - before[0], self._throttled[1] - before[1]
        return Limits(
            memory_pct=100.0 * used / memory if memory and used is not None else None, cores=cores,
            throttled_pct=100.0 * throttled / periods if periods > 0 else 0.0,
        )  # fmt: skip

    def _cpu_stat(self) -> tuple[float, float]:
        pairs = dict(line.split(None, 1) for line in _text(self._cgroup / "cpu.stat").splitlines() if " " in line)
        return float(pairs.get("nr_periods", 0)), float(pairs.get("nr_throttled", 0))


def _open_files() -> float | None:
    """File descriptors that are open on the whole machine; None where the system does not tell."""
    first = _text(Path("/proc/sys/fs/file-nr")).split()
    return float(first[0]) if first else None


def _run_queue() -> float | None:
    """This very program, which runs at this moment, does not count."""
    line = next((each for each in _text(_STAT).splitlines() if each.startswith("procs_running ")), "")
    _, _, count = line.partition(" ")
    return max(0.0, float(count) - 1.0) / (os.cpu_count() or 1) if count.isdigit() else None


def _number(path: Path) -> float | None:
    text = _text(path).strip()
    return float(text) if text.isdigit() else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
