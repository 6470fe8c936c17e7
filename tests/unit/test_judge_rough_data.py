from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from productops.domain.analysis import ArmSecond, LatencyHistogram, RatioCount, TrafficSecond, Verdict
from productops.domain.judge import AnalysisPolicy, Direction, MetricKind, MetricRule, StratifiedJudge

FINE = ArmSecond(80, 1, LatencyHistogram((10.0, 20.0, 50.0), (40, 30, 10)))
BAD = ArmSecond(20, 20, LatencyHistogram((10.0, 20.0, 50.0), (0, 0, 20)))

arms = st.one_of(
    st.none(),
    st.builds(
        ArmSecond,
        requests=st.integers(-5, 10**9),
        failures=st.integers(-5, 10**9),
        latency=st.one_of(
            st.just(LatencyHistogram()),
            st.builds(lambda counts: LatencyHistogram((1.0, 10.0, 100.0, math.inf), counts), st.tuples(*[st.integers(0, 10**9)] * 4)),
        ),
    ),
)


@settings(max_examples=60, deadline=None)
@given(
    history=st.lists(arms, max_size=5),
    seconds=st.lists(st.tuples(st.integers(0, 200), arms, arms), min_size=1, max_size=25),
)
def test_no_data_however_rough_breaks_the_judge(
    history: list[ArmSecond | None], seconds: list[tuple[int, ArmSecond | None, ArmSecond | None]]
) -> None:
    judge = StratifiedJudge(AnalysisPolicy(learn_requests_min=100))
    for t, arm in enumerate(history):
        judge.learn(TrafficSecond(t, arm, None))
    for at_s, baseline, candidate in seconds:
        look = judge.observe(TrafficSecond(at_s, baseline, candidate))
        assert look.reason
        assert not math.isnan(look.log_e)
        json.dumps(look.evidence, allow_nan=False)


@pytest.mark.parametrize(
    ("baseline", "candidate"),
    [
        (None, BAD),
        (FINE, None),
        (None, None),
        (ArmSecond(), BAD),
        (ArmSecond(), ArmSecond()),
        (FINE, ArmSecond()),
        (ArmSecond(-80, 1), BAD),
    ],
)
def test_a_second_without_both_arms_is_never_evidence(baseline: ArmSecond | None, candidate: ArmSecond | None) -> None:
    judge = StratifiedJudge()
    for t in range(100):
        look = judge.observe(TrafficSecond(t, baseline, candidate))
    assert look.verdict is Verdict.INCONCLUSIVE
    assert look.log_e <= 0.0
    assert not look.certified


def test_the_reason_names_what_is_missing() -> None:
    judge = StratifiedJudge()
    assert "candidate could not be measured" in judge.observe(TrafficSecond(1, FINE, None)).reason
    assert "ran backwards" in judge.observe(TrafficSecond(2, ArmSecond(-3), FINE)).reason
    look = judge.observe(TrafficSecond(3, FINE, ArmSecond(14)))
    assert look.reason == "only 14 of 50 requests on the candidate"


def test_a_second_that_comes_twice_or_late_counts_once() -> None:
    once, twice = StratifiedJudge(), StratifiedJudge()
    for t in range(5):
        look = once.observe(TrafficSecond(t, FINE, ArmSecond(20, 1)))
        twice.observe(TrafficSecond(t, FINE, ArmSecond(20, 1)))
        again = twice.observe(TrafficSecond(t, FINE, BAD))
    assert again.log_e == look.log_e
    assert "came twice or too late" in again.reason
    assert again.evidence["candidate_requests"] == 100


def test_a_failing_candidate_fails_before_it_has_the_requests_promotion_needs() -> None:
    judge = StratifiedJudge()
    for t in range(4):
        look = judge.observe(TrafficSecond(t, ArmSecond(80, 0), ArmSecond(8, 8)))
    assert look.verdict is Verdict.FAILED


def test_a_billion_requests_a_second_are_judged() -> None:
    judge = StratifiedJudge()
    arm = LatencyHistogram((10.0, 20.0, 50.0), (5 * 10**8, 3 * 10**8, 2 * 10**8))
    for t in range(60):
        look = judge.observe(TrafficSecond(t, ArmSecond(10**9, 5 * 10**6, arm), ArmSecond(10**9, 5 * 10**6, arm)))
        assert look.verdict is not Verdict.FAILED
    assert look.verdict is Verdict.PASSED
    for t in range(60, 65):
        look = judge.observe(TrafficSecond(t, ArmSecond(10**9, 5 * 10**6, arm), ArmSecond(10**9, 5 * 10**7, arm)))
    assert look.verdict is Verdict.FAILED


