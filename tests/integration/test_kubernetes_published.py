"""What is sent to Kubernetes, beside the schemas and models that its projects publish."""

from __future__ import annotations

import ast
import copy
import json
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from productops.adapters.kubernetes import (
    KubernetesClient,
    KubernetesDeployments,
    manifests,
)
from tests.integration.kubernetes_support import Cluster
from tests.integration.test_kubernetes import client, cluster, route, shop
from tests.support import PRODUCTION

__all__ = ["client", "cluster"]

# ---- published schemas


def strict(schema: Any) -> Any:
    """The schema without fields it does not name: the API server drops those in silence, we want to hear of them."""
    if isinstance(schema, dict):
        made = {name: strict(value) for name, value in schema.items() if name not in {"$ref", "format"}}
        if "properties" in made and "additionalProperties" not in made:
            made["additionalProperties"] = False
        return made
    return [strict(value) for value in schema] if isinstance(schema, list) else schema


def published(folder: Path, package: str, member: str) -> Any:
    """The schema of a custom resource, from the npm package that carries it."""
    if shutil.which("npm") is None:
        pytest.skip("no npm here, which has the published schemas")
    done = subprocess.run(["npm", "pack", package, "--silent"], cwd=folder, capture_output=True, text=True, timeout=90, check=False)
    if done.returncode:
        pytest.skip(f"npm does not give {package}: {done.stderr[-200:]}")
    subprocess.run(["tar", "xzf", done.stdout.split()[-1]], cwd=folder, check=True)
    source = (folder / "package" / member).read_text()
    found = re.search(r"const schema = (\{.*?\n\});?\n", source, flags=re.DOTALL)
    assert found, source[:500]
    schema = json.loads(found[1])
    schema["properties"]["metadata"] = {"type": "object"}
    return strict(schema)


def test_our_routes_follow_the_gateway_api(tmp_path: Path) -> None:
    schema = published(tmp_path, "@kubernetes-models/gateway-api@0.5.1", "gateway.networking.k8s.io/v1/HTTPRoute.js")
    for made in (
        route(0),
        route(5),
        route(100),
        route(0, header_only=True),
        route(0, candidate=None),
        replace(route(0), baseline_version=None, candidate_version=None),
    ):
        jsonschema.validate(manifests.http_route(made, gateway="edge", gateway_namespace="infra", section="https"), schema)
    wrong = copy.deepcopy(manifests.http_route(route(5), gateway="edge"))
    wrong["spec"]["rules"][0]["backendRefs"][0]["weightt"] = 5
    with pytest.raises(jsonschema.ValidationError, match="weightt"):
        jsonschema.validate(wrong, schema)


def test_our_patches_follow_argo_rollouts(tmp_path: Path) -> None:
    schema = published(tmp_path, "@kubernetes-models/argo-rollouts@0.3.2", "argoproj.io/v1alpha1/Rollout.js")
    canary = schema["properties"]["spec"]["properties"]["strategy"]["properties"]["canary"]["properties"]
    jsonschema.validate([{"setWeight": 5}, {"pause": {}}], canary["steps"])
    assert schema["properties"]["spec"]["properties"]["paused"]["type"] == "boolean"
    status = schema["properties"]["status"]["properties"]
    assert {
        "promoteFull",
        "abort",
        "pauseConditions",
        "currentStepIndex",
        "observedGeneration",
        "stableRS",
        "currentPodHash",
    } <= status.keys()
    assert "weight" in json.dumps(status["canary"]["properties"]["weights"])


class CoreModels:
    """Kubernetes' own models from its Python package: field names and types of each kind."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check", "kubernetes==33.1.0"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=90, check=False)
        if done.returncode:
            pytest.skip(f"pip does not give the package kubernetes: {done.stderr[-200:]}")
        self._wheel = zipfile.ZipFile(next(folder.glob("kubernetes-*.whl")))

    def check(self, value: Any, kind: str, path: str = "") -> None:
        """Every field is one the kind has, and its value is of the right sort."""
        if kind.startswith("list["):
            for number, item in enumerate(value):
                self.check(item, kind[5:-1], f"{path}[{number}]")
        elif kind.startswith("dict("):
            assert isinstance(value, dict), path
        elif kind in {"str", "int", "bool"}:
            assert type(value).__name__ == kind, path
        elif kind != "object":
            types, names = self._model(kind)
            known = {json_name: types[name] for name, json_name in names.items()}
            for name, inner in value.items():
                assert name in known, f"{kind} has no field {name} ({path})"
                self.check(inner, known[name], f"{path}.{name}")

    def _model(self, kind: str) -> tuple[dict[str, str], dict[str, str]]:
        module = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", kind).lower()
        tree = ast.parse(self._wheel.read(f"kubernetes/client/models/{module}.py"))
        found = {
            node.targets[0].id: ast.literal_eval(node.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and node.targets[0].id in {"openapi_types", "attribute_map"}
        }
        return found["openapi_types"], found["attribute_map"]


def test_our_deployments_and_services_follow_kubernetes_own_models(tmp_path: Path, cluster: Cluster, client: KubernetesClient) -> None:
    models = CoreModels(tmp_path)
    KubernetesDeployments(client).scale(shop(), PRODUCTION, "1.1.0+b_2", 3)
    made = {d["kind"]: {k: v for k, v in d.items() if k != "status"} for d in cluster.objects.values()}
    for document in made.values():
        for added in ("resourceVersion", "generation"):
            document["metadata"].pop(added)
    models.check(made["Deployment"], "V1Deployment")
    models.check(made["Service"], "V1Service")
    made["Deployment"]["spec"]["replcias"] = 1
    with pytest.raises(AssertionError, match="no field replcias"):
        models.check(made["Deployment"], "V1Deployment")
