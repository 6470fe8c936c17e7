"""A flow that dies in the middle: another one goes on from the stored step, and the dead one can move nothing any more."""

import os
import threading
import time
from datetime import timedelta

import pytest

from productops.domain.governance_access import MACHINE
from productops.domain.release import Cause, Phase
from productops.errors import ConflictError, IllegalTransitionError, LeaseLostError, OrchestratorError, TakenOverError
from productops.usecases import release_judge, release_resume, release_rollback, release_run, run_claims
from productops.usecases.context import Actor
from tests.integration.test_release_usecases import request, stored, traffic
from tests.support import PRODUCTION, SOMEBODY, HandMadeAgent, add_service, make_context, running, service_spec, sqlite_url

TTL_S = 3.0


class DiedError(Exception):
    """The flow's process, at this point."""


class Recording:
    """Notes which runs were asked for."""

    def __init__(self, *, away=False):
        self.asked, self.away = [], away

    def start_release(self, release_id, parameters, *, attempt=0):
        if self.away:
            raise OrchestratorError("away")
        self.asked.append((release_id, attempt))
        return f"run-{attempt}"

    def start_rollback(self, parameters, *, key):
        raise AssertionError("nobody rolls back here")

    def run_url(self, flow_run_id):
        return flow_run_id


@pytest.fixture
def context(tmp_path):
    made = make_context(sqlite_url(tmp_path), lease_ttl_s=TTL_S)
    add_service(made, live="1.0")
    return made


def run_of(name):
    return Actor(name=f"flow run {name}", origin="prefect", principal=MACHINE, run=name)


def carry_out(context, release_id, name, *, die_after=()):
    """A flow run by its steps; it dies after any step named in ``die_after``."""

    def reached(point):
        if point in die_after:
            raise DiedError(point)

    actor = run_of(name)
    release = release_resume.claim_release(context, release_id, name)
    reached("claim")
    release_run.deploy_candidate(context, release_id, actor=actor)
    reached("deploy")
    for index in range(len(release.steps)):
        release_run.shift_traffic(context, release_id, index, actor=actor)
        reached(f"shift {index}")
        outcome = release_judge.hold_step(context, release_id, index, actor=actor)
        reached(f"hold {index}")
        if not outcome.proceed:
            release_rollback.give_baseline_back(context, release_id, cause=Cause.VERDICT, reason=outcome.reason, actor=actor)
            return release_rollback.await_rolled_back(context, release_id, timeout=timedelta(seconds=10))
    release_run.promote_candidate(context, release_id, actor=actor)
    reached("promote")
    release_judge.validate_promotion(context, release_id, actor=actor)
    reached("validate")
    return release_run.settle_promotion(context, release_id, actor=actor)


def die(context, release, point, name="a"):
    with pytest.raises(DiedError):
        carry_out(context, release.id, name, die_after=(point,))
    dead_process(context, name)


def dead_process(context, name):
    """The dispatcher's note of a process that is gone."""
    run_claims.claim_run(context, name, 0, owner="elsewhere#1")
    run_claims.note_process(context, name, 0, pid=os.getpid())
    run_claims.mark_buried(context, name)


@pytest.mark.parametrize("point", ["claim", "deploy", "shift 0", "hold 0", "shift 1", "hold 1", "promote", "validate"])
def test_a_flow_that_dies_anywhere_is_gone_on_with_and_no_step_is_held_twice(context, point):
    steps = 2 if point.endswith("1") else 1
    add_service(context, "shop", service_spec(canary={"steps": [{"weight_pct": 20 * n, "hold_s": 2.5} for n in range(1, steps + 1)]}))
    release = request(context)
    with running(HandMadeAgent(context)):
        die(context, release, point)
        assert [o.release.id for o in release_resume.find_orphans(context)] == [release.id]
        ended = carry_out(context, release.id, "b")
    assert ended.phase is Phase.PROMOTED
    with context.store.read() as unit:
        held = unit.releases.steps(release.id)
        told = [e.type for e in unit.releases.events(release.id, after=0)]
        assert unit.audit.first_broken() is None
    assert [s.verdict for s in held] == ["passed"] * steps
    assert told.count("resumed") == 1
    assert told.count("step_ended") == steps
    assert traffic(context).baseline_version == "2.0"


def test_the_dead_run_can_move_nothing_once_it_was_taken_over(context):
    release = request(context)
    with running(HandMadeAgent(context)):
        die(context, release, "shift 0")
        release_resume.claim_release(context, release.id, "b")
        for move in (
            lambda actor: release_run.shift_traffic(context, release.id, 0, actor=actor),
            lambda actor: release_run.promote_candidate(context, release.id, actor=actor),
            lambda actor: release_run.settle_promotion(context, release.id, actor=actor),
            lambda actor: release_judge.hold_step(context, release.id, 0, actor=actor),
            lambda actor: release_judge.validate_promotion(context, release.id, actor=actor),
            lambda actor: release_rollback.give_baseline_back(context, release.id, cause=Cause.ERROR, reason="late", actor=actor),
        ):
            with pytest.raises(TakenOverError):
                move(run_of("a"))
    assert stored(context, release.id).phase is Phase.ROLLING_OUT


