"""The AWS adapter against botocore's own models of the services: every request is checked against them, the answers are given."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from productops.adapters.aws import ALB_CAPABILITIES, AlbRouter, Alias, Forwarding, LambdaRouter, aws_client
from productops.domain.capabilities import RouterNeeds, refuse_unsupported
from productops.domain.routing import ServiceRoute
from productops.errors import RouterError, SettingsError, UnsupportedError
from tests.support import PRODUCTION

boto3 = pytest.importorskip("boto3", reason="no boto3 here: pip install 'productops[aws]'")
from botocore.stub import Stubber  # noqa: E402 - only where boto3 is

GROUP = "arn:aws:elasticloadbalancing:eu-central-1:1:targetgroup/{}/1"
RULE = "arn:aws:elasticloadbalancing:eu-central-1:1:listener-rule/app/edge/1/2/3"
LISTENER = "arn:aws:elasticloadbalancing:eu-central-1:1:listener/app/edge/1/2"
PLACE = ("shop", "production")


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test may reach an account: the credentials are none, and the metadata service is not asked."""
    for name in [n for n in os.environ if n.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none", "AWS_EC2_METADATA_DISABLED": "true"}.items():
        monkeypatch.setenv(name, value)


def stubbed(service: str) -> Iterator[Stubber]:
    client = aws_client(service, region="eu-central-1")
    with Stubber(client) as stub:
        yield stub
        stub.assert_no_pending_responses()
    client.close()


@pytest.fixture
def balancer() -> Iterator[Stubber]:
    yield from stubbed("elbv2")


@pytest.fixture
def functions() -> Iterator[Stubber]:
    yield from stubbed("lambda")


def route(
    pct: int, *, generation: int = 1, baseline: str | None = "1.0.0", candidate: str | None = "1.1.0", header_only: bool = False
) -> ServiceRoute:
    return ServiceRoute(
        service="shop", environment=PRODUCTION, hosts=("shop.example.com",), generation=generation, baseline_version=baseline,
        candidate_version=candidate, candidate_pct=pct, header_only=header_only, sticky=False,
    )  # fmt: skip


def forward(weights: dict[str, int]) -> dict[str, Any]:
    groups = [{"TargetGroupArn": GROUP.format(name), "Weight": weight} for name, weight in sorted(weights.items())]
    return {"Type": "forward", "ForwardConfig": {"TargetGroups": groups, "TargetGroupStickinessConfig": {"Enabled": False}}}


def expect_groups(stub: Stubber, *names: str) -> None:
    for name in names:
        stub.add_response("describe_target_groups", {"TargetGroups": [{"TargetGroupArn": GROUP.format(name)}]}, {"Names": [name]})


def expect_rule(stub: Stubber, weights: dict[str, int], *, serves: dict[str, int] | None = None) -> None:
    stub.add_response("modify_rule", {"Rules": []}, {"RuleArn": RULE, "Actions": [forward(weights)]})
    stub.add_response("describe_rules", {"Rules": [{"Actions": [forward(serves or weights)]}]}, {"RuleArns": [RULE]})


def alb(stub: Stubber, folder: Path, *, rule: bool = True) -> AlbRouter:
    forwarding = Forwarding("{service}-{version}", rule_arn=RULE if rule else "", listener_arn="" if rule else LISTENER)
    return AlbRouter(stub.client, {PLACE: forwarding}, folder=folder)


def test_weights_of_a_rule_are_set_and_read_back_and_set_once(balancer: Stubber, tmp_path: Path) -> None:
    router = alb(balancer, tmp_path)
    expect_groups(balancer, "shop-1-0-0", "shop-1-1-0")
    expect_rule(balancer, {"shop-1-0-0": 95, "shop-1-1-0": 5})
    router.apply([route(5)])
    router.apply([route(5, generation=2)])
    expect_groups(balancer, "shop-1-0-0")
    expect_rule(balancer, {"shop-1-0-0": 100})
    router.apply([route(0, generation=3)])


def test_a_listener_without_a_rule_gets_its_default_action(balancer: Stubber, tmp_path: Path) -> None:
    expect_groups(balancer, "shop-1-1-0")
    action = forward({"shop-1-1-0": 100})
    balancer.add_response("modify_listener", {"Listeners": []}, {"ListenerArn": LISTENER, "DefaultActions": [action]})
    balancer.add_response("describe_listeners", {"Listeners": [{"DefaultActions": [action]}]}, {"ListenerArns": [LISTENER]})
    alb(balancer, tmp_path, rule=False).apply([route(100)])


def test_weights_that_are_not_read_back_are_not_confirmed(balancer: Stubber, tmp_path: Path) -> None:
    expect_groups(balancer, "shop-1-0-0", "shop-1-1-0")
    expect_rule(balancer, {"shop-1-0-0": 95, "shop-1-1-0": 5}, serves={"shop-1-0-0": 100})
    with pytest.raises(RouterError, match=r"has the weights .*and not"):
        alb(balancer, tmp_path).apply([route(5)])


def test_what_aws_refuses_is_named_with_its_own_words(balancer: Stubber, tmp_path: Path) -> None:
    balancer.add_client_error("describe_target_groups", "TargetGroupNotFound", "One or more target groups not found")
    with pytest.raises(RouterError, match="find the target group shop-1-0-0: One or more"):
        alb(balancer, tmp_path).apply([route(5)])
    balancer.add_client_error("describe_target_groups", "AccessDenied", "not authorized to perform")
    with pytest.raises(RouterError, match="AccessDenied: not authorized"):
        alb(balancer, tmp_path).apply([route(5)])


def test_what_aws_cannot_do_is_refused_and_nothing_is_sent(balancer: Stubber, tmp_path: Path) -> None:
    router = alb(balancer, tmp_path)
    with pytest.raises(RouterError, match="test header"):
        router.apply([route(0, header_only=True)])
    with pytest.raises(RouterError, match="without a baseline"):
        router.apply([route(5, baseline=None)])
    with pytest.raises(RouterError, match="counts no requests"):
        router.read()
    with pytest.raises(UnsupportedError, match="route.sticky"):
        refuse_unsupported(ALB_CAPABILITIES, RouterNeeds(sticky=True))


def test_services_without_an_entry_are_left_alone(balancer: Stubber, tmp_path: Path) -> None:
    AlbRouter(balancer.client, {}, folder=tmp_path).apply([route(5)])


def test_an_agent_of_an_earlier_term_writes_nothing(balancer: Stubber, tmp_path: Path) -> None:
    first = alb(balancer, tmp_path)
    first.claim(1)
    alb(balancer, tmp_path).claim(2)
    with pytest.raises(RouterError, match="term 2"):
        first.apply([route(5)])


NAMES = {"FunctionName": "shop", "Name": "live"}


def expect_alias(stub: Stubber, main: str, weights: dict[str, float], *, revision: str = "r1") -> None:
    stub.add_response("get_alias", {"FunctionVersion": "7", "RevisionId": revision}, NAMES)
    expected = {**NAMES, "FunctionVersion": main, "RoutingConfig": {"AdditionalVersionWeights": weights}, "RevisionId": revision}
    stub.add_response("update_alias", {}, expected)
    stub.add_response(
        "get_alias", {"FunctionVersion": main, "RoutingConfig": {"AdditionalVersionWeights": weights}, "RevisionId": "r2"}, NAMES
    )


def lambdas(stub: Stubber, folder: Path) -> LambdaRouter:
    return LambdaRouter(stub.client, {PLACE: Alias("shop", "live")}, folder=folder)


@pytest.mark.parametrize(
    ("pct", "main", "weights"), [(5, "7", {"8": 0.05}), (50, "7", {"8": 0.5}), (60, "8", {"7": 0.4}), (100, "8", {}), (0, "7", {})]
)
def test_an_alias_moves_by_weights_that_are_read_back(
    functions: Stubber, tmp_path: Path, pct: int, main: str, weights: dict[str, float]
) -> None:
    expect_alias(functions, main, weights)
    lambdas(functions, tmp_path).apply([route(pct, baseline="7", candidate="8")])


def test_a_release_version_is_found_by_the_description_of_a_published_one(functions: Stubber, tmp_path: Path) -> None:
    first = {"Versions": [{"Version": "$LATEST", "Description": "1.0.0"}, {"Version": "6", "Description": "0.9.0"}], "NextMarker": "more"}
    functions.add_response("list_versions_by_function", first, {"FunctionName": "shop"})
    functions.add_response(
        "list_versions_by_function", {"Versions": [{"Version": "7", "Description": "1.0.0"}]}, {"FunctionName": "shop", "Marker": "more"}
    )
    functions.add_response("list_versions_by_function", {"Versions": [{"Version": "7", "Description": "1.0.0"}]}, {"FunctionName": "shop"})
    expect_alias(functions, "7", {})
    lambdas(functions, tmp_path).apply([route(0)])
    functions.add_response("list_versions_by_function", {"Versions": []}, {"FunctionName": "shop"})
    with pytest.raises(RouterError, match=r"no published version with the description '2\.0\.0'"):
        lambdas(functions, tmp_path).apply([route(0, baseline="2.0.0")])


def test_an_alias_that_somebody_else_moved_is_a_conflict(functions: Stubber, tmp_path: Path) -> None:
    functions.add_response("get_alias", {"FunctionVersion": "7", "RevisionId": "r1"}, NAMES)
    functions.add_client_error("update_alias", "PreconditionFailedException", "The RevisionId provided does not match")
    with pytest.raises(RouterError, match="somebody else changed it"):
        lambdas(functions, tmp_path).apply([route(5, baseline="7", candidate="8")])


def test_a_missing_profile_is_a_setting_that_is_wrong() -> None:
    with pytest.raises(SettingsError, match="nobody"):
        aws_client("lambda", region="eu-central-1", profile="nobody")
