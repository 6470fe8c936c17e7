"""A release through the use cases, on a real database, with an agent made by hand behind the store."""

import threading
import time
from datetime import timedelta

import pytest

from productops.domain.analysis import Verdict
from productops.domain.release import Cause, Phase, Strategy
from productops.domain.strategies import Overrides
from productops.errors import (
    AlreadyLiveError,
    CandidateUnhealthyError,
    ConflictError,
    DowngradeError,
    IdempotencyError,
    InvalidInputError,
    LeaseLostError,
    NotFoundError,
    QuarantinedError,
    ReleaseInFlightError,
)
from productops.usecases import release_judge, release_reconcile, release_resume, release_rollback, release_run
from productops.usecases.release_report import make_report
from productops.usecases.release_request import ReleaseWish, request_release
from tests.support import PRODUCTION, SOMEBODY, HandMadeAgent, add_service, make_context, running, service_spec, sqlite_url


def wish(version="2.0", **changes):
    return ReleaseWish(service="shop", version=version, **changes)


def request(context, version="2.0", **changes):
    return request_release(context, wish(version, **changes), actor=SOMEBODY)


def carry_out(context, release):
    """What flows/release.py tells, without Prefect."""
    release_resume.claim_release(context, release.id, f"run-{release.id}")
    release_run.deploy_candidate(context, release.id, actor=SOMEBODY)
    for index in range(len(release.steps)):
        release_run.shift_traffic(context, release.id, index, actor=SOMEBODY)
        outcome = release_judge.hold_step(context, release.id, index, actor=SOMEBODY)
        if not outcome.proceed:
            cause = Cause.VERDICT if outcome.verdict is Verdict.FAILED else Cause.INCONCLUSIVE
            release_rollback.give_baseline_back(context, release.id, cause=cause, reason=outcome.reason, actor=SOMEBODY)
            return release_rollback.await_rolled_back(context, release.id, timeout=timedelta(seconds=10))
    release_run.promote_candidate(context, release.id, actor=SOMEBODY)
    release_judge.validate_promotion(context, release.id, actor=SOMEBODY)
    return release_run.settle_promotion(context, release.id, actor=SOMEBODY)


def traffic(context):
    with context.store.read() as unit:
        return unit.traffic.get("shop", PRODUCTION)


def stored(context, release_id):
    with context.store.read() as unit:
        return unit.releases.get(release_id)


@pytest.fixture
def brief(tmp_path):
    """A context whose leases are short enough to wait for their end."""
    made = make_context(sqlite_url(tmp_path), lease_ttl_s=3.0)
    yield made
    made.store.close()


def test_a_good_version_is_promoted_step_by_step(any_context):
    add_service(any_context, live="1.0")
    with running(HandMadeAgent(any_context)):
        release = carry_out(any_context, request(any_context))
    target = traffic(any_context)
    assert release.phase is Phase.PROMOTED
    assert (target.baseline_version, target.candidate_version, target.candidate_pct, target.lease) == ("2.0", None, 0, None)
    with any_context.store.read() as unit:
        steps = unit.releases.steps(release.id)
        record = unit.deployments.find(release.id)
        assert unit.audit.first_broken() is None
    assert [s.verdict for s in steps] == ["passed", "passed"]
    assert all(s.summary["candidate"]["requests"] > 0 for s in steps)
    assert record["pipeline_status"] == "succeeded"


def test_a_version_that_fails_a_third_of_its_requests_is_rolled_back(context):
    add_service(context, spec=service_spec(canary={"steps": [{"weight_pct": 20, "hold_s": 30}]}), live="1.0")
    with running(HandMadeAgent(context, failure_share={"2.0": 0.3})):
        started = time.monotonic()
        release = carry_out(context, request(context))
    assert (release.phase, release.cause) == (Phase.ROLLED_BACK, Cause.VERDICT)
    assert time.monotonic() - started < 8
    assert traffic(context).baseline_version == "1.0"
    with context.store.read() as unit:
        looks = unit.releases.looks(release.id)
    assert looks[-1]["verdict"] == "failed"
    assert looks[-1]["evidence"]["schema"] == 1
    with pytest.raises(QuarantinedError, match="lift-quarantine"):
        request(context)
    assert request(context, lift_quarantine=True).phase is Phase.REQUESTED


def test_the_first_version_of_a_service_goes_live_without_a_comparison(context):
    add_service(context)
    with running(HandMadeAgent(context)):
        release = carry_out(context, request(context, "1.0"))
    assert (release.phase, release.steps) == (Phase.PROMOTED, ())
    assert traffic(context).baseline_version == "1.0"


