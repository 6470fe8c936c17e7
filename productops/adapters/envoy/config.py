"""Envoy's own documents: the listener, the clusters and the routes as it wants them. Pure: no file, no socket.

Three files are watched (``lds.json``, ``cds.json``, ``rds.json``) and no more: Envoy spends one inotify instance per watched file,
a user has 128 of them, and Envoy aborts when they run out. So a cluster holds its endpoints and never changes: its name ends in a
digest of its content, other endpoints make another cluster, and requests move there by a switch of the routes. Both count under
one name, the version's, and the old one shows which requests are still in flight.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from productops.adapters.envoy import rules
from productops.domain.catalog import stat_name
from productops.domain.release import Environment
from productops.domain.routing import Endpoint, ServiceRoute, VersionKey

VERSION_HEADER = rules.VERSION_HEADER
STICKY_COOKIE = rules.STICKY_COOKIE
ROUTE_CONFIG = "productops"
LISTENER_STATS = "router"
ADMIN_HOST = "127.0.0.1"

Document = dict[str, Any]

_TYPE = "type.googleapis.com/"
_MANAGER = f"{_TYPE}envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ROUTER = f"{_TYPE}envoy.extensions.filters.http.router.v3.Router"
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_ENORMOUS = 1_000_000


def virtual_host(route: ServiceRoute, domains: Sequence[str], clusters: Mapping[str, str]) -> Document:
    """The hosts of one service and where their requests go; ``clusters`` names the cluster of each version (and ``rules.SHADOW`` …).

    ``generation`` is in the document so that it is part of the version Envoy confirms.
    """
    return {
        "name": host_name(route.service, route.environment),
        "domains": list(domains),
        "metadata": {"filter_metadata": {"productops": {"generation": route.generation}}},
        "retry_policy": rules.retries(),
        "routes": rules.rules(route, clusters),
    }


def host_name(service: str, environment: Environment) -> str:
    """Name of a service's virtual host."""
    return f"{service}|{environment}"


