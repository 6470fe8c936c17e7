"""Kubernetes: versions as Deployments, traffic by the weights of a Gateway API HTTPRoute, and the hand-over to Argo Rollouts."""

from productops.adapters.kubernetes.access import Access, in_cluster, kubeconfig
from productops.adapters.kubernetes.client import KubernetesClient
from productops.adapters.kubernetes.deployments import DeploymentState, KubernetesDeployments
from productops.adapters.kubernetes.rollouts import ArgoRollout, RolloutState
from productops.adapters.kubernetes.router import CAPABILITIES, KubernetesRouter

__all__ = [
    "CAPABILITIES", "Access", "ArgoRollout", "DeploymentState", "KubernetesClient", "KubernetesDeployments", "KubernetesRouter",
    "RolloutState", "in_cluster", "kubeconfig",
]  # fmt: skip
