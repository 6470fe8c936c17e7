"""What a remote Envoy is started with, and its listener. Pure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from productops.adapters.envoy import config
from productops.errors import SettingsError

XDS_CLUSTER = "productops_xds"
ADMIN_CLUSTER = "productops_admin"
HOLD_S = 4.0
"""How long the API keeps a question open while nothing changes."""
_TYPE = "type.googleapis.com/"
_REFRESH_S = 0.1
_ADMIN_PATHS = ("/stats", "/clusters", "/ready", "/server_info")
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_MUTATION = f"{_TYPE}envoy.extensions.filters.http.header_mutation.v3.HeaderMutation"
_CODEC = f"{_TYPE}envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec"
_MANAGER = f"{_TYPE}envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ROUTER = f"{_TYPE}envoy.extensions.filters.http.router.v3.Router"
_TLS = f"{_TYPE}envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"

Document = dict[str, Any]


def rest_source() -> Document:
    """A source that is asked over REST. The request may be kept open for HOLD_S, so it must not time out before."""
    api = {
        "api_type": "REST",
        "transport_api_version": "V3",
        "cluster_names": [XDS_CLUSTER],
        "refresh_delay": f"{_REFRESH_S:g}s",
        "request_timeout": f"{HOLD_S + 5:g}s",
    }
    return {"api_config_source": api, "resource_api_version": "V3", "initial_fetch_timeout": "0s"}


def listener(*, host: str, port: int) -> str:
    """The resources of listeners with their version: the embedded router's own listener, whose routes come over REST."""
    document = json.loads(config.listener_text(Path("/"), host=host, port=port))
    manager = document["resources"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    manager["rds"]["config_source"] = rest_source()
    return config.encode(document)


def bootstrap(
    *, node: str, api_url: str, xds_token: str, stats_token: str, stats_port: int, stats_host: str = "0.0.0.0",  # noqa: S104 - others read it
    admin_port: int = 9901, ca_file: str = "/etc/ssl/certs/ca-certificates.crt",
) -> str:  # fmt: skip
    """The file a remote Envoy is started with (``envoy -c``). It holds both tokens: readable by its user only.

    The admin port stays on loopback; a second listener passes on questions for counters that carry ``stats_token``, and no others.
    Raises: SettingsError for a URL that is not usable.
    """
    place = urlsplit(api_url)
    if place.scheme not in {"http", "https"} or not place.hostname:
        raise SettingsError(f"the API's URL {api_url!r} is not usable: write http:// or https:// and a host")
    tls = place.scheme == "https"
    twins = [{"contains": f".{part}."} for part in ("external", "internal", "circuit_breakers")]
    document = {
        "node": {"id": node, "cluster": "productops"},
        "admin": {"address": _address("127.0.0.1", admin_port)},
        "dynamic_resources": {"lds_config": rest_source(), "cds_config": rest_source()},
        "static_resources": {
            "clusters": [
                _xds_cluster(place.hostname, place.port or (443 if tls else 80), xds_token, ca_file, tls=tls),
                _cluster(ADMIN_CLUSTER, "127.0.0.1", admin_port),
            ],
            "listeners": [_stats_listener(stats_host, stats_port, stats_token)],
        },
        "stats_flush_on_admin": True,
        "stats_config": {"stats_matcher": {"exclusion_list": {"patterns": twins}}},
    }  # fmt: skip
    return json.dumps(document, indent=1)


def _address(host: str, port: int) -> Document:
    return {"socket_address": {"address": host, "port_value": port}}


def _cluster(name: str, host: str, port: int) -> Document:
    endpoint = {"endpoint": {"address": _address(host, port)}}
    return {
        "name": name, "type": "STRICT_DNS", "connect_timeout": "2s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }  # fmt: skip


def _xds_cluster(host: str, port: int, token: str, ca_file: str, *, tls: bool) -> Document:
    """Envoy cannot send a header of its own with REST xDS; a filter of this cluster adds it to each request."""
    append = {"header": {"key": "authorization", "value": f"Bearer {token}"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
    filters = [
        {"name": "token", "typed_config": {"@type": _MUTATION, "mutations": {"request_mutations": [{"append": append}]}}},
        {"name": "codec", "typed_config": {"@type": _CODEC}},
    ]
    options = {"@type": f"{_TYPE}{_HTTP_OPTIONS}", "explicit_http_config": {"http_protocol_options": {}}, "http_filters": filters}
    cluster = {**_cluster(XDS_CLUSTER, host, port), "typed_extension_protocol_options": {_HTTP_OPTIONS: options}}
    if tls:
        validation = {
            "trusted_ca": {"filename": ca_file},
            "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": host}}],
        }
        context = {"@type": _TLS, "sni": host, "common_tls_context": {"validation_context": validation}}
        cluster["transport_socket"] = {"name": "tls", "typed_config": context}
    return cluster


def _stats_listener(host: str, port: int, token: str) -> Document:
    carries = [{"name": "authorization", "string_match": {"exact": f"Bearer {token}"}}]
    reading = [*carries, {"name": ":method", "string_match": {"exact": "GET"}}]
    rules: list[Document] = [
        {"match": {"prefix": path, "headers": reading}, "route": {"cluster": ADMIN_CLUSTER, "timeout": "5s"}} for path in _ADMIN_PATHS
    ]
    rules.append({"match": {"prefix": "/"}, "direct_response": {"status": 401}})
    manager = {
        "@type": _MANAGER, "stat_prefix": "stats", "normalize_path": True,
        "route_config": {"name": "stats", "virtual_hosts": [{"name": "stats", "domains": ["*"], "routes": rules}]},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": _ROUTER}}],
    }  # fmt: skip
    return {"name": "stats", "address": _address(host, port), "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}]}