def test_a_candidate_that_never_gets_healthy_ends_before_any_user_sees_it(context):
    add_service(context, live="1.0")
    release = request(context)
    with running(HandMadeAgent(context, unhealthy=frozenset({"2.0"}))):
        release_resume.claim_release(context, release.id, "run")
        with pytest.raises(CandidateUnhealthyError, match="did not answer /healthz"):
            release_run.deploy_candidate(context, release.id, actor=SOMEBODY)
    ended = stored(context, release.id)
    assert (ended.phase, ended.cause) == (Phase.FAILED, Cause.UNHEALTHY)
    assert not traffic(context).exposed


def test_no_measurement_is_never_a_pass(context):
    analysis = {"requests_min": 10, "on_inconclusive": "proceed", "unmeasured_max_s": 2}
    add_service(context, spec=service_spec(analysis=analysis), live="1.0")
    with running(HandMadeAgent(context, measuring=False)):
        release = carry_out(context, request(context))
    assert (release.phase, release.cause) == (Phase.ROLLED_BACK, Cause.INCONCLUSIVE)
    assert "no measurement arrived" in release.reason


def test_too_little_traffic_extends_three_times_and_then_rolls_back(context):
    add_service(context, spec=service_spec(analysis={"requests_min": 100_000, "on_inconclusive": "extend"}), live="1.0")
    with running(HandMadeAgent(context)):
        release = carry_out(context, request(context))
    with context.store.read() as unit:
        extended = [e for e in unit.releases.events(release.id, after=0) if e.type == "extended"]
    assert (release.phase, len(extended)) == (Phase.ROLLED_BACK, 3)
    assert "of 100000 requests" in release.reason


def test_a_paused_release_keeps_its_lease_until_a_person_lets_it_go_on(brief):
    context = brief
    add_service(context, spec=service_spec(analysis={"requests_min": 100_000, "on_inconclusive": "pause"}), live="1.0")
    release = request(context)
    with running(HandMadeAgent(context)):
        runner = threading.Thread(target=carry_out, args=(context, release))
        runner.start()
        for _ in range(2):
            wait_for(lambda: stored(context, release.id).phase is Phase.PAUSED)
            time.sleep(context.lease_ttl_s + 0.5)
            assert traffic(context).exposed
            release_judge.resume_release(context, release.id, reason="seen by hand", actor=SOMEBODY)
        runner.join(timeout=20)
    assert stored(context, release.id).phase is Phase.PROMOTED


def test_a_person_rolls_back_in_mid_rollout_and_the_old_holder_can_move_nothing(context):
    add_service(context, spec=service_spec(canary={"steps": [{"weight_pct": 20, "hold_s": 60}]}), live="1.0")
    release = request(context)
    lost = []

    def run():
        try:
            carry_out(context, release)
        except LeaseLostError as error:
            lost.append(error)

    with running(HandMadeAgent(context)):
        runner = threading.Thread(target=run)
        runner.start()
        wait_for(lambda: traffic(context).exposed)
        release_rollback.roll_back(context, release.id, reason="support calls", actor=SOMEBODY)
        assert not traffic(context).exposed
        runner.join(timeout=10)
        wait_for(lambda: stored(context, release.id).phase is Phase.ROLLED_BACK)
    assert lost
    with pytest.raises(LeaseLostError):
        release_run.shift_traffic(context, release.id, 0, actor=SOMEBODY)


def test_a_dead_holder_loses_its_lease_and_an_incident_tells_of_it(brief):
    context = brief
    add_service(context, live="1.0")
    release = request(context)
    with running(HandMadeAgent(context)):
        release_resume.claim_release(context, release.id, "run")
        release_run.deploy_candidate(context, release.id, actor=SOMEBODY)
        release_run.shift_traffic(context, release.id, 0, actor=SOMEBODY)
        started = time.monotonic()
        wait_for(lambda: stored(context, release.id).phase is Phase.ROLLED_BACK, timeout_s=10)
        assert time.monotonic() - started < context.lease_ttl_s + 2
    assert stored(context, release.id).cause is Cause.LEASE_LAPSED
    with context.store.read() as unit:
        incident = unit.incidents.newest()[0]
    assert incident["detection"] == "lease"
    assert incident["impact"]["release_id"] == release.id


def test_blue_green_keeps_the_old_fleet_warm_for_an_instant_way_back(context):
    add_service(context, spec=service_spec(blue_green={"watch_s": 2.5, "keep_warm_s": 60}), live="1.0")
    with running(HandMadeAgent(context)):
        time.sleep(2.2)  # the baseline's past is what an all-at-once switch is compared with
        release = carry_out(context, request(context, strategy=Strategy.BLUE_GREEN))
        assert release.phase is Phase.PROMOTED
        back = release_rollback.roll_back(context, release.id, reason="second thoughts", actor=SOMEBODY)
        assert back.phase is Phase.ROLLING_BACK
        ended = release_rollback.await_rolled_back(context, release.id, timeout=timedelta(seconds=5))
    assert ended.phase is Phase.ROLLED_BACK
    assert traffic(context).baseline_version == "1.0"


