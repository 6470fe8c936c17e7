"""The ``Router`` port on HAProxy: switches by the runtime sockets, read back; counters that survive reloads; requests in flight."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import threading
import time
import uuid
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from productops.adapters.haproxy import config
from productops.adapters.haproxy.config import Backend, Layout
from productops.adapters.haproxy.runtime import Runtime, SilentError
from productops.adapters.router_term import RouterTerm
from productops.domain.analysis import LatencyHistogram
from productops.domain.capabilities import LatencyDetail, RouterCapabilities
from productops.domain.routing import ArmCounters, Endpoint, RouterReading, ServiceRoute, VersionKey
from productops.errors import DependencyError, RouterError, SettingsError

_log = logging.getLogger(__name__)
_HEALTHY_S = 1.0
_SOCKET_PATH_MAX = 90
_STALE_MAX = 50
_ENDED = 0
_PLACES = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"

CAPABILITIES = RouterCapabilities("HAProxy", LatencyDetail.AVERAGE, weight_step_pct=0.01)
"""It counts requests and failures by version, but latencies only as averages: p50, p90 and p99 cannot be judged from it."""


class HAProxyRouter:
    """One HAProxy in master-worker mode on this machine, started by a supervisor with ``command()`` and told what to do by its sockets.

    ``folder`` holds its configuration, maps and sockets; ``port`` takes users' requests on ``host``. ``confirm_s`` is the longest
    wait for a reload, in seconds. Methods may be called from several threads.
    """

    capabilities = CAPABILITIES

    def __init__(
        self, folder: Path, *, port: int, host: str = "127.0.0.1", threads: int = 1, confirm_s: float = 5.0, binary: Path | None = None
    ) -> None:
        """Raises: SettingsError when the folder's path is too long for a socket."""
        self._folder = folder.resolve()
        self._worker, self._master = self._folder / "worker.sock", self._folder / "master.sock"
        if len(str(self._worker)) > _SOCKET_PATH_MAX:
            raise SettingsError(f"the folder {self._folder} has too long a path for a socket: {_SOCKET_PATH_MAX - 12} characters at most")
        self._bind, self._threads, self._confirm_s, self._binary = f"{host}:{port}", threads, confirm_s, binary
        self._runtime = Runtime(self._worker, self._master, timeout_s=confirm_s)
        self._term = RouterTerm(self._folder)
        self._lock = threading.Lock()
        self._read_lock = threading.Lock()
        self._counted: dict[int, dict[VersionKey, tuple[int, int]]] = {}
        self._life = zlib.crc32(uuid.uuid4().bytes)
        self._born = time.monotonic()

    def write_configuration(self) -> Path:
        """Write what HAProxy starts with and return its path; what lies there already is kept. Raises: RouterError."""
        with self._lock:
            path = self._folder / "haproxy.cfg"
            if not path.is_file():
                self._write(Layout({}, {}, {}, {}), {})
            return path

    def command(self) -> list[str]:
        """Program and arguments that start HAProxy in the foreground, logging to standard error. Raises: DependencyError."""
        return [str(self._find()), "-W", "-db", "-S", f"{self._master},mode,600", "-f", str(self._folder / "haproxy.cfg")]

    def claim(self, term: int) -> None:
        """Write as the agent of ``term`` from now on. Raises: RouterError when a later one has the router."""
        self._term.claim(term)

    def latest_term(self) -> int:
        """The last term that claimed the router; 0 when none has."""
        return self._term.latest()

    def close(self) -> None:
        """Nothing is held between calls."""

    def ready(self) -> bool:
        """Whether HAProxy answers. Never raises."""
        try:
            return bool(self._runtime.description()[1])
        except RouterError:
            return False

    def apply(self, routes: Sequence[ServiceRoute]) -> None:
        """Make HAProxy serve exactly ``routes`` and return when it has read them back; nothing is sent when nothing changed.

        Raises: RouterError when it refuses, does not confirm in time, or cannot do what a route asks; such a service gets its
        baseline only, the others are switched. When HAProxy does not run, the files are written for its next start.
        """
        with self._lock, self._term.held():
            problems = {config.route_key(r): problem for r in routes if (problem := config.unsupported(r))}
            layout = config.layout(config.reduced(r) if config.route_key(r) in problems else r for r in routes)
            try:
                self._switch(layout)
            except SilentError:
                self._write(layout, layout.backends)
                raise
        if problems:
            told = "; ".join(f"{name.replace('|', ' in ')}: {problem}" for name, problem in sorted(problems.items()))
            raise RouterError(f"HAProxy cannot do what is asked ({told}); there, the baseline gets everything")

    def requests_in_flight(self) -> Mapping[tuple[VersionKey, int], int]:
        """Requests in flight by version and instance port, also those a worker from before a reload still has. Raises: RouterError."""
        found: dict[tuple[VersionKey, int], int] = {}
        for statistics in (self._runtime.statistics(), *self._runtime.older().values()):
            for place in statistics.places:
                found[(place.key, place.port)] = found.get((place.key, place.port), 0) + place.in_flight
        return found

    def read(self) -> RouterReading:
        """Counters of all versions, now, without latencies. They go on over reloads and restarts of HAProxy. Raises: RouterError."""
        with self._read_lock:
            _, pid = self._runtime.description()
            living = {pid: self._runtime.statistics(), **self._runtime.older()}
            for number, statistics in living.items():
                self._counted[number] = statistics.arms
            ended = self._counted.setdefault(_ENDED, {})
            for number in [n for n in self._counted if n not in living and n != _ENDED]:
                for key, counts in self._counted.pop(number).items():
                    ended[key] = _sum(ended.get(key, (0, 0)), counts)
            totals: dict[VersionKey, tuple[int, int]] = {}
            for arms in self._counted.values():
                for key, counts in arms.items():
                    totals[key] = _sum(totals.get(key, (0, 0)), counts)
        arms_now = {key: ArmCounters(requests, failures, LatencyHistogram()) for key, (requests, failures) in totals.items()}
        return RouterReading(uptime_s=time.monotonic() - self._born, arms=arms_now, life=self._life)

    # ---- switching

    def _switch(self, layout: Layout) -> None:
        """Room for new instances first, then the instances, then the routes, then what is not needed any more."""
        description, _ = self._runtime.description()
        backends = self._needed(layout, description)
        if config.digest(backends, frontend=self._bind) != description:
            self._reload(layout, backends)
        fresh = {name: self._place(name, endpoints) for name, endpoints in layout.servers.items()}
        self._await_health({name: slots for name, slots in fresh.items() if slots})
        self._write(layout, backends)
        self._runtime.put_entries(self._folder / config.ROUTES, layout.routes)
        self._runtime.put_entries(self._folder / config.HOSTS, layout.hosts)
        self._runtime.put_older(self._folder / config.ROUTES, layout.routes)
        for name in backends:
            self._clear(name, layout.servers.get(name, ()))

    def _needed(self, layout: Layout, description: str) -> dict[str, Backend]:
        """The backends to run: those that run already when they suffice, so that no reload is needed, else what is used."""
        running = self._read_backends()
        if config.digest(running, frontend=self._bind) == description:
            suffices = all(name in running and _suffices(running[name], b) for name, b in layout.backends.items())
            if suffices and len(running.keys() - layout.backends.keys()) <= _STALE_MAX:
                return running
        used = {arm for value in self._runtime.entries(self._folder / config.ROUTES).values() for arm in value.split("/")[:2]}
        kept = {name: backend for name, backend in running.items() if name in used}
        return {**kept, **layout.backends}

    def _reload(self, layout: Layout, backends: Mapping[str, Backend]) -> None:
        """The routes stay as they run; what the new worker reads from the maps is what the old one serves."""
        routes = self._runtime.entries(self._folder / config.ROUTES)
        hosts = self._runtime.entries(self._folder / config.HOSTS)
        servers = {name: self._running_servers(name) for name in backends.keys() - layout.servers.keys()}
        self._check(Layout(hosts, routes, dict(backends), {**servers, **layout.servers}), backends)
        self.read()  # what the worker counted until now
        self._write(Layout(hosts, routes, dict(backends), {**servers, **layout.servers}), backends)
        self._runtime.reload(wanted=config.digest(backends, frontend=self._bind), within_s=self._confirm_s)

    def _running_servers(self, name: str) -> tuple[Endpoint, ...]:
        try:
            return tuple(Endpoint(s.host, s.port, draining=s.draining) for s in self._runtime.slots(name) if not s.free)
        except SilentError:
            raise
        except RouterError:  # a backend that only the new worker will have
            return ()

    def _place(self, backend: str, endpoints: Sequence[Endpoint]) -> list[str]:
        """Put instances that are not there into free slots, drain those that shall drain. Returns the slots that are new."""
        slots = self._runtime.slots(backend)
        there = {(s.host, s.port): s for s in slots if not s.free}
        free = [s for s in slots if s.free]
        fresh: list[str] = []
        for endpoint in endpoints:
            slot = there.get((endpoint.host, endpoint.port))
            if slot is None:
                if not free:
                    raise RouterError(f"HAProxy has no free slot for an instance of {backend}")
                slot = free.pop(0)
                self._runtime.order(f"set server {backend}/{slot.name} addr {endpoint.host} port {endpoint.port}")
                self._runtime.order(f"set server {backend}/{slot.name} weight 100%")
                self._runtime.order(f"set server {backend}/{slot.name} state {'drain' if endpoint.draining else 'ready'}")
                fresh += [] if endpoint.draining else [slot.name]
            elif slot.draining != endpoint.draining:
                self._runtime.order(f"set server {backend}/{slot.name} weight 100%")
                self._runtime.order(f"set server {backend}/{slot.name} state {'drain' if endpoint.draining else 'ready'}")
        return fresh

    def _await_health(self, fresh: Mapping[str, Sequence[str]]) -> None:
        """Give new instances a moment to pass their first health check; one that never does must not hold up a switch."""
        deadline = time.monotonic() + _HEALTHY_S
        while fresh and time.monotonic() < deadline:
            if all(any(s.up and s.name in names for s in self._runtime.slots(backend)) for backend, names in fresh.items()):
                return
            time.sleep(0.01)

    def _clear(self, backend: str, endpoints: Sequence[Endpoint]) -> None:
        """Take instances that are gone out of their slots, and read back which are there."""
        wanted = {(e.host, e.port): e.draining for e in endpoints}
        for slot in self._runtime.slots(backend):
            if not slot.free and (slot.host, slot.port) not in wanted:
                self._runtime.order(f"set server {backend}/{slot.name} state maint")
        found = {(s.host, s.port): s.draining for s in self._runtime.slots(backend) if not s.free}
        if found != wanted:
            raise RouterError(f"HAProxy did not take the instances of {backend}: it has {sorted(found)} and not {sorted(wanted)}")

    # ---- files

    def _read_backends(self) -> dict[str, Backend]:
        """The backends of the configuration file, as noted beside it. None when there is no note: then a reload makes one."""
        try:
            plain = json.loads((self._folder / "backends.json").read_bytes())
            found = {name: (config.version_key(name), *values) for name, values in plain.items()}
            return {name: Backend(key, *rest) for name, (key, *rest) in found.items() if key is not None}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def _write(self, layout: Layout, backends: Mapping[str, Backend]) -> None:
        """All files, each replaced at once. Raises: RouterError."""
        texts = {
            config.HOSTS: config.map_text(layout.hosts),
            config.ROUTES: config.map_text(layout.routes),
            "backends.json": json.dumps({n: [b.health_path, b.timeout_s, b.slots] for n, b in sorted(backends.items())}),
            "haproxy.cfg": self._text(layout, backends),
        }
        for name, text in texts.items():
            self._put(name, text)

    def _text(self, layout: Layout, backends: Mapping[str, Backend]) -> str:
        return config.text(backends, layout.servers, folder=self._folder, socket=self._worker, bind=self._bind, threads=self._threads)

    def _put(self, name: str, text: str) -> None:
        path = self._folder / name
        try:
            if path.is_file() and path.read_text(encoding="utf-8") == text:
                return
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            fresh = path.with_name(f"{name}.new")
            fresh.write_text(text, encoding="utf-8")
            fresh.replace(path)
        except OSError as error:
            raise RouterError(f"{path} cannot be written: {error.strerror}") from error

    def _check(self, layout: Layout, backends: Mapping[str, Backend]) -> None:
        """Have HAProxy itself read the configuration before it is told to. Raises: RouterError with its words."""
        self._put("check.cfg", self._text(layout, backends))
        done = subprocess.run(
            [str(self._find()), "-c", "-q", "-f", str(self._folder / "check.cfg")], capture_output=True, text=True, timeout=20, check=False
        )
        if done.returncode:
            raise RouterError(f"HAProxy refuses the configuration: {' '.join(done.stderr.split())[:500]}")

    def _find(self) -> Path:
        place = shutil.which("haproxy", path=_PLACES)
        found = self._binary or (Path(place) if place else None)
        if found is None or not found.is_file():
            raise DependencyError("there is no HAProxy here: install haproxy 2.6 or newer, or give the path of the program")
        return found


def _suffices(running: Backend, wanted: Backend) -> bool:
    return running.slots >= wanted.slots and (running.health_path, running.timeout_s) == (wanted.health_path, wanted.timeout_s)


def _sum(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    return (a[0] + b[0], a[1] + b[1])
