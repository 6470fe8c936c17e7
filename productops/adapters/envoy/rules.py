"""Where a service's requests go: Envoy's rules for weights, test headers, segments of users, and copies for a shadow. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from productops.domain.routing import MirrorRule, SegmentRule, ServiceRoute
from productops.domain.traffic import COMPARE_HEADER, SHADOW_HEADER, TEST_HEADER

VERSION_HEADER = "x-productops-version"
STICKY_COOKIE = "po-uid"
STICKY_S = 86_400
SHADOW = "#shadow"
"""The candidate's cluster for copies of requests, beside the versions' names."""
COMPARE = "#compare"
"""The comparator's cluster."""
MIRRORED = "mirrored"
"""Name under which the router counts users' requests of the kinds that are copied."""

Document = dict[str, Any]

_PREVIOUS_HOSTS = "envoy.retry_host_predicates.previous_hosts"
_PREVIOUS_HOSTS_TYPE = "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"


def rules(route: ServiceRoute, clusters: Mapping[str, str]) -> list[Document]:
    """Rules in order, the first that matches decides. ``clusters`` names the cluster of each version, of ``SHADOW`` and ``COMPARE``."""
    baseline, candidate = route.baseline_version, route.candidate_version
    if candidate is not None and baseline is not None and route.mirror is not None:
        return [_mirrored(route, clusters, route.mirror), _plain(route, clusters, baseline)]
    if candidate is None or not (route.candidate_pct > 0 or route.header_only or route.segments):
        return [_plain(route, clusters, baseline)]
    made = [_plain(route, clusters, candidate, header="always"), _plain(route, clusters, baseline, header="never")]
    for segment in route.segments:
        made += _share(route, clusters, max(segment.pct, route.candidate_pct), _match_of(segment))
    return [*made, *_share(route, clusters, route.candidate_pct, {})]


def _share(route: ServiceRoute, clusters: Mapping[str, str], pct: int, match: Document) -> list[Document]:
    """``pct`` percent of the matching requests to the candidate."""
    if pct <= 0:
        return [_plain(route, clusters, route.baseline_version, match=match)]
    if route.baseline_version is None:
        share = {"default_value": {"numerator": min(pct, 100), "denominator": "HUNDRED"}}
        return [
            _plain(route, clusters, route.candidate_version, match={**match, "runtime_fraction": share}),
            _plain(route, clusters, None, match=match),
        ]
    if not route.sticky:
        return [_weighted(route, clusters, pct, match, None)]
    return _sticky(route, clusters, pct, match)


def _match_of(segment: SegmentRule) -> Document:
    """What a segment's requests carry."""
    wanted: Document = {"present_match": True}
    if segment.values:
        wanted = {"string_match": {"safe_regex": {"regex": "|".join(re.escape(value) for value in segment.values)}}}
    if segment.header:
        return {"headers": [{"name": segment.header, **wanted}]}
    if not segment.values:
        wanted = {"string_match": {"safe_regex": {"regex": ".*"}}}
    return {"cookies": [{"name": segment.cookie, **wanted}]}


def _mirrored(route: ServiceRoute, clusters: Mapping[str, str], mirror: MirrorRule) -> Document:
    """Users' requests of the kinds that may be done twice: to the baseline as ever, and copies of some to the shadow."""
    rule = _plain(route, clusters, route.baseline_version)
    rule["match"]["headers"] = [{"name": ":method", "string_match": {"safe_regex": {"regex": "|".join(mirror.methods)}}}]
    rule["stat_prefix"] = MIRRORED
    policies = [_copies(clusters[SHADOW], mirror.pct, {SHADOW_HEADER: "1"})]
    if mirror.compare_pct > 0 and COMPARE in clusters:
        policies.append(_copies(clusters[COMPARE], mirror.compare_pct, {COMPARE_HEADER: f"{route.service}|{route.environment}"}))
    rule["route"]["request_mirror_policies"] = policies
    return rule


def _copies(cluster: str, pct: float, headers: Mapping[str, str]) -> Document:
    return {
        "cluster": cluster,
        "runtime_fraction": {"default_value": {"numerator": round(min(pct, 100.0) * 10_000), "denominator": "MILLION"}},
        "disable_shadow_host_suffix_append": True,
        "request_headers_mutations": [{"append": _set_header(name, value)} for name, value in headers.items()],
    }


def _sticky(route: ServiceRoute, clusters: Mapping[str, str], pct: int, match: Document) -> list[Document]:
    """Envoy issues no cookie for weighted clusters: the first answer carries the request id as cookie, later requests are split by it.

    Both rules hash the same text, so a user's first request already goes where the user will stay. Baseline before candidate: a rising
    candidate weight takes more from the top of the hash range and loses nobody it had.
    """
    known = {"name": STICKY_COOKIE, "string_match": {"safe_regex": {"regex": ".+"}}}
    come_back = {**match, "cookies": [*match.get("cookies", ()), known]}
    returning = _weighted(route, clusters, pct, come_back, {"cookie": {"name": STICKY_COOKIE}})
    first = _weighted(route, clusters, pct, match, {"header": {"header_name": "x-request-id"}})
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
        rule["match"]["headers"] = [*rule["match"].get("headers", ()), {"name": TEST_HEADER, "string_match": {"exact": header}}]
    if version is None:
        return {**rule, **_nothing_to_serve(route)}
    action = {"cluster": clusters[version], "timeout": _seconds(route.timeout_s)}
    return {**rule, "route": action, "response_headers_to_add": [_set_header(VERSION_HEADER, version)]}


def _weighted(route: ServiceRoute, clusters: Mapping[str, str], pct: int, match: Document, hash_policy: Document | None) -> Document:
    candidate_pct = min(pct, 100)
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
    return {"match": {"prefix": "/", **match}, "route": action}


def retries() -> Document:
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


def _seconds(value: float) -> str:
    """A protobuf duration of at least 1 ms: zero would mean no limit."""
    return f"{max(value, 0.001):.3f}s"
