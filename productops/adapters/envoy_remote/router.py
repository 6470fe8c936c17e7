"""The ``Router`` port on Envoys of other machines: the embedded router's way of switching, confirmed by every one of them."""

from __future__ import annotations

import http.client
import socket
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from productops.adapters.envoy import EnvoyRouter, config
from productops.adapters.envoy.admin import AdminClient, Host, SilentError, Versions
from productops.adapters.envoy_remote import documents
from productops.adapters.envoy_remote.discovery import KINDS, Discovery, NodeState, check_node
from productops.domain.capabilities import ENVOY
from productops.domain.routing import ArmCounters, Endpoint, RouterReading, ServiceRoute, VersionKey, merge_histograms
from productops.errors import SettingsError
from productops.settings import is_loopback

T = TypeVar("T")
SILENCE_S = documents.HOLD_S + 10.0
"""An Envoy that was not heard for so long may still serve an old configuration: nothing is confirmed without it."""
_POLL_S = 0.005

CAPABILITIES = replace(ENVOY, router="remote Envoys", mirror=True, exposures=False)


@dataclass(frozen=True, slots=True)
class RemoteNode:
    """An Envoy: its ``node.id`` and where its listener for counters is reached."""

    id: str
    host: str
    stats_port: int


class RemoteEnvoyRouter(EnvoyRouter):
    """Writes into ``folder`` what the API hands to ``nodes``, and is content when each of them runs it.

    ``listen`` is the address the Envoys take users' requests on. Instances on this machine's loopback are told to them under
    ``advertise``, the address they reach this machine by. ``confirm_s`` is the longest wait for all of them.
    """

    capabilities = CAPABILITIES

    def __init__(
        self, folder: Path, *, nodes: Sequence[RemoteNode], stats_token: str, port: int = 8080, host: str = "0.0.0.0",  # noqa: S104
        advertise: str = "", confirm_s: float = 5.0,
    ) -> None:  # fmt: skip
        """Raises: SettingsError without nodes, InvalidInputError for an unusable node id."""
        if not nodes:
            raise SettingsError("remote Envoys need at least one entry in nodes: {id, host, stats_port}")
        super().__init__(folder, port=port, admin_port=nodes[0].stats_port, host=host, confirm_s=confirm_s)
        self._fleet = FleetAdmin(Discovery(folder.resolve()), nodes, stats_token=stats_token, timeout_s=confirm_s)
        self._admin = self._fleet
        self._advertise = advertise

    def write_bootstrap(self) -> Path:
        """Write the listener and, when there are none yet, empty routes and clusters. Returns the listener's file. Raises: RouterError."""
        with self._lock:
            self._files.put("lds.json", documents.listener(host=self._host, port=self._port))
            if not self._files.clusters().version:
                self._files.put_clusters({})
            if not self._files.hosts().version:
                self._files.put_hosts({})
        return self._folder / "lds.json"

    def command(self) -> list[str]:
        """Raises: SettingsError, because these Envoys are started where they run."""
        raise SettingsError("remote Envoys are started on their own machines, with the file of `documents.bootstrap`")

    def apply(self, routes: Sequence[ServiceRoute]) -> None:
        """As the port says; confirmed when every node has named the new version. Raises: RouterError."""
        super().apply([self._reachable(route) for route in routes])

    def requests_in_flight(self) -> Mapping[tuple[VersionKey, int], int]:
        """Of all nodes together. Raises: RouterError."""
        found: dict[tuple[VersionKey, int], int] = {}
        for clusters in self._fleet.clusters_by_node():
            for host in (host for hosts in clusters.values() for host in hosts):
                key = config.version_key(host.stat)
                if key is not None:
                    found[(key, host.port)] = found.get((key, host.port), 0) + host.in_flight
        return found

    def _reachable(self, route: ServiceRoute) -> ServiceRoute:
        """The comparator of mirrored answers listens on loopback here, where no remote Envoy reaches it: it is left out."""
        mirror = replace(route.mirror, compare_pct=0.0) if route.mirror is not None else None
        if not self._advertise:
            return replace(route, mirror=mirror)
        fleets = {version: tuple(self._advertised(e) for e in fleet) for version, fleet in route.fleets.items()}
        return replace(route, mirror=mirror, fleets=fleets)

    def _advertised(self, endpoint: Endpoint) -> Endpoint:
        return replace(endpoint, host=self._advertise) if is_loopback(endpoint.host) else endpoint


class NodeAdmin(AdminClient):
    """Questions to a node's listener for counters, with the token."""

    def __init__(self, node: RemoteNode, *, token: str, timeout_s: float) -> None:
        super().__init__(node.stats_port, timeout_s=timeout_s)
        self._place, self._token = node, token

    def _ask(self, path: str) -> tuple[int, bytes]:
        if self._connection is None:
            connection = http.client.HTTPConnection(self._place.host, self._place.stats_port, timeout=self._timeout_s)
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connection = connection
        self._connection.request("GET", path, headers={"authorization": f"Bearer {self._token}"})
        response = self._connection.getresponse()
        return response.status, response.read()

    def _silent(self, error: Exception) -> SilentError:
        self._drop()
        where = f"{self._place.host}:{self._place.stats_port}"
        return SilentError(f"Envoy {self._place.id} does not answer on {where}: {error or type(error).__name__}")


