"""Rolling releases with a real agent, a real Envoy and requests in flight."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from productops.domain.release import Cause, Phase, Release, Strategy
from productops.errors import CandidateUnhealthyError
from productops.usecases.release_rollback import await_rolled_back, give_baseline_back
from productops.usecases.release_run import promote_candidate, settle_promotion, shift_traffic
from tests.integration.agent_lab import SOMEBODY, AgentLab, running_lab
from tests.integration.envoy_support import eventually

pytestmark = pytest.mark.slow


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[AgentLab]:
    with running_lab(tmp_path) as made:
        made.add_version("1.0")
        made.add_version("1.1")
        yield made


def settle(lab: AgentLab, release: Release) -> Release:
    promote_candidate(lab.context, release.id, actor=SOMEBODY)
    with lab.context.store.write() as unit:
        unit.releases.move(release.id, Phase.VALIDATING, actor="tester", reason="", now=lab.context.clock.now())
    return settle_promotion(lab.context, release.id, actor=SOMEBODY)


def test_a_rolling_release_under_slow_requests_loses_none(lab: AgentLab) -> None:
    lab.add_service(instances=3, rolling={"surge": 1, "hold_s": 1}, strategy="rolling")
    load = lab.load(connections=20, path="/?delay=0.3")
    release = lab.deploy(lab.request("1.1"))
    assert release.strategy is Strategy.ROLLING
    running = []
    for index in range(len(release.steps)):
        shift_traffic(lab.context, release.id, index, actor=SOMEBODY)
        running.append((len(lab.instances("1.1")), len(lab.instances("1.0"))))
    assert settle(lab, release).phase is Phase.PROMOTED
    assert eventually(lambda: not lab.instances("1.0"), within_s=15)
    tally = load.stop()
    assert running == [(1, 2), (2, 1), (3, 1)]
    assert tally.failed == 0, tally.answers
    assert tally.by_version("1.1") > 0
    assert tally.by_version("1.0") > 0


def test_a_rolling_release_never_runs_more_than_its_surge_nor_serves_with_less_than_it_may_miss(lab: AgentLab) -> None:
    lab.add_service(instances=3, rolling={"surge": 0, "unavailable": 1, "hold_s": 1}, strategy="rolling")
    release = lab.deploy(lab.request("1.1"))
    for index in range(len(release.steps)):
        shift_traffic(lab.context, release.id, index, actor=SOMEBODY)
        assert len(lab.instances("1.0")) + len(lab.instances("1.1")) <= 3
    assert settle(lab, release).phase is Phase.PROMOTED
    assert eventually(lambda: len(lab.instances("1.1")) == 3 and not lab.instances("1.0"), within_s=20)


def test_a_rolling_release_that_fails_gives_all_traffic_to_what_is_left_of_the_baseline_and_brings_the_rest_back(lab: AgentLab) -> None:
    lab.add_service(instances=3, rolling={"surge": 1, "hold_s": 1}, strategy="rolling")
    load = lab.load(connections=10, path="/?delay=0.1")
    release = lab.deploy(lab.request("1.1"))
    for index in range(2):
        shift_traffic(lab.context, release.id, index, actor=SOMEBODY)
    assert len(lab.instances("1.0")) == 1
    give_baseline_back(lab.context, release.id, cause=Cause.VERDICT, reason="bad", actor=SOMEBODY)
    ended = await_rolled_back(lab.context, release.id, timeout=timedelta_s(10))
    assert ended.phase is Phase.ROLLED_BACK
    assert eventually(lambda: len(lab.instances("1.0")) == 3 and not lab.instances("1.1"), within_s=20)
    tally = load.stop()
    assert tally.failed == 0, tally.answers


def test_a_batch_that_never_becomes_healthy_ends_the_release_with_the_baseline_whole(lab: AgentLab) -> None:
    lab.add_service(instances=2, rolling={"surge": 1, "hold_s": 1}, strategy="rolling")
    release = lab.deploy(lab.request("1.1"))
    shift_traffic(lab.context, release.id, 0, actor=SOMEBODY)
    lab.add_version("1.1", broken_health=True)
    with pytest.raises(CandidateUnhealthyError):
        shift_traffic(lab.context, release.id, 1, actor=SOMEBODY)
    await_rolled_back(lab.context, release.id, timeout=timedelta_s(10))
    assert eventually(lambda: len(lab.instances("1.0")) == 2 and not lab.instances("1.1"), within_s=20)


def timedelta_s(seconds: float):
    from datetime import timedelta

    return timedelta(seconds=seconds)
