"""In the middle of a canary everything may die, freeze or lock up: users are safe, and the records tell the truth afterwards."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import pytest

from productops.domain.release import Cause, Phase, Release
from tests.e2e.conftest import Shop
from tests.e2e.real_stack import GRACE_S, LEASE_S, ROOT, RealStack, frozen, lives, until

pytestmark = pytest.mark.slow
STAYS_S = 4.0


def carried_out_by(stack: RealStack, release_id: str) -> tuple[str, int]:
    """Flow run of a release and the pid of its process."""
    flow_run_id = stack.release(release_id).flow_run_id
    assert flow_run_id is not None
    return flow_run_id, stack.flow_process(flow_run_id)


def assert_lapsed(shop: Shop, release_id: str) -> Release:
    """The store says that the lease lapsed, since when users have the baseline, and that somebody should look at it."""
    stack = shop.stack
    ended = stack.await_phase(release_id, Phase.ROLLED_BACK)
    assert ended.cause is Cause.LEASE_LAPSED
    settled = stack.await_settled()
    assert (settled.baseline_version, settled.release_id) == (shop.baseline, None)
    detail = stack.detail(release_id)
    assert len(detail["incidents"]) == 1
    assert detail["incidents"][0]["title"].startswith("Lease lapsed")
    assert "release.rolling_back" in stack.audit_of(release_id)
    assert "baseline_confirmed_at" in detail["transitions"][-1]["evidence"]
    stack.assert_records_whole()
    return ended


def assert_told_once(stack: RealStack, release_id: str) -> None:
    """The audit has the way of a release to its users, and nothing of a roll back."""
    told = [a for a in stack.audit_of(release_id) if a not in {"release.resumed", "release.claimed", "release.extended"}]
    assert told[0] == "release.requested"
    assert told[-1] == "release.promoted"
    assert not {a for a in told if "roll" in a}
    assert told.count("release.promoted") == told.count("release.promoting") == 1


def assert_goes_on(shop: Shop, release_id: str) -> None:
    """The rollout comes to the end that it deserves."""
    stack = shop.stack
    promoted = stack.await_phase(release_id, Phase.PROMOTED)
    assert promoted.cause is None
    assert stack.await_settled().baseline_version == shop.candidate
    assert stack.detail(release_id)["incidents"] == []
    assert_told_once(stack, release_id)
    switched = time.monotonic()
    until(lambda: len([r for r in shop.users.since(switched) if r.error is None]) > 20, what="users after the promotion")
    assert set(shop.users.versions_since(switched)) == {shop.candidate}
    stack.assert_records_whole()


@pytest.mark.usefixtures("nobody_lost")
def test_a_killed_flow_is_gone_on_with_by_another_before_its_lease_lapses(shop: Shop) -> None:
    stack = shop.stack
    release_id = shop.begin_canary(hold_s=8.0)
    flow_run_id, pid = carried_out_by(stack, release_id)
    os.kill(pid, signal.SIGKILL)
    second = until(lambda: (run := stack.release(release_id).flow_run_id) != flow_run_id and run, what="another run has the release")
    stack.await_phase(release_id, Phase.PROMOTED)
    assert stack.await_settled().baseline_version == shop.candidate
    assert "release.resumed" in stack.audit_of(release_id)
    assert [step["verdict"] for step in stack.detail(release_id)["steps"]] == ["passed"]
    assert "ended without a word" in stack.prefect.await_state(flow_run_id, "Crashed")["state"]["message"]
    stack.prefect.await_state(str(second), "Promoted")
    stack.assert_records_whole()


@pytest.mark.usefixtures("nobody_lost")
def test_a_killed_flow_that_nobody_goes_on_with_costs_the_candidate_its_traffic_within_the_lease(shop: Shop) -> None:
    stack = shop.stack
    release_id = shop.begin_canary()
    _, pid = carried_out_by(stack, release_id)
    listener = int((stack.home / "run" / "dispatcher.ready").read_text(encoding="utf-8"))
    with frozen(listener):
        killed_at = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        shop.users.assert_off(shop.candidate, killed_at=killed_at)
        assert_lapsed(shop, release_id)
    shop.assert_next_release_works()


@pytest.mark.usefixtures("nobody_lost")
def test_a_frozen_flow_is_taken_over_and_moves_nothing_once_it_is_awake(shop: Shop) -> None:
    stack = shop.stack
    release_id = shop.begin_canary(hold_s=6.0)
    flow_run_id, pid = carried_out_by(stack, release_id)
    with frozen(pid):
        stack.await_phase(release_id, Phase.PROMOTED)
        stack.await_settled()
        before, moves = stack.target(), len(stack.detail(release_id)["transitions"])
    stack.prefect.await_state(flow_run_id, "TakenOver", "Promoted", "RolledBack")
    until(lambda: not lives(pid), what="the process that was frozen has ended")
    after = stack.target()
    assert (after.generation, after.baseline_version, after.fence) == (before.generation, before.baseline_version, before.fence)
    assert len(stack.detail(release_id)["transitions"]) == moves


@pytest.mark.usefixtures("nobody_lost")
def test_flow_and_agent_killed_at_once_leave_nobody_on_the_candidate_without_a_lease(shop: Shop) -> None:
    stack = shop.stack
    release_id = shop.begin_canary()
    _, pid = carried_out_by(stack, release_id)
    listener = int((stack.home / "run" / "dispatcher.ready").read_text(encoding="utf-8"))
    with frozen(listener):
        killed_at = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        agent = stack.kill("agent")
        stack.await_restarted(agent)
        # Only an agent can enforce a lease: on a busy machine its start may take longer than the lease.
        back_after_s = time.monotonic() - killed_at
        shop.users.assert_off(shop.candidate, killed_at=killed_at, within_s=max(LEASE_S, back_after_s) + GRACE_S)
        assert_lapsed(shop, release_id)
    shop.assert_next_release_works()


@pytest.mark.usefixtures("nobody_lost")
def test_a_locked_database_does_not_keep_users_on_the_candidate(shop: Shop) -> None:
    stack = shop.stack
    release_id = shop.begin_canary()
    with closing(sqlite3.connect(stack.database, timeout=10, isolation_level=None)) as hog:
        hog.execute("BEGIN IMMEDIATE")
        locked_at = time.monotonic()
        shop.users.assert_off(shop.candidate, killed_at=locked_at)
        until(lambda: time.monotonic() > locked_at + LEASE_S + 4.0, what="the lock was held long enough")
        assert stack.release(release_id).phase is Phase.ROLLING_OUT, "nothing could be written"
        hog.execute("ROLLBACK")
    assert_lapsed(shop, release_id)
    shop.assert_next_release_works()


@pytest.mark.usefixtures("nobody_lost")
def test_a_killed_agent_is_back_before_anybody_misses_it(shop: Shop) -> None:
    release_id = shop.begin_canary(hold_s=STAYS_S)
    agent = shop.stack.kill("agent")
    shop.stack.await_restarted(agent)
    assert_goes_on(shop, release_id)


@pytest.mark.usefixtures("nobody_lost")
def test_a_killed_api_is_back_and_releases_go_on_without_it(shop: Shop) -> None:
    release_id = shop.begin_canary(hold_s=STAYS_S)
    api = shop.stack.kill("api")
    shop.stack.await_restarted(api)
    assert until(lambda: shop.stack.detail(release_id)["id"] == release_id, what="the API answers")
    assert_goes_on(shop, release_id)


def test_a_killed_router_is_back_at_once_and_the_rollout_goes_on(shop: Shop) -> None:
    release_id = shop.begin_canary(hold_s=STAYS_S)
    killed_at = time.monotonic()
    router = shop.stack.kill("router")
    shop.stack.await_restarted(router)
    assert_goes_on(shop, release_id)
    late = [r for r in shop.users.since(killed_at + GRACE_S) if r.failed and r.error is not None]
    assert not late, f"{len(late)} requests were lost long after the router was back"
    assert not [r for r in shop.users.errors_since(shop.began) if r.ended_monotonic_s < killed_at]


@pytest.mark.usefixtures("nobody_lost")
def test_a_killed_dispatcher_takes_no_rollout_with_it_and_takes_the_next_run(shop: Shop) -> None:
    release_id = shop.begin_canary(hold_s=STAYS_S)
    flow_run_id, pid = carried_out_by(shop.stack, release_id)
    dispatcher = shop.stack.kill("dispatcher")
    assert lives(pid)
    shop.stack.await_restarted(dispatcher)
    assert_goes_on(shop, release_id)
    shop.stack.prefect.await_state(flow_run_id, "Promoted")
    shop.assert_next_release_works()


@pytest.mark.usefixtures("nobody_lost")
def test_a_killed_listener_takes_no_rollout_with_it_and_takes_the_next_run(shop: Shop) -> None:
    stack = shop.stack
    release_id = shop.begin_canary(hold_s=STAYS_S)
    flow_run_id, _ = carried_out_by(stack, release_id)
    dispatcher = stack.process("dispatcher")
    listener = int((stack.home / "run" / "dispatcher.ready").read_text(encoding="utf-8"))
    assert listener != dispatcher.pid
    os.kill(listener, signal.SIGKILL)
    stack.await_restarted(dispatcher)
    assert_goes_on(shop, release_id)
    stack.prefect.await_state(flow_run_id, "Promoted")
    shop.assert_next_release_works()


@pytest.mark.usefixtures("nobody_lost")
def test_a_killed_prefect_server_is_missed_by_no_rollout_and_takes_the_next_run(shop: Shop) -> None:
    stack = shop.stack
    release_id = shop.begin_canary(hold_s=STAYS_S)
    flow_run_id, _ = carried_out_by(stack, release_id)
    prefect = stack.kill("prefect")
    assert_goes_on(shop, release_id)
    stack.await_restarted(prefect)
    shop.assert_next_release_works()
    stack.prefect.await_state(flow_run_id, "Promoted", within_s=40)


def test_a_second_agent_started_by_hand_stands_by_and_moves_nothing(shop: Shop) -> None:
    agent = shop.stack.process("agent")
    log = shop.stack.home / "logs" / "second-agent.log"
    with log.open("w", encoding="utf-8") as said:
        second = subprocess.Popen(
            [sys.executable, "-m", "productops.agent"], env=shop.stack.environment, cwd=ROOT,
            stdout=said, stderr=said, start_new_session=True,
        )  # fmt: skip
    try:
        until(lambda: "standing by" in log.read_text(encoding="utf-8"), what="the second agent stands by")
        shop.assert_next_release_works()
        assert second.poll() is None
        assert shop.stack.process("agent").pid == agent.pid
        assert (shop.stack.home / "run" / "agent.ready").read_text(encoding="utf-8") == str(agent.pid)
    finally:
        second.kill()
        second.wait(timeout=10)
