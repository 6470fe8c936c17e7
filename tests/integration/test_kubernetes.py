"""The Kubernetes adapter against a server that speaks the API's paths."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from productops.adapters.kubernetes import (
    CAPABILITIES,
    Access,
    ArgoRollout,
    KubernetesClient,
    KubernetesDeployments,
    KubernetesRouter,
    in_cluster,
    kubeconfig,
    manifests,
)
from productops.domain.capabilities import RouterNeeds, refuse_unsupported
from productops.domain.catalog import Service
from productops.domain.routing import SegmentRule, ServiceRoute
from productops.errors import (
    CandidateUnhealthyError,
    ConflictError,
    DependencyError,
    NotFoundError,
    RouterError,
    SettingsError,
    UnsupportedError,
)
from tests.integration.kubernetes_support import Cluster, Document, running_cluster
from tests.support import PRODUCTION

ROUTES = "/apis/gateway.networking.k8s.io/v1/namespaces/shops/httproutes"
APPS = "/apis/apps/v1/namespaces/shops/deployments"
ROLLOUT = "/apis/argoproj.io/v1alpha1/namespaces/shops/rollouts/shop"
NAME = manifests.route_name("shop", PRODUCTION)


def accepting(cluster: Cluster, path: str, document: Document) -> None:
    """What a gateway's controller does: it says that it has seen this generation and serves it."""
    if "/httproutes/" in path:
        time.sleep(0.05)
        seen = document["metadata"]["generation"]
        conditions = [{"type": t, "status": "True", "reason": t, "observedGeneration": seen} for t in ("Accepted", "ResolvedRefs")]
        cluster.set_status(path, {"parents": [{"parentRef": {"name": "edge"}, "conditions": conditions}]})


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with running_cluster(Cluster(controller=accepting)) as running:
        yield running


@pytest.fixture
def client(cluster: Cluster) -> Iterator[KubernetesClient]:
    made = KubernetesClient(Access(cluster.url, "shops", None, lambda: cluster.token), timeout_s=5.0)
    yield made
    made.close()


@pytest.fixture
def router(client: KubernetesClient, tmp_path: Path) -> KubernetesRouter:
    return KubernetesRouter(client, gateway="edge", folder=tmp_path, confirm_s=3.0)


def route(pct: int, *, generation: int = 1, candidate: str | None = "1.1.0", header_only: bool = False) -> ServiceRoute:
    return ServiceRoute(
        service="shop", environment=PRODUCTION, hosts=("Shop.example.com:443",), generation=generation, baseline_version="1.0.0",
        candidate_version=candidate, candidate_pct=pct, header_only=header_only, sticky=False,
    )  # fmt: skip


def weights(cluster: Cluster) -> dict[str, int]:
    """Of the rule for everybody."""
    return {b["name"]: b["weight"] for b in cluster.objects[f"{ROUTES}/{NAME}"]["spec"]["rules"][-1]["backendRefs"]}


def test_a_weight_is_set_and_confirmed_by_the_gateway_itself(router: KubernetesRouter, cluster: Cluster) -> None:
    for generation, pct in enumerate((0, 5, 50, 100, 0), start=1):
        router.apply([route(pct, generation=generation)])
        expected = {manifests.object_name("shop", "1.0.0"): 100 - pct, manifests.object_name("shop", "1.1.0"): pct}
        assert weights(cluster) == (expected if pct else {manifests.object_name("shop", "1.0.0"): 100})
    assert cluster.objects[f"{ROUTES}/{NAME}"]["metadata"]["annotations"][manifests.GENERATION] == "5"
    assert cluster.objects[f"{ROUTES}/{NAME}"]["spec"]["hostnames"] == ["shop.example.com"]


def test_nothing_is_sent_when_nothing_changed(router: KubernetesRouter, cluster: Cluster) -> None:
    router.apply([route(5)])
    asked = len(cluster.asked)
    router.apply([route(5)])
    assert len(cluster.asked) == asked