def test_a_promoted_canary_is_rolled_back_once_the_old_version_is_up_again(context):
    add_service(context, live="1.0")
    with running(HandMadeAgent(context)):
        release = carry_out(context, request(context))
        wait_for(lambda: not instances(context, "1.0"))
        ended = release_rollback.complete_roll_back(context, release.id, reason="complaints", actor=SOMEBODY)
    assert ended.phase is Phase.ROLLED_BACK
    assert traffic(context).baseline_version == "1.0"


def test_requests_that_cannot_be_met_change_nothing(context):
    add_service(context, live="1.5")
    refusals = [
        (wish(version="../etc"), InvalidInputError),
        (wish(version="1.5"), AlreadyLiveError),
        (wish(version="1.4"), DowngradeError),
        (ReleaseWish(service="nope", version="1"), NotFoundError),
        (wish(venture="other"), InvalidInputError),
        (wish(overrides=Overrides(weights_pct=(50, 20))), InvalidInputError),
        (wish(overrides=Overrides(weights_pct=(50, 101))), InvalidInputError),
        (wish(overrides=Overrides(hold_s=0.0)), InvalidInputError),
        (wish(overrides=Overrides(alpha=2.0)), InvalidInputError),
        (wish(strategy=Strategy.BLUE_GREEN, overrides=Overrides(weights_pct=(5,))), InvalidInputError),
    ]
    for bad, error in refusals:
        with pytest.raises(error):
            request_release(context, bad, actor=SOMEBODY)
    with context.store.read() as unit:
        assert unit.releases.newest(service=None, environment=None, before=None, limit=10) == []
        assert unit.audit.entries() == []


def test_an_older_version_is_released_when_somebody_insists(context):
    add_service(context, live="1.5")
    assert request(context, "1.4", force_downgrade=True).baseline_version == "1.5"


def test_one_rollout_per_service_and_environment(any_context):
    add_service(any_context, live="1.0")
    first = request(any_context)
    with pytest.raises(ReleaseInFlightError, match=first.id):
        request(any_context, "3.0")


def test_many_requests_at_once_start_one_release(any_context):
    add_service(any_context, live="1.0")
    made, refused = [], []

    def ask(number):
        try:
            made.append(request(any_context, f"2.{number}"))
        except ReleaseInFlightError as error:
            refused.append(error)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(made), len(refused)) == (1, 5)


def test_an_idempotency_key_returns_the_first_release_and_refuses_another_wish(any_context):
    add_service(any_context, live="1.0")
    first = request_release(any_context, wish(), actor=SOMEBODY, idempotency_key="k")
    assert request_release(any_context, wish(), actor=SOMEBODY, idempotency_key="k").id == first.id
    with pytest.raises(IdempotencyError):
        request_release(any_context, wish("3.0"), actor=SOMEBODY, idempotency_key="k")


def test_two_runs_of_one_release_cannot_both_act(context):
    add_service(context, live="1.0")
    release = request(context)
    release_resume.claim_release(context, release.id, "run-a")
    with pytest.raises(ConflictError, match="run-a"):
        release_resume.claim_release(context, release.id, "run-b")


def test_a_release_whose_process_vanished_before_any_traffic_is_ended(context):
    add_service(context, live="1.0")
    release = request(context)
    release_resume.claim_release(context, release.id, "run")
    with context.store.write() as unit:
        unit.releases.note(release.id, heartbeat_at=context.clock.now() - timedelta(minutes=5))
    assert release_reconcile.end_abandoned(context, actor=SOMEBODY) == [release.id]
    assert stored(context, release.id).phase is Phase.FAILED


def test_the_report_tells_the_story_and_quotes_hostile_output_safely(context):
    add_service(context, live="1.0")
    release = request(context)
    release_rollback.give_baseline_back(
        context,
        release.id,
        cause=Cause.UNHEALTHY,
        reason="<img src=x> | `sh`",
        actor=SOMEBODY,
        evidence={"last_output": "boom\n# not a title"},
    )
    report = make_report(context, release.id)
    assert "never reached users" in report.sentence
    assert "<img" not in report.markdown
    assert "    # not a title" in report.markdown


def instances(context, version):
    with context.store.read() as unit:
        return unit.fleets.instances_of("shop", PRODUCTION, version)


def wait_for(condition, timeout_s=8.0):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)
