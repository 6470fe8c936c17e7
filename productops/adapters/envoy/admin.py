"""Envoy's admin port: one kept connection, and its answers as our own values."""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from productops.adapters.envoy import config, rules
from productops.domain.analysis import LatencyHistogram
from productops.domain.release import Environment
from productops.domain.routing import ArmCounters, RouterReading, VersionKey
from productops.errors import RouterError

_ROUTES = f"http.{config.LISTENER_STATS}.rds.{config.ROUTE_CONFIG}"
_CLUSTERS = "cluster_manager.cds"
_BORN = "listener_manager.lds.update_time"
_SOURCES = f"^({re.escape(_ROUTES)}|{re.escape(_CLUSTERS)})"
_VERSIONS = f"/stats?format=json&type=TextReadouts&filter={quote(_SOURCES + '.version_text$')}"
_REFUSALS = f"/stats?format=json&type=Counters&filter={quote(_SOURCES + '.update_(rejected|failure)$')}"
_WARMING = f"/stats?format=json&type=Gauges&filter={quote('^cluster_manager.warming_clusters$')}"
_OURS = r"cluster\.po\|[^.]*\.upstream_rq_(completed|5xx|time|pending_overflow)"
_TWINS = rf"vhost\.[^.]*\.route\.{rules.MIRRORED}\.upstream_rq_(completed|5xx|time)"
_ARMS = rf"^(server\.uptime|listener_manager\.lds\.update_time|{_OURS}|{_TWINS})$"
_READING = f"/stats?format=json&usedonly&histogram_buckets=detailed&filter={quote(_ARMS)}"
_FLUSH = "/stats?format=json&type=TextReadouts&filter=%5E%24"
_MERGE_S = 0.0003


class SilentError(RouterError):
    """The admin port does not answer: the router is not running, or not yet."""


@dataclass(frozen=True, slots=True)
class Versions:
    """The configuration Envoy accepted last: version of the routes and of the clusters; empty when there is none."""

    routes: str
    clusters: str


@dataclass(frozen=True, slots=True)
class Host:
    """One endpoint of an active cluster: requests in flight, and whether the health check counts it as serving."""

    cluster: str
    stat: str
    port: int
    in_flight: int
    healthy: bool


class AdminClient:
    """Questions to the admin port; safe to share between threads. Every method raises SilentError when nobody answers."""

    def __init__(self, port: int, *, timeout_s: float) -> None:
        self._port = port
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._connection: http.client.HTTPConnection | None = None

    def close(self) -> None:
        """Give the connection back; the next question opens another."""
        with self._lock:
            self._drop()

    def ready(self) -> bool:
        """Whether Envoy listens and has loaded everything. Never raises."""
        try:
            return self._get("/ready")[0] == 200
        except SilentError:
            return False

    def epoch(self) -> int:
        """How many routers this one has followed on its port; asked on a connection of its own. -1 while it does not serve."""
        self.close()
        answer = self._json("/server_info")
        options = answer.get("command_line_options", {})
        return int(options.get("restart_epoch", 0)) if answer.get("state") == "LIVE" else -1

    def versions(self) -> Versions:
        """What Envoy serves now."""
        found = {str(s["name"]): str(s["value"]) for s in self._stats(_VERSIONS)}
        return Versions(found.get(f"{_ROUTES}.version_text", ""), found.get(f"{_CLUSTERS}.version_text", ""))

    def refusals(self) -> int:
        """How often Envoy refused routes or clusters, or could not read them, since it started."""
        return sum(int(s["value"]) for s in self._stats(_REFUSALS))

    def warming(self) -> int:
        """How many clusters wait for their first health check."""
        return sum(int(s["value"]) for s in self._stats(_WARMING))

    def clusters(self) -> dict[str, list[Host]]:
        """Endpoints of every active cluster by its name; a cluster that still waits for its first health check is not active."""
        answer = self._json("/clusters?format=json")
        return {str(entry["name"]): _hosts(entry) for entry in answer.get("cluster_statuses", ())}

    def read(self) -> RouterReading:
        """Counters of all versions.

        The first question makes Envoy merge its workers' histograms, which takes a moment; the second reads them.
        """
        self._get(_FLUSH)
        time.sleep(_MERGE_S)
        return _reading(self._stats(_READING))

    def _stats(self, path: str) -> list[dict[str, Any]]:
        return list(self._json(path).get("stats", ()))

    def _json(self, path: str) -> dict[str, Any]:
        status, body = self._get(path)
        try:
            answer = json.loads(body)
        except ValueError as error:
            raise RouterError(f"the router's admin port {self._port} did not answer in JSON (status {status})") from error
        if status != 200 or not isinstance(answer, dict):
            raise RouterError(f"the router's admin port {self._port} answered {status} to {path.partition('?')[0]}")
        return answer

    def _get(self, path: str) -> tuple[int, bytes]:
        with self._lock:
            # A kept connection may lead to a router that has gone since: that is worth a second question, a fresh one is not.
            if self._connection is not None:
                try:
                    return self._ask(path)
                except TimeoutError as error:
                    raise self._silent(error) from error
                except (OSError, http.client.HTTPException):
                    self._drop()
            try:
                return self._ask(path)
            except (OSError, http.client.HTTPException) as error:
                raise self._silent(error) from error

    def _ask(self, path: str) -> tuple[int, bytes]:
        if self._connection is None:
            connection = http.client.HTTPConnection(config.ADMIN_HOST, self._port, timeout=self._timeout_s)
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connection = connection
        self._connection.request("GET", path)
        response = self._connection.getresponse()
        return response.status, response.read()

    def _silent(self, error: Exception) -> SilentError:
        self._drop()
        return SilentError(f"the router does not answer on its admin port {self._port}: {error or type(error).__name__}")

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _hosts(entry: Mapping[str, Any]) -> list[Host]:
    name = str(entry["name"])
    stat = str(entry.get("observability_name", name))
    return [_host(name, stat, host) for host in entry.get("host_statuses", ())]