def test_a_field_that_somebody_else_manages_is_not_overwritten(
    router: KubernetesRouter, cluster: Cluster, client: KubernetesClient, tmp_path: Path
) -> None:
    router.apply([route(5)])
    cluster.apply(f"{ROUTES}/{NAME}", {"spec": {"hostnames": ["other.example.com"]}}, "kubectl-edit", force=True)
    with pytest.raises(RouterError, match=r"hostnames.*kubectl-edit.*set force"):
        router.apply([route(50, generation=2)])
    assert weights(cluster)[manifests.object_name("shop", "1.1.0")] == 5
    KubernetesRouter(client, gateway="edge", folder=tmp_path, force=True).apply([route(50, generation=3)])
    assert weights(cluster)[manifests.object_name("shop", "1.1.0")] == 50


def test_fields_of_others_that_we_do_not_set_stay(router: KubernetesRouter, cluster: Cluster) -> None:
    router.apply([route(5)])
    cluster.apply(f"{ROUTES}/{NAME}", {"metadata": {"labels": {"team": "checkout"}}}, "helm", force=False)
    router.apply([route(10, generation=2)])
    assert cluster.objects[f"{ROUTES}/{NAME}"]["metadata"]["labels"]["team"] == "checkout"


def test_a_route_the_gateway_refuses_is_an_error_with_its_reason(router: KubernetesRouter, cluster: Cluster) -> None:
    def refusing(where: Cluster, path: str, document: Document) -> None:
        seen = document["metadata"]["generation"]
        conditions = [
            {"type": "Accepted", "status": "True", "reason": "Accepted", "observedGeneration": seen},
            {
                "type": "ResolvedRefs",
                "status": "False",
                "reason": "BackendNotFound",
                "message": "no such service",
                "observedGeneration": seen,
            },
        ]
        where.set_status(path, {"parents": [{"conditions": conditions}]})

    cluster.controller = refusing
    with pytest.raises(RouterError, match=r"does not accept .*BackendNotFound no such service"):
        router.apply([route(5)])


def test_a_gateway_that_says_nothing_confirms_nothing(cluster: Cluster, client: KubernetesClient, tmp_path: Path) -> None:
    cluster.controller = None
    silent = KubernetesRouter(client, gateway="edge", folder=tmp_path, confirm_s=0.5)
    with pytest.raises(RouterError, match=r"did not confirm .* within 0\.5 s"):
        silent.apply([route(5)])


def test_a_confirmation_of_an_older_generation_does_not_count(cluster: Cluster, client: KubernetesClient, tmp_path: Path) -> None:
    router = KubernetesRouter(client, gateway="edge", folder=tmp_path, confirm_s=0.6)
    router.apply([route(5)])
    cluster.controller = None
    with pytest.raises(RouterError, match="did not confirm"):
        router.apply([route(50, generation=2)])


def test_a_watch_that_is_too_old_begins_anew(cluster: Cluster, router: KubernetesRouter) -> None:
    def slow(where: Cluster, path: str, document: Document) -> None:
        where.expire()
        time.sleep(0.3)
        accepting(where, path, document)

    cluster.controller = slow
    router.apply([route(5)])
    assert [q for _, _, q in cluster.asked if q.get("watch")]


def test_one_service_that_fails_does_not_hold_up_the_others(router: KubernetesRouter, cluster: Cluster) -> None:
    odd = replace(route(5), service="odd", segments=(SegmentRule(pct=100, header="x-beta"),))
    with pytest.raises(RouterError, match="odd in production: segments"):
        router.apply([odd, route(5)])
    assert weights(cluster)[manifests.object_name("shop", "1.1.0")] == 5


def test_an_agent_of_an_earlier_term_writes_nothing(
    router: KubernetesRouter, client: KubernetesClient, cluster: Cluster, tmp_path: Path
) -> None:
    router.claim(1)
    KubernetesRouter(client, gateway="edge", folder=tmp_path).claim(2)
    with pytest.raises(RouterError, match="term 2"):
        router.apply([route(5)])
    assert cluster.objects == {}


def test_the_capabilities_say_what_the_gateway_api_cannot() -> None:
    with pytest.raises(UnsupportedError) as refused:
        refuse_unsupported(CAPABILITIES, RouterNeeds(weights_pct=(0.5,), sticky=True, latency_quantiles=True))
    told = " ".join(refused.value.extra["missing"])
    assert all(word in told for word in ("0.5 %", "sticky", "metric source", "p99"))


# ---- pods


def shop() -> Service:
    spec = {
        "run": {
            "command": ["serve", "--port", "{port}"], "env": {"GREETING": "{version}"},
            "versions": {"kind": "image", "image": "registry.example/shop:{version}"}, "health": {"timeout_s": 5},
        }
    }  # fmt: skip
    return Service.model_validate({"name": "shop", "venture": "apollo", "spec": spec, "base": "/", "revision": 1})


