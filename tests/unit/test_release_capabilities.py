"""What a router cannot do is said before a release starts."""

from __future__ import annotations

from typing import Any, cast

import pytest

from productops.adapters import aws, envoy_remote, haproxy, kubernetes
from productops.domain.capabilities import ENVOY, RouterCapabilities
from productops.domain.catalog import Service
from productops.domain.strategies import RolloutPlan
from productops.domain.strategies.step import Mirror, Segment, Step
from productops.errors import UnsupportedError
from productops.usecases.context import Context
from productops.usecases.release_capabilities import needs_of, refuse_unable
from tests.support import Silent, service_spec

NO_QUANTILES = {"weights": {"p50": 0, "p90": 0, "p99": 0}}


def shop(*, sticky: bool = True, **analysis: object) -> Service:
    spec = service_spec(analysis={"requests_min": 10, **analysis})
    spec = spec.model_copy(update={"route": spec.route.model_copy(update={"sticky": sticky})})
    return Service(name="shop", venture="apollo", spec=spec, base="/", revision=1)


def plan(service: Service, *steps: Step) -> RolloutPlan:
    return RolloutPlan(steps=steps or (Step(5, 60.0),), analysis=service.spec.rollout.analysis, validate_s=3.0)


def context(router: RouterCapabilities | None, sources: frozenset[str] | None = None) -> Context:
    return Context(store=cast(Any, None), doorbell=Silent(), lease_ttl_s=3.0, router=router, metric_sources=sources)


def test_envoy_can_do_every_step_there_is() -> None:
    beta, mirror = Segment("header", "x-beta"), Mirror(pct=10)
    steps = (Step(0, 1.0, header_only=True), Step(5, 1.0, segments=(beta,)), Step(0, 1.0, mirror=mirror), Step(100, 1.0))
    refuse_unable(context(ENVOY), shop(), plan(shop(), *steps))


def test_haproxy_is_refused_for_quantiles_until_they_are_given_up_on_purpose() -> None:
    with pytest.raises(UnsupportedError, match=r"HAProxy cannot .*p50, p90 and p99.*weights of all three to 0"):
        refuse_unable(context(haproxy.CAPABILITIES), shop(), plan(shop()))
    plain = shop(**NO_QUANTILES)
    refuse_unable(context(haproxy.CAPABILITIES), plain, plan(plain))


def test_everything_that_is_missing_is_named_at_once() -> None:
    plain = shop(**NO_QUANTILES)
    beta = Segment("header", "x-beta")
    steps = (Step(0, 1.0, header_only=True), Step(5, 1.0, segments=(beta,)), Step(0, 1.0, mirror=Mirror(pct=10)))
    with pytest.raises(UnsupportedError) as refused:
        refuse_unable(context(aws.ALB_CAPABILITIES), plain, plan(plain, *steps))
    assert len(refused.value.extra["missing"]) == 5


def test_sticky_users_matter_only_while_the_traffic_is_split() -> None:
    service = shop(**NO_QUANTILES)
    assert needs_of(service, plan(service, Step(5, 1.0))).sticky
    assert not needs_of(service, plan(service, Step(100, 1.0))).sticky
    assert not needs_of(shop(sticky=False), plan(service, Step(5, 1.0))).sticky
    with pytest.raises(UnsupportedError, match=r"route\.sticky"):
        refuse_unable(context(kubernetes.CAPABILITIES), service, plan(service, Step(5, 1.0)))


def test_a_flag_asks_no_weights_of_the_router_but_that_it_sees_who_was_exposed() -> None:
    service = shop()
    toggled = plan(service, Step(0, 60.0, flag_pct=5.0))
    refuse_unable(context(ENVOY), service, toggled)
    able = (haproxy.CAPABILITIES, kubernetes.CAPABILITIES, aws.ALB_CAPABILITIES, aws.LAMBDA_CAPABILITIES, envoy_remote.CAPABILITIES)
    for router in able:
        with pytest.raises(UnsupportedError, match="exposures to a flag") as refused:
            refuse_unable(context(router), service, toggled)
        assert len(refused.value.extra["missing"]) == 1


def test_a_metric_of_an_unknown_source_is_refused_with_the_known_ones() -> None:
    metric = {"name": "carts", "kind": "saturation", "source": "prometheuss", "query": "x"}
    service = shop(metrics=[metric])
    with pytest.raises(UnsupportedError, match=r"prometheuss, which is no metric source here \(known: prometheus\)"):
        refuse_unable(context(ENVOY, frozenset({"prometheus"})), service, plan(service))
    refuse_unable(context(None, None), service, plan(service))
    refuse_unable(context(ENVOY, frozenset({"prometheuss"})), service, plan(service))
