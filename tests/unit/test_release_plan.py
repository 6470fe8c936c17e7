"""Planning by the traffic there is, and what the end of a hold says."""

import math

import pytest

from productops.domain.analysis import ArmSecond, LatencyHistogram, Look, RatioCount, TrafficSecond, Verdict
from productops.domain.catalog import Rollout
from productops.domain.catalog_analysis import Analysis
from productops.domain.judge import MannWhitneyJudge, StratifiedJudge, ThresholdJudge, make_judge, policy_of
from productops.domain.release import Step
from productops.domain.release_hold import Held, at_end_of_hold, early_end, is_suspicious
from productops.domain.release_recording import Recording
from productops.domain.strategies import Overrides, Strategy, plan_rollout
from productops.errors import InvalidInputError
from productops.usecases.release_plan import UsualTraffic, outlook, with_steps

BUSY = UsualTraffic(requests_per_s=100.0, failure_ratio=0.005, measured_s=600)
QUIET = UsualTraffic(requests_per_s=0.5, failure_ratio=0.005, measured_s=600)


def look(verdict=Verdict.INCONCLUSIVE, *, log_e=-1.0, certified=False, reason="not yet sure"):
    return Look(10, verdict, reason, log_e, 1.0, certified, {"schema": 1})


def held(requests=1000, fresh=500, measured_s=30, silent_s=0.0):
    return Held(requests=requests, fresh=fresh, measured_s=measured_s, silent_s=silent_s)


def test_steps_that_are_not_declared_follow_the_traffic():
    busy, quiet = with_steps(Rollout(), BUSY).canary.steps, with_steps(Rollout(), QUIET).canary.steps
    assert [s.weight_pct for s in busy] == sorted(s.weight_pct for s in busy)
    assert sum(s.hold_s for s in busy) == pytest.approx(Rollout().canary.decision_s, abs=2)
    assert busy[0].weight_pct < 50
    assert [s.weight_pct for s in quiet] == [50], "with hardly any traffic only the widest step tells anything"


def test_declared_steps_stay_and_unknown_traffic_means_five_twenty_fifty():
    declared = Rollout.model_validate({"canary": {"steps": [{"weight_pct": 7, "hold_s": 9}]}})
    assert with_steps(declared, BUSY) is declared
    plan = plan_rollout(Strategy.CANARY, with_steps(Rollout(), None), Overrides())
    assert [s.weight_pct for s in plan.steps] == [5, 20, 50]


def test_the_outlook_finds_worse_harm_sooner_and_says_what_it_cannot_find():
    steps = [Step(weight_pct=5, hold_s=60), Step(weight_pct=20, hold_s=120)]
    found = outlook(Analysis(), steps, BUSY)
    times = [h.detected_s for h in found.harms]
    assert [h.name for h in found.harms] == ["errors ×2", "errors ×5", "errors ×20", "30 % fail"]
    assert times[0] is None
    assert times[1] > times[2] > times[3]
    assert outlook(Analysis(), steps, None) is None
    assert outlook(Analysis(), [], BUSY) is None
    assert outlook(Analysis(judge="kayenta"), steps, BUSY) is None


def test_a_switch_of_all_traffic_is_foretold_with_the_past_as_its_comparison():
    found = outlook(Analysis(), [Step(weight_pct=100, hold_s=120)], BUSY)
    assert found.harms[-1].detected_s == 1.0
    assert found.certified_s is not None


@pytest.mark.parametrize("rate", [1e-6, 0.005, 0.2, 0.29, 0.31, 0.9, 0.999])
def test_any_failure_ratio_can_be_planned_by(rate):
    found = outlook(Analysis(), [Step(weight_pct=20, hold_s=60)], UsualTraffic(10.0, rate, 60))
    assert all(h.failures >= 0 and h.factor >= 1 for h in found.harms)


def test_the_catalog_chooses_the_judge():
    assert isinstance(make_judge(Analysis()), StratifiedJudge)
    assert isinstance(make_judge(Analysis(judge="kayenta")), MannWhitneyJudge)
    assert isinstance(make_judge(Analysis.model_validate({"judge": "threshold", "thresholds": {"failure_ratio": 0.01}})), ThresholdJudge)
    with pytest.raises(ValueError, match="no limit"):
        Analysis(judge="threshold")


def test_metrics_and_weights_of_the_catalog_reach_the_judge():
    analysis = Analysis.model_validate(
        {"weights": {"p50": 0}, "metrics": [{"name": "orders", "direction": "lower_is_worse", "criticality": "hold"}]}
    )
    policy = policy_of(analysis)
    assert policy.weight_p50 == 0
    assert [(m.name, m.direction.value, m.criticality.value) for m in policy.metrics] == [("orders", "lower_is_worse", "hold")]
    with pytest.raises(ValueError, match="taken"):
        Analysis.model_validate({"metrics": [{"name": "failures"}]})
    with pytest.raises(ValueError, match="differ"):
        Analysis.model_validate({"metrics": [{"name": "orders"}, {"name": "orders"}]})


def test_no_hold_ends_well_while_the_candidate_looks_worse():
    analysis, step = Analysis(), Step(weight_pct=20, hold_s=30)
    suspicious = look(log_e=0.6 * math.log(20), reason="failures looks worse than the baseline, not yet beyond doubt")
    assert is_suspicious(suspicious, analysis)
    outcome = at_end_of_hold(0, step, analysis, suspicious, held())
    assert (outcome.verdict, outcome.proceed) == (Verdict.INCONCLUSIVE, False)
    assert "looks worse" in outcome.reason
    assert at_end_of_hold(0, step, analysis, look(), held()).proceed


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        (held(measured_s=0), "no second"),
        (held(silent_s=9.0), "is the agent up"),
        (held(requests=3, fresh=3), "only 3 of 50"),
        (held(fresh=0), "0 in this step"),
    ],
)
def test_without_data_a_hold_is_inconclusive(facts, why):
    outcome = at_end_of_hold(0, Step(weight_pct=20, hold_s=30), Analysis(), look(), facts)
    assert (outcome.verdict, outcome.proceed) == (Verdict.INCONCLUSIVE, False)
    assert why in outcome.reason


def test_a_step_ends_early_only_by_a_verdict_on_fresh_traffic():
    eager = Analysis(promote_on="certificate")
    assert early_end(0, eager, look(Verdict.PASSED, certified=True), fresh=10).proceed
    assert early_end(0, eager, look(Verdict.PASSED, certified=True), fresh=0) is None
    assert early_end(0, eager, look(certified=True), fresh=10) is None, "certified, yet something looks worse"
    assert early_end(0, Analysis(), look(Verdict.PASSED, certified=True), fresh=10) is None


def test_a_recording_comes_back_as_it_was_and_an_unknown_schema_is_refused():
    arm = ArmSecond(10, 1, LatencyHistogram((5.0, 50.0), (9, 1)), {"orders": RatioCount(2, 10), "cpu": 0.5})
    recording = Recording((TrafficSecond(1, arm, None),), (TrafficSecond(2, arm, ArmSecond()), TrafficSecond(3, None, arm)))
    assert Recording.unpack(recording.pack(), schema=1) == recording
    with pytest.raises(InvalidInputError, match="upgrade"):
        Recording.unpack(recording.pack(), schema=99)