def test_pods_are_wanted_followed_until_ready_and_taken_away(cluster: Cluster, client: KubernetesClient) -> None:
    def kubelet(where: Cluster, path: str, document: Document) -> None:
        if "/deployments/" in path:
            for ready in range(document["spec"]["replicas"] + 1):
                time.sleep(0.05)
                seen = {"observedGeneration": document["metadata"]["generation"]}
                where.set_status(path, {**seen, "updatedReplicas": document["spec"]["replicas"], "readyReplicas": ready})

    cluster.controller = kubelet
    deployments = KubernetesDeployments(client)
    deployments.scale(shop(), PRODUCTION, "1.1.0+b_2", 3)
    state = deployments.wait_ready("shop", "1.1.0+b_2", within_s=5)
    assert (state.desired, state.ready, state.complete) == (3, 3, True)
    assert deployments.remove("shop", "1.1.0+b_2")
    assert deployments.state("shop", "1.1.0+b_2") is None
    assert not deployments.remove("shop", "1.1.0+b_2")
    assert cluster.objects == {}


def test_pods_that_never_get_ready_fail_with_kubernetes_own_reason(cluster: Cluster, client: KubernetesClient) -> None:
    def stuck(where: Cluster, path: str, document: Document) -> None:
        if "/deployments/" in path:
            condition = {
                "type": "Progressing",
                "status": "False",
                "reason": "ProgressDeadlineExceeded",
                "message": "ReplicaSet has timed out",
            }
            where.set_status(path, {"observedGeneration": 1, "conditions": [condition]})

    cluster.controller = stuck
    deployments = KubernetesDeployments(client)
    deployments.scale(shop(), PRODUCTION, "1.1.0", 2)
    with pytest.raises(CandidateUnhealthyError, match="ReplicaSet has timed out"):
        deployments.wait_ready("shop", "1.1.0", within_s=5)
    with pytest.raises(NotFoundError):
        deployments.wait_ready("shop", "9.9.9", within_s=1)


def test_versions_that_read_alike_get_different_names() -> None:
    names = {manifests.object_name("shop", v) for v in ("1.0.0", "1-0-0", "1.0.0+a", "1.0.0+A", "x" * 100)}
    assert len(names) == 5
    assert all(re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", name) for name in names)


# ---- Argo Rollouts


def rollout_of(steps: list[Document]) -> Document:
    return {
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "shop"},
        "spec": {"replicas": 4, "strategy": {"canary": {"steps": steps, "maxSurge": 1}}, "selector": {"matchLabels": {"app": "shop"}}},
        "status": {"currentPodHash": "new", "stableRS": "old", "phase": "Progressing"},
    }  # fmt: skip


def argo(where: Cluster, path: str, document: Document) -> None:
    """What the controller does with one weight and a pause."""
    time.sleep(0.05)
    weight = document["spec"]["strategy"]["canary"]["steps"][0]["setWeight"]
    paused = [{"reason": "CanaryPauseStep"}]
    where.set_status(
        path,
        {"observedGeneration": str(document["metadata"]["generation"]), "currentStepIndex": 1, "pauseConditions": paused, "phase": "Paused",
         "canary": {"weights": {"canary": {"weight": weight}}}},
    )  # fmt: skip


@pytest.fixture
def rollout(cluster: Cluster, client: KubernetesClient) -> ArgoRollout:
    cluster.controller = None
    cluster.put(ROLLOUT, rollout_of([{"setWeight": 10}, {"pause": {"duration": "1h"}}, {"setWeight": 60}]))
    cluster.controller = argo
    return ArgoRollout(client, "shop", confirm_s=2.0)


def test_a_rollout_is_given_weights_paused_and_other_settings_stay(rollout: ArgoRollout, cluster: Cluster) -> None:
    for pct in (5, 25, 5):
        state = rollout.set_weight(pct)
        assert (state.weight_pct, state.paused, state.aborted) == (pct, True, False)
    strategy = cluster.objects[ROLLOUT]["spec"]["strategy"]["canary"]
    assert strategy == {"steps": [{"setWeight": 5}, {"pause": {}}], "maxSurge": 1}
    rollout.pause()
    assert cluster.objects[ROLLOUT]["spec"]["paused"] is True