def test_without_histograms_only_failures_decide() -> None:
    judge = StratifiedJudge()
    for t in range(400):
        look = judge.observe(TrafficSecond(t, ArmSecond(80, t % 2), ArmSecond(20, int(t % 8 == 0))))
    assert look.verdict is Verdict.PASSED
    assert not look.evidence["hypotheses"]["slower_p50"]["measured"]
    strict = StratifiedJudge(AnalysisPolicy(latency_required=True))
    for t in range(400):
        look = strict.observe(TrafficSecond(t, ArmSecond(80, t % 2), ArmSecond(20, int(t % 8 == 0))))
    assert look.verdict is Verdict.INCONCLUSIVE
    assert "slower_p50" in look.reason


def test_history_after_the_rollout_began_is_ignored() -> None:
    judge = StratifiedJudge()
    before = judge.observe(TrafficSecond(1, FINE, ArmSecond(20)))
    for t in range(50):
        judge.learn(TrafficSecond(t, ArmSecond(100, 100), None))
    assert judge.observe(TrafficSecond(1, FINE, ArmSecond(20))).log_e == before.log_e


def _with_metric(value: RatioCount | float) -> ArmSecond:
    return ArmSecond(100, 0, LatencyHistogram(), {"mine": value})


@pytest.mark.parametrize(
    ("kind", "direction", "good", "bad"),
    [
        (MetricKind.RATIO, Direction.HIGHER_IS_WORSE, RatioCount(5, 100), RatioCount(40, 100)),
        (MetricKind.RATIO, Direction.LOWER_IS_WORSE, RatioCount(60, 100), RatioCount(20, 100)),
        (MetricKind.COUNTER, Direction.HIGHER_IS_WORSE, RatioCount(20, 0), RatioCount(200, 0)),
        (MetricKind.SATURATION, Direction.HIGHER_IS_WORSE, 0.4, 0.8),
        (MetricKind.SATURATION, Direction.LOWER_IS_WORSE, 0.8, 0.4),
    ],
)
def test_a_metric_of_ones_own_fails_in_its_direction_only(
    kind: MetricKind, direction: Direction, good: RatioCount | float, bad: RatioCount | float
) -> None:
    policy = AnalysisPolicy(metrics=(MetricRule("mine", kind, direction, weight=1.0),))
    harmed, cured = StratifiedJudge(policy), StratifiedJudge(policy)
    for t in range(200):
        look = harmed.observe(TrafficSecond(t, _with_metric(good), _with_metric(bad)))
        better = cured.observe(TrafficSecond(t, _with_metric(bad), _with_metric(good)))
    assert look.verdict is Verdict.FAILED
    assert look.reason.startswith("mine")
    assert better.verdict is not Verdict.FAILED


def test_a_metric_of_the_wrong_kind_is_an_error() -> None:
    judge = StratifiedJudge(AnalysisPolicy(metrics=(MetricRule("mine", MetricKind.RATIO),)))
    with pytest.raises(TypeError, match="mine"):
        judge.observe(TrafficSecond(1, _with_metric(0.5), _with_metric(0.5)))


def test_policies_survive_json() -> None:
    policy = AnalysisPolicy(alpha=0.01, error_tolerance=1.5, metrics=(MetricRule("carts", MetricKind.RATIO, Direction.LOWER_IS_WORSE),))
    assert AnalysisPolicy.from_dict(json.loads(json.dumps(policy.to_dict()))) == policy
    assert math.fsum(policy.weights().values()) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ({"alpha": 0.7}, "alpha"),
        ({"error_tolerance": 0.9}, "error_tolerance"),
        ({"error_tolerance": 3.0}, "promote_error_ratio"),
        ({"colour": "red"}, "unknown policy fields: colour"),
        ({"schema": 2}, "schema"),
        ({"alpha": "often"}, "wrong type"),
        ({"metrics": [{"name": "failures", "kind": "ratio"}]}, "taken"),
        ({"weight_failures": 0.0}, "weight_failures"),
    ],
)
def test_impossible_policies_are_refused_by_name(plain: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AnalysisPolicy.from_dict(plain)