class FleetAdmin(AdminClient):
    """All nodes as if they were one router: what it serves, refuses and counts. One that is silent makes it silent."""

    def __init__(self, discovery: Discovery, nodes: Sequence[RemoteNode], *, stats_token: str, timeout_s: float) -> None:
        super().__init__(nodes[0].stats_port, timeout_s=timeout_s)
        self._discovery = discovery
        self._ids = [check_node(node.id) for node in nodes]
        self._clients = [NodeAdmin(node, token=stats_token, timeout_s=timeout_s) for node in nodes]
        self._refused: set[tuple[str, int]] = set()
        self._pool = ThreadPoolExecutor(max_workers=min(16, len(nodes)), thread_name_prefix="envoys")

    def close(self) -> None:
        """Give the connections back."""
        for client in self._clients:
            client.close()

    def ready(self) -> bool:
        """Whether all serve and have asked for their configuration. Never raises."""
        return all(client.ready() for client in self._clients) and all(self._discovery.node(n).versions.get("routes") for n in self._ids)

    def versions(self) -> Versions:
        """What every node serves; where they differ, which one has what."""
        time.sleep(_POLL_S)
        states = {node: self._heard(node) for node in self._ids}
        return Versions(_common(states, "routes"), _common(states, "clusters"))

    def refusals(self) -> int:
        """How often nodes refused what is written now; a number that only rises. Refusals of what was taken back do not count."""
        wanted = {kind: found.version for kind in KINDS if (found := self._discovery.resources(kind))}
        for node in self._ids:
            state = self._discovery.node(node)
            if any(version == wanted.get(kind) for kind, version in state.refused.items()):
                self._refused.add((node, state.refusals))
        return len(self._refused)

    def warming(self) -> int:
        """Clusters that wait for a health check, and nodes that have not taken the clusters yet."""
        wanted = self._discovery.resources("clusters")
        behind = sum(self._discovery.node(n).versions.get("clusters") != (wanted.version if wanted else "") for n in self._ids)
        return behind or sum(self._each(lambda client: client.warming()))

    def clusters(self) -> dict[str, list[Host]]:
        """Clusters that are active on every node, with the endpoints of all; one counts as healthy where the least lucky node says so."""
        found = self.clusters_by_node()
        common = set.intersection(*(set(clusters) for clusters in found))
        return {name: _worst([clusters[name] for clusters in found]) for name in common}

    def clusters_by_node(self) -> list[dict[str, list[Host]]]:
        """Of each node. Raises: SilentError."""
        return self._each(lambda client: client.clusters())

    def read(self) -> RouterReading:
        """Counters of all nodes together; a node that restarts makes it another life."""
        readings = self._each(lambda client: client.read())
        arms: dict[VersionKey, ArmCounters] = {}
        for key in {key for reading in readings for key in reading.arms}:
            arms[key] = _total([r.arms[key] for r in readings if key in r.arms])
        places = {place for reading in readings for place in reading.mirrored}
        mirrored = {place: _total([r.mirrored[place] for r in readings if place in r.mirrored]) for place in places}
        life = zlib.crc32(repr([r.life for r in readings]).encode())
        return RouterReading(uptime_s=min(r.uptime_s for r in readings), arms=arms, life=life, mirrored=mirrored)

    def _each(self, question: Callable[[NodeAdmin], T]) -> list[T]:
        return list(self._pool.map(question, self._clients))

    def _heard(self, node: str) -> NodeState:
        """Raises: SilentError for a node that has not asked for its configuration for SILENCE_S."""
        state = self._discovery.node(node)
        silence_s = time.time() - state.heard_at
        if silence_s > SILENCE_S:
            since = f"for {silence_s:.0f} s" if state.heard_at else "yet"
            raise SilentError(f"Envoy {node} has not asked for its configuration {since}; start it, or take it out of nodes")
        return state


def _common(states: Mapping[str, NodeState], kind: str) -> str:
    found = {node: state.versions.get(kind, "") for node, state in states.items()}
    if len(set(found.values())) == 1:
        return next(iter(found.values()))
    return ", ".join(f"{version or 'none'} on {node}" for node, version in found.items())


def _worst(hosts: Sequence[Sequence[Host]]) -> list[Host]:
    merged: dict[int, Host] = {}
    for host in (host for each in hosts for host in each):
        known = merged.get(host.port)
        in_flight = host.in_flight + (known.in_flight if known else 0)
        merged[host.port] = replace(host, in_flight=in_flight, healthy=host.healthy and (known is None or known.healthy))
    return list(merged.values())


def _total(arms: Sequence[ArmCounters]) -> ArmCounters:
    latency = merge_histograms([arm.latency for arm in arms])
    return ArmCounters(sum(arm.requests for arm in arms), sum(arm.failures for arm in arms), latency)
