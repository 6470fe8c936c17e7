"""The file ``PRODUCTOPS_CONNECTIONS``: which router, which target and which metric sources this installation has.

It holds no secrets: a field ending in ``_env`` names the environment variable that has one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from productops.adapters.governance_changes import ChangeSystemConnection
from productops.domain.capabilities import ENVOY, LatencyDetail, RouterCapabilities
from productops.errors import SettingsError
from productops.ports import FencedRouter, InstanceTarget, MetricSource
from productops.settings import Settings

_Port = Annotated[int, Field(ge=1, le=65535)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EnvoyConnection(_Strict):
    """The embedded router; what is used when the file names none."""

    kind: Literal["envoy"] = "envoy"


class HAProxyConnection(_Strict):
    """A HAProxy in master-worker mode on this machine."""

    kind: Literal["haproxy"]
    folder: Path | None = Field(default=None, description="Configuration, maps and sockets; default: haproxy in the home folder.")
    host: str = Field(default="127.0.0.1", description="Address that takes users' requests, on the router's port.")
    threads: int = Field(default=1, ge=1, le=64)
    binary: Path | None = Field(default=None, description="The program; default: where Debian and others put it.")


class NodeConnection(_Strict):
    """A remote Envoy."""

    id: str = Field(description="Its node.id.")
    host: str = Field(description="Where its listener for counters is reached.")
    stats_port: _Port = 9902


class RemoteEnvoyConnection(_Strict):
    """Envoys on other machines, which fetch their configuration from our API."""

    kind: Literal["remote-envoy"]
    nodes: tuple[NodeConnection, ...] = Field(min_length=1)
    stats_token_env: str = Field(default="PRODUCTOPS_STATS_TOKEN", description="Variable with the token of their listeners for counters.")
    host: str = Field(default="0.0.0.0", description="Address on which they take users' requests.")  # noqa: S104 - they serve users
    port: _Port = Field(default=8080, description="Port on which they take users' requests.")
    advertise: str = Field(default="", description="This machine's address as they reach it; told instead of loopback.")
    confirm_s: float = Field(default=5.0, gt=0, le=120, description="Longest wait until all of them serve a change.")


class ProcessTarget(_Strict):
    """Instances are processes on this machine; what is used when the file names none."""

    kind: Literal["process"] = "process"


class PodmanConnection(_Strict):
    """Instances are containers of Podman or Docker on this machine."""

    kind: Literal["podman"]
    socket: Path | None = Field(default=None, description="The engine's socket; default: Podman's of the system, else Docker's.")
    network: str = Field(default="host", description="'host', or a network of the engine: ports are published on loopback then.")
    pull: bool = Field(default=True, description="Fetch images that are not here.")
    ulimits: dict[str, int] = Field(default_factory=dict, description="Limits of the containers, e.g. nofile: 1024.")


class Traffic(_Strict):
    """Questions for requests, failures and latencies of a version."""

    requests: str
    failures: str
    latency_buckets: str = ""
    bucket_ms: float = Field(default=1000.0, gt=0, description="Unit of the buckets in milliseconds: 1000 for seconds.")


class _Source(_Strict):
    name: str = Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", description="What the catalog calls it.")
    timeout_s: float = Field(default=3.0, gt=0, le=60)


class PrometheusConnection(_Source):
    """Prometheus, or what speaks its HTTP API."""

    kind: Literal["prometheus"]
    url: str
    token_env: str = Field(default="", description="Variable with a bearer token.")
    interval_s: int = Field(default=5, ge=1, le=3600, description="Length of the intervals asked for; not below the scrape interval.")
    lag_s: int = Field(default=5, ge=0, le=600, description="How long after its end an interval is complete.")
    plain_secret: bool = Field(default=False, description="Allow to send the token over http to another machine.")
    traffic: Traffic | None = None


class Counts(_Strict):
    """Questions for requests and failures of a version."""

    requests: str
    failures: str


class DatadogConnection(_Source):
    """Datadog."""

    kind: Literal["datadog"]
    url: str = Field(default="https://api.datadoghq.com", description="API of the site.")
    api_key_env: str = Field(default="DD_API_KEY", description="Variable with the API key.")
    application_key_env: str = Field(default="DD_APP_KEY", description="Variable with the application key.")
    interval_s: int = Field(default=10, ge=1, le=3600)
    lag_s: int = Field(default=30, ge=0, le=600)
    traffic: Counts | None = None


class NewRelicConnection(_Source):
    """New Relic."""

    kind: Literal["newrelic"]
    url: str = Field(default="https://api.newrelic.com/graphql", description="NerdGraph of the region.")
    account: int = Field(ge=1, description="Account whose data is asked for.")
    api_key_env: str = Field(default="NEW_RELIC_API_KEY", description="Variable with a user key.")
    interval_s: int = Field(default=10, ge=1, le=3600)
    lag_s: int = Field(default=60, ge=0, le=600)
    traffic: Counts | None = None


class KubernetesConnection(_Strict):
    """HTTPRoutes of a Kubernetes cluster."""

    kind: Literal["kubernetes"]
    gateway: str = Field(description="Name of the Gateway the routes are attached to.")
    gateway_namespace: str = Field(default="", description="Its namespace, when it is another.")
    section: str = Field(default="", description="Listener of the gateway; default: all.")
    kubeconfig: Path | None = Field(default=None, description="Default: the service account of the pod.")
    context: str = Field(default="", description="Context of the kubeconfig; default: the current one.")
    force: bool = Field(default=False, description="Take over fields that another manager has.")
    metrics: str = Field(default="", description="Metric source with traffic queries that counts the versions' requests.")


class Balanced(_Strict):
    """One service behind a load balancer."""

    service: str
    environment: str = "production"
    target_group: str = Field(default="{service}-{version}", description="Name of a version's target group; dots become hyphens.")
    rule_arn: str = ""
    listener_arn: str = ""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if bool(self.rule_arn) == bool(self.listener_arn):
            raise ValueError(f"{self.service} needs either rule_arn or listener_arn")
        return self


class AlbConnection(_Strict):
    """Target groups of an AWS Application Load Balancer."""

    kind: Literal["aws-alb"]
    services: tuple[Balanced, ...] = Field(min_length=1)
    region: str = ""
    profile: str = ""
    metrics: str = Field(default="", description="As for kubernetes.")


class Aliased(_Strict):
    """One service as a Lambda function."""

    service: str
    environment: str = "production"
    function: str
    alias: str = "live"


class LambdaConnection(_Strict):
    """Versions of AWS Lambda functions behind an alias."""

    kind: Literal["aws-lambda"]
    services: tuple[Aliased, ...] = Field(min_length=1)
    region: str = ""
    profile: str = ""
    metrics: str = Field(default="", description="As for kubernetes.")


RouterConnection = Annotated[
    EnvoyConnection | HAProxyConnection | RemoteEnvoyConnection | KubernetesConnection | AlbConnection | LambdaConnection,
    Field(discriminator="kind"),
]
TargetConnection = Annotated[ProcessTarget | PodmanConnection, Field(discriminator="kind")]
SourceConnection = Annotated[PrometheusConnection | DatadogConnection | NewRelicConnection, Field(discriminator="kind")]


class Connections(_Strict):
    """The whole file."""

    router: RouterConnection = EnvoyConnection()
    target: TargetConnection = ProcessTarget()
    metric_sources: tuple[SourceConnection, ...] = ()
    change_system: ChangeSystemConnection | None = None

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        names = [source.name for source in self.metric_sources]
        if len(set(names)) < len(names):
            raise ValueError(f"metric sources need different names, got {names}")
        metrics = getattr(self.router, "metrics", "")
        counting = [source.name for source in self.metric_sources if source.traffic is not None]
        if metrics and metrics not in counting:
            raise ValueError(
                f"the router's metrics name {metrics!r}, which is no metric source with traffic queries: {counting or 'none has any'}"
            )
        return self


def load_connections(settings: Settings) -> Connections:
    """What the file says; the defaults when none is set. Raises: SettingsError naming file, place and reason."""
    path = settings.connections
    if path is None or not str(path).strip(". "):
        return Connections()
    try:
        plain = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"PRODUCTOPS_CONNECTIONS: {path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"PRODUCTOPS_CONNECTIONS: {path} is no YAML: {' '.join(str(error).split())[:300]}") from error
    try:
        return Connections.model_validate(plain or {})
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc'])) or 'the file'}: {e['msg'].removeprefix('Value error, ')}" for e in error.errors()]
        raise SettingsError(f"PRODUCTOPS_CONNECTIONS: {path}: {'; '.join(lines)}") from error


def secret(name: str, environment: Mapping[str, str] | None = None) -> str:
    """The value of an environment variable; empty for no name. Raises: SettingsError when it is named and not set."""
    if not name:
        return ""
    value = (os.environ if environment is None else environment).get(name, "").strip()
    if not value:
        raise SettingsError(f"the environment variable {name} is not set; PRODUCTOPS_CONNECTIONS names it for a secret")
    return value


def build_router(settings: Settings, connections: Connections) -> FencedRouter:
    """The router; only the agent has one. Raises: SettingsError, RouterError when its first files cannot be written."""
    builders: dict[type[BaseModel], Callable[[Settings, Any], FencedRouter]] = {
        EnvoyConnection: _envoy, HAProxyConnection: _haproxy, RemoteEnvoyConnection: _remote_envoy,
        KubernetesConnection: _kubernetes, AlbConnection: _alb, LambdaConnection: _lambda,
    }  # fmt: skip
    router = builders[type(connections.router)](settings, connections.router)
    metrics = getattr(connections.router, "metrics", "")
    if not metrics:
        return router
    from productops.adapters.metered import MeteredRouter

    return MeteredRouter(router, next(_source(s) for s in connections.metric_sources if s.name == metrics))


def _envoy(settings: Settings, _: EnvoyConnection) -> FencedRouter:
    from productops.adapters.envoy import EnvoyRouter

    return EnvoyRouter(settings.home / "router", port=settings.router_port, admin_port=settings.router_admin_port)


def _haproxy(settings: Settings, chosen: HAProxyConnection) -> FencedRouter:
    from productops.adapters.haproxy import HAProxyRouter

    folder = chosen.folder or settings.home / "haproxy"
    router = HAProxyRouter(folder, port=settings.router_port, host=chosen.host, threads=chosen.threads, binary=chosen.binary)
    router.write_configuration()
    return router


def _remote_envoy(settings: Settings, chosen: RemoteEnvoyConnection) -> FencedRouter:
    from productops.adapters.envoy_remote import RemoteEnvoyRouter, RemoteNode

    router = RemoteEnvoyRouter(
        settings.home / "xds", nodes=[RemoteNode(n.id, n.host, n.stats_port) for n in chosen.nodes],
        stats_token=secret(chosen.stats_token_env), port=chosen.port, host=chosen.host, advertise=chosen.advertise,
        confirm_s=chosen.confirm_s,
    )  # fmt: skip
    router.write_bootstrap()
    return router


def _kubernetes(settings: Settings, chosen: KubernetesConnection) -> FencedRouter:
    from productops.adapters import kubernetes

    access = kubernetes.kubeconfig(chosen.kubeconfig, context=chosen.context) if chosen.kubeconfig else kubernetes.in_cluster()
    return kubernetes.KubernetesRouter(
        kubernetes.KubernetesClient(access), gateway=chosen.gateway, folder=settings.home / "kubernetes",
        gateway_namespace=chosen.gateway_namespace, section=chosen.section, force=chosen.force,
    )  # fmt: skip


def _alb(settings: Settings, chosen: AlbConnection) -> FencedRouter:
    from productops.adapters.aws import AlbRouter, Forwarding, aws_client

    places = {(s.service, s.environment): Forwarding(s.target_group, s.rule_arn, s.listener_arn) for s in chosen.services}
    return AlbRouter(aws_client("elbv2", region=chosen.region, profile=chosen.profile), places, folder=settings.home / "aws")


def _lambda(settings: Settings, chosen: LambdaConnection) -> FencedRouter:
    from productops.adapters.aws import Alias, LambdaRouter, aws_client

    places = {(s.service, s.environment): Alias(s.function, s.alias) for s in chosen.services}
    return LambdaRouter(aws_client("lambda", region=chosen.region, profile=chosen.profile), places, folder=settings.home / "aws")


def router_capabilities(connections: Connections) -> RouterCapabilities:
    """What the chosen router can do; needs no router, so that the API may ask before a release starts."""
    from productops.adapters import aws, envoy_remote, haproxy, kubernetes

    known: dict[type[BaseModel], RouterCapabilities] = {
        EnvoyConnection: ENVOY, HAProxyConnection: haproxy.CAPABILITIES, RemoteEnvoyConnection: envoy_remote.CAPABILITIES,
        KubernetesConnection: kubernetes.CAPABILITIES, AlbConnection: aws.ALB_CAPABILITIES, LambdaConnection: aws.LAMBDA_CAPABILITIES,
    }  # fmt: skip
    able = known[type(connections.router)]
    source = next((s for s in connections.metric_sources if s.name == getattr(connections.router, "metrics", "")), None)
    if source is None:
        return able
    buckets = isinstance(source, PrometheusConnection) and source.traffic is not None and bool(source.traffic.latency_buckets)
    return replace(able, counters=True, latency=LatencyDetail.HISTOGRAM if buckets else able.latency)


def build_target(settings: Settings, connections: Connections) -> InstanceTarget:
    """Where instances run. Raises: SettingsError when there is no container engine."""
    chosen = connections.target
    if isinstance(chosen, PodmanConnection):
        from productops.adapters.podman import PodmanTarget, default_socket

        socket = chosen.socket or default_socket()
        return PodmanTarget(settings.home, socket=socket, network=chosen.network, pull=chosen.pull, ulimits=chosen.ulimits)
    from productops.adapters.local_process import LocalProcessTarget

    return LocalProcessTarget(settings.home)


def build_sources(connections: Connections) -> list[MetricSource]:
    """The metric sources. Raises: SettingsError for an unusable URL or a missing secret."""
    return [_source(source) for source in connections.metric_sources]


def _source(chosen: PrometheusConnection | DatadogConnection | NewRelicConnection) -> MetricSource:
    if isinstance(chosen, PrometheusConnection):
        from productops.adapters.prometheus import PrometheusSource, TrafficQueries

        queries = TrafficQueries(**chosen.traffic.model_dump()) if chosen.traffic else None
        return PrometheusSource(
            chosen.url, name=chosen.name, token=secret(chosen.token_env), interval_s=chosen.interval_s, lag_s=chosen.lag_s,
            timeout_s=chosen.timeout_s, traffic=queries, plain_secret=chosen.plain_secret,
        )  # fmt: skip
    from productops.adapters.interval_source import CountQueries

    counts = CountQueries(**chosen.traffic.model_dump()) if chosen.traffic else None
    common: dict[str, Any] = {
        "name": chosen.name, "interval_s": chosen.interval_s, "lag_s": chosen.lag_s, "timeout_s": chosen.timeout_s, "traffic": counts,
    }  # fmt: skip
    if isinstance(chosen, DatadogConnection):
        from productops.adapters.datadog import DatadogSource

        return DatadogSource(chosen.url, api_key=secret(chosen.api_key_env), application_key=secret(chosen.application_key_env), **common)
    from productops.adapters.newrelic import NewRelicSource

    return NewRelicSource(chosen.url, account=chosen.account, api_key=secret(chosen.api_key_env), **common)
