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

from productops.domain.catalog import stat_name
from productops.domain.release import Environment
from productops.domain.routing import Endpoint, ServiceRoute, VersionKey
from productops.domain.traffic import TEST_HEADER

VERSION_HEADER = "x-productops-version"
STICKY_COOKIE = "po-uid"
STICKY_S = 86_400
ROUTE_CONFIG = "productops"
LISTENER_STATS = "router"
ADMIN_HOST = "127.0.0.1"

Document = dict[str, Any]

_TYPE = "type.googleapis.com/"
_MANAGER = f"{_TYPE}envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ROUTER = f"{_TYPE}envoy.extensions.filters.http.router.v3.Router"
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_PREVIOUS_HOSTS = "envoy.retry_host_predicates.previous_hosts"
_PREVIOUS_HOSTS_TYPE = f"{_TYPE}envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
_ENORMOUS = 1_000_000


def virtual_host(route: ServiceRoute, domains: Sequence[str], clusters: Mapping[str, str]) -> Document:
    """The hosts of one service and where their requests go; ``clusters`` names the cluster of each version.

    ``generation`` is in the document so that it is part of the version Envoy confirms.
    """
    return {
        "name": host_name(route.service, route.environment),
        "domains": list(domains),
        "metadata": {"filter_metadata": {"productops": {"generation": route.generation}}},
        "retry_policy": _retries(),
        "routes": _rules(route, clusters),
    }


def host_name(service: str, environment: Environment) -> str:
    """Name of a service's virtual host."""
    return f"{service}|{environment}"


def _rules(route: ServiceRoute, clusters: Mapping[str, str]) -> list[Document]:
    baseline, candidate = route.baseline_version, route.candidate_version
    if candidate is None or not (route.candidate_pct > 0 or route.header_only):
        return [_plain(route, clusters, baseline)]
    rules = [_plain(route, clusters, candidate, header="always"), _plain(route, clusters, baseline, header="never")]
    if route.candidate_pct <= 0:
        return [*rules, _plain(route, clusters, baseline)]
    if baseline is None:
        share = {"default_value": {"numerator": min(route.candidate_pct, 100), "denominator": "HUNDRED"}}
        return [*rules, _plain(route, clusters, candidate, match={"runtime_fraction": share}), _plain(route, clusters, None)]
    if not route.sticky:
        return [*rules, _weighted(route, clusters, None)]
    return [*rules, *_sticky(route, clusters)]


def _sticky(route: ServiceRoute, clusters: Mapping[str, str]) -> list[Document]:
    """Envoy issues no cookie for weighted clusters: the first answer carries the request id as cookie, later requests are split by it.

    Both rules hash the same text, so a user's first request already goes where the user will stay. Baseline before candidate: a rising
    candidate weight takes more from the top of the hash range and loses nobody it had.
    """
    returning = _weighted(route, clusters, {"cookie": {"name": STICKY_COOKIE}})
    returning["match"]["cookies"] = [{"name": STICKY_COOKIE, "string_match": {"safe_regex": {"regex": ".+"}}}]
    first = _weighted(route, clusters, {"header": {"header_name": "x-request-id"}})
    value = f"{STICKY_COOKIE}=%REQ(x-request-id)%; Path=/; Max-Age={STICKY_S}; HttpOnly; SameSite=Lax"
    first["response_headers_to_add"] = [{"header": {"key": "set-cookie", "value": value}, "append_action": "APPEND_IF_EXISTS_OR_ADD"}]
    return [returning, first]


def _plain(
    route: ServiceRoute,
    clusters: Mapping[str, str],
    version: str | None,
    *,
    header: str = "",
    match: Mapping[str, Any] | None = None,
) -> Document:
    """All matching requests to one version, or 503 when there is none."""
    rule: Document = {"match": {"prefix": "/", **(match or {})}}
    if header:
        rule["match"]["headers"] = [{"name": TEST_HEADER, "string_match": {"exact": header}}]
    if version is None:
        return {**rule, **_nothing_to_serve(route)}
    action = {"cluster": clusters[version], "timeout": _seconds(route.timeout_s)}
    return {**rule, "route": action, "response_headers_to_add": [_set_header(VERSION_HEADER, version)]}


def _weighted(route: ServiceRoute, clusters: Mapping[str, str], hash_policy: Document | None) -> Document:
    candidate_pct = min(route.candidate_pct, 100)
    shares = ((route.baseline_version, 100 - candidate_pct), (route.candidate_version, candidate_pct))
    arms = [
        {"name": clusters[version], "weight": weight, "response_headers_to_add": [_set_header(VERSION_HEADER, version)]}
        for version, weight in shares
        if version is not None
    ]
    action: Document = {"weighted_clusters": {"clusters": arms}, "timeout": _seconds(route.timeout_s)}
    if hash_policy is not None:
        action["weighted_clusters"]["use_hash_policy"] = True
        action["hash_policy"] = [hash_policy]
    return {"match": {"prefix": "/"}, "route": action}


def _retries() -> Document:
    """Only what certainly never reached an instance is tried again, elsewhere: no request is run twice."""
    return {
        "retry_on": "connect-failure,refused-stream",
        "num_retries": 2,
        "retry_host_predicate": [{"name": _PREVIOUS_HOSTS, "typed_config": {"@type": _PREVIOUS_HOSTS_TYPE}}],
        "host_selection_retry_max_attempts": 3,
        "retry_back_off": {"base_interval": "0.005s", "max_interval": "0.05s"},
    }


def _nothing_to_serve(route: ServiceRoute) -> Document:
    problem = {
        "title": "No version to serve",
        "status": 503,
        "detail": f"{route.service} has no version in {route.environment}; release one.",
        "service": route.service,
        "environment": str(route.environment),
    }
    return {
        "direct_response": {"status": 503, "body": {"inline_string": json.dumps(problem)}},
        "response_headers_to_add": [_set_header("content-type", "application/problem+json")],
    }


def _set_header(name: str, value: str) -> Document:
    return {"header": {"key": name, "value": value.replace("%", "%%")}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def cluster(key: VersionKey, endpoints: Iterable[Endpoint], *, health_path: str) -> tuple[str, Document]:
    """One version's cluster and its name: the endpoints that take requests, active health checks, no limits of its own.

    At most half of a fleet is ejected for failing and a lone instance never, so a version that only fails keeps failing visibly. With
    no healthy instance at all, requests are still tried: a false alarm of the health check must not become an outage.
    """
    stat = stat_name(*key)
    serving = sorted({(e.host, e.port) for e in endpoints if not e.draining and e.host and 0 < e.port < 65536})
    addresses = [{"endpoint": {"address": {"socket_address": {"address": host, "port_value": port}}}} for host, port in serving]
    limits = {"max_connections": _ENORMOUS, "max_pending_requests": _ENORMOUS, "max_requests": _ENORMOUS, "max_retries": 1000}
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


def listener_text(folder: Path, *, host: str, port: int) -> str:
    """``lds.json``: one plain HTTP listener whose routes come from ``rds.json``."""
    manager = {
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


def _seconds(value: float) -> str:
    """A protobuf duration of at least 1 ms: zero would mean no limit."""
    return f"{max(value, 0.001):.3f}s"


def _response(resources: str) -> tuple[str, str]:
    version = _digest(resources)[:16]
    return f'{{"resources":[{resources}],"version_info":"{version}"}}', version


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def encode(document: Document) -> str:
    """JSON with sorted keys and nothing but ASCII: equal documents are equal texts."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"))