def _host(cluster: str, stat: str, entry: Mapping[str, Any]) -> Host:
    values = {str(s["name"]): int(s.get("value", 0)) for s in entry.get("stats", ())}
    health = entry.get("health_status", {})
    return Host(
        cluster=cluster,
        stat=stat,
        port=int(entry["address"]["socket_address"]["port_value"]),
        in_flight=values.get("rq_active", 0) + values.get("rq_pending_active", 0),
        healthy=not any(value is True for value in health.values()),
    )


def _reading(stats: Iterable[Mapping[str, Any]]) -> RouterReading:
    """Requests are those that got an answer, from an instance or (503, 504) from Envoy itself, each once however often it was retried."""
    values: dict[str, int] = {}
    latencies: dict[str, LatencyHistogram] = {}
    for entry in stats:
        if "histograms" in entry:
            latencies = {str(each["name"]): _histogram(each.get("totals", ())) for each in entry["histograms"].get("details", ())}
        else:
            values[str(entry["name"])] = int(entry["value"])
    arms: dict[VersionKey, ArmCounters] = {}
    mirrored: dict[tuple[str, Environment], ArmCounters] = {}
    for name in values:
        prefix, _, metric = name.rpartition(".")
        if metric != "upstream_rq_completed":
            continue
        counters = _counters(prefix, values, latencies)
        if (key := _arm(prefix)) is not None:
            arms[key] = counters
        elif (place := _mirrored(prefix)) is not None:
            mirrored[place] = counters
    return RouterReading(uptime_s=float(values.get("server.uptime", 0)), arms=arms, life=values.get(_BORN, 0), mirrored=mirrored)


def _counters(prefix: str, values: Mapping[str, int], latencies: Mapping[str, LatencyHistogram]) -> ArmCounters:
    """What was left out because too many copies were in flight says nothing about the version: it is no request and no failure."""
    left_out = values.get(f"{prefix}.upstream_rq_pending_overflow", 0)
    requests, failures = values[f"{prefix}.upstream_rq_completed"], values.get(f"{prefix}.upstream_rq_5xx", 0)
    latency = latencies.get(f"{prefix}.upstream_rq_time", LatencyHistogram())
    return ArmCounters(max(0, requests - left_out), max(0, failures - left_out), latency)


def _histogram(buckets: Iterable[Mapping[str, float]]) -> LatencyHistogram:
    """Envoy drops the fraction of a millisecond before it counts, so the bucket of 7 holds latencies below 8 ms."""
    counts = {bucket["lower_bound"] + max(bucket["width"], 1.0): int(bucket["count"]) for bucket in buckets}
    return LatencyHistogram(tuple(counts), tuple(counts.values()))


def _arm(prefix: str) -> VersionKey | None:
    parts = prefix.split(".")
    return config.version_key(parts[1]) if len(parts) == 2 and parts[0] == "cluster" else None


def _mirrored(prefix: str) -> tuple[str, Environment] | None:
    parts = prefix.split(".")
    service, _, environment = parts[1].partition("|") if len(parts) == 4 and parts[0] == "vhost" else ("", "", "")
    return (service, Environment(environment)) if environment in set(Environment) else None
