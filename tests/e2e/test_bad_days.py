"""In the middle of a canary everything may die, freeze or lock up: users are safe, and the records tell the truth afterwards."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from contextlib import closing

import pytest

from productops.domain.release import Cause, Phase, Release
from tests.e2e.conftest import Shop
from tests.e2e.real_stack import GRACE_S, LEASE_S, RealStack, frozen, lives, until

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


def assert_goes_on(shop: Shop, release_id: str) -> None:
    """The rollout comes to the end that it deserves."""
    stack = shop.stack
    promoted = stack.await_phase(release_id, Phase.PROMOTED)
    assert promoted.cause is None
    assert stack.await_settled().baseline_version == shop.candidate
    assert stack.detail(release_id)["incidents"] == []
    assert stack.audit_of(release_id) == ["release.requested", "release.promoted"]
    switched = time.monotonic()
    until(lambda: len([r for r in shop.users.since(switched) if r.error is None]) > 20, what="users after the promotion")
    assert set(shop.users.versions_since(switched)) == {shop.candidate}
    stack.assert_records_whole()


@pytest.mark.usefixtures("nobody_lost")
def test_a_killed_flow_costs_the_candidate_its_traffic_within_the_lease(shop: Shop) -> None:
    release_id = shop.begin_canary()
    flow_run_id, pid = carried_out_by(shop.stack, release_id)
    killed_at = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    shop.users.assert_off(shop.candidate, killed_at=killed_at)
    assert_lapsed(shop, release_id)
    shop.assert_next_release_works()
    run = shop.stack.prefect.await_state(flow_run_id, "Crashed")
    assert "ended without a word" in run["state"]["message"]


@pytest.mark.usefixtures("nobody_lost")
def test_a_frozen_flow_loses_its_traffic_and_moves_nothing_once_it_is_awake(shop: Shop) -> None:
    stack = shop.stack
    release_id = shop.begin_canary()
    flow_run_id, pid = carried_out_by(stack, release_id)
    frozen_at = time.monotonic()
    with frozen(pid):
        shop.users.assert_off(shop.candidate, killed_at=frozen_at)
        assert_lapsed(shop, release_id)
        shop.assert_next_release_works()
        before, moves = stack.target(), len(stack.detail(release_id)["transitions"])
    stack.prefect.await_state(flow_run_id, "RolledBack")
    until(lambda: not lives(pid), what="the process that was frozen has ended")
    after = stack.target()
    assert (after.generation, after.baseline_version, after.fence) == (before.generation, before.baseline_version, before.fence)
    assert len(stack.detail(release_id)["transitions"]) == moves
    assert len(stack.detail(release_id)["incidents"]) == 1


@pytest.mark.usefixtures("nobody_lost")
def test_flow_and_agent_killed_at_once_cost_the_candidate_its_traffic_within_the_lease(shop: Shop) -> None:
    stack = shop.stack
    release_id = shop.begin_canary()
    _, pid = carried_out_by(stack, release_id)
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


def test_a_second_agent_started_by_hand_is_refused_and_says_why(shop: Shop) -> None:
    agent = shop.stack.process("agent")
    done = shop.stack.run(module="productops.agent", within_s=30)
    assert done.returncode == 75
    assert "another agent writes the router" in done.stderr
    assert "Traceback" not in done.stderr
    assert shop.stack.process("agent").pid == agent.pid
    assert (shop.stack.home / "run" / "agent.ready").read_text(encoding="utf-8") == str(agent.pid)
