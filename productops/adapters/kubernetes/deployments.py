"""Versions as Deployments with a Service each."""

from __future__ import annotations

from dataclasses import dataclass

from productops.adapters.kubernetes import manifests
from productops.adapters.kubernetes.client import Document, KubernetesClient
from productops.domain.catalog import ImageVersions, Service
from productops.domain.release import Environment
from productops.domain.versions import check_version
from productops.errors import CandidateUnhealthyError, DependencyError, UnsupportedError

_APPS = "/apis/apps/v1/namespaces/{namespace}/deployments"
_CORE = "/api/v1/namespaces/{namespace}/services"


@dataclass(frozen=True, slots=True)
class DeploymentState:
    """Pods of a version: wanted, ready, and why it cannot get there (empty while it may)."""

    desired: int
    ready: int
    failure: str = ""

    @property
    def complete(self) -> bool:
        """Whether all wanted pods serve."""
        return self.ready >= self.desired


class KubernetesDeployments:
    """Keeps the pods of versions in the client's namespace. ``port`` is what a container listens on (its ``PORT``)."""

    def __init__(self, client: KubernetesClient, *, port: int = 8080, force: bool = False) -> None:
        self._client, self._port, self._force = client, port, force
        self._apps = _APPS.format(namespace=client.namespace)
        self._core = _CORE.format(namespace=client.namespace)

    def scale(self, service: Service, environment: Environment, version: str, replicas: int) -> None:
        """Want so many pods of a version; its Service is made first. Raises: UnsupportedError, ConflictError, DependencyError."""
        versions = service.spec.run.versions
        if not isinstance(versions, ImageVersions):
            raise UnsupportedError(f"{service.name} has no container images: declare run.versions with kind image")
        run, name = service.spec.run, manifests.object_name(service.name, check_version(version))
        values = {"{port}": str(self._port), "{version}": version, "{python}": "python3"}
        wanted = manifests.deployment(
            service.name, environment, version, image=versions.image.replace("{version}", version), replicas=replicas, port=self._port,
            health_path=run.health.path, command=tuple(_fill(part, values) for part in run.command),
            env={key: _fill(value, values) for key, value in run.env.items()}, deadline_s=max(1, round(run.health.timeout_s)),
        )  # fmt: skip
        self._client.apply(
            f"{self._core}/{name}", manifests.service(service.name, environment, version, port=self._port), force=self._force
        )
        self._client.apply(f"{self._apps}/{name}", wanted, force=self._force)

    def state(self, service: str, version: str) -> DeploymentState | None:
        """The pods of a version, or ``None`` when it is not deployed. Raises: DependencyError."""
        found = self._client.get(f"{self._apps}/{manifests.object_name(service, version)}")
        return None if found is None else state_of(found)

    def wait_ready(self, service: str, version: str, *, within_s: float) -> DeploymentState:
        """Until all wanted pods serve. Raises: CandidateUnhealthyError when Kubernetes gives up or the time is over, NotFoundError."""
        name = manifests.object_name(service, version)
        try:
            found = self._client.wait_for(self._apps, name, lambda d: state_of(d).complete or bool(state_of(d).failure), within_s=within_s)
        except DependencyError as error:
            raise CandidateUnhealthyError(f"the pods of {service} {version} are not ready after {within_s:g} s: {error}") from error
        state = state_of(found)
        if state.failure:
            raise CandidateUnhealthyError(f"the pods of {service} {version} do not get ready: {state.failure}")
        return state

    def remove(self, service: str, version: str) -> bool:
        """Take a version away, its pods with it; whether there was one. Raises: DependencyError."""
        name = manifests.object_name(service, version)
        gone = self._client.delete(f"{self._apps}/{name}")
        self._client.delete(f"{self._core}/{name}")
        return gone


def _fill(text: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(name, value)
    return text


def state_of(deployment: Document) -> DeploymentState:
    """Counts only what Kubernetes reports of the newest specification."""
    status, generation = deployment.get("status") or {}, int(deployment["metadata"].get("generation", 0))
    desired = int(deployment["spec"].get("replicas", 1))
    if int(status.get("observedGeneration", 0)) < generation:
        return DeploymentState(desired, 0 if desired else -1)
    failure = ""
    for condition in status.get("conditions") or ():
        stuck = condition["type"] == "Progressing" and condition.get("reason") == "ProgressDeadlineExceeded"
        if stuck or (condition["type"] == "ReplicaFailure" and condition.get("status") == "True"):
            failure = str(condition.get("message") or condition.get("reason"))
    ready = min(int(status.get("updatedReplicas", 0)), int(status.get("readyReplicas", 0)))
    return DeploymentState(desired, ready, failure)