def test_a_frozen_run_is_fenced_off_in_the_middle_of_its_hold(context):
    release = request(context)
    caught = []

    def frozen():
        try:
            release_judge.hold_step(context, release.id, 0, actor=run_of("a"))
        except LeaseLostError as error:
            caught.append(error)

    with running(HandMadeAgent(context)):
        release_resume.claim_release(context, release.id, "a")
        release_run.deploy_candidate(context, release.id, actor=run_of("a"))
        release_run.shift_traffic(context, release.id, 0, actor=run_of("a"))
        dead_process(context, "a")
        thread = threading.Thread(target=frozen)
        release_resume.claim_release(context, release.id, "b")
        with context.store.write() as unit:  # the thread begins as if it had read the release before it was taken
            unit.releases.claim(release.id, "a", instead_of="b", now=context.clock.now())
            unit.releases.note(release.id, fence=1)
        thread.start()
        thread.join(timeout=5)
    assert caught


def test_a_living_run_is_not_taken_over(context):
    release = request(context)
    release_resume.claim_release(context, release.id, "a")
    assert release_resume.find_orphans(context) == []
    with pytest.raises(ConflictError, match="carried out by flow run a"):
        release_resume.claim_release(context, release.id, "b")


def test_a_silent_run_is_taken_over_before_its_lease_lapses(context):
    release = request(context)
    with running(HandMadeAgent(context)):
        with pytest.raises(DiedError):
            carry_out(context, release.id, "a", die_after=("shift 0",))
        time.sleep(TTL_S * release_resume.SILENT_SHARE + 0.2)
        assert carry_out(context, release.id, "b").phase is Phase.PROMOTED


def test_a_release_whose_lease_lapsed_is_not_gone_on_with(context):
    release = request(context)
    with running(HandMadeAgent(context, enforcing=False)):
        die(context, release, "shift 0")
        time.sleep(TTL_S + 0.3)
        with pytest.raises(LeaseLostError, match="lapsed"):
            release_resume.claim_release(context, release.id, "b")


def test_orphans_get_a_run_each_and_a_release_that_dies_again_and_again_is_given_up(context):
    release = request(context)
    orchestrator = Recording()
    context = type(context)(**{name: getattr(context, name) for name in ("store", "doorbell", "lease_ttl_s")}, orchestrator=orchestrator)
    with running(HandMadeAgent(context)):
        die(context, release, "shift 0")
        assert release_resume.resume_orphans(context, actor=SOMEBODY) == [release.id]
        for number in range(1, 4):
            with pytest.raises(DiedError):
                carry_out(context, release.id, f"b{number}", die_after=("shift 0",))
            dead_process(context, f"b{number}")
            release_resume.resume_orphans(context, actor=SOMEBODY)
        ended = release_rollback.await_rolled_back(context, release.id, timeout=timedelta(seconds=5))
    assert orchestrator.asked == [(release.id, 1), (release.id, 2), (release.id, 3)]
    assert (ended.phase, ended.cause) == (Phase.ROLLED_BACK, Cause.ERROR)
    assert "died 4 times" in ended.reason


def test_where_the_orchestrator_is_away_nothing_is_started(context):
    release = request(context)
    context = type(context)(
        **{name: getattr(context, name) for name in ("store", "doorbell", "lease_ttl_s")}, orchestrator=Recording(away=True)
    )
    die(context, release, "claim")
    assert release_resume.resume_orphans(context, actor=SOMEBODY) == []


def test_cancelling_the_dead_run_leaves_the_release_to_the_living_one(context):
    release = request(context)
    with running(HandMadeAgent(context)):
        die(context, release, "shift 0")
        release_resume.claim_release(context, release.id, "b")
        run_claims.cancel_release(context, "a", release.id)
        assert stored(context, release.id).phase is Phase.ROLLING_OUT
        run_claims.cancel_release(context, "b", release.id)
        assert stored(context, release.id).phase in {Phase.ROLLING_BACK, Phase.ROLLED_BACK}


def test_a_person_pauses_a_rollout_and_its_hold_goes_on_where_it_stopped(context):
    add_service(context, "shop", service_spec(canary={"steps": [{"weight_pct": 20, "hold_s": 4}]}))
    release = request(context)
    with running(HandMadeAgent(context)):
        thread = threading.Thread(target=carry_out, args=(context, release.id, "a"))
        thread.start()
        while stored(context, release.id).phase is not Phase.ROLLING_OUT:
            time.sleep(0.05)
        time.sleep(1)
        release_judge.pause_release(context, release.id, reason="lunch", actor=SOMEBODY)
        time.sleep(TTL_S + 1.5)
        assert stored(context, release.id).phase is Phase.PAUSED
        assert traffic(context).candidate_pct == 20, "its lease was kept alive"
        release_judge.resume_release(context, release.id, reason="back", actor=SOMEBODY)
        time.sleep(1)
        assert stored(context, release.id).phase is Phase.ROLLING_OUT, "it is held for the rest of its time"
        thread.join(timeout=10)
    assert stored(context, release.id).phase is Phase.PROMOTED
    with pytest.raises(IllegalTransitionError):
        release_judge.pause_release(context, release.id, reason="late", actor=SOMEBODY)


def test_a_paused_release_whose_flow_dies_waits_on_in_another_run(context):
    release = request(context)
    with running(HandMadeAgent(context)):
        die(context, release, "shift 0")
        release_judge.pause_release(context, release.id, reason="lunch", actor=SOMEBODY)
        thread = threading.Thread(target=carry_out, args=(context, release.id, "b"))
        thread.start()
        time.sleep(TTL_S + 1)
        assert stored(context, release.id).phase is Phase.PAUSED
        release_judge.resume_release(context, release.id, reason="back", actor=SOMEBODY)
        thread.join(timeout=15)
    assert stored(context, release.id).phase is Phase.PROMOTED
    with context.store.read() as unit:
        assert unit.traffic.get("shop", PRODUCTION).baseline_version == "2.0"
