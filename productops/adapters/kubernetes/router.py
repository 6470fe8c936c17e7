"""The ``Router`` port on the Gateway API: one HTTPRoute per service, confirmed by the gateway's own conditions."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from productops.adapters.kubernetes import manifests
from productops.adapters.kubernetes.client import Document, KubernetesClient
from productops.adapters.router_term import RouterTerm
from productops.domain.capabilities import LatencyDetail, RouterCapabilities
from productops.domain.routing import RouterReading, ServiceRoute, VersionKey
from productops.errors import ConflictError, DependencyError, NotFoundError, RouterError

CAPABILITIES = RouterCapabilities(
    "Kubernetes Gateway", LatencyDetail.NONE, counters=False, weight_step_pct=1.0, sticky=False, without_baseline=False
)
"""The Gateway API sets whole percents and no more: it counts nothing, and its session persistence is experimental."""


class KubernetesRouter:
    """Writes HTTPRoutes of the client's namespace, attached to ``gateway``. ``confirm_s``: longest wait for the gateway to accept one.

    ``folder`` keeps the agent's term. With ``force`` fields that another manager has are taken over; without it that is an error.
    """

    capabilities = CAPABILITIES

    def __init__(
        self, client: KubernetesClient, *, gateway: str, folder: Path, gateway_namespace: str = "", section: str = "",
        confirm_s: float = 10.0, force: bool = False,
    ) -> None:  # fmt: skip
        self._client, self._gateway, self._gateway_namespace, self._section = client, gateway, gateway_namespace, section
        self._confirm_s, self._force = confirm_s, force
        self._term = RouterTerm(folder)
        self._lock = threading.Lock()
        self._confirmed: dict[str, Document] = {}

    def claim(self, term: int) -> None:
        """Write as the agent of ``term`` from now on. Raises: RouterError when a later one has the router."""
        self._term.claim(term)

    def latest_term(self) -> int:
        """The last term that claimed the router on this machine; 0 when none has."""
        return self._term.latest()

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def ready(self) -> bool:
        """Whether the API server answers and has the gateway. Never raises."""
        namespace = self._gateway_namespace or self._client.namespace
        try:
            path = f"/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/gateways/{self._gateway}"
            return self._client.get(path) is not None
        except DependencyError:
            return False

    def apply(self, routes: Sequence[ServiceRoute]) -> None:
        """Set every route that changed and return when the gateway has accepted each. Routes of other services are left alone.

        Raises: RouterError naming each service whose route was not set: a conflict, a refusal, no confirmation in time, or something
        the Gateway API cannot do. The others are switched.
        """
        problems: list[str] = []
        with self._lock, self._term.held():
            for route in routes:
                try:
                    self._put(route)
                except (DependencyError, ConflictError, NotFoundError) as error:
                    problems.append(f"{route.service} in {route.environment}: {error}")
        if problems:
            raise RouterError("; ".join(problems))

    def requests_in_flight(self) -> Mapping[tuple[VersionKey, int], int]:
        """Nothing: pods finish their own requests within their grace period. Kept by the port."""
        return {}

    def read(self) -> RouterReading:
        """Raises: RouterError, for the Gateway API has no counters: put a metric source in front (``MeteredRouter``)."""
        raise RouterError("the Gateway API counts no requests; name a metric source with traffic queries for this router")

    def _put(self, route: ServiceRoute) -> None:
        if route.segments or route.mirror is not None:
            raise RouterError("segments and mirrored requests are not supported on the Gateway API; the route stays as it is")
        wanted = manifests.http_route(
            route, gateway=self._gateway, gateway_namespace=self._gateway_namespace, section=self._section
        )  # fmt: skip
        name = wanted["metadata"]["name"]
        if self._confirmed.get(name) == wanted:
            return
        self._confirmed.pop(name, None)
        collection = f"/apis/gateway.networking.k8s.io/v1/namespaces/{self._client.namespace}/httproutes"
        put = self._client.apply(f"{collection}/{name}", wanted, force=self._force)
        generation = int(put["metadata"]["generation"])
        try:
            found = self._client.wait_for(collection, name, lambda r: settled(r, generation) is not None, within_s=self._confirm_s)
        except DependencyError as error:
            raise RouterError(f"the gateway {self._gateway} did not confirm the route {name} within {self._confirm_s:g} s") from error
        if refusal := settled(found, generation):
            raise RouterError(f"the gateway {self._gateway} does not accept the route {name}: {refusal}")
        self._confirmed[name] = wanted


def settled(route: Document, generation: int) -> str | None:
    """What the gateway says of this generation of a route: empty when it serves it, the reason when it does not, ``None`` while silent.

    Every parent must have seen the generation. Source: Gateway API, RouteConditionType Accepted and ResolvedRefs.
    """
    parents = (route.get("status") or {}).get("parents") or []
    if not parents or int(route["metadata"].get("generation", 0)) < generation:
        return None
    for parent in parents:
        conditions = {c["type"]: c for c in parent.get("conditions") or ()}
        for kind in ("Accepted", "ResolvedRefs"):
            condition = conditions.get(kind)
            if condition is None or int(condition.get("observedGeneration", 0)) < generation:
                return None
            if condition.get("status") != "True":
                return f"{kind} is {condition.get('status')}: {condition.get('reason')} {condition.get('message', '')}".strip()
    return ""
