"""How strategies turn a catalog entry into steps."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from productops.domain.catalog import Rollout, ServiceSpec
from productops.domain.release import EDGES, ENDED, EXPOSED, Phase, Strategy
from productops.domain.strategies import Overrides, RolloutPlan, Scene, Segment, Step, plan_rollout
from productops.domain.strategies.plan import FlagScene
from productops.domain.strategies.rolling import batches
from productops.errors import InvalidInputError


def plan(strategy: Strategy, rollout: dict[str, Any] | None = None, scene: Scene | None = None, **overrides: Any) -> RolloutPlan:
    return plan_rollout(strategy, Rollout.model_validate(rollout or {}), Overrides(**overrides), scene)


sizes = st.tuples(st.integers(1, 30), st.integers(0, 10), st.integers(0, 10)).filter(lambda t: t[1] + min(t[2], t[0] - 1) > 0)


@given(sizes)
def test_batches_never_exceed_the_surge_nor_the_unavailable_and_leave_a_way_back(size: tuple[int, int, int]) -> None:
    instances, surge, unavailable = size
    candidate, baseline = 0, instances
    made = batches(instances, surge=surge, unavailable=unavailable)
    for batch in made:
        assert 1 <= batch.baseline_after <= batch.baseline_before <= baseline
        assert candidate < batch.candidate <= instances
        assert candidate + batch.baseline_before >= instances - unavailable, "enough serve while the next ones start"
        assert batch.candidate + batch.baseline_before <= instances + surge, "not too many run"
        assert batch.candidate + batch.baseline_after >= instances - unavailable
        candidate, baseline = batch.candidate, batch.baseline_after
    assert candidate >= min(instances, instances + surge - 1)


@given(sizes)
def test_the_candidates_share_rises_with_its_instances(size: tuple[int, int, int]) -> None:
    rolling = {"surge": size[1], "unavailable": min(size[2], 99)}
    steps = plan(Strategy.ROLLING, {"rolling": rolling}, Scene(instances=size[0])).steps
    weights = [step.weight_pct for step in steps]
    assert weights == sorted(weights)
    assert 1 <= weights[0] <= weights[-1] <= 100


def test_a_fleet_that_can_neither_grow_nor_shrink_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="surge: 1"):
        plan(Strategy.ROLLING, {"rolling": {"surge": 0, "unavailable": 3}}, Scene(instances=1))
    with pytest.raises(ValidationError, match="nothing could ever be replaced"):
        Rollout.model_validate({"rolling": {"surge": 0, "unavailable": 0}})


def test_whoever_has_the_candidate_keeps_it_in_later_steps_of_a_canary() -> None:
    declared = [
        {"segment": {"header": "X-Staff"}, "hold_s": 10},
        {"segment": {"cookie": "plan", "values": ["gold"]}, "weight_pct": 20, "hold_s": 10},
        {"segment": {"cookie": "plan", "values": ["gold"]}, "weight_pct": 60, "hold_s": 10},
        {"region": "eu", "bake_s": 30},
        {"weight_pct": 50, "hold_s": 10},
    ]
    steps = plan(Strategy.CANARY, {"canary": {"steps": declared}}).steps
    assert [(s.title, s.weight_pct, s.hold_s, len(s.segments)) for s in steps] == [
        ("header x-staff", 0, 10, 1), ("20 % of cookie plan gold", 0, 10, 2), ("60 % of cookie plan gold", 0, 10, 2),
        ("region eu", 0, 30, 3), ("50 %", 50, 10, 3),
    ]  # fmt: skip
    assert steps[-1].segments == (
        Segment("header", "x-staff"), Segment("cookie", "plan", ("gold",), 60), Segment("region", "", ("eu",)),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("steps", "complaint"),
    [
        ([{"hold_s": 3}], "weight_pct is missing"),
        ([{"weight_pct": 5}], "say either hold_s or bake_s"),
        ([{"weight_pct": 5, "hold_s": 3, "bake_s": 3}], "say either hold_s or bake_s"),
        ([{"region": "eu", "segment": {"header": "x"}, "hold_s": 3}], "not for both"),
        ([{"segment": {"header": "x", "cookie": "y"}, "hold_s": 3}], "exactly one of"),
        ([{"weight_pct": 50, "hold_s": 3}, {"weight_pct": 5, "hold_s": 3}], "weights must rise"),
        (
            [{"region": "eu", "hold_s": 3}, {"region": "eu", "weight_pct": 50, "hold_s": 3}],
            r"weights must rise from step to step, got \[100, 50\]",
        ),
    ],
)
def test_a_canary_step_that_makes_no_sense_is_refused(steps: list[dict[str, Any]], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        Rollout.model_validate({"canary": {"steps": steps}})


def test_a_segment_may_only_name_attributes_that_the_route_knows() -> None:
    spec = {
        "run": {"command": ["x"], "versions": {"kind": "folder", "path": "x"}},
        "rollout": {"canary": {"steps": [{"segment": {"attribute": "tier"}, "hold_s": 3}]}},
    }
    with pytest.raises(ValidationError, match="'tier'"):
        ServiceSpec.model_validate(spec)
    assert ServiceSpec.model_validate(spec | {"route": {"attributes": {"tier": {"cookie": "tier"}}}})


def test_a_dark_launch_shows_nobody_the_candidate_and_ends_in_a_report() -> None:
    made = plan(Strategy.DARK_LAUNCH, {"dark_launch": {"steps": [{"mirror_pct": 0.5, "hold_s": 5}, {"mirror_pct": 100, "hold_s": 9}]}})
    assert [(s.weight_pct, s.mirror.pct if s.mirror else None, s.title) for s in made.steps] == [
        (0, 0.5, "0.5 % mirrored"), (0, 100, "100 % mirrored"),
    ]  # fmt: skip
    assert made.to_dict()["ending"] == "report"
    assert [(m.name, m.criticality) for m in made.analysis.metrics] == [("differences", "hold")]


@pytest.mark.parametrize(("then", "titles"), [("canary", ["7 %", "70 %"]), ("blue-green", ["test by header", "100 %"])])
def test_a_dark_launch_may_go_on_as_another_strategy(then: str, titles: list[str]) -> None:
    rollout = {
        "dark_launch": {"then": then, "steps": [{"mirror_pct": 100, "hold_s": 5}]},
        "canary": {"steps": [{"weight_pct": 7, "hold_s": 3}, {"weight_pct": 70, "hold_s": 3}]},
        "blue_green": {"test_s": 3, "keep_warm_s": 44},
    }
    made = plan(Strategy.DARK_LAUNCH, rollout)
    assert [s.title for s in made.steps] == ["100 % mirrored", *titles]
    assert (made.ending, made.keep_warm_s) == ("promote", 44 if then == "blue-green" else 0)


def test_a_dark_launch_needs_users_whose_requests_can_be_copied() -> None:
    with pytest.raises(InvalidInputError, match="another strategy"):
        plan(Strategy.DARK_LAUNCH, scene=Scene(has_baseline=False))


@pytest.mark.parametrize("strategy", [Strategy.BLUE_GREEN, Strategy.ROLLING, Strategy.DARK_LAUNCH])
def test_weights_are_refused_where_they_mean_nothing(strategy: Strategy) -> None:
    with pytest.raises(InvalidInputError, match="weights belong to a canary"):
        plan(strategy, weights_pct=(5, 50))


@pytest.mark.parametrize("strategy", list(Strategy))
def test_steps_come_back_from_json_as_they_were(strategy: Strategy) -> None:
    rollout = {"canary": {"steps": [{"segment": {"header": "x", "values": ["a", "b"]}, "weight_pct": 5, "hold_s": 3}]}}
    scene = Scene(instances=4, flag=FlagScene("new-checkout", "on", "off"))
    for step in plan(strategy, rollout, scene).steps:
        assert Step.from_dict(json.loads(json.dumps(step.to_dict()))) == step


def test_a_trial_that_passed_has_ended_without_users_and_cannot_be_rolled_back() -> None:
    assert Phase.PASSED in ENDED
    assert Phase.PASSED not in EXPOSED
    assert EDGES[Phase.PASSED] == frozenset()
    assert {phase for phase, following in EDGES.items() if Phase.PASSED in following} == {Phase.ROLLING_OUT}
