"""Kubernetes objects of a service: pure."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from productops.domain.release import Environment
from productops.domain.routing import ServiceRoute
from productops.domain.traffic import TEST_HEADER

GENERATION = "productops.io/generation"
VERSION_HEADER = "x-productops-version"
_LABEL_VALUE = re.compile(r"[^A-Za-z0-9_.-]")

Document = dict[str, Any]


def object_name(service: str, version: str) -> str:
    """A DNS label for a version of a service: readable, and different for every version."""
    plain = re.sub(r"[^a-z0-9]+", "-", f"{service}-{version}".lower()).strip("-")
    digest = hashlib.sha256(f"{service}/{version}".encode()).hexdigest()[:8]
    return f"{plain[:53].rstrip('-')}-{digest}"


def labels(service: str, environment: Environment, version: str) -> dict[str, str]:
    """What selects the pods of a version."""
    return {
        "app.kubernetes.io/name": service, "app.kubernetes.io/managed-by": "productops",
        "productops.io/environment": str(environment), "productops.io/version": _LABEL_VALUE.sub("_", version)[:63].strip("_.-"),
        "productops.io/instance": object_name(service, version),
    }  # fmt: skip


def deployment(
    service: str, environment: Environment, version: str, *, image: str, replicas: int, port: int, health_path: str,
    command: tuple[str, ...] = (), env: dict[str, str] | None = None, deadline_s: int = 120,
) -> Document:  # fmt: skip
    """The pods of one version. They stop getting requests before they are asked to end."""
    chosen = labels(service, environment, version)
    probe = {"httpGet": {"path": health_path, "port": port}, "periodSeconds": 1, "timeoutSeconds": 1}
    variables = {
        "PORT": str(port),
        "PRODUCTOPS_SERVICE": service,
        "PRODUCTOPS_ENVIRONMENT": str(environment),
        "PRODUCTOPS_VERSION": version,
    }
    container: Document = {
        "name": "app", "image": image, "ports": [{"containerPort": port, "name": "http"}], "readinessProbe": probe,
        "env": [{"name": name, "value": value} for name, value in {**(env or {}), **variables}.items()],
        # The endpoints of a pod that ends are withdrawn at the same moment: without a pause it would refuse the last requests.
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", "5"]}}},
    }  # fmt: skip
    if command:
        container["command"] = list(command)
    return {
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": object_name(service, version), "labels": chosen, "annotations": {"productops.io/version": version}},
        "spec": {
            "replicas": replicas, "progressDeadlineSeconds": deadline_s, "revisionHistoryLimit": 1,
            "selector": {"matchLabels": {"productops.io/instance": chosen["productops.io/instance"]}},
            "template": {"metadata": {"labels": chosen}, "spec": {"containers": [container], "terminationGracePeriodSeconds": 30}},
        },
    }  # fmt: skip


def service(name: str, environment: Environment, version: str, *, port: int) -> Document:
    """What an HTTPRoute sends a version's requests to."""
    chosen = labels(name, environment, version)
    return {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": object_name(name, version), "labels": chosen},
        "spec": {
            "selector": {"productops.io/instance": chosen["productops.io/instance"]},
            "ports": [{"name": "http", "port": 80, "targetPort": port, "protocol": "TCP"}],
        },
    }  # fmt: skip


def route_name(service_name: str, environment: Environment) -> str:
    """Name of a service's HTTPRoute."""
    return object_name(service_name, str(environment))


def http_route(route: ServiceRoute, *, gateway: str, gateway_namespace: str = "", section: str = "") -> Document:
    """Where a service's requests go. Weights are whole percents; without a version a rule without backends answers 500."""
    parent = {"name": gateway, "group": "gateway.networking.k8s.io", "kind": "Gateway"}
    parent |= {"namespace": gateway_namespace} if gateway_namespace else {}
    parent |= {"sectionName": section} if section else {}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {
            "name": route_name(route.service, route.environment),
            "labels": {"app.kubernetes.io/name": route.service, "app.kubernetes.io/managed-by": "productops"},
            "annotations": {GENERATION: str(route.generation)},
        },
        "spec": {"parentRefs": [parent], "hostnames": [host.partition(":")[0].lower() for host in route.hosts], "rules": _rules(route)},
    }  # fmt: skip


def _rules(route: ServiceRoute) -> list[Document]:
    baseline, candidate = route.baseline_version, route.candidate_version
    share = 0 if route.header_only else max(0, min(100, route.candidate_pct))
    if candidate is None or not (share or route.header_only):
        return [_rule(route, {baseline: 100})]
    always, never = ([{"headers": [{"type": "Exact", "name": TEST_HEADER, "value": value}]}] for value in ("always", "never"))
    split = {baseline: 100 - share, candidate: share} if share else {baseline: 100}
    return [_rule(route, {candidate: 100}, always), _rule(route, {baseline: 100}, never), _rule(route, split)]


def _rule(route: ServiceRoute, shares: dict[str | None, int], matches: list[Document] | None = None) -> Document:
    backends = [
        {"group": "", "kind": "Service", "name": object_name(route.service, version), "port": 80, "weight": weight}
        for version, weight in shares.items() if version is not None
    ]  # fmt: skip
    return {"matches": matches or [{"path": {"type": "PathPrefix", "value": "/"}}], "backendRefs": backends}