def cluster(key: VersionKey, endpoints: Iterable[Endpoint], *, health_path: str, in_flight_max: int | None = None) -> tuple[str, Document]:
    """One version's cluster and its name: the endpoints that take requests, active health checks, no limits of its own.

    With ``in_flight_max`` it is the cluster of a shadow: copies beyond that many in flight are left out, so that a slow shadow piles
    nothing up in the router.

    At most half of a fleet is ejected for failing and a lone instance never, so a version that only fails keeps failing visibly. With
    no healthy instance at all, requests are still tried: a false alarm of the health check must not become an outage.
    """
    stat = stat_name(*key)
    serving = sorted({(e.host, e.port) for e in endpoints if not e.draining and e.host and 0 < e.port < 65536})
    addresses = [{"endpoint": {"address": {"socket_address": {"address": host, "port_value": port}}}} for host, port in serving]
    limits = limits_of(in_flight_max)
    document: Document = {
        "alt_stat_name": stat,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": stat, "endpoints": [{"lb_endpoints": addresses}] if addresses else []},
        "common_lb_config": {"healthy_panic_threshold": {"value": 1}},
        "circuit_breakers": {"thresholds": [{"priority": priority, **limits} for priority in ("DEFAULT", "HIGH")]},
        "health_checks": [_health_check(key[0], health_path)],
        "outlier_detection": _ejection(),
        "typed_extension_protocol_options": {
            _HTTP_OPTIONS: {
                "@type": f"{_TYPE}{_HTTP_OPTIONS}",
                # Common servers close an idle connection after 2 or 5 s; a request sent into that close would fail.
                "common_http_protocol_options": {"idle_timeout": "1.5s"},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
    }
    name = f"{stat}|{_digest(encode(document))[:10]}"
    return name, {"name": name, **document}


def limits_of(in_flight_max: int | None) -> Document:
    """A cluster's circuit breaker: as good as none for users, a strict one for copies."""
    if in_flight_max is None:
        return {"max_connections": _ENORMOUS, "max_pending_requests": _ENORMOUS, "max_requests": _ENORMOUS, "max_retries": 1000}
    return {"max_connections": in_flight_max, "max_pending_requests": in_flight_max, "max_requests": in_flight_max, "max_retries": 0}


def compare_cluster(port: int) -> tuple[str, Document]:
    """The comparator's cluster on loopback and its name. It answers slowly when it has enough: what waits then is left out."""
    limits = {"max_connections": 4, "max_pending_requests": 1, "max_requests": 4, "max_retries": 0}
    address = {"endpoint": {"address": {"socket_address": {"address": ADMIN_HOST, "port_value": port}}}}
    document: Document = {
        "alt_stat_name": "comparator",
        "type": "STATIC",
        "connect_timeout": "0.25s",
        "load_assignment": {"cluster_name": "comparator", "endpoints": [{"lb_endpoints": [address]}]},
        "circuit_breakers": {"thresholds": [{"priority": "DEFAULT", **limits}]},
    }
    name = f"comparator|{_digest(encode(document))[:10]}"
    return name, {"name": name, **document}


def _health_check(service: str, path: str) -> Document:
    return {
        "timeout": "0.5s",
        "interval": "0.5s",
        "no_traffic_interval": "0.5s",
        "unhealthy_threshold": 3,
        "healthy_threshold": 1,
        "http_health_check": {
            "path": quote(path, safe="/?&=%:@!$'()*+,;~-._"),
            "host": f"{service}.health",
            "expected_statuses": [{"start": 200, "end": 300}],
        },
    }


def _ejection() -> Document:
    return {
        "consecutive_5xx": 5,
        "interval": "1s",
        "base_ejection_time": "5s",
        "max_ejection_time": "30s",
        "max_ejection_percent": 50,
        "enforcing_success_rate": 0,
    }


def version_of_cluster(name: str) -> str:
    """The version's own name (``stat_name``) of a cluster."""
    return name.rsplit("|", 1)[0]


def version_key(stat: str) -> VersionKey | None:
    """Service, environment and version of a ``stat_name``, or ``None`` when it is none of ours."""
    parts = stat.split("|")
    if len(parts) != 4 or parts[0] != "po" or parts[2] not in set(Environment):
        return None
    version = re.sub(r"~([0-9a-f]{2})", lambda m: chr(int(m.group(1), 16)), parts[3])
    return (parts[1], Environment(parts[2]), version)


def route_text(virtual_hosts: Mapping[str, str]) -> tuple[str, str]:
    """``rds.json`` of encoded virtual hosts by name, and its version. Put together as text: most hosts are the same as last time."""
    hosts = ",".join(virtual_hosts[name] for name in sorted(virtual_hosts))
    head = f'"@type":"{_TYPE}envoy.config.route.v3.RouteConfiguration","ignore_port_in_host_matching":true,"name":"{ROUTE_CONFIG}"'
    return _response(f'{{{head},"validate_clusters":true,"virtual_hosts":[{hosts}]}}')


def cluster_text(clusters: Mapping[str, str]) -> tuple[str, str]:
    """``cds.json`` of encoded clusters by name, and its version."""
    return _response(",".join(clusters[name] for name in sorted(clusters)))


def typed_cluster(document: Document) -> str:
    """A cluster as ``cluster_text`` wants it."""
    return encode({"@type": f"{_TYPE}envoy.config.cluster.v3.Cluster", **document})


def listener_text(folder: Path, *, host: str, port: int, access_log: Document | None = None) -> str:
    """``lds.json``: one plain HTTP listener whose routes come from ``rds.json``."""
    manager: Document = {
        "@type": _MANAGER,
        "stat_prefix": LISTENER_STATS,
        "use_remote_address": True,
        "generate_request_id": True,
        "normalize_path": True,
        "server_header_transformation": "PASS_THROUGH",
        "rds": {"route_config_name": ROUTE_CONFIG, "config_source": _watched(folder / "rds.json")},
        "local_reply_config": {"mappers": [_unknown_host()]},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": _ROUTER}}],
    }
    if access_log is not None:
        manager["access_log"] = [access_log]
    listener = {
        "@type": f"{_TYPE}envoy.config.listener.v3.Listener",
        "name": "users",
        "address": {"socket_address": {"address": host, "port_value": port}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    return _response(encode(listener))[0]


def _unknown_host() -> Document:
    """The answer to a host that no service has: 404, saying which host was asked for."""
    body = {"title": "Unknown host", "status": 404, "detail": "No service answers to this host.", "host": "%REQ(:AUTHORITY)%"}
    return {
        "filter": {"response_flag_filter": {"flags": ["NR"]}},
        "body_format_override": {"json_format": body, "content_type": "application/problem+json"},
    }


def bootstrap_text(folder: Path, *, admin_port: int) -> str:
    """The static start: where the other files lie, and the admin port, on loopback and with nothing that changes state.

    Histograms are merged when the admin port is asked, not by a timer, so that they belong to the counters read with them.
    """
    paths = [{"exact": path} for path in ("/ready", "/clusters", "/server_info")]
    paths += [{"prefix": path} for path in ("/clusters?", "/stats", "/config_dump", "/init_dump")]
    twins = [{"contains": f".{part}."} for part in ("external", "internal", "circuit_breakers")]
    document = {
        "node": {"id": "productops-router", "cluster": "productops"},
        "admin": {"address": {"socket_address": {"address": ADMIN_HOST, "port_value": admin_port}}, "allow_paths": paths},
        "dynamic_resources": {"lds_config": _watched(folder / "lds.json"), "cds_config": _watched(folder / "cds.json")},
        "stats_flush_on_admin": True,
        # Without these twins of other metrics a scrape costs two thirds.
        "stats_config": {"stats_matcher": {"exclusion_list": {"patterns": twins}}},
    }
    return encode(document)


def _watched(path: Path) -> Document:
    """A source that Envoy reads again when another file is renamed to it."""
    return {"path_config_source": {"path": str(path)}, "resource_api_version": "V3"}


def _response(resources: str) -> tuple[str, str]:
    version = _digest(resources)[:16]
    return f'{{"resources":[{resources}],"version_info":"{version}"}}', version


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def encode(document: Document) -> str:
    """JSON with sorted keys and nothing but ASCII: equal documents are equal texts."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"))
