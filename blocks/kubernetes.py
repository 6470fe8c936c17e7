"""A Kubernetes cluster: routes, pods and Rollouts of one namespace."""

from __future__ import annotations

import tempfile
from pathlib import Path

from prefect.blocks.core import Block
from pydantic import Field, SecretStr

from productops.adapters.kubernetes import ArgoRollout, KubernetesClient, KubernetesDeployments, KubernetesRouter, in_cluster, kubeconfig


class Kubernetes(Block):
    """How to reach a cluster. Without a kubeconfig: the service account of the pod that runs the flow."""

    _block_type_name = "ProductOps Kubernetes"
    _block_type_slug = "productops-kubernetes"
    _description = "Deployments, weights of Gateway API routes, and the hand-over to Argo Rollouts."

    kubeconfig: SecretStr | None = Field(default=None, description="Content of a kubeconfig with a token or a certificate.")
    context: str = Field(default="", description="Context of it; default: the current one.")
    gateway: str = Field(default="", description="Name of the Gateway that routes are attached to.")
    gateway_namespace: str = Field(default="", description="Its namespace, when it is another.")
    force: bool = Field(default=False, description="Take over fields that another manager has.")

    def client(self) -> KubernetesClient:
        """A client of the namespace. Raises: SettingsError."""
        if self.kubeconfig is None:
            return KubernetesClient(in_cluster())
        with tempfile.TemporaryDirectory(prefix="productops-") as folder:
            path = Path(folder) / "config"
            path.touch(mode=0o600)
            path.write_text(self.kubeconfig.get_secret_value(), encoding="utf-8")
            return KubernetesClient(kubeconfig(path, context=self.context))

    def build(self, folder: Path) -> KubernetesRouter:
        """The router; only the agent writes with it. Raises: SettingsError."""
        return KubernetesRouter(
            self.client(), gateway=self.gateway, folder=folder, gateway_namespace=self.gateway_namespace, force=self.force
        )  # fmt: skip

    def deployments(self, *, port: int = 8080) -> KubernetesDeployments:
        """The pods of versions. Raises: SettingsError."""
        return KubernetesDeployments(self.client(), port=port, force=self.force)

    def rollout(self, name: str) -> ArgoRollout:
        """A Rollout of Argo's. Raises: SettingsError."""
        return ArgoRollout(self.client(), name)
