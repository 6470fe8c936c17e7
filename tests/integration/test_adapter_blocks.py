"""The Prefect blocks of the adapters: they keep secrets secret and build what they say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prefect.blocks.core import Block

from blocks.aws import AwsLambda, AwsLoadBalancer
from blocks.datadog import Datadog
from blocks.envoy_remote import RemoteEnvoys
from blocks.github import GitHub
from blocks.gitlab import GitLab
from blocks.haproxy import HAProxy
from blocks.jira import Jira
from blocks.kubernetes import Kubernetes
from blocks.newrelic import NewRelic
from blocks.podman import Podman
from blocks.prometheus import Prometheus
from productops.errors import ProductOpsError, SettingsError

Make = Callable[[Path], tuple[Block, tuple[Any, ...]]]
KUBECONFIG = """
{current-context: c, contexts: [{name: c, context: {cluster: k, user: u}}], clusters: [{name: k, cluster: {server: 'https://k.example'}}],
 users: [{name: u, user: {token: s3cret-token}}]}
"""
BLOCKS: dict[str, Make] = {
    "prometheus": lambda _: (Prometheus(url="https://p.example", token="s3cret-token", requests_query="r", failures_query="f"), ()),
    "datadog": lambda _: (Datadog(api_key="s3cret-token", application_key="s3cret-other"), ()),
    "newrelic": lambda _: (NewRelic(account=1, api_key="s3cret-token"), ()),
    "github": lambda _: (GitHub(token="s3cret-token"), ()),
    "gitlab": lambda _: (GitLab(token="s3cret-token"), ()),
    "jira": lambda _: (Jira(url="https://jira.example", token="s3cret-token"), ()),
    "haproxy": lambda folder: (HAProxy(folder=str(folder)), ()),
    "envoy_remote": lambda folder: (RemoteEnvoys(folder=str(folder), nodes=["a=10.0.0.1:9902"], stats_token="s3cret-token"), ()),
    "podman": lambda folder: (Podman(home=str(folder)), ()),
    "kubernetes": lambda folder: (Kubernetes(kubeconfig=KUBECONFIG, gateway="edge"), (folder,)),
    "aws-alb": lambda folder: (AwsLoadBalancer(service="shop", rule_arn="arn", region="eu-central-1"), (folder,)),
    "aws-lambda": lambda folder: (AwsLambda(service="shop", function="shop", region="eu-central-1"), (folder,)),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_builds_its_adapter_and_shows_no_secret(name: str, tmp_path: Path) -> None:
    if name.startswith("aws"):
        pytest.importorskip("boto3", reason="no boto3 here: pip install 'productops[aws]'")
    block, arguments = BLOCKS[name](tmp_path)
    adapter = block.build(*arguments)  # type: ignore[attr-defined]
    for shown in (repr(block), str(block), str(block.model_dump()), repr(adapter)):
        assert "s3cret" not in shown
    adapter.close()


def test_every_block_has_a_name_of_its_own_and_says_what_it_is_for(tmp_path: Path) -> None:
    made = [type(make(tmp_path)[0]) for make in BLOCKS.values()]
    assert len({kind.get_block_type_slug() for kind in made}) == len(made)
    assert all(kind.get_description() for kind in made)


def test_an_address_that_would_send_a_secret_in_plain_text_is_refused() -> None:
    with pytest.raises(SettingsError, match="https"):
        Prometheus(url="http://p.example", token="s3cret-token").build()  # type: ignore[arg-type]


def test_a_node_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProductOpsError, match=r"node\.id"):
        RemoteEnvoys(folder=str(tmp_path), nodes=["nonsense/"], stats_token="s").build()  # type: ignore[arg-type]