def test_a_promotion_skips_the_rest_and_an_abort_gives_everything_back(rollout: ArgoRollout, cluster: Cluster) -> None:
    rollout.set_weight(5)

    def after(patch: str, status: Document) -> Callable[[], bool]:
        def act() -> bool:
            if (cluster.objects[ROLLOUT].get("status") or {}).get(patch):
                cluster.set_status(ROLLOUT, status)
                return True
            return False

        return act

    import threading

    def controller(act: Callable[[], bool]) -> None:
        while not act():
            time.sleep(0.02)

    cluster.controller = None
    threading.Thread(target=controller, args=(after("promoteFull", {"stableRS": "new", "phase": "Healthy"}),), daemon=True).start()
    assert rollout.promote().stable
    cluster.set_status(ROLLOUT, {"currentPodHash": "newer", "promoteFull": False})
    back = {"canary": {"weights": {"canary": {"weight": 0}}}, "phase": "Degraded", "message": "RolloutAborted"}
    threading.Thread(target=controller, args=(after("abort", back),), daemon=True).start()
    state = rollout.abort()
    assert (state.aborted, state.weight_pct, state.phase) == (True, 0, "Degraded")
    with pytest.raises(ConflictError, match="aborted"):
        rollout.set_weight(10)


def test_a_controller_that_does_not_follow_is_an_error(cluster: Cluster, client: KubernetesClient, rollout: ArgoRollout) -> None:
    cluster.controller = None
    with pytest.raises(DependencyError, match=r"did not follow to weight 5 within 0\.4 s: Progressing"):
        ArgoRollout(client, "shop", confirm_s=0.4).set_weight(5)
    with pytest.raises(NotFoundError, match="no Rollout other"):
        ArgoRollout(client, "other").state()
    blue_green = rollout_of([])
    blue_green["spec"]["strategy"] = {"blueGreen": {}}
    cluster.put(ROLLOUT, blue_green)
    with pytest.raises(UnsupportedError, match="no canary strategy"):
        rollout.set_weight(5)


# ---- access


def test_a_kubeconfig_is_read_and_its_token_goes_with_every_question(cluster: Cluster, tmp_path: Path) -> None:
    path = tmp_path / "config"
    (tmp_path / "token").write_text("cluster-token\n")
    path.write_text(yaml.safe_dump(config(cluster.url, {"tokenFile": "token"})))
    access = kubeconfig(path)
    client = KubernetesClient(access)
    assert (client.namespace, client.get(f"{ROUTES}/nothing")) == ("shops", None)
    (tmp_path / "token").write_text("renewed and wrong")
    with pytest.raises(DependencyError, match="answered 401"):
        client.get(f"{ROUTES}/nothing")
    assert "token" not in repr(access)
    client.close()


def config(server: str, user: Document, **cluster: object) -> Document:
    return {
        "current-context": "here", "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "shops"}}],
        "clusters": [{"name": "c", "cluster": {"server": server, **cluster}}], "users": [{"name": "u", "user": user}],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (config("https://k", {"exec": {"command": "aws"}}), "'exec', which is not supported"),
        (config("https://k", {"username": "root", "password": "x"}), "'username', which is not supported"),
        (config("https://k", {"token": "t"}, **{"insecure-skip-tls-verify": True}), "certificate-authority"),
        (config("https://k", {"token": "t"}, **{"certificate-authority": "nowhere.crt"}), "cannot be read"),
        (config("https://k", {"token": "t"}, **{"certificate-authority-data": base64.b64encode(b"nonsense").decode()}), "not usable"),
        ({"current-context": "gone"}, "no entry 'gone' in contexts"),
        ([], "empty"),
    ],
)
def test_a_kubeconfig_that_cannot_work_is_refused_with_the_reason(document: Any, reason: str, tmp_path: Path) -> None:
    (tmp_path / "config").write_text(yaml.safe_dump(document))
    with pytest.raises(SettingsError, match=re.escape(reason)):
        kubeconfig(tmp_path / "config")


def test_a_token_is_not_sent_unencrypted_and_outside_a_pod_there_is_no_service_account(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="https"):
        KubernetesClient(Access("http://cluster.example", "shops", None, lambda: "t"))
    with pytest.raises(SettingsError, match="kubeconfig"):
        in_cluster(folder=tmp_path, environment={})
