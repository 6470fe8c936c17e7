"""Dark launches with a real agent, a real Envoy and real versions: nobody sees the candidate, everybody learns about it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from productops.domain.analysis import RatioCount, Verdict
from productops.domain.release import Cause, Phase, Release
from productops.domain.release_hold import StepOutcome
from productops.usecases.release_judge import hold_step
from productops.usecases.release_rollback import await_rolled_back, give_baseline_back
from productops.usecases.release_run import shift_traffic
from productops.usecases.release_trial import conclude_trial
from tests.integration.agent_lab import PRODUCTION, SOMEBODY, AgentLab, running_lab
from tests.integration.envoy_support import Tally, eventually

pytestmark = pytest.mark.slow
ANALYSIS = {"requests_min": 5, "warm_up_s": 0, "metrics_lag_s": 1, "on_inconclusive": "proceed"}


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[AgentLab]:
    with running_lab(tmp_path) as made:
        made.add_version("1.0")
        made.add_version("1.1")
        yield made


def dark(lab: AgentLab, *, hold_s: float = 6, **settings: object) -> tuple[Release, Tally, StepOutcome]:
    """A dark launch of 1.1, held once, with users; the release as it stands then."""
    steps = [{"mirror_pct": 100, "hold_s": hold_s}]
    lab.add_service(strategy="dark-launch", dark_launch={"steps": steps, "compare_per_s": 10} | settings, analysis=ANALYSIS)
    load = lab.load(connections=8, path="/things?q=1&token=abc", pause_s=0.02)
    time.sleep(3)
    release = lab.deploy(lab.request("1.1"))
    shift_traffic(lab.context, release.id, 0, actor=SOMEBODY)
    outcome = hold_step(lab.context, release.id, 0, actor=SOMEBODY)
    return release, load.stop(), outcome


def differences(lab: AgentLab, version: str) -> RatioCount:
    with lab.context.store.read() as unit:
        seconds = unit.seconds.metrics_between("shop", PRODUCTION, [version], after_s=0, until_s=int(time.time()) + 10)
    found = [arms[version]["differences"] for arms in seconds.values()]
    assert all(isinstance(each, RatioCount) for each in found)
    return RatioCount(sum(each.events for each in found), sum(each.total for each in found))


def test_a_good_shadow_passes_users_keep_the_baseline_and_the_candidate_goes(lab: AgentLab) -> None:
    release, tally, outcome = dark(lab)
    assert outcome.proceed, outcome
    assert tally.by_version("1.0") == tally.total
    assert tally.failed == 0
    ended = conclude_trial(lab.context, release.id, actor=SOMEBODY)
    assert ended.phase is Phase.PASSED
    assert conclude_trial(lab.context, release.id, actor=SOMEBODY).phase is Phase.PASSED
    target = lab.target()
    assert (target.baseline_version, target.candidate_version, target.mirror, target.lease) == ("1.0", None, None, None)
    assert eventually(lambda: not lab.instances("1.1"), within_s=15)
    compared = differences(lab, "1.1")
    assert compared.events == 0, "random ids and times are noise"
    assert 20 <= compared.total <= 100, "no more than ten a second"
    with lab.context.store.read() as unit:
        moved = unit.releases.transitions(release.id)[-1]
        assert unit.deployments.find(release.id)["pipeline_status"] == "succeeded"
    assert moved["to"] == "passed"
    assert moved["evidence"]["compared"] >= 20


def test_a_shadow_that_fails_is_given_up_and_no_user_saw_it(lab: AgentLab) -> None:
    lab.behave("1.1", status=500)
    release, tally, outcome = dark(lab, hold_s=30)
    assert outcome.verdict is Verdict.FAILED, outcome
    assert tally.failed == 0
    assert tally.by_version("1.0") == tally.total
    give_baseline_back(lab.context, release.id, cause=Cause.VERDICT, reason=outcome.reason, actor=SOMEBODY)
    assert await_rolled_back(lab.context, release.id, timeout=timedelta(seconds=10)).phase is Phase.ROLLED_BACK


def test_a_shadow_whose_answers_differ_is_not_passed_and_examples_say_where(lab: AgentLab) -> None:
    lab.behave("1.1", price=11)
    release, tally, outcome = dark(lab, hold_s=20, on_difference="roll-back")
    assert tally.failed == 0
    found = differences(lab, "1.1")
    assert found.events == found.total > 10
    assert differences(lab, "1.0").events < found.total / 4, "the baseline hardly differs from itself"
    with lab.context.store.read() as unit:
        examples = [event.payload for event in unit.releases.events(release.id, after=0, kind="difference")]
    prices = [e for e in examples if e["path"] == "body.item.price"]
    assert prices == [
        {"method": "GET", "target": "/things?q=1&token=(left out)", "path": "body.item.price", "baseline": "10", "candidate": "11"}
    ]
    assert all("abc" not in str(e) for e in examples)
    assert outcome.verdict is Verdict.FAILED, outcome
    assert "differences" in outcome.reason


def test_a_dark_launch_that_nobody_carries_on_ends_with_its_lease(lab: AgentLab) -> None:
    lab.add_service(strategy="dark-launch", dark_launch={"steps": [{"mirror_pct": 100, "hold_s": 60}]})
    release = lab.deploy(lab.request("1.1"))
    shift_traffic(lab.context, release.id, 0, actor=SOMEBODY)
    assert lab.target().exposed
    assert eventually(lambda: lab.target().mirror is None, within_s=lab.lease_ttl_s + 3)
    assert await_rolled_back(lab.context, release.id, timeout=timedelta(seconds=10)).cause is Cause.LEASE_LAPSED
