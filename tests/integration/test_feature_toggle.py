"""A flag released to real users: a service evaluates it over OFREP, Envoy writes down what each answer says, the judge compares."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from productops.adapters.envoy import exposure_log
from productops.domain.catalog_flags import Ramp
from productops.domain.release import Cause, Phase, Release, Strategy
from productops.domain.strategies import Overrides
from productops.usecases.release_request import ReleaseWish, request_release
from productops.usecases.release_rollback import roll_back
from tests.integration.agent_lab import PRODUCTION, ROOT, SOMEBODY, AgentLab
from tests.integration.envoy_support import eventually
from tests.integration.flag_lab import TARGET, TOKEN, Users, carry_out, flag_lab, flag_ramp, stored

pytestmark = pytest.mark.slow


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[AgentLab]:
    with flag_lab(tmp_path) as made:
        yield made


def request(lab: AgentLab, *, weights: tuple[int, ...] = (10, 50), hold_s: float = 4.0) -> Release:
    wish = ReleaseWish(
        service="shop", version=TARGET, strategy=Strategy.FEATURE_TOGGLE, overrides=Overrides(weights_pct=weights, hold_s=hold_s)
    )
    return request_release(lab.context, wish, actor=SOMEBODY)


@contextlib.contextmanager
def flow_process(lab: AgentLab, release: Release, run: str) -> Iterator[None]:
    """A flow as a process, killed at the end of the block."""
    arguments = [lab.settings.sqlalchemy_url, str(lab.settings.doorbell_port), release.id, run]
    with lab.log.open("ab") as log:
        flow = subprocess.Popen([sys.executable, "-m", "tests.integration.flag_lab", *arguments], cwd=ROOT, stdout=log, stderr=log)
    try:
        yield
        assert flow.poll() is None, lab.log.read_text()[-3000:]
    finally:
        flow.kill()
        flow.wait()


def test_a_good_variant_reaches_everybody_and_nobody_loses_it_on_the_way(lab: AgentLab) -> None:
    users = Users(lab)
    release = request(lab)
    assert (release.version, release.baseline_version) == ("new-checkout@on", "new-checkout@off")
    before = lab.target().baseline_version
    ended = carry_out(lab.context, release.id, run="a")
    users.stop()
    assert ended.phase is Phase.PROMOTED, ended.reason
    assert flag_ramp(lab.context) == Ramp(variant="on", percent=100)
    assert lab.target().baseline_version == before, "no version changed"
    assert all(had in (["on"], ["off", "on"], ["off"]) for had in users.had.values()), users.had
    with lab.context.store.read() as unit:
        steps = unit.releases.steps(release.id)
        assert [s.verdict for s in steps] == ["passed", "passed"]
        first = steps[0].summary
    assert first["candidate"]["requests"] > 0
    assert first["baseline"]["requests"] > 3 * first["candidate"]["requests"]
    assert lab.instances("1.0")


def test_a_variant_that_fails_three_in_ten_is_taken_back_within_seconds_and_users_have_the_old_one(lab: AgentLab) -> None:
    users = Users(lab)
    time.sleep(3)  # so that the judge knows how users fared before
    lab.behave("1.0", port=lab.settings.api_port, token=TOKEN, bad_share=0.3)
    release = request(lab, weights=(10, 50), hold_s=30.0)
    ended = carry_out(lab.context, release.id, run="a")
    assert (ended.phase, ended.cause) == (Phase.ROLLED_BACK, Cause.VERDICT), ended.reason
    assert flag_ramp(lab.context) is None
    assert eventually(lambda: users.share_on == 0.0, within_s=10)
    users.stop()
    took_s = users.failures_at[-1] - users.failures_at[0]
    print(f"first to last failed answer: {took_s:.1f} s, {len(users.failures_at)} failures of {users.answers.total()} answers")
    assert took_s < 20.0


def test_a_flow_killed_in_the_middle_is_gone_on_with_by_another_run(lab: AgentLab) -> None:
    users = Users(lab)
    release = request(lab)
    with flow_process(lab, release, "a"):
        assert eventually(lambda: stored(lab.context, release.id).step_index == 0, within_s=60)
        time.sleep(0.5)
    time.sleep(1.6)  # silent for half of the lease's time: taken for dead
    ended = carry_out(lab.context, release.id, run="b")
    users.stop()
    assert ended.phase is Phase.PROMOTED, ended.reason
    assert all(had in (["on"], ["off", "on"], ["off"]) for had in users.had.values()), users.had


def test_when_nobody_goes_on_the_lease_lapses_and_the_agent_takes_the_flag_back(lab: AgentLab) -> None:
    release = request(lab, hold_s=30.0)
    with flow_process(lab, release, "a"):
        assert eventually(lambda: (ramp := flag_ramp(lab.context)) is not None and ramp.percent == 10, within_s=60)
    killed_at = time.monotonic()
    assert eventually(lambda: flag_ramp(lab.context) is None, within_s=20)
    print(f"killed flow to flag taken back: {time.monotonic() - killed_at:.1f} s")
    assert eventually(lambda: stored(lab.context, release.id).phase is Phase.ROLLED_BACK, within_s=20)
    assert stored(lab.context, release.id).cause is Cause.LEASE_LAPSED
    with lab.context.store.read() as unit:
        told = {event.type: event.payload for event in unit.releases.events(release.id, after=0)}
        assert told["flag_taken_back"]["percent"] == 0.0
        assert "incident" in told
        assert unit.traffic.get("shop", PRODUCTION).release_id is None


def get(lab: AgentLab, path: str) -> int:
    url = f"http://127.0.0.1:{lab.settings.router_port}{path}"
    return httpx.get(url, headers={"host": "shop.localhost", "x-user": "ann"}, trust_env=False, timeout=10).status_code


def test_a_release_of_a_flag_is_asked_for_by_its_name_and_the_router_notes_only_answers_that_name_a_flag(lab: AgentLab) -> None:
    url = f"{lab.settings.api_url}/api/v1/product-ops/release/{TARGET}"
    body = {"service": "shop", "strategy": "feature-toggle", "weights_pct": [20], "hold_s": 2}
    with httpx.Client(headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False, timeout=20) as client:
        plan = client.post(f"{url}/plan", json=body)
        assert plan.status_code == 200, plan.text
        asked = client.post(url, json=body)
        assert asked.status_code == 202, asked.text
        assert asked.json()["version"] == TARGET
        refused = client.post(url, json=body)
        assert refused.status_code == 409, refused.text
    assert {get(lab, path) for path in ("/", "/plain", "/", "/plain", "/plain")} == {200}
    log = lab.home / "router" / exposure_log.FILE
    assert eventually(lambda: len(log.read_bytes().splitlines()) == 2, within_s=5)
    answer = exposure_log.read_line(log.read_bytes().splitlines()[0])
    assert answer is not None
    assert (answer.service, answer.environment, answer.arms, answer.failed) == ("shop", PRODUCTION, ("flag:new-checkout=off",), False)


def test_a_promoted_flag_can_be_rolled_back_at_once(lab: AgentLab) -> None:
    users = Users(lab)
    release = request(lab, weights=(50,), hold_s=4.0)
    assert carry_out(lab.context, release.id, run="a").phase is Phase.PROMOTED
    assert eventually(lambda: users.share_on == 100.0, within_s=10)
    roll_back(lab.context, release.id, reason="customers cannot pay", actor=SOMEBODY)
    assert eventually(lambda: stored(lab.context, release.id).phase is Phase.ROLLED_BACK, within_s=5)
    assert flag_ramp(lab.context) is None
    assert eventually(lambda: users.share_on == 0.0, within_s=10)
    users.stop()
