"""Commands of the judge."""

import json
import time

import pytest

from productops.cli.analysis import _analysis
from productops.cli.release_evidence import evidence_lines
from productops.domain.analysis import ArmSecond, LatencyHistogram, TrafficSecond
from productops.domain.judge import AnalysisPolicy, Intervals, StratifiedJudge
from productops.errors import InvalidInputError
from productops.usecases.release_backtest import record_ended
from tests.support import PRODUCTION

TEMPLATE = """
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: success-rate}
spec:
  metrics:
    - name: success-rate
      interval: 1m
      count: 10
      failureLimit: 3
      successCondition: result[0] >= 0.95
      provider: {prometheus: {address: "http://prometheus", query: "up"}}
"""


def test_changes_are_nested_and_typed():
    assert _analysis(["alpha=0.01", "weights.p50=0", "judge=kayenta"]) == {"alpha": 0.01, "weights": {"p50": 0}, "judge": "kayenta"}
    for wrong in (["alpha"], ["=1"], ["weights=1", "weights.p50=0"]):
        with pytest.raises(InvalidInputError):
            _analysis(wrong)


def test_an_argo_template_becomes_thresholds_of_the_catalog(tmp_path, cli):
    file = tmp_path / "template.yaml"
    file.write_text(TEMPLATE)
    done = cli.run("analysis", "import-argo", str(file))
    assert done.code == 0, done.err
    assert "failure_ratio: 0.05" in done.out
    plain = cli.run("analysis", "import-argo", str(file), "--json")
    assert json.loads(plain.out)["success-rate"]["thresholds"]["failure_limit"] == 3
    file.write_text("kind: Other")
    refused = cli.run("analysis", "import-argo", str(file))
    assert refused.code != 0
    assert "no AnalysisTemplate" in refused.err
    assert "Traceback" not in refused.err


def test_the_evidence_of_a_look_is_told_in_words_and_numbers():
    judge, intervals = StratifiedJudge(AnalysisPolicy()), Intervals()
    arm = {"latency": LatencyHistogram((10.0, 50.0), (15, 5))}
    for at_s in range(60):
        second = TrafficSecond(at_s, ArmSecond(80, at_s % 2, LatencyHistogram((10.0, 50.0), (60, 20))), ArmSecond(20, 1, **arm))
        look = judge.observe(second)
        intervals.observe(second)
        if look.verdict == "failed":
            break
    document = {"verdict": look.verdict.value, "reason": look.reason, "evidence": look.evidence | {"intervals": intervals.now()}}
    text = "\n".join(evidence_lines(document))
    assert "failures" in text
    assert "times the odds" in text
    assert evidence_lines({"verdict": "passed", "reason": "ok", "evidence": {"judge": "threshold"}}) == ["the judge: passed, ok"]


def test_past_releases_are_judged_again_from_the_shell(flows):
    flows.run("release", "shop", "2.0", "--wait", "--json")
    record_ended(flows.context)
    done = flows.run("backtest", "judge=threshold", 'thresholds={"failure_ratio": 0.5}')
    assert done.code == 0, done.err
    assert "shop 1.0 → 2.0" in done.out
    assert "0 of 1 would have stopped" in done.out
    assert json.loads(flows.run("backtest", "--json").out)["items"][0]["phase"] == "promoted"
    wrong = flows.run("backtest", "alpha=much")
    assert wrong.code != 0
    assert "analysis.alpha" in wrong.err


def test_a_plan_is_shown_with_its_outlook_and_drawn_into_a_file(cli, tmp_path):
    now = int(time.time())
    with cli.context.store.write() as unit:
        for at_s in range(now - 100, now):
            unit.seconds.add(at_s, {("shop", PRODUCTION, "1.0"): ArmSecond(100, at_s % 2, LatencyHistogram((5.0,), (100,)))})
    file = tmp_path / "plan.svg"
    done = cli.run("release", "shop", "2.0", "--plan", "--weights", "5,20", "--hold", "60", "--picture", str(file))
    assert done.code == 0, done.err
    assert "30 % fail" in done.out
    assert "not within the plan" in done.out
    assert file.read_text().startswith("<?xml")
    wrong = cli.run("release", "shop", "2.0", "--plan", "--picture", str(tmp_path / "no" / "plan.svg"))
    assert wrong.code != 0
    assert "--picture" in wrong.err
